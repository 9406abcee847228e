"""The labelled pairs, decided at a threshold that was chosen elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect import metrics
from dupdetect.calibration.measures import calibration_error


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval by resampling groups of pairs that share questions.

    nan where it is not defined, or where all resamples agree: of pairs without a single error each resample is without
    one too, which does not make the value certain. That of the calibration error: `calibration_error`.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairMetrics:
    """On the labelled pairs, at the detector's threshold where one is needed.

    unlike: pairs that differ in words which the encoder does not know, and so are never taken for duplicates.
    average_precision: over all thresholds; duplicates that are unlike count as never found.  roc_auc: unlike pairs
    stand last, all equal.
    recall_at_precision_90, _95: the best recall among all thresholds with at least that precision on these pairs, 0
    where none has it.  best_f1: likewise of all thresholds. Both have seen the labels, and say what a perfect choice of
    threshold would have given, no more.
    """

    pairs: int
    duplicates: int
    unlike: int
    threshold: float
    average_precision: Interval
    f1: Interval
    precision: Interval
    recall: Interval
    accuracy: Interval
    roc_auc: float
    recall_at_precision_90: Interval
    recall_at_precision_95: Interval
    best_f1: float
    expected_calibration_error: Interval
    log_loss: float


def pair_metrics(
    similarity: NDArray[np.float32],
    probability: NDArray[np.float64],
    labels: NDArray[np.bool_],
    groups: NDArray[np.int64],
    threshold: float,
    seed: int,
) -> PairMetrics:
    """Return the metrics of labelled pairs, all (n,); `groups` is the same for pairs that hang together by questions.

    A similarity of -inf says that the pair is accepted at no threshold.

    Raises InputError when there are not both duplicates and other pairs.
    """

    def at_the_threshold(rows: NDArray[np.int64]) -> list[float]:
        counts = metrics.counts_at(similarity[rows], labels[rows], threshold)
        right = metrics.accuracy(similarity[rows], labels[rows], threshold)
        return [counts.f1, counts.precision, counts.recall, right]

    def over_thresholds(rows: NDArray[np.int64]) -> list[float]:
        cuts = metrics.curve(similarity[rows], labels[rows])
        recalls = (metrics.recall_at_precision(cuts, precision) for precision in (0.90, 0.95))
        return [metrics.average_precision(cuts), *recalls]

    f1, precision, recall, accuracy = _intervals(at_the_threshold, groups, seed)
    average_precision, recall_at_90, recall_at_95 = _intervals(over_thresholds, groups, seed)
    value, low, high = calibration_error(probability, labels, groups, seed=seed)
    cuts = metrics.curve(similarity, labels)
    return PairMetrics(
        pairs=len(labels),
        duplicates=int(labels.sum()),
        unlike=int(np.isneginf(similarity).sum()),
        threshold=threshold,
        average_precision=average_precision,
        f1=f1,
        precision=precision,
        recall=recall,
        accuracy=accuracy,
        roc_auc=metrics.roc_auc(cuts),
        recall_at_precision_90=recall_at_90,
        recall_at_precision_95=recall_at_95,
        best_f1=metrics.best_f1(cuts)[0],
        expected_calibration_error=Interval(value, low, high) if low < high else Interval(value, math.nan, math.nan),
        log_loss=metrics.log_loss(probability, labels),
    )


def _intervals(
    statistics: Callable[[NDArray[np.int64]], list[float]], groups: NDArray[np.int64], seed: int
) -> list[Interval]:
    values = statistics(np.arange(len(groups)))
    return [
        Interval(value, low, high) if low < high else Interval(value, math.nan, math.nan)
        for value, (low, high) in zip(values, metrics.bootstrap_intervals(statistics, groups, seed=seed), strict=True)
    ]
