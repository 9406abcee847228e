"""The labelled pairs that a calibration keeps: similarities, labels and groups, never texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.errors import ArtifactError, InputError
from dupdetect.metrics import counts_at
from dupdetect.metrics.inputs import BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSample:
    """The held-out pairs without their texts: what was measured, and what a person said.

    `similarity` (n,) float32, descending; `label` (n,) bool; `group` (n,) int32, the same number for pairs that share
    questions directly or through others. Read-only. Make one with `CalibrationSample.of`.
    """

    similarity: NDArray[np.float32]
    label: BoolArray
    group: NDArray[np.int32]

    @classmethod
    def of(cls, similarity: ArrayLike, labels: ArrayLike, groups: ArrayLike | None = None) -> CalibrationSample:
        """Return the checked sample; without `groups` every pair is independent of the others.

        `groups` (n,) are whole numbers or strings. Sorted, so that nothing later depends on the order of the rows.

        Raises `InputError` for arrays that do not match, similarities that are not finite, labels that are not 0 / 1.
        """
        wide = np.asarray(similarity)
        counts_at(wide, labels, 0.0)  # for its checks
        with np.errstate(over="ignore"):  # caught below
            score = wide.astype(np.float32)
        label = np.asarray(labels).astype(np.bool_)
        if not np.all(np.isfinite(score)):
            raise InputError("similarity must be finite numbers.")
        names = np.zeros(len(score)) if groups is None else np.asarray(groups)
        if names.shape != score.shape:
            raise InputError(f"There are {len(score)} pairs and {names.size} groups: one group for each is needed.")
        group = np.unique(names, return_inverse=True)[1].astype(np.int32)
        order = np.lexsort((group, label, -score))
        group = np.arange(len(score), dtype=np.int32) if groups is None else group[order]
        arrays = score[order], label[order], group
        for array in arrays:
            array.setflags(write=False)
        return cls(*arrays)

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
