"""The ablation table: what each choice of training is worth, everything else equal.

    python scripts/ablate.py WORK --base FOLDER --teacher FOLDER [--steps 60] [--only ROW ...]

Every row trains on the natural train split for the same number of steps of the same number of pairs, with the same
seed, and is exported to int8. Measured are the test pairs (AP), all pairs of the test questions (mining average
precision), Recall@1 among them, and the mean over the other domains of `scripts/domains.py`. The rows "random split"
are trained and measured on a split of the pairs at random, which shares questions between its parts: what they gain
over their neighbours is the leak, not the training.

Writes scripts/results/ablation.json after every row; run again, it goes on with the rows that are missing, unless
budget, data, machine or versions are others: then it wants that file moved away.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from domains import as_encoder
from ledger import RESULTS, TRAINING, checksum, machine, revision, versions
from measures import measured
from train_default import is_trained, taught
from training_data import QUORA, SPLIT_SEED, natural_splits, quora_pairs, unlabelled_texts

from dupdetect import QuestionPairs
from dupdetect.cli import show
from dupdetect.training import Teacher, TrainingConfig, average_weights, fine_tune
from dupdetect.training.models import load_model

TABLE = RESULTS / "ablation.json"
SEED = 0
JOINT = {"objective": "joint", "weights": {"contrastive": 1.0, "ranking": 1.0}}
ROWS: Mapping[str, dict[str, Any]] = {
    "contrastive, margin": {"objective": "contrastive", "form": "margin"},
    "contrastive, logistic": {"objective": "contrastive"},
    "contrastive, logistic, random split": {"objective": "contrastive"},
    "contrastive, logistic, half duplicates": {"objective": "contrastive", "positive_share": 0.5},
    "triplet, random negatives": {"objective": "triplet", "negatives": "random", "margin": 0.2},
    "triplet, semi-hard negatives": {"objective": "triplet", "negatives": "semi-hard", "margin": 0.2},
    "triplet, hard negatives": {"objective": "triplet", "negatives": "hard", "margin": 0.2},
    "triplet, semi-hard then hard negatives": {"objective": "triplet", "negatives": "scheduled", "margin": 0.2},
    "ranking": {"objective": "ranking"},
    "joint": JOINT,
    "joint, with triplets": {
        "objective": "joint",
        "weights": {"contrastive": 1.0, "ranking": 1.0, "triplet": 1.0},
        "negatives": "scheduled",
        "margin": 0.2,
    },
    "joint, batches without the group rule": JOINT | {"group_aware": False},
    "joint, topics": JOINT | {"topics": 100},
    "joint, margin form, half duplicates, teacher": {
        "objective": "joint",
        "weights": {"contrastive": 1.0, "ranking": 1.0, "distillation": 40.0},
        "form": "margin",
        "positive_share": 0.5,
    },
    "joint, topics, teacher": {
        "objective": "joint",
        "weights": {"contrastive": 1.0, "ranking": 1.0, "distillation": 40.0},
        "topics": 100,
    },
}
AVERAGED = ("joint", "joint, topics, teacher")
"""Rows that are also measured as averages with the base, half and half."""
RANDOM = "random split"
VALIDATION = 1_500
"""Pairs. Every row ends after the same steps, so they choose nothing; they show that it has learned."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """The pairs of an experiment."""

    train: QuestionPairs
    validation: QuestionPairs
    calibration: QuestionPairs
    test: QuestionPairs


def main() -> None:
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    budget = {"steps": options.steps, "batch_size": 128, "learning_rate": options.learning_rate, "seed": SEED}
    results = started(budget)
    splits = natural_splits()
    glance = splits.validation.select(np.arange(VALIDATION))
    safe = Parts(splits.train, glance, splits.calibration, splits.test)
    leaky = random_parts(quora_pairs(natural=True), safe)
    for name, parts in (("base", safe), (f"base, {RANDOM}", leaky)):
        if name not in results["rows"] and (not options.only or name in options.only):
            row = measured(as_encoder(options.base), parts.calibration, parts.test, elsewhere=RANDOM not in name)
            keep(results, name, row, 0.0)
    teacher = None
    for name, choices in ROWS.items():
        if name in results["rows"] or (options.only and name not in options.only):
            continue
        parts = leaky if RANDOM in name else safe
        config = TrainingConfig(
            base=str(options.base), evaluate_every=options.steps, checkpoint_every=25, **budget, **choices
        )
        if "distillation" in config.parts and teacher is None:
            teacher = taught(unlabelled_texts(), options.teacher, "auto", options.work / "teacher.npz")
        tuned = options.work / f"ablation-{options.steps}" / name.replace(", ", "_").replace(" ", "-")
        tuned.parent.mkdir(exist_ok=True)
        minutes = trained(config, parts, tuned, teacher)
        keep(
            results,
            name,
            measured(as_encoder(tuned), parts.calibration, parts.test, elsewhere=RANDOM not in name),
            minutes,
        )
        if name in AVERAGED:
            half = tuned.with_name(tuned.name + "_half")
            average_weights(load_model(str(options.base)), load_model(str(tuned)), 0.5).save(
                str(half), create_model_card=False
            )
            keep(
                results,
                f"{name}, averaged with the base",
                measured(as_encoder(half), parts.calibration, parts.test),
                minutes,
            )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for checkpoints")
    parser.add_argument("--base", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-mpnet-base-v2")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--only", nargs="*", metavar="ROW")
    return parser.parse_args()


def random_parts(pairs: QuestionPairs, like: Parts) -> Parts:
    """Parts as large as those of `like`, of pairs drawn at random: what most published scores are measured on."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(pairs))
    ends = np.cumsum([len(getattr(like, name)) for name in ("train", "validation", "calibration", "test")])
    return Parts(*(pairs.select(np.sort(rows)) for rows in np.split(order[: ends[-1]], ends[:-1])))


def trained(config: TrainingConfig, parts: Parts, output: Path, teacher: Teacher | None) -> float | None:
    """Train unless it is done; return the minutes it took, None where it was interrupted and nobody knows."""
    minutes = output / "minutes"
    if not is_trained(output, config):
        resumed = output.with_name(f"{output.name}.training").exists()
        start = time.perf_counter()
        fine_tune(
            config,
            parts.train,
            parts.validation,
            output,
            resume=True,
            teacher=teacher if "distillation" in config.parts else None,
            # In the random split parts share questions: that is what its rows are there to show.
            shared_questions=True,
            progress=show,
        )
        if not resumed:
            minutes.write_text(f"{(time.perf_counter() - start) / 60:.2f}")
    return float(minutes.read_text()) if minutes.exists() else None


def started(budget: dict[str, Any]) -> dict[str, Any]:
    """The results so far, or none yet; the script ends where they were made otherwise."""
    head = {
        "what": "one choice of training at a time, at equal budget; measured once on the test split",
        "budget": budget,
        "data": {"file": QUORA.name, "sha256": checksum(QUORA), "rows": "natural", "split_seed": SPLIT_SEED},
        "machine": machine(),
        "versions": versions(TRAINING),
    }
    if TABLE.exists():
        before = json.loads(TABLE.read_text("utf-8"))
        other = [key for key in head if before.get(key) != head[key]]
        if other:
            raise SystemExit(f"{TABLE} was made otherwise ({', '.join(other)}). Move it away to begin a new table.")
        return before
    return head | {"rows": {}}


def keep(results: dict[str, Any], name: str, row: dict[str, Any], minutes: float | None) -> None:
    results["rows"][name] = row | {"minutes": minutes, "revision": revision()}
    TABLE.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(name, json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
