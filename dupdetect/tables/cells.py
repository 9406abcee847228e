"""The one text form of every value, and tables made of columns of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from datetime import date, time
from decimal import Decimal

import numpy as np

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.encoding import is_utf8
from dupdetect.tables.rows import Row, Rows, RowsInTheMaking
from dupdetect.tables.table import Source, Table
from dupdetect.text import holds_halves, is_missing, without_halves

_MOST_NAMES = 30
_LONGEST_SHOWN = 60
_MOST_ZEROS = 100  # that a Decimal is written out with


class WrittenFloat(float):
    """A number of a JSON file, with the text it had there: 1.10 and 12345678901234567890.123 are other floats."""

    text: str

    def __new__(cls, text: str) -> WrittenFloat:
        number = super().__new__(cls, text)
        number.text = text
        return number


def text_of_column(values: Iterable[object]) -> list[str]:
    return [value if type(value) is str else text_of(value) for value in values]


def text_of(value: object) -> str:
    """Return the one text form of a value that is not text: see `read_table`. NaN is missing, and so empty.

    Raises `InputError` for what has none, such as a list that holds itself or an integer of more than 4,300 digits.
    """
    if isinstance(value, WrittenFloat):
        return value.text
    if is_missing(value):
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode() if is_utf8(value) else f"\\x{value.hex()}"  # as PostgreSQL writes bytes
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, np.float32 | np.float16) and np.isfinite(value):
        return str(value)  # as a float it would have more digits than it had
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < _MOST_ZEROS:
        return f"{value:f}"
    if isinstance(value, bool | int | float | list | tuple | dict):
        try:
            return json.dumps(value, ensure_ascii=False, default=text_of)
        except InputError:
            raise
        except (ValueError, TypeError, RecursionError) as error:
            kind = type(value).__name__
            raise InputError(f"A value of the type {kind} has no text form ({error}). Make it text first.") from error
    plain = getattr(value, "tolist", None)  # numpy's numbers and arrays
    return text_of(plain()) if plain else str(value)


class Cells:
    """Columns of cells on their way to be rows, part by part. Halves of surrogate pairs, which no file can hold, become
    U+FFFD."""

    def __init__(self) -> None:
        self._rows = RowsInTheMaking()
        self._repaired = 0

    def add(self, columns: Sequence[Sequence[str]], count: int, places: Sequence[int] | None = None) -> None:
        """Add so many rows by their columns; `places` as for `RowsInTheMaking.add_columns`."""
        self._rows.add_columns([self._whole(cells) for cells in columns], count, places)

    def finished(self, names: Iterable[str]) -> tuple[Row, Rows, list[str]]:
        """Return header, rows and notes."""
        header = tuple(self._whole([*names]))
        held = counted(self._repaired, "cell", "cells")
        note = f"{held} held half of a surrogate pair, now the replacement character U+FFFD."
        return header, self._rows.finished(len(header)), [note] if self._repaired else []

    def _whole(self, cells: Sequence[str]) -> Sequence[str]:
        if not holds_halves("".join(cells)):
            return cells
        self._repaired += sum(map(holds_halves, cells))
        return [*map(without_halves, cells)]


def table_of_columns(names: Sequence[str], columns: Sequence[Sequence[str]], source: Source) -> Table:
    if not names:
        raise EmptyInputError(f"The {source.name} has no columns. Hand in one with a column of texts.")
    lengths = [*map(len, columns)]
    if len(set(lengths)) > 1:
        each = itertools.islice(zip(names, lengths, strict=True), _MOST_NAMES)
        listed = ", ".join(f"{name!r}: {length}" for name, length in each)
        more = f", and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        raise InputError(f"The columns differ in length: {listed}{more}. Make them equally long.")
    return table_of_parts(names, [columns], source)


def table_of_parts(names: Sequence[str], parts: Iterable[Sequence[Sequence[str]]], source: Source) -> Table:
    """Return the table of columns that come in parts, each with cells for all columns, equally many."""
    cells = Cells()
    for columns in parts:
        cells.add(columns, len(columns[0]))
    header, rows, notes = cells.finished(names)
    return Table(header, rows, source, tuple(notes))


def shown(cell: str) -> str:
    """Return a cell in quotes for a message, a long one by its beginning."""
    return repr(cell if len(cell) <= _LONGEST_SHOWN else f"{cell[:_LONGEST_SHOWN]}...")


def counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
