"""The cells of a column that holds numbers or dates, put in order.

A column is read as a whole, in every way that fits all its cells (see `dupdetect.tables.values`). Where several ways
fit and put the cells in different orders, nothing is guessed: the column is ambiguous.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal

from dupdetect.errors import InputError
from dupdetect.tables.cells import counted, shown
from dupdetect.tables.values import MOMENTS, NUMBERS, day_as_written, says_offset

_WAYS = {**NUMBERS, **MOMENTS}
_ENGLISH = "1,234.5"


def in_order(cells: Sequence[str]) -> tuple[list[int | None], list[str]]:
    """Return the rank of each cell among the numbers or dates of its column, and notes on what was decided.

    Ranks count from 0 for the lowest value, and are equal for equal values; a blank cell has None. Commas before three
    digits separate thousands when no cell has a point. Dates without an offset from UTC are in UTC.

    Raises `InputError` for cells that are neither, for cells that no one way can read, and for ambiguous columns. All
    is decided by the set of cells, whatever their order.
    """
    filled = sorted({cell.strip() for cell in cells} - {""})
    fitting = _fitting(filled)
    orders = {way: _ranks(values) for way, values in fitting.items()}
    notes = []
    if _ENGLISH in orders and len(set(orders.values())) > 1 and not any("." in cell for cell in filled):
        example = next(cell for cell in filled if "," in cell)
        notes.append(f"commas are read as thousands separators, as in {shown(example)}.")
        orders = {_ENGLISH: orders[_ENGLISH]}
    way, *others = orders
    for other in others:
        if orders[other] != orders[way]:
            raise _ambiguous(filled, fitting, way, other)
    blank = sum(not cell.strip() for cell in cells)
    if blank:
        notes.append(f"{counted(blank, 'cell is blank and comes', 'cells are blank and come')} last.")
    local = [cell for cell in filled if not says_offset(cell)]
    if way in MOMENTS and local and len(local) < len(filled):
        notes.append(f"dates without an offset from UTC, such as {shown(local[0])}, count as UTC.")
    ranks = dict(zip(filled, orders[way], strict=True))
    return [ranks.get(cell.strip()) for cell in cells], notes


def _fitting(cells: Sequence[str]) -> dict[str, list[Decimal]]:
    """Return the values of the cells for each way of reading that fits all of them, or raise `InputError`."""
    fitting = {}
    for way, read in _WAYS.items():
        values: list[Decimal] = []
        for cell in cells:
            value = read(cell)
            if value is None:
                break
            values.append(value)
        else:
            fitting[way] = values
    if not fitting:
        raise _unreadable(cells)
    return fitting


def _ranks(values: Sequence[Decimal]) -> tuple[int, ...]:
    position = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return tuple(position[value] for value in values)


def _unreadable(cells: Sequence[str]) -> InputError:
    example: dict[frozenset[str], str] = {}
    for cell in cells:
        example.setdefault(frozenset(way for way, read in _WAYS.items() if read(cell) is not None), cell)
    advice = "Write all cells in one way, dates best as 2024-03-18 23:00:00, or leave them blank."
    neither = example.get(frozenset())
    if neither is not None:
        return InputError(f"{shown(neither)} is neither a number nor a date. {advice}")
    # Two that contradict each other, if there are two: three may do so only together.
    apart = next((pair for pair in itertools.combinations(example, 2) if not pair[0] & pair[1]), tuple(example))
    return InputError(f"{' and '.join(shown(example[ways]) for ways in apart)} do not go together. {advice}")


def _ambiguous(cells: Sequence[str], fitting: Mapping[str, Sequence[Decimal]], *ways: str) -> InputError:
    """Return the error for two ways of reading that disagree; `fitting` has the values of the cells for each."""
    readings = zip(cells, *(fitting[way] for way in ways), strict=True)
    cell, *values = next(found for found in readings if found[1] != found[2])
    if ways[0] in MOMENTS:
        can_be = [day_as_written(cell, way) for way in ways]
        advice = "Write dates as 2024-03-18."
    else:
        can_be = [str(value) for value in values]
        advice = "Write numbers without thousands separators, and with other than three decimals."
    return InputError(f"{shown(cell)} can be {' or '.join(can_be)}, and no other cell tells which. {advice}")
