"""Two blocks of rows compared: products of integers find the candidates, a float64 product decides.

A blocked matrix product of integers is fast, but only roughly right; one of float32 has last bits that depend on where
in a block a pair happens to lie. So they only *propose*: everything within their proven error of the threshold is kept,
and `cosine` computes each proposed similarity again from the two rows alone. A pair's similarity, and the decision on
it, therefore do not depend on row order, block size or thread count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.search.finished import Found
from dupdetect.search.integers import MOST_DIMENSIONS, IntegerBlock, IntegerProducts

__all__ = [
    "UNIT_TOLERANCE",
    "Block",
    "cosine",
    "float32_error",
    "joined",
    "of_pairs",
    "pairs_of_blocks",
    "sorted_pairs",
]

UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a row may be."""

_PRODUCT_ROWS = 1024  # on either side of a product, whose result then stays in the cache
_RESCORE_ROWS = 256  # copies of so few stay in the cache, and in memory that need not be asked for anew each time
# Where more than one pair in so many is a candidate, a float32 product finds far fewer, and looking at each is slower.
_CANDIDATES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows that are compared in one go.

    start: the number of the first.  rows: (m, d) float32 unit rows.  integers: of all of them in order, some rows each,
    for products that find candidates; none where one of float32 does.
    """

    start: int
    rows: NDArray[np.float32]
    integers: tuple[IntegerBlock, ...]

    @classmethod
    def of(cls, start: int, rows: NDArray[np.float32], short: NDArray[np.float32] | None) -> Block:
        """short: (m, e) float32, e <= d, whose products are not below those of the rows (`shorter_rows`), if any."""
        if short is None or rows.shape[1] >= MOST_DIMENSIONS:
            return cls(start, rows, ())
        parts = range(0, len(short), _PRODUCT_ROWS)
        return cls(start, rows, tuple(IntegerBlock.of(short[part : part + _PRODUCT_ROWS]) for part in parts))

    def portions(self) -> Iterator[tuple[slice, IntegerBlock]]:
        """Yield which rows each of `integers` holds, and it."""
        start = 0
        for integers in self.integers:
            yield slice(start, start + len(integers.left)), integers
            start += len(integers.left)


def pairs_of_blocks(one: Block, other: Block, threshold: float, products: IntegerProducts | None) -> Found:
    """Return every pair of a row of `one` and a row of `other`, `one` itself or a later one, at or above the threshold.

    left < right, in no order.  products: None where the blocks have no integers.
    """
    i, j = _candidates(one, other, threshold, products)
    if one.start == other.start:
        above = i < j
        i, j = i[above], j[above]
    similarity = of_pairs(cosine, one.rows, i, other.rows, j)
    keep = similarity.astype(np.float64) >= threshold
    return (i[keep] + one.start).astype(np.int32), (j[keep] + other.start).astype(np.int32), similarity[keep]


def _candidates(
    one: Block, other: Block, threshold: float, products: IntegerProducts | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of all pairs that can reach the threshold, and of some just below."""
    cut = np.float32(threshold - float32_error(one.rows.shape[1]))
    if products is None or not one.integers or not other.integers:
        return _near(one.rows, other.rows, cut)
    none = np.empty(0, dtype=np.int64)
    proposed, near = [(none, none)], [(none, none)]
    for rows, left in one.portions():
        for columns, right in other.portions():
            places = products.candidates(left, right, threshold)
            few = len(places) * _CANDIDATES <= left.left.shape[0] * right.right.shape[1]
            if few:
                i, j = np.divmod(places, right.right.shape[1])
            else:
                i, j = _near(one.rows[rows], other.rows[columns], cut)
            (proposed if few else near).append((i + rows.start, j + columns.start))
    # Looked at together: to begin with those of one product takes as long as to look at hundreds.
    i, j = (np.concatenate(places) for places in zip(*proposed, strict=True))
    reach = of_pairs(_float32_products, one.rows, i, other.rows, j) >= cut
    near.append((i[reach], j[reach]))
    i, j = (np.concatenate(places) for places in zip(*near, strict=True))
    return i, j


def _near(
    left: NDArray[np.float32], right: NDArray[np.float32], cut: np.float32
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.divmod(np.flatnonzero(left @ right.T >= cut), len(right))


def cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n,) float32: the cosine similarity of each row of `left` with the same row of `right`, both (n, d).

    Products of float32 values are exact in float64, and each row is summed by itself in a fixed order, so the result
    for a pair is symmetric and depends on its two rows only.
    """
    result = np.empty(len(left), dtype=np.float32)
    for start in range(0, len(left), _RESCORE_ROWS):
        stop = start + _RESCORE_ROWS
        products = left[start:stop].astype(np.float64) * right[start:stop]
        result[start:stop] = products.sum(axis=1)
    return np.clip(result, -1.0, 1.0, out=result)


def of_pairs(
    measure: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]],
    left_rows: NDArray[np.float32],
    left: NDArray[np.int64],
    right_rows: NDArray[np.float32],
    right: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return `measure` of the named rows, pair by pair, gathering a bounded number of them at a time."""
    result = np.empty(len(left), dtype=np.float32)
    for start in range(0, len(left), _RESCORE_ROWS):
        part = slice(start, start + _RESCORE_ROWS)
        result[part] = measure(left_rows[left[part]], right_rows[right[part]])
    return result


def _float32_products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    products: NDArray[np.float32] = np.einsum("ij,ij->i", left, right)
    return products


def float32_error(dimension: int) -> float:
    """Return a bound of the rounding error of a float32 dot product of two unit rows, however it is summed.

    |fl(x.y) - x.y| <= gamma_d |x|.|y| with gamma_d = d u / (1 - d u), u = 2^-24 (Higham, Accuracy and Stability of
    Numerical Algorithms, 2nd ed., eq. 3.5), and |x|.|y| <= ||x|| ||y|| (Cauchy-Schwarz) <= (1 + tolerance)^2. One more
    u covers the rounding of the result of `cosine` to float32, and another that of the cut itself.
    """
    unit_roundoff = 2.0**-24
    d = dimension + 2
    return d * unit_roundoff / (1 - d * unit_roundoff) * (1.0 + UNIT_TOLERANCE) ** 2


def joined(found: Iterable[Found]) -> Found:
    """Return these pairs, one after the other."""
    empty = np.empty(0, dtype=np.int32)
    every = [(empty, empty, np.empty(0, dtype=np.float32)), *found]
    left, right, similarity = (np.concatenate(parts) for parts in zip(*every, strict=True))
    return left, right, similarity


def sorted_pairs(found: Iterable[Found]) -> Found:
    """Return these pairs as one, sorted by (left, right)."""
    left, right, similarity = joined(found)
    order = np.lexsort((right, left))
    return left[order], right[order], similarity[order]
