"""How long work tells its caller where it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called at the start of a stage; gives a function that is called with the number of units finished since."""

    def __call__(self, stage: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]: ...


@contextmanager
def silent(stage: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:  # noqa: ARG001
    """The library's default: nothing is shown."""
    yield lambda _: None
