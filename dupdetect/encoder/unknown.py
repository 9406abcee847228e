"""Which words of a text an encoder cannot read, told from the places of the tokens that it knows."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable

__all__ = ["unknown_words"]


def unknown_words(text: str, known: Iterable[tuple[int, int]], end: int) -> tuple[str, ...]:
    """Return the words of text[:end], each once and sorted, that have a letter or a digit outside of every known token.

    known: [start, stop) of each token that the encoder has a meaning for.  end: where the encoder stops reading.

    A word is a run of letters and digits of any script, with the marks upon them. What stands between words, such as
    emoji, need not be known as long as some word is; a text with anything unknown and no word that is known is
    returned whole, `(text,)`.

    >>> unknown_words("reset qwx 5", [(0, 5), (6, 7), (10, 11)], 11)
    ('qwx',)
    """
    read = bytearray(end)
    for start, stop in known:
        read[start:stop] = b"\1" * (stop - start)
    if all(seen or text[place].isspace() for place, seen in enumerate(read)):
        return ()
    unknown = set()
    some_word_is_known = False
    for inside, run in itertools.groupby(range(end), key=lambda place: _belongs_to_a_word(text[place])):
        places = list(run)
        letters = [place for place in places if text[place].isalnum()]
        if not inside or not letters:
            continue
        if all(read[place] for place in letters):
            some_word_is_known = True
        else:
            unknown.add(text[places[0] : places[-1] + 1])
    return tuple(sorted(unknown)) if some_word_is_known else (text,)


def _belongs_to_a_word(character: str) -> bool:
    # Without its marks (vowel signs, for example) a word of many scripts would look like another.
    return character.isalnum() or unicodedata.category(character).startswith("M")
