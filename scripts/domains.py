"""How an encoder does outside the questions that it was trained on.

    python scripts/domains.py base=FOLDER tuned=FOLDER [-o results.json]

Each FOLDER holds a sentence-transformers model, which is exported to int8 ONNX first, or an exported one. Every number
is of what a detector would run. Two sets of measures, neither of which shares a text with what is trained on, or with
what the teacher is asked about:

- *development*: to choose by (the shares of the trainings in the weights, the recipe): a quarter of the forum questions
  of SemEval 2016, a third each of PARADE train and STS, one-shot on a third of BANKING77 train and on CLINC150
  validation.
- *test*: to report: the other half of the forum (titles; titles and bodies), PARADE validation, MEDIQA, one-shot on
  BANKING77 test, CLINC150 test and HWU64.

Pairs are measured by average precision, one-shot by accuracy among all classes (= Recall@1 over one reference each).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from ledger import checksum, machine, versions
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from training_data import (
    DATA,
    banking_train,
    forum_halves,
    forum_quarters,
    parade_thirds,
    rows_of,
    sts_thirds,
    with_body,
)

from dupdetect import metrics
from dupdetect.encoder import Encoder
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.encoder.static import StaticEncoder
from dupdetect.evaluation import n_way_accuracy
from dupdetect.search import cosine
from dupdetect.text import canonical
from dupdetect.training import export_onnx, export_static
from dupdetect.training.models import load_model

FILES = (
    "semeval16_forum", "parade", "mediqa_rqe_train", "sts12_16", "banking77", "clinc150", "hwu64",
)  # fmt: skip
DRAWS = 20


def development(encoder: Encoder) -> dict[str, float]:
    parade, sts = parade_thirds()[1], sts_thirds()[1]
    titles, posts = (forum_quarters(bodies=bodies)[1] for bodies in (False, True))
    banking = banking_train()[1]
    clinc = rows_of("clinc150").filter(pl.col("split") == "val")
    return {
        "forum titles, related too": _pairs(encoder, titles["question1"], titles["question2"], titles["label_relaxed"]),
        "forum titles and bodies, related too": _pairs(
            encoder, posts["question1"], posts["question2"], posts["label_relaxed"]
        ),
        "PARADE train, a third": _pairs(encoder, parade["question1"], parade["question2"], parade["label"]),
        "STS, a third, 4 to 5 against 0 to 3": _pairs(encoder, sts["question1"], sts["question2"], sts["label"]),
        "BANKING77 train, a third, 1 shot": _one_shot(encoder, banking),
        "CLINC150 validation, 1 shot": _one_shot(encoder, clinc),
    }


def test(encoder: Encoder) -> dict[str, float]:
    forum, medical = forum_halves()[1], rows_of("mediqa_rqe_train")
    parade = rows_of("parade").filter(pl.col("split") == "validation")
    return {
        "forum titles": _pairs(encoder, forum["question1"], forum["question2"], forum["label"]),
        "forum titles, related too": _pairs(encoder, forum["question1"], forum["question2"], forum["label_relaxed"]),
        "forum titles and bodies": _pairs(encoder, with_body(forum, 1), with_body(forum, 2), forum["label"]),
        "PARADE validation": _pairs(encoder, parade["question1"], parade["question2"], parade["label"]),
        "MEDIQA": _pairs(encoder, medical["question1"], medical["question2"], medical["label"]),
        "BANKING77 test, 1 shot": _one_shot(encoder, rows_of("banking77").filter(pl.col("split") == "test")),
        "CLINC150 test, 1 shot": _one_shot(encoder, rows_of("clinc150").filter(pl.col("split") == "test")),
        "HWU64, 1 shot": _one_shot(encoder, rows_of("hwu64")),
    }


def as_encoder(folder: Path) -> Encoder:
    """The encoder that a detector would run: of an exported folder, or of a sentence-transformers one."""
    if (folder / "model.onnx").exists():
        return OnnxEncoder.load(folder)
    if (folder / "vectors.npy").exists():
        return StaticEncoder.load(folder)
    model = load_model(str(folder))
    with tempfile.TemporaryDirectory() as place:
        if isinstance(model[0], StaticEmbedding):
            return StaticEncoder.load(export_static(model, place))
        return OnnxEncoder.load(export_onnx(model, place))


def _pairs(encoder: Encoder, left: pl.Series, right: pl.Series, labels: pl.Series) -> float:
    sides = [[canonical(text) for text in side.to_list()] for side in (left, right)]
    texts, slots = np.unique(sides[0] + sides[1], return_inverse=True)
    embeddings = encoder.encode(texts.tolist())
    similarity = cosine(embeddings[slots[: len(left)]], embeddings[slots[len(left) :]])
    return metrics.average_precision(metrics.curve(similarity, labels.cast(pl.Boolean).to_numpy()))


def _one_shot(encoder: Encoder, rows: pl.DataFrame) -> float:
    return n_way_accuracy(encoder, rows["text"].to_list(), rows["group"].to_list(), shots=1, draws=DRAWS).accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    results = {}
    for name, _, folder in (model.partition("=") for model in options.models):
        encoder = as_encoder(Path(folder))
        results[name] = {"development": development(encoder), "test": test(encoder)}
        for kind, measured in results[name].items():
            for what, value in measured.items():
                print(f"{name:12} {kind:12} {what:30} {value:.4f}", flush=True)
    if options.output:
        found = {
            "data": {f"{name}.parquet": checksum(DATA / f"{name}.parquet") for name in FILES},
            "draws": DRAWS,
            "machine": machine(),
            "versions": versions(),
            "models": results,
        }
        options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
