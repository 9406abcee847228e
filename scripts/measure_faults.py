"""What becomes of a deduplication on Ray when something dies in the middle of it: twenty runs, each with one death.

    python scripts/measure_faults.py [--rows 5000] [--runs 20]

What dies, in turn: a worker that encodes, a worker that compares, a node with its workers, and the process that asked.
When: at a moment drawn at random (seed 0), as a share of the texts encoded or of the pairs compared; a worker dies at
the next moment at which one is seen at its task. Workers and nodes are killed with SIGKILL, as the system kills what
has no memory left. After the death of the process that asked, the same call is made again, with the folder of what was
finished. Every second four runs search approximately.

Every run must write the files that the local engine writes, byte for byte; of run.json all but the seconds, the engine
and what came from the cache. Reads `qqp_questions.parquet` from ../shared/data, or from the folder in DUPDETECT_DATA.
Writes scripts/results/faults.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from ledger import RESULTS as FOLDER
from ledger import RUNNING, checksum, machine, revision, versions
from training_data import DATA as FOLDER_OF_DATA

from dupdetect import Deduplication, Detector
from dupdetect.engines import Engine, LocalEngine, RayEngine
from dupdetect.results import OUTPUT_FILES

DATA = FOLDER_OF_DATA / "qqp_questions.parquet"
RESULTS = FOLDER / "faults.json"
KINDS = ("a worker that encodes", "a worker that compares", "a node", "the process that asked")
STAGES = ("Encoding", "Comparing")
AT_WORK = ("ray::EncodingWorker.encode", "ray::compare")  # how the title of a worker begins that is at its task
SEARCHES = ("exact", "ann")
SHARD_ROWS = 512  # so that there are many pairs of shards although there are few rows
OWN = ("seconds", "engine", "encoded_texts", "cached_texts")
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    texts = pl.read_parquet(DATA)["text"].head(asked.rows).to_list()
    with tempfile.TemporaryDirectory() as scratch:
        expected = {search: Path(scratch) / search for search in SEARCHES}
        for search, out in expected.items():
            deduplicated(texts, LocalEngine(), search=search).write(out)
        runs = []
        with two_nodes() as nodes:
            draw = random.Random(SEED)  # noqa: S311 - moments, not secrets
            for number in range(asked.runs):
                kind = KINDS[number % len(KINDS)]
                stage = STAGES[KINDS.index(kind)] if kind in KINDS[:2] else draw.choice(STAGES)
                search = SEARCHES[number // len(KINDS) % len(SEARCHES)]
                share = draw.uniform(0, 0.9)
                runs.append(one_run(texts, search, kind, stage, share, nodes, expected[search]))
                print(json.dumps(runs[-1]))
    record = {
        "what": "dedupe with --engine ray, the default detector and its threshold; one death a run",
        "data": {"file": DATA.name, "sha256": checksum(DATA), "rows": f"the first {len(texts):,}"},
        "seed": SEED,
        "machine": machine(),
        "versions": versions((*RUNNING, "ray")),
        "revision": revision(),
        "identical": sum(run["identical"] for run in runs),
        "runs": runs,
    }
    asked.results.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"{record['identical']} of {len(runs)} runs gave identical files")


def one_run(
    texts: list[str], search: str, kind: str, stage: str, share: float, nodes: Nodes, expected: Path
) -> dict[str, Any]:
    """Deduplicate with one death; return what died, when, and whether the files are the same."""
    killed: list[str] = []
    begun = time.perf_counter()

    def kill() -> None:
        if kind == KINDS[2]:
            killed.append(nodes.kill())
        else:
            threading.Thread(target=kill_at_work, args=[AT_WORK[STAGES.index(stage)], killed], daemon=True).start()

    with tempfile.TemporaryDirectory() as scratch:
        out, work = Path(scratch) / "out", Path(scratch) / "work"
        if kind == KINDS[3]:
            killed.append(f"SIGKILL for the process that asked, while {stage.lower()}")
            died = asked_in_another_process(texts, out, work, search, stage, share)
            assert died == -signal.SIGKILL, died
            finished = len(list(work.rglob("*.npy")))
            again = asked_in_another_process(texts, out, work, search, "", 0)
            assert again == 0, again
        else:
            engine = RayEngine(shard_rows=SHARD_ROWS)
            result = deduplicated(texts, engine, search=search, progress=when(stage, share, kill))
            result.write(out)
            finished = None
        record = json.loads((out / "run.json").read_text(encoding="utf-8"))
        return {
            "died": killed[0] if killed else None,
            "search": search,
            "stage": stage,
            "at_share_of_stage": round(share, 3),
            "seconds": round(time.perf_counter() - begun, 1),
            "texts_from_before": record["cached_texts"],
            "pairs_of_shards_from_before": finished,
            "workers_replaced_while_encoding": record["engine"]["lost_while_encoding"],
            "identical": bool(killed) and same_files(out, expected),
        }


def deduplicated(texts: list[str], engine: Engine, **options: Any) -> Deduplication:
    return Detector.from_pretrained().deduplicate(texts, engine=engine, **options)


def when(stage: str, share: float, kill: Callable[[], None]) -> Any:
    """Return a `progress` that calls `kill` once, when `share` of the units of a stage are finished."""

    @contextmanager
    def progress(name: str, total: int, _: str) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            before, done = done, done + count
            if name == stage and before < max(1, share * total) <= done:
                kill()

        yield advance

    return progress


def kill_at_work(title: str, killed: list[str], patience: float = 60.0) -> None:
    """Kill the first process whose title begins so, and add it to `killed`; look for one again and again."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        known = [process for process, _ in worker_processes("ray::")]
        for _ in range(200):
            for process in known:
                now = title_of(process)
                if now.startswith(title):
                    os.kill(process, signal.SIGKILL)
                    killed.append(f"SIGKILL for {now}")
                    return
            time.sleep(0.001)


def asked_in_another_process(texts: list[str], out: Path, work: Path, search: str, stage: str, share: float) -> int:
    """Deduplicate in a process that kills itself at this moment, and never if the stage is ""; return its status."""
    work.mkdir(exist_ok=True)
    given = json.dumps([texts, str(out), str(work), search, stage, share])
    return subprocess.run([sys.executable, __file__, "victim"], input=given, text=True, check=False).returncode


def victim() -> None:
    texts, out, work, search, stage, share = json.load(sys.stdin)
    detector = Detector.from_pretrained().cached(Path(work) / "vectors.sqlite")
    progress = when(stage, share, lambda: os.kill(os.getpid(), signal.SIGKILL))
    engine = RayEngine(workers=2, shard_rows=SHARD_ROWS)
    result = detector.deduplicate(texts, engine=engine, search=search, work=Path(work) / "pairs", progress=progress)
    result.write(Path(out))


def same_files(one: Path, other: Path) -> bool:
    records = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in (one, other)]
    for record in records:
        for name in OWN:
            del record[name]
    # The page says where it was written to.
    pages = [(folder / "report.html").read_text(encoding="utf-8").replace(str(folder), "") for folder in (one, other)]
    rest = [name for name in OUTPUT_FILES if name not in ("run.json", "report.html")]
    return (
        records[0] == records[1]
        and pages[0] == pages[1]
        and all((one / name).read_bytes() == (other / name).read_bytes() for name in rest)
    )


class Nodes:
    """A cluster of two nodes on this machine, of which the second may die."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.second = cluster.add_node(num_cpus=1)

    def kill(self) -> str:
        processes = len(worker_processes("ray::"))
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = self.cluster.add_node(num_cpus=1)  # as a cluster that scales does
        return f"SIGKILL for one of two nodes, with {processes - len(worker_processes('ray::'))} of its processes"


@contextmanager
def two_nodes() -> Iterator[Nodes]:
    os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}  # this machine only
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = Nodes(cluster)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield nodes
    finally:
        ray.shutdown()
        cluster.shutdown()


def title_of(process: int) -> str:
    """Return the title of a process, "" where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].decode("utf-8", "replace")
    except OSError:
        return ""


def worker_processes(name: str) -> list[tuple[int, str]]:
    """Return number and title of the processes, started by this one, whose title begins so."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended
            continue
        title = title_of(int(folder.name))
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        if title.startswith(name):
            titles[int(folder.name)] = title

    def ours(process: int) -> bool:
        while process > 1 and process != os.getpid():
            process = parents.get(process, 0)
        return process == os.getpid()

    return [(process, title) for process, title in sorted(titles.items()) if ours(process)]


if __name__ == "__main__":
    victim() if sys.argv[1:] == ["victim"] else main()
