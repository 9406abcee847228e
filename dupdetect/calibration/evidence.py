"""The labelled pairs that a calibration keeps: similarities, labels and groups, never texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
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
    bool; `group` (n,) int32, the same number for pairs that share questions directly or through others, from 0 and
    given by what is in the group. Read-only. Make one with `CalibrationSample.of`.

    `labels`: how many labels the rows are, where a label stands in several equal rows because it weighs more than
    others. None: each row is a label of its own.
    """

    similarity: NDArray[np.float32]
    label: BoolArray
    group: NDArray[np.int32]
    labels: int | None = None

    @classmethod
    def of(
        cls,
        similarity: ArrayLike,
        labels: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        label_count: int | None = None,
    ) -> CalibrationSample:
        """Return the checked sample; without `groups` every pair is independent of the others.

        `similarity` (n,) cosine in [-1, 1], as float32 (what rounding added beyond the ends is cut off), or -inf for a
        pair that no threshold accepts. `groups` (n,) are whole numbers or strings. `label_count`: how many labels these
        rows are, where equal rows of one group stand for the weight of one. Sorted, and the groups numbered anew, so
        that nothing later depends on the order of the rows or the names of the groups.

        Raises `InputError` for arrays that do not match, similarities that are no cosines, labels that are not 0 / 1,
        groups that are neither whole numbers nor strings, a count that is not positive, and weights without groups.
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
        count = None if label_count is None else _checked_count(label_count, groups)
        score = np.where(never, wide, np.clip(wide, -1, 1)).astype(np.float32)
        label = np.asarray(labels).astype(np.bool_)
        if groups is None:
            order = np.lexsort((label, -score))
            return cls(score[order], label[order], np.arange(len(score), dtype=np.int32))
        names = np.asarray(groups)
        if names.shape != score.shape:
            raise InputError(f"There are {len(score)} pairs and {names.size} groups: one group for each is needed.")
        wrong = _no_names(names)
        if wrong.any():
            raise InputError(f"The groups must be whole numbers or strings; one of them is {names[wrong][0]!r}.")
        try:
            number = np.unique(names, return_inverse=True)[1]
        except TypeError:
            raise InputError("Some groups are strings and some are not: make all of them strings.") from None
        group = _numbered(score, label, number)
        order = np.lexsort((group, label, -score))
        return cls(score[order], label[order], group[order], count)

    def __len__(self) -> int:
        return len(self.label)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CalibrationSample):
            return NotImplemented
        mine, theirs = self.to_arrays(), other.to_arrays()
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)

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
    def why_never(self) -> str:
        """What keeps the other pairs from being accepted."""
        if self.labels is None:
            return "their texts differ in words that the encoder does not know"
        return "a guard fires, or their texts differ in words that the encoder does not know"

    @property
    def prevalence(self) -> float:
        """The share of duplicates, in [0, 1]."""
        return self.duplicates / len(self)

    @property
    def groups(self) -> int:
        """How many groups share no question with each other."""
        return len(np.unique(self.group))

    @property
    def labelled(self) -> int:
        """How many labels there are: rows, unless rows stand for weights."""
        return len(self) if self.labels is None else self.labels

    @property
    def once(self) -> BoolArray:
        """(n,) bool: all rows, but of equal ones that stand for a weight only the first."""
        if self.labels is None:
            return np.ones(len(self), dtype=np.bool_)
        # The rows are sorted by all three.
        repeated = np.ones(len(self), dtype=np.bool_)
        repeated[:1] = False
        for column in (self.similarity, self.label, self.group):
            repeated[1:] &= column[1:] == column[:-1]
        return ~repeated

    def at(self, rows: BoolArray) -> CalibrationSample:
        """Return some of the rows, (n,) bool; groups keep their numbers."""
        return CalibrationSample(self.similarity[rows], self.label[rows], self.group[rows])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, for an .npz file; `labels` (1,) only where it is not None."""
        arrays: dict[str, NDArray[Any]] = {"similarity": self.similarity, "label": self.label, "group": self.group}
        return arrays if self.labels is None else {**arrays, "labels": np.array([self.labels])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> CalibrationSample:
        """Return the sample that `to_arrays` wrote; `ArtifactError` when an array is missing or does not fit."""
        try:
            count = arrays["labels"].item() if "labels" in arrays else None
            kind = arrays["group"].dtype
            if kind.kind not in "iu":
                raise InputError(f"The array 'group' must hold whole numbers, and holds {kind}.")
            return cls.of(arrays["similarity"], arrays["label"], arrays["group"], label_count=count)
        except KeyError as error:
            raise ArtifactError(f"The evidence of the calibration lacks the array {error}. Calibrate again.") from None
        except ValueError as error:
            raise ArtifactError(f"The evidence of the calibration is damaged: {error} Calibrate again.") from None


def _no_names(groups: NDArray[Any]) -> BoolArray:
    """Return (n,) bool: what is neither a whole number nor a string."""
    if groups.dtype.kind == "f":
        whole: BoolArray = np.isfinite(groups) & (groups == np.round(groups))
        return ~whole
    if groups.dtype.kind == "O":
        return np.array([not _is_name(name) for name in groups.tolist()], dtype=np.bool_)
    return np.full(len(groups), groups.dtype.kind not in "biuUST")


def _is_name(name: object) -> bool:
    return isinstance(name, str | bytes | Integral) or (isinstance(name, float) and name.is_integer())


def _checked_count(count: int, groups: ArrayLike | None) -> int:
    if groups is None:
        raise InputError("Where rows stand for weights, the groups are needed: those of one label are in one group.")
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"The number of labels is {count!r}, and must be a whole number of at least 1.")
    return int(count)


def _numbered(score: NDArray[np.float32], label: BoolArray, group: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the groups, (n,) from 0, numbered by their pairs from the most similar on; equal groups in any order."""
    by_pair = np.lexsort((label, -score))
    new = np.ones(len(score), dtype=np.bool_)
    new[1:] = (score[by_pair][1:] != score[by_pair][:-1]) | (label[by_pair][1:] != label[by_pair][:-1])
    pair = np.empty(len(score), dtype=">i8")  # so that bytes compare as the numbers do
    pair[by_pair] = np.cumsum(new)
    by_group = np.lexsort((pair, group))
    start = np.flatnonzero(np.diff(group[by_group], prepend=-1))
    content = [part.tobytes() for part in np.split(pair[by_group], start[1:])]
    number = np.empty(len(content), dtype=np.int32)
    number[sorted(range(len(content)), key=content.__getitem__)] = np.arange(len(content))
    return number[group]
