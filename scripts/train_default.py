"""Train the encoder that dupdetect ships, from one config.

    python scripts/train_default.py WORK --base FOLDER --teacher FOLDER [--seed 0]
    python scripts/export_encoder.py --model WORK/seed-0/encoder      then these two put it into the package
    python scripts/build_detector.py

Reads the data in ../shared/data, or in the folder named by DUPDETECT_DATA. `scripts/default_training.json` is the
config. Run again after an interruption, it goes on where it was; with another config it wants another WORK. What it
writes:

    WORK/teacher.npz          what the teacher says of unlabelled texts, encoded once
    WORK/seed-0/tuned/        the model with the best validation score
    WORK/seed-0/shares.json   what averaging it with the base gives, by the base's share
    WORK/seed-0/encoder/      the average that was chosen, a sentence-transformers folder

The share is the one with the best mean gain over the base, of Quora's validation pairs and the development sets of
other domains (`scripts/domains.py`), among those with which none of these sets loses more than 0.005: the texts of a
user are of another domain more often than not. Where every share loses more somewhere, it is the one that loses least.
Neither the calibration split, nor the test split, nor the sets that are reported on have a part in it. At the end they
are measured once, and written into scripts/results/training.json with those of the base and of other seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from domains import as_encoder, development
from ledger import RESULTS, TRAINING, checksum, machine, revision, versions
from measures import measured
from numpy.typing import NDArray
from training_data import QUORA, SPLIT_SEED, natural_splits, training_pairs, unlabelled_texts

from dupdetect import QuestionPairs, metrics
from dupdetect.atomic import atomic_file
from dupdetect.cli import show
from dupdetect.encoder import Encoder
from dupdetect.search import cosine
from dupdetect.splits import Splits
from dupdetect.training import Teacher, TrainingConfig, average_weights, fine_tune
from dupdetect.training.models import compute_type, encode, load_model

LEDGER = RESULTS / "training.json"
CONFIG = Path(__file__).with_name("default_training.json")
SHARES = (0.0, 0.15, 0.3, 0.45)
LOSS = 0.005


def main() -> None:
    options = arguments()
    place = options.work / f"seed-{options.seed}"
    place.mkdir(parents=True, exist_ok=True)
    splits = natural_splits()
    splits.check()
    train = training_pairs(splits)
    print(f"{len(train):,} pairs to train on, {train.labels.mean():.1%} duplicates")
    config = dataclasses.replace(TrainingConfig.read(options.config), base=str(options.base), seed=options.seed)
    tuned = place / "tuned"
    if not is_trained(tuned, config):
        teacher = taught(unlabelled_texts(), options.teacher, options.work / "teacher.npz")
        fine_tune(config, train, splits.validation, tuned, resume=True, teacher=teacher, progress=show)
    shares = measured_shares(options.base, tuned, splits.validation, place)
    share = chosen(shares)
    print(f"share of the base: {share:g}")
    averaged(options.base, tuned, share).save(str(place / "encoder"), create_model_card=False)
    ledger = started(config)
    for name, model in (("base", options.base), (f"seed {options.seed}", place / "encoder")):
        if name not in ledger["models"] or name != "base":
            ledger["models"][name] = measured_here(as_encoder(model), splits)
    curve = [json.loads(line) for line in (tuned / "metrics.jsonl").read_text("utf-8").splitlines()]
    ledger["models"][f"seed {options.seed}"] |= {
        "share_of_base": share,
        "shares": shares,
        "curve": curve,
        "weights_sha256": checksum(place / "encoder" / "model.safetensors"),
        "revision": revision(),
    }
    LEDGER.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")


def started(config: TrainingConfig) -> dict[str, Any]:
    """The ledger so far, where it is of the same config and data; else an empty one."""
    recipe = {**json.loads(config.to_json()), "base": TrainingConfig().base, "seed": None}
    head = {
        "what": "the recipe of the shipped encoder by seed, measured once on the test split and on other domains",
        "config": recipe,
        "data": {"file": QUORA.name, "sha256": checksum(QUORA), "split_seed": SPLIT_SEED},
    }
    if LEDGER.exists():
        before = json.loads(LEDGER.read_text("utf-8"))
        if all(before[key] == head[key] for key in ("config", "data")):
            return {**head, "models": before["models"]}
    return {**head, "models": {}}


def measured_here(encoder: Encoder, splits: Splits) -> dict[str, Any]:
    """What it reaches on the test split, and where: one ledger may hold models that different machines measured."""
    found = measured(encoder, splits.calibration, splits.test)
    return found | {"machine": machine(), "versions": versions(TRAINING)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for checkpoints and results")
    parser.add_argument("--base", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-mpnet-base-v2")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def is_trained(tuned: Path, config: TrainingConfig) -> bool:
    """Whether the model is there already; the script ends where it is one of another config."""
    if not tuned.exists():
        return False
    if TrainingConfig.read(tuned / "training.json") != config:
        raise SystemExit(f"{tuned} was trained with another config. Delete it, or name another WORK.")
    return True


def taught(texts: list[str], teacher: Path, cache: Path) -> Teacher:
    """What the teacher says of the texts."""

    def encoded() -> NDArray[np.float32]:
        model = load_model(str(teacher))
        return encode(model, texts, compute_type("auto", torch.device(model.device)))

    return remembered(texts, encoded, cache)


def remembered(texts: list[str], encoded: Callable[[], NDArray[np.float32]], cache: Path) -> Teacher:
    """A teacher with these vectors of the texts; from the cache, where it holds these texts."""
    if not cache.exists() or stored(cache)[0] != texts:
        rows = encoded()
        with atomic_file(cache, overwrite=True) as path, path.open("wb") as file:
            np.savez(file, texts=np.array(texts), embeddings=rows.astype(np.float16))
    return Teacher(*stored(cache))


def stored(cache: Path) -> tuple[list[str], NDArray[np.float32]]:
    with np.load(cache, allow_pickle=False) as arrays:
        rows = arrays["embeddings"].astype(np.float32)
        return arrays["texts"].tolist(), rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measured_shares(base: Path, tuned: Path, validation: QuestionPairs, place: Path) -> dict[str, dict[str, float]]:
    """What the average with each share of the base reaches; "1" is the base itself. Of these very weights nothing is
    measured twice."""
    path, weights = place / "shares.json", checksum(tuned / "model.safetensors")
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    found = before["shares"] if before.get("tuned_sha256") == weights else {}
    for share in (1.0, *SHARES):
        if f"{share:g}" not in found:
            with tempfile.TemporaryDirectory() as folder:
                averaged(base, tuned, share).save(folder, create_model_card=False)
                encoder = as_encoder(Path(folder))
            quora = {"Quora validation": pair_average_precision(encoder, validation)}
            found[f"{share:g}"] = quora | development(encoder)
            print(f"{share:g}", found[f"{share:g}"], flush=True)
            path.write_text(json.dumps({"tuned_sha256": weights, "shares": found}, indent=2) + "\n", "utf-8")
    return found


def averaged(base: Path, tuned: Path, share: float):
    return average_weights(load_model(str(base)), load_model(str(tuned)), share)


def pair_average_precision(encoder: Encoder, pairs: QuestionPairs) -> float:
    nodes = pairs.nodes()
    rows = encoder.encode(list(nodes.texts))
    return metrics.average_precision(metrics.curve(cosine(rows[nodes.left], rows[nodes.right]), pairs.labels))


def chosen(shares: dict[str, dict[str, float]]) -> float:
    """The share with the best mean gain over the base, Quora's validation pairs being one measure among the others, of
    those that lose at most `LOSS` anywhere; the one that loses least where there is none."""

    def gains(share: str) -> list[float]:
        return [shares[share][name] - shares["1"][name] for name in shares["1"]]

    def merit(share: str) -> tuple[float, float]:
        return min(min(gains(share)), -LOSS), float(np.mean(gains(share)))

    return float(max((share for share in shares if share != "1"), key=merit))


if __name__ == "__main__":
    main()
