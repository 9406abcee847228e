"""One sheet of a workbook: its XML to rows of text cells, by the numbers of the rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dupdetect.tables.encoding import joined_halves
from dupdetect.tables.limits import check_filling, check_unpacked
from dupdetect.tables.number_formats import number_text
from dupdetect.tables.office_xml import OfficeArchive

MOST_ROWS, MOST_COLUMNS = 1 << 20, 1 << 14
"""Of a sheet: no program writes more."""

_LETTERS = re.compile("[A-Z]{1,3}")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


@dataclass(frozen=True, slots=True)
class Look:
    """What the cells of a workbook have in common: its texts, its formats (codes, by style), and where days begin."""

    texts: Sequence[str]
    formats: Sequence[str]
    from_1904: bool


class SheetRows:
    """The cells of a sheet that hold something, while and after its XML is read.

    rows: the cells of each row that holds any, up to the last one that does, with "" for those that hold nothing.
    uncomputed: the number of formulas that no program has computed yet; their cells are empty.
    """

    def __init__(self, archive: OfficeArchive, look: Look) -> None:
        self.rows: dict[int, list[str]] = {}
        self.uncomputed = 0
        self._archive = archive
        self._look = look
        self._row = self._column = 0
        self._cells: list[str] = []
        self._cell: Mapping[str, str] | None = None
        self._formula = self._reading = False
        self._phonetic = 0
        self._characters: list[str] = []
        self._widest = self._given = self._length = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "c":
            self._cell = attributes
            self._column = self._position(attributes.get("r"))
            self._formula = False
            self._characters.clear()
        elif self._cell is not None:
            if tag == "f":
                self._formula = True
            self._phonetic += tag == "rPh"  # how a text is pronounced is no part of it
            self._reading = tag in {"v", "t"} and not self._phonetic
        elif tag == "row":
            self._row = self._number(attributes.get("r", str(self._row + 1)), MOST_ROWS)
            self._column = 0
            self._cells = []

    def text(self, characters: str) -> None:
        if self._reading:
            self._characters.append(characters)

    def end(self, tag: str) -> None:
        self._reading = False
        if self._cell is not None:
            self._phonetic -= tag == "rPh"
            if tag == "c":
                self._add(self._value(self._cell, "".join(self._characters)))
                self._cell = None
        elif tag == "row" and self._cells:
            if self._row in self.rows:
                raise self._archive.damaged(f"row {self._row} is there twice")
            self.rows[self._row] = self._cells
            self._widest = max(self._widest, len(self._cells))
            check_unpacked(self._archive.name, self._length)
            check_filling(self._archive.name, rows=len(self.rows), columns=self._widest, given=self._given)

    def _value(self, cell: Mapping[str, str], written: str) -> str:
        kind = cell.get("t", "n")
        if not written:
            self.uncomputed += self._formula and kind != "str"  # a formula can have no text as its result
            return ""
        try:
            if kind == "s":
                return self._look.texts[_index(written)]
            if kind == "b":
                return "TRUE" if int(written) else "FALSE"
            if kind == "n":
                style = _index(cell.get("s", "0"))
                code = self._look.formats[style] if style < len(self._look.formats) else ""
                return number_text(written.strip(), code, from_1904=self._look.from_1904)
        except (ValueError, IndexError):
            where = cell.get("r") or f"row {self._row}"
            raise self._archive.damaged(f"the cell {where} holds {written[:60]!r}, which means nothing there") from None
        return unescaped(written)  # a text, the name of an error, or a date in ISO 8601

    def _add(self, value: str) -> None:
        if not value:
            return
        gap = self._column - len(self._cells) - 1
        if gap:
            if gap < 0:
                raise self._archive.damaged(f"the cells of row {self._row} are out of order")
            self._cells += [""] * gap
        self._cells.append(value)
        self._given += 1
        self._length += len(value)  # a text that is stored once for many cells counts for each of them

    def _position(self, reference: str | None) -> int:
        """Return the column, from 1, of a reference such as AB12; that after the last one where there is none."""
        if reference is None:
            return self._number(str(self._column + 1), MOST_COLUMNS)
        column = _column(reference.rstrip("0123456789"))
        if not column:
            raise self._archive.damaged(f"a cell stands in {reference[:60]!r}, and there is no such place")
        return column

    def _number(self, written: str, most: int) -> int:
        if not (written.isascii() and written.isdecimal() and len(written) < 9 and 0 < int(written) <= most):
            raise self._archive.damaged(f"a row or column has the number {written[:60]!r}")
        return int(written)


@lru_cache(maxsize=MOST_COLUMNS)
def _column(letters: str) -> int:
    """Return the number, from 1, of a column such as AB; 0 where there is none of this name."""
    column = 0
    for letter in letters if _LETTERS.fullmatch(letters) else "":
        column = 26 * column + ord(letter) - 64
    return column if column <= MOST_COLUMNS else 0


def unescaped(text: str) -> str:
    """Return a text with the characters that XML cannot hold, and that Office writes as _x000D_; beyond U+FFFF as two
    halves, which become one."""
    if "_x" not in text:
        return text
    return joined_halves(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))


def _index(written: str) -> int:
    index = int(written)
    if index < 0:
        raise IndexError(index)
    return index
