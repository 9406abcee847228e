"""The character between the cells of a CSV text, found or named."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from dupdetect.errors import InputError
from dupdetect.tables.stream import Stream

_DELIMITERS = ",;\t|"
_DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}

# A quote opens a cell at the start of a line or after any of the delimiters; what it holds says nothing about them.
_QUOTED_CELL = re.compile(r'(?:\A|(?<=[,;\t|\r\n]))"(?:[^"]++|"")*+(?:"|\Z)')
_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_LINES = 500


def one_character(delimiter: str | None) -> str | None:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if delimiter in {'"', "\r", "\n", "\r\n"}:
        raise InputError(
            "A quotation mark or a line end cannot be the delimiter: CSV has other uses for them. Name another "
            "character, or the word tab (delimiter=...)."
        )
    if delimiter is not None and len(delimiter) != 1:
        raise InputError(f"The delimiter is {delimiter!r}; it must be one character, or the word tab (delimiter=...).")
    return delimiter


def without_announcement(text: Stream) -> tuple[Stream, str | None]:
    announcement = re.match(r"sep=([,;\t|])(?:\r\n|\n|\r)", text.beginning(7))
    return (text.from_byte(announcement.end()), announcement[1]) if announcement else (text, None)


def delimiter_of(stream: Stream, announced: str | None, suffix: str) -> tuple[str | None, list[str]]:
    text = stream.beginning(_SAMPLE_CHARACTERS + 1)
    delimiter = announced or _detect_delimiter(text, prefer="\t" if suffix == ".tsv" else "")
    if delimiter is None:
        note = "One column: the first line, taken as its name, holds no delimiter."
        common = _delimiter_of_every_row(_sample(text)[1])
        if common:
            note += (
                f" Yet all lines below hold the same number of {_DELIMITER_NAMES[common]}s: if these separate columns, "
                "name each of them in the first line."
            )
        return None, [note]
    return delimiter, [] if delimiter == "," else [f"The delimiter is {_DELIMITER_NAMES[delimiter]}."]


def likelier_delimiter(stream: Stream, asked: str | None, suffix: str) -> str:
    """Return a sentence that names the delimiter that the file seems to have, where another one was asked for."""
    found = delimiter_of(stream, None, suffix)[0] if asked else None
    if found is None or found == asked:
        return ""
    return f"{asked!r} was named as the delimiter, but the cells seem to be separated by {_DELIMITER_NAMES[found]}s. "


def _detect_delimiter(text: str, prefer: str) -> str | None:
    """Return the delimiter that explains the header and most of the first rows, or None if there is one column."""
    header, body = _sample(text)
    if prefer and prefer in header:
        return prefer
    candidates = [delimiter for delimiter in _DELIMITERS if delimiter in header]
    if not candidates:
        return None

    def explained(delimiter: str) -> tuple[float, int]:
        cuts = header.count(delimiter)
        alike = sum(line.count(delimiter) == cuts for line in body)
        return cuts * (alike / len(body) if body else 1.0), cuts

    return max(candidates, key=explained)


def _sample(text: str) -> tuple[str, list[str]]:
    """Return the header and the first lines that are not blank, without what stands in quotes."""
    lines = re.split(r"\r\n|\n|\r", _QUOTED_CELL.sub("x", text[:_SAMPLE_CHARACTERS]))
    if len(text) > _SAMPLE_CHARACTERS and len(lines) > 1:
        del lines[-1]  # it may have been cut off
    header, *body = [line for line in lines if line.strip()][:_SAMPLE_LINES] or [""]
    return header, body


def _delimiter_of_every_row(body: Sequence[str]) -> str | None:
    """Return a delimiter that cuts all rows alike: perhaps the header lacks names, perhaps these are texts."""
    for delimiter in _DELIMITERS:
        cuts = {line.count(delimiter) for line in body}
        if len(body) >= 3 and len(cuts) == 1 and cuts != {0}:
            return delimiter
    return None


def absent_delimiter(text: Stream) -> str:
    """Return a character that cannot split anything, so that only quotes and line ends count."""
    return next(mark for mark in map(chr, itertools.count(0x1F)) if mark not in '" ' and mark not in text)
