"""Commands that a person can paste into a shell."""

from __future__ import annotations

import shlex

__all__ = ["as_path", "quoted"]


def as_path(path: str) -> str:
    """Return a path that no program takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def quoted(path: str) -> str:
    """Return a path as it stands in a command.

    >>> quoted("my export.csv"), quoted("-x")
    ("'my export.csv'", './-x')
    """
    return shlex.quote(as_path(path))
