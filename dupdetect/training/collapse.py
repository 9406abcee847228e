"""Whether a model still tells texts apart.

A model that gives every text the same vector satisfies all pairs labelled duplicate. It happens: with hard negatives
from the first step (FaceNet, section 3.2), a learning rate that is too high, or few pairs that are not duplicates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import DupdetectError

__all__ = ["CollapseError", "RandomSimilarity", "check_not_collapsed", "random_similarity"]

MEAN_LIMIT = 0.99
"""Mean cosine of random pairs above which they are all alike; of trained models it is below 0.3, of untrained ones
often 0.9."""
STD_LIMIT = 0.002
"""Standard deviation below which no pair differs from another; random directions in 384 dimensions have 0.05."""

_PAIRS = 5000


class CollapseError(DupdetectError):
    """The vectors of all texts have become the same, or are not numbers."""


@dataclass(frozen=True, slots=True)
class RandomSimilarity:
    """Mean and standard deviation of the cosines of random pairs of different texts."""

    mean: float
    std: float


def random_similarity(embeddings: NDArray[np.float32], seed: int = 0) -> RandomSimilarity:
    """Return the spread of the cosines over up to 5,000 random pairs of different rows of `embeddings`, (n, d) unit
    rows, n >= 2. The same n and seed give the same pairs, so that two moments of a training compare."""
    rng = np.random.default_rng(seed)
    n = len(embeddings)
    left = rng.integers(0, n, _PAIRS)
    right = (left + rng.integers(1, n, _PAIRS)) % n
    cosine = np.einsum("ij,ij->i", embeddings[left], embeddings[right], dtype=np.float64)
    return RandomSimilarity(float(cosine.mean()), float(cosine.std()))


def check_not_collapsed(found: RandomSimilarity, step: int) -> None:
    """Raise CollapseError when random pairs are all alike, or not numbers."""
    if np.isfinite([found.mean, found.std]).all() and found.mean <= MEAN_LIMIT and found.std >= STD_LIMIT:
        return
    what = "of the base, before any training, do" if step == 0 else f"at step {step:,} do"
    todo = (
        "Choose another base."
        if step == 0
        else "Lower learning_rate, choose negatives='semi-hard' or the ranking part instead of hard negatives, or add "
        "pairs that are not duplicates."
    )
    raise CollapseError(
        f"The vectors {what} not tell texts apart: random pairs have a mean cosine of {found.mean:.3f} (at most "
        f"{MEAN_LIMIT}) with a standard deviation of {found.std:.4f} (at least {STD_LIMIT}). {todo}"
    )
