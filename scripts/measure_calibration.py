"""How good the probabilities and the certificates of the shipped detectors are.

    python scripts/measure_calibration.py [--tier default] [--tier fast]

For each tier:

- probabilities: the logistic and the isotonic curve, fitted on the calibration split (the evidence in the detector's
  folder), by their log loss on held-out groups there, by which `Calibration.fit` keeps one of them, and by log loss,
  calibration error and Brier score on the validation split; what ships has the one with the lower log loss there;
- decisions: how many of 2,000 validation pairs are decided otherwise at the shipped threshold when they are compared
  1, 8 or 64 at a time instead of all at once, and how near the nearest similarity comes to the threshold;
- certificates: the groups of both splits are a pool whose true precision is known at each threshold. 1,000 times,
  2,000 groups are drawn from it with replacement, and a precision is asked for with 95 % confidence. How many of the
  certified thresholds miss it, how many requests are refused, and the mean recall (0 where refused) beside that of the
  oracle: the lowest threshold with this precision in the pool.

Reads `qqp_pairs.parquet` from ../shared/data, or from the folder in DUPDETECT_DATA. Writes
scripts/results/calibration.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from ledger import RESULTS as FOLDER
from ledger import checksum, machine, revision, versions
from numpy.typing import NDArray
from training_data import QUORA, SPLIT_SEED, natural_splits

from dupdetect import Detector, MinPrecision, QuestionPairs, metrics
from dupdetect.calibration import CalibrationSample
from dupdetect.calibration.link import (
    Link,
    Logistic,
    best_link,
    held_out_log_odds,
    isotonic_link,
    link_to_dict,
    logistic_link,
)
from dupdetect.calibration.measures import calibration_error
from dupdetect.calibration.threshold import choose_threshold
from dupdetect.cli import show
from dupdetect.compared_pairs import compare
from dupdetect.errors import UnreachableCriterionError

OUTPUT = FOLDER / "calibration.json"
KINDS: dict[str, Callable[[CalibrationSample], Link]] = {"logistic": logistic_link, "isotonic": isotonic_link}
BATCHED_PAIRS, BATCHES = 2_000, (1, 8, 64)
PRECISIONS, RESAMPLES, GROUPS, SEED = (0.7, 0.8, 0.9), 1_000, 2_000, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", action="append", choices=["default", "fast"], help="which tiers  [default: both]")
    splits = natural_splits()
    tiers = {}
    for tier in parser.parse_args().tier or ["default", "fast"]:
        detector = Detector.from_pretrained(tier=tier)
        sample = detector.require_calibration().sample
        score = compare(detector.encoder, splits.validation, show, detector.guards).score
        validation = CalibrationSample.of(score, splits.validation.labels, splits.groups["validation"])
        tiers[tier] = {
            "encoder": detector.encoder.fingerprint,
            "probabilities": probabilities(sample, validation),
            "decisions": decisions(detector, splits.validation),
            "certificates": {
                f"{precision:g}": certificates(pooled(sample, validation), precision) for precision in PRECISIONS
            },
        }
        print(tier, json.dumps(tiers[tier], indent=2))
    ledger = {
        "what": "shipped calibrations: curves, decisions in batches, and certificates over resampled groups",
        "data": {"file": QUORA.name, "sha256": checksum(QUORA), "rows": "natural; calibration and validation split"},
        "split_seed": SPLIT_SEED,
        "seed": SEED,
        "machine": machine(),
        "versions": versions(),
        "revision": revision(),
        "tiers": tiers,
    }
    OUTPUT.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")


def probabilities(sample: CalibrationSample, validation: CalibrationSample) -> dict[str, Any]:
    """Return the measures of both curves; pairs that are never duplicates are left out, as both give them 0."""
    some = validation.at(validation.comparable)
    similarity = some.similarity.astype(np.float64)
    found: dict[str, Any] = {
        "fit_keeps": link_to_dict(best_link(sample))["link"],
        "pairs": len(some),
        "labels": len(sample),
    }
    for name, fit in KINDS.items():
        link = fit(sample)
        chance = 1 / (1 + np.exp(-link.log_odds(similarity)))
        held_out = 1 / (1 + np.exp(-held_out_log_odds(fit, sample)[sample.comparable]))
        error, low, high = calibration_error(chance, some.label, some.group)
        found[name] = {
            "held_out_log_loss": metrics.log_loss(held_out, sample.label[sample.comparable]),
            "log_loss": metrics.log_loss(chance, some.label),
            "expected_calibration_error": {"value": error, "low": low, "high": high},
            "brier_score": metrics.brier_score(chance, some.label),
            "knots": 0 if isinstance(link, Logistic) else len(link.scores),
        }
    found["log_loss_gained"] = gained(sample, some)
    return found


def gained(sample: CalibrationSample, some: CalibrationSample) -> dict[str, float]:
    """Return how much lower the log loss of the isotonic curve is, with the interval by resampling groups."""
    similarity = some.similarity.astype(np.float64)
    logit = {name: fit(sample).log_odds(similarity) for name, fit in KINDS.items()}
    loss = {name: np.logaddexp(0, np.where(some.label, -value, value)) for name, value in logit.items()}
    difference = loss["logistic"] - loss["isotonic"]
    low, high = metrics.bootstrap_interval(lambda rows: float(difference[rows].mean()), some.group, seed=SEED)
    return {"value": float(difference.mean()), "low": low, "high": high}


def decisions(detector: Detector, pairs: QuestionPairs) -> dict[str, Any]:
    """Return what the size of a batch changes in similarities and decisions."""
    rows = np.random.default_rng(SEED).choice(len(pairs), BATCHED_PAIRS, replace=False)
    texts = [(pairs.left[row], pairs.right[row]) for row in rows.tolist()]
    threshold = detector.require_calibration().threshold
    together = detector.similarity(texts)

    def compared(size: int) -> dict[str, float]:
        parts = [detector.similarity(texts[start : start + size]) for start in range(0, len(texts), size)]
        similarity = np.concatenate(parts)
        return {
            "decided_otherwise": float(np.mean((similarity >= threshold) != (together >= threshold))),
            "largest_difference": float(np.max(np.abs(similarity - together))),
        }

    values = np.unique(together)
    return {
        "pairs": len(texts),
        "threshold": threshold,
        "batches": {str(size): compared(size) for size in BATCHES},
        "nearest_to_the_threshold": float(np.min(np.abs(values.astype(np.float64) - threshold))),
        "at_the_threshold": int(np.sum(together == np.float32(threshold))),
        "ties": len(together) - len(values),
        "rule": "similarity >= threshold is a duplicate; equal similarities are decided alike",
    }


def pooled(one: CalibrationSample, other: CalibrationSample) -> CalibrationSample:
    """Return both together; they share no group."""
    return CalibrationSample.of(
        np.concatenate([one.similarity, other.similarity]),
        np.concatenate([one.label, other.label]),
        np.concatenate([one.group, other.group + one.group.max() + 1]),
    )


def certificates(pool: CalibrationSample, precision: float) -> dict[str, float]:
    """Return how often a certificate is wrong or refused, and its mean recall beside that of the oracle."""
    cuts = metrics.curve(pool.similarity, pool.label)
    by_group = np.argsort(pool.group, kind="stable")
    members: list[NDArray[np.int64]] = np.split(by_group, np.cumsum(np.bincount(pool.group))[:-1])
    generator = np.random.default_rng(SEED)
    wrong, recalls = 0, []
    for _ in range(RESAMPLES):
        drawn = [members[number] for number in generator.integers(len(members), size=GROUPS).tolist()]
        rows, group = np.concatenate(drawn), np.repeat(np.arange(GROUPS), [len(part) for part in drawn])
        sample = CalibrationSample.of(pool.similarity[rows], pool.label[rows], group)
        try:
            threshold = choose_threshold(MinPrecision(precision), sample, sample.prevalence)
        except UnreachableCriterionError:
            recalls.append(0.0)
            continue
        counts = metrics.counts_at(pool.similarity, pool.label, threshold)
        wrong += counts.precision < precision
        recalls.append(counts.recall)
    oracle = float(cuts.recall[cuts.precision >= precision].max(initial=0.0))
    return {
        "held": 1 - wrong / RESAMPLES,
        "refused": float(np.mean(np.array(recalls) == 0)),
        "recall": float(np.mean(recalls)),
        "recall_of_the_oracle": oracle,
    }


if __name__ == "__main__":
    main()
