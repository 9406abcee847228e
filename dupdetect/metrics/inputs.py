"""The checks that the measures share, and the names of their arrays."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.errors import EmptyInputError, InputError

BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]


def check_share(value: float, name: str) -> None:
    if not 0 < value <= 1:
        raise InputError(f"{name} is {value}, and must be above 0 and at most 1.")


def check_open_share(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}, and must lie between 0 and 1.")


def boolean(labels: ArrayLike, name: str) -> BoolArray:
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InputError(f"{name} must be one-dimensional, and has the shape {array.shape}.")
    if array.dtype == np.bool_:
        return array
    accepted = np.zeros(len(array), dtype=np.bool_)
    if array.dtype.kind in "iuf":
        accepted = (array == 0) | (array == 1)
    elif array.dtype == np.object_:  # such as a column that had missing values once
        numbers = (isinstance(item, bool | int | float | np.bool_ | np.number) for item in array)
        accepted = np.fromiter((ok and item in (0, 1) for ok, item in zip(numbers, array, strict=True)), dtype=np.bool_)
    if not np.all(accepted):
        raise InputError(f"{name} must be True / False or 1 / 0; one of them is {array[~accepted][0]!r}.")
    return array.astype(np.bool_)


def scored(score: ArrayLike, labels: ArrayLike, name: str) -> tuple[FloatArray, BoolArray]:
    """Return both as checked arrays (n,), n >= 1; `name` says what the scores are, probabilities lie in [0, 1].

    A similarity may be -inf: no threshold accepts such a pair.
    """
    values = np.asarray(score)
    label = boolean(labels, "labels")
    if values.shape != label.shape:
        raise InputError(f"{name} has the shape {values.shape}, but there are {len(label)} labels.")
    if len(label) == 0:
        raise EmptyInputError(f"There is nothing to measure: {name} and labels are empty.")
    if values.dtype.kind not in "biuf" or not np.all(np.isfinite(values) | np.isneginf(values)):
        raise InputError(f"{name} must be finite numbers.")
    values = values.astype(np.float64)
    if name == "probability" and not (values.min() >= 0 and values.max() <= 1):
        raise InputError(f"A probability lies in [0, 1], and these range over [{values.min()}, {values.max()}].")
    return values, label
