"""Train the fast tier: static token vectors that learn from the default encoder and from the same pairs.

    python scripts/train_fast.py WORK --base FOLDER
    python scripts/train_fast.py --calibrate            trains nothing: fits the calibration of what ships again, and
                                                        has the default tier that ships now beside it

Reads the data in ../shared/data, or in the folder named by DUPDETECT_DATA. FOLDER is the base of the default encoder,
whose network gives the first vectors; the teacher is the default encoder as it ships, asked about unlabelled texts and
about the questions of the train split. `scripts/fast_training.json` is the config. Writes

    WORK/teacher.npz            what the teacher says, encoded once
    WORK/untrained, WORK/tuned  sentence-transformers folders
    dupdetect/pretrained_fast   the detector: vectors, threshold from the calibration split, model card
    scripts/results/fast.json   it, the untrained vectors and the default tier, measured once on the test split
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from domains import as_encoder
from ledger import RESULTS, ROOT, TRAINING, checksum, machine, revision, versions
from measures import calibrated, link_of, measured
from train_default import is_trained, remembered
from training_data import QUORA, SPLIT_SEED, natural_splits, rows_of, training_pairs, unlabelled_texts

from dupdetect import Detector, QuestionPairs
from dupdetect.cli import show
from dupdetect.guards import GUARDS
from dupdetect.model_card import for_sentence_transformers
from dupdetect.text import canonical
from dupdetect.training import TrainingConfig, export_static, fine_tune, static_model
from dupdetect.training.models import load_model

LEDGER = RESULTS / "fast.json"
CONFIG = Path(__file__).with_name("fast_training.json")
SHIPPED = ROOT / "dupdetect" / "pretrained_fast"
DIMENSION = 256
TEACHERS_TEXTS = 60_000
NAME = "dupdetect-fast"


def main() -> None:
    options = arguments()
    splits = natural_splits()
    splits.check()
    if options.calibrate:
        detector = calibrated(as_encoder(SHIPPED), splits, NAME)
        ledger = json.loads(LEDGER.read_text("utf-8"))
        models = ledger["models"]
        models["default"] = default_measures(models["fast"])
        detector.save_pretrained(SHIPPED, overwrite=True, model_card=model_card(detector, models))
        LEDGER.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")
        return
    options.work.mkdir(parents=True, exist_ok=True)
    train = training_pairs(splits)
    texts = teachers_texts(train)
    default = Detector.from_pretrained().encoder
    untrained, tuned = options.work / "untrained", options.work / "tuned"
    if not untrained.exists():
        static = static_model(load_model(str(options.base)), DIMENSION, texts)
        static.save(str(untrained), create_model_card=False)
    config = dataclasses.replace(TrainingConfig.read(CONFIG), base=str(untrained))
    if not is_trained(tuned, config):
        teacher = remembered(texts, lambda: default.encode(texts), options.work / "teacher.npz")
        fine_tune(config, train, splits.validation, tuned, resume=True, teacher=teacher, progress=show)
    with tempfile.TemporaryDirectory() as folder:
        encoder = as_encoder(export_static(tuned, folder))
    detector = calibrated(encoder, splits, NAME)
    models = {
        "untrained": measured(as_encoder(untrained), splits.calibration, splits.test),
        "fast": measured(encoder, splits.calibration, splits.test),
    }
    models["default"] = default_measures(models["fast"])
    detector.save_pretrained(SHIPPED, overwrite=True, model_card=model_card(detector, models))
    ledger = {
        "what": "the fast tier beside its vectors before training and the default tier, measured once",
        "config": {**json.loads(config.to_json()), "base": "untrained"},
        "teacher_texts": len(texts),
        "data": {"file": QUORA.name, "sha256": checksum(QUORA), "split_seed": SPLIT_SEED},
        "machine": machine(),
        "versions": versions(TRAINING),
        "revision": revision(),
        "bytes": sum(file.stat().st_size for file in SHIPPED.iterdir()),
        "curve": [json.loads(line) for line in (tuned / "metrics.jsonl").read_text("utf-8").splitlines()],
        "models": models,
    }
    LEDGER.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")


def default_measures(like: dict[str, Any]) -> dict[str, Any]:
    """The same measures of the encoder that ships, which `train_default.py` has made."""
    exported = json.loads((RESULTS / "export_encoder.json").read_text("utf-8"))["model"]["weights_sha256"]
    models = json.loads((RESULTS / "training.json").read_text("utf-8"))["models"].values()
    shipped = next(model for model in models if model.get("weights_sha256") == exported)
    return {name: shipped[name] for name in like}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", help="folder for checkpoints and results")
    parser.add_argument("--base", type=Path, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--calibrate", action="store_true", help="fit the calibration of what ships again")
    options = parser.parse_args()
    if not options.calibrate and (options.work is None or options.base is None):
        parser.error("WORK and --base are needed to train.")
    return options


def teachers_texts(train: QuestionPairs) -> list[str]:
    """A sample of the questions to train on, and unlabelled ones of other domains; none that is measured on."""
    other = [
        canonical(text) for name in ("query_wellformedness", "stackoverflow_titles") for text in rows_of(name)["text"]
    ]
    every = sorted({*train.nodes().texts, *unlabelled_texts(), *other} - {""})
    chosen = np.random.default_rng(SPLIT_SEED).permutation(len(every))[:TEACHERS_TEXTS]
    return [every[row] for row in sorted(chosen.tolist())]


def model_card(detector: Detector, models: dict[str, Any]) -> str:
    found, guards = detector.require_calibration().summary(), detector.guards
    assert guards is not None

    def row(name: str, *path: str) -> str:
        values = []
        for model in ("untrained", "fast", "default"):
            value: Any = models[model]
            for key in path:
                value = value[key]
            values.append(f"{value:.3f}")
        return f"| {name} | {' | '.join(values)} |"

    rows = [
        row("average precision, labelled pairs", "average_precision", "value"),
        row("F1 at the threshold, labelled pairs", "f1", "value"),
        row("average precision, all pairs of the test questions", "mining_average_precision"),
        row("Recall@1", "recall_at_1"),
        *(row(name, "other_domains", name) for name in models["fast"]["other_domains"]),
    ]
    table = "\n".join(rows)
    return f"""---
license: apache-2.0
language: en
base_model: sentence-transformers/all-MiniLM-L6-v2
---
# {NAME}

The fast tier of dupdetect: a vector of {detector.encoder.dimension} numbers for each token, a text is their sum, and no
network runs. Many times faster than the default tier, and weaker: word order means nothing to it.

## Parts

- `vectors.npy`, `scales.npy`, `tokenizer.json`: made by `scripts/train_fast.py`. The vectors began as what
  all-MiniLM-L6-v2 (Apache-2.0) makes of each token, and learned from the default tier's similarities of unlabelled
  questions and from the train split of Quora Question Pairs.
- `dupdetect.json`, `evidence.npz`: the threshold, and the similarities and labels (no texts) it was chosen from.
- `modules.json`: how sentence-transformers reads the vectors out of `vectors.npy`.

{for_sentence_transformers("dupdetect/pretrained_fast")}
## Calibration

- Data: {found["data"]}; {found["pairs"]:,} pairs in {found["groups"]:,} groups that share no question,
  {found["prevalence"]:.1%} duplicates.
- Criterion: {found["criterion"]}. Threshold: cosine {found["threshold"]:.4f}.
- Probabilities: {link_of(detector)} curve through these pairs, the likelier of two on the validation split.
- Guards ({", ".join(GUARDS)}): a pair that differs in nothing else scores at most {guards.cap:.4f}.

## Measured once on the test split and on other domains

Without guards. Other domains: average precision, or accuracy with one example per class.

| | vectors before training | this model | default tier |
|---|---|---|---|
{table}

## Limits

- Texts of the same words in another order are the same to it, and a *not* weighs no more than any word, unless a guard
  fires.
- The base has seen Quora duplicates in its own training, so these numbers are optimistic.
- Quora Question Pairs is under Quora's terms of service, for non-commercial use; no text of it is in this folder.
- English.
"""


if __name__ == "__main__":
    main()
