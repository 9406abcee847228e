"""How far what shows no size may grow while it is read, so that none takes all memory."""

from __future__ import annotations

from dupdetect.errors import InputError

LARGEST_CONTENT = 1_000_000_000
"""Bytes that a packed file may unpack to, or a pipe may send. A file that is not packed shows its size: no limit."""

MOST_CELLS = 100_000_000
"""Cells that take no room in the file: empty ones that are filled in, or packed ones."""


def check_filling(name: str, *, rows: int, columns: int, given: int) -> None:
    """Raise `InputError` when rows of `given` cells in all need too many empty ones to have all the columns."""
    empty = rows * columns - given
    if fills_too_much(rows=rows, columns=columns, given=given):
        raise InputError(
            f"{name} has {columns:,} columns, most of them in few of its {rows:,} rows: {empty:,} empty cells would be "
            f"filled in, and {MOST_CELLS:,} is the limit. Leave out the columns (or keys) that few rows have."
        )


def fills_too_much(*, rows: int, columns: int, given: int) -> bool:
    """Tell whether `check_filling` raises; once it does, it does so for more rows, too."""
    return rows * columns - given > MOST_CELLS


def most_bytes(shown: int) -> int:
    """Return how many bytes may be read of a file that shows a size of `shown` bytes; a pipe shows 0."""
    return max(shown, LARGEST_CONTENT)


def check_read(name: str, size: int, most: int) -> None:
    """Raise `InputError` when more bytes than `most` have been read."""
    if size > most:
        raise InputError(
            f"{name} sends more than {most:,} bytes, the limit for what shows no size beforehand. "
            "If it should hold so much, write it to a file and name that file."
        )


def check_unpacked(name: str, size: int) -> None:
    """Raise `InputError` when a file unpacks to more bytes than it may."""
    if size > LARGEST_CONTENT:
        raise InputError(
            f"{name} unpacks to more than {LARGEST_CONTENT:,} bytes, the limit for packed files. "
            "If it should hold so much, unpack it to CSV yourself and hand in that file."
        )
