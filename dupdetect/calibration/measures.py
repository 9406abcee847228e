"""Precision, recall and F1 of a threshold, where any share of the pairs are duplicates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.metrics import clopper_pearson, design_effect
from dupdetect.metrics.inputs import BoolArray, FloatArray


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


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"
