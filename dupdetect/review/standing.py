"""How far a reviewer has come with the pairs of an export."""

from __future__ import annotations

from dataclasses import dataclass

from dupdetect.calibration.calibration import MINIMUM_OF_EACH_KIND
from dupdetect.review.candidates import Candidates, Kind
from dupdetect.review.store import ReviewStore

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a reviewer has come.

    next: the row of the first of these pairs without a label of this reviewer, None where there is none.  drawn: pairs
    there are to label.  duplicates, different, unsure: of these, labelled that by this reviewer.  disputed: labelled
    differently by another one.  elsewhere: labels of this reviewer for pairs that are no longer among those drawn.
    """

    next: int | None
    drawn: int
    duplicates: int
    different: int
    unsure: int
    disputed: int
    elsewhere: int

    @classmethod
    def of(cls, candidates: Candidates, store: ReviewStore, reviewer: str, only: Kind | None = None) -> Standing:
        """only: the kind of pairs that are asked about; all where it is None."""
        rows = [row for row, kind in enumerate(candidates.kind) if only in (None, kind)]
        drawn, mine, conflicts = {candidates.key[row] for row in rows}, store.labels_by(reviewer), store.conflicts()
        here = [label for key, label in mine.items() if key in drawn]
        return cls(
            next=next((row for row in rows if candidates.key[row] not in mine), None),
            drawn=len(drawn),
            duplicates=here.count("duplicate"),
            different=here.count("different"),
            unsure=here.count("unsure"),
            disputed=sum(key in conflicts for key in mine if key in drawn),
            elsewhere=len(mine.keys() - set(candidates.key)),
        )

    @property
    def labelled(self) -> int:
        return self.duplicates + self.different + self.unsure

    @property
    def enough(self) -> bool:
        """Whether there may be enough labels of each kind to calibrate."""
        return min(self.duplicates, self.different + self.unsure) >= MINIMUM_OF_EACH_KIND
