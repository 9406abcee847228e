"""The outcome of `Detector.match`: for each query the known questions that ask the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from dupdetect.questions import Questions
from dupdetect.results.cells import exact, free_names, rounded

if TYPE_CHECKING:
    import polars

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
    """For each query the matches at or above the threshold, best first, at most `top_k`; None where there is none.

    notes: what the encoder did not read of the queries and the known questions, a sentence each.
    """

    queries: Questions
    found: tuple[tuple[Match, ...] | None, ...]
    threshold: float
    top_k: int
    notes: tuple[str, ...] = ()

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

    def to_frame(self) -> polars.DataFrame:
        """Return a polars frame: a line for each match of each query, `match_rank` counted from 1.

        A query without a match has one line, with null in the columns of the match.
        """
        import polars

        lines: list[tuple[object, ...]] = []
        for question, matches in zip(self.queries, self.found, strict=True):
            query = (question.row, question.id, question.text)
            for rank, match in enumerate(matches or (), 1):
                lines.append((*query, rank, match.row, match.id, match.text, match.similarity, match.probability))
            if not matches:
                lines.append((*query, *[None] * 6))
        schema = {
            "row": polars.Int64,
            "id": polars.String,
            "text": polars.String,
            "match_rank": polars.Int64,
            "match_row": polars.Int64,
            "match_id": polars.String,
            "match_text": polars.String,
            "similarity": polars.Float32,
            "probability": polars.Float64,
        }
        return polars.DataFrame(lines, schema=schema, orient="row")

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand `to_frame` over as Arrow data: `pyarrow.table(matches)`, `polars.from_arrow(matches)` and their like."""
        return self.to_frame().__arrow_c_stream__(requested_schema)

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
