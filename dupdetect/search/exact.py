"""The exact join of a set with itself, and the nearest rows of another set; `blocks` says what makes them exact."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dupdetect.cores import usable_cores
from dupdetect.errors import InputError
from dupdetect.search.blocks import (
    UNIT_TOLERANCE,
    Block,
    cosine,
    float32_error,
    joined,
    of_pairs,
    pairs_of_blocks,
    sorted_pairs,
)
from dupdetect.search.finished import FinishedBlocks, Found
from dupdetect.search.integers import IntegerProducts
from dupdetect.search.shorter import shorter_rows

__all__ = [
    "Neighbours",
    "SimilarPairs",
    "TooManyPairsError",
    "nearest",
    "rows_to_join",
    "similar_pairs",
    "unit_rows",
]

# Below it, starting the integer products takes longer than it saves.
_FEW_ROWS = 2048
_STRIP = 4  # blocks; of more, near-copies of one text would have too many pairs to be held at a time
_QUERIES = 1024  # whose nearest rows are looked for at a time, at most
_AHEAD = 1  # strips per thread that are computed before they are asked for


class TooManyPairsError(Exception):
    """There are more pairs than the caller has room for."""


@dataclass(frozen=True, slots=True, eq=False)
class SimilarPairs:
    """Pairs of rows and their cosine similarity, sorted by (left, right); left < right.

    left, right: (m,) int32 row numbers; similarity: (m,) float32 in [-1, 1].
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    similarity: NDArray[np.float32]

    def __post_init__(self) -> None:
        for column in (self.left, self.right, self.similarity):
            column.setflags(write=False)

    def __len__(self) -> int:
        return len(self.left)

    def where(self, rows: NDArray[np.bool_]) -> SimilarPairs:
        """Return some of the pairs: those at which `rows`, (m,) bool, is True."""
        return SimilarPairs(self.left[rows], self.right[rows], self.similarity[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """For each query the k closest rows, closest first; equal similarities in row order.

    rows: (q, k) int64; similarity: (q, k) float32 in [-1, 1].
    """

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def __post_init__(self) -> None:
        for column in (self.rows, self.similarity):
            column.setflags(write=False)


def unit_rows(matrix: NDArray[np.float32], name: str, *, rows: int | None = None) -> NDArray[np.float32]:
    """Return `matrix` as contiguous float32 if it has two dimensions, rows of length 1, and `rows` of them (if given).

    Raises InputError that says what is wrong with `name` otherwise.
    """
    matrix = np.ascontiguousarray(matrix, dtype=np.float32)
    if matrix.ndim != 2:
        raise InputError(f"{name} must have two dimensions (rows, columns), not {matrix.ndim}.")
    if rows is not None and len(matrix) != rows:
        raise InputError(f"{name}: there are {len(matrix)} rows for {rows} texts.")
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    wrong = np.flatnonzero(~(np.abs(norms - 1.0) <= UNIT_TOLERANCE))
    if len(wrong):
        raise InputError(
            f"{name}: row {wrong[0]} has length {norms[wrong[0]]:.4g}, not 1 ({len(wrong)} such rows). "
            "Divide each row by its length."
        )
    return matrix


def rows_to_join(
    embeddings: NDArray[np.float32], threshold: float, block_rows: int
) -> tuple[NDArray[np.float32], float]:
    """Return the rows as `unit_rows` does, and the threshold as Python's own float: a short one of numpy would swallow
    the margins of error. Raises InputError where no join can be made of these arguments."""
    embeddings = unit_rows(embeddings, "embeddings")
    if not -1.0 <= threshold <= 1.0:
        raise InputError(f"A cosine threshold lies in [-1, 1], not {threshold}.")
    if block_rows < 1:
        raise InputError(f"block_rows must be at least 1, not {block_rows}.")
    return embeddings, float(threshold)


def similar_pairs(
    embeddings: NDArray[np.float32],
    threshold: float,
    *,
    block_rows: int = 1024,
    most: int | None = None,
    work: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> SimilarPairs:
    """Return every pair of rows whose cosine similarity is at or above `threshold`, each once.

    embeddings: (n, d) float32, rows of length 1, as `blocks.UNIT_TOLERANCE` takes it: what they lack of it, the cosine
    does, so that equal rows may have 0.9999999.  threshold: in [-1, 1].
    A pair takes 24 bytes until the end, of which the result keeps 12. Beyond that, memory is at most 6 n d bytes at the
    start and 2 n d later, some copies of 20,000 rows, and for each thread two blocks of block_rows x block_rows numbers
    of 4 bytes; where nearly all pairs are similar, also the pairs of twelve blocks. `progress` is called with the
    number of pairs compared since its last call; they sum to n (n - 1) / 2.

    work: a folder for the pairs of finished blocks of rows; a later call with the same rows and the same folder takes
    them from there. It is the caller's to delete.

    Raises InputError when rows are not unit vectors, or the threshold is outside [-1, 1]; TooManyPairsError as soon as
    there are more than `most` pairs, where that is given.
    """
    embeddings, threshold = rows_to_join(embeddings, threshold, block_rows)
    n = len(embeddings)
    join = _Join(embeddings, threshold, block_rows)
    finished: dict[int, Found] | FinishedBlocks = {}
    if work is not None:
        finished = FinishedBlocks(work, embeddings, threshold, block_rows)
    starts = range(0, n, block_rows)
    left = [start for start in starts if start not in finished]
    done = n * (n - 1) // 2 - sum(map(join.compared, join.strips(left)))
    if progress and done:
        progress(done)
    count = sum(len(finished[start][0]) for start in starts if start in finished)
    if most is not None and count > most:
        raise TooManyPairsError
    found = zip(join.strips(left), _in_order(join.pairs, join.strips(left)), strict=True)
    for start, row in itertools.groupby(found, key=lambda strip_and_pairs: strip_and_pairs[0][0]):
        parts = []
        for strip, pairs in row:
            parts.append(pairs)
            count += len(pairs[0])
            if most is not None and count > most:
                raise TooManyPairsError
            if progress:
                progress(join.compared(strip))
        finished[start] = sorted_pairs(parts)
    return SimilarPairs(*joined([finished[start] for start in starts]))


class _Join:
    """What the parts of one join have in common: a block of rows is compared with strips of blocks, from itself on."""

    def __init__(self, embeddings: NDArray[np.float32], threshold: float, block_rows: int) -> None:
        n = len(embeddings)
        self.embeddings, self.threshold, self.block_rows = embeddings, threshold, block_rows
        self.products = IntegerProducts() if n > _FEW_ROWS else None
        short = shorter_rows(embeddings, threshold) if n > _FEW_ROWS else None
        rows = [slice(start, start + block_rows) for start in range(0, n, block_rows)]
        self.blocks = [Block.of(part.start, embeddings[part], None if short is None else short[part]) for part in rows]

    def strips(self, starts: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield (first row, first column) of each strip of the blocks that begin at `starts`."""
        for start in starts:
            for other in range(start, len(self.embeddings), self.block_rows * _STRIP):
                yield start, other

    def pairs(self, start: int, other: int) -> Found:
        """Return the pairs of the rows of a block and the columns of a strip; left < right, in no order."""
        first = start // self.block_rows, other // self.block_rows
        one, strip = self.blocks[first[0]], self.blocks[first[1] : first[1] + _STRIP]
        integers = tuple(itertools.chain.from_iterable(block.integers for block in strip))
        columns = self.embeddings[other : other + self.block_rows * _STRIP]
        return pairs_of_blocks(one, Block(other, columns, integers), self.threshold, self.products)

    def compared(self, strip: tuple[int, int]) -> int:
        """Return how many pairs there are of its rows and columns."""
        left = len(self.embeddings)
        rows, columns = min(self.block_rows, left - strip[0]), min(self.block_rows * _STRIP, left - strip[1])
        itself = rows * (rows + 1) // 2 if strip[0] == strip[1] else 0
        return rows * columns - itself


def nearest(
    queries: NDArray[np.float32],
    corpus: NDArray[np.float32],
    k: int,
    *,
    most_products: int = 2**26,
    progress: Callable[[int], None] | None = None,
) -> Neighbours:
    """Return the k rows of `corpus` most similar to each query (all of them when the corpus has fewer than k).

    queries: (q, d), corpus: (n, d), float32 with rows of length 1.  Exact, and among equals the lower row number wins.
    most_products: of queries and rows, computed at a time, if there are not more rows than that; of 1,024 queries at
    most.  Memory beyond the result: 8 bytes for each, and 28 for each row that is as near to a query as its k-th.
    `progress` is called with the number of queries finished.

    Raises InputError when rows are not unit vectors, the dimensions differ, or k < 1.
    """
    queries, corpus = unit_rows(queries, "queries"), unit_rows(corpus, "corpus")
    if queries.shape[1] != corpus.shape[1]:
        raise InputError(f"Queries have {queries.shape[1]} dimensions, the corpus {corpus.shape[1]}.")
    if k < 1:
        raise InputError(f"top_k must be at least 1, not {k}.")
    k = min(int(k), len(corpus))
    rows = np.empty((len(queries), k), dtype=np.int64)
    similarity = np.empty((len(queries), k), dtype=np.float32)
    # Two float32 products may each be off by the bound, so a true neighbour lies within twice that of the k-th.
    slack = np.float32(2 * float32_error(corpus.shape[1]))
    block_rows = min(_QUERIES, max(1, most_products // max(1, len(corpus))))
    for start in range(0, len(queries) if k else 0, block_rows):
        block = queries[start : start + block_rows]
        cosines = block @ corpus.T
        kth = np.partition(cosines, len(corpus) - k, axis=1)[:, len(corpus) - k]
        for i, row in enumerate(cosines):
            candidates = np.flatnonzero(row >= kth[i] - slack)
            exact = of_pairs(cosine, block, np.full(len(candidates), i), corpus, candidates)
            best = np.lexsort((candidates, -exact))[:k]
            rows[start + i], similarity[start + i] = candidates[best], exact[best]
        if progress:
            progress(len(block))
    return Neighbours(rows, similarity)


def _in_order(pairs: Callable[[int, int], Found], strips: Iterable[tuple[int, int]]) -> Iterator[Found]:
    """Yield `pairs` of each of `strips`, computed by all cores, at most a few strips ahead."""
    threads = usable_cores()
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Found]] = deque()
    try:
        for start, other in strips:
            waiting.append(pool.submit(pairs, start, other))
            if len(waiting) > _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # on an interrupt, do not work through the rest first
