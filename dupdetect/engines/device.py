"""All in this process, with texts compared on a graphics card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.engines.local import LocalEngine
from dupdetect.search import SimilarPairs, similar_pairs
from dupdetect.search.on_device import similar_pairs_on

__all__ = ["DeviceEngine"]

_FEW_ROWS = 4096  # compared by the processor before a card has them


class DeviceEngine(LocalEngine):
    """See `engine.Engine` for what its methods return. What encodes is the encoder, wherever it is.

    device: of torch, such as "cuda". Where there are too many pairs to list (`dupdetect.crowded`), the processor
    compares.
    """

    def __init__(self, device: str) -> None:
        self._device = device

    def join(
        self,
        embeddings: NDArray[np.float32],
        threshold: float,
        *,
        most: int | None = None,
        work: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> SimilarPairs:
        if len(embeddings) <= _FEW_ROWS:
            return similar_pairs(embeddings, threshold, most=most, work=work, progress=progress)
        return similar_pairs_on(self._device, embeddings, threshold, most=most, work=work, progress=progress)

    def record(self) -> dict[str, Any]:
        return {**super().record(), "device": self._device}
