"""The score of pairs whose similarity says nothing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.link import log_odds, logistic_fit

__all__ = ["cap_where"]

RATE, PAIRS = 0.136, 50
"""Where a guard fires, this share of the pairs are duplicates (`scripts/measure_guards.py`), if few of the labelled
pairs at hand say otherwise: it counts as much as so many of them."""


def cap_where(similarity: NDArray[np.float32], labels: NDArray[np.bool_], fired: NDArray[np.bool_]) -> float:
    """Return the cosine, in [-1, 1], at which as few pairs are duplicates as among those with `fired`.

    similarity: (n,) cosines.  labels: (n,) bool, duplicates.  fired: (n,) bool, pairs whose similarity says nothing.

    The share of duplicates among these is drawn towards `RATE`; the cosine is read off the logistic curve through the
    other pairs. -1 where the similarity of those says nothing either.
    """
    if not labels[~fired].any() or labels[~fired].all():
        return -1.0
    slope, intercept = logistic_fit(CalibrationSample.of(similarity[~fired], labels[~fired]))
    if slope == 0:
        return -1.0
    rate = (float(labels[fired].sum()) + RATE * PAIRS) / (int(fired.sum()) + PAIRS)
    cap = (log_odds(rate) - intercept) / slope
    return float(np.clip(np.float32(cap), -1, 1)) if math.isfinite(cap) else -1.0
