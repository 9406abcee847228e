"""The bytes of a file, unpacked, and a plain word on those that are no table."""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import sys
import zlib
from pathlib import Path, PurePath
from typing import BinaryIO

from dupdetect.errors import InputError
from dupdetect.remote import is_url, shown
from dupdetect.tables.limits import check_read, check_unpacked, most_bytes
from dupdetect.text import without_halves

_PIECE = 1 << 24

PARQUET = b"PAR1"
"""How a Parquet file begins."""
ZIP = b"PK\x03\x04"
"""How a zip archive begins, and so an Excel workbook."""


def load(path: str | Path) -> tuple[str, str, bytes]:
    """Return the name for messages, the last suffix in lower case, and the bytes."""
    if str(path) == "-":
        return "standard input", "", _standard_input()
    if not str(path):
        raise InputError("The name of the file is empty. Name a file, or - for standard input.")
    name = without_halves(str(path))
    try:
        mode = Path(path).stat().st_mode  # before it is opened: opening a device can set it going
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{name} is a device or a socket, not a file. Name a file, or - for standard input.")
        with Path(path).open("rb") as file:
            return name, PurePath(path).suffix.lower(), _all_bytes(file, name)
    except InputError:
        raise
    except FileNotFoundError:
        if is_url(str(path)):
            raise InputError(f"{shown(str(path))} is not on this machine, and must be here. Copy it.") from None
        raise InputError(f"There is no file {name}. Check the name, and the folder it is looked for in.") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder. Name one file in it.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{name} cannot be read: {reason}. Check the name and its permissions.") from error


def _standard_input() -> bytes:
    if sys.stdin is None:  # closed before the program began
        raise InputError("There is no standard input to read. Name a file, or send one in with <.")
    try:
        return _all_bytes(sys.stdin.buffer, "Standard input")
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"Standard input cannot be read: {reason}. Name a file, or send one in with <.") from error


def _all_bytes(file: BinaryIO, name: str) -> bytes:
    """Read piece by piece: one read of an endless stream would let neither a limit nor Ctrl-C through."""
    try:
        shown = os.fstat(file.fileno()).st_size
    except io.UnsupportedOperation:  # a stream that no file is behind
        shown = 0
    most = most_bytes(shown)
    content = io.BytesIO()
    while piece := file.read(_PIECE):
        content.write(piece)
        check_read(name, content.tell(), most)
    if piece is None:  # opened not to wait: what comes later would be lost
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return content.getvalue()


def unpack(raw: bytes, name: str, *, gzipped: bool) -> bytes:
    if not raw.startswith(b"\x1f\x8b"):
        if gzipped and raw:
            raise InputError(f"{name} is not gzip, although its name says so. Rename it, or compress it.")
        return raw
    content = io.BytesIO()
    try:
        with gzip.open(io.BytesIO(raw)) as file:
            while piece := file.read(_PIECE):
                content.write(piece)
                check_unpacked(name, content.tell())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} is damaged or cut off ({error}). Export or copy it again.") from error
    return content.getvalue()


def refuse_options(name: str, format_name: str, **options: str | None) -> None:
    for option, value in options.items():
        if value is not None:
            raise InputError(f"{name} is {format_name}, which has no {option}. Leave {option}=... away.")


def refuse_old_workbook(content: bytes, name: str) -> None:
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(
            f"{name} is an Excel workbook of the old kind (.xls), or one with a password. Save it as .xlsx without a "
            "password, or save the sheet as 'CSV UTF-8'."
        )


def refuse_other_formats(content: bytes, name: str) -> None:
    """Stop what would otherwise be read as one column of noise."""
    if content.startswith(ZIP):
        raise InputError(
            f"{name} is an Excel workbook or a zip archive. Give a workbook a name that ends in .xlsx, and unpack an "
            "archive."
        )
    if content.startswith((b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00")):
        raise InputError(f"{name} is packed with zstd or xz, which is not read. Unpack it, or pack it with gzip.")
    if content.startswith((b"%PDF-", b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8")):
        kind = "a PDF" if content.startswith(b"%PDF-") else "a picture"
        raise InputError(f"{name} is {kind}, not a table. Export the questions as CSV.")
    if content.startswith(PARQUET):
        raise InputError(f"{name} is Parquet. Give it a name that ends in .parquet.")
