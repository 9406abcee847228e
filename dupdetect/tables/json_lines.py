"""JSON Lines, or one list of objects, to records, and records to cells."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.cells import WrittenFloat, cells_of_columns, counted, text_of_column
from dupdetect.tables.limits import check_filling
from dupdetect.tables.table import Row

_WANTED = 'Write JSON Lines: one object a line, such as {"id": "1", "question": "How do I pay?"}.'


class _RepeatedKeyError(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _RepeatedKeyError(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return record


_DECODER = json.JSONDecoder(parse_float=WrittenFloat, object_pairs_hook=_object)


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
            raise InputError(f"{name}, {place} {number}: an object is wanted, not {_kind(record)}. {_WANTED}")
    return [record for _, record in numbered]


def lists_inside(records: Sequence[Mapping[str, object]]) -> list[str]:
    """Return notes where the file is one object and its rows may be in a list in it, as in an answer of an API."""
    if len(records) != 1:
        return []
    lists = (
        (key, value)
        for key, value in records[0].items()
        if isinstance(value, list) and len(value) > 1 and all(isinstance(item, Mapping) for item in value)
    )
    return [
        f"The file is one object, and so one row. {key!r} in it is a list of {len(value):,} objects: if these are the "
        "rows, write that list alone to a file."
        for key, value in lists
    ]


def _kind(value: object) -> str:
    """Return what JSON calls a value that is no object."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return "a list" if isinstance(value, list) else "a text" if isinstance(value, str) else "a number"


def _json_value(text: str, name: str, line: int) -> Any:
    try:
        return _DECODER.decode(text)
    except _RepeatedKeyError as error:
        line += _lines_before_repeated_key(text)
        raise InputError(
            f"{name}, line {line}: the key {error.args[0]!r} stands twice in one object. Keep one of them."
        ) from None
    except json.JSONDecodeError as error:
        line += error.lineno - 1
        raise InputError(f"{name}, line {line}: broken JSON ({error.msg}). Correct that line.") from None
    except RecursionError:
        raise InputError(f"{name}, line {line}: lists or objects are nested too deeply. Write fewer levels.") from None
    except ValueError:  # all else is a JSONDecodeError
        raise InputError(
            f"{name}, line {line}: a whole number has too many digits to be read. Write it as text, in quotes."
        ) from None


def _lines_before_repeated_key(text: str) -> int:
    """Return the number of lines before the item with the repeated key, in a list of items that are fine up to it."""
    if text.lstrip()[:1] != "[":
        return 0
    at = text.index("[") + 1
    try:
        while True:
            while text[at] in " \t\r\n,":
                at += 1
            _, at = _DECODER.raw_decode(text, at)
    except ValueError:
        return text.count("\n", 0, at)


def cells_of_records(records: Sequence[Mapping[str, object]], name: str) -> tuple[Row, tuple[Row, ...], list[str]]:
    """Return the keys in the order they are first seen, rows of their values, and notes."""
    keys = list(dict.fromkeys(itertools.chain.from_iterable(records)))
    if not keys:
        raise EmptyInputError(f"{name} holds no values. Hand in at least one object with a key.")
    check_filling(name, rows=len(records), columns=len(keys), given=sum(map(len, records)))
    lacking = sum(len(record) < len(keys) for record in records)
    note = f"{counted(lacking, 'row lacks', 'rows lack')} some of the keys; these cells are empty."
    columns = [text_of_column([record.get(key) for record in records]) for key in keys]
    header, rows, notes = cells_of_columns(map(str, keys), columns)
    return header, rows, ([note] if lacking else []) + notes
