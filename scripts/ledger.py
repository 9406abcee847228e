"""What every result names, so that it can be made again: data, versions, machine, revision."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "scripts" / "results"
RUNNING = ("dupdetect", "numpy", "onnxruntime", "tokenizers")
TRAINING = (*RUNNING, "sentence-transformers", "torch", "transformers")


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(names: tuple[str, ...] = RUNNING) -> dict[str, str]:
    return {name: metadata.version(name) for name in names}


# What speed depends on, from the newest on; the names are those of Linux.
INSTRUCTIONS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2", "i8mm", "asimddp")


def machine() -> dict[str, str | int | None]:
    return {
        "processor": processor(),
        "instructions": instructions(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def instructions() -> str:
    """Of those for many numbers at a time, the ones that this processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "").split()
    return " ".join(name for name in INSTRUCTIONS if name in flags)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def revision() -> str:
    """The commit that is checked out, with `+` where files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "dupdetect", "scripts/*.py", "scripts/*.json")
    return git("rev-parse", "HEAD") + ("+" if changed else "")
