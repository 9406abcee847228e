"""One cell as a number or a moment, in the ways that people and programs write them.

numbers   1234.5   1,234.5   1.234,5   1 234,5   1'234.5   1e6
moments   2024-03-18   2024-03-18T23:00:00Z   2024-03-18 23:00:00 -0700   18.3.2024 23:00
          18/3/2024 or 3/18/2024, 11:00 PM   18/Mar/24 11:00 PM   18 March 2024   Mar 18, 2024
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from functools import partial

Reader = Callable[[str], Decimal | None]

_SPACES = "'\u2019 \u00a0\u2009\u202f"
_MINUS = "\u2212"
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_NAME = "|".join(rf"{name[:3]}(?:{name[3:]})?\.?" for name in _MONTHS).replace("Sep(?:", "Sep(?:t|")
_MOMENT = re.compile(
    rf"""(?: (?P<year>\d{{4}}) (?P<dash>[-/.]) (?P<month>\d\d?) (?P=dash) (?P<day>\d\d?)
          | (?P<first>\d\d?) (?P<slash>[-/.]) (?P<second>\d\d?) (?P=slash) (?P<last>\d{{4}})
          | (?P<day_1>\d\d?) (?P<mark>[-/\s]) (?P<name_1>{_NAME}) (?P=mark) (?P<year_1>\d{{4}}|\d\d)
          | (?P<name_2>{_NAME}) \s (?P<day_2>\d\d?) ,? \s (?P<year_2>\d{{4}}) )
        (?: (?: T | ,?\s+ ) (?P<hours>\d\d?) : (?P<minutes>\d\d)
            (?: : (?P<seconds>\d\d) (?: [.,] (?P<fraction>\d+) )? )?
            (?: \s? (?P<half>[AP]) \.? M \.? )?
            (?: \s? (?P<offset> Z | UTC | GMT | [+-]\d\d (?: :? \d\d )? ) )? )?""",
    re.VERBOSE | re.IGNORECASE,
)
_START = datetime(1970, 1, 1, tzinfo=UTC)


def number_reader(groups: str, mark: str) -> Reader:
    """Return what reads a number with one of `groups` between its thousands, or none, and `mark` before its decimals.

    It gives the exact number, however long, and None for a cell that is none.
    """
    whole = rf"(?:[1-9]\d{{0,2}}(?:[{groups}]\d{{3}})+|\d+)"
    written = re.compile(rf"[-+{_MINUS}]?(?:{whole}(?:[{mark}]\d*)?|[{mark}]\d+)(?:[eE][-+]?\d+)?")
    plain = str.maketrans({**dict.fromkeys(groups), mark: ".", _MINUS: "-"})

    def read(cell: str) -> Decimal | None:
        if cell.isdecimal():  # most are
            return Decimal(cell)
        try:
            return Decimal(cell.translate(plain)) if written.fullmatch(cell) else None
        except InvalidOperation:  # an exponent beyond all bounds
            return None

    return read


def read_moment(cell: str, *, day_first: bool) -> Decimal | None:
    """Return the seconds from 1970 in UTC, or None for a cell that is no date; see `says_offset` for those without one.

    day_first: whether 1/2/2024 is the first of February. With points, 1.2.2024, it is that everywhere.
    """
    written = _written(cell, day_first=day_first)
    if written is None:
        return None
    moment, fraction = written
    # Programs write nanoseconds, which Python's own moments cannot hold.
    return Decimal((moment - _START) // timedelta(seconds=1)) + Decimal(f"0.{fraction}")


def day_as_written(cell: str, way: str) -> str:
    """Return the day that a cell names, as 2024-03-18, in its own time zone; `way` of `MOMENTS` must read it."""
    written = _written(cell, day_first=_DAY_FIRST[way])
    assert written is not None  # noqa: S101 - the way reads it
    return written[0].date().isoformat()


def _written(cell: str, *, day_first: bool) -> tuple[datetime, str] | None:
    """Return the moment to the second, in its own time zone, and the digits behind the second; None for no date."""
    found = _MOMENT.fullmatch(cell)
    if found is None:
        return None
    year, month, day = _day(found, day_first=day_first)
    hours = int(found["hours"] or 0)
    if found["half"]:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if found["half"] in "Pp" else 0)
    clock = hours, int(found["minutes"] or 0), int(found["seconds"] or 0)
    try:
        moment = datetime(int(year), int(month), int(day), *clock, tzinfo=_zone(found["offset"]))
    except ValueError:  # there is no such day, or no such hour
        return None
    return moment, found["fraction"] or "0"


def _day(found: re.Match[str], *, day_first: bool) -> tuple[str | int, str | int, str]:
    if name := found["name_1"] or found["name_2"]:
        month = next(number for number, full in enumerate(_MONTHS, 1) if full[:3].lower() == name[:3].lower())
        return _full_year(found["year_1"] or found["year_2"]), month, found["day_1"] or found["day_2"]
    if found["year"]:
        return found["year"], found["month"], found["day"]
    first, second = found["first"], found["second"]
    return (found["last"], second, first) if day_first or found["slash"] == "." else (found["last"], first, second)


def _full_year(year: str) -> int:
    """Two digits, which stand behind a month's name alone, are a year from 1969 to 2068, as POSIX has it."""
    short = int(year)
    return short if len(year) > 2 else short + (1900 if short >= 69 else 2000)


def says_offset(cell: str) -> bool:
    """Tell whether a cell that `read_moment` reads says how far its time is from UTC. Without it, it counts as UTC."""
    found = _MOMENT.fullmatch(cell)
    return found is not None and found["offset"] is not None


def _zone(offset: str | None) -> timezone:
    if offset is None or offset[0] not in "+-":
        return UTC
    size = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:].lstrip(":") or 0))
    return timezone(size if offset[0] == "+" else -size)


NUMBERS: dict[str, Reader] = {
    "1,234.5": number_reader(",", "."),
    "1.234,5": number_reader(".", ","),
    "1 234.5": number_reader(_SPACES, "."),
    "1 234,5": number_reader(_SPACES, ","),
}
_DAY_FIRST = {"day/month/year": True, "month/day/year": False}
MOMENTS: dict[str, Reader] = {way: partial(read_moment, day_first=first) for way, first in _DAY_FIRST.items()}
