"""Exact search over unit vectors: no pair at or above the threshold is missed, and none is listed twice.

`similar_pairs` joins a set with itself; `nearest` finds the closest rows of another set.
"""

from __future__ import annotations

from dupdetect.search.exact import (
    Neighbours,
    SimilarPairs,
    TooManyPairsError,
    cosine,
    float32_error,
    nearest,
    similar_pairs,
    unit_rows,
)

__all__ = [
    "Neighbours",
    "SimilarPairs",
    "TooManyPairsError",
    "cosine",
    "float32_error",
    "nearest",
    "similar_pairs",
    "unit_rows",
]
