"""The measures that recipes are compared by, of what a detector would run: the int8 export of a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from domains import test

from dupdetect import Detector, QuestionPairs, evaluate
from dupdetect.encoder import Encoder


def measured(
    encoder: Encoder, calibration: QuestionPairs, pairs: QuestionPairs, *, elsewhere: bool = True
) -> dict[str, Any]:
    """Calibrate on one part, measure on the other, and (`elsewhere`) on other domains."""
    found = evaluate(Detector.calibrate(encoder, calibration), pairs, seed=0)
    row: dict[str, Any] = {
        "threshold": found.pair.threshold,
        "average_precision": asdict(found.pair.average_precision),
        "f1": asdict(found.pair.f1),
        "mining_average_precision": found.mining.average_precision,
        "mining_floor": found.mining.floor,
        "recall_at_1": found.retrieval.recall_at_1,
    }
    if elsewhere:
        others = test(encoder)
        row |= {"other_domains": others, "other_domains_mean": float(np.mean(list(others.values())))}
    return row
