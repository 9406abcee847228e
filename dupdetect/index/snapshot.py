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
from dupdetect.index.rounded import RoundedQueries
from dupdetect.index.vectors import Vectors, map_vectors
from dupdetect.search import cosine, float32_error
from dupdetect.search.integers import MOST_DIMENSIONS, IntegerProducts

__all__ = ["Near", "Snapshot", "load_snapshot"]

_FEW_ROWS = 4_096  # below it, starting the products of integers takes longer than it saves
_BLOCK = 16_384  # rows whose products are looked at in one go
_PEAKS = 512  # products of which only the highest is looked at first, at most
_TOGETHER = 16  # queries that are compared in one go: as fast as one
_NEW = 1_024  # rows that are compared with all others in one go
_NOWHERE = np.float32(-4.0)  # below every product

T = TypeVar("T")
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

        The k highest of the peaks of lower bounds are bounds of k texts, so that the k-th of them is no higher than the
        k-th highest cosine, and whatever has an upper bound below it is not among the k.
        """
        n = len(self.vectors)
        size = _PEAKS
        while size > 1 and n < 4 * k * size:
            size //= 2
        upper = np.empty((len(queries), n), dtype=np.float32)
        near = self._near(queries)

        def peaks(part: slice) -> NDArray[np.float32]:
            middle, error = near(part)
            upper[:, part] = np.where(allowed[part], middle + error, _NOWHERE)
            lower = np.where(allowed[part], middle - error, _NOWHERE)
            return np.maximum.reduceat(lower, np.arange(0, lower.shape[1], size), axis=1)

        highest = np.concatenate([np.empty((len(queries), 0), dtype=np.float32), *self._by_block(peaks)], axis=1)
        floor = np.full(len(queries), _NOWHERE)
        if highest.shape[1] > k:
            floor = np.partition(highest, -k, axis=1)[:, -k]
        return [np.flatnonzero(row >= max(cut, _NOWHERE + 1)) for row, cut in zip(upper, floor, strict=True)]

    def _near(
        self, queries: NDArray[np.float32]
    ) -> Callable[[slice], tuple[NDArray[np.float32], NDArray[np.float32] | np.float32]]:
        """Return what gives, for some slots, (q, m) float32 that the cosines are near to, and how near at least."""
        if self._is_small():
            error = np.float32(float32_error(queries.shape[1]))
            return lambda part: (queries @ self.vectors.rows[part].T, error)
        rounded = RoundedQueries.of(queries)
        return lambda part: rounded.near(
            _integers().products(self.vectors.rounded[part], rounded.columns), self.vectors.kept[part]
        )

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
            if rounded is None:
                j, i = np.nonzero(self.vectors.rows[part] @ rows.T >= cut)
            else:
                products = _integers().products(self.vectors.rounded[part], rounded.columns)
                j, i = np.nonzero(products >= rounded.cuts(self.vectors.kept[part], threshold)[:, None])
            slots = part.start + j
            return i[self.plain[slots]], slots[self.plain[slots]]

        yield from self._by_block(reaching)

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
    version, number, slots = connection.execute("SELECT version, vectors, slots FROM state").fetchone()
    plain = np.ones(slots, dtype=np.bool_)
    plain[[slot for (slot,) in connection.execute("SELECT slot FROM empty_slots")]] = False
    apart: dict[str, list[int]] = {}
    for slot, company in connection.execute("SELECT slot, company FROM forms WHERE company != '' ORDER BY slot"):
        apart.setdefault(company, []).append(slot)
        plain[slot] = False
    return Snapshot(
        version,
        map_vectors(folder, number, slots, dimension),
        plain,
        {company: np.array(found, dtype=np.int64) for company, found in apart.items()},
        frozenset(key for (key,) in connection.execute("SELECT key FROM told_apart")),
    )


@functools.cache
def _integers() -> IntegerProducts:
    return IntegerProducts()


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
