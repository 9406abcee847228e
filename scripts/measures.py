"""The measures that recipes are compared by, of what a detector would run: the int8 export of a model."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from domains import test
from training_data import SPLIT_SEED

from dupdetect import Detector, MaxF1, QuestionPairs, evaluate
from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.link import Link, Logistic, isotonic_link, logistic_link
from dupdetect.cli import show
from dupdetect.compared_pairs import compare
from dupdetect.encoder import Encoder
from dupdetect.splits import Splits


def calibrated(encoder: Encoder, splits: Splits, name: str) -> Detector:
    """The detector that ships with this encoder: best F1 on the calibration split, and of the curves through it the one
    that is likelier on the validation split."""
    detector = Detector.calibrate(
        encoder,
        splits.calibration,
        criterion=MaxF1(),
        groups=splits.groups["calibration"],
        data=f"Quora Question Pairs, natural rows, calibration split (question-disjoint, seed {SPLIT_SEED})",
        name=name,
        progress=show,
    )
    calibration, pairs = detector.require_calibration(), splits.validation
    validation = CalibrationSample.of(compare(encoder, pairs, show, detector.guards).score, pairs.labels)
    some = validation.at(validation.comparable)

    def loss(link: Link) -> float:
        value = link.log_odds(some.similarity.astype(np.float64))
        return float(np.mean(np.logaddexp(0, np.where(some.label, -value, value))))

    link = min((logistic_link(calibration.sample), isotonic_link(calibration.sample)), key=loss)
    return replace(detector, calibration=replace(calibration, link=link))


def link_of(detector: Detector) -> str:
    """The kind of curve that its probabilities come from, with its article."""
    return "the logistic" if isinstance(detector.require_calibration().link, Logistic) else "the isotonic"


def measured(
    encoder: Encoder, calibration: QuestionPairs, pairs: QuestionPairs, *, elsewhere: bool = True
) -> dict[str, Any]:
    """Calibrate on one part, measure on the other, and (`elsewhere`) on other domains: the encoder alone, no guards."""
    found = evaluate(Detector.calibrate(encoder, calibration, guards=False), pairs, seed=0)
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
