"""Boilerplate: what a large part of a collection ends in, such as signatures and disclaimers.

Mostly it says nothing of what is asked, and yet two different questions above one long signature look alike. Sometimes
it is what is asked: "Please cancel my plan." So two texts with the same end are compared by what stands before it, and
all others as wholes: what is left out is what the two have in common. What a text is, which texts are the same, which
words the encoder does not know and what comes out stay as they are.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dupdetect.distinct_texts import DistinctTexts
from dupdetect.text import canonical, is_plain, single_spaced, without_end

__all__ = ["NO_BOILERPLATE", "Boilerplate", "find_boilerplate"]

_LEAST_TEXTS = 20
_LEAST_SHARE = 0.02
_LEAST_WORDS = 4  # shorter ones alone hardly move a vector
_EXAMPLE_CHARACTERS = 60
_LINE_END = "\u2424"  # Unicode's symbol for a new line; a canonical form has no line ends
_LINE_ENDS = re.compile(r"\r\n?|\n|(?=<(?:br|/p|/div|/li|/tr|/td|/h[1-6]|/blockquote)\b)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_MAYBE_MORE = re.compile(r"[\r\n<]|&[#a-zA-Z]|[.?!\u2026].*\S", re.DOTALL)  # all other texts are one piece
_ASKS = re.compile(r":|\?")  # a question, or a field of a form, which can hold what matters


@dataclass(frozen=True, slots=True)
class Boilerplate:
    """What was found in a collection of n different texts.

    sentences: the canonical forms of what is left out, most frequent first and long before short, each with the number
    of texts that have it.
    rest: for each canonical form that has any, what stands before it, canonical too, and never blank.
    end: for each of the same forms what is left out, in order: the same for the same end.
    """

    sentences: tuple[tuple[str, int], ...]
    rest: Mapping[str, str]
    end: Mapping[str, tuple[str, ...]]

    @property
    def before(self) -> Mapping[str, tuple[str, tuple[str, ...]]]:
        """For each of the forms what stands before its end, and the end."""
        return {form: (rest, self.end[form]) for form, rest in self.rest.items()}

    def notes(self, *, left_out: bool) -> tuple[str, ...]:
        """Say what was found, if anything was, and whether it is left out where two texts share it."""
        if not self.sentences:
            return ()
        first = self.sentences[0][0]
        short = first if len(first) <= _EXAMPLE_CHARACTERS else f"{first[:_EXAMPLE_CHARACTERS]}..."
        more = f" and {len(self.sentences) - 1:,} more" if len(self.sentences) > 1 else ""
        ends = (
            f"{len(self.rest):,} texts have ends that many texts share, such as {short!r}{more} (run.json lists them)"
        )
        if left_out:
            return (f"{ends}. Two with the same end are compared by what stands before it, all others as wholes.",)
        return (f"{ends}, and are compared as wholes. Different questions above one long signature look alike then.",)


NO_BOILERPLATE = Boilerplate((), {}, {})


def find_boilerplate(texts: DistinctTexts) -> Boilerplate:
    """Return what a large part of the texts ends in: the last sentences or lines of a text, as far as each stands in at
    least 20 different texts and in 2 % of them, if they hold at least four words together.

    Never the first piece of a text, nor one with a question mark or a colon, which may be what is asked or a field of a
    form. Texts with the same canonical form count once, as the one with the most pieces, of several the first in
    alphabetical order, so that the result does not depend on the order of the rows.
    """
    if len(texts.forms) < _LEAST_TEXTS:
        return NO_BOILERPLATE
    by_form = {
        form: max((_pieces(text) for text in sorted(written)), key=len)
        for form, written in zip(texts.forms, texts.written, strict=True)
        if any(map(_MAYBE_MORE.search, written))
    }
    parts = {form: pieces for form, pieces in by_form.items() if len(pieces) > 1}
    counts = Counter(key for pieces in parts.values() for key in {key for key, _ in pieces})
    least = max(_LEAST_TEXTS, math.ceil(_LEAST_SHARE * len(texts.forms)))
    shared = {key for key, count in counts.items() if count >= least}
    rest: dict[str, str] = {}
    ends: dict[str, tuple[str, ...]] = {}
    left_out: Counter[str] = Counter()
    for form, pieces in parts.items():
        end = _first_left_out(pieces, shared)
        left = canonical(" ".join(piece for _, piece in pieces[:end]))
        if end < len(pieces) and left:
            rest[form], ends[form] = left, tuple(key for key, _ in pieces[end:])
            left_out.update(set(ends[form]))
    sentences = sorted(left_out.items(), key=lambda item: (-item[1], -len(item[0]), item[0]))
    return Boilerplate(tuple(sentences), rest, ends)


def _first_left_out(pieces: Sequence[tuple[str, str]], shared: Collection[str]) -> int:
    """Return how many of the pieces of a text stay, from its beginning: all where its last ones are short together, or
    where there are no others."""
    end = len(pieces)
    while end > 1 and pieces[end - 1][0] in shared and not _ASKS.search(pieces[end - 1][1]):
        end -= 1
    long = sum(len(key.split()) for key, _ in pieces[end:]) >= _LEAST_WORDS
    nothing_else = end == 1 and pieces[0][0] in shared
    return end if long and not nothing_else else len(pieces)


def _pieces(text: str) -> list[tuple[str, str]]:
    """Return the sentences and lines of a text: the canonical form of each, and folded likewise with the signs at its
    end, which say whether it asks.
    """
    if is_plain(text):  # and so one line
        return [(without_end(piece), piece) for piece in _SENTENCE_END.split(single_spaced(text.lower()))]
    lines = canonical(f"{_LINE_ENDS.sub(f' {_LINE_END} ', text)} {_LINE_END}").split(_LINE_END)
    pieces = [piece for line in lines for piece in _SENTENCE_END.split(line.strip()) if piece]
    return [(canonical(piece), piece) for piece in pieces]
