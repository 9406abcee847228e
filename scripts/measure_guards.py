"""What the guards are worth: each alone, all together, and beside a threshold cut as everyone cuts it.

    python scripts/measure_guards.py [--tier default] [--tier fast]

For each tier, with its shipped encoder:

- on the validation split, each guard: the pairs for which it fires, the share of duplicates among them (of all pairs,
  and as the mean over groups of pairs that share questions), and the share that their similarity promises;
- calibrated on the calibration split and measured on the validation split: no guards, all guards, and all but one;
- on the test split and on the half of the forum questions that nothing was chosen by: (a) the cosine cut with the best
  F1 on the very pairs that are reported, as is usual, (b) the threshold from the calibration split without guards,
  (c) the same with guards.

Writes scripts/results/guards.json, which `dupdetect.calibration.cap` takes its share of duplicates from.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

import numpy as np
from ledger import RESULTS, checksum, machine, revision, versions
from numpy.typing import NDArray
from training_data import DATA, QUORA, SPLIT_SEED, forum_halves, natural_splits

from dupdetect import Calibration, Detector, MaxF1, QuestionPairs, metrics
from dupdetect.calibration import cap_where, share_by_group
from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.link import logistic_fit
from dupdetect.cli import show
from dupdetect.compared_pairs import compare
from dupdetect.encoder import Encoder
from dupdetect.graph import connected_components
from dupdetect.guards import GUARDS, Guards

OUTPUT = RESULTS / "guards.json"


@dataclass(frozen=True, slots=True)
class Compared:
    """Labelled pairs, each with its cosine, the guards that fire, and the group of pairs that share questions; pairs
    that are never duplicates have -inf.
    """

    similarity: NDArray[np.float32]
    labels: NDArray[np.bool_]
    fired: NDArray[np.bool_]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, encoder: Encoder, pairs: QuestionPairs) -> Compared:
        compared = compare(encoder, pairs, show)
        nodes = pairs.nodes()
        groups = connected_components(len(nodes.texts), nodes.left, nodes.right)[nodes.left]
        return cls(compared.score, pairs.labels, compared.fired, groups)

    def score(self, guards: Guards | None, heeded: NDArray[np.bool_]) -> NDArray[np.float32]:
        return self.similarity if guards is None else guards.score(self.similarity, self.fired & heeded)


ALL = np.ones(len(GUARDS), dtype=np.bool_)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", action="append", choices=["default", "fast"], help="which tiers  [default: both]")
    splits = natural_splits()
    forum = forum_halves()[1]
    forum_pairs = QuestionPairs.from_columns(
        forum["question1"].to_list(), forum["question2"].to_list(), forum["label"].to_list()
    )
    tiers = {}
    for tier in parser.parse_args().tier or ["default", "fast"]:
        encoder = Detector.from_pretrained(tier=tier).encoder
        calibration = Compared.of(encoder, splits.calibration)
        validation = Compared.of(encoder, splits.validation)
        reported = {"test": Compared.of(encoder, splits.test), "forum titles": Compared.of(encoder, forum_pairs)}
        tiers[tier] = {
            "encoder": encoder.fingerprint,
            "validation": {"fired": fired(validation), "ablation": ablation(calibration, validation)},
            **{name: points(calibration, pairs) for name, pairs in reported.items()},
        }
        print(tier, json.dumps(tiers[tier], indent=2))
    ledger = {
        "what": "guards: each on the validation split, all on the test split and on forum titles",
        "data": {name: checksum(DATA / name) for name in (QUORA.name, "semeval16_forum.parquet")},
        "split_seed": SPLIT_SEED,
        "machine": machine(),
        "versions": versions(),
        "revision": revision(),
        "tiers": tiers,
    }
    OUTPUT.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")


def fired(pairs: Compared) -> dict[str, dict[str, float | int]]:
    """Return for each guard the pairs that it fires for, and how many duplicates there are and seem to be."""
    some = np.isfinite(pairs.similarity)
    any_guard: NDArray[np.bool_] = np.logical_or.reduce(pairs.fired, axis=1)
    plain = some & ~any_guard
    slope, intercept = logistic_fit(CalibrationSample.of(pairs.similarity[plain], pairs.labels[plain]))
    found = {}
    for name, column in (*zip(GUARDS, pairs.fired.T, strict=True), ("any", any_guard)):
        rows = column & some
        promised = 1 / (1 + np.exp(-(slope * pairs.similarity[rows] + intercept)))
        found[name] = {
            "pairs": int(rows.sum()),
            "duplicates": float(pairs.labels[rows].mean()),
            "duplicates_by_group": share_by_group(pairs.labels[rows], pairs.groups[rows])[0],
            "promised_by_similarity": float(promised.mean()),
        }
    return found


def ablation(calibration: Compared, pairs: Compared) -> dict[str, dict[str, float]]:
    """Return the metrics on `pairs` without guards, with all, and with all but one."""
    rows = {"none": None, "all": ALL}
    rows |= {f"all but {name}": ALL & (np.arange(len(GUARDS)) != number) for number, name in enumerate(GUARDS)}
    return {name: point(*decided(calibration, pairs, heeded)) for name, heeded in rows.items()}


def points(calibration: Compared, pairs: Compared) -> dict[str, dict[str, float]]:
    score, fitted = decided(calibration, pairs, None)[:2]
    own = metrics.best_f1(metrics.curve(score, pairs.labels))[1]
    return {
        "a: cosine cut on the pairs reported": point(score, fitted.at(threshold=own), pairs.labels),
        "b: calibrated elsewhere": point(*decided(calibration, pairs, None)),
        "c: calibrated elsewhere, guards": point(*decided(calibration, pairs, ALL)),
    }


def decided(
    calibration: Compared, pairs: Compared, heeded: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], Calibration, NDArray[np.bool_]]:
    """Return the scores of `pairs`, what `calibration` gives for them, and their labels."""
    guards, which = None, ALL
    if heeded is not None:
        some = np.isfinite(calibration.similarity)
        by: NDArray[np.bool_] = np.logical_or.reduce(calibration.fired & heeded, axis=1)
        columns = (calibration.similarity, calibration.labels, by, calibration.groups)
        guards, which = Guards(cap_where(*(column[some] for column in columns))), heeded
    fitted = Calibration.fit(
        calibration.score(guards, which), calibration.labels, encoder="measured", criterion=MaxF1()
    )
    return pairs.score(guards, which), fitted, pairs.labels


def point(score: NDArray[np.float32], calibration: Calibration, labels: NDArray[np.bool_]) -> dict[str, float]:
    counts = metrics.counts_at(score, labels, calibration.threshold)
    probability = calibration.probability(score)
    return {
        "threshold": calibration.threshold,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "average_precision": metrics.average_precision(metrics.curve(score, labels)),
        "expected_calibration_error": metrics.expected_calibration_error(probability, labels),
        "log_loss": metrics.log_loss(probability, labels),
    }


if __name__ == "__main__":
    main()
