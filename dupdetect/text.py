"""The one definition of "the same question text".

`canonical` decides which texts are equal before any model sees them: equal canonical texts share one slot, one
embedding, one node of the split graph, and have similarity 1 by definition. It undoes what mail programs, browsers and
keyboards do to a text, and nothing that carries meaning: digits, words, word order and inner punctuation stay.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["canonical", "is_blank", "unique_canonical"]

# Only names that HTML defines, so that `List<String>` and `List<Integer>` stay different.
_HTML_TAG = re.compile(
    r"</?(?:a|abbr|address|article|aside|b|blockquote|body|br|center|cite|code|col|dd|del|details|div|dl|dt|em|"
    r"figure|font|footer|form|h[1-6]|head|header|hr|html|i|img|input|ins|kbd|label|li|link|main|mark|meta|nav|ol|p|"
    r"pre|q|s|section|small|span|strike|strong|style|sub|summary|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
# An ampersand escaped any number of times. Undone in one step: one by one, deep nesting would take quadratic time.
_ESCAPED_AMPERSANDS = re.compile(r"&(?:amp;|#0{0,8}38;|#[xX]0{0,8}26;)+")
_TYPOGRAPHY = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'", "\u00b4": "'", "`": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u2033": '"',
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-", "\u2212": "-",
        "\u2026": "...", "\ufe0e": None, "\ufe0f": None,
    }
)  # fmt: skip
_END = ".?!\u3002\uff01\uff1f\u061f "


def canonical(text: str) -> str:
    """Return the canonical form of `text`; two texts are the same question text when their forms are equal.

    In this order, until nothing changes: HTML entities become characters, and HTML tags spaces; Unicode NFC;
    typographic quotes, dashes and ellipses become plain ones; invisible characters (zero-width, direction marks, soft
    hyphens, variation selectors) go, other control characters become spaces; case is folded; runs of white space become
    one space; full stops, question and exclamation marks at the end go (unless the text has nothing else).
    Accents, digits, compatibility characters (`m²` is not `m2`) and all other punctuation stay.

    The form of a form is itself. A text of nothing but white space and invisible characters has the form "".

    >>> canonical("  How do I reset\\u00a0my <b>password</b>?? ")
    'how do i reset my password'
    """
    while True:
        form = _fold(text)
        if form == text:
            return form
        text = form


def _fold(text: str) -> str:
    if "&" in text:
        text = html.unescape(_ESCAPED_AMPERSANDS.sub("&", text))
    if "<" in text:
        text = _HTML_TAG.sub(" ", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY)
        text = "".join(_visible(c) for c in text)
    elif "`" in text:
        text = text.replace("`", "'")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    text = unicodedata.normalize("NFC", text.casefold())
    text = " ".join(text.split())
    return text.rstrip(_END) or text


def _visible(character: str) -> str:
    return "" if unicodedata.category(character) == "Cf" else character


def is_blank(text: str) -> bool:
    """Tell whether `text` has nothing to read: such texts are kept and counted, and never duplicates of each other."""
    return canonical(text) == ""


def unique_canonical(texts: Iterable[str]) -> tuple[list[str], list[int]]:
    """Return the distinct canonical forms in sorted order, and for each text the position of its form.

    Sorted, so that what follows does not depend on the order of the rows.
    """
    forms = [canonical(text) for text in texts]
    unique = sorted(set(forms))
    slot = {form: position for position, form in enumerate(unique)}
    return unique, [slot[form] for form in forms]
