"""The score of pairs whose similarity says nothing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.link import log_odds, logistic_fit

__all__ = ["cap_where", "share_by_group"]

RATE, GROUPS = 0.071, 50
"""Where a guard fires, this share of the pairs are duplicates (`scripts/measure_guards.py`), if few of the labelled
pairs at hand say otherwise: it counts as much as so many groups of them."""


def cap_where(
    similarity: NDArray[np.float32], labels: NDArray[np.bool_], fired: NDArray[np.bool_], groups: NDArray[np.int64]
) -> float:
    """Return the cosine, in [-1, 1], at which as few pairs are duplicates as among those with `fired`.

    similarity: (n,) cosines.  labels: (n,) bool, duplicates.  fired: (n,) bool, pairs whose similarity says nothing.
    groups: (n,) equal for pairs that share questions; see `share_by_group`.

    The share of duplicates among those with `fired` is drawn towards `RATE`; the cosine is read off the logistic curve
    through the other pairs. -1 where the similarity of those says nothing either.
    """
    if not labels[~fired].any() or labels[~fired].all():
        return -1.0
    slope, intercept = logistic_fit(CalibrationSample.of(similarity[~fired], labels[~fired]))
    if slope == 0:
        return -1.0
    share, count = share_by_group(labels[fired], groups[fired])
    rate = (share * count + RATE * GROUPS) / (count + GROUPS)
    cap = (log_odds(rate) - intercept) / slope
    return float(np.clip(np.float32(cap), -1, 1)) if math.isfinite(cap) else -1.0


def share_by_group(labels: NDArray[np.bool_], groups: NDArray[np.int64]) -> tuple[float, int]:
    """Return the mean over the groups of the share of duplicates in each, 0 without any; and how many groups there are.

    Questions made from one template (how far is it from A to B, to C, to D ...) are labelled all alike, and there can
    be hundreds of pairs of them: as one group they count once.
    """
    names, place = np.unique(groups, return_inverse=True)
    if not len(names):
        return 0.0, 0
    shares = np.bincount(place, weights=labels) / np.bincount(place)
    return float(shares.mean()), len(names)
