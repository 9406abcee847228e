"""Texts as a page shows them: their beginning, with the words marked that another text does not have."""

from __future__ import annotations

import itertools
import re
import string
from dataclasses import dataclass
from itertools import groupby

from dupdetect.markup import tag_spans
from dupdetect.text import readable

__all__ = ["LONGEST_TEXT", "ShownText", "only_in", "shown_text"]

LONGEST_TEXT = 1000
"""Characters: a page is for looking, and about as much of a text is compared."""

_PIECE = re.compile(r"\s+|\S+")
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
    pieces = _pieces(beginning)
    words = [_words(piece) if is_text else set[str]() for piece, is_text in pieces]
    marks = [not of_piece <= others for of_piece in words]
    if rest and not rest[0].isspace():
        marks[-1] = False  # half a word
    # What stands between two marked words is marked too: they read as one.
    places = [place for place, of_piece in enumerate(words) if of_piece]
    for before, after in itertools.pairwise(places):
        marks[before + 1 : after] = [marks[before] and marks[after]] * (after - before - 1)
    runs = groupby(zip((piece for piece, _ in pieces), marks, strict=True), key=lambda piece: piece[1])
    return ShownText(tuple(("".join(piece for piece, _ in run), marked) for marked, run in runs), len(rest))


def only_in(text: str, beside: str) -> tuple[str, ...]:
    """Return the words of `text` that `beside` does not have, in order and each once; none where they share no word.

    Of HTML the words that a reader sees.
    """
    others, words = _words(beside), dict.fromkeys(filter(None, map(_bare, readable(text).split())))
    if others.isdisjoint(words):
        return ()
    return tuple(word for word in words if word not in others)


def _pieces(text: str) -> list[tuple[str, bool]]:
    """Return white space, what stands between it, and tags of HTML, one after the other; a tag is no text."""
    pieces, place = [], 0
    for start, end in (*tag_spans(text), (len(text), len(text))):
        pieces += [(piece, True) for piece in _PIECE.findall(text[place:start])]
        if start < end:
            pieces.append((text[start:end], False))
        place = end
    return pieces


def _words(text: str) -> set[str]:
    """Return the words that a reader sees."""
    return set(map(_bare, readable(text).split())) - {""}


def _bare(word: str) -> str:
    return word.strip().casefold().strip(string.punctuation + "‘’“”„…–—¿¡")
