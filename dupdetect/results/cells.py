"""How numbers are written into cells."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["exact", "rounded"]


def exact(similarity: np.float32) -> str:
    """Write a float32 so that reading it gives the same number: rounding could move it across the threshold."""
    return str(similarity)


def rounded(probability: float) -> str:
    return "" if math.isnan(probability) else f"{probability:.6f}"
