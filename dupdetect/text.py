"""The one definition of "the same question text".

`canonical` decides which texts are equal before any model sees them: equal canonical texts share one slot, one
embedding, one node of the split graph, and have similarity 1 by definition. It undoes what mail programs, browsers and
keyboards do to a text, and nothing that carries meaning: digits, words, word order and inner punctuation stay.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata

from dupdetect.markup import without_markup

__all__ = [
    "canonical",
    "holds_halves",
    "is_blank",
    "is_missing",
    "is_plain",
    "readable",
    "single_spaced",
    "stream_safe",
    "without_end",
    "without_halves",
]

# An ampersand escaped any number of times. Undone in one step: one by one, deep nesting would take quadratic time.
_ESCAPED_AMPERSANDS = re.compile(r"&(?:amp;|#0{0,8}38;|#[xX]0{0,8}26;)+")
# Character numbers beyond Unicode. Python refuses to read thousands of digits.
_NUMBER_ZEROS = re.compile(r"&#([xX]?)0+(?=[0-9a-fA-F])")
_NUMBER_TOO_LARGE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
# So many rounds undo any markup that a program wrote; more is an attack, which costs a round for each nesting.
_ROUNDS = 8
# As many combining marks in a row as Unicode's stream-safe form allows; ordering more takes quadratic time.
_MARKS_IN_A_ROW = 30
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_TYPOGRAPHY: dict[int, str | None] = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'", "\u00b4": "'", "`": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u2033": '"',
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-", "\u2212": "-",
        "\u2026": "...", "\ufe0e": None, "\ufe0f": None,
    }
)  # fmt: skip
# Invisible, but they tell the flags of England and Scotland apart.
_FLAG_LETTERS = frozenset(map(chr, range(0xE0020, 0xE0080)))


class _Plain(dict[int, str]):
    """What stands for a character of a text that is not all ASCII, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        invisible = unicodedata.category(character) == "Cf" and character not in _FLAG_LETTERS
        return self.setdefault(code, "" if invisible else character)


class _Printable(dict[int, str]):
    """A space for each control character, and every other character itself."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        return self.setdefault(code, character if character.isprintable() or character in _FLAG_LETTERS else " ")


class _Marks(dict[str, int]):
    """How many combining marks a character stands for: 0 for a letter, whatever it carries, and 2 for some marks."""

    def __missing__(self, character: str) -> int:
        parts = unicodedata.normalize("NFD", character)
        return self.setdefault(character, len(parts) if unicodedata.combining(parts[0]) else 0)


_MARKS = _Marks()
_PLAIN = _Plain({code: character or "" for code, character in _TYPOGRAPHY.items()})
_PRINTABLE = _Printable()
_NOT_PLAIN = re.compile("[<`]|&[#a-zA-Z]")  # markup, an entity, or a typographic quote
_NO_MARKUP = str.maketrans("<>&", "   ")
_END = ".?!\u3002\uff01\uff1f\u061f "


def canonical(text: str) -> str:
    """Return the canonical form of `text`; two texts are the same question text when their forms are equal.

    In this order, until nothing changes: HTML entities become characters; HTML tags become spaces (with all that is in
    them, link targets too), and so do comments, style sheets, scripts and the head of a page with their contents;
    Unicode NFC; typographic quotes, dashes and ellipses become plain ones; invisible characters (zero-width, direction
    marks, soft hyphens, variation selectors) go, other control characters become spaces; letters become small; runs of
    white space become one space; full stops, question and exclamation marks at the end go (unless the text has nothing
    else). Accents, digits, compatibility characters (`m²` is not `m2`) and all other punctuation stay, and so does what
    looks like a tag but is none: without a closing tag, or of a name that HTML does not have; and the words between two
    tags that a sentence merely names (see `dupdetect.markup`). Halves of surrogate pairs become U+FFFD, as in tables.

    So texts that differ in letter case alone (`git branch -d`, `git branch -D`) are one text. Time is linear in the
    length; what is nested more deeply than programs nest it loses its `<`, `>` and `&`.

    The form of a form is itself. A text of nothing but white space and invisible characters has the form "".

    >>> canonical("  How do I reset\\u00a0my <b>password</b>?? ")
    'how do i reset my password'
    """
    if is_plain(text):
        return without_end(single_spaced(text.lower()))
    for _ in range(_ROUNDS):
        form = _fold(text)
        if form == text:
            return form
        text = form
    while (form := _fold(text.translate(_NO_MARKUP))) != text:
        text = form
    return form


def is_plain(text: str) -> bool:
    """Tell whether a text needs only small letters and single spaces for its form, and perhaps loses its end."""
    return text.isascii() and text.isprintable() and not _NOT_PLAIN.search(text)


def readable(text: str) -> str:
    """Return `text` as a browser would show it: HTML entities as characters, and no markup. All else stays."""
    if "&" in text:
        text = _NUMBER_TOO_LARGE.sub("\ufffd", _NUMBER_ZEROS.sub(r"&#\1", _ESCAPED_AMPERSANDS.sub("&", text)))
        text = html.unescape(text)
    return without_markup(text) if "<" in text else text


def without_halves(text: str) -> str:
    """Return text that a file can hold and an encoder can read: halves of surrogate pairs become U+FFFD."""
    return _HALF_PAIR.sub("\ufffd", text) if holds_halves(text) else text


def holds_halves(text: str) -> bool:
    """Tell whether there are halves of surrogate pairs in a text, which no file can hold."""
    try:
        text.encode()  # several times as fast as a search
    except UnicodeEncodeError:
        return True
    return False


def _fold(text: str) -> str:
    text = readable(text)
    if not text.isascii():
        text = without_halves(text)
        text = unicodedata.normalize("NFC", stream_safe(text)).translate(_PLAIN)
    elif "`" in text:
        text = text.replace("`", "'")
    if not text.isprintable():
        text = text.translate(_PRINTABLE)
    return without_end(single_spaced(unicodedata.normalize("NFC", text.lower())))


def single_spaced(text: str) -> str:
    """Return a text with one space for each run of white space, and none around it."""
    return " ".join(text.split())


def without_end(text: str) -> str:
    """Return a text without the signs that end a sentence, unless it has nothing else."""
    return text.rstrip(_END) or text


def stream_safe(text: str) -> str:
    """Leave out combining marks beyond `_MARKS_IN_A_ROW`, as the stream-safe form of Unicode Annex 15 bounds them."""
    if text.isascii() or sum(map(_MARKS.__getitem__, text)) <= _MARKS_IN_A_ROW:
        return text
    row = 0
    kept = []
    for character in text:
        marks = _MARKS[character]
        row = row + marks if marks else 0
        if row <= _MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)


def is_blank(text: str) -> bool:
    """Tell whether `text` has nothing to read: such texts are kept and counted, and never duplicates of each other."""
    return canonical(text) == ""


def is_missing(value: object) -> bool:
    """Tell whether `value` says that there is none: None, NaN, and the NA and NaT of pandas."""
    # By name, as pandas need not be installed; its NA is neither equal nor unequal to anything.
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float) and math.isnan(value)
