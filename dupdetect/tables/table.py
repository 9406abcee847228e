"""A header, rows of text cells, and where they came from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dupdetect.errors import ColumnNotFoundError, InputError
from dupdetect.tables.rows import Row, Rows

_ORDINAL = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from, and how it was read."""

    name: str
    """The path as it was given, "standard input", or the kind of the object."""
    format: str
    """"csv", "jsonl", "parquet", "xlsx", "frame" or "list"."""
    sha256: str | None = None
    """Of the bytes as stored (before decompression), in hexadecimal; None for what was never a file."""
    encoding: str | None = None
    """The character encoding of a text file, such as "utf-8"."""
    delimiter: str | None = None
    """The character between CSV cells; None where no delimiter is needed: one column, or no CSV."""
    given: tuple[tuple[str, str], ...] = ()
    """The options of `read_table` that were named to read a file, with their values."""


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows of text cells, exactly as they came.

    The header may hold empty and repeated names. Every row has as many cells as the header, or `ValueError` is raised.
    Whatever sequence `rows` is handed in as, it becomes `Rows`, which take little memory.
    """

    columns: Row
    rows: Sequence[Row] = field(repr=False)
    source: Source
    notes: tuple[str, ...] = ()
    _positions: dict[str, list[int]] = field(init=False, repr=False, compare=False)
    _rows: Rows = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions: dict[str, list[int]] = {}
        for position, name in enumerate(self.columns):
            positions.setdefault(name, []).append(position)
        object.__setattr__(self, "_positions", positions)  # once: thousands of columns may be looked up
        object.__setattr__(self, "_rows", Rows.of(self.rows, len(self.columns)))
        object.__setattr__(self, "rows", self._rows)

    def __len__(self) -> int:
        """The number of rows, without the header."""
        return len(self.rows)

    @property
    def selectors(self) -> Row:
        """One name per column that `column` accepts: its own, or `name#2` for the second of several named `name`."""
        seen = Counter[str]()
        names = []
        for name in self.columns:
            seen[name] += 1
            names.append(name if len(self._positions[name]) == 1 else f"{name}#{seen[name]}")
        return tuple(names)

    def position(self, name: str) -> int:
        """Return the position, from 0, of the column `name`; `name#2` is the second of several columns named `name`.

        A column that is called exactly so wins over that reading. Raises `ColumnNotFoundError`, and `InputError` when
        several columns are called so.
        """
        same = self._positions.get(name, [])
        if len(same) == 1:
            return same[0]
        if same:
            raise InputError(
                f"{len(same):,} columns of {self.source.name} are named {name!r}. "
                f"Say which one: {name + '#1'!r} is the first, {name + '#2'!r} the second."
            )
        base, sign, number = name.rpartition("#")
        same = self._positions.get(base, [])
        if sign and _ORDINAL.fullmatch(number) and int(number) <= len(same):
            return same[int(number) - 1]
        raise ColumnNotFoundError(name, self.selectors)

    def column(self, name: str) -> list[str]:
        """Return the cells of a column, one per row; `name` and errors as for `position`."""
        return self._rows.column(self.position(name))
