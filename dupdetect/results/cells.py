"""How numbers, counts and added columns are written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["below_half", "counted", "exact", "free_names", "rounded"]


def counted(number: int, noun: str) -> str:
    """Write a number of things, for example "1 row" or "1,200 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def exact(similarity: np.float32) -> str:
    """Write a float32 so that reading it gives the same number: rounding could move it across the threshold."""
    return str(similarity)


def rounded(probability: float) -> str:
    return "" if math.isnan(probability) else f"{probability:.6f}"


def below_half(probabilities: Iterable[float]) -> int:
    """Return how many are below one half as they are written, so that a count agrees with the column; NaN is not."""
    return sum(float(rounded(value)) < 0.5 for value in probabilities if not math.isnan(value))


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
