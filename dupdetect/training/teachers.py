"""Similarities that a model is held to: its own from before, or a better model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.search import nearest

__all__ = ["Teacher"]

_NEIGHBOURS = 7


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """Texts, labelled or not, with the vectors of the model to learn from, encoded once: `embeddings` (n, e) float32
    unit rows, with e as the teacher has it. Raises InputError when rows and texts do not match, or fewer than 2."""

    texts: Sequence[str]
    embeddings: NDArray[np.float32]
    _neighbours: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.texts) or len(self.texts) < 2:
            raise InputError(
                f"The teacher has {len(self.texts):,} texts and embeddings of shape {self.embeddings.shape}. "
                "Pass one row for each of at least 2 texts."
            )
        neighbours = nearest(self.embeddings, self.embeddings, min(_NEIGHBOURS + 1, len(self.texts))).rows
        object.__setattr__(self, "_neighbours", neighbours)

    def batch(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return at most about `size` different rows (at least 2): random texts, each with its 7 closest.

        Random texts alone are nearly all unlike each other, and a batch of them would teach little but that.
        """
        seeds = rng.permutation(len(self.texts))[: max(1, size // self._neighbours.shape[1])]
        return np.unique(np.concatenate([seeds[:, None], self._neighbours[seeds]], axis=1))
