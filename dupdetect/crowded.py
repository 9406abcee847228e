"""Survivors and clusters without a list of all pairs, for collections that have too many of them.

100,000 messages made from one template have five billion.

What `clustering.resolve` decides needs few of them:

- which rows stay: rows are asked in the order of their priority, and a row is compared with those kept before it;
- which of these stays for a removed row: the removed rows are compared with all kept ones;
- what a chain holds together: beyond these, only pairs that connect two clusters which nothing has connected yet.

The answer is that of `resolve` on the full list. Every decision is by the same similarity: a float32 product decides
where it is farther from the threshold than its proven error, and `cosine` where it is not (`search.Vectors`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.graph import connected_components
from dupdetect.progress import Progress
from dupdetect.search import SimilarPairs, Vectors, float32_error

__all__ = ["crowded"]

_BLOCK_ROWS = 1024

Places = NDArray[np.int64]
RuledOut = Callable[[Places, Places], NDArray[np.bool_]]


def crowded(
    vectors: Vectors,
    group: NDArray[np.int64],
    threshold: float,
    priority: NDArray[np.int64],
    most: int,
    progress: Progress,
    ruled_out: RuledOut | None = None,
) -> tuple[SimilarPairs, NDArray[np.int64]]:
    """Return the pairs of removed and kept rows, and (n,) int64: the smallest row of the cluster of each row.

    vectors: of n texts.  group: (n,), never falling; only rows of one group are compared.  threshold:
    in [-1, 1].  priority: (n,) distinct integers, as for `clustering.resolve`, which makes of these pairs the same
    survivors as of all pairs.  ruled_out: tells which pairs (m,), (m,) of rows do not count although they reach the
    threshold.

    A removed row has a pair with each kept one that it reaches the threshold with: few
    wherever texts were written by people, as the kept ones are no pairs among themselves. Raises InputError where there
    are more than `most` nevertheless.

    Memory beyond the result: a few blocks of 1,024 x 1,024 numbers, and 8 bytes a row. Time grows with n times the
    number of kept rows, and with the number of pairs of rows in different clusters.
    """
    n = len(vectors.whole)
    near = _Near(vectors, threshold, ruled_out)
    kept = np.zeros(n, dtype=np.bool_)
    found: list[tuple[Places, Places]] = []
    bounds = np.flatnonzero(np.diff(group, prepend=-1, append=group[-1:] + 1 if n else 1))
    groups = [np.arange(start, stop) for start, stop in itertools.pairwise(bounds)]
    with progress("Choosing rows that stay", n, "text") as advance:
        for rows in groups:
            kept[_kept(near, rows[np.argsort(priority[rows])], advance)] = True
    with progress("Comparing with them", n, "text") as advance:
        count = 0
        for rows in groups:
            for pairs_found in _pairs_with(near, rows[kept[rows]], rows[~kept[rows]]):
                found.append(pairs_found)
                count += len(pairs_found[0])
                if count > most:
                    raise InputError(
                        f"More than {most:,} pairs of a text that would be removed and one that stays reach the "
                        "threshold. Choose a higher threshold."
                    )
            advance(len(rows))
    empty = np.empty(0, dtype=np.int64)
    left, right = (np.concatenate(side) for side in zip((empty, empty), *found, strict=True))
    label = connected_components(n, left, right)
    with progress("Joining clusters", n, "text") as advance:
        for rows in groups:
            label = _connected(near, rows[~kept[rows]], label)
            advance(len(rows))
    left, right = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    pairs = SimilarPairs(left.astype(np.int32), right.astype(np.int32), near.similarity(left, right))
    return pairs, label


class _Near:
    """Which pairs of some rows reach the threshold, and count."""

    def __init__(self, vectors: Vectors, threshold: float, ruled_out: RuledOut | None) -> None:
        self._vectors, self._threshold, self._ruled_out = vectors, threshold, ruled_out
        self._error = float32_error(vectors.whole.shape[1])

    def pairs(self, left: Places, right: Places, wanted: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Return (l, r) bool: do row left[i] and row right[j] reach the threshold, and count?

        False where it is not `wanted`.
        """
        products = self._vectors.products(left, right)
        close: NDArray[np.bool_] = products >= np.float32(self._threshold + self._error)
        doubtful = (products >= np.float32(self._threshold - self._error)) & ~close
        if wanted is not None:
            close &= wanted
            doubtful &= wanted
        i, j = np.nonzero(doubtful)
        close[i, j] = self.similarity(left[i], right[j]).astype(np.float64) >= self._threshold
        if self._ruled_out is not None:
            i, j = np.nonzero(close)
            close[i, j] = ~self._ruled_out(left[i], right[j])
        return close

    def similarity(self, left: Places, right: Places) -> NDArray[np.float32]:
        """Return (m,) float32: the cosine of each pair of rows."""
        return self._vectors.similarity(left, right)


def _kept(near: _Near, rows: Places, advance: Callable[[int], None]) -> Places:
    """Return the rows that stay of `rows`, which are in the order of priority."""
    removed = np.zeros(len(rows), dtype=np.bool_)
    for part in _parts(len(rows)):
        asked = part.start + np.flatnonzero(~removed[part])
        pairs = near.pairs(rows[asked], rows[asked])
        for place in range(len(asked)):
            if not removed[asked[place]]:
                removed[asked[place + 1 :][pairs[place, place + 1 :]]] = True
        staying = asked[~removed[asked]]
        later = part.stop + np.flatnonzero(~removed[part.stop :])
        for some in _parts(len(later)):
            removed[later[some][near.pairs(rows[staying], rows[later[some]]).any(axis=0)]] = True
        advance(min(part.stop, len(rows)) - part.start)
    return rows[~removed]


def _pairs_with(near: _Near, kept: Places, removed: Places) -> Iterator[tuple[Places, Places]]:
    """Yield the pairs of kept and removed rows."""
    for part in _parts(len(kept)):
        for some in _parts(len(removed)):
            i, j = np.nonzero(near.pairs(kept[part], removed[some]))
            yield kept[part][i], removed[some][j]


def _connected(near: _Near, rows: Places, label: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the labels after the pairs among `rows` have connected what they connect."""
    # Side by side, rows of one cluster fill whole blocks, which have nothing to add.
    rows = rows[np.argsort(label[rows], kind="stable")]
    for part in _parts(len(rows)):
        for some in _parts(len(rows), part.start):
            first, second = rows[part], rows[some]
            apart = label[first][:, None] != label[second]
            if apart.any():
                i, j = np.nonzero(near.pairs(first, second, apart))
                if len(i):
                    label = label[connected_components(len(label), label[first[i]], label[second[j]])[label]]
    return label


def _parts(n: int, start: int = 0) -> list[slice]:
    return [slice(place, place + _BLOCK_ROWS) for place in range(start, n, _BLOCK_ROWS)]
