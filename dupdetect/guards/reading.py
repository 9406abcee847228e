"""What guards look at in a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from dupdetect.guards.lexicon import (
    LISTED,
    MULTIPLIERS,
    NEGATIONS,
    NUMBER_WORDS,
    NUMBERED,
    SCALES,
    SMALL_WORDS,
    TENS,
    UNITS,
    VERSION_WORDS,
)
from dupdetect.guards.names import capitalised_words
from dupdetect.text import canonical

__all__ = ["Reading", "read"]

_ARROW = re.compile(r"(?<![-=])[-=]+>|\u2192|\u21d2")
# Words with inner apostrophes and hyphens; numbers with inner points and commas.
_TOKEN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|(?<![\w.,])[.,]\d+|\d+(?:[.,]\d+)*")
# 1,200 and 1,200,000; and as India writes it, 1,00,000.
_GROUPED = re.compile(r"[1-9]\d*(?:,\d{3})+(?:\.\d+)?|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d+)?")
_LEADING_ZEROS = re.compile(r"^0+(?=\d)")
_DECIMAL = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as guards see it.

    numbers: one form for 5, 05 and 5.00, for 0.5, .5 and 0,50, for 1,200 and 1200, 1,00,000 and 100000; numbers in
    words too, such as twenty-five, two hundred and fifty, and 10 thousand. Beside a word of `lexicon.VERSION_WORDS` 4.1
    and 4.10 are two.
    negated: an odd number of negations; "or not" at the end is none, nor is the "no" of order no. 5512.
    listed: words of `lexicon.LISTED`.
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
    numbers, others = _numbers_and_others(tokens)
    listed, frame, negated = set(), set(), False
    for place in others:
        token = tokens[place]
        if token in NEGATIONS or token.endswith("n't"):
            negated ^= _negates(tokens, place)
        elif token in LISTED:
            listed.add(token)
        elif token not in SMALL_WORDS:
            frame.add(_singular(token))
    names: frozenset[str] = frozenset()
    if words := sorted(names.union(*map(capitalised_words, written))):
        capitalised = {_singular(word) for word in _tokens(canonical(" ".join(words)))}
        names = frozenset(capitalised.intersection(map(_singular, tokens)))
    return Reading(
        numbers=numbers,
        negated=negated,
        listed=frozenset(listed),
        frame=frozenset(frame),
        names=names,
        unnamed=(frozenset(frame).union(map(_singular, listed)) - names, numbers, negated),
        tokens=tuple(tokens),
    )


def _numbers_and_others(tokens: Sequence[str]) -> tuple[frozenset[str], list[int]]:
    """Return the numbers among the tokens, one form for each, and the places of all others."""
    numbers, others, place = set(), [], 0
    while place < len(tokens):
        number, end = _number_at(tokens, place)
        if number is None:
            others.append(place)
        else:
            numbers.add(number)
        place = end
    return frozenset(numbers), others


def _number_at(tokens: Sequence[str], place: int) -> tuple[str | None, int]:
    """Return the number that begins at a place, and where it ends; None and the next place where there is none.

    Twenty five is one number, and so are 10 thousand, two hundred thousand, and two hundred and fifty. One is a number
    there alone: elsewhere it is a pronoun more often.
    """
    token, end = tokens[place], place + 1
    following = tokens[end] if end < len(tokens) else ""
    if token[0].isdigit():
        number = token
    elif token in TENS and following in UNITS:
        number, end = str(int(NUMBER_WORDS[token]) + int(UNITS[following])), end + 1
    elif token in NUMBER_WORDS:
        number = NUMBER_WORDS[token]
    elif token in UNITS and following in SCALES:  # all others of the units are number words
        number = "1"
    else:
        return None, end
    while True:
        if tokens[end - 1] == "hundred" and number.isdigit():
            rest, rest_end = _below_hundred(tokens, end + (tokens[end : end + 1] == ["and"]))
            if rest:
                number, end = str(int(number) + rest), rest_end
        if end == len(tokens) or tokens[end] not in SCALES or not _DECIMAL.fullmatch(number):
            return number, end
        number, end = format((Decimal(number) * int(NUMBER_WORDS[tokens[end]])).normalize(), "f"), end + 1


def _below_hundred(tokens: Sequence[str], place: int) -> tuple[int, int]:
    """Return the number in words that begins at a place, 1 to 99, and where it ends; 0 where there is none."""
    token, following = (tokens[at] if at < len(tokens) else "" for at in (place, place + 1))
    if token in TENS and following in UNITS:
        return int(NUMBER_WORDS[token]) + int(UNITS[following]), place + 2
    value = int(UNITS.get(token) or NUMBER_WORDS.get(token, "0"))
    return (value, place + 1) if value < 100 and token not in MULTIPLIERS else (0, place)


def _negates(tokens: Sequence[str], place: int) -> bool:
    """Tell whether a negation at this place is one: not in "... or not", "whether or not", and "order no. 5512"."""
    before = tokens[place - 1] if place else ""
    after = tokens[place + 1] if place + 1 < len(tokens) else ""
    if tokens[place] == "not" and before == "or":
        return bool(after) and "whether" not in tokens[:place]
    if tokens[place] == "no" and before in NUMBERED:
        return not after[:1].isdigit()
    return True


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

    What has several points or commas (a version, a date) is no fraction, unless these are the commas of thousands. Nor
    is, in `versions`, what follows the point, unless it is nothing but zeros.
    """
    if not token.isascii():
        token = "".join(str(unicodedata.decimal(character, character)) for character in token)
    if _GROUPED.fullmatch(token):
        token = token.replace(",", "")
    elif token.count(",") + token.count(".") > 1:
        return _LEADING_ZEROS.sub("", token.replace(",", "."))
    whole, point, fraction = token.replace(",", ".").partition(".")
    whole = _LEADING_ZEROS.sub("", whole or "0")
    if point and fraction.isdecimal() and not (versions and fraction.strip("0")):
        fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
