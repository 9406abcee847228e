"""What runs in the processes of a cluster. Nothing here knows which cluster it is.

A worker has one encoder of its own, and as many threads as it was given cores. Before it does anything it makes sure
that it computes as the process does that sent the work: on a processor of another kind, or with another version of a
library, vectors could differ in their last bits, and with them the answer.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect._version import __version__
from dupdetect.cores import use_at_most
from dupdetect.encoder import Encoder
from dupdetect.encoder.load import load_encoder, save_encoder
from dupdetect.errors import ArtifactError, DupdetectError
from dupdetect.search import cosine
from dupdetect.search.between import Shard, pairs_between
from dupdetect.search.finished import Found
from dupdetect.search.integers import IntegerProducts

__all__ = ["EncodingWorker", "SentEncoder", "compare", "encoding_mark", "joining_mark"]

# Short and long ones: matrices of other sizes are multiplied in other ways.
_QUESTION = "how do i change the address of my account, and why was order 4711 sent to the old one"
_PROBE = ("a", "how do i pay", _QUESTION, " ".join([_QUESTION] * 10))


@dataclass(frozen=True, slots=True)
class SentEncoder:
    """An encoder on its way to other processes: its files, so that it is loaded there; itself where it has none.

    spec: see `encoder.load`.  files: content by name, folders with slashes.
    """

    spec: dict[str, Any]
    files: dict[str, bytes]
    itself: Encoder | None = None

    @classmethod
    def of(cls, encoder: Encoder) -> SentEncoder:
        """Take the files of an encoder of this package; one of the caller's own making is copied as Python copies."""
        with tempfile.TemporaryDirectory() as place:
            try:
                spec = save_encoder(encoder, Path(place))
            except ArtifactError:
                return cls({}, {}, encoder)
            paths = sorted(path for path in Path(place).rglob("*") if path.is_file())
            return cls(spec, {path.relative_to(place).as_posix(): path.read_bytes() for path in paths})

    def load(self) -> Encoder:
        """Return the encoder, ready to run with as many threads as `cores.usable_cores` says now."""
        if self.itself is not None:
            return self.itself
        with tempfile.TemporaryDirectory() as place:
            for name, content in self.files.items():
                path = Path(place) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            return load_encoder(self.spec, Path(place))


class EncodingWorker:
    """A process with an encoder."""

    def __init__(self, sent: SentEncoder, mark: str, cores: int) -> None:
        """Load the encoder.  mark: the `encoding_mark` that it must have.  cores: how many threads it may use."""
        use_at_most(cores)
        self._encoder = sent.load()
        self._like_asked = encoding_mark(self._encoder) == mark

    def ready(self) -> int:
        """Return the number of this process; raise DupdetectError where it computes otherwise."""
        if not self._like_asked:
            raise _other_machine("encodes")
        return os.getpid()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) float32, as `Encoder.encode` does."""
        return self._encoder.encode(texts)


def compare(first: Shard, second: Shard, threshold: float, mark: str) -> Found:
    """Return the pairs between two shards, see `pairs_between`; raise DupdetectError where this process computes
    otherwise.  mark: the `joining_mark` that it must have."""
    use_at_most(1)
    if joining_mark() != mark:
        raise _other_machine("compares")
    return pairs_between(first, second, threshold, _products())


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


@functools.cache
def _products() -> IntegerProducts:
    return IntegerProducts()


def _other_machine(does: str) -> DupdetectError:
    return DupdetectError(
        f"A worker of the cluster ({platform.node()}) {does} otherwise than this process: the same texts would be "
        "decided on otherwise there. Install the same versions everywhere (pip install -c constraints.txt), and use "
        "machines with processors of one kind."
    )
