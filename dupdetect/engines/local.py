"""All in this process, by all cores that it may use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.clustering import Resolution, resolve
from dupdetect.encoder import Encoder
from dupdetect.search import SimilarPairs, approximate_pairs, similar_pairs

__all__ = ["LocalEngine"]


class LocalEngine:
    """See `engine.Engine` for what its methods return."""

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def encode(
        self, encoder: Encoder, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        return encoder.encode(texts, progress=progress)

    def join(
        self,
        embeddings: NDArray[np.float32],
        threshold: float,
        *,
        most: int | None = None,
        work: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> SimilarPairs:
        return similar_pairs(embeddings, threshold, most=most, work=work, progress=progress)

    def approximate_join(
        self,
        embeddings: NDArray[np.float32],
        threshold: float,
        *,
        most: int | None = None,
        work: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> SimilarPairs:
        return approximate_pairs(embeddings, threshold, most=most, work=work, progress=progress)

    def resolve(self, n: int, pairs: SimilarPairs, priority: NDArray[np.int64]) -> Resolution:
        return resolve(n, pairs, priority)

    def record(self) -> dict[str, Any]:
        return {"kind": "local"}
