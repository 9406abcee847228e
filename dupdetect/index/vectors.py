"""The vectors of an index, in files that only grow: a row never changes once a transaction counts it.

    vectors-N.f32   the rows, float32
    rounded-N.u8    the same, rounded to 8-bit integers (`dupdetect.index.rounded`)
    steps-N.f32     of each the step and the remainder of the rounding

When they are written anew, without unused rows, N rises.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dupdetect.errors import ArtifactError
from dupdetect.index.rounded import round_rows

__all__ = ["Vectors", "append_rows", "delete_earlier", "map_vectors", "write_rows"]

_NO_FILE = (errno.ELOOP, errno.ENXIO, errno.EISDIR)  # of a link that came this moment, a pipe, a folder
_FLOAT, _BYTE = np.dtype("<f4"), np.dtype("u1")


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """rows: (n, d) float32.  rounded: (n, d) uint8, kept: (n, 2) float32, see `round_rows`. Read from the disk when
    they are looked at."""

    rows: NDArray[np.float32]
    rounded: NDArray[np.uint8]
    kept: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)


def map_vectors(folder: Path, number: int, count: int, dimension: int) -> Vectors:
    """Return the first `count` rows of the files with this number.

    Raises ArtifactError where there are fewer, FileNotFoundError where there is no file.
    """
    rows, rounded, kept = _files(folder, number)
    return Vectors(
        _mapped(rows, _FLOAT, count, dimension),
        _mapped(rounded, _BYTE, count, dimension),
        _mapped(kept, _FLOAT, count, 2),
    )


def append_rows(folder: Path, number: int, count: int, rows: NDArray[np.float32]) -> None:
    """Write rows behind the first `count`, over what may be there, and wait until they are on the disk.

    Raises ArtifactError where one of the files is a link, or no file: in a folder from elsewhere it may be anything.
    """
    for path, columns in zip(_files(folder, number), _columns(rows), strict=True):
        with _open(path) as file:
            file.seek(count * columns.shape[1] * columns.itemsize)
            file.write(columns.data)
            file.flush()
            os.fsync(file.fileno())


def write_rows(folder: Path, number: int, portions: Iterable[NDArray[np.float32]]) -> None:
    """Write new files of rows, and wait until they are on the disk."""
    for path in _files(folder, number):
        path.unlink(missing_ok=True)  # of a process that was killed
    count = 0
    for rows in portions:
        append_rows(folder, number, count, rows)
        count += len(rows)


def delete_earlier(folder: Path, number: int) -> None:
    """Delete the files with a lower number; a reader that has one open goes on reading it."""
    for kind in ("vectors-*.f32", "rounded-*.u8", "steps-*.f32"):
        for file in folder.glob(kind):
            # A higher number is that of a file that another process is writing.
            if file.stem.partition("-")[2].isdecimal() and int(file.stem.partition("-")[2]) < number:
                with suppress(OSError):  # open elsewhere, on Windows; it goes another time
                    file.unlink()


def _open(path: Path) -> BinaryIO:
    """Return a file to be written to, made if it is not there, but never emptied."""
    special = ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK")  # not all of them are there on each platform
    flags = os.O_WRONLY | os.O_CREAT | sum(getattr(os, name, 0) for name in special)
    refused = ArtifactError(
        f"{path} is a link, or no file, and nothing is written to what it may stand for. Copy the whole index again."
    )
    if path.is_symlink():
        raise refused
    try:
        place = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise refused from None
        raise
    if not stat.S_ISREG(os.fstat(place).st_mode):
        os.close(place)
        raise refused
    return os.fdopen(place, "wb")


def _files(folder: Path, number: int) -> tuple[Path, Path, Path]:
    return folder / f"vectors-{number}.f32", folder / f"rounded-{number}.u8", folder / f"steps-{number}.f32"


def _columns(rows: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
    rounded, kept = round_rows(rows)
    return tuple(
        np.ascontiguousarray(columns, dtype=kind)
        for columns, kind in ((rows, _FLOAT), (rounded, _BYTE), (kept, _FLOAT))
    )


def _mapped(path: Path, kind: DTypeLike, count: int, columns: int) -> NDArray[Any]:
    if count == 0:
        return np.zeros((0, columns), dtype=kind)
    there = path.stat().st_size // (np.dtype(kind).itemsize * columns)
    if there < count:
        raise ArtifactError(f"{path} is damaged: it holds {there:,} of {count:,} rows. Copy the whole index again.")
    return np.asarray(np.memmap(path, dtype=kind, mode="r", shape=(count, columns)))
