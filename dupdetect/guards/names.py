"""Names in a text, told by their capital letters."""

from __future__ import annotations

import re
import unicodedata
from itertools import product

from dupdetect.guards.lexicon import SAME_NAMES, SMALL_WORDS
from dupdetect.text import readable, stream_safe

__all__ = ["capitalised_words", "names_differ"]

_SENTENCE_END = re.compile(r"(?<![.?!:;\n\r])[.?!:;\n\r]+(?=\s|$)|\n")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_NEVER_NAMES = frozenset(word for word in SMALL_WORDS if len(word) > 1) - {"may", "will"}
_ACRONYM = 3  # letters; a longer word in capitals is stressed, more often than not
_MANY = 30  # names: a text of so many is not about them
_NO_TYPO = 4  # a word of so many letters is too short for one


def capitalised_words(text: str) -> frozenset[str]:
    """Return the words of a text, as it was written, that are names by their capital letter; in small letters.

    The first word of a sentence is none, nor is a word that stands somewhere in small letters. Nor are those of a
    sentence with no small word of content beside them, or with a capital *The* or *Your*: that is a title, where all
    words are written so. Nor is a word of more than three letters all in capitals: it is stressed, more often than not.
    A text of more than 30 has none.

    >>> sorted(capitalised_words("How long is the flight from Oslo to New York?"))
    ['new', 'oslo', 'york']
    >>> capitalised_words("How To Reset A Password")
    frozenset()
    """
    if "&" not in text and not any(map(str.isupper, text[1:])):
        return frozenset()
    names: set[str] = set()
    small: set[str] = set()
    for sentence in _SENTENCE_END.split(unicodedata.normalize("NFC", stream_safe(readable(text)))):
        words = _WORD.findall(sentence)
        small.update(word for word in words if not word[0].isupper())
        later = [word for word in words[1:] if word.isupper() or word.lower() not in SMALL_WORDS]
        title = any(word.istitle() and word.lower() in _NEVER_NAMES for word in words[1:])
        if not title and any(not word[0].isupper() for word in later):
            names.update(word.lower() for word in later if _is_name(word))
    names -= small
    return frozenset(names) if len(names) <= _MANY else frozenset()


def _is_name(word: str) -> bool:
    return word[0].isupper() and len(word) > 1 and (len(word) <= _ACRONYM or not word.isupper())


def names_differ(first: frozenset[str], second: frozenset[str]) -> bool:
    """Tell whether each text has a name that the other has not, nor the same in another spelling."""
    only_first, only_second = first - second, second - first
    if not only_first or not only_second:
        return False
    if any(_initials(some, other) for some, other in ((only_first, only_second), (only_second, only_first))):
        return False
    return not any(_one_name(a, b) for a, b in product(map(_plain, only_first), map(_plain, only_second)))


def _initials(some: frozenset[str], other: frozenset[str]) -> bool:
    """Tell whether one of some words is made of the first letters of the others: hr, of human and resources."""
    letters = sorted(word[0] for word in other)
    return len(other) > 1 and any(sorted(word) == letters for word in some)


def _one_name(a: str, b: str) -> bool:
    """Tell whether two words without accents may be one name: synonyms, one the beginning of the other, or one letter
    off."""
    if any(a in same and b in same for same in SAME_NAMES) or a.startswith(b) or b.startswith(a):
        return True
    return min(len(a), len(b)) > _NO_TYPO and _one_letter_off(a, b)


def _plain(word: str) -> str:
    """Return a word without accents."""
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _one_letter_off(a: str, b: str) -> bool:
    """Tell whether one letter left out, put in, replaced, or two in each other's place make `a` out of `b`."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    x, y = a[start:], b[start:]
    return x[1:] == y or x == y[1:] or x[1:] == y[1:] or (x[1::-1] == y[:2] and x[2:] == y[2:])
