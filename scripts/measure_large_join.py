"""How long the exact join of 1,000,000 vectors takes, and how much memory; and the same, killed half-way and resumed.

    python scripts/measure_large_join.py WORK

The texts: all different ones of `qqp_questions.parquet` and `scale_short_texts.parquet` (../shared/data, or the folder
in DUPDETECT_DATA), and as that is fewer, each short text with its successor behind it, as far as needed. Encodes them
with the shipped detector into WORK, where an interrupted run goes on, and joins them at its default threshold in a
process of its own. Then again with a folder for finished blocks; that process is killed when half of the pairs are
compared, and a second one finishes. Writes scripts/results/large_join.json.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from ledger import RESULTS as FOLDER
from ledger import checksum, machine, revision, versions
from training_data import DATA

from dupdetect import Detector
from dupdetect.cli import show
from dupdetect.search import similar_pairs
from dupdetect.text import canonical

FILES = ("qqp_questions.parquet", "scale_short_texts.parquet")
RESULTS = FOLDER / "large_join.json"
ROWS = 1_000_000
CHUNK = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for vectors and finished blocks")
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N", help="texts to join")
    parser.add_argument("--encode-only", action="store_true", help="prepare the vectors, and measure nothing")
    parser.add_argument("--join", choices=("plain", "kill", "resume"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    detector = Detector.from_pretrained()
    threshold = detector.require_calibration().threshold
    if options.join:
        join(options.work, options.rows, threshold, options.join)
        return
    encode(detector, options.work, options.rows)
    if options.encode_only:
        return
    plain = measured(options, "plain")
    shutil.rmtree(options.work / "blocks", ignore_errors=True)
    killed = measured(options, "kill")
    resumed = measured(options, "resume")
    assert killed["exit_status"] == -signal.SIGKILL, "it was to be killed"
    assert plain["sha256"] == resumed["sha256"], "the resumed join found other pairs"
    record = {
        "what": "all pairs of different texts at or above the default threshold, from vectors to pairs in memory",
        "data": {name: {"sha256": checksum(DATA / name), "rows": "all"} for name in FILES},
        "rows": options.rows,
        "dimension": detector.encoder.dimension,
        "encoder": detector.encoder.fingerprint,
        "threshold": threshold,
        "seed": "none: nothing is random",
        "machine": machine(),
        "versions": versions(),
        "revision": revision(),
        "join": plain,
        "killed": killed,
        "resumed": resumed,
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


def texts(rows: int) -> list[str]:
    questions, short = ([canonical(text) for text in pl.read_parquet(DATA / name)["text"]] for name in FILES)
    pairs = (f"{first} {second}" for first, second in itertools.pairwise(short))
    different = dict.fromkeys(itertools.chain(questions, short, pairs))
    different.pop("", None)
    if len(different) < rows:
        raise SystemExit(f"There are only {len(different):,} different texts.")
    return list(itertools.islice(different, rows))


def encode(detector: Detector, work: Path, rows: int) -> None:
    """Write the vectors of the texts to WORK, part by part; parts that are there stay."""
    work.mkdir(parents=True, exist_ok=True)
    missing = [start for start in range(0, rows, CHUNK) if not part(work, start).exists()]
    if not missing:
        return
    every = texts(rows)
    with show("Encoding", CHUNK * len(missing), "text") as advance:
        for start in missing:
            vectors = detector.encoder.encode(every[start : start + CHUNK], progress=advance)
            unfinished = work / "unfinished.npy"
            np.save(unfinished, vectors)
            unfinished.replace(part(work, start))


def part(work: Path, start: int) -> Path:
    return work / f"vectors-{start:07d}.npy"


def measured(options: argparse.Namespace, how: str) -> dict[str, Any]:
    """Run one join in a process of its own, and return what it says, or how it ended."""
    command = [sys.executable, __file__, str(options.work), "--rows", str(options.rows), "--join", how]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.stdout.strip():
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said | {"exit_status": done.returncode}
    return {"exit_status": done.returncode}


def join(work: Path, rows: int, threshold: float, how: str) -> None:
    vectors = np.concatenate([np.load(part(work, start)) for start in range(0, rows, CHUNK)])[:rows]
    every = rows * (rows - 1) // 2
    compared = 0

    with show("Comparing", every, "pair") as advance:

        def progress(pairs: int) -> None:
            nonlocal compared
            compared += pairs
            advance(pairs)
            if how == "kill" and compared > every / 2:
                os.kill(os.getpid(), signal.SIGKILL)

        start = time.perf_counter()
        blocks = None if how == "plain" else work / "blocks"
        pairs = similar_pairs(vectors, threshold, work=blocks, progress=progress)
        seconds = time.perf_counter() - start
    content = hashlib.sha256()
    for column in (pairs.left, pairs.right, pairs.similarity):
        content.update(np.ascontiguousarray(column).data)
    peak = next(line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if line.startswith("VmHWM"))
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "pairs": len(pairs),
                "peak_memory_mb": int(peak.split()[1]) // 1024,
                "sha256": content.hexdigest(),
            }
        )
    )


if __name__ == "__main__":
    main()
