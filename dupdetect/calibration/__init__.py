"""Similarity to probability, and the threshold that meets a criterion.

There is no threshold that suits every encoder and every task, so there is no default one: `Calibration.fit` chooses it
on held-out labelled pairs, and keeps those similarities and labels (never the texts), so that `Calibration.at` can
choose another operating point later without encoding anything again. A pair is a duplicate when
`similarity >= threshold`, everywhere. The chosen threshold lies midway between the least similar accepted pair and the
next less similar one, so that rounding in the last digits of a similarity does not change a decision. Pairs that are
never duplicates, whatever their cosine, have the similarity -inf here: no threshold accepts them, so duplicates among
them count as missed, and what is promised is about what is decided. Where guards fire, "similarity" means the lower
score that they leave a pair (`dupdetect.guards`, `cap_where`).

    MaxF1()                      the best F1 on the labelled pairs
    MinPrecision(0.95)           the lowest threshold certified to have this precision, or a refusal
    MinRecall(0.9)               the highest threshold that finds this share of the labelled duplicates
    FixedThreshold(0.8)          what `at(threshold=0.8)` records: a number that somebody else answers for
"""

from __future__ import annotations

from dupdetect.calibration.calibration import Calibration
from dupdetect.calibration.cap import cap_where, share_by_group
from dupdetect.calibration.criteria import (
    Criterion,
    EstimatedPrecision,
    FixedThreshold,
    MaxF1,
    MinPrecision,
    MinRecall,
    criterion_from_dict,
    criterion_to_dict,
)
from dupdetect.calibration.evidence import CalibrationSample

__all__ = [
    "Calibration",
    "CalibrationSample",
    "Criterion",
    "EstimatedPrecision",
    "FixedThreshold",
    "MaxF1",
    "MinPrecision",
    "MinRecall",
    "cap_where",
    "criterion_from_dict",
    "criterion_to_dict",
    "share_by_group",
]
