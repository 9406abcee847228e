"""A tokenizer file, and what it makes of texts: their tokens, whether all was read, and which words it cannot read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoder.unknown import unknown_words, unread_characters
from dupdetect.encoder.words import WordTokens, first_of_names, has_rules_of_bert, places
from dupdetect.text import without_halves

__all__ = ["Tokens"]

# The tokenizer's own objects take kilobytes per text; only so many exist at a time.
_TEXTS_AT_A_TIME = 4096

# Far more than an encoder reads. The tokenizer would take megabytes apart, to the last token, and drop nearly all.
_CHARACTERS_READ = 20_000


class Tokens:
    """Reads texts with a tokenizer in the format of the tokenizers library.

    content: of its file.  max_length: texts are read up to so many tokens, those included that the tokenizer adds; None
    = up to 20,000 characters.  special: whether it adds tokens at the beginning and the end.

    Raises what the tokenizers library raises, a bare Exception, for content of another kind.
    """

    def __init__(self, content: bytes, *, max_length: int | None, special: bool) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(content.decode())
        self._tokenizer.no_padding()
        if max_length is None:
            self._tokenizer.no_truncation()
        else:
            self._tokenizer.enable_truncation(max_length)
        self._max_length, self._special = max_length, special
        described = json.loads(content)
        self._unknown = _unknown_id(self._tokenizer, described["model"])
        self._words = WordTokens(described, lambda words: [encoding.ids for encoding in self._encoded(words, False)])
        self._around = self._special_around() if special and has_rules_of_bert(described) else ([], [])
        self._all_known = _all_known(described)

    @property
    def size(self) -> int:
        """One more than the highest number of a token."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)

    def ids(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return the numbers of the tokens of each text; lone surrogates read as U+FFFD."""
        tokens, counts = self.in_a_row(texts)
        ends = np.cumsum(counts)
        bounds = zip((ends - counts).tolist(), ends.tolist(), strict=True)
        return [tokens[start:end] for start, end in bounds]

    def in_a_row(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the same, the tokens of all n texts, one text after the other; and (n,) how many each text has."""
        none = np.empty(0, dtype=np.int64)
        parts = [(none, none), *map(self._in_a_row, _portions(texts))]
        tokens, counts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return tokens, counts

    def _in_a_row(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        reads = np.fromiter(map(self._words.reads, texts), dtype=np.bool_, count=len(texts))
        plain, others = np.flatnonzero(reads), np.flatnonzero(~reads)
        tokens, plain_counts = self._words.ids([texts[row] for row in plain.tolist()])
        encodings = self._encoded([texts[row] for row in others.tolist()], self._special)
        before, after = self._around
        read = plain_counts
        if self._max_length is not None:
            read = np.minimum(plain_counts, self._max_length - len(before) - len(after))
        counts = np.zeros(len(texts), dtype=np.int64)
        counts[plain] = len(before) + read + len(after)
        counts[others] = [len(encoding.ids) for encoding in encodings]
        ends = np.cumsum(counts)
        starts = ends - counts
        found = np.empty(counts.sum(), dtype=np.int64)
        found[places(starts[plain] + len(before), read)] = tokens[places(np.cumsum(plain_counts) - plain_counts, read)]
        for place, token in enumerate(before):
            found[starts[plain] + place] = token
        for place, token in enumerate(after, -len(after)):
            found[ends[plain] + place] = token
        for row, encoding in zip(others.tolist(), encodings, strict=True):
            found[starts[row] : ends[row]] = encoding.ids
        return found, counts

    def _encoded(self, texts: Sequence[str], special: bool) -> Sequence[Any]:
        encodings: Sequence[Any] = self._tokenizer.encode_batch_fast(texts, add_special_tokens=special)
        return encodings

    def _special_around(self) -> tuple[list[int], list[int]]:
        """Return the tokens that the tokenizer adds before and after those of a text."""
        bare, whole = (self._encoded(["a"], special)[0].ids for special in (False, True))
        before = next(place for place in range(len(whole)) if whole[place : place + len(bare)] == bare)
        return whole[:before], whole[before + len(bare) :]

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which texts exceed `max_length` tokens or 20,000 characters; their end is ignored."""
        result = np.array([len(text) > _CHARACTERS_READ for text in texts], dtype=np.bool_)
        if self._max_length is not None:
            # No character makes more than four tokens (a Hangul syllable is taken apart into three letters).
            short = self._max_length - 2
            candidates = [row for row, text in enumerate(texts) if not result[row] and 4 * len(text) > short]
            overflows = (
                len(encoding.overflowing) > 0 for encoding in self._encodings([texts[row] for row in candidates])
            )
            result[candidates] = list(overflows)
        return result

    def unknown_words(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each text the words read as the unknown token, in part, or not at all.

        See `encoder.LimitedVocabulary` for what that means, and `encoder.unknown` for which marks must be read.
        """
        doubtful = [row for row, text in enumerate(texts) if not self._all_known.fullmatch(text)]
        some = [texts[row] for row in doubtful]
        unread = unread_characters(some, lambda characters: [encoding.ids for encoding in self._encodings(characters)])
        result: list[tuple[str, ...]] = [()] * len(texts)
        for row, encoding in zip(doubtful, self._encodings(some), strict=True):
            text, spans = texts[row], encoding.offsets
            known = [span for token, span in zip(encoding.ids, spans, strict=True) if token != self._unknown]
            end = max(stop for _, stop in spans) if encoding.overflowing else min(len(text), _CHARACTERS_READ)
            result[row] = unknown_words(text, known, end, unread)
        return result

    def _encodings(self, texts: Sequence[str]) -> Iterator[Any]:
        for part in _portions(texts):
            yield from self._tokenizer.encode_batch(part, add_special_tokens=self._special)


def _portions(texts: Sequence[str]) -> Iterator[list[str]]:
    if isinstance(texts, str):
        raise TypeError("texts must be a sequence of strings, not one string: write encode([text])")
    for start in range(0, len(texts), _TEXTS_AT_A_TIME):
        part = (text[:_CHARACTERS_READ] for text in texts[start : start + _TEXTS_AT_A_TIME])
        yield [without_halves(text) for text in part]


def _unknown_id(tokenizer: Any, model: dict[str, Any]) -> int | None:
    """Return the number of the token that stands for what the vocabulary lacks; None where there is no such token."""
    if "unk_id" in model:  # a Unigram model names it by number, the others by its text
        number: int | None = model["unk_id"]
    else:
        number = tokenizer.token_to_id(model.get("unk_token") or "")
    return number


def _all_known(described: dict[str, Any]) -> re.Pattern[str]:
    """Return a pattern that matches only texts in which every word is known; the places of their tokens need no look.

    WordPiece takes the longest piece of its vocabulary, again and again, and gives a word up where there is none, or
    where the word is too long. So a short word of characters that are pieces themselves, at the beginning of a word and
    inside one, is always known. Said of ASCII and of BERT's own rules only, under which each character is read by
    itself; a text in which the name of an added token may begin is left out.
    """
    pieces = ""
    if has_rules_of_bert(described):
        model = described["model"]
        begins = first_of_names(described)
        small = str.lower if described["normalizer"]["lowercase"] else str
        vocabulary, inside = model["vocab"], model["continuing_subword_prefix"]
        pieces = "".join(
            character
            for character in map(chr, range(0x21, 0x7F))
            if character not in begins and {small(character), inside + small(character)} <= vocabulary.keys()
        )
    if not pieces:
        return re.compile("(?!)")
    return re.compile(f"(?:[{re.escape(pieces)}]{{1,{described['model']['max_input_chars_per_word']}}}(?: |$))+")
