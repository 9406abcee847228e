"""How many threads are worth starting."""

from __future__ import annotations

import os

__all__ = ["usable_cores", "use_at_most"]

_most: int | None = None


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1.

    A container may be given fewer cores than the machine has; macOS and Windows cannot say.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if _most is None else min(cores, _most)


def use_at_most(cores: int) -> None:
    """Let `usable_cores` say no more than this in this process from now on: it is one of several on its machine."""
    global _most
    _most = cores
