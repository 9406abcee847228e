"""The pairs of a deduplication, by row: duplicates, and those that are ruled out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dupdetect.frozen import Frozen
from dupdetect.results.cells import line_by_line
from dupdetect.ruled_out import REASONS

__all__ = ["Pair", "PossiblePair", "PossiblePairs", "RuledOutPair", "RuledOutPairs", "TextPairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows whose texts are duplicates; `same_text` when their canonical texts are equal; `bridge`: so many texts
    hang on the rest of their cluster by this pair alone, 0 where other pairs hold them too."""

    left: int
    right: int
    similarity: float
    probability: float
    same_text: bool
    bridge: int


@dataclass(frozen=True, slots=True)
class PossiblePair:
    """Two rows whose texts may be duplicates, and are not taken for them."""

    left: int
    right: int
    similarity: float
    probability: float


@dataclass(frozen=True, slots=True)
class RuledOutPair:
    """Two rows whose texts are as similar as duplicates; `reasons`: the names of what rules them out."""

    left: int
    right: int
    similarity: float
    probability: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TextPairs(Frozen):
    """Pairs at or above the threshold: each pair of *different* texts once, and each repeat of a text once. Of more
    than 10 million pairs of different texts only those of a removed text and one that stays.

    Rows with the same canonical text are represented by one of them (the first in the order of the keep policy): k
    repeats of a text give k - 1 pairs with their representative instead of k (k - 1) / 2, and a pair of different texts
    is listed for the two representatives. `Deduplication.row_pairs` expands this to all pairs of rows.

    left, right: (m,) int64 row numbers; similarity: (m,) float32; probability: (m,) float64; same_text: (m,) bool;
    bridge: (m,) int64, see `Pair`; 0 where not all pairs are listed.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    similarity: NDArray[np.float32]
    probability: NDArray[np.float64]
    same_text: NDArray[np.bool_]
    bridge: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.left)

    def __iter__(self) -> Iterator[Pair]:
        columns = (self.left, self.right, self.similarity, self.probability, self.same_text, self.bridge)
        return itertools.starmap(Pair, line_by_line(*columns))


@dataclass(frozen=True, slots=True, eq=False)
class PossiblePairs(Frozen):
    """Pairs of different texts below the threshold and at or above that of the detector, the likeliest first.

    left, right: (m,) int64 row numbers, as in `TextPairs`; similarity: (m,) float32; probability: (m,) float64.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    similarity: NDArray[np.float32]
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.left)

    def __iter__(self) -> Iterator[PossiblePair]:
        return itertools.starmap(PossiblePair, line_by_line(self.left, self.right, self.similarity, self.probability))


@dataclass(frozen=True, slots=True, eq=False)
class RuledOutPairs(Frozen):
    """Pairs of different texts whose similarity reaches the threshold of the detector, and which guards or reviewers
    rule out.

    left, right: (m,) int64 row numbers, as in `TextPairs`; similarity: (m,) float32; probability: (m,) float64, that of
    their lower score; reasons: (m, len(REASONS)) bool, see `dupdetect.ruled_out`.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    similarity: NDArray[np.float32]
    probability: NDArray[np.float64]
    reasons: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.left)

    def __iter__(self) -> Iterator[RuledOutPair]:
        pairs = line_by_line(self.left, self.right, self.similarity, self.probability)
        return itertools.starmap(RuledOutPair, ((*pair, names) for pair, names in zip(pairs, self.names, strict=True)))

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """The names of what rules out each pair."""
        return tuple(itertools.starmap(_named, line_by_line(*self.reasons.T)))

    def counts(self) -> dict[str, int]:
        """Return how many pairs each reason rules out; a pair can be ruled out for several."""
        return dict(zip(REASONS, self.reasons.sum(axis=0).tolist(), strict=True))


@lru_cache
def _named(*fired: bool) -> tuple[str, ...]:
    return tuple(itertools.compress(REASONS, fired))
