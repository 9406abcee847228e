"""What the footer of a Parquet file says of its size, before anything is unpacked.

The footer is a struct of Thrift's compact protocol (Apache Parquet format, `parquet.thrift`: FileMetaData.row_groups =
4, RowGroup.columns = 1, ColumnChunk.meta_data = 3, ColumnMetaData.num_values = 5). Polars does not show these numbers,
and a list in one row can hold any number of values, which take a few bytes in the file where they are all the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["values_in"]

_MAGIC = b"PAR1"
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)
_ROW_GROUPS, _COLUMNS, _META_DATA, _NUM_VALUES = 4, 1, 3, 5


def values_in(content: bytes) -> int:
    """Return how many values all columns hold, those in lists each for itself; raise ValueError for no Parquet."""
    if content[:4] != _MAGIC or content[-4:] != _MAGIC or len(content) < 12:
        raise ValueError("it does not begin and end as Parquet does")
    (length,) = struct.unpack("<I", content[-8:-4])
    if length > len(content) - 12:
        raise ValueError("its footer is longer than the file")
    reader = _Reader(content[len(content) - 8 - length : -8])
    total = 0
    try:
        for _ in reader.items(_ROW_GROUPS):
            for _ in reader.items(_COLUMNS):
                for _ in reader.fields(_META_DATA, _STRUCT):
                    for _ in reader.fields(_NUM_VALUES, _INTEGERS[-1]):
                        total += reader.integer()
    except (IndexError, RecursionError):
        raise ValueError("its footer is damaged") from None
    return total


class _Reader:
    """Goes through a struct once. Each method starts where the one before has ended."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def fields(self, number: int, kind: int) -> Iterator[None]:
        """Go through a struct, and stop before each field of this number and kind, which the caller must read."""
        last = 0
        while head := self._byte():
            delta, found = head >> 4, head & 15
            last = last + delta if delta else self.integer()
            if (last, found) == (number, kind):
                yield
            else:
                self._skip(found)

    def items(self, number: int) -> Iterator[None]:
        """Go through a struct, and stop before each struct in the list that is the field of this number."""
        for _ in self.fields(number, _LIST):
            size, kind = self._list_head()
            if kind != _STRUCT:
                raise ValueError("its footer is damaged")
            for _ in range(size):
                yield

    def integer(self) -> int:
        """Read a whole number: in 7 bits a byte, the lowest first, and the sign in the lowest bit."""
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

    def _byte(self) -> int:
        byte = self._content[self._at]
        self._at += 1
        return byte

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("its footer is damaged")

    def _list_head(self) -> tuple[int, int]:
        head = self._byte()
        return (head >> 4 if head >> 4 < 15 else self._unsigned()), head & 15

    def _skip(self, kind: int, *, in_list: bool = False) -> None:
        if kind in (_TRUE, _FALSE):
            self._at += in_list  # elsewhere the kind is the value
        elif kind == _BYTE:
            self._at += 1
        elif kind in _INTEGERS:
            self._unsigned()
        elif kind == _DOUBLE:
            self._at += 8
        elif kind == _BINARY:
            size = self._unsigned()
            self._at += size
        elif kind in (_LIST, _SET):
            size, of = self._list_head()
            for _ in range(size):
                self._skip(of, in_list=True)
        elif kind == _MAP:
            if size := self._unsigned():
                kinds = self._byte()
                for _ in range(size):
                    self._skip(kinds >> 4, in_list=True)
                    self._skip(kinds & 15, in_list=True)
        elif kind == _STRUCT:
            for _ in self.fields(-1, -1):
                pass
        else:
            raise ValueError("its footer is damaged")
