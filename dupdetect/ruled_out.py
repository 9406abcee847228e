"""Why pairs that reach the threshold are no duplicates after all."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoded_texts import EncodedTexts
from dupdetect.guards import GUARDS
from dupdetect.review.candidates import pair_key

__all__ = ["REASONS", "blocks", "reasons"]

REASONS = (*GUARDS, "review")
"""What can rule out a pair: a guard that fires, or a reviewer who has told the two apart."""
_BLOCK = 1_000_000  # pairs that guards look at together


def blocks(pairs: int) -> Iterator[slice]:
    """Yield the parts in which so many pairs are looked at, so that what guards read of all is never there at once."""
    return (slice(start, start + _BLOCK) for start in range(0, pairs, _BLOCK))


def reasons(
    texts: EncodedTexts,
    threshold: float,
    told_apart: Collection[str],
    left: NDArray[np.integer[Any]],
    right: NDArray[np.integer[Any]],
) -> NDArray[np.bool_]:
    """Return (m, len(REASONS)) bool: why each pair of forms does not count although its similarity reaches `threshold`.

    left, right: (m,) numbers of forms.  told_apart: `pair_key` of the pairs that a reviewer has told apart.

    Guards rule out nothing where their cap itself reaches the threshold.
    """
    found = np.zeros((len(left), len(REASONS)), dtype=np.bool_)
    if texts.guards is not None and texts.guards.rule_out(threshold):
        found[:, : len(GUARDS)] = texts.fired(left, right)
    if told_apart:
        found[:, -1] = [
            pair_key(texts.forms[i], texts.forms[j]) in told_apart
            for i, j in zip(left.tolist(), right.tolist(), strict=True)
        ]
    return found
