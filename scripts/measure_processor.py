"""What this kind of processor makes of the shipped detector: the same answers, and how fast.

    python scripts/measure_processor.py --base FOLDER

Run it on machines of several kinds: each adds its own entry to scripts/results/processors.json, by the instructions
that its processor has for products of integers. FOLDER is all-MiniLM-L6-v2, whose `encode` is the measure of speed.

- answers: the calibration split is scored anew and compared with what the detector's folder holds of it, from the
  machine that it was made on. Both are sorted, and the furthest apart at one place are named.
- encoding: 2,000 questions by `SentenceTransformer(FOLDER).encode` and by the shipped encoder, in turn.
- joining: as `measure_join.py`, at 30,000 questions.

Reads the data in ../shared/data, or in the folder named by DUPDETECT_DATA.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from ledger import RESULTS, TRAINING, checksum, instructions, machine, revision, versions
from measure_join import ROUNDS, measured, timed
from measures import calibrated
from sentence_transformers import SentenceTransformer
from training_data import DATA, QUORA, natural_splits

from dupdetect import Detector
from dupdetect.text import canonical

LEDGER = RESULTS / "processors.json"
QUESTIONS = DATA / "qqp_questions.parquet"
ENCODED, JOINED = 2_000, 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    options = parser.parse_args()
    detector = Detector.from_pretrained()
    texts = list(dict.fromkeys(map(canonical, pl.read_parquet(QUESTIONS)["text"].head(2 * JOINED).to_list())))
    embeddings = detector.encoder.encode(texts[:JOINED])
    found = {
        "machine": machine(),
        "versions": versions(TRAINING),
        "revision": revision(),
        "encoder": detector.encoder.fingerprint,
        "answers": answers(detector),
        "encoding": encoding(detector, SentenceTransformer(str(options.base), device="cpu"), texts[:ENCODED]),
        "joining": measured(embeddings, detector.require_calibration().threshold),
    }
    before = json.loads(LEDGER.read_text("utf-8")) if LEDGER.exists() else {"processors": {}}
    record = {
        "what": "the shipped detector on several kinds of processors, named by their instructions",
        "data": {path.name: checksum(path) for path in (QUORA, QUESTIONS)},
        "rounds": ROUNDS,
        "seed": "none: nothing is random",
        "processors": before["processors"] | {instructions(): found},
    }
    LEDGER.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=2))


def answers(detector: Detector) -> dict[str, Any]:
    """Compare what this processor says of the calibration split with what was said when the detector was made."""
    here = calibrated(detector.encoder, natural_splits(), detector.name).require_calibration()
    there = detector.require_calibration()
    one, other = (np.sort(found.evidence()["similarity"]) for found in (here, there))
    finite = np.isfinite(one) & np.isfinite(other)
    return {
        "pairs": len(one),
        "furthest_apart": float(np.abs(one[finite] - other[finite]).max()),
        "same_to_the_bit": int((one == other).sum()),
        "threshold": {"here": here.threshold, "shipped": there.threshold},
    }


def encoding(detector: Detector, base: SentenceTransformer, texts: list[str]) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {"sentence-transformers": [], "dupdetect": []}
    base.encode(texts[:32])
    for _ in range(ROUNDS):
        timed(seconds["sentence-transformers"], lambda: base.encode(texts))
        timed(seconds["dupdetect"], lambda: detector.encoder.encode(texts))
    ratios = [slow / fast for slow, fast in zip(*seconds.values(), strict=True)]
    return {
        "texts": len(texts),
        "texts_per_second": {name: round(len(texts) / statistics.median(taken)) for name, taken in seconds.items()},
        "times_as_fast": round(statistics.median(ratios), 2),
    }


if __name__ == "__main__":
    main()
