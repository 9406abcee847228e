"""How many `/v1/similar` requests a second the service answers, and how long each takes, client and service on one
machine.

    python scripts/load_service.py
    python scripts/load_service.py --questions 2000 --seconds 3    to try it; nothing is written

Questions and queries are made up of words that the default detector knows, of as many words as real questions have.
A query is a known question with some of its words, as it is while someone types, or one that nobody has asked. The
clients run in a process of their own; each keeps its connection, and asks again when it has its answer. So the number
of clients is the number of requests that are always under way.

Writes scripts/results/service.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from ledger import RESULTS as FOLDER
from ledger import machine, revision, versions

from dupdetect import Detector, QuestionIndex
from dupdetect.cores import usable_cores
from dupdetect.detector import SHIPPED

RESULTS = FOLDER / "service.json"
SEED, QUERIES, WARM_UP = 0, 20_000, 2.0
COUNT = 'dupdetect_request_seconds_count{path="/v1/similar"}'
PACKAGES = ("dupdetect", "fastapi", "numpy", "onnxruntime", "starlette", "tokenizers", "uvicorn")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--questions", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--tier", choices=sorted(SHIPPED), default="default")
    parser.add_argument("--ask", type=int, metavar="PORT", help=argparse.SUPPRESS)  # this process is the clients
    asked = parser.parse_args()
    if asked.ask is not None:
        print(json.dumps(asyncio.run(ask(asked.ask, asked.questions, asked.clients, asked.seconds))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        build(Path(scratch, "index"), asked.questions, asked.tier)
        measured = measure(Path(scratch, "index"), asked)
    record = {
        "what": "POST /v1/similar, k=5; milliseconds as a client sees them, clients on the same cores",
        "tier": asked.tier,
        "questions": asked.questions,
        "clients": asked.clients,
        "seconds": asked.seconds,
        "seed": SEED,
        **measured,
        "revision": revision(),
        "machine": machine() | {"cores": usable_cores()},
        "versions": versions(PACKAGES),
    }
    print(json.dumps(record, indent=2))
    if asked.questions >= 100_000:
        RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def build(folder: Path, count: int, tier: str) -> None:
    start = time.perf_counter()
    with QuestionIndex.create(folder, Detector.from_pretrained(tier=tier)) as index:
        added = index.add(made_up(count, SEED))
    print(f"{count:,} questions, {added.pairs:,} pairs, {time.perf_counter() - start:.0f} s", file=sys.stderr)


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Start the service, let the clients ask, stop it; return what the clients measured."""
    command = [sys.executable, "-m", "dupdetect", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stderr is not None
            line = service.stderr.readline()
            found = re.search(r":(\d+) \(", line)
            if found is None:
                raise SystemExit(line + service.stderr.read())
            clients = subprocess.run(
                [
                    *(sys.executable, __file__, "--ask", found[1], "--questions", str(asked.questions)),
                    *("--clients", str(asked.clients), "--seconds", str(asked.seconds)),
                ],
                stdout=subprocess.PIPE,
                check=True,
            )
        finally:
            service.send_signal(signal.SIGINT)
    return {**json.loads(clients.stdout), "exit_status": service.returncode}


async def ask(port: int, count: int, clients: int, seconds: float) -> dict[str, Any]:
    """Ask for some seconds, after a time to warm up; return what was measured."""
    bodies = [json.dumps({"text": text, "k": 5}).encode() for text in queries(count)]
    now, before, own = time.perf_counter(), metrics(port), time.process_time()
    begin, end = now + WARM_UP, now + WARM_UP + seconds
    found = await asyncio.gather(*(one_client(port, bodies[c::clients], begin, end) for c in range(clients)))
    spent = {name: value - before.get(name, 0.0) for name, value in metrics(port).items()}
    answered = spent[COUNT]
    times = np.concatenate([np.array(times) for times, _ in found])
    refused = sum(refused for _, refused in found)
    p50, p95, p99 = np.percentile(1000 * times, [50, 95, 99])
    return {
        "requests": len(times),
        "refused": refused,
        "requests_per_second": round(len(times) / seconds, 1),
        "requests_together": round(spent["dupdetect_batch_texts_sum"] / spent["dupdetect_batch_texts_count"], 1),
        "processor_ms_per_request": {
            "service": round(1000 * spent["process_cpu_seconds_total"] / answered, 2),
            "clients": round(1000 * (time.process_time() - own) / answered, 2),
        },
        "ms": {"p50": round(p50, 1), "p95": round(p95, 1), "p99": round(p99, 1), "most": round(1000 * times.max(), 1)},
    }


def metrics(port: int) -> dict[str, float]:
    """Return what the service counts."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


async def one_client(port: int, bodies: list[bytes], begin: float, end: float) -> tuple[list[float], int]:
    """Return the seconds that each answer between `begin` and `end` took, and how many were no answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times, refused, turn = [], 0, 0
    while (start := time.perf_counter()) < end:
        body = bodies[turn % len(bodies)]
        turn += 1
        writer.write(
            b"POST /v1/similar HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        await reader.readexactly(int(length[1]))
        done = time.perf_counter()
        if start >= begin and done <= end:
            times.append(done - start)
            refused += not head.startswith(b"HTTP/1.1 200")
    writer.close()
    return times, refused


def made_up(count: int, seed: int) -> list[str]:
    """Return questions of 4 to 16 words, 10 on average."""
    tokens = json.loads((SHIPPED["default"] / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    words = sorted(word for word in tokens if re.fullmatch("[a-z]{3,}", word))
    random = np.random.default_rng(seed)
    lengths = 4 + random.binomial(12, 0.5, size=count)
    return [" ".join(words[place] for place in random.integers(len(words), size=n)) + "?" for n in lengths.tolist()]


def queries(count: int) -> list[str]:
    """Return as many beginnings of known questions as questions that are not known, in turn."""
    random = np.random.default_rng(SEED + 1)
    known = made_up(count, SEED)
    begun = [known[place].split() for place in random.integers(count, size=QUERIES // 2)]
    begun_texts = [" ".join(words[: max(3, int(random.integers(len(words) + 1)))]) for words in begun]
    return [text for two in zip(begun_texts, made_up(QUERIES // 2, SEED + 2), strict=True) for text in two]


if __name__ == "__main__":
    main()
