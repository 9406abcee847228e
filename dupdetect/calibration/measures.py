"""Precision, recall and F1 of a threshold, where any share of the pairs are duplicates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.metrics import bootstrap_intervals, calibration_bins, clopper_pearson, design_effect
from dupdetect.metrics.inputs import BoolArray, FloatArray, IntArray


def precision_at(recall: FloatArray, false_positive_rate: FloatArray, prevalence: float) -> FloatArray:
    """Return TPR q / (TPR q + FPR (1 - q)), and 0 where nothing is accepted."""
    found, mistaken = recall * prevalence, false_positive_rate * (1 - prevalence)
    return np.divide(found, found + mistaken, out=np.zeros_like(found), where=found + mistaken > 0)


def f1_at(recall: FloatArray, false_positive_rate: FloatArray, prevalence: float) -> FloatArray:
    """Return 2 TPR q / (TPR q + FPR (1 - q) + q)."""
    found, mistaken = recall * prevalence, false_positive_rate * (1 - prevalence)
    return 2 * found / (found + mistaken + prevalence)


def measured(
    sample: CalibrationSample, threshold: float, prevalence: float, confidence: float
) -> tuple[dict[str, float | None], dict[str, float | None], dict[str, float | None]]:
    """Return precision, recall and F1 at the threshold, each with its interval; see `Calibration.summary`."""
    accepted = sample.similarity.astype(np.float64) >= threshold
    label, group = sample.label, sample.group
    half = (1 + confidence) / 2
    recall = _share(accepted[label], group[label], confidence)
    found = _share(accepted[label], group[label], half)
    # Read from the other side, because the design effect guards against failures that were not seen.
    spared = _share(~accepted[~label], group[~label], half)
    rates = np.array([[found[i] for i in (0, 1, 2)], [1 - spared[i] for i in (0, 1, 2)]])
    precision = tuple(precision_at(rates[0], rates[1], prevalence).tolist())
    f1 = tuple(f1_at(rates[0], rates[1], prevalence).tolist())
    if prevalence == sample.prevalence:
        if accepted.any():
            precision = _share(label[accepted], group[accepted], confidence)
        # F1 = 2 J / (1 + J), where J is the share of hits among the pairs that are accepted or duplicates.
        either = accepted | label
        f1 = tuple(2 * share / (1 + share) for share in _share((accepted & label)[either], group[either], confidence))
    named = [dict(zip(("value", "low", "high"), values, strict=True)) for values in (precision, recall, f1)]
    if not accepted.any():
        named[0] = {"value": None, "low": 0.0, "high": 1.0}
    return named[0], named[1], named[2]


def _share(successes: BoolArray, groups: NDArray[np.int32], confidence: float) -> tuple[float, float, float]:
    """Return the share of successes and its exact interval at the effective sample size."""
    effect = design_effect(successes, groups)
    low, high = clopper_pearson(successes.sum() / effect, len(successes) / effect, confidence=confidence)
    return float(successes.mean()), low, high


def calibration_error(
    probability: FloatArray,
    label: BoolArray,
    group: NDArray[np.integer],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return `metrics.expected_calibration_error` and its interval by resampling groups; all arrays (n,).

    Even perfect probabilities miss the shares of a few pairs, and resampled pairs miss them more. So the low end is not
    a quantile of the resampled errors, which would never reach 0, but the error less what chance alone makes of it: the
    0.975 quantile of sum |resampled gap - gap| over the bins (by the triangle inequality the true error is not lower).
    The high end is the quantile of the resampled errors. In simulation 96 to 100 % of the 95 % intervals held the true
    error, of perfect probabilities too.
    """
    bins, gap = calibration_bins(probability), probability - label
    whole = np.bincount(bins, weights=gap) / len(gap)

    def errors(rows: IntArray) -> list[float]:
        drawn = np.bincount(bins[rows], weights=gap[rows], minlength=len(whole)) / len(rows)
        return [float(np.sum(np.abs(drawn))), float(np.sum(np.abs(drawn - whole)))]

    value = float(np.sum(np.abs(whole)))
    (_, high), (_, chance) = bootstrap_intervals(errors, group, confidence=confidence, resamples=resamples, seed=seed)
    return value, max(0.0, value - chance), max(value, high)


def percent(share: float) -> str:
    """Return a share in [0, 1] as people read it, with three digits."""
    return f"{100 * share:.3g} %"
