"""Shorter vectors whose products are never below those of the long ones.

In the directions in which rows differ most, few coordinates hold most of a cosine, and what the rest can add is bounded
by its length (Cauchy-Schwarz): with an orthogonal change of axes that splits x into a head h and a tail of length r,

    x.y <= h(x).h(y) + r(x) r(y)

which is the product of the vectors (h, r): a product of a third of the length finds nearly the same pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["shorter_rows"]

# Products of integers go through blocks of 128 coordinates; four more than that take half as long again (measured).
_LENGTHS = (64, 96, 128, 192, 256)
_AXES_FROM, _CHOICE_FROM = 20_000, 1_000  # rows looked at for the axes, and for the number of them
# To look at one candidate takes as long as so many coordinates of a product of integers (measured).
_CANDIDATE = 100_000.0
_INTEGER_ERROR = 0.03  # of such products, about
_ROWS_AT_A_TIME = 8_192
# Of the squared length of a tail: what rounding in float64 may have taken from it.
_ROUNDING = 1e-13


def shorter_rows(rows: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Return (n, e) float32 for `rows` (n, d) of length 1, e <= d: for any two rows, the product of the short ones is
    at least that of the long ones, less 2e-7 for the rounding to float32.

    e is what makes finding the pairs at `threshold` fastest, by a sample of the rows; where nothing is gained these are
    the rows themselves.
    """
    d = rows.shape[1]
    axes = _axes(_spaced(rows, _AXES_FROM))
    sample = _spaced(rows, _CHOICE_FROM)

    def cost(length: int) -> float:
        short = _short(sample, axes, length) if length < d else sample
        products = short @ short.T
        pairs = len(sample) * (len(sample) - 1)
        found = int((products >= threshold - _INTEGER_ERROR).sum()) - len(sample)
        return float(length + _CANDIDATE * max(found, 0) / max(pairs, 1))

    length = min((d, *(length for length in _LENGTHS if length < d)), key=cost)
    return rows if length == d else _short(rows, axes, length)


def _axes(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (d, d): orthogonal unit columns, first those along which the rows are longest."""
    exact = rows.astype(np.float64)
    _, columns = np.linalg.eigh(exact.T @ exact)
    return np.asarray(columns[:, ::-1], dtype=np.float64)


def _short(rows: NDArray[np.float32], axes: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """Return (n, length): the heads of length - 1 and the lengths of the tails, turned so that no coordinate is much
    larger than the others, as the largest one sets the step of the integers. Turning changes no product."""
    turn = _turned(length)
    head_axes, tail_axis = axes[:, : length - 1] @ turn[:-1], turn[-1]
    result = np.empty((len(rows), length), dtype=np.float32)
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        exact = rows[start : start + _ROWS_AT_A_TIME].astype(np.float64)
        head = exact @ head_axes
        tail = np.einsum("ij,ij->i", exact, exact) - np.einsum("ij,ij->i", head, head)
        result[start : start + len(exact)] = head + np.sqrt(np.maximum(tail, 0) + _ROUNDING)[:, None] * tail_axis
    return result


def _turned(length: int) -> NDArray[np.float64]:
    """Return (length, length) orthogonal unit rows without large coordinates, the first with equal ones: the discrete
    Hartley transform, cos(2 pi j k / length) + sin(2 pi j k / length) over the root of the length (Bracewell, Discrete
    Hartley transform, 1983)."""
    angles = 2 * np.pi / length * np.outer(np.arange(length), np.arange(length))
    rows: NDArray[np.float64] = (np.cos(angles) + np.sin(angles)) / np.sqrt(length)
    return rows


def _spaced(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    return rows[:: -(-len(rows) // count)]
