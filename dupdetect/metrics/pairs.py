"""How well similarities, cut at a threshold, agree with the labels of pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dupdetect.errors import InputError
from dupdetect.metrics.inputs import FloatArray, IntArray, check_share, scored


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs were found rightly, found wrongly, and missed."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float:
        """Share of the found pairs that are duplicates, in [0, 1]; nan when none was found."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the duplicates that were found, in [0, 1]; nan when there are none."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), in [0, 1]; nan when all three are 0."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What each possible threshold would do, from the most careful to the most generous.

    `threshold` (k,) holds the distinct finite similarities, descending; `true_positives` and `false_positives` (k,)
    count the pairs with similarity >= threshold; `positives` and `negatives` count all pairs, each at least 1. Pairs of
    similarity -inf are accepted at no threshold: they make no cut, and duplicates among them stay missed.
    """

    threshold: FloatArray
    true_positives: IntArray
    false_positives: IntArray
    positives: int
    negatives: int

    @property
    def precision(self) -> FloatArray:
        """Share of the accepted pairs that are duplicates, (k,) in [0, 1]."""
        return self.true_positives / (self.true_positives + self.false_positives)

    @property
    def recall(self) -> FloatArray:
        """Share of the duplicates that are accepted, (k,) in [0, 1], rising to 1 if no similarity is -inf."""
        return self.true_positives / self.positives

    @property
    def false_positive_rate(self) -> FloatArray:
        """Share of the other pairs that are accepted, (k,) in [0, 1], rising to 1 if no similarity is -inf."""
        return self.false_positives / self.negatives

    @property
    def f1(self) -> FloatArray:
        """Harmonic mean of precision and recall, (k,) in [0, 1]."""
        # One division of whole numbers, so that equal values compare equal.
        return 2 * self.true_positives / (self.true_positives + self.false_positives + self.positives)


def curve(similarity: ArrayLike, labels: ArrayLike) -> Curve:
    """Return the counts at every distinct similarity that a threshold can accept, which is any but -inf.

    Raises `InputError` when the arrays do not match, or there are not both duplicates and other pairs.

    >>> cuts = curve([0.9, 0.8, 0.8, 0.1], [1, 1, 0, 0])
    >>> cuts.threshold.tolist(), cuts.true_positives.tolist(), cuts.false_positives.tolist()
    ([0.9, 0.8, 0.1], [1, 2, 2], [0, 1, 2])
    """
    score, label = scored(similarity, labels, "similarity")
    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        found = "not a duplicate" if positives == 0 else "a duplicate"
        raise InputError(f"All {len(label)} pairs are labelled {found}: both kinds of pairs are needed.")
    order = np.argsort(-score, kind="stable")[: np.count_nonzero(np.isfinite(score))]
    score, label = score[order], label[order]
    last_of_tie = np.flatnonzero(np.diff(score, append=-np.inf))
    true_positives = np.cumsum(label, dtype=np.int64)[last_of_tie]
    return Curve(score[last_of_tie], true_positives, last_of_tie + 1 - true_positives, positives, negatives)


def average_precision(cuts: Curve) -> float:
    """Return the step-wise area under precision over recall, in [0, 1].

    The sum of precision times the gain in recall over the distinct thresholds, without interpolation, as
    scikit-learn's `average_precision_score`. Duplicates that no threshold accepts add nothing.
    """
    return float(np.sum(np.diff(cuts.recall, prepend=0.0) * cuts.precision))


def roc_auc(cuts: Curve) -> float:
    """Return the chance that a duplicate is more similar than another pair, ties counting half, in [0, 1].

    The trapezoid area under recall over false positive rate (Hanley and McNeil 1982).
    """
    # Pairs that no threshold accepts come last, all equal.
    recall = np.concatenate([[0.0], cuts.recall, [1.0]])
    mistaken = np.append(cuts.false_positive_rate, 1.0)
    return float(np.sum(np.diff(mistaken, prepend=0.0) * (recall[1:] + recall[:-1]) / 2))


def best_f1(cuts: Curve) -> tuple[float, float]:
    """Return the best F1 in [0, 1] and its threshold (the highest one where several are as good).

    Where no threshold accepts any pair there is none: (0, nan).
    The threshold is tuned on the pairs at hand, so on fresh pairs the value will be lower.
    """
    if not len(cuts.threshold):
        return 0.0, math.nan
    best = int(np.argmax(cuts.f1))
    return float(cuts.f1[best]), float(cuts.threshold[best])


def recall_at_precision(cuts: Curve, precision: float) -> float:
    """Return the best recall among the thresholds whose precision is at least `precision`; 0 where there is none."""
    check_share(precision, "precision")
    return float(np.max(cuts.recall, where=cuts.precision >= precision, initial=0.0))


def counts_at(similarity: ArrayLike, labels: ArrayLike, threshold: float) -> PairCounts:
    """Return the counts (and by its properties precision, recall and F1) when accepting similarity >= threshold."""
    score, label = scored(similarity, labels, "similarity")
    accepted = score >= threshold
    found = int(np.sum(accepted & label))
    return PairCounts(found, int(accepted.sum()) - found, int(label.sum()) - found)


def accuracy(similarity: ArrayLike, labels: ArrayLike, threshold: float) -> float:
    """Return the share of right decisions at `threshold`, in [0, 1]."""
    score, label = scored(similarity, labels, "similarity")
    return float(np.mean((score >= threshold) == label))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
