"""Tabular files and data frames in, text cells out; and CSV back.

`read_table` reads CSV, JSON Lines and Parquet; `table_from_frame` takes anything that holds columns. Both give a
`Table` whose cells are strings as they came, and whose notes say in plain sentences what was detected or repaired on
the way. `write_csv` writes what `read_table` reads back cell by cell.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import itertools
import json
import math
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal, TextIO

from dupdetect.errors import BadRowsError, ColumnNotFoundError, EmptyInputError, EncodingError, InputError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Source", "Table", "read_table", "table_from_frame", "write_csv"]

Row = tuple[str, ...]

_DELIMITERS = ",;\t|"
_DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from, and how it was read."""

    name: str
    """The path as it was given, "standard input", or the kind of the object."""
    format: str
    """"csv", "jsonl", "parquet", "frame" or "list"."""
    sha256: str | None = None
    """Of the bytes as stored (before decompression), in hexadecimal; None for what was never a file."""
    encoding: str | None = None
    """The character encoding of a text file, such as "utf-8"."""
    delimiter: str | None = None
    """The character between CSV cells; None where no delimiter is needed: one column, or no CSV."""


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows of text cells, exactly as they came.

    The header may hold empty and repeated names. Every row has as many cells as the header.
    """

    columns: Row
    rows: tuple[Row, ...] = field(repr=False)
    source: Source
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of rows, without the header."""
        return len(self.rows)

    @property
    def selectors(self) -> Row:
        """One name per column that `column` accepts: its own, or `name#2` for the second of several named `name`."""
        total, seen = Counter(self.columns), Counter[str]()
        names = []
        for name in self.columns:
            seen[name] += 1
            names.append(name if total[name] == 1 else f"{name}#{seen[name]}")
        return tuple(names)

    def position(self, name: str) -> int:
        """Return the position, from 0, of the column `name`; `name#2` is the second of several columns named `name`.

        A column that is called exactly so wins over that reading. Raises `ColumnNotFoundError`, and `InputError` when
        several columns are called so.
        """
        count = self.columns.count(name)
        if count == 1:
            return self.columns.index(name)
        if count > 1:
            raise InputError(
                f"{count} columns of {self.source.name} are named {name!r}. "
                f"Say which one: {name + '#1'!r} is the first, {name + '#2'!r} the second."
            )
        base, _, number = name.rpartition("#")
        same = [position for position, column in enumerate(self.columns) if column == base]
        if number in {str(nth + 1) for nth in range(len(same))}:
            return same[int(number) - 1]
        raise ColumnNotFoundError(name, self.selectors)

    def column(self, name: str) -> list[str]:
        """Return the cells of a column, one per row; `name` and errors as for `position`."""
        position = self.position(name)
        return [row[position] for row in self.rows]


def read_table(
    path: str | Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    on_bad_rows: Literal["error", "keep"] = "error",
) -> Table:
    """Return the table in a file; `-` is standard input.

    By suffix: `.parquet`; `.jsonl`, `.ndjson`, `.json` (JSON Lines, or one list of objects); everything else is CSV.
    Standard input is JSON Lines when it begins with `{`, else CSV. Gzip is unpacked wherever it is found.

    Encoding, unless named: a byte order mark; UTF-16 by its pattern of NUL bytes; UTF-8; else cp1252, with a note. A
    file that is UTF-8 for the most part and damaged in places is refused, since cp1252 would garble all of it.

    Delimiter, unless named: the one of `, ; tab |` that stands in the header and splits most of the first rows alike,
    quoted text left aside. A header with none of them makes one column, its commas part of the text. `delimiter` is one
    character, or "tab". A first line such as `sep=;`, which Excel writes, is obeyed.

    Cells are what Python's csv module makes of them. A blank line is no row, except in a file of one column, where it
    is an empty cell: many programs write nothing else for one. Rows with too few or too many cells raise
    `BadRowsError`; with `on_bad_rows="keep"` short rows are filled with empty cells, and for long ones the header gets
    columns without a name. A quote that never closes is always an error, since it swallows the rest of the file.

    In JSON Lines and Parquet null is an empty cell, text stays, dates and times take their ISO 8601 form, and every
    other value is its JSON text (`true`, `3`, `["a", "b"]`).

    Raises `InputError` for what cannot be read, `EncodingError`, `EmptyInputError` when there is not even a header, and
    `BadRowsError`.
    """
    if on_bad_rows not in {"error", "keep"}:
        raise InputError(f"on_bad_rows is {on_bad_rows!r}; it can be 'error' or 'keep'.")
    name, suffix, raw = _load(path)
    content = _unpack(raw, name, gzipped=suffix == ".gz")
    if suffix == ".gz":
        suffix = PurePath(PurePath(path).stem.lower()).suffix
    sha256 = hashlib.sha256(raw).hexdigest()
    if suffix == ".parquet":
        _refuse_options(name, "Parquet", encoding=encoding, delimiter=delimiter)
        return _read_parquet(content, name, sha256)
    if not content:
        raise EmptyInputError(f"{name} is empty. Hand in a file with a header line and rows.")
    _refuse_other_formats(content, name)
    text, encoding, notes = _decode(content, name, encoding)
    if suffix in {".jsonl", ".ndjson", ".json"} or (str(path) == "-" and text.lstrip()[:1] == "{"):
        _refuse_options(name, "JSON", encoding=None, delimiter=delimiter)
        columns, rows, more = _cells_of_records(_json_records(text, name), name)
        return Table(columns, rows, Source(name, "jsonl", sha256, encoding), tuple(notes + more))
    columns, rows, delimiter, more = _read_csv(text, name, suffix, _one_character(delimiter), on_bad_rows)
    return Table(columns, rows, Source(name, "csv", sha256, encoding, delimiter), tuple(notes + more))


def write_csv(
    file: str | Path | TextIO, columns: Sequence[str], rows: Iterable[Sequence[str]], *, excel_safe: bool = False
) -> None:
    r"""Write a header and rows as CSV: UTF-8, commas, lines that end in `\n`, quotes only where they are needed.

    `file` is a path, or a text file opened with `encoding="utf-8", newline=""`. `read_table` gives back the same cells,
    whatever they hold: those with quotes, control characters or any delimiter that it knows are quoted, and so is the
    empty cell of a single column.

    `excel_safe` puts a `'` before every cell that a spreadsheet could take for a formula, as the OWASP page on CSV
    injection advises: those that begin with `=`, `+`, `-`, `@`, a tab or a line end, or the full-width forms of the
    four signs. Plain numbers such as -5 or +3.2 stay, since they compute nothing. Without it, cells are written as they
    are.

    Raises `ValueError` for a row whose number of cells is not that of the header.
    """
    if isinstance(file, str | Path):
        with Path(file).open("w", encoding="utf-8", newline="") as opened:
            return write_csv(opened, columns, rows, excel_safe=excel_safe)
    if not columns:
        raise ValueError("A CSV file needs at least one column.")
    for row in itertools.chain([columns], rows):
        if len(row) != len(columns):
            raise ValueError(f"A row has {len(row)} cells where the header has {len(columns)}.")
        cells = map(_defused, row) if excel_safe else row
        # A line with nothing on it would be a blank line, not a row: the lone empty cell is written as "".
        line = ",".join(map(_quoted, cells)) or '""'
        file.write(f"{line}\n")
    return None


_NEEDS_QUOTES = re.compile(r'[\x00-\x1f",;|\ufeff]|\A\s+\Z')
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?")


def _quoted(cell: str) -> str:
    # Python's own writer leaves a lone \r bare in some versions, and knows nothing of the other delimiters.
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell


def _defused(cell: str) -> str:
    return "'" + cell if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


# Bytes.


def _load(path: str | Path) -> tuple[str, str, bytes]:
    """Return the name for messages, the last suffix in lower case, and the bytes."""
    if str(path) == "-":
        return "standard input", "", sys.stdin.buffer.read()
    try:
        return str(path), PurePath(path).suffix.lower(), Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}. Check the name, and the folder it is looked for in.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder. Name one file in it.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read: {reason}. Check the name and its permissions.") from error


def _unpack(raw: bytes, name: str, *, gzipped: bool) -> bytes:
    if not raw.startswith(b"\x1f\x8b"):
        if gzipped and raw:
            raise InputError(f"{name} is not gzip, although its name says so. Rename it, or compress it.")
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} is damaged or cut off ({error}). Export or copy it again.") from error


def _refuse_options(name: str, format_name: str, **options: str | None) -> None:
    for option, value in options.items():
        if value is not None:
            raise InputError(f"{name} is {format_name}, which has no {option}. Leave --{option} away.")


def _refuse_other_formats(content: bytes, name: str) -> None:
    """Stop what would otherwise be read as one column of noise."""
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(
            f"{name} is an Excel workbook or a zip archive. Save the sheet as 'CSV UTF-8', or unpack the archive."
        )
    if content.startswith(b"PAR1"):
        raise InputError(f"{name} is Parquet. Give it a name that ends in .parquet.")


# Characters.


def _decode(content: bytes, name: str, encoding: str | None) -> tuple[str, str, list[str]]:
    """Return the text without its byte order mark, the encoding, and notes."""
    if encoding is not None:
        return _decode_as(content, name, _known_encoding(encoding)), encoding, []
    marked = _marked_encoding(content)
    if marked:
        note = f"Read as {marked.removesuffix('-sig').upper()} with a byte order mark."
        return _decode_as(content, name, marked), marked, [note]
    unmarked = _utf16_without_mark(content)
    if unmarked:
        return _decode_as(content, name, unmarked), unmarked, [f"Read as {unmarked.upper()} without a byte order mark."]
    try:
        return content.decode("utf-8"), "utf-8", []
    except UnicodeDecodeError as error:
        offset = error.start
    if _is_damaged_utf8(content):
        raise EncodingError(name, "utf-8", offset)
    text = _decode_as(content, name, "cp1252")
    note = (
        f"Read as cp1252 (not UTF-8: see the byte at offset {offset}). "
        "If characters look wrong, name the encoding with --encoding."
    )
    return text, "cp1252", [note]


def _known_encoding(encoding: str) -> str:
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        raise InputError(
            f"There is no encoding {encoding!r}. Well-known ones: utf-8, utf-16, cp1252, latin-1, shift_jis."
        ) from None
    return encoding


def _decode_as(content: bytes, name: str, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise EncodingError(name, encoding, error.start) from None
    except UnicodeError:
        raise EncodingError(name, encoding, 0) from None


def _marked_encoding(content: bytes) -> str | None:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and len(content) % 4 == 0:
        return "utf-32"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else None


def _utf16_without_mark(content: bytes) -> str | None:
    """Return "utf-16-le" or "utf-16-be" if the bytes are that, by the zero half of its ASCII characters.

    UTF-8 may hold NUL characters too, so what is valid UTF-8 must also look like UTF-16 at its first and last line end.
    """
    zeros = content[::2].count(0), content[1::2].count(0)
    share = max(zeros) / (len(content) / 2)
    # Some common characters, such as U+4E00, have the zero in their other half.
    if len(content) % 2 or share < 0.1 or 2 * min(zeros) > max(zeros):
        return None
    encoding = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    if share < 0.9 and "\n" not in text:
        return None
    if _is_utf8(content):
        starts_bare = content.find(b"\n") // 2 != text.find("\n")
        ends_bare = content[-1] in b"\r\n" and (encoding == "utf-16-le" or content[-2] != 0)
        if starts_bare or ends_bare:
            return None
    return encoding


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_damaged_utf8(content: bytes) -> bool:
    """Tell whether most bytes beyond ASCII form UTF-8 characters: in cp1252 text they hardly ever do by chance."""
    text = content.decode("utf-8", errors="replace")
    beyond = len(text) - len(text.encode("ascii", errors="ignore"))
    return 2 * text.count("\ufffd") < beyond


# CSV.


def _one_character(delimiter: str | None) -> str | None:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InputError(f"The delimiter is {delimiter!r}; it must be one character, or the word tab.")
    return delimiter


def _read_csv(
    text: str, name: str, suffix: str, delimiter: str | None, on_bad_rows: str
) -> tuple[Row, tuple[Row, ...], str | None, list[str]]:
    """Return header, rows, the delimiter (None when there is but one column), and notes."""
    text, announced = _without_announcement(text)
    first_line = 2 if announced else 1
    if not text.strip():
        raise EmptyInputError(f"{name} holds nothing but blank lines. Hand in a file with a header line and rows.")
    delimiter, notes = (delimiter, []) if delimiter else _delimiter(text, announced, suffix)
    rows, starts, more = _parse(text, name, delimiter or _absent_delimiter(text), first_line, on_bad_rows)
    notes += more
    while not rows[0]:
        del rows[0], starts[0]
    header, *rows = rows
    rows, starts, more = _without_blank_lines(rows, starts[1:], one_column=len(header) == 1)
    notes += more
    if any(len(row) != len(header) for row in rows):
        if on_bad_rows == "error":
            raise _bad_rows(rows, starts, name, len(header))
        header, rows, more = _levelled(header, rows)
        notes += more
    return tuple(header), tuple(map(tuple, rows)), delimiter, notes


def _without_announcement(text: str) -> tuple[str, str | None]:
    announcement = re.match(r"sep=([,;\t|])(?:\r\n|\n|\r)", text)
    return (text[announcement.end() :], announcement[1]) if announcement else (text, None)


def _delimiter(text: str, announced: str | None, suffix: str) -> tuple[str | None, list[str]]:
    delimiter = announced or _detect_delimiter(text, prefer="\t" if suffix == ".tsv" else "")
    if delimiter is None:
        return None, ["One column: the first line, taken as its name, holds no delimiter."]
    return delimiter, [] if delimiter == "," else [f"The delimiter is {_DELIMITER_NAMES[delimiter]}."]


# A quote opens a cell at the start of a line or after any of the delimiters; what it holds says nothing about them.
_QUOTED_CELL = re.compile(r'(?:\A|(?<=[,;\t|\r\n]))"(?:[^"]++|"")*+(?:"|\Z)')
_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_LINES = 500


def _detect_delimiter(text: str, prefer: str) -> str | None:
    """Return the delimiter that explains the header and most of the first rows, or None if there is one column."""
    lines = re.split(r"\r\n|\n|\r", _QUOTED_CELL.sub("x", text[:_SAMPLE_CHARACTERS]))
    if len(text) > _SAMPLE_CHARACTERS and len(lines) > 1:
        del lines[-1]  # it may have been cut off
    header, *body = [line for line in lines if line.strip()][:_SAMPLE_LINES] or [""]
    if prefer and prefer in header:
        return prefer
    candidates = [delimiter for delimiter in _DELIMITERS if delimiter in header]
    if not candidates:
        return _delimiter_of_rows_alone(body)

    def explained(delimiter: str) -> tuple[float, int]:
        cuts = header.count(delimiter)
        alike = sum(line.count(delimiter) == cuts for line in body)
        return cuts * (alike / len(body) if body else 1.0), cuts

    return max(candidates, key=explained)


def _delimiter_of_rows_alone(body: Sequence[str]) -> str | None:
    """Tell a header that lacks names from a list of free text whose commas come and go."""
    for delimiter in _DELIMITERS:
        cuts = {line.count(delimiter) for line in body}
        if len(body) >= 3 and len(cuts) == 1 and cuts != {0}:
            return delimiter
    return None


def _absent_delimiter(text: str) -> str:
    """Return a character that cannot split anything, so that only quotes and line ends count."""
    return next(character for character in map(chr, itertools.count(0x1F)) if character not in text + '" ')


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
        note = f"{_counted(blank, 'blank line was', 'blank lines were')} read as empty cells."
        return [row or [""] for row in rows], starts, [note] if blank else []
    # A line of nothing but spaces cannot be a row of several cells either.
    full = [position for position, row in enumerate(rows) if len(row) > 1 or (row and row[0].strip())]
    blank = len(rows) - len(full)
    note = f"{_counted(blank, 'blank line was', 'blank lines were')} skipped."
    return [rows[at] for at in full], [starts[at] for at in full], [note] if blank else []


def _bad_rows(rows: Sequence[Sequence[str]], starts: Sequence[int], name: str, width: int) -> BadRowsError:
    bad = [position for position, row in enumerate(rows) if len(row) != width]
    return BadRowsError(name, line=starts[bad[0]], cells=len(rows[bad[0]]), expected=width, count=len(bad))


def _levelled(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]], list[str]]:
    """Return header and rows of one width, and notes."""
    short = sum(len(row) < len(header) for row in rows)
    long = sum(len(row) > len(header) for row in rows)
    width = max(len(header), max(map(len, rows)))
    notes = []
    if short:
        notes.append(f"{_counted(short, 'row', 'rows')} with too few cells got empty ones at the end.")
    if long:
        added = _counted(width - len(header), "column", "columns")
        notes.append(f"{_counted(long, 'row', 'rows')} had too many cells; the header got {added} without a name.")
    return header + [""] * (width - len(header)), [row + [""] * (width - len(row)) for row in rows], notes


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


# JSON Lines and Parquet.


def _json_records(text: str, name: str) -> list[Mapping[str, object]]:
    if text.lstrip()[:1] == "[":
        records = _json_value(text, name, line=1)
        numbered = list(enumerate(records, 1))
        place = "item"
    else:
        # Only \n ends a line: JSON strings may hold the other line separators of Unicode.
        lines = enumerate(text.split("\n"), 1)
        numbered = [(number, _json_value(line, name, number)) for number, line in lines if line.strip()]
        place = "line"
    for number, record in numbered:
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise InputError(f"{name}, {place} {number}: a JSON object is wanted, not a {kind}. Write one per line.")
    return [record for _, record in numbered]


def _json_value(text: str, name: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line += error.lineno - 1
        raise InputError(f"{name}, line {line}: broken JSON ({error.msg}). Correct that line.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}, line {line}: JSON that cannot be read ({error}). Correct that line.") from None


def _cells_of_records(records: Sequence[Mapping[str, object]], name: str) -> tuple[Row, tuple[Row, ...], list[str]]:
    """Return the keys in the order they are first seen, rows of their values, and notes."""
    keys = list(dict.fromkeys(itertools.chain.from_iterable(records)))
    if not keys:
        raise EmptyInputError(f"{name} holds no values. Hand in at least one object with a key.")
    lacking = sum(len(record) < len(keys) for record in records)
    note = f"{_counted(lacking, 'row lacks', 'rows lack')} some of the keys; these cells are empty."
    columns = [_text_of_column([record.get(key) for record in records]) for key in keys]
    header, rows, notes = _cells_of_columns(map(str, keys), columns)
    return header, rows, ([note] if lacking else []) + notes


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _cells_of_columns(names: Iterable[str], columns: Sequence[Sequence[str]]) -> tuple[Row, tuple[Row, ...], list[str]]:
    """Return header, rows and notes; halves of surrogate pairs, which no file can hold, become U+FFFD."""
    repaired = 0
    clean = []
    for cells in ([*names], *columns):
        if _LONE_SURROGATE.search("".join(cells)):
            repaired += sum(_LONE_SURROGATE.search(cell) is not None for cell in cells)
            cells = [_LONE_SURROGATE.sub("\ufffd", cell) for cell in cells]
        clean.append(cells)
    note = f"{_counted(repaired, 'cell', 'cells')} held half of a surrogate pair, now the replacement character U+FFFD."
    return tuple(clean[0]), tuple(zip(*clean[1:], strict=True)), [note] if repaired else []


def _text_of_column(values: Iterable[object]) -> list[str]:
    return [value if type(value) is str else _text_of(value) for value in values]


def _text_of(value: object) -> str:
    """Return the one text form of a value that is not text: see `read_table`. NaN is missing, and so empty."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return ""
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode() if _is_utf8(value) else value.hex()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_text_of)
    plain = getattr(value, "tolist", None)  # numpy's numbers and arrays
    return _text_of(plain()) if plain else str(value)


def _read_parquet(content: bytes, name: str, sha256: str) -> Table:
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        reason = str(error).partition("\n")[0]
        raise InputError(f"{name} is no readable Parquet file ({reason}). Export it again.") from error
    if not frame.columns:
        raise EmptyInputError(f"{name} has no columns. Export it again.")
    return _polars_table(frame, Source(name, "parquet", sha256))


# Data frames.


def table_from_frame(frame: object) -> Table:
    """Return the table in a data frame, its values as text in the way of `read_table`.

    Takes what pandas (a named index becomes a column), polars, pyarrow and `datasets` (one split) make, anything else
    with `__arrow_c_stream__`, a mapping of names to equally long sequences, a sequence of mappings, and a `Table`.
    NaN and its like are empty cells.

    Raises `InputError` for anything else, and `EmptyInputError` when there are no columns.
    """
    if isinstance(frame, Table):
        return frame
    source = Source(_kind(frame), "frame")
    if isinstance(frame, list | tuple) and all(isinstance(record, Mapping) for record in frame):
        columns, rows, notes = _cells_of_records(frame, source.name)
        return Table(columns, rows, source, tuple(notes))
    if hasattr(frame, "to_frame") and not hasattr(frame, "columns"):
        frame = frame.to_frame()  # a Series of pandas or polars
    if isinstance(frame, Mapping):
        return _table_of_columns([str(key) for key in frame], [*map(_cells_of_sequence, frame.values())], source)
    if hasattr(frame, "iloc"):
        return _pandas_table(frame, source)
    if hasattr(frame, "to_polars"):
        frame = frame.to_polars()  # for datasets.Dataset: its Arrow table ignores what select() and shuffle() did
    if hasattr(frame, "__arrow_c_stream__"):
        return _arrow_table(frame, source)
    raise InputError(
        f"No table can be made of a {source.name}. Hand in a data frame (pandas, polars, pyarrow, one split of a "
        "dataset), a dict of lists, or a list of dicts."
    )


def _kind(frame: object) -> str:
    return f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}".removeprefix("builtins ")


def _table_of_columns(names: Sequence[str], columns: Sequence[Sequence[str]], source: Source) -> Table:
    if not names:
        raise EmptyInputError(f"The {source.name} has no columns. Hand in one with a column of texts.")
    lengths = dict(zip(names, map(len, columns), strict=True))
    if len(set(lengths.values())) > 1:
        raise InputError(f"The columns differ in length: {lengths}. Make them equally long.")
    header, rows, notes = _cells_of_columns(names, columns)
    return Table(header, rows, source, tuple(notes))


def _cells_of_sequence(values: Any) -> list[str]:
    if hasattr(values, "column_names") or isinstance(values, Mapping):
        raise InputError("A dict of tables was handed in, such as all splits of a dataset. Hand in one of them.")
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"Each column must be a list of values, not {values!r}. Put it in a list.")
    return _text_of_column(values)


def _pandas_table(frame: Any, source: Source) -> Table:
    # By position and without Arrow: names may repeat or be no strings, and pyarrow may not be installed.
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index(allow_duplicates=True)
    columns = []
    for position in range(frame.shape[1]):
        series = frame.iloc[:, position]
        missing = series.isna().tolist()
        columns.append(["" if gone else _text_of(value) for value, gone in zip(series.tolist(), missing, strict=True)])
    return _table_of_columns([str(name) for name in frame.columns], columns, source)


def _arrow_table(frame: Any, source: Source) -> Table:
    import polars as pl

    try:
        return _polars_table(frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame), source)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"The {source.name} cannot be read ({error}). Rename or convert its columns.") from error


def _polars_table(frame: pl.DataFrame, source: Source) -> Table:
    return _table_of_columns(frame.columns, [_text_of_series(series) for series in frame.iter_columns()], source)


def _text_of_series(series: pl.Series) -> list[str]:
    import polars as pl

    if series.dtype.is_temporal():
        # Keeps nanoseconds, and needs no time zone data, unlike Python's own datetime.
        series = series.dt.to_string("iso:strict")
    elif series.dtype in {pl.Categorical, pl.Enum}:
        series = series.cast(pl.String)
    return _text_of_column(series.to_list())
