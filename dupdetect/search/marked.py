"""Where few of many numbers are marked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["marked_places"]

_WORD = 8  # marks looked at in one go


def marked_places(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return what `np.flatnonzero(marked)` returns, several times as fast where few are marked."""
    flat = marked.ravel()
    whole = len(flat) - len(flat) % _WORD
    words = np.flatnonzero(flat[:whole].view(np.uint64) != 0)
    places = (words[:, None] * _WORD + np.arange(_WORD)).ravel()
    return np.concatenate([places[flat[places]], np.flatnonzero(flat[whole:]) + whole])
