"""Boilerplate: sentences and lines that a large part of a collection shares, such as signatures and form headings.

They say nothing of what is asked, and yet two different questions above one long signature look alike. So a collection
is compared without them. What a text is, which texts are the same, and what comes out stay as they are.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dupdetect.text import canonical

__all__ = ["Boilerplate", "find_boilerplate"]

_LEAST_TEXTS = 20
_LEAST_SHARE = 0.02
_LEAST_WORDS = 4  # shorter ones alone hardly move a vector
_EXAMPLE_CHARACTERS = 60
_LINE_END = "\u2424"  # Unicode's symbol for a new line; a canonical form has no line ends
_LINE_ENDS = re.compile(r"\r\n?|\n|(?=<(?:br|/p|/div|/li|/tr|/td|/h[1-6]|/blockquote)\b)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?:;])\s+")


@dataclass(frozen=True, slots=True)
class Boilerplate:
    """What was found in a collection of n different texts.

    sentences: the canonical forms of what is left out, most frequent first and long before short, each with the number
    of texts that have it.
    rest: for each canonical form that has any, what is left of it, canonical too, and never blank.
    """

    sentences: tuple[tuple[str, int], ...]
    rest: Mapping[str, str]

    def notes(self) -> tuple[str, ...]:
        """Return a sentence on what is left out, if anything is."""
        if not self.sentences:
            return ()
        first = self.sentences[0][0]
        short = first if len(first) <= _EXAMPLE_CHARACTERS else f"{first[:_EXAMPLE_CHARACTERS]}..."
        more = f" and {len(self.sentences) - 1:,} more" if len(self.sentences) > 1 else ""
        sentences = "sentences" if more else "a sentence"
        return (
            f"{len(self.rest):,} texts are compared without {sentences} that many texts share, such as {short!r}{more} "
            "(run.json lists them). To compare texts as they are: --whole-texts.",
        )


def find_boilerplate(texts: Iterable[str]) -> Boilerplate:
    """Return what a large part of the texts shares: sentences or lines that stand in at least 20 different texts and in
    2 % of them, and hold at least four words, or stand beside one that does.

    A text of nothing else is left whole. Texts with the same canonical form count once, as the first of them in
    alphabetical order, so that the result does not depend on the order of the rows, nor on repeated ones.
    """
    by_form: dict[str, str] = {}
    for text in texts:
        if form := canonical(text):
            by_form[form] = min(by_form.get(form, text), text)
    parts = {form: pieces for form, text in by_form.items() if len(pieces := _pieces(form, text)) > 1}
    counts = Counter(key for pieces in parts.values() for key in {key for key, _ in pieces})
    least = max(_LEAST_TEXTS, math.ceil(_LEAST_SHARE * len(by_form)))
    shared = {key for key, count in counts.items() if count >= least}
    rest: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for form, pieces in parts.items():
        out = _left_out([key for key, _ in pieces], shared)
        left = canonical(" ".join(piece for (_, piece), gone in zip(pieces, out, strict=True) if not gone))
        if left and any(out):
            rest[form] = left
            left_out.update({key for (key, _), gone in zip(pieces, out, strict=True) if gone})
    return Boilerplate(tuple(sorted(left_out.items(), key=lambda item: (-item[1], -len(item[0]), item[0]))), rest)


def _left_out(keys: Sequence[str], shared: Collection[str]) -> list[bool]:
    """Return for each piece of a text whether it is in a row of shared ones, one of which is long."""
    out: list[bool] = []
    for frequent, run in itertools.groupby(keys, shared.__contains__):
        pieces = list(run)
        gone = frequent and any(len(key.split()) >= _LEAST_WORDS for key in pieces)
        out += [gone] * len(pieces)
    return out


def _pieces(form: str, text: str) -> list[tuple[str, str]]:
    """Return the sentences and lines of a text: the canonical form of each, and with the signs at its end."""
    lines = canonical(_LINE_ENDS.sub(f" {_LINE_END} ", text)).split(_LINE_END) if _LINE_ENDS.search(text) else [form]
    pieces = [piece for line in lines for piece in _SENTENCE_END.split(line.strip()) if piece]
    return [(canonical(piece), piece) for piece in pieces]
