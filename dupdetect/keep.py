"""Which of several duplicates should stay: the keep policies.

A policy only orders the rows; `clustering.resolve` then keeps the first row that it can. Rows that a policy cannot tell
apart are ordered by their content, so that shuffling a file changes nothing but what the policy says about order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.questions import Questions

__all__ = ["Keep", "parse_keep", "row_ranks"]

_PLAIN = ("first", "last", "longest", "medoid")


@dataclass(frozen=True, slots=True)
class Keep:
    """A keep policy: `name` is first, last, longest, medoid, max or min; `column` goes with max and min only."""

    name: str
    column: str | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.column}" if self.column else self.name


def parse_keep(text: str) -> Keep:
    """Read `first`, `last`, `longest`, `medoid`, `max:COL` or `min:COL`; InputError for anything else."""
    name, colon, column = text.partition(":")
    if name in _PLAIN and not colon:
        return Keep(name)
    if name in ("max", "min") and column:
        return Keep(name, column)
    raise InputError(f"Unknown keep policy {text!r}. Choose first, last, longest, medoid, max:COLUMN or min:COLUMN.")


def row_ranks(
    keep: Keep, questions: Questions, forms: Sequence[str], strength: NDArray[np.float64]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (n,) ranks, 0 for the row that is asked first, and notes on cells that could not be used.

    forms: canonical text of each row.  strength: (n,) `clustering.connection_strength` of each row's text.
    Raises ColumnNotFoundError for a column that is not there, InputError for one that holds neither numbers nor dates.
    """
    n = len(questions)
    notes: tuple[str, ...] = ()
    preference: list[float]
    if keep.name == "first":
        preference = [float(row) for row in range(n)]
    elif keep.name == "last":
        preference = [-float(row) for row in range(n)]
    elif keep.name == "longest":
        preference = [-float(len(form)) for form in forms]
    elif keep.name == "medoid":
        preference = [-value for value in strength.tolist()]
    else:
        assert keep.column is not None  # noqa: S101 - parse_keep
        preference, notes = _by_column(keep, keep.column, questions.table.column(keep.column))
    rows = questions.table.rows
    order = sorted(range(n), key=lambda row: (preference[row], forms[row], questions.texts[row], rows[row]))
    ranks = np.empty(n, dtype=np.int64)
    ranks[order] = np.arange(n)
    return ranks, notes


def _by_column(keep: Keep, column: str, cells: Sequence[str]) -> tuple[list[float], tuple[str, ...]]:
    sign = -1 if keep.name == "max" else 1
    filled = [cell.strip() for cell in cells if cell.strip()]
    for parse in (_number, _moment):
        readable = sum(parse(cell) is not None for cell in filled)
        if readable and 2 * readable >= len(filled):
            break
    else:
        example = f", for example {filled[0]!r}" if filled else ""
        raise InputError(f"--keep {keep}: column {column!r} holds neither numbers nor ISO dates{example}.")
    values = [parse(cell.strip()) for cell in cells]
    missing = sum(value is None for value in values)
    kind = "a number" if parse is _number else "a date"
    notes = (f"--keep {keep}: {missing} cells of {column!r} are not {kind}; such rows come last.",) if missing else ()
    return [math.inf if value is None else sign * value for value in values], notes


def _number(cell: str) -> float | None:
    try:
        return int(cell)  # exact, however long
    except ValueError:
        pass
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _moment(cell: str) -> float | None:
    try:
        moment = datetime.fromisoformat(cell)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
