"""Pairs of finished blocks of rows, kept in a folder, so that a join of hours goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dupdetect._version import __version__
from dupdetect.atomic import atomic_file
from dupdetect.errors import InputError

__all__ = ["FinishedBlocks", "Found"]

Found = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]
"""left, right and similarity of pairs."""

_PAIR = np.dtype([("left", "<i4"), ("right", "<i4"), ("similarity", "<f4")])


class FinishedBlocks:
    """The pairs of each block of rows with all rows from it on, one file a block.

    The folder is made where it is not there. The name of a file tells which join it belongs to (the vectors, the
    threshold, the size of blocks and the version), so that several joins may share a folder; nothing is deleted.
    """

    def __init__(self, folder: Path, embeddings: NDArray[np.float32], threshold: float, block_rows: int) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        what = json.dumps([__version__, list(embeddings.shape), threshold, block_rows])
        digest = hashlib.sha256(what.encode())
        digest.update(np.ascontiguousarray(embeddings).data)
        self._join = digest.hexdigest()[:16]

    def __contains__(self, start: int) -> bool:
        return self._file(start).exists()

    def __getitem__(self, start: int) -> Found:
        path = self._file(start)
        try:
            pairs = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            pairs = None
        if pairs is None or pairs.dtype != _PAIR or pairs.ndim != 1:
            raise InputError(f"{path} is damaged. Delete it, and its block is compared again.")
        left, right, similarity = (np.ascontiguousarray(pairs[column]) for column in _PAIR.names or ())
        return left, right, similarity

    def __setitem__(self, start: int, found: Found) -> None:
        pairs = np.empty(len(found[0]), dtype=_PAIR)
        pairs["left"], pairs["right"], pairs["similarity"] = found
        with atomic_file(self._file(start), overwrite=True) as path, path.open("wb") as file:
            np.save(file, pairs)

    def _file(self, start: int) -> Path:
        return self._folder / f"{self._join}-{start}.npy"
