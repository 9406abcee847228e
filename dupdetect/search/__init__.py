"""Exact search over unit vectors: no pair at or above the threshold is missed, and none is listed twice.

`similar_pairs` joins a set with itself; `nearest` finds the closest rows of another set. On request `approximate_pairs`
finds most pairs of a set (extra `ann`), and `certify` measures how many. `Vectors` compares texts with an end that
others share by what stands before it, where the end is the same.
"""

from __future__ import annotations

from dupdetect.search.ann import approximate_pairs, uses_index
from dupdetect.search.blocks import cosine, float32_error
from dupdetect.search.cells import RECALL, index_library
from dupdetect.search.certificate import RecallCertificate, certify
from dupdetect.search.exact import (
    Neighbours,
    SimilarPairs,
    TooManyPairsError,
    nearest,
    similar_pairs,
    unit_rows,
)
from dupdetect.search.vectors import Vectors

__all__ = [
    "RECALL",
    "Neighbours",
    "RecallCertificate",
    "SimilarPairs",
    "TooManyPairsError",
    "Vectors",
    "approximate_pairs",
    "certify",
    "cosine",
    "float32_error",
    "index_library",
    "nearest",
    "similar_pairs",
    "unit_rows",
    "uses_index",
]
