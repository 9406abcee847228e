"""The outcome of `Detector.match`: for each query the known questions that ask the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from dupdetect.questions import Questions
from dupdetect.results.cells import exact, free_names, rounded

__all__ = ["Match", "Matches"]


@dataclass(frozen=True, slots=True)
class Match:
    """One known question that a query matches: its row in the corpus, and how closely."""

    row: int
    id: str
    text: str
    similarity: float
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Matches(Sequence["tuple[Match, ...] | None"]):
    """For each query the matches at or above the threshold, best first, at most `top_k`; None where there is none."""

    queries: Questions
    found: tuple[tuple[Match, ...] | None, ...]
    threshold: float
    top_k: int

    def __len__(self) -> int:
        return len(self.found)

    @overload
    def __getitem__(self, index: int) -> tuple[Match, ...] | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[Match, ...] | None]: ...
    def __getitem__(self, index: int | slice) -> tuple[Match, ...] | Sequence[tuple[Match, ...] | None] | None:
        return self.found[index]

    @property
    def best(self) -> tuple[Match | None, ...]:
        """The best match of each query, or None."""
        return tuple(matches[0] if matches else None for matches in self.found)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the cells of each query with each of its matches added; a query without one has blank cells, once."""
        for cells, matches in zip(self.queries.table.rows, self.found, strict=True):
            for rank, match in enumerate(matches or (), 1):
                similarity, probability = exact(np.float32(match.similarity)), rounded(match.probability)
                yield (*cells, str(rank), match.id, match.text, similarity, probability)
            if not matches:
                yield (*cells, "", "", "", "", "")

    def columns(self) -> tuple[str, ...]:
        """Return the header that goes with `rows`."""
        added = ("match_rank", "match_id", "match_text", "similarity", "probability")
        return (*self.queries.table.columns, *free_names(self.queries.table.columns, added))
