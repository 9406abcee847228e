"""A file to a table, whatever its format."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath
from typing import Literal, TypedDict

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.arrow import read_parquet
from dupdetect.tables.csv_text import parse_csv
from dupdetect.tables.delimiter import one_character
from dupdetect.tables.encoding import decode
from dupdetect.tables.files import PARQUET, ZIP, load, refuse_old_workbook, refuse_options, refuse_other_formats, unpack
from dupdetect.tables.json_lines import read_json
from dupdetect.tables.table import Source, Table
from dupdetect.tables.workbook import WORKBOOK_SUFFIXES, read_workbook


class Reading(TypedDict, total=False):
    """The options of `read_table`, for those who pass them on."""

    encoding: str | None
    delimiter: str | None
    sheet: str | None
    on_bad_rows: Literal["error", "keep"]


def given_options(
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    on_bad_rows: Literal["error", "keep"] = "error",
) -> dict[str, str]:
    """Return those options of `read_table` that ask for something else than it does by itself."""
    options = {"encoding": encoding, "delimiter": delimiter, "sheet": sheet}
    named = {name: value for name, value in options.items() if value is not None}
    return named if on_bad_rows == "error" else named | {"on_bad_rows": on_bad_rows}


def read_table(
    path: str | Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    on_bad_rows: Literal["error", "keep"] = "error",
) -> Table:
    """Return the table in a file; `-` is standard input.

    By suffix: `.parquet`; `.jsonl`, `.ndjson`, `.json` (JSON Lines, or one list of objects); `.xlsx`, `.xlsm` (an Excel
    workbook); everything else is CSV. Standard input is Parquet when it begins with `PAR1`, a workbook when it is a zip
    archive, JSON Lines when it begins with `{`, else CSV. Gzip is unpacked wherever it is found.

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
    other value is its JSON text (`true`, `3`, `["a", "b"]`). Bytes are the text that they are in UTF-8, or else `\\x`
    and their hexadecimal digits. Numbers in JSON Lines stay as written (`1.10`, `1e999`), except in lists and objects.
    A key that stands twice in one object is an error.

    Of a workbook one sheet is read: the one that is named, or else the only visible one that holds anything. Its first
    row that holds anything is the header. Cells are as the spreadsheet shows them, as far as that can be: dates and
    times in their ISO 8601 form, whole numbers without decimals, other numbers with up to 15 digits and without the
    signs of percent and currencies, TRUE and FALSE, errors as text (#N/A), formulas as the value computed last. Blank
    rows and rows with cells beyond the header are treated as in CSV; hidden rows and columns are rows and columns.

    Halves of surrogate pairs, which no file can hold, become U+FFFD, with a note.

    What takes little room in a file may take no more than `dupdetect.tables.limits` says in memory: 1,000,000,000 bytes
    unpacked from gzip, Parquet or a workbook, or from a pipe; and 100,000,000 cells that are packed in Parquet or empty
    for lack of a key or cell. What is neither a file nor a pipe, such as a device, is refused.

    While a text file or Parquet is read, its bytes and the table are in memory, each about as large as its text, and
    the cells of some thousand rows at a time; a list in JSON and a workbook are read as a whole.

    Raises `InputError` for what cannot be read or is too large, `EncodingError`, `EmptyInputError` when there is not
    even a header, and `BadRowsError`.
    """
    if on_bad_rows not in {"error", "keep"}:
        raise InputError(f"on_bad_rows is {on_bad_rows!r}; it can be 'error' or 'keep'.")
    given = tuple(given_options(encoding, delimiter, sheet, on_bad_rows).items())
    name, suffix, raw = load(path)
    content = unpack(raw, name, gzipped=suffix == ".gz")
    if suffix == ".gz":
        suffix = PurePath(PurePath(path).stem.lower()).suffix
    sha256 = hashlib.sha256(raw).hexdigest()
    if suffix == ".parquet" or (str(path) == "-" and content.startswith(PARQUET)):
        refuse_options(name, "Parquet", encoding=encoding, delimiter=delimiter, sheet=sheet)
        return read_parquet(content, name, sha256)
    if not content:
        raise EmptyInputError(f"{name} is empty. Hand in a file with a header line and rows.")
    refuse_old_workbook(content, name)
    if suffix in WORKBOOK_SUFFIXES or (str(path) == "-" and content.startswith(ZIP)):
        refuse_options(name, "an Excel workbook", encoding=encoding, delimiter=delimiter)
        columns, rows, notes = read_workbook(content, name, sheet, on_bad_rows)
        return Table(columns, rows, Source(name, "xlsx", sha256, given=given), tuple(notes))
    if sheet is not None:
        raise InputError(f"{name} is no Excel workbook, so it has no sheet {sheet!r}. Leave sheet=... away.")
    refuse_other_formats(content, name)
    text, encoding, notes = decode(content, name, encoding)
    del raw, content
    if suffix in {".jsonl", ".ndjson", ".json"} or (str(path) == "-" and text.first_ink() == "{"):
        refuse_options(name, "JSON", delimiter=delimiter)
        columns, rows, more = read_json(text, name)
        return Table(columns, rows, Source(name, "jsonl", sha256, encoding, given=given), tuple(notes + more))
    columns, rows, delimiter, more = parse_csv(text, name, suffix, one_character(delimiter), on_bad_rows)
    return Table(columns, rows, Source(name, "csv", sha256, encoding, delimiter, given), tuple(notes + more))
