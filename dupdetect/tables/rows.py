"""Rows of text cells, held in little room: as UTF-8 and the lengths of the cells, not as an object for each."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

Row = tuple[str, ...]

_ROWS_AT_ONCE = 1024


class Rows(Sequence[Row]):
    """Rows of one width, each a tuple of cells that is made when it is asked for.

    They come out exactly as they went in, whatever they hold. Going through them in order costs little; a row here and
    a row there costs as much as the thousand around it. Equal to a tuple of the same rows.
    """

    __slots__ = ("_last", "_parts", "_starts", "_width")

    def __init__(self, parts: Sequence[_Part], width: int) -> None:
        self._parts = parts
        self._starts = [*itertools.accumulate((part.count for part in parts), initial=0)]
        self._width = width
        self._last: tuple[int, list[Row]] = (0, [])  # the rows of one part, and the place of the first of them

    @classmethod
    def of(cls, rows: Iterable[Sequence[str]], width: int) -> Rows:
        """Return rows that are there already; raise ValueError for one of another width."""
        if isinstance(rows, Rows) and rows._width == width:
            return rows
        making = RowsInTheMaking()
        for row in rows:
            if len(row) != width:
                raise ValueError(f"A row has {len(row)} cells where the header has {width}.")
            making.add_row(row)
        return making.finished(width)

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Row]:
        for part in self._parts:
            yield from part.rows(self._width)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(index, slice):
            return tuple(self[row] for row in range(*index.indices(len(self))))
        start, rows = self._last
        if not start <= index < start + len(rows):
            index = range(len(self))[index]  # counts from the end where it is below 0, and raises IndexError
            part = bisect_right(self._starts, index) - 1
            start, rows = self._last = self._starts[part], [*self._parts[part].rows(self._width)]
        return rows[index - start]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"<{len(self):,} rows of {self._width:,} cells>"

    def column(self, position: int) -> list[str]:
        """Return the cells at a position, from 0, of all rows."""
        return [cell for part in self._parts for cell in part.column(position)]


class RowsInTheMaking:
    """Takes rows, or columns part by part, and makes `Rows` of them."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._waiting: list[Sequence[str]] = []

    def add_row(self, row: Sequence[str]) -> None:
        """Add a row; one with fewer cells than others has empty ones at its end."""
        self._waiting.append(row)
        if len(self._waiting) == _ROWS_AT_ONCE:
            self._add_waiting()

    def add(self, rows: Rows) -> None:
        """Add rows that are there already, as they are held."""
        self._add_waiting()
        self._parts += rows._parts

    def add_columns(self, columns: Sequence[Sequence[str]], count: int, places: Sequence[int] | None = None) -> None:
        """Add so many rows by their columns.

        places: the positions of these columns, ascending, where there are others; those have empty cells here.
        """
        self._add_waiting()
        for start in range(0, count, _ROWS_AT_ONCE):
            some = [cells[start : start + _ROWS_AT_ONCE] for cells in columns]
            rows = min(_ROWS_AT_ONCE, count - start)
            self._parts.append(_Part(some, rows, range(len(some)) if places is None else places))

    def finished(self, width: int) -> Rows:
        self._add_waiting()
        return Rows(self._parts, width)

    def _add_waiting(self) -> None:
        if self._waiting:
            columns = [*itertools.zip_longest(*self._waiting, fillvalue="")]
            self._parts.append(_Part(columns, len(self._waiting), range(len(columns))))
            self._waiting = []


class _Part:
    """Some rows, column after column: the UTF-8 of all cells, the length of each in characters, and the places in the
    UTF-8 where columns begin and end."""

    __slots__ = ("_bounds", "_lengths", "_places", "_text", "count")

    def __init__(self, columns: Sequence[Sequence[str]], count: int, places: Sequence[int]) -> None:
        self.count = count
        self._places = places
        # Cells may hold halves of surrogate pairs, which UTF-8 proper has no bytes for.
        texts = ["".join(cells).encode("utf-8", "surrogatepass") for cells in columns]
        self._text = b"".join(texts)
        self._bounds = _small([*itertools.accumulate(map(len, texts), initial=0)])
        self._lengths = _small([*map(len, itertools.chain.from_iterable(columns))])

    def column(self, position: int) -> list[str]:
        at = bisect_left(self._places, position)
        if at == len(self._places) or self._places[at] != position:
            return [""] * self.count
        text = self._text[self._bounds[at] : self._bounds[at + 1]].decode("utf-8", "surrogatepass")
        lengths = self._lengths[at * self.count : (at + 1) * self.count].tolist()
        return [text[start:end] for start, end in itertools.pairwise(itertools.accumulate(lengths, initial=0))]

    def rows(self, width: int) -> Iterator[Row]:
        if not width:
            return itertools.repeat((), self.count)
        return zip(*map(self.column, range(width)), strict=True)


def _small(numbers: Sequence[int]) -> NDArray[np.unsignedinteger]:
    return np.array(numbers, dtype=np.min_scalar_type(max(numbers, default=0)))
