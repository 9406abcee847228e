"""What is to be added to an index: texts, ids, labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dupdetect.errors import InputError
from dupdetect.questions import questions as as_questions
from dupdetect.text import without_halves

__all__ = ["Rows", "id_of", "rows_of"]


@dataclass(frozen=True, slots=True)
class Rows:
    """n questions to be added.

    texts: as they came.  ids: distinct; None where the index has to choose them all.  labels: None for no class.
    labelled: whether labels were given at all.  notes: what was chosen and repaired.
    """

    texts: tuple[str, ...]
    ids: tuple[str, ...] | None
    labels: tuple[str | None, ...]
    labelled: bool
    notes: tuple[str, ...] = ()
    added: tuple[str, ...] | None = None


def rows_of(
    questions: Any,
    *,
    text: str | Sequence[str] | None,
    id: str | None,  # noqa: A002
    label: str | None,
    ids: Iterable[str] | None,
    labels: Iterable[str | None] | None,
) -> Rows:
    """Return what `QuestionIndex.add` was given; raise InputError for ids that cannot be ids, and the like."""
    asked = as_questions(questions, text=text, id=id)
    if ids is not None and id is not None:
        raise InputError("Give ids=... or the column that has them (id=...), not both.")
    if labels is not None and label is not None:
        raise InputError("Give labels=... or the column that has them (label=...), not both.")
    chosen = asked.ids if asked.id_column is not None and ids is None else None
    if ids is not None:
        chosen = tuple(_column(ids, "ids", len(asked)))
    given: list[Any] = [None] * len(asked)
    if label is not None:
        given = list(asked.table.column(label))
    elif labels is not None:
        given = _column(labels, "labels", len(asked))
    notes = asked.notes
    if chosen is None and asked.id_column is None and asked.notes:
        notes = tuple(note for note in notes if not note.startswith("Rows are identified by their numbers"))
    return Rows(
        tuple(without_halves(item) for item in asked.texts),
        None if chosen is None else _ids(chosen),
        tuple(None if item is None or not _string(item, "labels").strip() else without_halves(item) for item in given),
        label is not None or labels is not None,
        notes,
    )


def _column(values: Iterable[Any], name: str, count: int) -> list[Any]:
    if isinstance(values, str | bytes):
        raise InputError(f"{name} must be a list, one for each question, not {values!r}.")
    found = list(values)
    if len(found) != count:
        raise InputError(f"There are {len(found):,} {name} for {count:,} questions. Give one for each.")
    return found


def id_of(name: object) -> str:
    """Return an id as the index keeps it; InputError for what is no string."""
    return without_halves(_string(name, "ids"))


def _ids(values: Sequence[Any]) -> tuple[str, ...]:
    names = tuple(map(id_of, values))
    if not all(name.strip() for name in names):
        raise InputError("An id is blank. Give each question an id, or leave ids out: then the index chooses them.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"The id {twice[0]!r} is given to several questions. Each needs its own.")
    return names


def _string(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be strings, not {value!r} of type {type(value).__name__}. Convert it to str.")
    return value
