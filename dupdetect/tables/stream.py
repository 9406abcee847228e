"""The text of a file, which is given out piece by piece and never there as a whole."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Stream:
    """Characters, held as their UTF-8 from byte `start` on, and read from there as often as it takes."""

    utf8: bytes = field(repr=False)
    start: int = 0

    def from_byte(self, start: int) -> Stream:
        """Return what is left behind so many more bytes."""
        return Stream(self.utf8, self.start + start)

    def without_mark(self) -> Stream:
        """Return what is left behind a byte order mark, if there is one."""
        return self.from_byte(len(codecs.BOM_UTF8)) if self.utf8.startswith(codecs.BOM_UTF8, self.start) else self

    def lines(self, newline: str = "") -> TextIO:
        r"""Return the lines, with their ends as they are: after \r\n, \n or \r, or only after `newline`."""
        content = io.BytesIO(self.utf8)  # shares the bytes
        content.seek(self.start)
        return io.TextIOWrapper(content, encoding="utf-8", newline=newline)

    def beginning(self, characters: int) -> str:
        """Return so many characters from the start, or all if there are fewer."""
        return self.lines().read(characters)

    def first_ink(self) -> str:
        """Return the first character that is no white space, or "" if there is none."""
        return next((ink[0] for ink in map(str.lstrip, self.lines()) if ink), "")

    def __contains__(self, character: str) -> bool:
        return self.utf8.find(character.encode("utf-8", "surrogatepass"), self.start) >= 0


def decoded(content: bytes, encoding: str, errors: str = "strict") -> Iterator[str]:
    """Yield the characters of encoded bytes, some at a time. What is wrong with them is found, but not where."""
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for start in range(0, len(content), _PIECE):
        yield decoder.decode(content[start : start + _PIECE], final=start + _PIECE >= len(content))
