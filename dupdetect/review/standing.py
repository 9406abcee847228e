"""How far a reviewer has come with the pairs of an export."""

from __future__ import annotations

from dataclasses import dataclass

from dupdetect.calibration.calibration import MINIMUM_OF_EACH_KIND
from dupdetect.errors import CalibrationError
from dupdetect.review.candidates import Candidates, Kind
from dupdetect.review.refit import Reviewed, require_enough
from dupdetect.review.store import ReviewStore

__all__ = ["Standing", "missing"]


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


def missing(candidates: Candidates, store: ReviewStore) -> str:
    """Return, as a sentence, what a calibration still lacks, with the labels of all reviewers and for all kinds of
    pairs; "" where there are enough."""
    labels = store.labels() | dict.fromkeys(store.conflicts(), "unsure")
    here = [labels[key] for key in candidates.key if key in labels]
    duplicates = here.count("duplicate")
    if min(duplicates, len(here) - duplicates) < MINIMUM_OF_EACH_KIND:
        return f"to calibrate, at least {MINIMUM_OF_EACH_KIND} duplicates and {MINIMUM_OF_EACH_KIND} others are needed"
    try:
        require_enough(Reviewed.of(candidates, labels, None))
    except CalibrationError as error:
        return str(error)
    return ""
