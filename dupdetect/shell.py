"""Commands that a person can paste into a shell."""

from __future__ import annotations

import shlex

from dupdetect.shipped import SHIPPED

__all__ = ["as_model", "as_path", "quoted"]


def as_path(path: str) -> str:
    """Return a path that no program takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def as_model(path: str) -> str:
    """Return the folder of a detector, or its name on the hub, as --model takes it."""
    return f"./{path}" if path in SHIPPED else as_path(path)


def quoted(path: str) -> str:
    """Return a path as it stands in a command.

    >>> quoted("my export.csv"), quoted("-x")
    ("'my export.csv'", './-x')
    """
    return shlex.quote(as_path(path))
