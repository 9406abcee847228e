"""All partners of some rows: what a sample of rows says about a join is measured against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dupdetect.search.blocks import cosine, float32_error, of_pairs

__all__ = ["partners"]

_COLUMNS_AT_A_TIME = 4096


def partners(
    embeddings: NDArray[np.float32],
    sample: NDArray[np.int64],
    group: slice,
    threshold: float,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (places in `sample`, row numbers) of all pairs of a sampled row and another row at or above `threshold`.

    embeddings: (n, d) float32 unit rows.  sample: (s,) numbers of rows in `group`, each once.  The pairs are those of
    the exact join; one of two sampled rows comes twice. `progress` is called with numbers that sum to the group's rows.
    """
    cut = np.float32(threshold - float32_error(embeddings.shape[1]))
    asked = embeddings[sample]
    for start in range(group.start, group.stop, _COLUMNS_AT_A_TIME):
        others = embeddings[start : min(start + _COLUMNS_AT_A_TIME, group.stop)]
        i, j = np.divmod(np.flatnonzero(asked @ others.T >= cut), len(others))
        similar = of_pairs(cosine, asked, i, others, j).astype(np.float64) >= threshold
        similar &= sample[i] != start + j
        yield i[similar], start + j[similar]
        if progress:
            progress(len(others))
