"""Train the encoder that dupdetect ships, from one config.

    python scripts/train_default.py WORK --base FOLDER --teacher FOLDER [--seed 0]
    python scripts/export_encoder.py --model WORK/seed-0/encoder      then these two put it into the package
    python scripts/build_detector.py

Reads the data in ../shared/data, or in the folder named by DUPDETECT_DATA. `scripts/default_training.json` is the
config. Run again after an interruption, it goes on where it was; with another config it wants another WORK. What it
writes:

    WORK/teacher.npz          what the teacher says of unlabelled texts, encoded once
    WORK/seed-0/joint/        the base trained by the joint objective: duplicates, and the similarities of the teacher
    WORK/seed-0/triplet-0/    the base trained on triplets with hard negatives; triplet-1, the same with another seed
    WORK/seed-0/shares.json   what the base gives with the joint training added, and the mean of the triplet trainings,
                              by the share of each
    WORK/seed-0/encoder/      the sum that was chosen, a sentence-transformers folder

The shares are those with the best mean gain over the base, of Quora's validation pairs and the development sets of
other domains (`scripts/domains.py`), among those with which none of these sets loses more than 0.005: the texts of a
user are of another domain more often than not. Where all lose more somewhere, they are those that lose least.
Neither the calibration split, nor the test split, nor the sets that are reported on have a part in it. At the end they
are measured once, and written into scripts/results/training.json with those of the base and of other seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
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
from sentence_transformers import SentenceTransformer
from training_data import QUORA, SPLIT_SEED, natural_splits, training_pairs, unlabelled_texts

from dupdetect import QuestionPairs, metrics
from dupdetect.atomic import atomic_file
from dupdetect.cli import show
from dupdetect.encoder import Encoder
from dupdetect.search import cosine
from dupdetect.splits import Splits
from dupdetect.training import Teacher, TrainingConfig, combine_weights, fine_tune
from dupdetect.training.models import compute_type, encode, load_model

LEDGER = RESULTS / "training.json"
CONFIG = Path(__file__).with_name("default_training.json")
JOINT_SHARES = (0.55, 0.77, 1.0)
TRIPLET_SHARES = (0.0, 0.5, 1.0)
LOSS = 0.005

Gains = dict[str, float]
Shares = tuple[float, float]
"""Of the joint training, and of the mean of the triplet trainings."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The trainings that are added up: one `joint`, and `triplets` times `triplet`, each with another seed."""

    joint: TrainingConfig
    triplet: TrainingConfig
    triplets: int

    @classmethod
    def read(cls, path: Path) -> Recipe:
        found = json.loads(path.read_text("utf-8"))
        joint, triplet = (TrainingConfig.from_json(json.dumps(found[name])) for name in ("joint", "triplet"))
        return cls(joint, triplet, found["triplets"])

    def of(self, base: str, seed: int) -> Recipe:
        """The recipe for a base and a seed; no two seeds share a triplet training."""
        return Recipe(
            dataclasses.replace(self.joint, base=base, seed=seed),
            dataclasses.replace(self.triplet, base=base, seed=seed * self.triplets),
            self.triplets,
        )

    def trainings(self) -> dict[str, TrainingConfig]:
        """Each training by the name of its folder."""
        more = (dataclasses.replace(self.triplet, seed=self.triplet.seed + number) for number in range(self.triplets))
        return {"joint": self.joint} | {f"triplet-{number}": config for number, config in enumerate(more)}

    def to_dict(self) -> dict[str, Any]:
        """What is the same for every seed and wherever the base lies."""
        parts = {"joint": self.joint, "triplet": self.triplet}
        written = {name: json.loads(config.to_json()) for name, config in parts.items()}
        return {name: options | {"base": TrainingConfig().base, "seed": None} for name, options in written.items()} | {
            "triplets": self.triplets
        }


def main() -> None:
    options = arguments()
    place = options.work / f"seed-{options.seed}"
    place.mkdir(parents=True, exist_ok=True)
    splits = natural_splits()
    splits.check()
    pairs = {"joint": training_pairs(splits), "triplet": splits.train}
    for name, train in pairs.items():
        print(f"{name}: {len(train):,} pairs to train on, {train.labels.mean():.1%} duplicates")
    recipe = Recipe.read(options.config).of(str(options.base), options.seed)
    for name, config in recipe.trainings().items():
        if not is_trained(place / name, config):
            teacher = None
            if "distillation" in config.parts:
                teacher = taught(unlabelled_texts(), options.teacher, options.work / "teacher.npz")
            train = pairs[name.partition("-")[0]]
            fine_tune(config, train, splits.validation, place / name, resume=True, teacher=teacher, progress=show)
    tuned = {name: place / name for name in recipe.trainings()}
    found = measured_shares(options.base, tuned, splits.validation, place)
    shares = chosen(found)
    print("shares of the joint and of the triplet trainings: {:g} and {:g}".format(*shares))
    combined(options.base, tuned, shares).save(str(place / "encoder"), create_model_card=False)
    ledger = started(recipe)
    for name, model in (("base", options.base), (f"seed {options.seed}", place / "encoder")):
        if name not in ledger["models"] or name != "base":
            ledger["models"][name] = measured_here(as_encoder(model), splits)
    ledger["models"][f"seed {options.seed}"] |= {
        "pairs": {name: len(train) for name, train in pairs.items()},
        "shares_of_trainings": dict(zip(("joint", "triplet"), shares, strict=True)),
        "shares": found,
        "curves": {name: curve(folder) for name, folder in tuned.items()},
        "weights_sha256": checksum(place / "encoder" / "model.safetensors"),
        "revision": revision(),
    }
    LEDGER.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")


def curve(tuned: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tuned / "metrics.jsonl").read_text("utf-8").splitlines()]


def started(recipe: Recipe) -> dict[str, Any]:
    """The ledger so far, where it is of the same recipe and data; else an empty one."""
    head = {
        "what": "the recipe of the shipped encoder by seed, measured once on the test split and on other domains",
        "config": recipe.to_dict(),
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


def measured_shares(base: Path, tuned: dict[str, Path], validation: QuestionPairs, place: Path) -> dict[str, Gains]:
    """What each two shares reach, by `named`; those of 0 and 0 are the base itself. Of these very weights nothing is
    measured twice."""
    path = place / "shares.json"
    weights = {name: checksum(folder / "model.safetensors") for name, folder in tuned.items()}
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    found = before["shares"] if before.get("tuned_sha256") == weights else {}
    for shares in ((0.0, 0.0), *itertools.product(JOINT_SHARES, TRIPLET_SHARES)):
        if named(shares) not in found:
            with tempfile.TemporaryDirectory() as folder:
                combined(base, tuned, shares).save(folder, create_model_card=False)
                encoder = as_encoder(Path(folder))
            quora = {"Quora validation": pair_average_precision(encoder, validation)}
            found[named(shares)] = quora | development(encoder)
            print(named(shares), found[named(shares)], flush=True)
            path.write_text(json.dumps({"tuned_sha256": weights, "shares": found}, indent=2) + "\n", "utf-8")
    return found


def named(shares: Shares) -> str:
    return "{:g} and {:g}".format(*shares)


def combined(base: Path, tuned: dict[str, Path], shares: Shares) -> SentenceTransformer:
    """The base with the joint training added as far as its share, and the mean of the others as far as theirs."""
    joint, triplets = shares
    each = {name: joint if name == "joint" else triplets / (len(tuned) - 1) for name in tuned}
    return combine_weights(
        load_model(str(base)), [(load_model(str(folder)), each[name]) for name, folder in tuned.items()]
    )


def pair_average_precision(encoder: Encoder, pairs: QuestionPairs) -> float:
    nodes = pairs.nodes()
    rows = encoder.encode(list(nodes.texts))
    return metrics.average_precision(metrics.curve(cosine(rows[nodes.left], rows[nodes.right]), pairs.labels))


def chosen(measured_by: dict[str, Gains]) -> Shares:
    """The shares with the best mean gain over the base, Quora's validation pairs being one measure among the others, of
    those that lose at most `LOSS` anywhere; the ones that lose least where there are none."""
    base = measured_by[named((0.0, 0.0))]

    def merit(shares: Shares) -> tuple[float, float]:
        gains = [measured_by[named(shares)][name] - base[name] for name in base]
        return min(min(gains), -LOSS), float(np.mean(gains))

    return max(itertools.product(JOINT_SHARES, TRIPLET_SHARES), key=merit)


if __name__ == "__main__":
    main()
