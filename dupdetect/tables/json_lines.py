"""JSON Lines, or one list of objects, to records, and records to cells."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.cells import Cells, WrittenFloat, counted, text_of_column
from dupdetect.tables.limits import check_filling, fills_too_much
from dupdetect.tables.rows import Row, Rows
from dupdetect.tables.stream import Stream

_RECORDS_AT_ONCE = 1024
_WANTED = 'Write JSON Lines: one object a line, such as {"id": "1", "question": "How do I pay?"}.'


class _RepeatedKeyError(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _RepeatedKeyError(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return record


def _integer(digits: str) -> int | WrittenFloat:
    return WrittenFloat(digits) if digits == "-0" else int(digits)


_DECODER = json.JSONDecoder(parse_float=WrittenFloat, parse_int=_integer, object_pairs_hook=_object)


def read_json(text: Stream, name: str) -> tuple[Row, Rows, list[str]]:
    """Return header, rows and notes."""
    records = _records(text, name)
    beginning = [*itertools.islice(records, 2)]
    header, rows, notes = cells_of_records(itertools.chain(beginning, records), name)
    return header, rows, _lists_inside(beginning) + notes


def _records(text: Stream, name: str) -> Iterator[Mapping[str, object]]:
    """Yield the objects of a file. What is no object is told when all the rest has been read: it may be broken."""
    whole = text.first_ink() == "["
    other: tuple[int, object] | None = None
    for number, record in _listed(text, name) if whole else _lines(text, name):
        if isinstance(record, dict):
            yield record
        else:
            other = other or (number, record)
    if other:
        place = "item" if whole else "line"
        raise InputError(f"{name}, {place} {other[0]}: an object is wanted, not {_kind(other[1])}. {_WANTED}")


def _listed(text: Stream, name: str) -> Iterator[tuple[int, object]]:
    return enumerate(_json_value(text.lines().read(), name, line=1), 1)


def _lines(text: Stream, name: str) -> Iterator[tuple[int, object]]:
    # Only \n ends a line: JSON strings may hold the other line separators of Unicode.
    for number, line in enumerate(text.lines("\n"), 1):
        if line.strip():
            yield number, _json_value(line.removesuffix("\n"), name, number)


def _lists_inside(records: Sequence[Mapping[str, object]]) -> list[str]:
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


def cells_of_records(records: Iterable[Mapping[str, object]], name: str) -> tuple[Row, Rows, list[str]]:
    """Return the keys in the order they are first seen, rows of their values, and notes."""
    position: dict[str, int] = {}
    sizes = Counter[int]()
    given = 0
    cells = Cells()
    fault: InputError | None = None
    each = iter(records)
    while some := [*itertools.islice(each, _RECORDS_AT_ONCE)]:
        keys = dict.fromkeys(itertools.chain.from_iterable(some))
        for key in keys:
            position.setdefault(key, len(position))
        sizes.update(map(len, some))
        given += sum(map(len, some))
        if fault or fills_too_much(rows=sizes.total(), columns=len(position), given=given):
            continue  # what is wrong with the records to come is told first
        ordered = sorted(keys, key=position.__getitem__)
        try:
            columns = [text_of_column(record.get(key) for record in some) for key in ordered]
        except InputError as error:
            fault = error
        else:
            cells.add(columns, len(some), [position[key] for key in ordered])
    if not position:
        raise EmptyInputError(f"{name} holds no values. Hand in at least one object with a key.")
    check_filling(name, rows=sizes.total(), columns=len(position), given=given)
    if fault:
        raise fault
    lacking = sizes.total() - sizes[len(position)]
    note = f"{counted(lacking, 'row lacks', 'rows lack')} some of the keys; these cells are empty."
    header, rows, notes = cells.finished(map(str, position))
    return header, rows, ([note] if lacking else []) + notes
