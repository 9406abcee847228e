"""Triplets mined from all questions of the train pairs, again for every epoch, with the model as it is then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.pairs import QuestionPairs
from dupdetect.training.config import TrainingConfig
from dupdetect.training.mining import mine_triplets
from dupdetect.training.sampling import negative_schedule

__all__ = ["EpochTriplets"]


@dataclass(frozen=True, slots=True, eq=False)
class EpochTriplets:
    """`rows` (3, m) int64: anchors, duplicates and others, as positions in the nodes of the train pairs."""

    epoch: int
    rows: NDArray[np.int64]

    @classmethod
    def mine(
        cls,
        config: TrainingConfig,
        pairs: QuestionPairs,
        embeddings: NDArray[np.float32],
        epoch: int,
        step_share: float,
    ) -> EpochTriplets:
        """Return a triplet for each question with a duplicate, by `embeddings` (k, d), one row per node of `pairs`;
        `step_share` in [0, 1] says how much of the training is done. Raises InputError when there are none."""
        how = negative_schedule(step_share) if config.negatives == "scheduled" else config.negatives
        margin = config.margin if how == "semi-hard" else None
        found = mine_triplets(embeddings, pairs, negatives=how, margin=margin, seed=config.seed + epoch)
        if not len(found):
            raise InputError(
                f"No {how} triplets were found for epoch {epoch + 1} in {len(pairs):,} pairs. "
                "Raise margin, or choose negatives='hard' or mining='batch'."
            )
        return cls(epoch, np.stack([found.anchor, found.positive, found.negative]))

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (3, at most `size`) different triplets."""
        return self.rows[:, rng.permutation(self.rows.shape[1])[:size]]
