"""How long `dupdetect dedupe` takes, and how much memory, on 10,000 and 100,000 real questions.

    python scripts/measure_scale.py

Reads `qqp_questions.parquet` from ../shared/data, or from the folder in DUPDETECT_DATA. Writes
scripts/results/scale.json.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
from ledger import RESULTS as FOLDER
from ledger import checksum, machine, versions
from training_data import DATA as FOLDER_OF_DATA

DATA = FOLDER_OF_DATA / "qqp_questions.parquet"
RESULTS = FOLDER / "scale.json"
SIZES = (10_000, 100_000)  # ascending: the peak memory of finished children is a running maximum


def main() -> None:
    texts = pl.read_parquet(DATA)["text"].to_list()
    runs = [measure(texts[:size]) for size in SIZES]
    record = {
        "what": "dupdetect dedupe as a whole process, with the shipped detector at its default threshold",
        "data": {"file": DATA.name, "sha256": checksum(DATA), "rows": "the first n"},
        "seed": "none: nothing is random",
        "machine": machine(),
        "versions": versions(),
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(runs, indent=2))


def measure(texts: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        export, output = Path(scratch, "export.csv"), Path(scratch, "out")
        with export.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["question"], *([text] for text in texts)])
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "dupdetect", "dedupe", str(export), "-o", str(output)], check=True)
        seconds = time.perf_counter() - start
        run = json.loads((output / "run.json").read_text(encoding="utf-8"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # kilobytes on Linux
    return {
        "rows": len(texts),
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(peak),
        "stages": run["seconds"],
        "counts": run["counts"],
    }


if __name__ == "__main__":
    main()
