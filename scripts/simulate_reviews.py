"""What a few labels of a review are worth on a domain that the shipped calibration has not seen.

    python scripts/simulate_reviews.py

Pools of labelled pairs take the part of an export: the half of the forum titles of SemEval 2016 that nothing was chosen
by, and PARADE validation. Pairs are drawn in bands as `dupdetect.review.candidates` says; a simulated reviewer reveals
the gold label of the first 50, 100 or 200 of them; the calibration is fitted again. Over 200 random draws:

- best F1: precision, recall, F1 and expected calibration error over the whole pool, beside the shipped calibration
  without any label, and the share of draws with too few labels of a kind;
- precision of 0.8: how often it is certified, how often the certificate is wrong (the precision over the whole pool is
  lower), and the mean recall as a share of that of the lowest threshold whose precision over the pool is 0.8 (0 where
  nothing is certified).

Writes scripts/results/reviews.json.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
from ledger import RESULTS, checksum, machine, revision, versions
from numpy.typing import NDArray
from training_data import DATA, forum_halves, rows_of

from dupdetect import Calibration, Detector, MaxF1, MinPrecision, QuestionPairs, metrics
from dupdetect.cli import show
from dupdetect.compared_pairs import compare
from dupdetect.errors import CalibrationError, UnreachableCriterionError
from dupdetect.review.candidates import Candidates
from dupdetect.review.refit import Reviewed, refit

OUTPUT = RESULTS / "reviews.json"
LABELS, DRAWS, SEED, PRECISION, DRAWN = (50, 100, 200), 200, 0, 0.8, 100
FLOOR = 0.05  # probability below which `dedupe` draws nothing


class Pool:
    """The pairs of a domain: scores (n,) float32, labels (n,) bool, and the band of each, -1 for those never drawn."""

    def __init__(self, detector: Detector, rows: pl.DataFrame) -> None:
        pairs = QuestionPairs.from_columns(
            rows["question1"].to_list(), rows["question2"].to_list(), rows["label"].to_list()
        )
        compared = compare(detector.encoder, pairs, show, detector.guards)
        self.score, self.labels = compared.score, pairs.labels
        self.band = bands(compared.similarity, compared.score, detector.require_calibration())

    def drawn(self, generator: np.random.Generator) -> tuple[Candidates, dict[str, str]]:
        """Return pairs drawn for review in the order in which they are asked, and the gold label of each."""
        rows, turn = [], []
        for number in range(self.band.max() + 1):
            chosen = generator.permutation(np.flatnonzero(self.band == number))[:DRAWN]
            rows.append(chosen)
            turn.append(np.arange(len(chosen)))
        row = np.concatenate(rows)[np.argsort(np.concatenate(turn), kind="stable")]
        text = tuple(map(str, row.tolist()))
        size = np.bincount(self.band[self.band >= 0]).astype(np.float64)
        candidates = Candidates(
            key=text,
            left_id=text,
            right_id=text,
            left_row=row,
            right_row=row,
            score=self.score[row],
            kind=("above",) * len(row),
            band=self.band[row],
            band_pairs=size[self.band[row]],
            counted=np.ones(len(row), dtype=np.bool_),
            left_text=text,
            right_text=text,
        )
        gold = np.where(self.labels[row], "duplicate", "different").tolist()
        return candidates, dict(zip(text, gold, strict=True))

    def precision_and_recall(self, threshold: float) -> tuple[float, float]:
        counts = metrics.counts_at(self.score, self.labels, threshold)
        return counts.precision, counts.recall

    def quality(self, calibration: Calibration) -> tuple[float, float, float, float]:
        """Return F1, expected calibration error, precision and recall over the pool."""
        counts = metrics.counts_at(self.score, self.labels, calibration.threshold)
        error = metrics.expected_calibration_error(calibration.probability(self.score), self.labels)
        return counts.f1, error, counts.precision, counts.recall


def bands(similarity: NDArray[np.float32], score: NDArray[np.float32], calibration: Calibration) -> NDArray[np.int64]:
    """Return the band of each pair: five of equally many that are accepted, one that guards rule out, three below."""
    threshold = calibration.threshold
    steps = np.linspace(-1, 1, 2001)
    floor = steps[np.searchsorted(calibration.probability(steps), FLOOR)]
    band = np.full(len(score), -1, dtype=np.int64)
    accepted = np.flatnonzero(score >= threshold)
    rank = np.argsort(np.argsort(-score[accepted], kind="stable"))
    band[accepted] = 5 * rank // max(1, len(accepted))
    comparable = np.isfinite(score)
    band[comparable & (similarity >= threshold) & (score < threshold)] = 5
    below = comparable & (similarity < threshold) & (similarity >= floor)
    edges = np.linspace(threshold, floor, 4)
    band[below] = 5 + np.clip(np.searchsorted(-edges, -similarity[below].astype(np.float64), side="right"), 1, 3)
    drawn = band >= 0
    band[drawn] = np.unique(band[drawn], return_inverse=True)[1]
    return band


def simulated(pool: Pool, detector: Detector, labels: int, oracle_recall: float) -> dict[str, float | None]:
    """Return means over the draws."""
    generator = np.random.default_rng([SEED, labels])
    quality, recall, certified, wrong = [], [], 0, 0
    for _ in range(DRAWS):
        candidates, gold = pool.drawn(generator)
        given = {key: gold[key] for key in candidates.key[:labels]}
        reviewed = Reviewed.of(candidates, given, detector.guards)
        fit: dict[str, Any] = {"encoder": detector.encoder.fingerprint, "source": "simulated"}
        try:
            quality.append(pool.quality(refit(reviewed, **fit, criterion=MaxF1())))
        except CalibrationError:
            recall.append(0.0)
            continue
        try:
            threshold = refit(reviewed, **fit, criterion=MinPrecision(PRECISION)).threshold
        except UnreachableCriterionError:
            recall.append(0.0)
            continue
        precision, found = pool.precision_and_recall(threshold)
        certified += 1
        wrong += precision < PRECISION
        recall.append(found)
    columns = np.array(quality).reshape(-1, 4)
    return {
        "too_few_of_a_kind": 1 - len(quality) / DRAWS,
        "f1": float(columns[:, 0].mean()) if quality else None,
        "f1_10th_percentile": float(np.quantile(columns[:, 0], 0.1)) if quality else None,
        "expected_calibration_error": float(columns[:, 1].mean()) if quality else None,
        "precision": float(columns[:, 2].mean()) if quality else None,
        "recall": float(columns[:, 3].mean()) if quality else None,
        "certified": certified / DRAWS,
        "wrong_certificates": wrong / DRAWS,
        "recall_over_oracle": float(np.mean(recall)) / oracle_recall if oracle_recall else None,
    }


def measured(pool: Pool, detector: Detector) -> dict[str, Any]:
    shipped = detector.require_calibration()
    cuts = metrics.curve(pool.score, pool.labels)
    oracle = float(np.max(cuts.recall, where=cuts.precision >= PRECISION, initial=0))
    f1, error, precision, recall = pool.quality(shipped)
    return {
        "pairs": len(pool.labels),
        "duplicates": int(pool.labels.sum()),
        "pairs_in_bands": int((pool.band >= 0).sum()),
        "shipped": {"f1": f1, "expected_calibration_error": error, "precision": precision, "recall": recall},
        "best_f1_of_any_threshold": float(cuts.f1.max()),
        "oracle_recall_at_precision": oracle,
        "labels": {str(labels): simulated(pool, detector, labels, oracle) for labels in LABELS},
    }


def main() -> None:
    detector = Detector.from_pretrained()
    pools = {
        "forum titles": forum_halves()[1],
        "PARADE validation": rows_of("parade").filter(pl.col("split") == "validation"),
    }
    results = {}
    for name, rows in pools.items():
        results[name] = measured(Pool(detector, rows), detector)
        print(name, json.dumps(results[name], indent=2), flush=True)
    ledger = {
        "what": "the shipped detector, calibrated again from simulated reviews of other domains; means over the draws",
        "data": {f"{name}.parquet": checksum(DATA / f"{name}.parquet") for name in ("semeval16_forum", "parade")},
        "draws": DRAWS,
        "seed": SEED,
        "precision": PRECISION,
        "encoder": detector.encoder.fingerprint,
        "machine": machine(),
        "versions": versions(),
        "revision": revision(),
        "results": results,
    }
    OUTPUT.write_text(json.dumps(ledger, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
