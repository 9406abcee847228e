"""Bytes to characters: the encoding of a text file, found or named."""

from __future__ import annotations

import codecs

from dupdetect.errors import EncodingError, InputError


def decode(content: bytes, name: str, encoding: str | None) -> tuple[str, str, list[str]]:
    """Return the text without its byte order mark, the encoding, and notes."""
    if encoding is not None:
        return _decode_as(content, name, _known_encoding(encoding)), encoding, []
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
        raise EncodingError(name, "utf-8", offset)
    text = _decode_as(content, name, "cp1252")
    note = (
        f"Read as cp1252 (not UTF-8: see the byte at offset {offset}). "
        "If characters look wrong, name the encoding with --encoding."
    )
    return text, "cp1252", [note]


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
        raise EncodingError(name, encoding, error.start) from None
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


def _is_damaged_utf8(content: bytes) -> bool:
    """Tell whether most bytes beyond ASCII form UTF-8 characters: in cp1252 text they hardly ever do by chance."""
    text = content.decode("utf-8", errors="replace")
    beyond = len(text) - len(text.encode("ascii", errors="ignore"))
    return 2 * text.count("\ufffd") < beyond
