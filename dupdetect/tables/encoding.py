"""Bytes to characters: the encoding of a text file, found or named."""

from __future__ import annotations

import codecs
import io
import re

from dupdetect.errors import EncodingError, InputError
from dupdetect.tables.stream import Stream, decoded
from dupdetect.text import holds_halves

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# Of these, pieces decode as the whole does, and leave no half of a surrogate pair.
_IN_PIECES = {"utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-16", "utf-32", "ascii", "iso8859-1", "cp1252"}
_PIECE = 1 << 20  # even, as the bytes of UTF-16 are


def decode(content: bytes, name: str, encoding: str | None) -> tuple[Stream, str, list[str]]:
    """Return the text without its byte order mark, the encoding, and notes."""
    if encoding is not None:
        text, notes = _decode_as(content, name, _known_encoding(encoding))
        return text, encoding, notes
    marked = _marked_encoding(content)
    if marked:
        note = f"Read as {marked.removesuffix('-sig').upper()} with a byte order mark."
        return _decode_as(content, name, marked)[0], marked, [note]
    unmarked = _utf16_without_mark(content)
    if unmarked:
        note = f"Read as {unmarked.upper()} without a byte order mark."
        return _decode_as(content, name, unmarked)[0], unmarked, [note]
    offset = first_fault(content)
    if offset is None:
        return Stream(content), "utf-8", []
    if _is_damaged_utf8(content):
        raise EncodingError(name, "utf-8", offset, damaged=True)
    text, _ = _decode_as(content, name, "cp1252")
    note = f"Read as cp1252 (not UTF-8: see the byte at offset {offset}). If characters look wrong, name the encoding."
    return text, "cp1252", [note]


def joined_halves(text: str) -> str:
    """Return text in which two halves of a surrogate pair are one character; others stay."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _without_halves(text: str) -> tuple[str, list[str]]:
    """Join the surrogate pairs that utf-7, unicode_escape and their like may leave, and replace the halves."""
    if not holds_halves(text):
        return text, []
    text, count = _LONE_SURROGATE.subn("\ufffd", joined_halves(text))
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


def _decode_as(content: bytes, name: str, encoding: str) -> tuple[Stream, list[str]]:
    """Return the text without its byte order mark, and notes."""
    if codecs.lookup(encoding).name in _IN_PIECES:
        try:
            return _in_pieces(content, encoding).without_mark(), []
        except UnicodeError:
            pass  # the whole tells where
    try:
        text, notes = _without_halves(content.decode(encoding).removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        raise EncodingError(name, encoding, error.start, damaged=_is_damaged(content, encoding)) from None
    except UnicodeError:
        raise EncodingError(name, encoding, 0) from None
    return Stream(text.encode()), notes


def _in_pieces(content: bytes, encoding: str) -> Stream:
    family = codecs.lookup(encoding).name
    if family in {"utf-8", "utf-8-sig"} and is_utf8(content):
        return Stream(content).without_mark() if family == "utf-8-sig" else Stream(content)
    utf8 = io.BytesIO()
    for text in decoded(content, encoding):
        utf8.write(text.encode())
    return Stream(utf8.getvalue())


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
    if b"\0" not in content:
        return None
    zeros = _zeros(content, 0), _zeros(content, 1)
    share = max(zeros) / (len(content) / 2)
    # Some common characters, such as U+4E00, have the zero in their other half.
    if len(content) % 2 or share < 0.1 or 2 * min(zeros) > max(zeros):
        return None
    encoding = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        line_end = _first_line_end(content, encoding)
    except UnicodeDecodeError:
        return None
    if share < 0.9 and line_end < 0:
        return None
    if is_utf8(content):
        starts_bare = content.find(b"\n") // 2 != line_end
        ends_bare = content[-1] in b"\r\n" and (encoding == "utf-16-le" or content[-2] != 0)
        if starts_bare or ends_bare:
            return None
    return encoding


def _zeros(content: bytes, half: int) -> int:
    return sum(content[start + half : start + _PIECE : 2].count(0) for start in range(0, len(content), _PIECE))


def _first_line_end(content: bytes, encoding: str) -> int:
    """Return the place, in characters, of the first line feed, or -1; raise UnicodeDecodeError for bytes that are no
    text in this encoding."""
    place, before = -1, 0
    for text in decoded(content, encoding):
        if place < 0 and "\n" in text:
            place = before + text.index("\n")
        before += len(text)
    return place


def is_utf8(content: bytes) -> bool:
    return first_fault(content) is None


def first_fault(content: bytes) -> int | None:
    """Return the offset of the first byte that is no UTF-8, or None."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(content), _PIECE):
        waiting = len(decoder.getstate()[0])
        try:
            decoder.decode(content[start : start + _PIECE], final=start + _PIECE >= len(content))
        except UnicodeDecodeError as error:
            return start - waiting + error.start
    return None


def _is_damaged(content: bytes, encoding: str) -> bool:
    """Tell whether bytes that are not valid in `encoding` are in it for the most part, by their mark or pattern."""
    family = codecs.lookup(encoding).name.replace("_", "-")
    marked = _marked_encoding(content)
    if marked is not None:
        return family.startswith(marked.removesuffix("-sig"))
    return family == "utf-8" and _is_damaged_utf8(content)


def _is_damaged_utf8(content: bytes) -> bool:
    """Tell whether most bytes beyond ASCII form UTF-8 characters: in cp1252 text they hardly ever do by chance."""
    replaced = beyond = 0
    for text in decoded(content, "utf-8", "replace"):
        beyond += len(text) - len(text.encode("ascii", errors="ignore"))
        replaced += text.count("\ufffd")
    return 2 * replaced < beyond
