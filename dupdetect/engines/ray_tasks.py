"""Tasks of a Ray cluster: started a few ahead, and what is said where one fails."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from dupdetect.errors import DupdetectError

__all__ = ["AHEAD", "ATTEMPTS", "each", "lost", "of_worker", "result", "task"]

AHEAD = 2
"""Shards per worker that are handed out before it asks."""
ATTEMPTS = 5
"""At one shard, before its workers' deaths are taken for its own fault."""

_Part = TypeVar("_Part")


def task(ray: Any, function: Callable[..., Any]) -> Any:
    """Return the function as a task of one core, which is given to other workers where one dies."""
    return ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(function)


def each(
    ray: Any, start: Callable[[_Part], Any], parts: Iterable[_Part], ahead: int, what: Callable[[_Part], str]
) -> Generator[tuple[_Part, Any], None, None]:
    """Yield each part and the result of its task, as they are finished, with at most `ahead` started at a time.

    what: a part's work, for an error.  What is still running is stopped when this is closed.
    """
    running: dict[Any, _Part] = {}
    todo = iter(parts)
    try:
        while True:
            for part in itertools.islice(todo, ahead - len(running)):
                running[start(part)] = part
            if not running:
                return
            (done,), _ = ray.wait([*running])
            part = running.pop(done)
            yield part, result(ray, done, what(part))
    finally:
        for unfinished in running:
            ray.cancel(unfinished, force=True)


def result(ray: Any, done: Any, what: str) -> Any:
    """Return what a task returned; raise what it raised, or DupdetectError where its workers died at it."""
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise of_worker(error) from None
    except ray.exceptions.RayError as error:
        raise lost(what, error) from None


def of_worker(error: Any) -> BaseException:
    """Return what a worker raised, as it was raised there."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, DupdetectError | MemoryError):
        return cause
    return DupdetectError(f"A worker of the cluster failed: {' '.join(str(cause or error).split())[:500]}")


def lost(what: str, error: Exception) -> DupdetectError:
    """Return the error for a shard that has cost several workers their lives."""
    said = " ".join(str(error).split())[:300]
    return DupdetectError(
        f"{ATTEMPTS} workers of the cluster died when they were to {what}; perhaps they ran out of memory ({said}). "
        "Give them more, or let fewer run on a machine. What was finished is there for a call with the same folder "
        "(work=..., or --resume on the command line)."
    )
