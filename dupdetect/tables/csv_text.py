"""CSV text to rows of one width, and the line that a broken row stands on."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence

from dupdetect.errors import BadRowsError, EmptyInputError, InputError
from dupdetect.tables.cells import counted
from dupdetect.tables.delimiter import absent_delimiter, delimiter_of, without_announcement
from dupdetect.tables.limits import check_filling
from dupdetect.tables.table import Row


def parse_csv(
    text: str, name: str, suffix: str, delimiter: str | None, on_bad_rows: str
) -> tuple[Row, tuple[Row, ...], str | None, list[str]]:
    """Return header, rows, the delimiter (None when there is but one column), and notes."""
    text, announced = without_announcement(text)
    first_line = 2 if announced else 1
    if not text.strip():
        raise EmptyInputError(f"{name} holds nothing but blank lines. Hand in a file with a header line and rows.")
    delimiter, notes = (delimiter, []) if delimiter else delimiter_of(text, announced, suffix)
    rows, starts, more = _parse(text, name, delimiter or absent_delimiter(text), first_line, on_bad_rows)
    notes += more
    while not rows[0]:
        del rows[0], starts[0]
    header, *rows = rows
    rows, starts, more = _without_blank_lines(rows, starts[1:], one_column=len(header) == 1)
    notes += more
    if any(len(row) != len(header) for row in rows):
        if on_bad_rows == "error":
            raise _bad_rows(rows, starts, name, len(header))
        header, rows, more = _levelled(header, rows, name)
        notes += more
    return tuple(header), tuple(map(tuple, rows)), delimiter, notes


def _parse(
    text: str, name: str, delimiter: str, first_line: int, on_bad_rows: str
) -> tuple[list[list[str]], list[int], list[str]]:
    """Return the rows, blank lines as [], the line in the file where each starts, and notes."""
    if len(text) > csv.field_size_limit():
        # For the whole process, and for good: putting it back could break a file that another thread is reading.
        csv.field_size_limit(min(len(text), 2**31 - 1))
    rows, starts, broken = _parsed(text, delimiter, first_line, strict=True)
    if broken is None:
        return rows[:-1], starts[:-1], []
    rows, starts, _ = _parsed(text, delimiter, first_line, strict=False)
    swallowed = broken if rows[-1] else _swallowed(text, delimiter, first_line, starts)
    if rows[-1] or (swallowed is not None and on_bad_rows == "error"):
        raise InputError(
            f"{name}, line {swallowed}: a quote opens in the row that starts here and does not close there, so that it "
            'swallows the lines below. Close it, or write it twice ("") if it is part of the text.'
        )
    notes = [f"Text follows a closing quote, first on line {broken}; it was joined to the quoted text."]
    return rows[:-1], starts[:-1], notes


def _parsed(
    text: str, delimiter: str, first_line: int, *, strict: bool
) -> tuple[list[list[str]], list[int], int | None]:
    """Return rows, the lines they start on, and the line of the first row with broken quotes (strict stops there).

    A blank line is added at the end: if the last row is not that line, a quote has swallowed it.
    """
    lines = itertools.chain(io.StringIO(text, newline=""), [""])
    reader = csv.reader(lines, delimiter=delimiter, strict=strict)
    rows: list[list[str]] = []
    starts: list[int] = []
    start = first_line
    try:
        for row in reader:
            rows.append(row)
            starts.append(start)
            start = first_line + reader.line_num
    except csv.Error:
        return rows, starts, start
    return rows, starts, None


def _swallowed(text: str, delimiter: str, first_line: int, starts: Sequence[int]) -> int | None:
    """Return the line of the first row that broken quotes spread over several lines, or None."""
    lines = list(io.StringIO(text, newline=""))
    for start, end in itertools.pairwise(starts):
        record = "".join(lines[start - first_line : end - first_line])
        if end - start > 1 and _parsed(record, delimiter, start, strict=True)[2] is not None:
            return start
    return None


def _without_blank_lines(
    rows: list[list[str]], starts: list[int], *, one_column: bool
) -> tuple[list[list[str]], list[int], list[str]]:
    if one_column:
        blank = rows.count([])
        note = f"{counted(blank, 'blank line was', 'blank lines were')} read as empty cells."
        return [row or [""] for row in rows], starts, [note] if blank else []
    # A line of nothing but spaces cannot be a row of several cells either.
    full = [position for position, row in enumerate(rows) if len(row) > 1 or (row and row[0].strip())]
    blank = len(rows) - len(full)
    note = f"{counted(blank, 'blank line was', 'blank lines were')} skipped."
    return [rows[at] for at in full], [starts[at] for at in full], [note] if blank else []


def _bad_rows(rows: Sequence[Sequence[str]], starts: Sequence[int], name: str, width: int) -> BadRowsError:
    bad = [position for position, row in enumerate(rows) if len(row) != width]
    return BadRowsError(name, line=starts[bad[0]], cells=len(rows[bad[0]]), expected=width, count=len(bad))


def _levelled(header: list[str], rows: list[list[str]], name: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Return header and rows of one width, and notes."""
    short = sum(len(row) < len(header) for row in rows)
    long = sum(len(row) > len(header) for row in rows)
    width = max(len(header), max(map(len, rows)))
    check_filling(name, rows=len(rows), columns=width, given=sum(map(len, rows)))
    notes = []
    if short:
        notes.append(f"{counted(short, 'row', 'rows')} with too few cells got empty ones at the end.")
    if long:
        added = counted(width - len(header), "column", "columns")
        notes.append(f"{counted(long, 'row', 'rows')} had too many cells; the header got {added} without a name.")
    return header + [""] * (width - len(header)), [row + [""] * (width - len(row)) for row in rows], notes
