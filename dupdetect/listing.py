"""The pairs that reach the threshold, and how many of them are listed at most."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from dupdetect.calibration import Calibration
from dupdetect.encoded_texts import EncodedTexts
from dupdetect.engines import Engine
from dupdetect.errors import InputError
from dupdetect.progress import Progress
from dupdetect.search import SimilarPairs, TooManyPairsError

__all__ = ["MOST_PAIRS", "Search", "list_pairs", "most_pairs", "room"]

# Listing them takes about 200 bytes of memory each while clusters are made, and 200 bytes in pairs.csv.
MOST_PAIRS = 10_000_000
"""Pairs that are listed at most, unless the search is approximate."""
_PAIRS_PER_TEXT = 20  # where there is no other way; they take about as much memory as two vectors

Search = Literal["exact", "ann"]


def most_pairs(search: Search, texts: int) -> int:
    """Return how many pairs are listed where the search finds more: where it is exact, it can do with fewer."""
    return MOST_PAIRS if search == "exact" else room(texts)


def room(texts: int) -> int:
    """Return how many pairs are listed where it cannot be done with fewer."""
    return max(MOST_PAIRS, _PAIRS_PER_TEXT * texts)


def list_pairs(
    texts: EncodedTexts,
    calibration: Calibration,
    estimated_precision: float | None,
    progress: Progress,
    search: Search,
    work: Path | None,
    engine: Engine,
) -> tuple[SimilarPairs | None, Calibration]:
    """Return all pairs that reach the threshold and that the search finds, or None where there are too many; and the
    calibration with this threshold.

    It is the one that is given, unless that lets in too many and a precision is asked for: then the lowest from which
    each pair is likely enough, and so are all.

    Raises InputError instead where the search is not exact: survivors without a list are found by comparing all texts.
    """
    most = most_pairs(search, len(texts.forms))
    join = engine.join if search == "exact" else engine.approximate_join
    similar = partial(texts.similar, progress=progress, search=search, most=most, work=work, join=join)
    with suppress(TooManyPairsError):
        return similar(calibration.threshold), calibration
    least = calibration if estimated_precision is None else calibration.surely(estimated_precision)
    if least.threshold > 1:  # no pair is likely enough
        none = np.empty(0, dtype=np.int32)
        return SimilarPairs(none, none, np.empty(0, dtype=np.float32)), least
    if least.threshold > calibration.threshold:
        with suppress(TooManyPairsError):
            return similar(least.threshold), least
    if search == "exact":
        return None, least
    raise InputError(
        f"More than {most:,} pairs of texts reach the threshold, too many to list, and only the exact search does "
        "without a list. Choose a higher threshold, or search='exact'."
    )
