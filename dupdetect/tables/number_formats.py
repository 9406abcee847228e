"""The number in a cell of a spreadsheet as text, with the help of its number format.

A spreadsheet stores a date as a number of days, and only the format of the cell tells that it is one.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

# The formats that files name by number only; all others are numbers as they are.
BUILT_IN = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 36, *range(50, 55), 57, 58), "yyyy-mm-dd"),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 34, 35, 45, 47, 55, 56), "hh:mm:ss"),
    22: "yyyy-mm-dd hh:mm",
    46: "[h]:mm:ss",
}
GENERAL = "General"

# Quoted or escaped text, the room of a character, a character to repeat, and what stands in brackets but elapsed time.
_LITERAL = re.compile(r'"[^"]*"|[\\_*].|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
_LONGEST_CODE = 255  # characters; spreadsheets take no longer ones
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]")
_WHOLE = re.compile(r"-?[0-9]+")
_DAY = 86_400_000  # milliseconds
# 1900 is a leap year in spreadsheets, for the sake of one that was there before Excel.
_EPOCH, _EPOCH_BEFORE_MARCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1899, 12, 31), datetime(1904, 1, 1)


def number_text(written: str, code: str, *, from_1904: bool) -> str:
    """Return a number as `written` in the file as the cell shows it in a format with this code, as far as that can be.

    Dates and times take their ISO 8601 form, whole numbers have no decimals, others have up to 15 digits. A format
    of zeros alone fills up with zeros: 00123. Percent signs, currencies and rounding are left away; so is all that a
    code of more than 255 characters says, as no spreadsheet writes one.

    Raises `ValueError` for what is no number.
    """
    shown = _shown(code)
    if shown.date or shown.time:
        moment = _moment_text(float(written), shown, from_1904=from_1904)
        if moment is not None:
            return moment
    digits = written if _WHOLE.fullmatch(written) else _decimal_text(float(written))
    if not (shown.zeros and _WHOLE.fullmatch(digits)):
        return digits
    return digits.zfill(shown.zeros + digits.startswith("-"))  # which counts the sign


class _Shown(NamedTuple):
    """What a format shows of a number: a date, a time, one beyond 24 hours; or so many digits, zeros before them."""

    date: bool
    time: bool
    elapsed: bool
    zeros: int


@lru_cache(maxsize=1000)
def _shown(code: str) -> _Shown:
    if len(code) > _LONGEST_CODE:
        return _Shown(date=False, time=False, elapsed=False, zeros=0)
    plain = _LITERAL.sub("", code.partition(";")[0]).lower()
    parts = frozenset(plain) if plain != GENERAL.lower() else frozenset[str]()
    time = bool(parts & {"h", "s"})
    date = bool(parts & {"y", "d"}) or ("m" in parts and not time)
    return _Shown(date, time, bool(_ELAPSED.search(plain)), 0 if plain.strip("0") else len(plain))


def _decimal_text(number: float) -> str:
    if number - number != 0:
        raise ValueError(f"{number} is no number of a cell")
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else format(number, ".15g")


def _moment_text(days: float, shown: _Shown, *, from_1904: bool) -> str | None:
    """Return the ISO 8601 form, hours:minutes:seconds for elapsed time, or None for what no date shows as."""
    if not 0 <= days < 2_958_466:  # the year 10000
        return None
    milliseconds = round(days * _DAY)
    if shown.elapsed:
        seconds, rest = divmod(milliseconds, 1000)
        text = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{text}.{rest:03}" if rest else text
    epoch = _EPOCH_1904 if from_1904 else _EPOCH if days >= 60 else _EPOCH_BEFORE_MARCH
    try:
        moment = epoch + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    exactness = "milliseconds" if milliseconds % 1000 else "seconds"
    if not shown.date and milliseconds < _DAY:
        return moment.time().isoformat(exactness)
    # A time that the format hides is shown all the same: it is there.
    return (
        moment.date().isoformat() if shown.date and milliseconds % _DAY == 0 else moment.isoformat(timespec=exactness)
    )
