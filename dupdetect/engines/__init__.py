"""Where the work of a deduplication is done: in this process, or on a cluster. The answer is the same.

`Engine` is what the rest of the package is written against; `LocalEngine` uses the cores of this machine, `RayEngine`
a Ray cluster (extra `cluster`). Nothing else in the package knows which of them runs.
"""

from __future__ import annotations

from collections.abc import Callable

from dupdetect.engines.engine import Engine
from dupdetect.engines.local import LocalEngine
from dupdetect.engines.ray import RayEngine
from dupdetect.errors import InputError

__all__ = ["ENGINES", "Engine", "LocalEngine", "RayEngine", "engine_of"]

ENGINES: dict[str, Callable[[], Engine]] = {"local": LocalEngine, "ray": RayEngine}


def engine_of(engine: str | Engine) -> Engine:
    """Return the engine of this name, or the one that is given; raise InputError for what is neither."""
    if isinstance(engine, str):
        if engine in ENGINES:
            return ENGINES[engine]()
    elif hasattr(engine, "approximate_join"):
        return engine
    raise InputError(f"There is no engine={engine!r}: it is {' or '.join(map(repr, ENGINES))}.")
