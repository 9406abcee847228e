"""Which of several duplicates should stay: the keep policies.

A policy only orders the rows; `clustering.resolve` then keeps the first row that it can. Rows that a policy cannot tell
apart are ordered by their content, so that shuffling a file changes nothing but what the policy says about order: of
texts that are the same but for how they are written the longest comes first, and small letters before capitals.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.questions import Questions
from dupdetect.tables.ordered import in_order

__all__ = ["Keep", "check_keep", "parse_keep", "row_ranks"]

_PLAIN = ("first", "last", "longest", "medoid")


@dataclass(frozen=True, slots=True)
class Keep:
    """A keep policy: `name` is first, last, longest, medoid, max or min; `column` goes with max and min only.

    max and min order the rows by the numbers or dates of the column, as `tables.ordered` reads them; blank cells come
    last.
    """

    name: str
    column: str | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.column}" if self.column else self.name


def parse_keep(text: str) -> Keep:
    """Read `first`, `last`, `longest`, `medoid`, `max:COL` or `min:COL`; InputError for anything else."""
    name, colon, column = text.partition(":") if isinstance(text, str) else ("", "", "")
    if name in _PLAIN and not colon:
        return Keep(name)
    if name in ("max", "min") and column:
        return Keep(name, column)
    raise InputError(f"Unknown keep policy {text!r}. Choose first, last, longest, medoid, max:COLUMN or min:COLUMN.")


def row_ranks(
    keep: Keep, questions: Questions, forms: Sequence[str], strength: NDArray[np.float64]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (n,) ranks, 0 for the row that is asked first, and notes on how a column was read.

    forms: canonical text of each row.  strength: (n,) `clustering.connection_strength` of each row's text.
    Raises ColumnNotFoundError for a column that is not there, InputError for one that holds anything but numbers or
    dates, or that can be read in ways that disagree.
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
        preference, notes = _by_column(keep, keep.column, questions)

    def key(row: int) -> tuple[float, str, int, str]:
        text = questions.texts[row]
        return preference[row], forms[row], -len(text), text.swapcase()

    order: list[int] = []
    for _, alike in itertools.groupby(sorted(range(n), key=key), key):
        order += _by_cells([*alike], questions.table.rows)
    ranks = np.empty(n, dtype=np.int64)
    ranks[order] = np.arange(n)
    return ranks, notes


def _by_cells(alike: list[int], rows: Sequence[tuple[str, ...]]) -> list[int]:
    """Return rows that differ in nothing else in the order of all their cells, which are made for these alone."""
    return sorted(alike, key=rows.__getitem__) if len(alike) > 1 else alike


def check_keep(keep: Keep, questions: Questions) -> None:
    """Raise, before any work is done, what `row_ranks` raises for the column of a policy."""
    if keep.column is not None:
        _by_column(keep, keep.column, questions)


def _by_column(keep: Keep, column: str, questions: Questions) -> tuple[list[float], tuple[str, ...]]:
    cells = questions.table.column(column)
    try:
        ranks, notes = in_order(cells)
    except InputError as error:
        raise InputError(f"keep='{keep}': column {column!r} cannot put rows in order: {error}") from None
    sign = -1 if keep.name == "max" else 1
    preference = [math.inf if rank is None else float(sign * rank) for rank in ranks]
    return preference, tuple(f"Keep policy {keep}: {note}" for note in notes)
