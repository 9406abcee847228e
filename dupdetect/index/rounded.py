"""Rows rounded to 8-bit integers, kept beside the rows themselves: a search reads a quarter of the bytes.

A row is x = s a + e, with a step s of its own, integers a in [-127, 127] and a remainder e of known length; a query is
y = t b + f, with integers b in [-63, 63]. As in `dupdetect.search.integers`, the cosine is near the product of these:

    |x.y - s t a.b| <= ||e|| ||t b|| + ||x|| ||f||

So what cannot be among the highest, or reach a threshold, is told from the integers alone; `search.cosine` decides on
the others, a few hundred of half a million.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RoundedQueries", "round_rows"]

_LEFT, _RIGHT, _ZERO = 127, 63, 128
_LONGEST_ROW = 1.001  # of unit rows
# The decision is made on a similarity rounded to float32, and the bound itself is a sum of rounded numbers.
_SLACK = 1e-6


def round_rows(rows: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return (n, d) uint8, the integers plus 128, and (n, 2) float32: the step, and the length of the remainder, or a
    little more.

    rows: (n, d) float32, of length 1.
    """
    exact = rows.astype(np.float64)
    step = (np.abs(exact).max(axis=1) / _LEFT).astype(np.float32)
    integers = np.clip(np.rint(exact / step[:, None]), -_LEFT, _LEFT)
    remainder = np.linalg.norm(exact - integers * step[:, None].astype(np.float64), axis=1).astype(np.float32)
    kept = np.column_stack([step, np.nextafter(remainder, np.float32(np.inf))]).astype(np.float32)
    return (integers + _ZERO).astype(np.uint8), kept


@dataclass(frozen=True, slots=True, eq=False)
class RoundedQueries:
    """q queries. columns: (d, q) int8.  step: the real value of one, for all of them.  error: (q,) float32, of each the
    length of the remainder.  norm: (q,) float32, the length of the rounded query."""

    columns: NDArray[np.int8]
    step: np.float32
    error: NDArray[np.float32]
    norm: NDArray[np.float32]

    @classmethod
    def of(cls, queries: NDArray[np.float32]) -> RoundedQueries:
        """Round queries (q, d) of length 1, q at least 1."""
        exact = queries.astype(np.float64)
        step = np.float32(np.abs(exact).max() / _RIGHT)
        integers = np.clip(np.rint(exact / step), -_RIGHT, _RIGHT)
        rounded = integers * np.float64(step)
        return cls(
            np.ascontiguousarray(integers.astype(np.int8).T),
            step,
            np.linalg.norm(exact - rounded, axis=1).astype(np.float32),
            np.linalg.norm(rounded, axis=1).astype(np.float32),
        )

    def near(self, products: NDArray[np.int32], steps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (m, q) float32, what the cosine of each row and query is near to; `errors` says how near at least.

        products: (m, q) of the integers.  steps: (m,) of the rows.
        """
        near = products.astype(np.float32)
        near *= (steps * self.step)[:, None]
        return near

    def errors(self, remainders: NDArray[np.float32], queries: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return float32, how far the cosines of rows and of these queries are from `near` at most.

        remainders: of the rows; of any shape that goes with that of `queries`.
        """
        bounds: NDArray[np.float32] = remainders * self.norm[queries] + (_LONGEST_ROW * self.error + _SLACK)[queries]
        return bounds

    def cuts(self, kept: NDArray[np.float32], threshold: float) -> NDArray[np.int32]:
        """Return (m,) int32: a row whose product of integers with a query is lower does not reach the threshold."""
        bound = self.norm.max() * kept[:, 1].astype(np.float64) + _LONGEST_ROW * float(self.error.max()) + 2 * _SLACK
        cut = np.floor((threshold - bound) / (kept[:, 0].astype(np.float64) * float(self.step)))
        limits = np.iinfo(np.int32)
        cuts: NDArray[np.int32] = np.clip(cut, limits.min, limits.max).astype(np.int32)
        return cuts
