"""How long the exact join takes beside the plain one: a blocked float32 product of all pairs, and a comparison.

    python scripts/measure_join.py

Encodes the first questions of `qqp_questions.parquet` (../shared/data, or the folder in DUPDETECT_DATA) with the
shipped detector, and joins them at its default threshold, the two ways in turn. Both use all cores. Writes
scripts/results/join.json.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from ledger import RESULTS as FOLDER
from ledger import checksum, machine, revision, versions
from numpy.typing import NDArray
from training_data import DATA as FOLDER_OF_DATA

from dupdetect import Detector
from dupdetect.cli import show
from dupdetect.search import similar_pairs
from dupdetect.search.shorter import shorter_rows
from dupdetect.text import canonical

DATA = FOLDER_OF_DATA / "qqp_questions.parquet"
RESULTS = FOLDER / "join.json"
SIZES = (10_000, 30_000, 100_000)
ROUNDS = 3
PLAIN_BLOCK = 2048  # 1,024 is as fast, 4,096 and 8,192 are slower
ROUNDING = 2e-5
"""Above the error of a float32 product of 384 values: pairs so near to the threshold the plain join may see or not."""


def main() -> None:
    detector = Detector.from_pretrained()
    threshold = detector.require_calibration().threshold
    texts = pl.read_parquet(DATA)["text"].head(max(SIZES)).to_list()
    forms = list(dict.fromkeys(canonical(text) for text in texts))
    with show("Encoding", len(forms), "text") as advance:
        embeddings = detector.encoder.encode(forms, progress=advance)
    runs = [measured(embeddings[:size], threshold) for size in SIZES]
    record = {
        "what": "all pairs at or above the default threshold: this join, and a plain blocked float32 product, in turn",
        "data": {"file": DATA.name, "sha256": checksum(DATA), "rows": "the first n different texts"},
        "threshold": threshold,
        "rounds": ROUNDS,
        "seed": "none: nothing is random",
        "machine": machine(),
        "versions": versions(),
        "revision": revision(),
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(runs, indent=2))


def plain(embeddings: NDArray[np.float32], threshold: float) -> set[tuple[int, int]]:
    found = []
    for start in range(0, len(embeddings), PLAIN_BLOCK):
        rows = embeddings[start : start + PLAIN_BLOCK]
        for other in range(start, len(embeddings), PLAIN_BLOCK):
            columns = embeddings[other : other + PLAIN_BLOCK]
            i, j = np.divmod(np.flatnonzero(rows @ columns.T >= np.float32(threshold)), len(columns))
            i, j = i + start, j + other
            found.append(np.stack([i, j])[:, i < j])
    return set(zip(*np.concatenate(found, axis=1).tolist(), strict=True))


def measured(embeddings: NDArray[np.float32], threshold: float) -> dict[str, object]:
    seconds: dict[str, list[float]] = {"join": [], "plain": []}
    for _ in range(ROUNDS):
        pairs = timed(seconds["join"], lambda: similar_pairs(embeddings, threshold))
        expected = timed(seconds["plain"], lambda: plain(embeddings, threshold))
    got = {(int(i), int(j)): float(s) for i, j, s in zip(pairs.left, pairs.right, pairs.similarity, strict=True)}
    different = got.keys() ^ expected
    cosines = [float(embeddings[i].astype(np.float64) @ embeddings[j]) for i, j in different]
    assert all(abs(value - threshold) < ROUNDING for value in cosines), "the joins differ"
    return {
        "texts": len(embeddings),
        "pairs": len(pairs),
        "length_of_short_rows": shorter_rows(embeddings, threshold).shape[1],
        "seconds": {name: round(statistics.median(values), 2) for name, values in seconds.items()},
        "ratio": round(statistics.median(b / a for a, b in zip(seconds["join"], seconds["plain"], strict=True)), 2),
        "differences_within_rounding": len(different),
    }


def timed(seconds: list[float], work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - start)
    return result


if __name__ == "__main__":
    main()
