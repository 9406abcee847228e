"""Criteria read as words, survive JSON, and refuse what they cannot mean."""

from __future__ import annotations

import json
import math

import pytest
from labelled_similarities import BEST

from dupdetect.calibration import (
    EstimatedPrecision,
    FixedThreshold,
    MaxF1,
    MinPrecision,
    MinRecall,
    criterion_from_dict,
    criterion_to_dict,
)
from dupdetect.errors import ArtifactError, InputError

CRITERIA = [
    *(BEST, MinPrecision(0.9), MinPrecision(0.8, 0.99), MinRecall(0.75), FixedThreshold(0.8)),
    EstimatedPrecision(0.9),
]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_criterion_survives_json(criterion):
    assert criterion_from_dict(json.loads(json.dumps(criterion_to_dict(criterion)))) == criterion


def test_criteria_read_as_plain_words():
    assert str(MaxF1()) == "best F1 on the labelled pairs"
    assert str(MinPrecision(0.95)) == "precision of at least 0.95 with 95 % confidence"
    assert str(MinRecall(0.9)) == "recall of at least 0.9 on the labelled pairs"
    assert str(FixedThreshold(0.8)) == "threshold 0.8 set by hand"
    assert str(EstimatedPrecision(0.9)) == "estimated precision of at least 0.9 in this file"


@pytest.mark.parametrize("value", [0, -0.1, 1.01, math.nan])
def test_targets_out_of_range_are_refused(value):
    with pytest.raises(InputError, match=r"min_precision is .* (at most 1|a number)"):
        MinPrecision(value)
    with pytest.raises(InputError, match=r"min_recall is .* (at most 1|a number)"):
        MinRecall(value)
    for confidence in (value, 1):
        with pytest.raises(InputError, match="confidence is"):
            MinPrecision(0.9, confidence)
    with pytest.raises(InputError, match="must be a number"):
        FixedThreshold(math.inf)


@pytest.mark.parametrize(
    "values", [{}, {"name": "max_accuracy"}, {"name": "min_recall"}, {"name": "min_recall", "recall": 2}]
)
def test_a_damaged_criterion_is_refused(values):
    with pytest.raises(ArtifactError, match="criterion"):
        criterion_from_dict(values)
