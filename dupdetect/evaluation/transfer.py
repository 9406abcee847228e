"""What a threshold that was chosen elsewhere costs here, and its precision where duplicates are rarer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect import metrics
from dupdetect.calibration import Calibration

_PREVALENCES = (0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True, slots=True)
class ThresholdTransfer:
    """The detector's threshold, chosen on other pairs, against the best one for these.

    chosen_here: whether it was chosen on these very pairs, as far as similarities and labels tell; then nothing here is
    a result.
    chosen_on: a few words on the calibration pairs, "" when nothing was said.  chosen_for: the share of duplicates that
    the threshold was chosen for, chosen_among: the share among the calibration pairs, which can be another (see
    `Calibration.at`); prevalence: the share here, all in [0, 1].
    threshold, f1: the detector's, and what it gives here; f1_where_chosen: what it gives on the calibration pairs,
    weighted so that a share `chosen_for` of them are duplicates.
    best_threshold, best_f1: of all thresholds, on these very pairs (the highest where several are as good; nan and 0
    where none accepts any pair). That has seen the labels: it bounds what a better choice could give.
    loss: best_f1 - f1, at least 0. A threshold that was chosen for a precision or a recall gives up F1 on purpose.
    """

    chosen_here: bool
    chosen_on: str
    chosen_for: float
    chosen_among: float
    prevalence: float
    threshold: float
    f1: float
    f1_where_chosen: float
    best_threshold: float
    best_f1: float
    loss: float


def threshold_transfer(
    calibration: Calibration, similarity: NDArray[np.float32], labels: NDArray[np.bool_]
) -> ThresholdTransfer:
    """Return what the threshold of `calibration` gives on labelled pairs (n,), and what the best one would.

    A similarity of -inf says that the pair is accepted at no threshold.

    Raises InputError when there are not both duplicates and other pairs.
    """
    best, best_threshold = metrics.best_f1(metrics.curve(similarity, labels))
    here = metrics.counts_at(similarity, labels, calibration.threshold).f1
    sample = calibration.sample
    same = np.array_equal(np.sort(similarity)[::-1], sample.similarity) and int(labels.sum()) == int(sample.label.sum())
    return ThresholdTransfer(
        chosen_here=same,
        chosen_on=calibration.data,
        chosen_for=calibration.prevalence,
        chosen_among=calibration.sample.prevalence,
        prevalence=float(labels.mean()),
        threshold=calibration.threshold,
        f1=here,
        f1_where_chosen=calibration.summary()["f1"]["value"],
        best_threshold=best_threshold,
        best_f1=best,
        loss=best - here,
    )


def precision_at_prevalence(
    similarity: NDArray[np.float32], labels: NDArray[np.bool_], threshold: float
) -> dict[str, float]:
    """Return the precision at prevalence q: r q / (r q + f (1 - q)), with recall r and false positive rate f.

    By q as text, from "0.1" down to "0.0001"; nan where nothing is accepted, and where no pair is wrongly accepted:
    that the rate is 0 cannot be told from pairs. `labels` hold both kinds.
    """
    counts = metrics.counts_at(similarity, labels, threshold)
    rate = counts.false_positives / int((~labels).sum())
    found = {q: counts.recall * q + rate * (1 - q) for q in _PREVALENCES}
    return {f"{q:g}": counts.recall * q / found[q] if rate else math.nan for q in _PREVALENCES}
