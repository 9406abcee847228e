"""The approximate join, for sets so large that the exact one takes hours.

The rows are sorted into cells by k-means, and each row is compared with those of the few cells nearest to it (`cells`).
A pair is missed only if neither row's nearest cells hold the other one. Within the cells there is no limit to the
number of pairs, and what is found has the very similarity of the exact join. `certificate` measures how much is missed.

What is compared is a matrix product for each cell, of all its rows with all that visit it: no graph of neighbours, as
its k nearest cut off large clusters, and no index that is asked row by row, as that takes longer.

The same rows in the same order give the same pairs, whatever the shards, threads or workers. Another order of the rows
can give other cells, so callers sort them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dupdetect.cores import usable_cores
from dupdetect.search.between import compared_between
from dupdetect.search.cells import (
    by_home,
    cell_shards,
    finished_cells,
    finished_pairs,
    in_rows,
    middles_of,
    nearest_cells,
    pairs_that_meet,
    visits,
)
from dupdetect.search.exact import SimilarPairs, TooManyPairsError, rows_to_join, similar_pairs
from dupdetect.search.finished import FinishedBlocks, Found

__all__ = ["approximate_pairs", "uses_index"]

_FEW_ROWS = 2048  # up to so many are compared exactly, which takes no time
_SHARDS, _SMALLEST, _LARGEST = 16, 1024, 65_536  # and their rows
_ROWS_AT_A_TIME = 8192


def uses_index(rows: int) -> bool:
    """Tell whether of so many rows some pairs are not compared. Fewer are compared exactly."""
    return rows > _FEW_ROWS


def approximate_pairs(
    embeddings: NDArray[np.float32],
    threshold: float,
    *,
    most: int | None = None,
    work: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> SimilarPairs:
    """Return most pairs of rows whose cosine similarity is at or above `threshold`, each once, and no others.

    embeddings: (n, d) float32, rows of length 1.  threshold: in [-1, 1].
    All pairs where `uses_index` is false for n. Beyond the result, memory is 4 n d bytes, and 4 n for each cell that
    a row visits. `progress` is called with numbers that sum to n (n - 1) / 2, as that of `similar_pairs`.

    work: a folder for what is finished; see `similar_pairs`.

    Raises InputError when rows are not unit vectors, or the threshold is outside [-1, 1]; MissingExtraError;
    TooManyPairsError as soon as there are more than `most` pairs, where that is given.
    """
    if not uses_index(len(embeddings)):
        return similar_pairs(embeddings, threshold, most=most, work=work, progress=progress)
    n = len(embeddings)
    rows = min(_LARGEST, max(_SMALLEST, -(-n // _SHARDS)))
    embeddings, threshold = rows_to_join(embeddings, threshold, rows)

    def find() -> NDArray[np.int32]:
        middles = middles_of(embeddings)
        return _nearest(embeddings, middles, visits(embeddings, middles, threshold))

    cells = finished_cells(work, embeddings, threshold, find)
    order = by_home(cells)
    shards = list(cell_shards(embeddings, cells, order, rows))
    finished: dict[int, Found] | FinishedBlocks = {}
    if work is not None:
        finished = finished_pairs(work, embeddings, threshold, cells, rows)
    numbers = range(len(shards) * (len(shards) + 1) // 2)
    count = 0
    for number, (first, second) in zip(numbers, combinations_with_replacement(shards, 2), strict=True):
        if number not in finished:
            # One after the other: with several at once the threads of their small products wait for each other.
            finished[number] = pairs_that_meet(first, second, threshold)
        count += len(finished[number][0])
        if most is not None and count > most:
            raise TooManyPairsError
        if progress:
            progress(compared_between(len(first.rows), None if first is second else len(second.rows)))
    return SimilarPairs(*in_rows(order, [finished[number] for number in numbers]))


def _nearest(rows: NDArray[np.float32], middles: NDArray[np.float32], most: int) -> NDArray[np.int32]:
    """Return what `nearest_cells` returns, by all cores."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        parts = [rows[start : start + _ROWS_AT_A_TIME] for start in range(0, len(rows), _ROWS_AT_A_TIME)]
        none = np.empty((0, most), dtype=np.int32)
        return np.concatenate([none, *pool.map(lambda part: nearest_cells(part, middles, most), parts)])
