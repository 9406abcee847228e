"""What the database of an index says, checked: a damaged one is told as damaged, and never decides where is written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["DamagedRowsError", "State", "numbers", "read_state", "slots_of", "strings", "words_of"]


Number = TypeVar("Number", np.int64, np.float32)


class DamagedRowsError(sqlite3.DatabaseError):
    """Rows that no index has written. `IndexStore` raises it as an ArtifactError, as it does what SQLite says."""


class State(NamedTuple):
    """The row of the table `state`, but its key; all are at least 1, and slots at least 0."""

    version: int
    next_question: int
    next_form: int
    vectors: int
    slots: int


def read_state(connection: sqlite3.Connection) -> State:
    """Return what counts at present; DamagedRowsError for what is no such number."""
    row = connection.execute("SELECT version, next_question, next_form, vectors, slots FROM state").fetchone()
    # A file is named after one of them, so that anything else could name any file.
    if row is None or not all(type(value) is int and value >= 0 for value in row) or 0 in row[:-1]:
        _damaged("its row of counts")
    return State(*row)


def slots_of(values: Sequence[Any], slots: int) -> NDArray[np.int64]:
    """Return (n,) slots; DamagedRowsError for what is none of so many: a negative one would be another text's."""
    found = numbers(values, np.int64)
    if len(found) and not 0 <= found.min() <= found.max() < slots:
        _damaged("a slot")
    return found


def numbers(values: Sequence[Any], kind: type[Number]) -> NDArray[Number]:
    """Return (n,) numbers; DamagedRowsError for texts, blobs, NULL, and fractions in place of whole numbers."""
    found = np.array(values, dtype=None if len(values) else kind)
    if found.ndim != 1 or found.dtype.kind != np.dtype(kind).kind:
        _damaged("a number")
    return found.astype(kind, copy=False)


def strings(values: Iterable[Any]) -> None:
    """Raise DamagedRowsError unless all are strings."""
    if not all(type(value) is str for value in values):
        _damaged("a text")


def words_of(unknown: Any) -> tuple[str, ...]:
    """Return unknown words, which are stored as JSON; DamagedRowsError for anything else."""
    try:
        words = json.loads(unknown)
    except (ValueError, TypeError, RecursionError):
        words = None
    if not isinstance(words, list) or not all(type(word) is str for word in words):
        _damaged("the unknown words of a text")
    return tuple(words)


def _damaged(what: str) -> NoReturn:
    raise DamagedRowsError(f"{what} is nothing that an index writes")
