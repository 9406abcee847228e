"""HTML out of a text: tags, and what a browser would not show.

Linear in the length of the text, whatever is in it: each search stops where the next one begins.
"""

from __future__ import annotations

import re

__all__ = ["tag_spans", "without_markup"]

# Only names that HTML defines, and the one that Outlook adds: `List<String>` and `List<Integer>` stay different.
_TAG = re.compile(
    r"<(/?)(a|abbr|address|article|aside|b|blockquote|body|br|center|cite|code|col|dd|del|details|div|dl|dt|em|"
    r"figure|font|footer|form|h[1-6]|head|header|hr|html|i|img|input|ins|kbd|label|li|link|main|mark|meta|nav|o:p|ol|p|"
    r"pre|q|s|section|small|span|strike|strong|style|sub|summary|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul)"
    r"((?:\s[^<>]*)?/?)>",
    re.IGNORECASE,
)
# Tags that stand alone in HTML. Any other is markup only where its closing tag follows: `List<A>` is none.
_ALONE = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "p"})

_FLAGS = re.ASCII | re.DOTALL | re.IGNORECASE
_DOCTYPE = re.compile(r"\s*<!doctype\s[^<>]*>", _FLAGS)
# What a quotation mark follows is being talked about: what does "<style>" do?
_QUOTES = "'\"`\u00b4\u2018\u2019\u201a\u201b\u2032\u201c\u201d\u201e\u201f\u2033"
# From an opening tag to the closing one, with no other of that name between: so each search stops at the next.
_STYLE_OR_SCRIPT = re.compile(
    rf"<(style|script)(?:\s[^<>]*)?/?>(?![{_QUOTES}])((?:(?!</?\1[\s/>]).)*+)</\1\s*>", _FLAGS
)
_HEAD = re.compile(rf"<head(?:\s[^<>]*)?>(?![{_QUOTES}])((?:(?!</?head[\s/>]).)*+)</head\s*>", _FLAGS)
# What tells such an element from a sentence that names both its tags ("do I need <head> before </head>?").
_CODE = re.compile(r"[{=]|\w\(")
_METADATA = re.compile(r"<(?:meta|link|base)\s[^<>]*=|</title", _FLAGS)
_COMMENT = re.compile(rf"<!--(?![{_QUOTES}])(?:-?>|.*?-->)", _FLAGS)
_CDATA = re.compile(r"<!\[CDATA\[((?:(?!<!\[CDATA\[|\]\]>).)*+)\]\]>", _FLAGS)
_OUTLOOK_CONDITION = re.compile(r"<!\[(?:if\s[^<>\]]*|endif)\]>", _FLAGS)


def without_markup(text: str) -> str:
    """Return `text` with a space for each piece of HTML in it. What only looks like HTML stays.

    Gone with all that is in them: comments, `<style>` and `<script>` that hold code or nothing, `<head>` that holds
    metadata or nothing. Gone themselves: the tags of HTML where a closing tag makes them markup, or that stand alone;
    the document type before them; the marks of CDATA sections, which hold text, and of conditions that Outlook writes.
    """
    text = _STYLE_OR_SCRIPT.sub(lambda found: _unless_prose(found, found[2], _CODE), text)
    before, end, after = text.rpartition("-->")  # no comment ends later, and each search for an end would be in vain
    text = _COMMENT.sub(" ", before + end) + after
    text = _HEAD.sub(lambda found: _unless_prose(found, found[1], _METADATA), text)
    text = _OUTLOOK_CONDITION.sub(" ", _CDATA.sub(r" \1 ", text))
    return _without_tags(text)


def _unless_prose(element: re.Match[str], content: str, evidence: re.Pattern[str]) -> str:
    return " " if not content.strip() or evidence.search(content) else element[0]


def tag_spans(text: str) -> list[tuple[int, int]]:
    """Return where the tags of HTML are that `without_markup` leaves out: (start, end) of each, in order."""
    closed = _closed(text)
    return [tag.span() for tag in _TAG.finditer(text) if _is_markup(tag, closed)]


def _closed(text: str) -> set[str]:
    return {match[2].lower() for match in _TAG.finditer(text) if match[1]}


def _is_markup(tag: re.Match[str], closed: set[str]) -> bool:
    name = tag[2].lower()
    return bool(tag[1]) or name in closed or name in _ALONE


def _without_tags(text: str) -> str:
    closed = _closed(text)
    doctype = _DOCTYPE.match(text) if closed else None
    return _TAG.sub(lambda tag: " " if _is_markup(tag, closed) else tag[0], text[doctype.end() :] if doctype else text)
