"""The approximate join, for sets so large that the exact one takes hours: an index proposes, the exact cosine decides.

The rows are sorted into cells by k-means, and each row is compared with those of the few cells nearest to it (an
inverted file; Jégou, Douze and Schmid 2011, "Product Quantization for Nearest Neighbor Search"). A pair is missed only
if neither row's nearest cells hold the other one. Within the cells there is no limit to the number of pairs, and what
is found has the very similarity of the exact join. `certificate` measures how much is missed.

The library is faiss. Its inverted file can be asked for everything above a threshold, where graphs of neighbours (HNSW,
of faiss and of usearch) give the k nearest, which cuts off large clusters; and for 12,000 questions it took less than
half of their time.

The same rows in the same order give the same pairs: k-means is seeded, and each row is looked up by itself. One thread
and several gave the same where it was tried, but faiss does not promise it, and another processor can round the cells
otherwise. Another order of the rows can give other cells, so callers sort them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError, MissingExtraError
from dupdetect.search.blocks import cosine, float32_error, of_pairs
from dupdetect.search.exact import (
    SimilarPairs,
    TooManyPairsError,
    similar_pairs,
    unit_rows,
)

__all__ = ["approximate_pairs", "index_library", "uses_index"]

_FEW_ROWS = 2048  # up to so many are compared exactly, which takes no time
_CELLS = 4  # times the square root of the number of rows, as the authors of faiss advise
_PROBED = 16  # cells that each row is compared with
_ROUNDS, _ROWS_PER_CELL, _SEED = 5, 32, 0  # of k-means
_ROWS_AT_A_TIME = 1024


def index_library() -> str:
    """Return the name and version of the library; raise MissingExtraError where it is not installed."""
    return f"faiss {_faiss().__version__}"


def uses_index(rows: int) -> bool:
    """Tell whether so many rows are searched by an index. Fewer are compared exactly."""
    return rows > _FEW_ROWS


def approximate_pairs(
    embeddings: NDArray[np.float32],
    threshold: float,
    *,
    most: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> SimilarPairs:
    """Return most pairs of rows whose cosine similarity is at or above `threshold`, each once, and no others.

    embeddings: (n, d) float32, rows of length 1.  threshold: in [-1, 1].
    All pairs where `uses_index` is false for n. Beyond the result, memory is 4 n d bytes for the index and about 40
    bytes a pair. `progress` is called with numbers that sum to n (n - 1) / 2, as that of `similar_pairs`.

    Raises InputError when rows are not unit vectors, or the threshold is outside [-1, 1]; MissingExtraError;
    TooManyPairsError as soon as there are more than `most` pairs, where that is given.
    """
    if not uses_index(len(embeddings)):
        return similar_pairs(embeddings, threshold, most=most, progress=progress)
    embeddings = unit_rows(embeddings, "embeddings")
    if not -1.0 <= threshold <= 1.0:
        raise InputError(f"A cosine threshold lies in [-1, 1], not {threshold}.")
    # Above it, whatever the rounding of a product of float32 values; the index leaves out what equals it.
    above = np.nextafter(np.float32(threshold - float32_error(embeddings.shape[1])), np.float32(-2))
    left, right = np.divmod(_candidates(embeddings, float(above), most, progress), len(embeddings))
    similarity = of_pairs(cosine, embeddings, left, embeddings, right)
    keep = similarity.astype(np.float64) >= threshold
    if most is not None and np.count_nonzero(keep) > most:
        raise TooManyPairsError
    return SimilarPairs(left[keep].astype(np.int32), right[keep].astype(np.int32), similarity[keep])


def _candidates(
    rows: NDArray[np.float32], above: float, most: int | None, progress: Callable[[int], None] | None
) -> NDArray[np.int64]:
    """Return the places i * n + j, i < j, rising, of the pairs that the index finds above a product of `above`."""
    n = len(rows)
    index = _index_of(rows)
    places, count = [], 0
    for start in range(0, n, _ROWS_AT_A_TIME):
        stop = min(start + _ROWS_AT_A_TIME, n)
        ends, _, found = index.range_search(rows[start:stop], above)
        asked = np.repeat(np.arange(start, stop), np.diff(ends.astype(np.int64)))
        others = found != asked
        asked, found = asked[others], found[others]
        places.append(np.unique(np.minimum(asked, found) * n + np.maximum(asked, found)))
        count += len(places[-1])
        if most is not None and count > 2 * most:  # a pair is found from either side, or from one
            raise TooManyPairsError
        if progress:
            progress((stop * (stop - 1) - start * (start - 1)) // 2)
    return np.unique(np.concatenate(places))


def _index_of(rows: NDArray[np.float32]) -> Any:
    faiss = _faiss()
    cells = min(_CELLS * math.isqrt(len(rows)), len(rows))
    index = faiss.index_factory(rows.shape[1], f"IVF{cells},Flat", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = _PROBED
    index.cp.niter, index.cp.seed = _ROUNDS, _SEED
    # With a minimum of its own k-means warns on standard output.
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _ROWS_PER_CELL
    index.train(rows)
    index.add(rows)
    return index


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingExtraError("ann", "The approximate search", "faiss-cpu") from None
    return faiss
