"""CSV text to rows of one width, and the line that a broken row stands on."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator

from dupdetect.errors import BadRowsError, EmptyInputError, InputError
from dupdetect.tables.cells import counted
from dupdetect.tables.delimiter import absent_delimiter, delimiter_of, likelier_delimiter, without_announcement
from dupdetect.tables.limits import check_filling, fills_too_much
from dupdetect.tables.rows import Row, Rows, RowsInTheMaking
from dupdetect.tables.stream import Stream


def parse_csv(
    text: Stream, name: str, suffix: str, delimiter: str | None, on_bad_rows: str
) -> tuple[Row, Rows, str | None, list[str]]:
    """Return header, rows, the delimiter (None when there is but one column), and notes."""
    text, announced = without_announcement(text)
    first_line = 2 if announced else 1
    if not text.first_ink():
        raise EmptyInputError(f"{name} holds nothing but blank lines. Hand in a file with a header line and rows.")
    asked = delimiter
    delimiter, notes = (delimiter, []) if delimiter else delimiter_of(text, announced, suffix)
    body, more = _parse(text, name, delimiter or absent_delimiter(text), first_line, on_bad_rows)
    notes += more
    if body.blank:
        lines = counted(body.blank, "blank line was", "blank lines were")
        notes.append(f"{lines} read as empty cells." if len(body.header) == 1 else f"{lines} skipped.")
    if body.first_bad and on_bad_rows == "error":
        line, cells = body.first_bad
        bad, hint = body.short + body.long, likelier_delimiter(text, asked, suffix)
        raise BadRowsError(name, line=line, cells=cells, expected=len(body.header), count=bad, first=hint)
    if len(body.header) == 1 and (hint := likelier_delimiter(text, asked, suffix)):
        notes.append(hint.strip())
    header, more = _levelled(body, name)
    return header, body.making.finished(len(header)), delimiter, notes + more


def _parse(text: Stream, name: str, delimiter: str, first_line: int, on_bad_rows: str) -> tuple[_Body, list[str]]:
    """Return the header and what stands below it, and notes."""
    if len(text.utf8) > csv.field_size_limit():
        # For the whole process, and for good: putting it back could break a file that another thread is reading.
        csv.field_size_limit(min(len(text.utf8), 2**31 - 1))
    try:
        return _Body(_records(text.lines(), delimiter, first_line)), []
    except _BrokenQuotesError as error:
        broken = error.line
    lenient = _LenientRecords(text, delimiter, first_line)
    body = _Body(lenient)
    swallowed = broken if lenient.unclosed else lenient.swallowed
    if lenient.unclosed or (swallowed is not None and on_bad_rows == "error"):
        raise InputError(
            f"{name}, line {swallowed}: a quote opens in the row that starts here and does not close there, so that it "
            'swallows the lines below. Close it, or write it twice ("") if it is part of the text.'
        )
    return body, [f"Text follows a closing quote, first on line {broken}; it was joined to the quoted text."]


class _BrokenQuotesError(Exception):
    """A quote closes within a cell, or never, in the row that starts on `line`."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _records(lines: Iterable[str], delimiter: str, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """Yield each row, a blank line as [], with the line that it starts on; raise `_BrokenQuotesError`."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = first_line
    try:
        for row in reader:
            yield start, row
            start = first_line + reader.line_num
    except csv.Error:
        raise _BrokenQuotesError(start) from None


class _LenientRecords:
    """The same for a text with broken quotes: what follows a closing quote is joined to the quoted text.

    swallowed: the first line of the first row that broken quotes spread over several lines, or None.
    unclosed: whether the last row never ends. Both are known when all rows have been gone through.
    """

    def __init__(self, text: Stream, delimiter: str, first_line: int) -> None:
        self.swallowed: int | None = None
        self.unclosed = False
        self._text = text
        self._delimiter = delimiter
        self._first_line = first_line
        self._record: list[str] = []

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(self._lines(), delimiter=self._delimiter)
        start = self._first_line
        last: tuple[int, list[str]] | None = None
        for row in reader:
            if last is not None:
                yield last
            last = start, row
            end = self._first_line + reader.line_num
            if self.swallowed is None and end - start > 1 and self._is_broken(self._record):
                self.swallowed = start
            self._record.clear()
            start = end
        self.unclosed = last is not None and bool(last[1])

    def _lines(self) -> Iterator[str]:
        # A blank line is added at the end: if the last row is not that line, a quote has swallowed it.
        for line in itertools.chain(self._text.lines(), [""]):
            self._record.append(line)
            yield line

    def _is_broken(self, record: Iterable[str]) -> bool:
        try:
            for _ in _records(record, self._delimiter, 0):
                pass
        except _BrokenQuotesError:
            return True
        return False


class _Body:
    """The rows below the header, those that do not fit it counted.

    first_bad: the line and the cells of the first of these.  given: the cells of all rows.  widest: the most cells of a
    row or the header.
    """

    def __init__(self, records: Iterable[tuple[int, list[str]]]) -> None:
        self.making = RowsInTheMaking()
        self.count = self.given = self.blank = self.short = self.long = 0
        self.first_bad: tuple[int, int] | None = None
        each = iter(records)
        # No header is left only of a text that a quote has swallowed.
        self.header = next((row for _, row in each if row), [])
        self.widest = len(self.header)
        self._read(each, len(self.header))

    def _read(self, records: Iterator[tuple[int, list[str]]], width: int) -> None:
        add = self.making.add_row
        for line, row in records:
            cells = len(row)
            if width == 1 and not row:
                self.blank += 1
                row, cells = [""], 1
            elif cells < 2 <= width and not (row and row[0].strip()):
                # A line of nothing but spaces cannot be a row of several cells either.
                self.blank += 1
                continue
            self.count += 1
            self.given += cells
            if cells != width:
                self._add_bad(line, cells, width)
            if self.first_bad is None or not self._fills_too_much():
                add(row)

    def _add_bad(self, line: int, cells: int, width: int) -> None:
        self.first_bad = self.first_bad or (line, cells)
        self.short += cells < width
        self.long += cells > width
        self.widest = max(self.widest, cells)

    def _fills_too_much(self) -> bool:
        return fills_too_much(rows=self.count, columns=self.widest, given=self.given)


def _levelled(body: _Body, name: str) -> tuple[Row, list[str]]:
    """Return the header of all columns, and notes."""
    check_filling(name, rows=body.count, columns=body.widest, given=body.given)
    notes = []
    if body.short:
        notes.append(f"{counted(body.short, 'row', 'rows')} with too few cells got empty ones at the end.")
    if body.long:
        added = counted(body.widest - len(body.header), "column", "columns")
        notes.append(f"{counted(body.long, 'row', 'rows')} had too many cells; the header got {added} without a name.")
    return (*body.header, *[""] * (body.widest - len(body.header))), notes
