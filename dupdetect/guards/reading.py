"""What guards look at in a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from dupdetect.guards.lexicon import LISTED, NEGATIONS, NUMBER_WORDS, SMALL_WORDS, VERSION_WORDS
from dupdetect.guards.names import capitalised_words
from dupdetect.text import canonical

__all__ = ["Reading", "read"]

_ARROW = re.compile(r"(?<![-=])[-=]+>|\u2192|\u21d2")
# Words with inner apostrophes and hyphens; numbers with inner points and commas.
_TOKEN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|(?<![\w.,])[.,]\d+|\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r",(?=\d{3}(?:\D|$))")
_LEADING_ZEROS = re.compile(r"^0+(?=\d)")


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as guards see it.

    numbers: one form for 5, 05 and 5.00, for 0.5, .5 and 0,50, for 1,200 and 1200; numbers in words too. Beside a word
    of `lexicon.VERSION_WORDS` 4.1 and 4.10 are two.
    negated: an odd number of negations.  listed: words of `lexicon.LISTED`.
    frame: all other words but small ones, with the plural s off. Two texts with one frame differ in nothing else.
    names: by their capital letters, with the plural s off; listed words too.
    unnamed: listed words and the frame without the names, the numbers, and whether it is negated.
    tokens: all words and numbers in order.
    """

    numbers: frozenset[str]
    negated: bool
    listed: frozenset[str]
    frame: frozenset[str]
    names: frozenset[str]
    unnamed: tuple[frozenset[str], frozenset[str], bool]
    tokens: tuple[str, ...]


def read(form: str, written: Iterable[str] = ()) -> Reading:
    """Return what guards look at in a canonical text.

    written: the ways that it is written, with capital letters and perhaps more; a name in one of them is one.

    >>> reading = read("why can't i open 2 pdf files")
    >>> reading.numbers, reading.negated, sorted(reading.listed), sorted(reading.frame)
    (frozenset({'2'}), True, ['open', 'pdf'], ['file'])
    """
    tokens = _tokens(form)
    numbers, listed, frame, negated = set(), set(), set(), False
    for token in tokens:
        if token[0].isdigit():
            numbers.add(token)
        elif token in NUMBER_WORDS:
            numbers.add(NUMBER_WORDS[token])
        elif token in NEGATIONS or token.endswith("n't"):
            negated = not negated
        elif token in LISTED:
            listed.add(token)
        elif token not in SMALL_WORDS:
            frame.add(_singular(token))
    names: frozenset[str] = frozenset()
    if words := sorted(names.union(*map(capitalised_words, written))):
        capitalised = {_singular(word) for word in _tokens(canonical(" ".join(words)))}
        names = frozenset(capitalised.intersection(map(_singular, tokens)))
    return Reading(
        numbers=frozenset(numbers),
        negated=negated,
        listed=frozenset(listed),
        frame=frozenset(frame),
        names=names,
        unnamed=(frozenset(frame).union(map(_singular, listed)) - names, frozenset(numbers), negated),
        tokens=tuple(tokens),
    )


def _tokens(form: str) -> list[str]:
    found: list[str] = []
    written = _TOKEN.findall(_ARROW.sub(" to ", form))
    versions = not VERSION_WORDS.isdisjoint(written)
    for token in written:
        if token[0].isdecimal() or token[0] in ".,":
            found.append(_number(token, versions))
        elif "-" in token and token.replace("-", "") not in LISTED:
            found += token.split("-")
        else:
            found.append(token.replace("-", "").removesuffix("'s"))
    return found


def _number(token: str, versions: bool) -> str:
    """Return one form for all ways to write a number.

    What has several points (a version, a date) is no fraction. Nor is, in `versions`, what follows the point, unless
    it is nothing but zeros.
    """
    if not token.isascii():
        token = "".join(str(unicodedata.decimal(character, character)) for character in token)
    token = _THOUSANDS.sub("", token)
    whole, point, fraction = token.replace(",", ".").partition(".")
    whole = _LEADING_ZEROS.sub("", whole or "0")
    if point and fraction.isdecimal() and not (versions and fraction.strip("0")):
        fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
