"""How numbers, counts and added columns are written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["below_half", "counted", "exact", "free_names", "line_by_line", "rounded", "slices"]

_LINES_AT_ONCE = 10_000


def counted(number: int, noun: str) -> str:
    """Write a number of things, for example "1 row" or "1,200 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def exact(similarity: np.float32) -> str:
    """Write a float32 so that reading it gives the same number: rounding could move it across the threshold."""
    return str(similarity)


def rounded(probability: float) -> str:
    return "" if math.isnan(probability) else f"{probability:.6f}"


def below_half(probabilities: NDArray[np.float64]) -> int:
    """Return how many are below one half as they are written, so that a count agrees with the column; NaN is not."""
    close = probabilities[(probabilities > 0.499) & (probabilities < 0.501)]
    return int((probabilities <= 0.499).sum()) + sum(float(rounded(value)) < 0.5 for value in close.tolist())


def slices(lines: int) -> Iterator[slice]:
    """Yield the parts in which so many lines are written, so that the objects of all are never there at once."""
    return (slice(start, start + _LINES_AT_ONCE) for start in range(0, lines, _LINES_AT_ONCE))


def line_by_line(*columns: NDArray[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the items of equally long arrays together, as Python's own, without making those of all lines at once."""
    for part in slices(len(columns[0])):
        yield from zip(*(column[part].tolist() for column in columns), strict=True)


def free_names(columns: Sequence[str], added: Sequence[str]) -> tuple[str, ...]:
    """Return the names of added columns. When the input (an earlier result, say) has one of them already, all of them
    get a prefix, and a number too when it has one with this prefix: kept, dupdetect_kept, dupdetect_kept_2, ...
    """
    names = tuple(added)
    for number in itertools.count(1):
        if not set(columns).intersection(names):
            break
        names = tuple(f"dupdetect_{name}_{number}" if number > 1 else f"dupdetect_{name}" for name in added)
    return names
