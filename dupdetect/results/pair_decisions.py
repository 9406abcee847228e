"""What is decided about pairs of texts, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from dupdetect.frozen import Frozen
from dupdetect.text import canonical

__all__ = ["ComparedWords", "Decisions", "Explanation", "compared_words"]


@dataclass(frozen=True, slots=True, eq=False)
class Decisions(Frozen):
    """For n pairs of texts: how alike, how likely duplicates, and the decision.

    similarity: (n,) float32, cosine in [-1, 1].  probability: (n,) float64 in [0, 1], calibrated.
    duplicate: (n,) bool, similarity at or above the threshold, no text blank, no different words that the encoder does
    not know, and no guard that rules them out.  guards: n tuples, the names of the guards that fire, mostly none, or
    "unknown words" alone where these differ.
    notes: on pairs that unknown words decided, a sentence each.
    """

    similarity: NDArray[np.float32]
    probability: NDArray[np.float64]
    duplicate: NDArray[np.bool_]
    guards: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.similarity)


class ComparedWords(TypedDict):
    """Which words two texts share, and which only one of them has, each in the order of its text."""

    same_text: bool
    shared: tuple[str, ...]
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]


def compared_words(left: str, right: str) -> ComparedWords:
    """Return what two texts share once they are canonical; two blank ones are not the same text."""
    words, others = canonical(left).split(), canonical(right).split()
    in_left, in_right = frozenset(words), frozenset(others)
    return ComparedWords(
        same_text=bool(words) and words == others,
        shared=tuple(word for word in words if word in in_right),
        only_left=tuple(word for word in words if word not in in_right),
        only_right=tuple(word for word in others if word not in in_left),
    )


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why two texts are, or are not, taken for duplicates.

    similarity: cosine in [-1, 1].  probability: calibrated, in [0, 1].  same_text: equal canonical texts.
    shared, only_left, only_right: words, each in the order of its text.
    unknown_left, unknown_right: words that the encoder does not know, sorted; a text of which it knows no word is there
    as a whole.  guards: names of what speaks against the similarity (`dupdetect.guards`), or "unknown words".
    blank: one of the two texts is blank at least, and they are no duplicates.
    """

    left: str
    right: str
    duplicate: bool
    similarity: float
    probability: float
    threshold: float
    same_text: bool
    shared: tuple[str, ...]
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    unknown_left: tuple[str, ...] = ()
    unknown_right: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    blank: bool = False

    def __str__(self) -> str:
        verdict = "duplicates" if self.duplicate else "not duplicates"
        relation = ">=" if self.similarity >= self.threshold else "<"
        reason = f"similarity {self.similarity:.4f} {relation} threshold {self.threshold:.4f}"
        if self.blank:
            reason = "a text is blank"
        elif self.guards and not self.duplicate and (self.unknown_left or self.similarity >= self.threshold):
            reason = f"ruled out by {' and '.join(self.guards)} ({reason})"
        elif self.guards:
            reason += f", and they differ in {' and '.join(self.guards)}"
        lines = [
            f"{verdict}: {reason}",
            f"probability {self.probability:.3f}" + (" (the same text)" if self.same_text else ""),
            f"only in the first:  {_words(self.only_left)}",
            f"only in the second: {_words(self.only_right)}",
            f"in both:            {_words(self.shared)}",
        ]
        if self.unknown_left or self.unknown_right:
            lines += [
                f"unknown in the first:  {_words(self.unknown_left)}",
                f"unknown in the second: {_words(self.unknown_right)}",
            ]
        return "\n".join(lines)


def _words(words: Iterable[str]) -> str:
    return " ".join(words) or "-"
