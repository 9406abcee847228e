"""How long `dupdetect dedupe` takes, and how much memory, on 10,000 and 100,000 real questions, and with `--fast` on
500,000 short texts.

    python scripts/measure_scale.py

Reads `qqp_questions.parquet` and `scale_short_texts.parquet` from ../shared/data, or from the folder in DUPDETECT_DATA.
Writes scripts/results/scale.json.
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
from training_data import DATA

QUESTIONS, SHORT = "qqp_questions.parquet", "scale_short_texts.parquet"
RESULTS = FOLDER / "scale.json"
# Ascending in memory: the peak of finished children is a running maximum.
RUNS = ((QUESTIONS, 10_000, ()), (QUESTIONS, 100_000, ()), (SHORT, 500_000, ("--fast",)))


def main() -> None:
    runs = [measure(name, size, options) for name, size, options in RUNS]
    record = {
        "what": "dupdetect dedupe as a whole process, with a shipped detector at its default threshold",
        "data": {name: {"sha256": checksum(DATA / name), "rows": "the first n"} for name in (QUESTIONS, SHORT)},
        "seed": "none: nothing is random",
        "machine": machine(),
        "versions": versions(),
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(runs, indent=2))


def measure(name: str, size: int, options: tuple[str, ...]) -> dict[str, Any]:
    texts = pl.read_parquet(DATA / name)["text"].head(size).to_list()
    with tempfile.TemporaryDirectory() as scratch:
        export, output = Path(scratch, "export.csv"), Path(scratch, "out")
        with export.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["question"], *([text] for text in texts)])
        start = time.perf_counter()
        command = [sys.executable, "-m", "dupdetect", "dedupe", str(export), "-o", str(output), *options]
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        run = json.loads((output / "run.json").read_text(encoding="utf-8"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # kilobytes on Linux
    return {
        "texts": name,
        "rows": len(texts),
        "options": list(options),
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(peak),
        "stages": run["seconds"],
        "counts": run["counts"],
    }


if __name__ == "__main__":
    main()
