"""Vectors kept in a file, so that tonight's run encodes only the texts that last night's did not have.

`CachedEncoder` wraps an encoder. The file is one SQLite database; it maps keys to float32 rows, to the bit as the
encoder gave them. A key is a hash of the text and of all that its row depends on, so that a run with the file gives the
same answer as one without:

- the fingerprint and the dimension of the encoder: several encoders may share one file;
- the versions of dupdetect and of the libraries that compute: another onnxruntime rounds otherwise, and another version
  of tokenizers may take a text apart otherwise;
- the processor and its instruction sets, by which these libraries choose how they compute;
- the rows of four fixed texts, encoded when the encoder is wrapped: they show what has no name above, such as a
  graphics card, the number of threads, or the libraries of an encoder of the caller's own.

When one of these changes, all is encoded anew. Old rows stay: to get rid of them, delete the file. A cache promises no
more than its encoder: where rows differ in the last digits with the texts beside them (`TransformerEncoder`), they do
so here, and an encoder that never gives the same rows for the four texts finds nothing.

The file holds no text. But whoever has a list of texts can look up which of them are in it, and a vector tells what its
text is about: keep the file as you keep the export.

Any number of processes may use a file at once, and each may be killed at any moment: what was added before is there. (A
killed one may leave a file whose name ends in `-journal`; the next run needs it, and removes it.) Whatever is wrong
with the file when it is opened or read is an ArtifactError, before anything is encoded. What goes wrong when rows are
added, as on a full disk, costs no result: nothing more is added, and `CachedEncoder.use` says why.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect import sqlite
from dupdetect._version import __version__
from dupdetect.encoder import Encoder, LimitedVocabulary, Progress
from dupdetect.errors import ArtifactError, InputError

__all__ = ["CacheUse", "CachedEncoder", "cached_texts", "uncached"]

FORMAT = 1
_APPLICATION = 0x64757076  # at a fixed place in the file: tells it from other SQLite databases
_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum BLOB NOT NULL)"
_TEXTS_PER_PORTION = 1024  # read, or encoded and added, at a time: some seconds of work
_PATIENCE = 30.0  # seconds to wait for another process, which holds the file for milliseconds
_UNIT_TOLERANCE = 1e-3

# Short and long ones: matrices of other sizes are multiplied in other ways.
_QUESTION = "how do i change the e-mail address of my account, and why was order 4711 sent to the old one"
_PROBE = ("a", "how do i pay", _QUESTION, " ".join([_QUESTION] * 20))
_LIBRARIES = ("numpy", "onnxruntime", "sentence-transformers", "tokenizers", "torch", "transformers")
_PROCESSOR_LINES = frozenset(
    {
        *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),  # x86
        *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),  # ARM
    }
)


class CacheUse(threading.local):
    """What a `CachedEncoder` did since it was made; each thread counts for itself.

    cached: texts whose rows were in the file.  encoded: all others.  added: those of them that are in the file now.
    problem: why these are not all; "" if they are.
    """

    cached = 0
    encoded = 0
    added = 0
    problem = ""


class CachedEncoder:
    """The encoder that it wraps, except that it encodes only texts whose rows are not in the file `path`.

    The file is made if it is not there. New rows are added portion by portion while the others are encoded.
    portion: how many texts the encoder is asked for at a time, 1,024 by default.

    Raises ArtifactError for a file that is no cache, damaged, of a newer format, locked for long, or cannot be made.
    """

    def __init__(self, encoder: Encoder, path: str | Path, *, portion: int | None = None) -> None:
        self.encoder = encoder
        self.path = Path(path)
        self._portion = portion or _TEXTS_PER_PORTION
        self.use = CacheUse()
        if isinstance(encoder, LimitedVocabulary):  # whether there is this method says something, so not for all
            self.unknown_words = encoder.unknown_words
        with closing(_VectorFile(self.path)):  # says now what is wrong with it
            self._context = _context(encoder)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or send elsewhere without the counts, and without what holds for this machine only."""
        return CachedEncoder, (self.encoder, self.path)

    @property
    def fingerprint(self) -> str:
        """That of the encoder: where a row comes from changes no decision."""
        return self.encoder.fingerprint

    @property
    def dimension(self) -> int:
        """The number of columns that `encode` returns."""
        return self.encoder.dimension

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n, dimension) float32 with rows of length 1, row i for `texts[i]`; `progress` counts all of them.

        Raises ArtifactError for a file that cannot be read, InputError for rows of the encoder that are no unit rows.
        """
        if isinstance(texts, str):
            raise TypeError("texts must be a sequence of strings, not one string: write encode([text])")
        keys = [hashlib.sha256(self._context + text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        embeddings = np.empty((len(texts), self.dimension), dtype=np.float32)
        missing: list[int] = []
        with closing(_VectorFile(self.path)) as file:
            for part in _portions(range(len(texts)), _TEXTS_PER_PORTION):
                found = file.read([keys[row] for row in part], self.dimension)
                for row, vector in zip(part, found, strict=True):
                    if vector is None:
                        missing.append(row)
                    else:
                        embeddings[row] = vector
                there = sum(vector is not None for vector in found)
                self.use.cached += there
                if progress is not None:
                    progress(there)
            adding = True
            for part in _portions(missing, self._portion):
                embeddings[part] = self._encoded([texts[row] for row in part], progress)
                self.use.encoded += len(part)
                if adding:
                    adding = self._add(file, [(keys[row], embeddings[row]) for row in part])
        return embeddings

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which texts are longer than the encoder reads."""
        return self.encoder.truncated(texts)

    def summary(self) -> str:
        """Say in a sentence how many texts were encoded, and how many were in the file."""
        use = self.use
        there = f"Texts from the cache {self.path}: {use.cached:,} of {use.cached + use.encoded:,}."
        if not use.problem:
            return f"{there} Encoded and added to it: {use.encoded:,}."
        return (
            f"{there} Encoded: {use.encoded:,}, of which {use.added:,} could be added to it ({use.problem}); "
            "the next run encodes the others again."
        )

    def _encoded(self, texts: list[str], progress: Progress | None) -> NDArray[np.float32]:
        rows = np.ascontiguousarray(self.encoder.encode(texts, progress=progress), dtype=np.float32)
        wanted = (len(texts), self.dimension)
        if rows.shape != wanted or not (np.abs(np.linalg.norm(rows, axis=1) - 1.0) <= _UNIT_TOLERANCE).all():
            raise InputError(
                f"The encoder gave vectors of shape {rows.shape}; to be cached, they must have the shape {wanted} and "
                "be of length 1. Correct its encode or its dimension."
            )
        return rows

    def _add(self, file: _VectorFile, rows: list[tuple[bytes, NDArray[np.float32]]]) -> bool:
        try:
            file.add(rows)
        except sqlite.TROUBLE as error:  # not worth the result of the rows that are here
            self.use.problem = str(error)
            return False
        self.use.added += len(rows)
        return True


def uncached(encoder: Encoder) -> Encoder:
    """Return the encoder itself, without the cache that it may be wrapped in."""
    return encoder.encoder if isinstance(encoder, CachedEncoder) else encoder


def cached_texts(encoder: Encoder) -> int:
    """Return how many texts this thread has taken from the encoder's cache so far: 0 where there is none."""
    return encoder.use.cached if isinstance(encoder, CachedEncoder) else 0


class _VectorFile:
    """An open cache file: 32-byte keys, each with a float32 row and a checksum of both."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _explained(path):
            # Absolute, since SQLite takes some names for no file at all.
            self._file = sqlite3.connect(path.absolute(), timeout=_PATIENCE, isolation_level=None)
            self._file.text_factory = bytes  # a damaged file may call a row a text
            try:
                sqlite.prepare(self._file, _APPLICATION, FORMAT, _TABLE, f"The cache {path}", _no_cache(path))
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        self._file.close()

    def read(self, keys: Iterable[bytes], dimension: int) -> list[NDArray[np.float32] | None]:
        """Return for each key its (dimension,) row, None where there is none; ArtifactError for a damaged one."""
        query = "SELECT vector, checksum FROM vectors WHERE key = ?"
        with _explained(self._path), self._file:
            self._file.execute("BEGIN")
            found = [(key, self._file.execute(query, (key,)).fetchone()) for key in keys]
        return [None if entry is None else self._row(key, dimension, *entry) for key, entry in found]

    def add(self, rows: Iterable[tuple[bytes, NDArray[np.float32]]]) -> None:
        """Add keys and rows, all or none; those of keys that another process has added stay as they are."""
        entries = ((key, row.tobytes()) for key, row in rows)
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany(
                "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)",
                ((key, vector, _checksum(key, vector)) for key, vector in entries),
            )

    def _row(self, key: bytes, dimension: int, vector: object, checksum: object) -> NDArray[np.float32]:
        if not isinstance(vector, bytes) or len(vector) != 4 * dimension or checksum != _checksum(key, vector):
            raise ArtifactError(f"The cache {self._path} is damaged. Delete it; the next run makes it anew.")
        return np.frombuffer(vector, dtype=np.float32)


def _portions(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _checksum(key: bytes, vector: bytes) -> bytes:
    return hashlib.sha256(key + vector).digest()


def _explained(path: Path) -> AbstractContextManager[None]:
    """Raise what goes wrong while a file is opened or read as an ArtifactError that says what to do next."""
    return sqlite.explained(
        f"The cache {path}",
        _no_cache(path),
        {
            sqlite3.SQLITE_CANTOPEN: "cannot be opened or made. Name a file, in a folder that is there and can be "
            "written to.",
            sqlite3.SQLITE_BUSY: f"has been locked for {_PATIENCE:.0f} s by another process. Wait for that, or name "
            "another file.",
        },
        otherwise="Name another file, or leave the cache out.",
        error_class=ArtifactError,
    )


def _no_cache(path: Path) -> ArtifactError:
    return ArtifactError(
        f"{path} is no cache of vectors, or a damaged one. Name another file; if it was a cache, delete it, and the "
        "next run makes it anew."
    )


def _context(encoder: Encoder) -> bytes:
    """Return 32 bytes that are others when any row of the encoder could be another; see the top of this module."""
    named = [encoder.fingerprint, int(encoder.dimension), __version__, _versions(), platform.machine(), _processor()]
    probe = np.ascontiguousarray(encoder.encode(list(_PROBE)), dtype=np.float32)
    return hashlib.sha256(json.dumps(named).encode() + probe.tobytes()).digest()


@cache
def _versions() -> dict[str, str]:
    """Return the versions of the libraries that this process computes with; they stay while it runs."""
    versions = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


@cache
def _processor() -> str:
    """Return what the system says about the processor; Linux names its instruction sets too."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.partition(":")[0].strip() in _PROCESSOR_LINES}))
