"""How far two groupings of the same items agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.metrics.pairs import PairCounts


def pair_counts(predicted: ArrayLike, gold: ArrayLike) -> PairCounts:
    """Return how many pairs of items two groupings put together alike.

    `predicted` and `gold` (n,) name the group of each item, as whole numbers or strings; the names need not match.
    A true positive is a pair that is together in both. Counted from the sizes of the groups and their overlaps (Rand
    1971; Hubert and Arabie 1985), in O(n log n) time and O(n) memory.

    >>> pair_counts(["a", "a", "a", "b"], [1, 1, 2, 2])
    PairCounts(true_positives=1, false_positives=2, false_negatives=1)
    """
    left, right = np.asarray(predicted), np.asarray(gold)
    if left.ndim != 1 or left.shape != right.shape:
        raise InputError(f"Two groupings of the same items are needed, not of {left.size} and {right.size} items.")
    if left.size == 0:
        raise EmptyInputError("There are no items to compare groupings of.")
    _, left_code, left_size = np.unique(left, return_inverse=True, return_counts=True)
    _, right_code, right_size = np.unique(right, return_inverse=True, return_counts=True)
    _, overlap = np.unique(left_code.astype(np.int64) * len(right_size) + right_code, return_counts=True)
    together = _pairs_within(overlap)
    return PairCounts(together, _pairs_within(left_size) - together, _pairs_within(right_size) - together)


def _pairs_within(sizes: NDArray[np.integer]) -> int:
    return int(np.sum(sizes.astype(np.int64) * (sizes.astype(np.int64) - 1) // 2))
