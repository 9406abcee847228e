"""What people decided about an index: which texts are no duplicates, which are, and which stay.

It is kept by the texts, whether the index has them at present or not. What changes it is part of one transaction of the
index's writer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from dupdetect.index.store import now
from dupdetect.index.stored import form_hash
from dupdetect.review.candidates import pair_key

__all__ = [
    "choose",
    "chosen",
    "forget_choice",
    "forget_merge",
    "forget_told_apart",
    "is_merged",
    "is_told_apart",
    "merge",
    "read_all",
    "tell_apart",
    "write_all",
]

_COLUMNS = {"told_apart": 2, "merged": 3, "survivors": 4}  # of each table of decisions


def tell_apart(connection: sqlite3.Connection, form: str, other: str) -> None:
    """Remember that a pair of texts is none; see `QuestionIndex.unmerge`."""
    connection.execute("INSERT OR IGNORE INTO told_apart VALUES (?, ?)", (pair_key(form, other), now()))


def is_told_apart(connection: sqlite3.Connection, form: str, other: str) -> bool:
    """Tell whether somebody has told two texts apart."""
    row = connection.execute("SELECT 1 FROM told_apart WHERE key = ?", (pair_key(form, other),)).fetchone()
    return row is not None


def forget_told_apart(connection: sqlite3.Connection, form: str, other: str) -> bool:
    """Undo `tell_apart`; return whether there was anything to undo."""
    return connection.execute("DELETE FROM told_apart WHERE key = ?", (pair_key(form, other),)).rowcount > 0


def merge(connection: sqlite3.Connection, form: str, other: str) -> None:
    """Remember that two texts belong together; see `QuestionIndex.merge`."""
    connection.execute("INSERT OR IGNORE INTO merged VALUES (?, ?, ?)", (*_hashes(form, other), now()))


def is_merged(connection: sqlite3.Connection, form: str, other: str) -> bool:
    """Tell whether somebody has merged two texts."""
    row = connection.execute("SELECT 1 FROM merged WHERE first = ? AND second = ?", _hashes(form, other)).fetchone()
    return row is not None


def forget_merge(connection: sqlite3.Connection, form: str, other: str) -> bool:
    """Undo `merge`; return whether there was anything to undo."""
    changed = connection.execute("DELETE FROM merged WHERE first = ? AND second = ?", _hashes(form, other))
    return changed.rowcount > 0


def choose(connection: sqlite3.Connection, form: str, name: str) -> None:
    """Remember that a text shall stay, as the question with this id; see `QuestionIndex.set_survivor`."""
    connection.execute(
        "INSERT OR REPLACE INTO survivors SELECT ?, coalesce(max(number), 0) + 1, ?, ? FROM survivors",
        (form_hash(form), name, now()),
    )


def forget_choice(connection: sqlite3.Connection, form: str) -> bool:
    """Undo `choose`; return whether there was anything to undo."""
    return connection.execute("DELETE FROM survivors WHERE hash = ?", (form_hash(form),)).rowcount > 0


def chosen(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the ids of the questions that were chosen to stay, the last choice first; of a text whose chosen question
    is gone, that of the question that was added first."""
    rows = connection.execute(
        "SELECT survivors.number, questions.id FROM survivors JOIN forms ON forms.hash = survivors.hash "
        "JOIN questions ON questions.form = forms.number "
        "ORDER BY survivors.number DESC, questions.id != survivors.id, questions.number"
    )
    found: dict[int, str] = {}
    for number, name in rows:
        found.setdefault(number, name)
    return tuple(found.values())


def read_all(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    """Return all decisions, for `write_all`."""
    return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in _COLUMNS}  # noqa: S608


def write_all(connection: sqlite3.Connection, decisions: Mapping[str, Sequence[Any]]) -> None:
    """Write what `read_all` has read from one index into another that has none of it."""
    for name, made in decisions.items():
        values = ",".join("?" * _COLUMNS[name])
        connection.executemany(f"INSERT INTO {name} VALUES ({values})", made)  # noqa: S608


def _hashes(form: str, other: str) -> tuple[bytes, bytes]:
    first, second = sorted((form_hash(form), form_hash(other)))
    return first, second
