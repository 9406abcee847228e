"""How many threads are worth starting."""

from __future__ import annotations

import os

__all__ = ["usable_cores"]


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1.

    A container may be given fewer cores than the machine has; macOS and Windows cannot say.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
