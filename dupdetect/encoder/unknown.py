"""Which words of a text an encoder cannot read, told from the places of the tokens that it knows.

Many tokenizers drop the marks of letters, and say nothing of it. What is decided about them here:

- Latin, Greek and Cyrillic accents may go: a reader knows résumé by resume, Vietnamese is often typed without them, and
  few words differ in nothing else. They are the marks of which Unicode composes the letters of these scripts, so й
  counts as read when it is read as и. Any other mark upon such a letter (a stroke through it) must be read.
- All other marks must be read, as they are letters in all but name: the vowel signs and tones of Devanagari or Thai,
  Arabic vowels and hamza (أ is ا with a mark), Hebrew points, the Japanese marks that make か into が. A word with one
  that is not read is unknown, although some writers leave Arabic vowels and Hebrew points out.
- Signs with a mark must be read too (≠ is = with a stroke), and count as part of a word.
- A Korean syllable has no marks: its letters are read, or the syllable is unknown.
- U+FFFD stands where a character was lost. It counts as a letter, which nobody can read.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence

__all__ = ["unknown_words", "unread_characters"]

_LOST = "\ufffd"
_ACCENTED_SCRIPTS = ("LATIN ", "GREEK ", "CYRILLIC ")
# The two ranges hold all composed letters of these scripts, and none of others.
_ACCENTS = frozenset(
    mark
    for code in (*range(0x00C0, 0x0530), *range(0x1E00, 0x2000))
    for mark in unicodedata.normalize("NFD", chr(code))[1:]
)


def unread_characters(texts: Iterable[str], tokens: Callable[[list[str]], Sequence[Sequence[int]]]) -> frozenset[str]:
    """Return the characters of `texts` that lose a mark, or are lost themselves, on the way to the tokens.

    tokens: returns the token numbers of each text. A character with the same tokens as without one of its marks is
    read without it. Accented letters (see above) are left out.
    """
    characters = sorted(set().union(*(text for text in texts if not text.isascii())))
    variants = [(character, *variant) for character in characters for variant in _without_one_mark(character)]
    found = tokens([text for _, *both in variants for text in both])
    alike = (whole == part for whole, part in zip(found[::2], found[1::2], strict=True))
    return frozenset(character for (character, *_), same in zip(variants, alike, strict=True) if same)


def unknown_words(
    text: str, known: Iterable[tuple[int, int]], end: int, unread: Collection[str] = frozenset()
) -> tuple[str, ...]:
    """Return the words of text[:end], each once and sorted, with a letter, a digit or a mark that is not read.

    known: [start, stop) of each token that the encoder has a meaning for.  end: where the encoder stops reading.
    unread: `unread_characters`, which are not read although they stand in such a token.

    A word is a run of letters and digits of any script, with the marks upon them. What stands between words, such as
    emoji, need not be known as long as some word is; a text with anything unknown and no word that is known is
    returned whole, `(text,)`.

    >>> unknown_words("reset qwx 5", [(0, 5), (6, 7), (10, 11)], 11)
    ('qwx',)
    """
    read = bytearray(end)
    for start, stop in known:
        read[start:stop] = b"\1" * (stop - start)
    if not text.isascii():
        _correct(read, text, unread)
    if all(seen or text[place].isspace() for place, seen in enumerate(read)):
        return ()
    unknown = set()
    some_word_is_known = False
    for inside, run in itertools.groupby(range(end), key=lambda place: _belongs_to_a_word(text[place], unread)):
        places = list(run)
        if not inside or all(_is_mark(text[place]) for place in places):
            continue
        if all(read[place] for place in places):
            some_word_is_known = True
        else:
            unknown.add(text[places[0] : places[-1] + 1])
    return tuple(sorted(unknown)) if some_word_is_known else (text,)


def _correct(read: bytearray, text: str, unread: Collection[str]) -> None:
    """Set what is read of the marks: an accent as if it were, and a character that loses a mark as if it were not."""
    base = ""
    for place, character in enumerate(text[: len(read)]):
        if character in _ACCENTS and _takes_accents(base):
            read[place] = 1
        elif character in unread:
            read[place] = 0
        if not _is_mark(character):
            base = character


def _without_one_mark(character: str) -> list[tuple[str, str]]:
    """Return the character, and what is left without one of its marks, for each mark; both in equal surroundings."""
    if _takes_accents(character):
        return []
    parts = unicodedata.normalize("NFD", character)
    # What may vanish altogether is looked at behind a letter, as a tokenizer may add something to an empty text.
    before = "a" if _may_vanish(parts[0]) else ""
    return [
        (before + character, before + parts[:place] + parts[place + 1 :])
        for place, part in enumerate(parts)
        if _may_vanish(part)
    ]


def _may_vanish(character: str) -> bool:
    return character == _LOST or _is_mark(character)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _takes_accents(character: str) -> bool:
    return character != "" and unicodedata.name(character, "").startswith(_ACCENTED_SCRIPTS)


def _belongs_to_a_word(character: str, unread: Collection[str]) -> bool:
    # Without its marks (vowel signs, for example) a word of many scripts would look like another.
    return character.isalnum() or _may_vanish(character) or character in unread
