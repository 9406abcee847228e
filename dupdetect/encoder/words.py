"""The tokens of plain texts, word by word: each word goes through the tokenizer once, which takes most of its time.

Under BERT's own rules a text of printable ASCII is cut at spaces and around each punctuation sign, and what is between
the cuts is tokenised by itself. So the tokens of a text are those of its words, one after the other. Under other rules,
and where the name of an added token may begin, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

__all__ = ["WordTokens", "first_of_names", "has_rules_of_bert"]

_WORDS = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]")
_MOST = 200_000  # words that are remembered; with their tokens they take about 30 MB


class WordTokens:
    """Remembers the tokens of words.

    described: the content of a tokenizer file.  tokenise: the tokens of each of some words, without special ones.
    """

    def __init__(self, described: dict[str, Any], tokenise: Callable[[Sequence[str]], Sequence[Sequence[int]]]) -> None:
        self._tokenise = tokenise
        self._known: dict[str, tuple[int, ...]] = {}
        begins = first_of_names(described)
        self._other: re.Pattern[str] | None = None
        if has_rules_of_bert(described):
            self._other = re.compile(f"[{re.escape(''.join(sorted(begins)))}]" if begins else "(?!)")

    def reads(self, text: str) -> bool:
        """Tell whether `ids` may be asked about this text."""
        other = self._other
        return other is not None and text.isascii() and text.isprintable() and not other.search(text)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each of these texts, without special ones and all of them, however many."""
        if len(self._known) > _MOST:
            self._known = {}
        known = self._known  # this one all along: another thread may begin anew
        words = [_WORDS.findall(text) for text in texts]
        new = sorted(set(chain.from_iterable(words)) - known.keys())
        known.update(zip(new, map(tuple, self._tokenise(new)), strict=True))
        return [list(chain.from_iterable(map(known.__getitem__, some))) for some in words]


def has_rules_of_bert(described: dict[str, Any]) -> bool:
    """Tell whether a tokenizer cleans, cuts and looks words up as BERT's does; `described` as for `WordTokens`."""
    normalizer, splitter = described.get("normalizer") or {}, described.get("pre_tokenizer") or {}
    kinds = [part.get("type") for part in (described["model"], normalizer, splitter)]
    return kinds == ["WordPiece", "BertNormalizer", "BertPreTokenizer"]


def first_of_names(described: dict[str, Any]) -> set[str]:
    """Return the characters, small and large, with which a name begins that is one token wherever it stands."""
    names = (described["model"].get("unk_token") or "", *(token["content"] for token in described["added_tokens"]))
    return {character for name in names for character in (name[:1].lower(), name[:1].upper()) if character}
