"""The lowest threshold whose precision the labels of a review certify, among all pairs that were drawn from.

**Why not the walk of `MinPrecision`.** A label speaks for as many pairs as its weight says, and a threshold can accept
many light labels and a few heavy ones. The effective sample size of that walk is worked out from labels that agree or
do not, and holds by simulation; here the weights are known, and a bound can be proven.

**What is done.** The exact bound (Clopper and Pearson 1934) is taken as if there were so many labels of equal weight as
the heaviest accepted label goes into the whole: n = (sum of weights) / (largest weight), and the errors in the same
unit. Strata of equal weight: the sum of their errors is no more spread than one binomial (Hoeffding 1956), so the bound
holds; lighter labels only make it more careful. Enumeration of two bands (10 to 80 labels, weights 1:1 to 1:100,
precision 0.8 to 0.95, any split of the errors between them) never gave more than 4.8 % wrong certificates for the
allowed 5 %.

Thresholds are tested downwards, and a failure ends the walk, so the allowed error needs no correction (fixed sequence
testing, as in `MinPrecision`). Where the most similar pairs are traps, that walk ends before it has begun; so it may
begin again at half of the labels, and at the last threshold. The first start has 90 % of the allowed error, the
others share the rest, and a walk that still goes inherits the part of the next start (the fallback procedure: Wiens
2003). Which ones are tested depends on scores and weights alone, not on labels: the first accepts as many labels as
could certify the precision in spite of one error (or, where all of them are fewer, without one), and each next one 4
% more. A threshold that has just reached a heavier band, and so accepts fewer labels in this sense than one above it,
is passed over.

**Several requests.** Labels may be looked at again and again: a refused certificate is asked for anew after more
labels, or for less. If each answer were given at the whole error, each would be a chance of its own to be wrong: asked
every 40 labels from 60 to 780 for 0.9 where 0.899 is true, 21 % of 400 simulated reviews got it. So the request number
k has 2^-k of the allowed error, and all that there can be have the whole (Bonferroni): 3 % got it. The same request on
the same labels is no new one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration import MinPrecision
from dupdetect.errors import UnreachableCriterionError, offered
from dupdetect.metrics import regularized_beta

__all__ = ["certified_threshold"]

_STEP = 1.04
_FIRST = 0.9  # of the allowed error
_SLACK = 1e-9  # sums of weights that are equal but for rounding
_UNCERTIFIED = "or for a recall (min_recall=0.9), for which nothing is certified"


def certified_threshold(
    criterion: MinPrecision,
    score: NDArray[np.float32],
    label: NDArray[np.bool_],
    weight: NDArray[np.float64],
    *,
    drawn: int,
    request: int = 1,
    labels: int | None = None,
) -> float:
    """Return the lowest certified threshold: the score of a labelled pair, all pairs from which on are accepted.

    score, label, weight: (n,) of the labelled pairs that count here.  drawn: how many pairs that would count there are
    to label.  request: the number of this request on these labels, from 1.  labels: how many there are in all, where
    some do not count.

    Raises UnreachableCriterionError, which counts in labels.
    """
    cuts = _Cuts.of(score, label, weight)
    level = (1 - criterion.confidence) / 2.0**request
    found = _lowest(cuts, criterion.precision, level)
    if found is not None:
        return float(cuts.score[found])
    # What is offered is asked for by the next request.
    best = _best(cuts, criterion.precision, level / 2)
    needed = _labels_needed(cuts, criterion.precision, level / 2, len(label))
    many = f"{len(label):,} are there"
    if labels is not None and labels > len(label):
        many = f"{len(label):,} of the {labels:,} labels count here"
    if needed is None:
        advice = f"More labels like these would not help ({many}): ask for less, {_UNCERTIFIED}."
    elif needed > drawn:
        advice = (
            f"About {needed:,} labels like these would be needed; {many}, and {drawn:,} pairs are to be had. "
            f"Ask for less, {_UNCERTIFIED}."
        )
    else:
        advice = (
            f"About {needed:,} labels like these would be needed, and {many}: review more pairs, or ask for less, "
            f"{_UNCERTIFIED}."
        )
    raise UnreachableCriterionError(str(criterion), best, needed, advice)


@dataclass(frozen=True, slots=True)
class _Cuts:
    """What each distinct score accepts, highest first, (k,): labels in units of the heaviest accepted one."""

    score: NDArray[np.float32]
    labels: NDArray[np.float64]
    errors: NDArray[np.float64]

    @classmethod
    def of(cls, score: NDArray[np.float32], label: NDArray[np.bool_], weight: NDArray[np.float64]) -> _Cuts:
        order = np.lexsort((label, weight, -score))
        score, label, weight = score[order], label[order], weight[order]
        last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
        heaviest = np.maximum.accumulate(weight)
        labels = np.cumsum(weight) / heaviest
        errors = np.minimum(np.cumsum(np.where(label, 0.0, weight)) / heaviest, labels)
        return cls(score[last], labels[last], errors[last])


def _lowest(cuts: _Cuts, precision: float, level: float) -> int | None:
    """Return the position of the last threshold that passes, or None where none does."""
    tested = _tested(cuts.labels, precision, _FIRST * level)
    if not len(tested):
        return None
    starts = _starts(cuts.labels[tested])
    allowed, found = 0.0, None
    for number, position in enumerate(tested.tolist()):
        if number in starts:
            allowed += _FIRST * level if number == 0 else (1 - _FIRST) * level / (len(starts) - 1)
        right, errors = cuts.labels[position] - cuts.errors[position], cuts.errors[position]
        # Where `clopper_pearson_lower(right, labels) >= precision`, without a search.
        if allowed and right > 0 and regularized_beta(max(right, _SLACK), errors + 1, precision) <= allowed:
            found = position
        else:
            allowed = 0.0
    return found


def _best(cuts: _Cuts, precision: float, level: float) -> float:
    """Return about the highest precision below a refused one that is certified, 0 where none is; it is certified
    rounded, too, as the refusal offers it (`UnreachableCriterionError`)."""
    low, high = 0.0, precision
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _lowest(cuts, middle, level) is not None else (low, middle)
    # Other thresholds are tested for another precision, so a lower one is not certified for certain.
    while low > 0 and any(_lowest(cuts, asked, level) is None for asked in (low, offered(low)) if asked > 0):
        low = offered(low)
    return low


def _starts(labels: NDArray[np.float64]) -> set[int]:
    """Return which of the thresholds to test begin a walk: the first, that of half of the labels, and the last."""
    return {0, int(np.searchsorted(labels, labels[-1] / 2)), len(labels) - 1}


def _tested(labels: NDArray[np.float64], precision: float, level: float) -> NDArray[np.int64]:
    """Return the positions to test in order, each of which accepts more labels than any above it."""
    highest = np.maximum.accumulate(labels)
    wanted = _enough(precision, level, errors=1)
    if highest[-1] < wanted:
        wanted = _enough(precision, level, errors=0)
    tested = []
    while wanted * (1 - _SLACK) <= highest[-1]:
        position = int(np.searchsorted(highest, wanted * (1 - _SLACK)))
        tested.append(position)
        wanted = max(wanted, float(highest[position])) * _STEP
    return np.array(tested, dtype=np.int64)


def _enough(precision: float, level: float, *, errors: int) -> float:
    """Return how many labels certify the precision although so many (0 or 1) of them are errors."""
    if precision >= 1:
        return math.inf
    fewest = math.log(level) / math.log(precision)
    if errors == 0:
        return fewest
    low, high = fewest, 3 * fewest + 10
    for _ in range(60):
        middle = (low + high) / 2
        # The binomial chance of at most one error.
        enough = precision ** (middle - 1) * (1 + (middle - 1) * (1 - precision)) <= level
        low, high = (low, middle) if enough else (middle, high)
    return high


def _labels_needed(cuts: _Cuts, precision: float, level: float, labels: int) -> int | None:
    """Return how many labels, at the shares seen so far, would do; None beyond 1,000 times as many."""
    low, high = 0.0, math.log(1000)

    def enough(times: float) -> bool:
        more = _Cuts(cuts.score, cuts.labels * times, cuts.errors * times)
        return _lowest(more, precision, level) is not None

    if not enough(math.exp(high)):
        return None
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(math.exp(middle)) else (middle, high)
    unit = 10 ** max(0, int(math.log10(labels * math.exp(high))) - 1)
    return int(math.ceil(labels * math.exp(high) / unit) * unit)
