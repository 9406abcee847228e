"""How well probabilities agree with the labels of pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dupdetect.errors import InputError
from dupdetect.metrics.inputs import FloatArray, IntArray, scored


def log_loss(probability: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean negative log likelihood in nats, 0 at best.

    A probability of 0 or 1 counts as 2.2e-16 away from it, as in scikit-learn, so one wrong certainty costs 36 nats.
    """
    chance, label = scored(probability, labels, "probability")
    epsilon = float(np.finfo(np.float64).eps)
    chance = np.clip(chance, epsilon, 1 - epsilon)
    return float(-np.mean(np.where(label, np.log(chance), np.log1p(-chance))))


def brier_score(probability: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean squared difference of probability and label, in [0, 1], 0 at best (Brier 1950)."""
    chance, label = scored(probability, labels, "probability")
    return float(np.mean((chance - label) ** 2))


def expected_calibration_error(probability: ArrayLike, labels: ArrayLike, *, bins: int = 15) -> float:
    """Return how far probabilities lie from observed shares on average, in [0, 1], 0 at best.

    The size-weighted mean over `calibration_bins` of |mean probability - share of duplicates|.
    """
    chance, label = scored(probability, labels, "probability")
    gap = np.bincount(calibration_bins(chance, bins=bins), weights=chance - label)
    return float(np.sum(np.abs(gap)) / len(chance))


def calibration_bins(probability: FloatArray, *, bins: int = 15) -> IntArray:
    """Return (n,) the bin of each probability, 0 to `bins` - 1, rising with it.

    The pairs are ordered by probability and cut into at most `bins` bins of nearly equal size (Nixon et al. 2019,
    "Measuring Calibration in Deep Learning"). Equal probabilities share a bin, so bins can be empty and uneven.

    Raises `InputError` for fewer than 1 bin.
    """
    if bins < 1:
        raise InputError(f"bins is {bins}, and must be at least 1.")
    # Where a value first stands in the order decides its bin: ties cannot be torn apart.
    return np.searchsorted(np.sort(probability), probability).astype(np.int64) * bins // len(probability)
