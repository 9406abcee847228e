"""The same deduplication by the local engine and on Ray: how long each takes, and whether the files are the same.

    python scripts/benchmark_cluster.py [--rows 50000 200000] [--rounds 3]

Four ways, in turn, each in a process of its own: local with one core, local with two cores, and Ray with one and with
two workers, on a cluster that is started for it. The process that asks has the core of the single worker too, but
hardly works while the worker does. Seconds are those of the whole process, of which starting Ray is given apart; the
overhead of Ray is what it takes longer than the local engine with as many cores.

Reads `qqp_questions.parquet` from ../shared/data, or from the folder in DUPDETECT_DATA. Writes
scripts/results/cluster.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
from ledger import RESULTS as FOLDER
from ledger import RUNNING, checksum, machine, revision, versions
from measure_faults import same_files
from training_data import DATA as FOLDER_OF_DATA

DATA = FOLDER_OF_DATA / "qqp_questions.parquet"
RESULTS = FOLDER / "cluster.json"
WAYS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))
"""The engine, and its cores or workers."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    sizes = []
    for rows in asked.rows:
        sizes.append(measured(rows, asked.rounds))
        print(json.dumps(sizes[-1], indent=2))
    record = {
        "what": "dedupe with the default detector at its threshold, files and all, each way in a process of its own",
        "data": {"file": DATA.name, "sha256": checksum(DATA), "rows": "the first n"},
        "rounds": asked.rounds,
        "seed": "none: nothing is random",
        "machine": machine(),
        "versions": versions((*RUNNING, "ray")),
        "revision": revision(),
        "sizes": sizes,
    }
    asked.results.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def measured(rows: int, rounds: int) -> dict[str, Any]:
    """Return the median seconds of each way for so many rows, and whether all files are the same."""
    runs: dict[tuple[str, int], list[dict[str, float]]] = {way: [] for way in WAYS}
    identical = True
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds):
            for engine, cores in WAYS:
                out = Path(scratch) / f"{engine}-{cores}-{number}"
                runs[engine, cores].append(one_run(rows, engine, cores, out))
                identical &= same_files(out, Path(scratch) / "local-1-0")
    median = {
        way: {part: round(statistics.median(run[part] for run in found), 2) for part in found[0]}
        for way, found in runs.items()
    }
    return {
        "rows": rows,
        "identical_files": identical,
        "ways": [{"engine": engine, "cores": cores, **median[engine, cores]} for engine, cores in WAYS],
        "overhead_of_ray": {
            f"{cores} of {cores}": round(median["ray", cores]["seconds"] / median["local", cores]["seconds"] - 1, 3)
            for cores in (1, 2)
        },
    }


def one_run(rows: int, engine: str, cores: int, out: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "one", str(rows), engine, str(cores), str(out)]
    begun = time.perf_counter()
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"seconds": time.perf_counter() - begun, **json.loads(told.splitlines()[-1])}


def one(rows: int, engine: str, cores: int, out: Path) -> None:
    """Deduplicate one way, in this process; print the seconds of its parts."""
    if engine == "local":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])  # before anything counts them
    from dupdetect import Detector
    from dupdetect.engines import LocalEngine, RayEngine

    texts = pl.read_parquet(DATA)["text"].head(rows).to_list()
    begun = time.perf_counter()
    with LocalEngine() if engine == "local" else RayEngine(workers=cores):
        starting = time.perf_counter() - begun
        result = Detector.from_pretrained().deduplicate(texts, engine=engine)  # on the cluster that is there
        result.write(out)
    parts = result.run["seconds"]
    print(json.dumps({"starting": starting, "encoding": parts["encode"], "comparing": parts["search"]}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
    else:
        main()
