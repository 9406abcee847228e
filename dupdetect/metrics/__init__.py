"""Arrays in, numbers out: how well similarities, probabilities, rankings and groupings agree with labels.

Everywhere `similarity` is (n,) finite, larger is closer; `labels` is (n,) of booleans or 0 / 1, True for a duplicate;
a pair is predicted a duplicate when `similarity >= threshold`. Equal similarities are never told apart, so that no
number depends on the order of the rows. A ratio with nothing below the line (the precision of no prediction) is nan.

    pairs           curve -> average_precision, roc_auc, best_f1, recall_at_precision; counts_at, accuracy
    probabilities   log_loss, brier_score, expected_calibration_error, calibration_bins
    intervals       clopper_pearson (exact), design_effect (for dependent pairs), bootstrap_interval(s)
    rankings        recall_at_k, mean_reciprocal_rank, mean_average_precision, ndcg_at_k
    groupings       pair_counts
"""

from __future__ import annotations

from dupdetect.metrics.beta import regularized_beta
from dupdetect.metrics.groupings import pair_counts
from dupdetect.metrics.intervals import (
    bootstrap_interval,
    bootstrap_intervals,
    clopper_pearson,
    clopper_pearson_lower,
    clopper_pearson_upper,
    design_effect,
)
from dupdetect.metrics.pairs import (
    Curve,
    PairCounts,
    accuracy,
    average_precision,
    best_f1,
    counts_at,
    curve,
    recall_at_precision,
    roc_auc,
)
from dupdetect.metrics.probabilities import brier_score, calibration_bins, expected_calibration_error, log_loss
from dupdetect.metrics.rankings import QueryMean, mean_average_precision, mean_reciprocal_rank, ndcg_at_k, recall_at_k

__all__ = [
    "Curve",
    "PairCounts",
    "QueryMean",
    "accuracy",
    "average_precision",
    "best_f1",
    "bootstrap_interval",
    "bootstrap_intervals",
    "brier_score",
    "calibration_bins",
    "clopper_pearson",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "counts_at",
    "curve",
    "design_effect",
    "expected_calibration_error",
    "log_loss",
    "mean_average_precision",
    "mean_reciprocal_rank",
    "ndcg_at_k",
    "pair_counts",
    "recall_at_k",
    "recall_at_precision",
    "regularized_beta",
    "roc_auc",
]
