"""The labelled pairs that a calibration keeps: similarities, labels and groups, never texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.errors import ArtifactError, InputError
from dupdetect.frozen import Frozen
from dupdetect.metrics import counts_at
from dupdetect.metrics.inputs import BoolArray

_ROUNDING = 1e-3
"""By how much a product of unit vectors in single precision may miss [-1, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSample(Frozen):
    """The held-out pairs without their texts: what was measured, and what a person said.

    `similarity` (n,) float32 in [-1, 1], descending, and last -inf for pairs that no threshold accepts; `label` (n,)
    bool; `group` (n,) int32, the same number for pairs that share questions directly or through others. Read-only. Make
    one with `CalibrationSample.of`.
    """

    similarity: NDArray[np.float32]
    label: BoolArray
    group: NDArray[np.int32]

    @classmethod
    def of(cls, similarity: ArrayLike, labels: ArrayLike, groups: ArrayLike | None = None) -> CalibrationSample:
        """Return the checked sample; without `groups` every pair is independent of the others.

        `similarity` (n,) cosine in [-1, 1], as float32 (what rounding added beyond the ends is cut off), or -inf for a
        pair that no threshold accepts. `groups` (n,) are whole numbers or strings. Sorted, so that nothing later
        depends on the order of the rows.

        Raises `InputError` for arrays that do not match, similarities that are no cosines, labels that are not 0 / 1.
        """
        counts_at(similarity, labels, 0.0)  # for its checks
        wide = np.asarray(similarity).astype(np.float64)
        never = np.isneginf(wide)
        outside = (np.abs(wide) > 1 + _ROUNDING) & ~never
        if np.any(outside):
            raise InputError(
                f"A similarity is {wide[outside][0]:g}, and a cosine lies between -1 and 1. "
                "Divide each vector by its length before multiplying."
            )
        score = np.where(never, wide, np.clip(wide, -1, 1)).astype(np.float32)
        label = np.asarray(labels).astype(np.bool_)
        names = np.zeros(len(score)) if groups is None else np.asarray(groups)
        if names.shape != score.shape:
            raise InputError(f"There are {len(score)} pairs and {names.size} groups: one group for each is needed.")
        group = np.unique(names, return_inverse=True)[1].astype(np.int32)
        order = np.lexsort((group, label, -score))
        group = np.arange(len(score), dtype=np.int32) if groups is None else group[order]
        return cls(score[order], label[order], group)

    def __len__(self) -> int:
        return len(self.label)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CalibrationSample):
            return NotImplemented
        mine, theirs = self.to_arrays(), other.to_arrays()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    __hash__ = None  # type: ignore[assignment]

    @property
    def duplicates(self) -> int:
        """How many pairs are labelled duplicates."""
        return int(self.label.sum())

    @property
    def comparable(self) -> BoolArray:
        """(n,) bool: the others are accepted at no threshold."""
        return np.isfinite(self.similarity)

    @property
    def prevalence(self) -> float:
        """The share of duplicates, in [0, 1]."""
        return self.duplicates / len(self)

    @property
    def groups(self) -> int:
        """How many groups share no question with each other."""
        return len(np.unique(self.group))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the three arrays by name, for an .npz file."""
        return {"similarity": self.similarity, "label": self.label, "group": self.group}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> CalibrationSample:
        """Return the sample that `to_arrays` wrote; `ArtifactError` when an array is missing or does not fit."""
        try:
            return cls.of(arrays["similarity"], arrays["label"], arrays["group"])
        except KeyError as error:
            raise ArtifactError(f"The evidence of the calibration lacks the array {error}. Calibrate again.") from None
        except InputError as error:
            raise ArtifactError(f"The evidence of the calibration is damaged: {error} Calibrate again.") from None
