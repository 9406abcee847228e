"""This package and its peers side by side: how fast texts are encoded, and how fast their pairs are found.

    python scripts/benchmark.py WORK --model FOLDER
    python scripts/benchmark.py WORK --model FOLDER --tiers default fast --limit 600

Reads `qqp_questions.parquet` and `scale_short_texts.parquet` from ../shared/data, or from the folder in
DUPDETECT_DATA. FOLDER is all-MiniLM-L6-v2. Needs the extra [train], and for all peers

    pip install faiss-cpu semhash

Writes scripts/results/benchmark.json after every measurement and benchmark.md beside it. Run again, it goes on with
what is missing, as long as data, encoder, versions and machine are the same; vectors are kept in WORK. To measure
something anew, delete its row.

- Encoding: `SentenceTransformer(FOLDER).encode` with its defaults, on the processor, and the shipped tiers.
- Join: all pairs at or above a tier's own threshold, of the same float32 vectors, which the tier made of the first n
  different texts in their canonical form. Timed is the work from vectors to pairs or groups in memory; imports,
  loading, and reading the vectors are not.
- Each measurement is a process of its own. The methods take turns, ROUNDS times; one that took over a minute has only
  that turn. `seconds` is the median, `peak_memory_mb` the most that a process took altogether, `memory_before_mb` what
  it took before the work began.
- `recall` is the share of the true pairs that a method reports. True are the pairs of brute force (numpy) that a
  float64 product confirms; those nearer to the threshold than float32 products can tell count neither way.
  `community_detection` and semhash report groups: every pair within a group counts as reported. For those two
  `resolved` is the share of the true pairs of which at least one row goes, when one of each group is kept.
- The exponent is b of seconds = a n^b, by least squares on the logarithms, over sizes of the same data.
- A method that is over the limit (of one measurement), fails, or is not installed has a row that says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl
from benchmarks.methods import ENCODERS, JOINS, Inputs, Method
from benchmarks.one import Job
from benchmarks.table import growth, markdown, times_as_fast
from ledger import RESULTS, checksum, machine, revision, versions
from training_data import DATA

from dupdetect import Detector
from dupdetect.atomic import atomic_file
from dupdetect.cli import show
from dupdetect.text import canonical

SCRIPTS = Path(__file__).resolve().parent
RECORD = RESULTS / "benchmark.json"
QUESTIONS, SHORT = "questions", "short texts"
FILES = {QUESTIONS: "qqp_questions.parquet", SHORT: "scale_short_texts.parquet"}
SIZES = (10_000, 50_000, 210_000)
MANY = 500_000
ENCODED = 2_000
ROUNDS = 3
LIMIT = 1_800.0
LONG = 60.0


def main() -> None:
    options = arguments()
    absent = [str(DATA / name) for name in FILES.values() if not (DATA / name).is_file()]
    if absent:
        raise SystemExit(f"There is no {absent[0]}. Name the folder with the data in DUPDETECT_DATA.")
    detectors = {tier: Detector.from_pretrained(tier=tier) for tier in options.tiers}
    head = {
        "what": "encoding, and joins of the same vectors at the same threshold; scripts/benchmark.py says how",
        "data": {name: {"file": file, "sha256": checksum(DATA / file)} for name, file in FILES.items()},
        "model": weights(options.model),
        "seed": "none is set; semhash's index is built by several threads, so its numbers may vary a little",
        "machine": machine(),
        "versions": versions(),
        "tiers": {tier: about(detector) for tier, detector in detectors.items()},
    }
    benchmark = Benchmark.started(RECORD, head, revision(), rounds=options.rounds, limit=options.limit)
    questions = different_texts(QUESTIONS, max(*options.sizes, options.encode))
    encoding(benchmark, questions[: options.encode], options.work, str(options.model))
    for tier, detector in detectors.items():
        joins(benchmark, detector, tier, QUESTIONS, questions, options.sizes, options.work)
        if options.short:
            joins(
                benchmark, detector, tier, SHORT, different_texts(SHORT, options.short), [options.short], options.work
            )
    print(markdown(benchmark.record))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for vectors")
    parser.add_argument("--model", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="questions to join")
    parser.add_argument("--short", type=int, default=MANY, metavar="N", help="short texts to join; 0 for none")
    parser.add_argument("--encode", type=int, default=ENCODED, metavar="N", help="questions to encode")
    parser.add_argument("--tiers", nargs="+", choices=("default", "fast"), default=["default"], help="whose vectors")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--limit", type=float, default=LIMIT, metavar="SECONDS", help="for one measurement")
    return parser.parse_args()


def weights(model: Path) -> dict[str, str]:
    file = model / "model.safetensors"
    if not file.is_file():
        raise SystemExit(f"There is no {file}. Name the folder of a sentence-transformers model with --model.")
    return {"name": model.name, "weights_sha256": checksum(file)}


def about(detector: Detector) -> dict[str, Any]:
    encoder = detector.encoder
    threshold = detector.require_calibration().threshold
    return {"encoder": encoder.fingerprint, "dimension": encoder.dimension, "threshold": threshold}


def different_texts(name: str, count: int) -> list[str]:
    """The first `count` different texts, in their canonical form."""
    forms = dict.fromkeys(canonical(text) for text in pl.read_parquet(DATA / FILES[name])["text"])
    forms.pop("", None)
    if len(forms) < count:
        raise SystemExit(f"{FILES[name]} holds {len(forms):,} different texts, fewer than {count:,}. Ask for fewer.")
    return list(forms)[:count]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A record that grows at `path`, and how it is measured. limit: seconds for one measurement."""

    record: dict[str, Any]
    path: Path
    revision: str
    rounds: int
    limit: float

    @classmethod
    def started(cls, path: Path, head: dict[str, Any], revision: str, *, rounds: int, limit: float) -> Benchmark:
        """Go on with the record at `path`, where it was made of the same; else begin anew."""
        record = head | {"encoding": [], "joins": []}
        if path.exists():
            before = json.loads(path.read_text("utf-8"))
            same = all(before.get(name) == value for name, value in head.items() if name != "tiers")
            if same and all(before["tiers"].get(tier, this) == this for tier, this in head["tiers"].items()):
                record = before | {"tiers": before["tiers"] | head["tiers"]}
        return cls(record, path, revision, rounds, limit)

    def compare(self, part: str, key: dict[str, Any], methods: Sequence[Method], inputs: Inputs) -> None:
        """Let the methods take turns over the same inputs, and keep what comes of it as rows in `part` of the record.

        key: what the rows say of the inputs, besides the number of texts.
        """
        rows = self.record[part]
        rows[:] = [row for row in rows if not stale(row, key, methods, inputs)]
        for turn in range(self.rounds):
            for method in methods:
                named = {**key, "texts": inputs.rows, "method": method.name}
                place = next((i for i, row in enumerate(rows) if named.items() <= row.items()), len(rows))
                before = rows[place] if place < len(rows) else {}
                if not self._due(before, method, turn):
                    continue
                about = {"settings": method.settings, "versions": installed(method), "revision": self.revision}
                found = self._over_already(rows, named) or measured(method, inputs, self.limit)
                rows[place:] = [named | about | merged(before, found), *rows[place + 1 :]]
                self._keep()
        self._keep()

    def _due(self, before: dict[str, Any], method: Method, turn: int) -> bool:
        """Say whether a method has something to do in this turn, after what its row says."""
        if "seconds" in before:
            done = before["seconds_of_rounds"]
            return len(done) <= turn and max(done) <= LONG and not absent(method)
        return turn == 0 and before.get("over_seconds", 0.0) < self.limit

    def _over_already(self, rows: list[dict[str, Any]], named: dict[str, Any]) -> dict[str, Any] | None:
        """Return what a method's row says that was over this limit with fewer texts: it need not run."""
        for row in rows:
            alike = all(row[name] == value for name, value in named.items() if name not in ("texts", "data"))
            if alike and row["texts"] < named["texts"] and row.get("over_seconds", 0.0) >= self.limit:
                return {"over_seconds": self.limit, "not_run": f"it was over with {row['texts']:,} texts"}
        return None

    def _keep(self) -> None:
        self.record["times_as_fast"] = times_as_fast(self.record["encoding"])
        self.record["growth"] = growth(self.record["joins"])
        for path, text in (
            (self.path, json.dumps(self.record, indent=2) + "\n"),
            (self.path.with_suffix(".md"), markdown(self.record)),
        ):
            with atomic_file(path, overwrite=True) as partial:
                partial.write_text(text, "utf-8")


def stale(row: dict[str, Any], key: dict[str, Any], methods: Sequence[Method], inputs: Inputs) -> bool:
    """Say whether a row of these inputs is of other versions than are installed, or what others need of it is gone."""
    if not {**key, "texts": inputs.rows}.items() <= row.items():
        return False
    method = next((method for method in methods if method.name == row["method"]), None)
    if method is None:
        return False
    changed = any(row["versions"].get(name, version) != version for name, version in installed(method).items())
    return changed or (method.finds_truth and "seconds" in row and not inputs.truth.exists())


def installed(method: Method) -> dict[str, str]:
    missing = absent(method)
    return {name: metadata.version(name) for name in method.packages if name not in missing}


def absent(method: Method) -> list[str]:
    def there(name: str) -> bool:
        try:
            return bool(metadata.version(name))
        except metadata.PackageNotFoundError:
            return False

    return [name for name in method.packages if not there(name)]


def measured(method: Method, inputs: Inputs, limit: float) -> dict[str, Any]:
    """Return what one process measured, or why there is nothing: missing, over the limit, or failed."""
    if missing := absent(method):
        return {"missing": f"pip install {' '.join(missing)}"}
    folder = str(inputs.folder.resolve())
    job = Job(method.function, folder, inputs.rows, inputs.threshold, inputs.model, limit, method.finds_truth)
    command = [sys.executable, "-m", "benchmarks.one", job.to_json()]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGALRM:
        return {"over_seconds": limit}
    if done.returncode:
        said = done.stderr.strip().splitlines()
        ended = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit status {done.returncode}"
        return {"failed": said[-1] if said and done.returncode > 0 else ended}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def merged(before: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return a row's numbers after one more round; those that are not times are of the last."""
    if "seconds" not in found:
        return found
    rounds = [*before.get("seconds_of_rounds", []), float(f"{found['seconds']:.4g}")]
    peaks = [peak for peak in (before.get("peak_memory_mb"), found["peak_memory_mb"]) if peak is not None]
    return found | {
        "seconds": statistics.median(rounds),
        "seconds_of_rounds": rounds,
        "peak_memory_mb": max(peaks, default=None),
    }


def encoding(benchmark: Benchmark, texts: list[str], work: Path, model: str) -> None:
    folder = work / "encoding"
    Inputs.store(folder, texts)
    benchmark.compare("encoding", {"data": QUESTIONS}, ENCODERS, Inputs(folder, len(texts), model=model))


def joins(
    benchmark: Benchmark,
    detector: Detector,
    tier: str,
    data: str,
    texts: list[str],
    sizes: Sequence[int],
    work: Path,
    methods: Sequence[Method] = JOINS,
) -> None:
    """Join the first n of the texts, for each n of `sizes`, by the vectors and the threshold of the detector."""
    of = json.dumps([benchmark.record["data"], benchmark.record["tiers"][tier]], sort_keys=True)
    folder = work / f"{data.replace(' ', '-')}-{tier}-{hashlib.sha256(of.encode()).hexdigest()[:16]}"
    texts = texts[: max(sizes)]
    work.mkdir(parents=True, exist_ok=True)
    encoder = detector.cached(work / "vectors.sqlite").encoder
    with show(f"Encoding {data}", len(texts), "text") as advance:
        Inputs.store(folder, texts, encoder.encode(texts, progress=advance))
    threshold = detector.require_calibration().threshold
    for size in sorted(sizes):
        benchmark.compare("joins", {"tier": tier, "data": data}, methods, Inputs(folder, size, threshold))


if __name__ == "__main__":
    main()
