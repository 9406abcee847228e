"""Rows sorted into cells, so that each need be compared with a few cells only.

k-means finds the middles of the cells, and a row is at home in the cell whose middle is nearest to it. A row *visits*
the p cells nearest to it, its home first. Two rows meet where one is at home in a cell that the other visits: that is
what an inverted file compares (Jégou, Douze and Schmid 2011, "Product Quantization for Nearest Neighbor Search").

Which cells are the nearest is computed with integers: rows and middles are rounded to multiples of about 1/4096, and
no sum of their products reaches 2^24, up to which float32 numbers are exact, however they are summed. So the cells of
a row depend on the row and the middles alone, not on the rows beside it, the threads or the processor.

p is chosen: for rows drawn at random all partners are looked up, and p is the least number of cells at which the share
of a row's partners that it meets is `RECALL` on average. This sample is drawn apart from that of `certificate`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect._version import __version__
from dupdetect.atomic import atomic_file
from dupdetect.errors import InputError, MissingExtraError
from dupdetect.search.blocks import UNIT_TOLERANCE, cosine, float32_error, joined, of_pairs, sorted_pairs
from dupdetect.search.finished import FinishedBlocks, Found
from dupdetect.search.sampled import partners

__all__ = [
    "RECALL",
    "CellShard",
    "by_home",
    "cell_shards",
    "finished_cells",
    "finished_pairs",
    "in_rows",
    "index_library",
    "middles_of",
    "nearest_cells",
    "pairs_that_meet",
    "visits",
]

RECALL = 0.999
"""The share of a row's partners, averaged over rows, that the number of visited cells is chosen for."""

_CELLS = 4  # times the square root of the number of rows, as the authors of faiss advise
_ROUNDS, _ROWS_PER_CELL, _SEED = 5, 32, 0  # of k-means
_MOST_VISITS = 64
_USUAL_VISITS = 16  # where no sampled row has a partner
_SAMPLED_ROWS, _SAMPLE_SEED = 2_000, 1
_EXACT = 4096  # the square root of 2^24
_PRODUCTS = 2**22  # of rows and middles at a time
_ROWS, _COLUMNS = 1024, 4096  # compared in one go
_CANDIDATES = 2**18  # looked at together


Places = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class CellShard:
    """Some rows, one after the other, of all rows in the order of their homes.

    start: the place of the first.  rows: (m, d) float32 unit rows.  cells: (m, p) int32, those that each visits, its
    home first; homes never fall.  visited: (m p,) these cells, rising.  visitor: (m p,) int32, the row that visits it.
    """

    start: int
    rows: NDArray[np.float32]
    cells: NDArray[np.int32]
    visited: NDArray[np.int32]
    visitor: NDArray[np.int32]

    @classmethod
    def of(cls, start: int, rows: NDArray[np.float32], cells: NDArray[np.int32]) -> CellShard:
        by_cell = np.argsort(cells, axis=None, kind="stable")
        return cls(start, rows, cells, cells.ravel()[by_cell], (by_cell // cells.shape[1]).astype(np.int32))


def index_library() -> str:
    """Return the name and version of the library for k-means; raise MissingExtraError where it is not installed."""
    return f"faiss {_faiss().__version__}"


def middles_of(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (k, d) float32 whole numbers: the middles of k = 4 sqrt(n) cells, from a sample of (n, d) unit rows.

    One thread: with several, faiss does not promise the same middles each time. Raises MissingExtraError.
    """
    faiss = _faiss()
    n, d = embeddings.shape
    k = min(_CELLS * math.isqrt(n), n)
    # Sampled here: faiss draws its sample from all rows, which it would have to be given.
    some = np.random.default_rng(_SEED).choice(n, min(n, _ROWS_PER_CELL * k), replace=False)
    # With a minimum of its own k-means warns on standard output.
    kmeans = faiss.Kmeans(
        d, k, niter=_ROUNDS, seed=_SEED, spherical=True, min_points_per_centroid=1, max_points_per_centroid=n
    )
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        kmeans.train(embeddings[np.sort(some)])
    finally:
        faiss.omp_set_num_threads(threads)
    middles = kmeans.centroids.reshape(k, d)
    length = np.sqrt(np.einsum("ij,ij->i", middles, middles))[:, None]
    return _rounded(np.divide(middles, length, out=np.zeros_like(middles), where=length > 0))


def nearest_cells(rows: NDArray[np.float32], middles: NDArray[np.float32], most: int) -> NDArray[np.int32]:
    """Return (m, most) int32: the cells nearest to each of (m, d) unit rows, nearest first; among equals the lower.

    middles: (k, d), see `middles_of`; most <= k.
    """
    k = len(middles)
    cells = np.empty((len(rows), most), dtype=np.int32)
    at_a_time = max(1, _PRODUCTS // k)
    for start in range(0, len(rows), at_a_time):
        products = _rounded(rows[start : start + at_a_time]) @ middles.T
        least = np.partition(products, k - most, axis=1)[:, k - most]
        row, cell = np.nonzero(products >= least[:, None])
        order = np.lexsort((cell, -products[row, cell], row))
        first = np.searchsorted(row, np.arange(len(products)))
        cells[start : start + at_a_time] = cell[order][first[:, None] + np.arange(most)]
    return cells


def visits(embeddings: NDArray[np.float32], middles: NDArray[np.float32], threshold: float) -> int:
    """Return how many cells each row must visit, see above; `_MOST_VISITS` where that is not enough either."""
    n = len(embeddings)
    most = min(_MOST_VISITS, len(middles))
    sample = np.sort(np.random.default_rng(_SAMPLE_SEED).choice(n, min(_SAMPLED_ROWS, n), replace=False))
    of_sample = nearest_cells(embeddings[sample], middles, most)
    met = np.zeros((len(sample), most + 1), dtype=np.int64)  # partners by the visits it takes, from 1; 0 never
    for at, other in partners(embeddings, sample, slice(0, n), threshold):
        rows, place = np.unique(other, return_inverse=True)
        of_others = nearest_cells(embeddings[rows], middles, most)
        for start in range(0, len(at), _PRODUCTS // most):
            one = of_sample[at[start : start + _PRODUCTS // most]]
            two = of_others[place[start : start + _PRODUCTS // most]]
            there = (one == two[:, :1]) | (two == one[:, :1])
            needed = np.where(there.any(axis=1), there.argmax(axis=1) + 1, 0)
            at_needed = at[start : start + len(needed)] * (most + 1) + needed
            met += np.bincount(at_needed, minlength=met.size).reshape(met.shape)
    met = met[met.sum(axis=1) > 0]
    if not len(met):
        return min(_USUAL_VISITS, most)
    recall = (np.cumsum(met[:, 1:], axis=1) / met.sum(axis=1, keepdims=True)).mean(axis=0)
    enough = np.flatnonzero(recall >= RECALL)
    return int(enough[0]) + 1 if len(enough) else most


def finished_cells(
    folder: Path | None, embeddings: NDArray[np.float32], threshold: float, find: Callable[[], NDArray[np.int32]]
) -> NDArray[np.int32]:
    """Return (n, p) int32, what `find` returns: the cells that each row visits; from a file in `folder` where it is
    there, and else into it. The name of the file says which rows, threshold and version it belongs to."""
    if folder is None:
        return find()
    digest = hashlib.sha256(json.dumps([__version__, list(embeddings.shape), threshold, RECALL]).encode())
    digest.update(np.ascontiguousarray(embeddings).data)
    file = folder / f"cells-{digest.hexdigest()[:16]}.npy"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(file, overwrite=True) as path, path.open("wb") as opened:
            np.save(opened, find())
    try:
        cells: Any = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        cells = None
    if cells is None or cells.dtype != np.int32 or cells.ndim != 2 or len(cells) != len(embeddings):
        raise InputError(f"{file} is damaged. Delete it, and cells are looked for again.")
    found: NDArray[np.int32] = cells
    return found


def finished_pairs(
    folder: Path, embeddings: NDArray[np.float32], threshold: float, cells: NDArray[np.int32], shard_rows: int
) -> FinishedBlocks:
    """Return where the pairs of two shards are kept in `folder`: apart for each way to sort the rows into cells."""
    name = hashlib.sha256(np.ascontiguousarray(cells).data).hexdigest()[:16]
    return FinishedBlocks(folder / f"pairs-{name}", embeddings, threshold, shard_rows)


def by_home(cells: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return (n,) int64: the rows in the order of their homes, and of their numbers within one."""
    return np.argsort(cells[:, 0], kind="stable").astype(np.int64)


def cell_shards(
    embeddings: NDArray[np.float32], cells: NDArray[np.int32], order: NDArray[np.int64], shard_rows: int
) -> Iterator[CellShard]:
    """Yield the shards of the rows in the order `by_home`, `shard_rows` rows each, the last one perhaps fewer."""
    for start in range(0, len(order), shard_rows):
        rows = order[start : start + shard_rows]
        yield CellShard.of(start, embeddings[rows], cells[rows])


def pairs_that_meet(first: CellShard, second: CellShard, threshold: float) -> Found:
    """Return every pair of a row of `first` and one of `second` that meet, and are at or above the threshold.

    first: the shard itself again, or one that stands before `second`.  Numbered by places, left below right, by left,
    then right, each once. Memory beyond the result: a block of 1,024 x 4,096 numbers.
    """
    found = list(_visiting(first, second, threshold))
    if first.start != second.start:
        found += _visiting(second, first, threshold)
    return sorted_pairs(found)


def _visiting(guests: CellShard, hosts: CellShard, threshold: float) -> Iterator[Found]:
    """Yield the pairs of a guest and a host whose home the guest visits.

    Those that meet at the guest's home, too, are left to the one of the two who stands first.
    """
    cut = np.float32(threshold - float32_error(hosts.rows.shape[1]))
    homes, starts = np.unique(hosts.cells[:, 0], return_index=True)
    ends = np.append(starts[1:], len(hosts.cells))
    begin, end = (np.searchsorted(guests.visited, homes, side) for side in ("left", "right"))
    near: list[tuple[Places, Places]] = []
    count = 0
    for cell in np.flatnonzero(begin < end).tolist():
        visiting = guests.visitor[begin[cell] : end[cell]]
        for top in range(0, len(visiting), _ROWS):
            some = visiting[top : top + _ROWS]
            rows = guests.rows[some]
            for left in range(starts[cell], ends[cell], _COLUMNS):
                there = hosts.rows[left : min(left + _COLUMNS, ends[cell])]
                i, j = np.divmod(np.flatnonzero(rows @ there.T >= cut), len(there))
                near.append((some[i], left + j))
                count += len(i)
                if count > _CANDIDATES:
                    yield _reaching(guests, hosts, near, threshold)
                    near, count = [], 0
    if near:
        yield _reaching(guests, hosts, near, threshold)


def _reaching(
    guests: CellShard,
    hosts: CellShard,
    near: Sequence[tuple[Places, Places]],
    threshold: float,
) -> Found:
    i, j = (np.concatenate(side) for side in zip(*near, strict=True))
    one, other = guests.start + i, hosts.start + j
    also = (hosts.cells[j] == guests.cells[i, :1]).any(axis=1)
    once = (one < other) | ((one > other) & ~also)
    i, j, one, other = i[once], j[once], one[once], other[once]
    similarity = of_pairs(cosine, guests.rows, i, hosts.rows, j)
    keep = similarity.astype(np.float64) >= threshold
    one, other = one[keep].astype(np.int32), other[keep].astype(np.int32)
    return np.minimum(one, other), np.maximum(one, other), similarity[keep]


def in_rows(order: NDArray[np.int64], found: list[Found]) -> Found:
    """Return pairs of places in `order` as pairs of rows, sorted by (left, right)."""
    left, right, similarity = joined(found)
    one, other = order[left], order[right]
    return sorted_pairs(
        [(np.minimum(one, other).astype(np.int32), np.maximum(one, other).astype(np.int32), similarity)]
    )


def _rounded(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit rows as whole numbers of a length of at most 4,096."""
    scale = math.floor(_EXACT / (1 + UNIT_TOLERANCE) - math.sqrt(rows.shape[1]) / 2)
    rounded: NDArray[np.float32] = np.rint(rows * np.float32(scale))
    return rounded


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingExtraError("ann", "The approximate search", "faiss-cpu") from None
    return faiss
