"""What runs in the processes of a cluster. Nothing here knows which cluster it is.

A worker has one encoder of its own, and as many threads as it was given cores. Before it does anything it makes sure
that it computes as the process does that sent the work: on a processor of another kind, or with another version of a
library, vectors could differ in their last bits, and with them the answer.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect._version import __version__
from dupdetect.cores import use_at_most
from dupdetect.encoder import Encoder
from dupdetect.encoder.cache import uncached
from dupdetect.encoder.devices import device_of
from dupdetect.encoder.load import load_encoder, save_encoder
from dupdetect.encoder.static import StaticEncoder
from dupdetect.errors import ArtifactError, DupdetectError
from dupdetect.search import cosine
from dupdetect.search.between import Shard, pairs_between
from dupdetect.search.cells import CellShard, nearest_cells, pairs_that_meet
from dupdetect.search.finished import Found
from dupdetect.search.integers import IntegerProducts

__all__ = [
    "EncodingWorker",
    "SentEncoder",
    "cells",
    "compare",
    "compare_in_cells",
    "encoding_device",
    "encoding_mark",
    "joining_mark",
]

# Short and long ones: matrices of other sizes are multiplied in other ways.
_QUESTION = "how do i change the address of my account, and why was order 4711 sent to the old one"
_PROBE = ("a", "how do i pay", _QUESTION, " ".join([_QUESTION] * 10))


@dataclass(frozen=True, slots=True)
class SentEncoder:
    """An encoder on its way to other processes: its files, so that it is loaded there; itself where it has none.

    spec: see `encoder.load`.  files: content by name, folders with slashes.  device: see `encoding_device`.
    """

    spec: dict[str, Any]
    files: dict[str, bytes]
    itself: Encoder | None = None
    device: str = "cpu"

    @classmethod
    def of(cls, encoder: Encoder) -> SentEncoder:
        """Take the files of an encoder of this package; one of the caller's own making is copied as Python copies."""
        with tempfile.TemporaryDirectory() as place:
            try:
                spec = save_encoder(encoder, Path(place))
            except ArtifactError:
                return cls({}, {}, encoder)
            paths = sorted(path for path in Path(place).rglob("*") if path.is_file())
            files = {path.relative_to(place).as_posix(): path.read_bytes() for path in paths}
            return cls(spec, files, device=encoding_device(encoder))

    def load(self) -> Encoder:
        """Return the encoder, ready to run with as many threads as `cores.usable_cores` says now."""
        if self.itself is not None:
            return self.itself
        with tempfile.TemporaryDirectory() as place:
            for name, content in self.files.items():
                path = Path(place) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            return load_encoder(self.spec, Path(place), device=None if self.device == "cpu" else self.device)


class EncodingWorker:
    """A process with an encoder."""

    def __init__(self, sent: SentEncoder, mark: str, cores: int) -> None:
        """Load the encoder.  mark: the `encoding_mark` that it must have.  cores: how many threads it may use."""
        use_at_most(cores)
        self._trouble: Exception | None = None
        try:
            self._encoder = sent.load()
            if encoding_mark(self._encoder) != mark:
                self._trouble = _other_machine("encodes")
        except Exception as error:  # raised here, it would look as if the process had died
            self._trouble = error

    def ready(self) -> int:
        """Return the number of this process; raise what kept it from loading the encoder, and DupdetectError where it
        computes otherwise."""
        if self._trouble is not None:
            raise self._trouble
        return os.getpid()

    def encode(self, texts: Sequence[str], what: str) -> NDArray[np.float32]:
        """Return (n, d) float32, as `Encoder.encode` does.  what: this is, for the log."""
        with _logged(what):
            return self._encoder.encode(texts)


def compare(first: Shard, second: Shard, threshold: float, mark: str, what: str) -> Found:
    """Return the pairs between two shards, see `pairs_between`; raise DupdetectError where this process computes
    otherwise.  mark: the `joining_mark` that it must have.  what: this is, for the log."""
    with _like(mark, what):
        return pairs_between(first, second, threshold, _products())


def compare_in_cells(first: CellShard, second: CellShard, threshold: float, mark: str, what: str) -> Found:
    """Return the pairs between two shards, see `pairs_that_meet`; else as `compare`."""
    with _like(mark, what):
        return pairs_that_meet(first, second, threshold)


def cells(rows: NDArray[np.float32], middles: NDArray[np.float32], most: int, what: str) -> NDArray[np.int32]:
    """Return what `nearest_cells` returns, which is the same on any machine.  what: this is, for the log."""
    use_at_most(1)
    with _logged(what):
        return nearest_cells(rows, middles, most)


def encoding_device(encoder: Encoder) -> str:
    """Return where it encodes, see `encoder.devices.device_of`; static vectors are added up by the processor anyway."""
    own = uncached(encoder)
    return "cpu" if isinstance(own, StaticEncoder) else device_of(own)


def encoding_mark(encoder: Encoder) -> str:
    """Return a word that is another one where this encoder gives other vectors for some fixed texts."""
    digest = hashlib.sha256(f"{__version__} {encoder.fingerprint} {encoder.dimension}".encode())
    digest.update(np.ascontiguousarray(encoder.encode(list(_PROBE)), dtype=np.float32).data)
    return digest.hexdigest()


@functools.cache
def joining_mark() -> str:
    """Return a word that is another one where `cosine` rounds otherwise."""
    rows = np.random.default_rng(0).integers(-1000, 1000, (512, 384)).astype(np.float32)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)[:, None]
    digest = hashlib.sha256(__version__.encode())
    digest.update(cosine(rows[:256], rows[256:]).data)
    return digest.hexdigest()


@contextmanager
def _like(mark: str, what: str) -> Iterator[None]:
    use_at_most(1)
    if joining_mark() != mark:
        raise _other_machine("compares")
    with _logged(what):
        yield


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Write a line to this process's log when it begins, and one when it has finished."""
    begun = time.perf_counter()
    _log().info("%s", what)
    yield
    _log().info("%s: done in %.1f s", what, time.perf_counter() - begun)


@functools.cache
def _log() -> logging.Logger:
    """Return a log on standard error, which a cluster keeps for each of its processes."""
    log = logging.getLogger("dupdetect.worker")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s dupdetect %(process)d: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    return log


@functools.cache
def _products() -> IntegerProducts:
    return IntegerProducts()


def _other_machine(does: str) -> DupdetectError:
    return DupdetectError(
        f"A worker of the cluster ({platform.node()}) {does} otherwise than this process: the same texts would be "
        "decided on otherwise there. Install the same versions everywhere (pip install -c constraints.txt), and use "
        "machines with processors of one kind."
    )
