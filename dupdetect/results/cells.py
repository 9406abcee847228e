"""How numbers and added columns are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["exact", "free_names", "rounded"]


def exact(similarity: np.float32) -> str:
    """Write a float32 so that reading it gives the same number: rounding could move it across the threshold."""
    return str(similarity)


def rounded(probability: float) -> str:
    return "" if math.isnan(probability) else f"{probability:.6f}"


def free_names(columns: Sequence[str], added: Sequence[str]) -> tuple[str, ...]:
    """Return the names of added columns, prefixed when the input (an earlier result, say) has one of them already."""
    names = tuple(added)
    while set(columns).intersection(names):
        names = tuple(f"dupdetect_{name}" for name in names)
    return names
