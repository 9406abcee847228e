"""JSON Lines, or one list of objects, to records, and records to cells."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.cells import cells_of_columns, counted, text_of_column
from dupdetect.tables.table import Row


def json_records(text: str, name: str) -> list[Mapping[str, object]]:
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


def cells_of_records(records: Sequence[Mapping[str, object]], name: str) -> tuple[Row, tuple[Row, ...], list[str]]:
    """Return the keys in the order they are first seen, rows of their values, and notes."""
    keys = list(dict.fromkeys(itertools.chain.from_iterable(records)))
    if not keys:
        raise EmptyInputError(f"{name} holds no values. Hand in at least one object with a key.")
    lacking = sum(len(record) < len(keys) for record in records)
    note = f"{counted(lacking, 'row lacks', 'rows lack')} some of the keys; these cells are empty."
    columns = [text_of_column([record.get(key) for record in records]) for key in keys]
    header, rows, notes = cells_of_columns(map(str, keys), columns)
    return header, rows, ([note] if lacking else []) + notes
