"""What the page is made from: the parts of a `results.Deduplication` that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration import Calibration
from dupdetect.questions import Questions

__all__ = ["Cluster", "DrawnPairs", "FoundPairs", "Pairs", "Result", "RuledOutPairs"]


class Pairs(Protocol):
    """m pairs of rows; all (m,)."""

    @property
    def left(self) -> NDArray[np.int64]: ...
    @property
    def right(self) -> NDArray[np.int64]: ...
    @property
    def similarity(self) -> NDArray[np.float32]: ...
    @property
    def probability(self) -> NDArray[np.float64]: ...


class FoundPairs(Pairs, Protocol):
    """See `results.TextPairs`."""

    @property
    def same_text(self) -> NDArray[np.bool_]: ...
    @property
    def bridge(self) -> NDArray[np.int64]: ...


class RuledOutPairs(Pairs, Protocol):
    """See `results.RuledOutPairs`."""

    @property
    def names(self) -> Sequence[tuple[str, ...]]: ...


class DrawnPairs(Protocol):
    """See `review.candidates.Candidates`."""

    @property
    def left_row(self) -> NDArray[np.int64]: ...
    @property
    def right_row(self) -> NDArray[np.int64]: ...
    @property
    def score(self) -> NDArray[np.float32]: ...
    @property
    def kind(self) -> Sequence[str]: ...
    @property
    def band(self) -> NDArray[np.int64]: ...
    @property
    def band_pairs(self) -> NDArray[np.float64]: ...


class Cluster(Protocol):
    """See `results.Cluster`."""

    @property
    def id(self) -> int: ...
    @property
    def rows(self) -> tuple[int, ...]: ...
    @property
    def kept(self) -> tuple[int, ...]: ...


class Result(Protocol):
    """See `results.Deduplication`."""

    @property
    def questions(self) -> Questions: ...
    @property
    def text_of(self) -> NDArray[np.int64]: ...
    @property
    def pairs(self) -> FoundPairs: ...
    @property
    def ruled_out(self) -> RuledOutPairs | None: ...
    @property
    def possible(self) -> Pairs | None: ...
    @property
    def candidates(self) -> DrawnPairs | None: ...
    @property
    def cluster_id(self) -> NDArray[np.int64]: ...
    @property
    def duplicate_of(self) -> NDArray[np.int64]: ...
    @property
    def similarity(self) -> NDArray[np.float32]: ...
    @property
    def probability(self) -> NDArray[np.float64]: ...
    @property
    def calibration(self) -> Calibration: ...
    @property
    def clusters(self) -> Sequence[Cluster]: ...
