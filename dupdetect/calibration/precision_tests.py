"""Exact tests of "precision is below p" at some cuts: for pairs as labelled, or at another share of duplicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.measures import precision_at
from dupdetect.metrics import Curve, clopper_pearson_lower, clopper_pearson_upper, design_effect, regularized_beta
from dupdetect.metrics.inputs import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class AsLabelled:
    """Precision tests at some cuts, for pairs with as many duplicates as the labelled ones; effective counts."""

    found: FloatArray
    accepted: FloatArray

    def lower(self, level: float) -> FloatArray:
        return clopper_pearson_lower(self.found, self.accepted, confidence=1 - level)

    def certifies(self, precision: float, level: float) -> BoolArray:
        """Tell where `lower(level) >= precision`, by one evaluation of the binomial tail instead of a search."""
        some = np.maximum(self.found, 1e-9)
        return (self.found > 0) & (regularized_beta(some, self.accepted - self.found + 1, precision) <= level)

    def scaled(self, factor: float) -> AsLabelled:
        return AsLabelled(self.found * factor, self.accepted * factor)


@dataclass(frozen=True, slots=True)
class Reweighted:
    """Precision tests at some cuts, for pairs of which a share `prevalence` are duplicates; effective counts."""

    found: FloatArray
    positives: FloatArray
    mistaken: FloatArray
    negatives: FloatArray
    prevalence: float

    def lower(self, level: float) -> FloatArray:
        found = clopper_pearson_lower(self.found, self.positives, confidence=1 - level / 2)
        mistaken = clopper_pearson_upper(self.mistaken, self.negatives, confidence=1 - level / 2)
        return precision_at(found, mistaken, self.prevalence)

    def certifies(self, precision: float, level: float) -> BoolArray:
        decision: BoolArray = self.lower(level) >= precision
        return decision

    def scaled(self, factor: float) -> Reweighted:
        found, positives = self.found * factor, self.positives * factor
        return Reweighted(found, positives, self.mistaken * factor, self.negatives * factor, self.prevalence)


def precision_tests(
    sample: CalibrationSample, cuts: Curve, tested: IntArray, prevalence: float
) -> AsLabelled | Reweighted:
    found = cuts.true_positives[tested].astype(np.float64)
    mistaken = cuts.false_positives[tested].astype(np.float64)
    accepted = (found + mistaken).astype(np.int64)
    if prevalence == sample.prevalence:
        effect = np.array([design_effect(sample.label[:n], sample.group[:n]) for n in accepted.tolist()])
        return AsLabelled(found / effect, accepted / effect)
    positive, negative = sample.group[sample.label], sample.group[~sample.label]
    # The sample is sorted, so the accepted pairs of a kind are its first ones.
    hit = np.array([design_effect(np.arange(len(positive)) < n, positive) for n in found.tolist()])
    miss = np.array([design_effect(np.arange(len(negative)) >= n, negative) for n in mistaken.tolist()])
    return Reweighted(found / hit, len(positive) / hit, mistaken / miss, len(negative) / miss, prevalence)
