"""What it changes to run the shipped encoder's weights with torch instead of onnxruntime.

    python scripts/measure_device.py                   torch on the processor
    python scripts/measure_device.py --device cuda     on a graphics card

The same weights, but nothing is rounded to 8 bits between layers: `dupdetect.encoder.on_device`, and in float32 also
`SentenceTransformer(folder)`. Reads the natural rows of `qqp_pairs.parquet` from ../shared/data, or from the folder in
DUPDETECT_DATA. Writes scripts/results/device.json: how far vectors and similarities are apart, and how many decisions
on labelled pairs of the test split differ, at the threshold that the detector ships with. Nothing is fitted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
from ledger import RESULTS, checksum, machine, versions
from training_data import QUORA, natural_splits

from dupdetect import Detector, QuestionPairs
from dupdetect.cli import show
from dupdetect.detector import SHIPPED
from dupdetect.encoder.on_device import DeviceEncoder, Precision
from dupdetect.encoder.sentence_transformer import sentence_transformer
from dupdetect.metrics import average_precision, curve
from dupdetect.results import Decisions
from dupdetect.search import cosine
from dupdetect.text import canonical

LEDGER = RESULTS / "device.json"
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--precision", choices=get_args(Precision), action="append", help="these only; repeat it")
    options = parser.parse_args()
    test = natural_splits().test
    pairs = test.select(np.sort(np.random.default_rng(SEED).permutation(len(test))[: options.pairs]))
    questions = [canonical(text) for text in pairs.nodes().texts[: options.questions]]
    detector = Detector.from_pretrained()
    usual = detector.decide(pairs, progress=show)
    expected = detector.encoder.encode(questions)
    model = sentence_transformer(SHIPPED["default"], device=options.device)
    rows = np.asarray(model.encode(questions, batch_size=64), dtype=np.float32)
    ledger = {
        "what": "the shipped encoder's weights run by torch, beside onnxruntime, on labelled pairs of the test split",
        "data": {"file": QUORA.name, "sha256": checksum(QUORA)},
        "encoder": detector.encoder.fingerprint,
        "threshold": detector.require_calibration().threshold,
        "seed": SEED,
        "pairs": len(pairs),
        "questions": len(questions),
        "device": options.device,
        "machine": machine(),
        "versions": versions(("numpy", "onnxruntime", "torch", "transformers", "sentence-transformers")),
        "usual": measured(usual, pairs),
        "sentence_transformer": {"cosine": spread(cosine(expected, rows))},
        "precisions": {},
    }
    for precision in options.precision or get_args(Precision):
        encoder = DeviceEncoder.load(SHIPPED["default"], device=options.device, precision=precision, batch_tokens=256)
        with tempfile.TemporaryDirectory() as place:  # each text is encoded once
            there = replace(detector, encoder=encoder).cached(Path(place) / "vectors")
            decisions, rows = there.decide(pairs, progress=show), there.encoder.encode(questions)
        moved = np.abs(decisions.similarity - usual.similarity)
        ledger["precisions"][precision] = {
            **measured(decisions, pairs),
            "cosine": spread(cosine(expected, rows)),
            "similarity_moved": {
                "mean": round(float(moved.mean()), 5),
                "99%": round(float(np.quantile(moved, 0.99)), 5),
                "most": round(float(moved.max()), 5),
                "mean_signed": round(float((decisions.similarity - usual.similarity).mean()), 5),
            },
            "decisions_that_differ": int((decisions.duplicate != usual.duplicate).sum()),
        }
        print(json.dumps(ledger["precisions"][precision]))
    LEDGER.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")


def measured(decisions: Decisions, pairs: QuestionPairs) -> dict[str, float]:
    labels = pairs.labels.astype(bool)
    right, found = int((decisions.duplicate & labels).sum()), int(decisions.duplicate.sum())
    return {
        "average_precision": round(average_precision(curve(decisions.similarity, labels)), 5),
        "f1": round(2 * right / (found + int(labels.sum())), 5),
        "precision": round(right / found, 5),
        "recall": round(right / int(labels.sum()), 5),
    }


def spread(cosines: np.ndarray) -> dict[str, float]:
    return {"mean": round(float(cosines.mean()), 5), "least": round(float(cosines.min()), 5)}


if __name__ == "__main__":
    main()
