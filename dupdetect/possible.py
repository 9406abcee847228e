"""Which of the pairs that look alike are sure enough to count; the others are possible duplicates.

Sure enough are as many, the likeliest first, as keep an estimated precision (`Calibration.estimated`), of those whose
texts the encoder has read to their end: of the others nobody knows how they end, so they are possible at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration import Calibration
from dupdetect.search import SimilarPairs

__all__ = ["Divided", "as_far_as_read", "read_in_part"]

_LOWER_PRECISIONS = (0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Divided:
    """What counts of m pairs.

    calibration: with the threshold from which pairs count.  sure: (m,) bool, those that do.  read_in_part: how many
    reach it and are possible all the same.  lower: thresholds that lower precisions than the one asked for would have.
    """

    calibration: Calibration
    sure: NDArray[np.bool_]
    read_in_part: int
    lower: dict[float, float]

    @classmethod
    def of(
        cls, calibration: Calibration, score: NDArray[np.float32], part: NDArray[np.bool_], precision: float
    ) -> Divided:
        """Divide all pairs of a file with a score at or above the threshold of the calibration.

        score: (m,), what a threshold is compared with.  part: (m,) bool, the pairs that are read in part.
        """
        whole = score[~part]
        found = calibration.estimated(whole, precision)
        lower = [less for less in _LOWER_PRECISIONS if less < precision]
        thresholds = {less: calibration.estimated(whole, less).threshold for less in lower}
        return cls.at(found, score, part, thresholds)

    @classmethod
    def at(
        cls,
        calibration: Calibration,
        score: NDArray[np.float32],
        part: NDArray[np.bool_],
        lower: dict[float, float] | None = None,
    ) -> Divided:
        """Divide pairs where the threshold from which they count is known already."""
        reach = score.astype(np.float64) >= calibration.threshold
        return cls(calibration, reach & ~part, int((reach & part).sum()), lower or {})

    def more(self, score: NDArray[np.float32], part: NDArray[np.bool_]) -> dict[str, int]:
        """Return how many of some pairs that do not count yet would, at each lower precision."""
        whole = score[~part].astype(np.float64)
        return {f"{less:g}": int((whole >= threshold).sum()) for less, threshold in self.lower.items()}


def as_far_as_read(score: NDArray[np.float32], part: NDArray[np.bool_], possible_from: float) -> NDArray[np.float32]:
    """Return the scores of pairs; of those read in part no more than what makes a pair a possible duplicate."""
    return np.where(part, np.minimum(score, np.float32(possible_from)), score)


def read_in_part(truncated: NDArray[np.bool_], pairs: SimilarPairs) -> NDArray[np.bool_]:
    """Return (m,) bool: which of the pairs have a text that the encoder has not read to its end.

    truncated: (n,) bool, which texts it has not.
    """
    part: NDArray[np.bool_] = truncated[pairs.left] | truncated[pairs.right]
    return part
