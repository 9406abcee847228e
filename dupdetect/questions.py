"""Questions: the texts to compare, what to call them, and the untouched table that they stand in.

Questions.read("export.csv")                        a file, the columns chosen when the choice is obvious
Questions.from_frame(frame, text=["subject", "body"], id="ticket")
questions(["How do I pay?", "Payment methods?"])    whatever holds texts
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.parts import read_export
from dupdetect.progress import Progress, silent
from dupdetect.tables import Source, Table, table_from_frame
from dupdetect.tables.cells import shown
from dupdetect.tables.frames import is_arrow_column, is_ray_dataset, plain_values
from dupdetect.text import is_blank, is_missing

__all__ = ["Question", "Questions", "questions"]

_QUALIFIERS = ("ticket", "case", "issue", "request", "question", "conversation", "message", "post", "topic", "email",
               "vorgangs", "fall", "anfrage")  # fmt: skip
_TITLES = ("subject", "title", "summary", "headline", "betreff")
_BODIES = ("question", "text", "body", "description", "message", "content", "query", "utterance", "sentence", "prompt",
           "inquiry", "enquiry", "raw", "beschreibung", "frage", "anfrage",
           "nachricht")  # fmt: skip
_REFERENCES = ("reference", "ref")
_IDS = ("id", "uuid", "guid", "key", "number", "no", "nr", "nummer")


def _qualified(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names) | {qualifier + name for qualifier in _QUALIFIERS for name in names}


# Conversations of Intercom, flattened, have source.subject and source.body.
_TITLE_NAMES = _qualified(_TITLES) | {"sourcesubject"}
_BODY_NAMES = _qualified(_BODIES) | {f"{name}text" for name in _BODIES} | {"sourcebody"}
_ID_NAMES = _qualified(_IDS)

_ROWS_LOOKED_AT = 1000
_MANY_WORDS = 4  # in the name of a column
_WORD = re.compile(r"[^\W\d_]{2,}")
# Chinese, Japanese and Thai are written without spaces.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]{5,}")


@dataclass(frozen=True, slots=True)
class Question:
    """One row: its position (from 0), its id, and the text that is compared."""

    row: int
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Questions:
    """Texts to compare, one per row of `table`.

    texts: as they came; several columns are joined by line ends, blank ones left out.
    ids: of the id column, or the row numbers, counted from 1, as strings; distinct either way.
    table: the input, no cell changed.  text_columns, id_column: names that `table.column` accepts; None when the rows
    are identified by number.  notes: what was detected, chosen or repaired, one plain sentence each.
    """

    texts: tuple[str, ...] = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)
    table: Table
    text_columns: tuple[str, ...]
    id_column: str | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of questions, blank ones included."""
        return len(self.texts)

    def __iter__(self) -> Iterator[Question]:
        return map(Question, itertools.count(), self.ids, self.texts)

    @property
    def blank(self) -> NDArray[np.bool_]:
        """(n,) bool: which texts have nothing to read. They stay, and are duplicates of nothing."""
        return np.fromiter(map(is_blank, self.texts), dtype=np.bool_, count=len(self))

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        text: str | Sequence[str] | None = None,
        id: str | None = None,  # noqa: A002
        encoding: str | None = None,
        delimiter: str | None = None,
        sheet: str | None = None,
        on_bad_rows: Literal["error", "keep"] = "error",
        progress: Progress = silent,
    ) -> Questions:
        """Return the questions in what `read_export` reads: a file, a URL, or a pattern that means several of them.

        The options are those of `read_export`, then of `from_table`.
        """
        table = read_export(
            path, progress=progress, encoding=encoding, delimiter=delimiter, sheet=sheet, on_bad_rows=on_bad_rows
        )
        return cls.from_table(table, text=text, id=id)

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        text: str | Sequence[str] | None = None,
        id: str | None = None,  # noqa: A002
    ) -> Questions:
        """Return the questions in anything that `table_from_frame` takes; `text` and `id` as for `from_table`."""
        return cls.from_table(table_from_frame(frame), text=text, id=id)

    @classmethod
    def from_texts(cls, texts: Iterable[str | None]) -> Questions:
        """Return the texts as questions that are identified by their number, from 1; None, NaN and NA are blank.

        Raises `InputError` that says which item is neither text nor None.
        """
        if isinstance(texts, str | bytes):
            raise InputError("A single text was handed in where a list of texts is wanted. Put it in a list.")
        given = [None if is_missing(item) else item for item in plain_values(texts)]
        for number, item in enumerate(given, 1):
            if not isinstance(item, str | None):
                kind = type(item).__name__
                raise InputError(f"Item {number} of the texts is {item!r}, of type {kind}. Convert it to str.")
        table = table_from_frame({"text": given})
        missing = given.count(None)
        notes = table.notes
        if missing:
            notes = (*notes, f"{missing:,} of the texts were missing (None, NaN or NA) and count as blank.")
        table = Table(table.columns, table.rows, Source("list of texts", "list"), notes)
        return cls(tuple(table.column("text")), _numbers(table), table, ("text",), None, notes)

    @classmethod
    def from_table(
        cls,
        table: Table,
        *,
        text: str | Sequence[str] | None = None,
        id: str | None = None,  # noqa: A002
    ) -> Questions:
        """Return the questions in a table.

        `text`: one column or several. When not named, columns are chosen only if that is obvious, and a note says so:
        the only column; the only one with a usual name (question, body, description, message, ...) that is not empty,
        or a title and a body with such names, title first; the only one whose cells are mostly three words or more.

        `id`: a column, whose cells must be distinct and not blank. When not named, the first one with a usual name (id,
        Ticket Nr, key, ...) of which that holds. Others of such names are passed over, and a note gives the counts and
        an example; where none is left, the row numbers are the ids of all rows. A note names a column such as `Ticket`
        or `Reference` that looks like ids.

        Raises `ColumnNotFoundError`, and `InputError` when no choice of text is obvious, a column is named twice, or
        the column that is named for ids does not identify the rows.
        """
        if text is None:
            columns, notes = _obvious_text_columns(table)
            notes = [*notes, *_no_header(table, columns)]
        else:
            columns, notes = (text,) if isinstance(text, str) else tuple(text), []
        if not columns:
            raise InputError("No text column is named. Name at least one (text=...).")
        positions = [table.position(name) for name in columns]
        if len(set(positions)) < len(columns):
            twice = next(name for name, at in zip(columns, positions, strict=True) if positions.count(at) > 1)
            raise InputError(
                f"The text column {twice!r} is named twice, and would count twice. Name it once (text=...)."
            )
        texts = _joined([table.column(name) for name in columns])
        id_column, more = _id_column(table, id, columns)
        ids = _numbers(table) if id_column is None else tuple(table.column(id_column))
        return cls(texts, ids, table, columns, id_column, (*table.notes, *notes, *more))


def questions(
    data: object,
    *,
    text: str | Sequence[str] | None = None,
    id: str | None = None,  # noqa: A002
) -> Questions:
    """Return `data` as questions: a list of texts, `Questions`, or what `table_from_frame` takes, with `text` and `id`.

    An array or a chunked array of pyarrow is a list of texts, too.

    Raises `InputError` for anything else, and when columns are named where there are none to choose from.
    """
    if isinstance(data, str | Path):
        raise InputError(f"{str(data)!r} is one text or a path. Put texts in a list; read files with Questions.read.")
    if _has_columns(data):
        return Questions.from_frame(data, text=text, id=id)
    if text is not None or id is not None:
        raise InputError("text= and id= name columns, and these questions have none to choose from. Leave them away.")
    if isinstance(data, Questions):
        return data
    if isinstance(data, Iterable):
        return Questions.from_texts(data)
    raise InputError(f"Questions cannot be made of {type(data).__name__}. Hand in a list of texts or a data frame.")


def _no_header(table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    """Say where the name of the text column may be a text: then the file has no header, and its first text is lost."""
    if table.source.format != "csv" or len(columns) != 1:
        return ()
    if not columns[0].rstrip().endswith("?") and len(columns[0].split()) < _MANY_WORDS:
        return ()
    return (
        f"The first line is taken for the names of the columns, so {columns[0]!r} is none of the texts. If it is one, "
        "put a line with names above it.",
    )


def _has_columns(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return bool(data) and isinstance(data[0], Mapping)
    if is_arrow_column(data):
        return False
    marks = ("iloc", "to_polars", "to_frame", "collect", "__arrow_c_stream__")
    return isinstance(data, Table | Mapping) or is_ray_dataset(data) or any(hasattr(data, mark) for mark in marks)


def _numbers(table: Table) -> tuple[str, ...]:
    return tuple(map(str, range(1, len(table) + 1)))


def _joined(columns: Sequence[Sequence[str]]) -> tuple[str, ...]:
    if len(columns) == 1:
        return tuple(columns[0])
    return tuple("\n".join(cell for cell in cells if cell.strip()) for cells in zip(*columns, strict=True))


def _usual_name(column: str) -> str:
    """Return `Ticket ID`, `ticket-id` and `TicketID` as "ticketid", and `Ticket #` as "ticketnumber"."""
    return "".join(re.findall(r"[^\W_]+", column.casefold().replace("#", "number")))


def _obvious_text_columns(table: Table) -> tuple[tuple[str, ...], list[str]]:
    """Return the columns to compare and a note that says why, or raise `InputError`."""
    names = table.selectors
    if len(names) == 1:
        return names, []
    first = {name: _first_cells(table, name) for name in names}
    filled = [name for name in names if not table.rows or _holds_ink(first[name]) or _holds_ink(table.column(name))]
    usual = {name: _usual_name(table.columns[table.position(name)]) for name in filled}
    titles = [name for name in filled if usual[name] in _TITLE_NAMES]
    bodies = [name for name in filled if usual[name] in _BODY_NAMES]
    if len(titles) == len(bodies) == 1:
        return (titles[0], bodies[0]), [f"Compared are {titles[0]!r} and {bodies[0]!r}, joined: a title and its text."]
    found = titles + bodies
    if len(found) == 1:
        return (found[0],), [f"Compared is {found[0]!r}, the only column with a usual name for questions."]
    if not found:
        found = [name for name in filled if _is_prose(first[name])]
        if len(found) == 1:
            return (found[0],), [f"Compared is {found[0]!r}, the only column that mostly holds several words."]
    seen = f"several could be: {_listed(found)}" if found else "none is obvious"
    nested = [name for name in filled if _is_nested(first[name])]
    flatten = (
        f" What is inside the JSON of {_listed(nested)} cannot be named: write it as columns of its own first, as "
        "pandas.json_normalize does."
        if nested
        else ""
    )
    raise InputError(
        f"Which column of {table.source.name} holds the questions? Of {_listed(names)}, {seen}. "
        f"Name one or more (text=...).{flatten}"
    )


def _first_cells(table: Table, name: str) -> list[str]:
    position = table.position(name)
    return [row[position] for row in table.rows[:_ROWS_LOOKED_AT]]


def _holds_ink(cells: Iterable[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _is_prose(cells: Sequence[str]) -> bool:
    """Tell whether more than half of the cells that are not blank have three words or more, and are no JSON."""
    filled = [cell for cell in cells if cell.strip()]
    return 2 * sum(map(_has_several_words, filled)) > len(filled) and not _is_nested(filled)


def _is_nested(cells: Sequence[str]) -> bool:
    """Tell whether all cells that are not blank are the JSON of objects and lists, as these stand in JSON Lines."""
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(map(_is_json, filled))


def _is_json(cell: str) -> bool:
    if not cell.startswith(("{", "[")):
        return False
    try:
        json.loads(cell)
    except (ValueError, RecursionError):
        return False
    return True


def _has_several_words(cell: str) -> bool:
    # A word has two letters in a row; dates with the name of a month have a few, but as many numbers.
    parts = cell.split()
    words = sum(_WORD.search(part) is not None for part in parts)
    return (words >= 3 and 2 * words > len(parts)) or bool(_UNSPACED.search(cell))


def _id_column(table: Table, named: str | None, texts: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the named column, or the first with a usual name, that can identify rows, or None, and notes.

    texts: the columns that are compared. Raises InputError for a named column that identifies nothing.
    """
    if named is not None:
        if faults := _id_faults(table.column(named)):
            raise InputError(
                f"Column {named!r} cannot identify rows: {faults}. Name another (id=...), or none: then rows are "
                "identified by their numbers."
            )
        return named, []
    usual = [name for name in table.selectors if _usual_name(table.columns[table.position(name)]) in _ID_NAMES]
    notes: list[str] = []
    for name in usual:
        faults = _id_faults(table.column(name))
        if not faults:
            return name, [*notes, f"Rows are identified by column {name!r}."]
        notes.append(f"Column {name!r} cannot identify rows: {faults}.")
    if notes:
        return None, [*notes, "Rows are identified by their numbers, from 1."]
    others = (name for name in table.selectors if name not in texts and _looks_like_ids(table, name))
    if like := next(others, None):
        notes.append(
            f"Rows are identified by their numbers, from 1. Column {like!r} holds another value in each row: if these "
            "are their ids, name it."
        )
    return None, notes


def _looks_like_ids(table: Table, name: str) -> bool:
    """Tell whether a column is called after what rows are, such as `Ticket`, and its cells are different words."""
    if _usual_name(table.columns[table.position(name)]) not in {*_QUALIFIERS, *_REFERENCES}:
        return False
    cells = _first_cells(table, name)
    return len(cells) > 1 and not any(re.search(r"\s", cell) for cell in cells) and not _id_faults(table.column(name))


def _id_faults(cells: Sequence[str]) -> str:
    """Return what keeps the cells from being ids, or ""."""
    blank = sum(not cell.strip() for cell in cells)
    repeated = {cell: count for cell, count in Counter(cells).items() if count > 1 and cell.strip()}
    faults = [f"{blank:,} of its cells {'is' if blank == 1 else 'are'} blank"] if blank else []
    if repeated:
        example = min(repeated)  # whatever the order of the rows
        faults.append(
            f"{sum(repeated.values()):,} rows share their value with another, such as {shown(example)} "
            f"({repeated[example]:,} times)"
        )
    return " and ".join(faults)
