"""What an engine does, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dupdetect.clustering import Resolution
from dupdetect.encoder import Encoder
from dupdetect.search import SimilarPairs

__all__ = ["Engine"]


class Engine(Protocol):
    """Does the three parts of a deduplication that take long. For the same input every engine gives the same, to the
    bit, whatever the number of its workers.

    It is entered (`with engine:`) before it is asked for anything, and what it has started ends when it is left.
    """

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def encode(
        self, encoder: Encoder, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return what `encoder.encode` returns: (n, d) float32 unit rows. `progress` counts texts."""

    def join(
        self,
        embeddings: NDArray[np.float32],
        threshold: float,
        *,
        most: int | None = None,
        work: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> SimilarPairs:
        """Return what `search.similar_pairs` returns, and raise what it raises. `progress` counts pairs compared.

        work: a folder for what is finished. Another engine begins anew with the same folder.
        """

    def approximate_join(
        self,
        embeddings: NDArray[np.float32],
        threshold: float,
        *,
        most: int | None = None,
        work: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> SimilarPairs:
        """Return what `search.approximate_pairs` returns, and raise what it raises; else as `join`."""

    def resolve(self, n: int, pairs: SimilarPairs, priority: NDArray[np.int64]) -> Resolution:
        """Return what `clustering.resolve` returns: clusters, and which of their nodes stay."""

    def record(self) -> dict[str, Any]:
        """Return what run.json says about the engine; its `kind` is the name that it goes by."""
