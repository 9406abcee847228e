"""The one text form of every value, and tables made of columns of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, time

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.encoding import is_utf8
from dupdetect.tables.table import Row, Source, Table

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def text_of_column(values: Iterable[object]) -> list[str]:
    return [value if type(value) is str else text_of(value) for value in values]


def text_of(value: object) -> str:
    """Return the one text form of a value that is not text: see `read_table`. NaN is missing, and so empty."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return ""
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode() if is_utf8(value) else value.hex()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=text_of)
    plain = getattr(value, "tolist", None)  # numpy's numbers and arrays
    return text_of(plain()) if plain else str(value)


def cells_of_columns(names: Iterable[str], columns: Sequence[Sequence[str]]) -> tuple[Row, tuple[Row, ...], list[str]]:
    """Return header, rows and notes; halves of surrogate pairs, which no file can hold, become U+FFFD."""
    repaired = 0
    clean = []
    for cells in ([*names], *columns):
        if _LONE_SURROGATE.search("".join(cells)):
            repaired += sum(_LONE_SURROGATE.search(cell) is not None for cell in cells)
            cells = [_LONE_SURROGATE.sub("\ufffd", cell) for cell in cells]
        clean.append(cells)
    note = f"{counted(repaired, 'cell', 'cells')} held half of a surrogate pair, now the replacement character U+FFFD."
    return tuple(clean[0]), tuple(zip(*clean[1:], strict=True)), [note] if repaired else []


def table_of_columns(names: Sequence[str], columns: Sequence[Sequence[str]], source: Source) -> Table:
    if not names:
        raise EmptyInputError(f"The {source.name} has no columns. Hand in one with a column of texts.")
    lengths = dict(zip(names, map(len, columns), strict=True))
    if len(set(lengths.values())) > 1:
        raise InputError(f"The columns differ in length: {lengths}. Make them equally long.")
    header, rows, notes = cells_of_columns(names, columns)
    return Table(header, rows, source, tuple(notes))


def counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
