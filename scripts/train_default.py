"""Train the encoder that dupdetect ships, from one config.

    python scripts/train_default.py WORK --base FOLDER --teacher FOLDER [--seed 0]
    python scripts/export_encoder.py --model WORK/seed-0/encoder      then these two put it into the package
    python scripts/build_detector.py

Reads the data in ../shared/data, or in the folder named by DUPDETECT_DATA. `scripts/default_training.json` is the
config. Run again after an interruption, it goes on where it was. What it writes:

    WORK/teacher.npz, base.npz          what teacher and base say of unlabelled texts, encoded once
    WORK/seed-0/many-domains/, quora/   the two trainings (`TRAININGS`), each with its best validation score
    WORK/seed-0/shares.json             what averaging their mean with the base gives, by the base's share
    WORK/seed-0/encoder/                the average that was chosen, a sentence-transformers folder

The two trainings differ in their pairs: those of Quora, with or without those of other domains. Both are held to the
mean of the similarities that teacher and base see, which on the development sets is better than either's. They agree in
all else, so the mean of their weights has more of what both learned than either: Wortsman et al., "Model soups", ICML
2022.

The share of the base is the one with the best mean gain over it, of Quora's validation pairs, alone and among all pairs
of their questions, and the development sets of other domains (`scripts/domains.py`), among those with which none of
these loses more than 0.005: the texts of a user are of another domain more often than not. Where every share loses more
somewhere, it is the one that loses least. Neither the calibration split, nor the test split, nor the sets that are
reported on have a part in it. At the end they are measured once, and written into scripts/results/training.json with
those of the base and of other seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from domains import as_encoder, development
from ledger import RESULTS, TRAINING, checksum, machine, revision, versions
from measures import measured
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from training_data import QUORA, SPLIT_SEED, natural_splits, pairs_of_many_domains, training_pairs, unlabelled_texts

from dupdetect import Detector, QuestionPairs, evaluate
from dupdetect.atomic import atomic_file
from dupdetect.cli import show
from dupdetect.encoder import Encoder
from dupdetect.splits import Splits
from dupdetect.training import Teacher, TrainingConfig, average_weights, fine_tune
from dupdetect.training.models import compute_type, encode, load_model

LEDGER = RESULTS / "training.json"
CONFIG = Path(__file__).with_name("default_training.json")
SHARES = (0.0, 0.15, 0.3, 0.45)
LOSS = 0.005


TRAININGS: dict[str, Callable[[Splits], QuestionPairs]] = {
    "many-domains": pairs_of_many_domains,
    "quora": training_pairs,
}


def main() -> None:
    options = arguments()
    place = options.work / f"seed-{options.seed}"
    place.mkdir(parents=True, exist_ok=True)
    splits = natural_splits()
    splits.check()
    config = dataclasses.replace(TrainingConfig.read(options.config), base=str(options.base), seed=options.seed)
    for name, pairs in TRAININGS.items():
        if not (place / name).exists():
            train = pairs(splits)
            print(f"{name}: {len(train):,} pairs to train on, {train.labels.mean():.1%} duplicates", flush=True)
            texts = unlabelled_texts()
            teacher = both(
                taught(texts, options.teacher, options.work / "teacher.npz"),
                taught(texts, options.base, options.work / "base.npz"),
            )
            fine_tune(config, train, splits.validation, place / name, resume=True, teacher=teacher, progress=show)
    shares = measured_shares(options.base, place, splits.validation)
    share = chosen(shares)
    print(f"share of the base: {share:g}")
    averaged(options.base, mean_of_trainings(place), share).save(str(place / "encoder"), create_model_card=False)
    ledger = started(config)
    for name, model in (("base", options.base), (f"seed {options.seed}", place / "encoder")):
        if name not in ledger["models"] or name != "base":
            ledger["models"][name] = measured(as_encoder(model), splits.calibration, splits.test)
    curves = {
        name: [json.loads(line) for line in (place / name / "metrics.jsonl").read_text("utf-8").splitlines()]
        for name in TRAININGS
    }
    ledger["models"][f"seed {options.seed}"] |= {
        "share_of_base": share,
        "shares": shares,
        "curves": curves,
        "weights_sha256": checksum(place / "encoder" / "model.safetensors"),
        "revision": revision(),
    }
    LEDGER.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")


def started(config: TrainingConfig) -> dict[str, Any]:
    """The ledger so far, where it is of the same config; else an empty one."""
    recipe = {**json.loads(config.to_json()), "base": TrainingConfig().base, "seed": None}
    head = {
        "what": "the recipe of the shipped encoder by seed, measured once on the test split and on other domains",
        "config": recipe,
        "trainings": list(TRAININGS),
        "data": {"file": QUORA.name, "sha256": checksum(QUORA), "split_seed": SPLIT_SEED},
        "machine": machine(),
        "versions": versions(TRAINING),
    }
    if LEDGER.exists():
        before = json.loads(LEDGER.read_text("utf-8"))
        if all(before.get(name) == head[name] for name in ("config", "trainings")):
            return {**head, "models": before["models"]}
    return {**head, "models": {}}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for checkpoints and results")
    parser.add_argument("--base", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-mpnet-base-v2")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def taught(texts: Sequence[str], teacher: Path, cache: Path) -> Teacher:
    """What the teacher says of the texts."""

    def encoded() -> NDArray[np.float32]:
        model = load_model(str(teacher))
        return encode(model, texts, compute_type("auto", torch.device(model.device)))

    return remembered(texts, encoded, cache)


def remembered(texts: Sequence[str], encoded: Callable[[], NDArray[np.float32]], cache: Path) -> Teacher:
    """A teacher with these vectors of the texts; from the cache, where it holds these texts."""
    if not cache.exists() or stored(cache)[0] != list(texts):
        rows = encoded()
        with atomic_file(cache, overwrite=True) as path, path.open("wb") as file:
            np.savez(file, texts=np.array(texts), embeddings=rows.astype(np.float16))
    return Teacher(*stored(cache))


def stored(cache: Path) -> tuple[list[str], NDArray[np.float32]]:
    with np.load(cache, allow_pickle=False) as arrays:
        rows = arrays["embeddings"].astype(np.float32)
        return arrays["texts"].tolist(), rows / np.linalg.norm(rows, axis=1, keepdims=True)


def both(teacher: Teacher, other: Teacher) -> Teacher:
    """A teacher whose similarities are the means of two teachers' of the same texts."""
    return Teacher(teacher.texts, np.hstack([teacher.embeddings, other.embeddings]) / np.float32(np.sqrt(2)))


def measured_shares(base: Path, place: Path, validation: QuestionPairs) -> dict[str, dict[str, float]]:
    """What the average with each share of the base reaches; "1" is the base itself."""
    path = place / "shares.json"
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    mean = mean_of_trainings(place)
    for share in (1.0, *SHARES):
        if f"{share:g}" not in found:
            with tempfile.TemporaryDirectory() as folder:
                averaged(base, mean, share).save(folder, create_model_card=False)
                encoder = as_encoder(Path(folder))
            found[f"{share:g}"] = on_validation(encoder, validation) | development(encoder)
            print(f"{share:g}", found[f"{share:g}"], flush=True)
            path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return found


def mean_of_trainings(place: Path) -> SentenceTransformer:
    first, second = (load_model(str(place / name)) for name in TRAININGS)
    return average_weights(first, second, 0.5)


def averaged(base: Path, tuned: SentenceTransformer, share: float) -> SentenceTransformer:
    return average_weights(load_model(str(base)), tuned, share)


def on_validation(encoder: Encoder, validation: QuestionPairs) -> dict[str, float]:
    """Average precisions, on which the threshold has no bearing."""
    found = evaluate(Detector.calibrate(encoder, validation, guards=False), validation)
    return {
        "Quora validation": found.pair.average_precision.value,
        "Quora validation, all pairs": found.mining.average_precision,
    }


def chosen(shares: dict[str, dict[str, float]]) -> float:
    """The share with the best mean gain over the base, Quora's validation being two measures among the others, of
    those that lose at most `LOSS` anywhere; the one that loses least where there is none."""

    def gains(share: str) -> list[float]:
        return [shares[share][name] - shares["1"][name] for name in shares["1"]]

    def merit(share: str) -> tuple[float, float]:
        return min(min(gains(share)), -LOSS), float(np.mean(gains(share)))

    return float(max((share for share in shares if share != "1"), key=merit))


if __name__ == "__main__":
    main()
