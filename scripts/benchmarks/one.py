"""One measurement in a process of its own, so that its peak memory is of it alone; `benchmark.py` starts it.

    python -m benchmarks.one JSON

JSON holds the fields of `Job`. The last line printed is what was found, in JSON. A process that is over its limit is
ended by SIGALRM, wherever it is.
"""

from __future__ import annotations

import json
import pkgutil
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from benchmarks.methods import Found, Groups, Inputs, Pairs
from measure_join import ROUNDING
from numpy.typing import NDArray

from dupdetect.search import cosine

_PAIRS_AT_A_TIME = 10_000


@dataclass(frozen=True, slots=True)
class Job:
    """function: "module:name" that takes `Inputs` and returns the work.  limit: in seconds, of the work alone."""

    function: str
    folder: str
    rows: int
    threshold: float
    model: str
    limit: float
    finds_truth: bool

    @property
    def inputs(self) -> Inputs:
        return Inputs(Path(self.folder), self.rows, self.threshold, self.model)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    print(json.dumps(measure(Job(**json.loads(sys.argv[1])))))


def measure(job: Job) -> dict[str, float | int | None]:
    inputs = job.inputs
    work = pkgutil.resolve_name(job.function)(inputs)
    before = memory("VmRSS")
    signal.setitimer(signal.ITIMER_REAL, job.limit)
    start = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - start
    signal.setitimer(signal.ITIMER_REAL, 0)
    measured = {"seconds": seconds, "peak_memory_mb": memory("VmHWM"), "memory_before_mb": before}
    if not isinstance(found, Pairs | Groups):
        return measured
    if job.finds_truth:
        left, right = sure(inputs, found)
        np.savez(inputs.truth, left=left, right=right)
    return measured | judged(inputs, found)


def memory(name: str) -> int | None:
    """Return a figure of this process in MB: VmRSS now, VmHWM at its peak; None where the system is not Linux.

    Not getrusage: its ru_maxrss begins with the memory of the process that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) // 1024


def sure(inputs: Inputs, found: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs that surely reach the threshold, by float64 products: those within the rounding of float32
    products count neither for nor against a method."""
    vectors = inputs.vectors()
    keep = np.zeros(len(found.left), dtype=bool)
    for start in range(0, len(keep), _PAIRS_AT_A_TIME):
        part = slice(start, start + _PAIRS_AT_A_TIME)
        keep[part] = cosine(vectors[found.left[part]], vectors[found.right[part]]) >= inputs.threshold + ROUNDING
    return found.left[keep], found.right[keep]


def judged(inputs: Inputs, found: Found) -> dict[str, float | int | None]:
    """Return how many pairs are reported, how many there are, and the shares of those that are reported and resolved;
    None where brute force has not found them, or there is none."""
    judgement: dict[str, float | int | None] = {"reported": found.reported(), "true_pairs": None, "recall": None}
    if inputs.truth.exists():
        with np.load(inputs.truth) as truth:
            left, right = truth["left"], truth["right"]
        judgement["true_pairs"] = len(left)
        if len(left):
            judgement["recall"] = float(found.holds(left, right).mean())
            if isinstance(found, Groups):
                judgement["resolved"] = float(found.resolves(left, right).mean())
    return judgement


if __name__ == "__main__":
    main()
