"""The vectors of some texts, of which those with an end that others share have a second one.

Two texts with the same end are compared by what stands before it, all others as wholes. So what two texts have in
common beside their question does not make them alike, and an end that asks something tells them apart all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.search.blocks import cosine, float32_error, joined, of_pairs, sorted_pairs
from dupdetect.search.exact import SimilarPairs, TooManyPairsError, similar_pairs
from dupdetect.search.finished import FinishedBlocks, Found

__all__ = ["Vectors"]

_ROWS, _COLUMNS = 1024, 4096  # compared in one go

Places = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """What n texts are compared by.

    whole: (n, d) float32 unit rows.
    end: (n,) int64 from 0, the same number for texts with the same end; -1 for texts without an end that others have.
    before: (m, d) float32 unit rows of what stands before the ends, in the order of the m texts that have one.
    place: (n,) int64, the row in `before`; what it says of the others means nothing.
    """

    whole: NDArray[np.float32]
    end: NDArray[np.int64]
    before: NDArray[np.float32]
    place: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        whole: NDArray[np.float32],
        end: NDArray[np.int64] | None = None,
        before: NDArray[np.float32] | None = None,
    ) -> Vectors:
        """Return the vectors of texts with these ends; without ends, all are compared as wholes."""
        if end is None or before is None:
            return cls(whole, np.full(len(whole), -1, dtype=np.int64), whole[:0], np.zeros(len(whole), dtype=np.int64))
        return cls(whole, end, before, np.cumsum(end >= 0) - 1)

    def same_end(self, left: Places, right: Places) -> NDArray[np.bool_]:
        """Return bool, in the shape of `left` and `right` together: do these have an end, and the same?"""
        same: NDArray[np.bool_] = (self.end[left] == self.end[right]) & (self.end[left] >= 0)
        return same

    def similarity(self, left: Places, right: Places) -> NDArray[np.float32]:
        """Return (m,) float32: the cosine of each pair of texts, by what the two are compared by."""
        one, other = left.astype(np.int64), right.astype(np.int64)
        similarity = of_pairs(cosine, self.whole, one, self.whole, other)
        same = np.flatnonzero(self.same_end(one, other))
        one, other = self.place[one[same]], self.place[other[same]]
        similarity[same] = of_pairs(cosine, self.before, one, self.before, other)
        return similarity

    def products(self, left: Places, right: Places) -> NDArray[np.float32]:
        """Return (l, r) float32: the cosine of text left[i] and text right[j], off by `float32_error` at most."""
        products: NDArray[np.float32] = self.whole[left] @ self.whole[right].T
        ended, others = np.flatnonzero(self.end[left] >= 0), np.flatnonzero(self.end[right] >= 0)
        if len(ended) and len(others):
            i, j = left[ended], right[others]
            same = self.same_end(i[:, None], j)
            if same.any():
                block = np.ix_(ended, others)
                before = self.before[self.place[i]] @ self.before[self.place[j]].T
                products[block] = np.where(same, before, products[block])
        return products

    def similar(
        self,
        rows: slice,
        threshold: float,
        *,
        most: int | None = None,
        work: Path | None = None,
        progress: Callable[[int], None] | None = None,
        join: Callable[..., SimilarPairs] = similar_pairs,
    ) -> SimilarPairs:
        """Return every pair of the texts `rows` at or above the threshold, as `similar_pairs` does, numbered from 0.

        join: takes the arguments of `similar_pairs` and returns the same, perhaps elsewhere.

        Memory beyond the result: that of `similar_pairs`, a copy of the vectors where texts have ends, and a block of
        1,024 x 4,096 numbers. Pairs of one end are never looked for among the whole texts, and so take no room.
        """
        end, whole = self.end[rows], self.whole[rows]
        alone = np.flatnonzero(end < 0)
        if len(alone) == len(end):
            return join(whole, threshold, most=most, work=work, progress=progress)
        ended = np.flatnonzero(end >= 0)
        ended = ended[np.argsort(end[ended], kind="stable")]
        found: list[Found] = []
        count = 0

        def add(left: Places, right: Places, similarity: NDArray[np.float32]) -> None:
            nonlocal count
            count += len(left)
            if most is not None and count > most:
                raise TooManyPairsError
            low, high = np.minimum(left, right), np.maximum(left, right)
            found.append((low.astype(np.int32), high.astype(np.int32), similarity))

        for texts in (alone, *np.split(ended, np.flatnonzero(np.diff(end[ended])) + 1)):
            vectors = whole[alone] if texts is alone else self.before[self.place[rows][texts]]
            room = None if most is None else most - count
            pairs = join(vectors, threshold, most=room, work=work, progress=progress)
            add(texts[pairs.left], texts[pairs.right], pairs.similarity)
        for pairs_found in _across(whole, end, ended, alone, threshold, work, progress):
            add(*pairs_found)
        return SimilarPairs(*sorted_pairs(found))


def _across(
    whole: NDArray[np.float32],
    end: NDArray[np.int64],
    ended: NDArray[np.int64],
    alone: NDArray[np.int64],
    threshold: float,
    work: Path | None,
    progress: Callable[[int], None] | None,
) -> Iterator[Found]:
    """Yield the pairs of a text with an end, and one with another end or none, at or above the threshold.

    ended: those with an end, in the order of the ends.  alone: those without.
    """
    finished: FinishedBlocks | None = None
    if work is not None:
        ends = hashlib.sha256(np.ascontiguousarray(end).data).hexdigest()[:16]
        finished = FinishedBlocks(work / f"ends-{ends}", whole, threshold, _ROWS)
    in_order = end[ended]
    for start in range(0, len(ended), _ROWS):
        rows = ended[start : start + _ROWS]
        later = np.searchsorted(in_order, end[rows], side="right")
        if finished is not None and start in finished:
            pairs = finished[start]
        else:
            columns = np.concatenate([ended[later[0] :], alone])
            pairs = joined(
                _block(whole, end, rows, columns[place : place + _COLUMNS], threshold)
                for place in range(0, len(columns), _COLUMNS)
            )
            if finished is not None:
                finished[start] = pairs
        if progress:
            progress(len(rows) * (len(ended) + len(alone)) - int(later.sum()))
        yield pairs


def _block(
    whole: NDArray[np.float32],
    end: NDArray[np.int64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    threshold: float,
) -> Found:
    """Return the pairs of a row and a column without an end, or with a later one."""
    cut = np.float32(threshold - float32_error(whole.shape[1]))
    near = whole[rows] @ whole[columns].T >= cut
    if end[rows[0]] != end[rows[-1]]:  # else all columns have a later one, or none
        near &= (end[columns] < 0) | (end[columns] > end[rows][:, None])
    i, j = np.nonzero(near)
    left, right = rows[i], columns[j]
    similarity = of_pairs(cosine, whole, left, whole, right)
    keep = similarity.astype(np.float64) >= threshold
    return left[keep].astype(np.int32), right[keep].astype(np.int32), similarity[keep]
