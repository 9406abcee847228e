"""What `dupdetect plan` predicts against what `dupdetect dedupe` takes; and the prediction for 10^7 to 10^9 rows.

    python scripts/measure_plan.py [--rows N ...] [--output FILE]

By default at 50,000 and 200,000 questions (the first ones of `qqp_questions.parquet`) and at 700,000 short texts (those
of `scale_short_texts.parquet` and, as these are fewer, each with its successor behind it), from ../shared/data or the
folder in DUPDETECT_DATA, with the shipped detector and with the fast one. For each size, an export is planned and then
deduplicated, exactly, by the cores of this machine; both in processes of their own. More rows are predicted from the
largest export of each detector. On a machine that is busy only the ratios of processor time and memory mean something:
what is predicted is for an idle one. Writes scripts/results/plan.json.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from ledger import RESULTS as FOLDER
from ledger import checksum, machine, revision, versions
from training_data import DATA

from dupdetect.planning import Rates, plan

QUESTIONS, SHORT = "qqp_questions.parquet", "scale_short_texts.parquet"
RESULTS = FOLDER / "plan.json"
ROWS = (50_000, 200_000, 700_000)
PREDICTED_ROWS = (10**7, 10**8, 10**9)
PREDICTED_WORKERS = (1, 16, 256)
WITHIN = 0.3  # what the prediction is to be right to


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, metavar="N", help="sizes to measure, ascending")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the record goes")
    options = parser.parse_args()
    runs = {
        "default": [compared(rows, []) for rows in options.rows],
        "fast": [compared(rows, ["--fast"]) for rows in options.rows],
    }
    record = {
        "what": "seconds and peak memory of dupdetect dedupe as a whole process: as planned, and as they were",
        "data": {name: {"sha256": checksum(DATA / name)} for name in (QUESTIONS, SHORT)},
        "seed": "0, for the sample that is planned from",
        "machine": machine(),
        "versions": versions(),
        "revision": revision(),
        "within": WITHIN,
        "runs": runs,
        "predictions": {tier: predictions(Rates(**found[-1]["rates"])) for tier, found in runs.items()},
    }
    options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


def texts(rows: int) -> tuple[str, list[str]]:
    """Return the name of a file, and so many texts made of it."""
    questions = pl.read_parquet(DATA / QUESTIONS)["text"]
    if rows <= len(questions):
        return QUESTIONS, questions.head(rows).to_list()
    short = pl.read_parquet(DATA / SHORT)["text"].to_list()
    joined = (f"{first} {second}" for first, second in itertools.pairwise(short))
    made = list(itertools.islice(itertools.chain(short, joined), rows))
    if len(made) < rows:
        raise SystemExit(f"There are only {len(made):,} texts.")
    return SHORT, made


def compared(rows: int, options: list[str]) -> dict[str, Any]:
    """Plan the deduplication of so many rows, then do it."""
    name, content = texts(rows)
    with tempfile.TemporaryDirectory() as scratch:
        export, output, planned = Path(scratch, "export.csv"), Path(scratch, "out"), Path(scratch, "plan.json")
        with export.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["question"], *([text] for text in content)])
        planning = measured(["plan", str(export), "--json", *options], planned)
        said = json.loads(planned.read_text(encoding="utf-8"))
        real = measured(["dedupe", str(export), "-o", str(output), *options], Path(scratch, "said"))
        run = json.loads((output / "run.json").read_text(encoding="utf-8"))
    predicted = said["predicted"]["exact"]
    stages = {"encoding": run["seconds"]["encode"], "comparing": run["seconds"]["search"]}
    stages["rest"] = real["seconds"] - sum(stages.values())
    workers = said["predicted"]["workers"]
    used = workers * (predicted["encoding"] + predicted["comparing"]) + predicted["rest"]
    return {
        "texts": name,
        "rows": rows,
        "options": options,
        "rates": said["measured"],
        "planning_seconds": round(planning["seconds"], 1),
        "workers": workers,
        "predicted": {
            "seconds": round(predicted["seconds"], 1),
            "processor_seconds": round(used, 1),
            "memory_mb": round(predicted["memory"] / 1e6),
            "stages": {stage: round(predicted[stage], 1) for stage in stages},
            "pairs": round(said["predicted"]["pairs"]),
        },
        "real": {
            "seconds": round(real["seconds"], 1),
            "processor_seconds": round(real["processor_seconds"], 1),
            "memory_mb": round(real["memory"] / 1e6),
            "stages": {stage: round(seconds, 1) for stage, seconds in stages.items()},
            "all_stages": run["seconds"],
            "counts": run["counts"],
        },
        "predicted_to_real": {
            "seconds": round(predicted["seconds"] / real["seconds"], 3),
            "processor_seconds": round(used / real["processor_seconds"], 3),
            "memory": round(predicted["memory"] / real["memory"], 3),
            **{stage: round(predicted[stage] / seconds, 3) for stage, seconds in stages.items()},
        },
        "seconds_within": abs(predicted["seconds"] / real["seconds"] - 1) <= WITHIN,
        "memory_within": abs(predicted["memory"] / real["memory"] - 1) <= WITHIN,
    }


def measured(arguments: list[str], output: Path) -> dict[str, float]:
    """Run a verb, its standard output to a file; return seconds by the clock and of the processor, and bytes of memory
    at its peak."""
    start = time.perf_counter()
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "dupdetect", *arguments], stdout=file)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"dupdetect {' '.join(arguments)} ended with status {process.returncode}.")
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024.0,  # kilobytes on Linux
    }


def predictions(rates: Rates) -> list[dict[str, Any]]:
    """Return what is predicted for large numbers of rows like those that were measured."""
    return [asdict(plan(rates, rows, workers)) for rows in PREDICTED_ROWS for workers in PREDICTED_WORKERS]


if __name__ == "__main__":
    main()
