"""The tokens of plain texts, word by word: each word goes through the tokenizer once, which takes most of its time.

Under BERT's own rules a text of printable ASCII is cut at spaces and around each punctuation sign, and what is between
the cuts is tokenised by itself. So the tokens of a text are those of its words, one after the other. Under other rules,
and where the name of an added token may begin, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["WordTokens", "first_of_names", "has_rules_of_bert", "places"]

Numbers = NDArray[np.int64]

_WORD = r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]"
_MANY = 256  # texts, from which on taking them apart together is faster
_MOST = 200_000  # words that are remembered; with their tokens they take about 30 MB


class WordTokens:
    """Remembers the tokens of words.

    described: the content of a tokenizer file.  tokenise: the tokens of each of some words, without special ones.
    """

    def __init__(self, described: dict[str, Any], tokenise: Callable[[Sequence[str]], Sequence[Sequence[int]]]) -> None:
        self._tokenise = tokenise
        self._known = _Known()
        self._lock = Lock()
        begins = first_of_names(described)
        self._other: re.Pattern[str] | None = None
        if has_rules_of_bert(described):
            self._other = re.compile(f"[{re.escape(''.join(sorted(begins)))}]" if begins else "(?!)")

    def reads(self, text: str) -> bool:
        """Tell whether `ids` may be asked about this text."""
        other = self._other
        return other is not None and text.isascii() and text.isprintable() and not other.search(text)

    def ids(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """Return the tokens of all these texts, one text after the other, without special ones and however many; and
        (n,) how many each text has."""
        different, which, counts_of_words = _words(texts)
        with self._lock:
            if len(self._known.numbers) > _MOST:
                self._known = _Known()
            known = self._known
            new = sorted(word for word in different if word not in known.numbers)
            if new:
                known.add(new, self._tokenise(new))
            numbers = np.array([known.numbers[word] for word in different], dtype=np.int64)[which]
            tokens, starts, counts = known.tokens, known.starts, known.counts
        before = np.concatenate([[0], np.cumsum(counts[numbers])])  # tokens before each word
        of_texts = np.diff(before[np.cumsum(counts_of_words)], prepend=0)
        return tokens[places(starts[numbers], counts[numbers])], of_texts


def _words(texts: Sequence[str]) -> tuple[list[str], Numbers, Numbers]:
    """Return the different words of all these texts, in any order; which one each word is, one text after the other;
    and (n,) how many words each text has."""
    if len(texts) < _MANY:
        words = [re.findall(_WORD, text) for text in texts]
        different = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(words)))}
        which = np.array([different[word] for word in chain.from_iterable(words)], dtype=np.int64)
        return [*different], which, np.array([len(some) for some in words], dtype=np.int64)
    import polars as pl  # takes as long to load as a detector does

    lists = pl.Series(texts, dtype=pl.String).str.extract_all(_WORD)
    every = lists.explode().drop_nulls()  # a text without words is null there
    unique = every.unique()
    which = every.cast(pl.Enum(unique)).to_physical().to_numpy().astype(np.int64)
    return unique.to_list(), which, lists.list.len().to_numpy().astype(np.int64)


class _Known:
    """Words by number, and the tokens of each: `counts[number]` of `tokens` from `starts[number]` on."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.tokens = self.starts = self.counts = np.empty(0, dtype=np.int64)

    def add(self, words: Sequence[str], tokens: Sequence[Sequence[int]]) -> None:
        """Add words that are not known. Arrays are replaced, so that another thread may still look into them."""
        counts = np.array([len(some) for some in tokens], dtype=np.int64)
        self.starts = np.concatenate([self.starts, len(self.tokens) + np.cumsum(counts) - counts])
        self.counts = np.concatenate([self.counts, counts])
        self.tokens = np.concatenate([self.tokens, np.fromiter(chain.from_iterable(tokens), dtype=np.int64)])
        self.numbers.update(zip(words, range(len(self.numbers), len(self.counts)), strict=True))


def places(starts: Numbers, counts: Numbers) -> Numbers:
    """Return the numbers from starts[i] on, counts[i] of them, for one i after the other."""
    ends = np.cumsum(counts)
    return np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)


def has_rules_of_bert(described: dict[str, Any]) -> bool:
    """Tell whether a tokenizer cleans, cuts and looks words up as BERT's does; `described` as for `WordTokens`."""
    normalizer, splitter = described.get("normalizer") or {}, described.get("pre_tokenizer") or {}
    kinds = [part.get("type") for part in (described["model"], normalizer, splitter)]
    return kinds == ["WordPiece", "BertNormalizer", "BertPreTokenizer"]


def first_of_names(described: dict[str, Any]) -> set[str]:
    """Return the characters, small and large, with which a name begins that is one token wherever it stands."""
    names = (described["model"].get("unk_token") or "", *(token["content"] for token in described["added_tokens"]))
    return {character for name in names for character in (name[:1].lower(), name[:1].upper()) if character}
