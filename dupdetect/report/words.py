"""Texts as a page shows them: their beginning, with the words marked that another text does not have."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from itertools import groupby

from dupdetect.text import readable

__all__ = ["LONGEST_TEXT", "ShownText", "only_in", "shown_text"]

LONGEST_TEXT = 1000
"""Characters: a page is for looking, and about as much of a text is compared."""

_PIECE = re.compile(r"\s+|<[^<>]*>|[^\s<]+|<")  # a tag of HTML is no word, and may stand within what looks like one
_BLANK_LINES = re.compile(r"(?:(?<![^\S\n])[^\S\n]*+\n){3,}")  # where white space begins only, so in linear time


@dataclass(frozen=True, slots=True)
class ShownText:
    """The beginning of a text as (characters, marked) pieces, and how many more characters it has."""

    pieces: tuple[tuple[str, bool], ...]
    more: int


def shown_text(text: str, beside: str | None = None, *, longest: int | None = LONGEST_TEXT) -> ShownText:
    """Return the first `longest` characters of `text`, None for all, several blank lines as one.

    Words that `beside` does not have are marked, unless the two share no word: then nothing would be told apart.
    Letter case and punctuation around a word do not count.
    """
    beginning = _BLANK_LINES.sub("\n\n", text[:longest].replace("\r\n", "\n"))
    rest = "" if longest is None else text[longest:]
    others = set() if beside is None else _words(beside)
    if not others & _words(text):
        return ShownText(((beginning, False),), len(rest))
    pieces = _PIECE.findall(beginning)
    marks = [_is_word(piece) and _bare(piece) not in others for piece in pieces]
    if rest and not rest[0].isspace():
        marks[-1] = False  # half a word
    # What stands between two marked words is marked too: they read as one.
    for place in range(1, len(pieces) - 1):
        if not _is_word(pieces[place]):
            marks[place] = marks[place - 1] and marks[place + 1]
    runs = groupby(zip(pieces, marks, strict=True), key=lambda piece: piece[1])
    return ShownText(tuple(("".join(piece for piece, _ in run), marked) for marked, run in runs), len(rest))


def only_in(text: str, beside: str) -> tuple[str, ...]:
    """Return the words of `text` that `beside` does not have, in order and each once; none where they share no word.

    Of HTML the words that a reader sees.
    """
    others, words = _words(beside), dict.fromkeys(map(_bare, filter(_is_word, _PIECE.findall(readable(text)))))
    if others.isdisjoint(words):
        return ()
    return tuple(word for word in words if word not in others)


def _words(text: str) -> set[str]:
    return set(map(_bare, filter(_is_word, _PIECE.findall(readable(text)))))


def _is_word(piece: str) -> bool:
    return not (piece[0] == "<" and piece[-1] == ">") and bool(_bare(piece))


def _bare(word: str) -> str:
    return word.strip().casefold().strip(string.punctuation + "‘’“”„…–—¿¡")
