"""Bytes to characters: the encoding of a text file, found or named."""

from __future__ import annotations

import codecs
import re

from dupdetect.errors import EncodingError, InputError

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(content: bytes, name: str, encoding: str | None) -> tuple[str, str, list[str]]:
    """Return the text without its byte order mark, the encoding, and notes."""
    if encoding is not None:
        text, notes = _without_halves(_decode_as(content, name, _known_encoding(encoding)))
        return text, encoding, notes
    marked = _marked_encoding(content)
    if marked:
        note = f"Read as {marked.removesuffix('-sig').upper()} with a byte order mark."
        return _decode_as(content, name, marked), marked, [note]
    unmarked = _utf16_without_mark(content)
    if unmarked:
        return _decode_as(content, name, unmarked), unmarked, [f"Read as {unmarked.upper()} without a byte order mark."]
    try:
        return content.decode("utf-8"), "utf-8", []
    except UnicodeDecodeError as error:
        offset = error.start
    if _is_damaged_utf8(content):
        raise EncodingError(name, "utf-8", offset, damaged=True)
    text = _decode_as(content, name, "cp1252")
    note = f"Read as cp1252 (not UTF-8: see the byte at offset {offset}). If characters look wrong, name the encoding."
    return text, "cp1252", [note]


def printable(text: str) -> str:
    """Return text that can be written as UTF-8: halves of surrogate pairs become U+FFFD."""
    return LONE_SURROGATE.sub("\ufffd", text)


def joined_halves(text: str) -> str:
    """Return text in which two halves of a surrogate pair are one character; others stay."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _without_halves(text: str) -> tuple[str, list[str]]:
    """Join the surrogate pairs that utf-7, unicode_escape and their like may leave, and replace the halves."""
    if not LONE_SURROGATE.search(text):
        return text, []
    text, count = LONE_SURROGATE.subn("\ufffd", joined_halves(text))
    note = f"{count:,} {'half' if count == 1 else 'halves'} of surrogate pairs became the replacement character U+FFFD."
    return text, [note] if count else []


def _known_encoding(encoding: str) -> str:
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        raise InputError(
            f"There is no encoding {encoding!r}. Well-known ones: utf-8, utf-16, cp1252, latin-1, shift_jis."
        ) from None
    return encoding


def _decode_as(content: bytes, name: str, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise EncodingError(name, encoding, error.start, damaged=_is_damaged(content, encoding)) from None
    except UnicodeError:
        raise EncodingError(name, encoding, 0) from None


def _marked_encoding(content: bytes) -> str | None:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and len(content) % 4 == 0:
        return "utf-32"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else None


def _utf16_without_mark(content: bytes) -> str | None:
    """Return "utf-16-le" or "utf-16-be" if the bytes are that, by the zero half of its ASCII characters.

    UTF-8 may hold NUL characters too, so what is valid UTF-8 must also look like UTF-16 at its first and last line end.
    """
    zeros = content[::2].count(0), content[1::2].count(0)
    share = max(zeros) / (len(content) / 2)
    # Some common characters, such as U+4E00, have the zero in their other half.
    if len(content) % 2 or share < 0.1 or 2 * min(zeros) > max(zeros):
        return None
    encoding = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    if share < 0.9 and "\n" not in text:
        return None
    if is_utf8(content):
        starts_bare = content.find(b"\n") // 2 != text.find("\n")
        ends_bare = content[-1] in b"\r\n" and (encoding == "utf-16-le" or content[-2] != 0)
        if starts_bare or ends_bare:
            return None
    return encoding


def is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_damaged(content: bytes, encoding: str) -> bool:
    """Tell whether bytes that are not valid in `encoding` are in it for the most part, by their mark or pattern."""
    family = codecs.lookup(encoding).name.replace("_", "-")
    marked = _marked_encoding(content)
    if marked is not None:
        return family.startswith(marked.removesuffix("-sig"))
    return family == "utf-8" and _is_damaged_utf8(content)


def _is_damaged_utf8(content: bytes) -> bool:
    """Tell whether most bytes beyond ASCII form UTF-8 characters: in cp1252 text they hardly ever do by chance."""
    text = content.decode("utf-8", errors="replace")
    beyond = len(text) - len(text.encode("ascii", errors="ignore"))
    return 2 * text.count("\ufffd") < beyond
