"""Pairs of texts, each distinct text encoded once, and how alike the two of each pair are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import EncodedTexts, encode_texts, examples
from dupdetect.encoder import Encoder
from dupdetect.errors import InputError
from dupdetect.guards import GUARDS, GuardedTexts, Guards
from dupdetect.pairs import QuestionPairs
from dupdetect.progress import Progress
from dupdetect.search import cosine

__all__ = ["ComparedPairs", "Pairs", "compare"]

Pairs: TypeAlias = Iterable[Sequence[str]] | QuestionPairs
"""Pairs of texts: a list of (a, b), or labelled pairs whose labels are not looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class ComparedPairs:
    """n pairs of texts.

    left, right: (n,) int64, the form of each text, -1 where it is blank.
    guarded: the texts as they are written, which guards read.  written: (2, n) int64, which of these each text is.
    similarity: (n,) float32, cosine in [-1, 1]: 1 for equal canonical texts, 0 where a text is blank.
    comparable: (n,) bool, the others are never duplicates; see `EncodedTexts.comparable`.
    """

    texts: EncodedTexts
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    guarded: GuardedTexts
    written: NDArray[np.int64]
    similarity: NDArray[np.float32]
    comparable: NDArray[np.bool_]

    @property
    def fired(self) -> NDArray[np.bool_]:
        """(n, len(GUARDS)) bool, the guards that fire, whether they are heeded or not.

        Of each pair its own two texts are read: a name that other pairs write with a capital letter is none here.
        """
        fired = np.zeros((len(self.left), len(GUARDS)), dtype=np.bool_)
        asked = ~self.blank & (self.left != self.right)
        fired[asked] = self.guarded.fired(*self.written[:, asked])
        return fired

    @property
    def score(self) -> NDArray[np.float32]:
        """(n,) what a threshold is compared with: the similarity, less where a guard fires, or -inf for pairs that are
        never duplicates."""
        return self.scored_by(self.texts.guards)

    def scored_by(self, guards: Guards | None) -> NDArray[np.float32]:
        """Return (n,) float32, the score with other guards."""
        score = self.similarity if guards is None else guards.score(self.similarity, self.fired)
        return np.where(self.comparable, score, np.float32(-np.inf))

    @property
    def same_text(self) -> NDArray[np.bool_]:
        """(n,) bool: equal canonical texts, not blank."""
        same: NDArray[np.bool_] = ~self.blank & (self.left == self.right)
        return same

    @property
    def blank(self) -> NDArray[np.bool_]:
        """(n,) bool: one of the two at least."""
        return (self.left < 0) | (self.right < 0)

    @property
    def unlike(self) -> NDArray[np.bool_]:
        """(n,) bool: no text blank, but different words that the encoder does not know."""
        return ~(self.blank | self.comparable)

    def unknown_words(self, row: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the words of each text of a pair that the encoder does not know, sorted; () for a blank text."""
        left, right = (self.texts.unknown[slot] if slot >= 0 else () for slot in (self.left[row], self.right[row]))
        return left, right

    def notes(self) -> tuple[str, ...]:
        """Return a sentence on the pairs that are `unlike`, if there are any."""
        rows = np.flatnonzero(self.unlike)
        if not len(rows):
            return ()
        differ = "pair differs" if len(rows) == 1 else "pairs differ"
        words = {word for row in rows.tolist() for side in self.unknown_words(row) for word in side}
        return (
            f"{len(rows):,} {differ} in words that the encoder does not know{examples(words)}: no duplicates, "
            "whatever the similarity.",
        )


def compare(encoder: Encoder, pairs: Pairs, progress: Progress, guards: Guards | None = None) -> ComparedPairs:
    """Return the pairs with their similarity; raise InputError for what is not pairs of texts."""
    every = [text for pair in _checked(pairs) for text in pair]
    texts = encode_texts(encoder, DistinctTexts.of(every), progress, guards)
    left, right = texts.position[0::2], texts.position[1::2]
    written = (left >= 0) & (right >= 0)
    similarity = np.zeros(len(left), dtype=np.float32)
    similarity[written] = cosine(texts.embeddings[left[written]], texts.embeddings[right[written]])
    similarity[written & (left == right)] = 1.0
    return ComparedPairs(texts, left, right, *_as_written(texts, every), similarity, texts.comparable(left, right))


def _as_written(texts: EncodedTexts, every: Sequence[str]) -> tuple[GuardedTexts, NDArray[np.int64]]:
    """Return the different ones among the texts of all pairs, and (2, n) int64, which of them each text is."""
    slots = dict(zip(every, texts.position.tolist(), strict=True))
    number = {text: place for place, text in enumerate(slots)}
    forms = [texts.forms[slot] if slot >= 0 else "" for slot in slots.values()]
    numbers = np.fromiter(map(number.__getitem__, every), dtype=np.int64, count=len(every))
    return GuardedTexts(forms, [[text] for text in slots]), numbers.reshape(-1, 2).T


def _checked(pairs: Pairs) -> list[Sequence[str]]:
    if isinstance(pairs, QuestionPairs):
        return list(zip(pairs.left, pairs.right, strict=True))
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise InputError(f"pairs must be a list of pairs of texts, [(a, b), ...], not {pairs!r}.")
    given = list(pairs)
    for position, pair in enumerate(given):
        two = isinstance(pair, Sequence | np.ndarray) and not isinstance(pair, str) and len(pair) == 2
        if not two or not all(isinstance(text, str) for text in pair):
            raise InputError(f"pairs[{position}] must be two texts, not {pair!r}.")
    return given
