"""What searches look at: the vectors of an index as they are in one version of it."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from dupdetect.cores import usable_cores
from dupdetect.index.checked import read_state, slots_of
from dupdetect.index.rounded import RoundedQueries
from dupdetect.index.vectors import Vectors, map_vectors
from dupdetect.search import cosine, float32_error
from dupdetect.search.integers import MOST_DIMENSIONS, IntegerProducts

__all__ = ["Near", "Snapshot", "load_snapshot"]

_FEW_ROWS = 4_096  # below it, starting the products of integers takes longer than it saves
_BLOCK = 16_384  # rows whose products are looked at in one go
_CACHED = 2_048  # of them, whose integers fit into the cache of a core
_BUNDLE = 32  # slots of which only the highest number is looked at first, at most; a power of 2, and divides _BLOCK
_TOGETHER = 16  # queries that are compared in one go: as fast as one
_NEW = 1_024  # rows that are compared with all others in one go
_NOWHERE = np.float32(-4.0)  # below every product

T = TypeVar("T")
Places: TypeAlias = NDArray[np.int64] | slice
Near: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Slots, and the cosine of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The distinct texts of an index, by the slots of their vectors.

    plain: (slots,) bool, the texts with every word known; False for slots that no text has any more.  apart: the slots
    of all other texts, by their company (`company_of`).  told_apart: `pair_key` of the pairs that reviewers told apart.
    """

    version: int
    vectors: Vectors
    plain: NDArray[np.bool_]
    apart: dict[str, NDArray[np.int64]]
    told_apart: frozenset[str]

    def nearest(
        self, queries: NDArray[np.float32], companies: Sequence[str], k: int, wanted: NDArray[np.bool_] | None = None
    ) -> list[Near]:
        """Return for each query the k slots of its company with the highest cosine, and all that equal the last of
        them; in no order, and fewer where there are fewer.

        queries: (q, d) float32 unit rows.  wanted: (slots,) bool, where only some texts will do.
        """
        allowed = self.plain if wanted is None else self.plain & wanted
        plain = [place for place, company in enumerate(companies) if not company]
        candidates: dict[int, NDArray[np.int64]] = {}
        for start in range(0, len(plain), _TOGETHER):
            some = plain[start : start + _TOGETHER]
            candidates.update(zip(some, self._candidates(queries[some], allowed, k), strict=True))
        found = []
        for place, company in enumerate(companies):
            slots = candidates.get(place, self._company(company))
            if company and wanted is not None:
                slots = slots[wanted[slots]]
            found.append(_best(queries[place], self.vectors.rows, slots, k))
        return found

    def similar(
        self, rows: NDArray[np.float32], company: str, threshold: float
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
        """Yield every pair of a given row and a slot of `company` whose cosine is at or above `threshold`.

        rows: (m, d) float32 unit rows. Each part is (p,) of them, (p,) slots and (p,) float32.
        """
        for start in range(0, len(rows), _NEW):
            new = rows[start : start + _NEW]
            for i, slots in self._reaching(new, company, threshold):
                for part in (slice(first, first + _NEW) for first in range(0, len(i), _NEW)):
                    similarity = cosine(new[i[part]], self.vectors.rows[slots[part]])
                    keep = similarity.astype(np.float64) >= threshold
                    if keep.any():
                        yield start + i[part][keep], slots[part][keep], similarity[keep]

    def _candidates(self, queries: NDArray[np.float32], allowed: NDArray[np.bool_], k: int) -> list[NDArray[np.int64]]:
        """Return for each query the allowed slots that can be among the k with the highest cosine.

        Slots are looked at in bundles: the highest number in a bundle is near to a cosine, and no cosine in it is much
        higher, both within the error of the slot with the longest remainder. The k bundles with the highest bounds from
        below hold k slots, so the k-th of these bounds is no higher than the k-th highest cosine, and only bundles
        whose bound from above reaches it are opened.
        """
        n = len(self.vectors)
        if n == 0:
            return [np.zeros(0, dtype=np.int64) for _ in queries]
        size = _BUNDLE
        while size > 1 and n < 4 * k * size:
            size //= 2
        write, error = self._near(queries)
        numbers = np.full((-(-n // size) * size, len(queries)), _NOWHERE)
        remainders = np.zeros(len(numbers), dtype=np.float32)
        remainders[:n] = self.vectors.kept[:, 1]

        def highest(part: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            """Return (bundles, q) the highest number, and (bundles,) the longest remainder."""
            write(part, numbers)
            numbers[part][np.flatnonzero(~allowed[part])] = _NOWHERE
            whole = slice(part.start, -(-part.stop // size) * size)
            # Row j * bundles + i is in bundle i, so that whole rows are compared, which is several times faster.
            peaks = numbers[whole].reshape(size, -1).max(axis=0).reshape(-1, len(queries))
            return peaks, remainders[whole].reshape(size, -1).max(axis=0)

        peaks, longest = (np.concatenate(parts) for parts in zip(*self._by_block(highest), strict=True))
        bounds = error(longest[:, None], slice(None))
        floor = np.full(len(queries), _NOWHERE + 1)
        if len(peaks) > k:
            floor = np.maximum(np.partition(peaks - bounds, -k, axis=0)[-k], floor)
        bundles, query = np.nonzero(peaks + bounds >= floor)
        slots = _in_bundles(bundles, size, len(numbers))
        query = np.repeat(query, size)
        there = numbers[slots, query]
        reached = np.flatnonzero((there > _NOWHERE) & (there + error(remainders[slots], query) >= floor[query]))
        return [np.sort(slots[reached[query[reached] == one]]) for one in range(len(queries))]

    def _near(
        self, queries: NDArray[np.float32]
    ) -> tuple[
        Callable[[slice, NDArray[np.float32]], None], Callable[[NDArray[np.float32], Places], NDArray[np.float32]]
    ]:
        """Return what writes, for some slots, into (slots, q) float32 what the cosines are near to; and what gives, for
        the remainders of rows and the places of queries, how near at least."""
        if self._is_small():
            bound = np.float32(float32_error(queries.shape[1]))

            def write(part: slice, numbers: NDArray[np.float32]) -> None:
                np.matmul(self.vectors.rows[part], queries.T, out=numbers[part])

            return write, lambda remainders, _: np.full_like(remainders, bound)
        rounded = RoundedQueries.of(queries)

        def write_rounded(part: slice, numbers: NDArray[np.float32]) -> None:
            for some, products in self._products(part, rounded):
                numbers[some] = rounded.near(products, self.vectors.kept[some, 0])

        return write_rounded, rounded.errors

    def _reaching(
        self, rows: NDArray[np.float32], company: str, threshold: float
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield pairs of a given row and a slot of `company`, all that reach the threshold among them."""
        cut = np.float32(threshold - float32_error(rows.shape[1]))
        if company:
            slots = self._company(company)
            for part in (slots[start : start + _BLOCK] for start in range(0, len(slots), _BLOCK)):
                i, j = np.nonzero(rows @ self.vectors.rows[part].T >= cut)
                yield i, part[j]
            return
        rounded = None if self._is_small() else RoundedQueries.of(rows)

        def reaching(part: slice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            found = []
            if rounded is None:
                j, i = np.nonzero(self.vectors.rows[part] @ rows.T >= cut)
                found.append((i, part.start + j))
            else:
                for some, products in self._products(part, rounded):
                    cuts = rounded.cuts(self.vectors.kept[some], threshold)
                    high = np.flatnonzero(products.max(axis=1) >= cuts)
                    j, i = np.nonzero(products[high] >= cuts[high, None])
                    found.append((i, some.start + high[j]))
            i, slots = (np.concatenate(places) for places in zip(*found, strict=True))
            return i[self.plain[slots]], slots[self.plain[slots]]

        yield from self._by_block(reaching)

    def _products(self, part: slice, rounded: RoundedQueries) -> Iterator[tuple[slice, NDArray[np.int32]]]:
        """Yield some slots after the other, and (m, q) their products, which the next ones are written over."""
        # A product reads rows in an order that memory is slow at; copying them first takes less than it saves.
        copied = np.empty((_CACHED, self.vectors.rounded.shape[1]), dtype=np.uint8)
        for start in range(part.start, part.stop, _CACHED):
            some = slice(start, min(start + _CACHED, part.stop))
            rows = copied[: some.stop - start]
            rows[:] = self.vectors.rounded[some]
            yield some, _integers().products(rows, rounded.columns)

    def _is_small(self) -> bool:
        return len(self.vectors) < _FEW_ROWS or self.vectors.rows.shape[1] >= MOST_DIMENSIONS

    def _by_block(self, work: Callable[[slice], T]) -> Iterator[T]:
        """Yield what `work` makes of each block of slots, in order, computed by all cores."""
        n = len(self.vectors)
        parts = [slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
        if len(parts) <= 1:
            yield from map(work, parts)
            return
        threads = usable_cores()
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(parts), threads):  # no more than these are in memory
                yield from pool.map(work, parts[start : start + threads])

    def _company(self, company: str) -> NDArray[np.int64]:
        return self.apart.get(company, np.zeros(0, dtype=np.int64))


def load_snapshot(connection: sqlite3.Connection, folder: Path, dimension: int) -> Snapshot:
    """Return what a transaction sees; FileNotFoundError where it is so old that its file of vectors is gone."""
    state = read_state(connection)
    slots = state.slots
    vectors = map_vectors(folder, state.vectors, slots, dimension)
    plain = np.ones(slots, dtype=np.bool_)
    plain[slots_of([slot for (slot,) in connection.execute("SELECT slot FROM empty_slots")], slots)] = False
    apart: dict[str, list[int]] = {}
    for slot, company in connection.execute("SELECT slot, company FROM forms WHERE company != '' ORDER BY slot"):
        apart.setdefault(company, []).append(slot)
    companies = {company: slots_of(found, slots) for company, found in apart.items()}
    for found in companies.values():
        plain[found] = False
    return Snapshot(
        state.version,
        vectors,
        plain,
        companies,
        frozenset(key for (key,) in connection.execute("SELECT key FROM told_apart")),
    )


@functools.cache
def _integers() -> IntegerProducts:
    return IntegerProducts()


def _in_bundles(bundles: NDArray[np.int64], size: int, slots: int) -> NDArray[np.int64]:
    """Return the slots in some bundles; slots: how many there are, up to the end of the last bundle."""
    start = bundles * size // _BLOCK * _BLOCK
    apart = np.minimum(_BLOCK, slots - start) // size
    first = start + bundles - start // size
    inside: NDArray[np.int64] = first[:, None] + np.arange(size) * apart[:, None]
    return inside.ravel()


def _best(query: NDArray[np.float32], rows: NDArray[np.float32], slots: NDArray[np.int64], k: int) -> Near:
    """Return the k slots with the highest cosine, and all that equal the last of them."""
    similarity = np.empty(len(slots), dtype=np.float32)
    for start in range(0, len(slots), _NEW):
        some = rows[slots[start : start + _NEW]]
        similarity[start : start + _NEW] = cosine(np.broadcast_to(query, some.shape), some)
    if len(slots) > k:
        keep = similarity >= np.partition(similarity, len(slots) - k)[len(slots) - k]
        slots, similarity = slots[keep], similarity[keep]
    return slots, similarity
