"""How long an index takes to open, to search and to add to, at 100,000 and 500,000 questions.

    python scripts/measure_index.py              100,000 real questions with the default detector, then 500,000 short
                                                 texts with the fast one: about 5 minutes on 2 cores
    python scripts/measure_index.py --made-up    and 500,000 made-up vectors: 3 minutes more
    python scripts/measure_index.py --small      a thousand questions each, to try it; nothing is written

Most of the time goes into building: each text is encoded, and compared with all others. The made-up vectors have the
384 dimensions of the default, in clouds around random centres, so that a query has neighbours at every distance. What
these say of many texts with the default holds as far as its vectors are as crowded; its encoder takes no part there.

Reads `qqp_questions.parquet` and `scale_short_texts.parquet` from ../shared/data, or from the folder in DUPDETECT_DATA.
Writes scripts/results/index.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from ledger import RESULTS as FOLDER
from ledger import checksum, machine, revision, versions
from numpy.typing import NDArray
from training_data import DATA

from dupdetect import Detector, QuestionIndex
from dupdetect.cli.terminal import show
from dupdetect.cores import usable_cores

QUESTIONS, SHORT = "qqp_questions.parquet", "scale_short_texts.parquet"
RESULTS = FOLDER / "index.json"
QUERIES, TOGETHER, ADDED = 500, 16, 50
DIMENSION, CENTRES, SPREAD = 384, 20_000, 0.75
# Each: the data, the number of questions, and the detector.
RUNS = (
    (QUESTIONS, 100_000, "default"),
    (SHORT, 500_000, "fast"),
)
MADE_UP = ("made up", 500_000, "made up")


class MadeUp:
    """An encoder that gives the text "17" the vector of this number: centre and offset are drawn from it."""

    fingerprint = "made-up:1"
    dimension = DIMENSION

    def __init__(self) -> None:
        self.centres = np.random.default_rng(0).normal(size=(CENTRES, DIMENSION)).astype(np.float32)

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        rows = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            random = np.random.default_rng(int(text))
            row[:] = self.centres[random.integers(CENTRES)] + SPREAD * random.normal(size=DIMENSION)
        if progress is not None:
            progress(len(texts))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return np.zeros(len(texts), dtype=np.bool_)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--made-up", action="store_true", help="measure made-up vectors too")
    parser.add_argument("--small", action="store_true", help="a thousand questions each; nothing is written")
    asked = parser.parse_args()
    begun = time.perf_counter()
    runs = []
    for name, size, kind in (*RUNS, MADE_UP) if asked.made_up else RUNS:
        runs.append(measure(name, 1_000 if asked.small else size, kind))
        print(f"{json.dumps(runs[-1])}\n{time.perf_counter() - begun:.0f} s so far", file=sys.stderr, flush=True)
    record = {
        "what": "QuestionIndex: open, search (k=5, encoding included), add; seconds of one process after it has begun",
        "data": {name: {"sha256": checksum(DATA / name), "rows": "the first n + 550"} for name in (QUESTIONS, SHORT)},
        "seed": "none for texts; made-up vectors are drawn by their number",
        "revision": revision(),
        "machine": machine() | {"cores": usable_cores()},
        "versions": versions(),
        "runs": runs,
    }
    if not asked.small:
        RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(runs, indent=2))


def measure(name: str, size: int, kind: str) -> dict[str, Any]:
    """Build an index of the first `size` texts, ask it the next ones, and add the ones after these one by one."""
    say(f"{size:,} questions ({name}) with the detector {kind}")
    texts = texts_of(name, size + QUERIES + ADDED)
    known, queries, more = texts[:size], texts[size : size + QUERIES], texts[size + QUERIES :]
    detector = detector_of(kind)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "index")
        start = time.perf_counter()
        with QuestionIndex.create(folder, detector) as index:
            added = index.add(known, progress=show)
            build = time.perf_counter() - start
        size_on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        say(f"built in {build:.0f} s; asking")
        start = time.perf_counter()
        index = QuestionIndex.open(folder, detector)
        index.search(queries[0])
        opened = time.perf_counter() - start
        detector.encoder.encode(queries[:TOGETHER])
        one = timed([lambda text=text: index.search(text) for text in queries])
        groups = [queries[at : at + TOGETHER] for at in range(0, len(queries), TOGETHER)]
        many = timed([lambda group=group: index.search_many(group) for group in groups])
        encode = timed([lambda text=text: detector.encoder.encode([text.lower()]) for text in queries[:100]])
        say("adding one by one")
        single = timed([lambda text=text: index.add([text]) for text in more])
        say("clusters")
        start = time.perf_counter()
        clusters = index.clusters()
        clustering = time.perf_counter() - start
        index.close()
    return {
        "texts": name,
        "questions": size,
        "detector": kind,
        "dimension": int(detector.encoder.dimension),
        "different_texts": added.new_texts,
        "pairs": added.pairs,
        "clusters": len(clusters),
        "megabytes": round(size_on_disk / 1e6),
        "build_seconds": round(build, 1),
        "added_per_second": round(size / build),
        "open_and_first_search_seconds": round(opened, 3),
        "encode_one_ms": encode,
        "search_ms": one,
        f"search_{TOGETHER}_together_ms": many,
        "add_one_ms": single,
        "clusters_seconds": round(clustering, 2),
    }


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def texts_of(name: str, count: int) -> list[str]:
    if name == "made up":
        return [str(number) for number in range(count)]
    return pl.read_parquet(DATA / name)["text"].head(count).to_list()


def detector_of(kind: str) -> Detector:
    """Return a shipped detector, or one that decides on made-up vectors as the default does on its own."""
    if kind in ("default", "fast"):
        return Detector.from_pretrained(tier=kind)
    shipped = Detector.from_pretrained()
    calibration = replace(shipped.require_calibration(), encoder=MadeUp.fingerprint)
    return Detector(MadeUp(), calibration, "made up", shipped.guards).at(threshold=0.9)


def timed(calls: list[Callable[[], object]]) -> dict[str, float]:
    """Return the median, the 95th percentile and the highest of the times of some calls, in milliseconds."""
    seconds = []
    for call in calls:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"p50": round(1000 * p50, 2), "p95": round(1000 * p95, 2), "most": round(1000 * max(seconds), 2)}


if __name__ == "__main__":
    main()
