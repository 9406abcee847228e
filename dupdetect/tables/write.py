"""Cells to CSV that reads back the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from dupdetect.text import without_halves

_SPECIAL = re.compile(r'[\x00-\x1f",;|\ufeff]')
_SPECIAL_OR_SPACE = re.compile(r'[\x00-\x1f",;|\ufeff\s]')
_ROWS_AT_ONCE = 1000
# What shows no ink: white space, control and format characters, fillers.
_INVISIBLE = (
    r"\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
_FORMULA = re.compile(rf"[\t\r\n]|[{_INVISIBLE}]*+(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?")


def write_csv(
    file: str | Path | TextIO, columns: Sequence[str], rows: Iterable[Sequence[str]], *, excel_safe: bool = False
) -> None:
    r"""Write a header and rows as CSV: UTF-8, commas, lines that end in `\n`, quotes only where they are needed.

    `file` is a path, or a text file opened with `encoding="utf-8", newline=""`. `read_table` gives back the same cells,
    whatever they hold: those with quotes, control characters or any delimiter that it knows are quoted, and so is the
    empty cell of a single column.

    `excel_safe` writes what Excel opens rightly and safely. A byte order mark comes first, without which Excel takes
    UTF-8 for the encoding of its country. And a `'` is put before every cell that a spreadsheet could take for a
    formula, as the OWASP page on CSV injection advises: those that begin with a tab or a line end, or, after any white
    space and invisible characters, with `=`, `+`, `-`, `@` or the full-width forms of these. Plain numbers such as -5
    or +3.2 stay, since they compute nothing. Without it there is no mark, and cells are written as they are.

    Halves of surrogate pairs, which no file can hold, are written as U+FFFD.

    Raises `ValueError` for a row whose number of cells is not that of the header.
    """
    if isinstance(file, str | Path):
        with Path(file).open("w", encoding="utf-8", newline="") as opened:
            return write_csv(opened, columns, rows, excel_safe=excel_safe)
    if not columns:
        raise ValueError("A CSV file needs at least one column.")
    if excel_safe:
        file.write("\ufeff")
    each = itertools.chain([columns], rows)
    while some := [*itertools.islice(each, _ROWS_AT_ONCE)]:
        file.write(_lines(some, len(columns), excel_safe=excel_safe))
    return None


def _lines(rows: Sequence[Sequence[str]], width: int, *, excel_safe: bool) -> str:
    other = next((cells for cells in map(len, rows) if cells != width), width)
    if other != width:
        raise ValueError(f"A row has {other} cells where the header has {width}.")
    columns = zip(*rows, strict=True)
    written = [_quoted(cells) for cells in (map(_defused, cells) if excel_safe else cells for cells in columns)]
    if width == 1:
        # A line with nothing on it would be a blank line, not a row: the lone empty cell is written as "".
        written = [[cell or '""' for cell in written[0]]]
    return without_halves("\n".join(map(",".join, zip(*written, strict=True))) + "\n")


def _quoted(column: Iterable[str]) -> Sequence[str]:
    """Return the cells of a column as they are written.

    Python's own writer leaves a lone \\r bare in some versions, and knows nothing of the other delimiters.
    """
    cells = tuple(column)
    if not _SPECIAL_OR_SPACE.search("".join(cells)):  # most columns are none of text
        return cells
    special = _SPECIAL.search
    return ['"' + cell.replace('"', '""') + '"' if special(cell) or cell.isspace() else cell for cell in cells]


def _defused(cell: str) -> str:
    found = _FORMULA.match(cell)
    return "'" + cell if found and not _NUMBER.fullmatch(cell, found.end()) else cell
