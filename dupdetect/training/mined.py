"""Triplets mined from all questions of the train pairs, with the model as it is then: again for every epoch, and where
the kind of the negatives changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.pairs import QuestionPairs
from dupdetect.training.config import TrainingConfig
from dupdetect.training.mining import Negatives, mine_triplets

__all__ = ["EpochTriplets"]


@dataclass(frozen=True, slots=True, eq=False)
class EpochTriplets:
    """`rows` (3, m) int64: anchors, duplicates and others, as positions in the nodes of the train pairs; `negatives`:
    of which kind the others are."""

    epoch: int
    negatives: Negatives
    rows: NDArray[np.int64]

    @classmethod
    def mine(
        cls,
        config: TrainingConfig,
        pairs: QuestionPairs,
        embeddings: NDArray[np.float32],
        epoch: int,
        negatives: Negatives,
    ) -> EpochTriplets:
        """Return a triplet for each question with a duplicate, by `embeddings` (k, d), one row per node of `pairs`.
        Raises InputError when there are none."""
        margin = config.margin if negatives == "semi-hard" else None
        found = mine_triplets(embeddings, pairs, negatives=negatives, margin=margin, seed=config.seed + epoch)
        if not len(found):
            raise InputError(
                f"No {negatives} triplets were found for epoch {epoch + 1} in {len(pairs):,} pairs. "
                "Raise margin, or choose negatives='hard' or mining='batch'."
            )
        return cls(epoch, negatives, np.stack([found.anchor, found.positive, found.negative]))

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (3, at most `size`) different triplets."""
        return self.rows[:, rng.permutation(self.rows.shape[1])[:size]]
