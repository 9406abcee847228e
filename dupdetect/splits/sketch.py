"""The words of a question without their order: what two spellings of one question have in common."""

from __future__ import annotations

import re
import unicodedata

_SKETCH_CHARACTERS = 5
_ASCII_WORD = re.compile(r"[a-z0-9]+")


def sketch_key(form: str) -> str:
    """Return the distinct words of a canonical text, sorted; "" when they are too few to mean anything.

    Texts with equal keys differ in word order, repetition or punctuation only, and are kept on one side. Words are runs
    of letters, digits and their combining marks. Keys of fewer than 5 characters are none: `c`, `c++` and `c#`, or all
    emoji, would otherwise become one group.

    >>> sketch_key("is red, or is blue, better")
    'better blue is or red'
    """
    if form.isascii():
        words = set(_ASCII_WORD.findall(form))
    else:
        words = set("".join(c if _in_word(c) else " " for c in form).split())
    return " ".join(sorted(words)) if sum(map(len, words)) >= _SKETCH_CHARACTERS else ""


def _in_word(character: str) -> bool:
    # Vowel signs of Hindi or Thai are marks, which isalnum() and \w leave out.
    return character.isalnum() or unicodedata.category(character)[0] == "M"
