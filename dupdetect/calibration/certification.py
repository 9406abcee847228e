"""The walk of `MinPrecision` down the cuts, and what a refusal says."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dupdetect.calibration.criteria import MinPrecision
from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.measures import percent
from dupdetect.calibration.precision_tests import AsLabelled, Reweighted, precision_tests
from dupdetect.errors import UnreachableCriterionError
from dupdetect.metrics import Curve
from dupdetect.metrics.inputs import BoolArray, IntArray

_FIRST_TEST = 60
"""Accepted pairs at the first certified threshold: 59 without an error are the fewest that certify 0.95 at 95 %."""
_TESTS_PER_DOUBLING = 16
_TESTS_PER_START = 32


def certified_cut(criterion: MinPrecision, sample: CalibrationSample, cuts: Curve, prevalence: float) -> int:
    """Return the lowest cut that the walk of `MinPrecision` certifies, or raise `UnreachableCriterionError`."""
    accepted = cuts.true_positives + cuts.false_positives
    tested, starts = _test_sequence(accepted)
    tests = precision_tests(sample, cuts, tested, prevalence)
    part = (1 - criterion.confidence) / int(starts.sum())
    last = _walk(lambda level: tests.certifies(criterion.precision, level), starts, part)
    if last is not None:
        return int(tested[last])

    # What one start alone can certify is exactly the best precision that could have been asked for.
    bound = np.full(len(tested), -1.0)
    for parts in np.unique(starts[starts > 0]).tolist():
        bound = np.where(starts == parts, tests.lower(parts * part), bound)
    best = int(np.argmax(bound))
    pairs, duplicates = int(accepted[tested[best]]), int(cuts.true_positives[tested[best]])
    needed = _labels_needed(tests.at(starts > 0), criterion.precision, part, len(sample))
    if needed is None:
        advice = "More labels of this kind would not help: ask for less, or use another encoder."
    else:
        advice = f"About {needed:,} labelled pairs like these would be needed, and there are {len(sample):,}."
    shift = "" if prevalence == sample.prevalence else f" where {percent(prevalence)} of the pairs are duplicates"
    raise UnreachableCriterionError(
        f"{criterion}{shift}",
        float(bound[best]),
        needed,
        f"Of the {pairs:,} most similar labelled pairs {duplicates:,} are duplicates. {advice}",
    )


def _test_sequence(accepted: IntArray) -> tuple[IntArray, IntArray]:
    """Return the cuts to test in order, (t,), and how many walks start at each, (t,); from similarities alone.

    `accepted` (k,) is how many pairs each cut accepts. Ties can make several planned tests one cut.
    """
    total = int(accepted[-1])
    steps = int(_TESTS_PER_DOUBLING * math.log2(max(1.0, total / _FIRST_TEST))) + 1
    step = np.arange(steps)
    wanted = np.minimum(np.ceil(_FIRST_TEST * 2 ** (step / _TESTS_PER_DOUBLING)), total)
    start = (step % _TESTS_PER_START == 0) & ((wanted <= total / 2) | (step == 0))
    tested, position = np.unique(np.searchsorted(accepted, wanted), return_inverse=True)
    return tested.astype(np.int64), np.bincount(position, weights=start).astype(np.int64)


def _walk(certifies: Callable[[float], BoolArray], starts: IntArray, part: float) -> int | None:
    """Return the last position that passes, or None: the fallback procedure over the cuts in order."""
    passed: dict[int, BoolArray] = {}
    last: int | None = None
    parts = 0
    for position, more in enumerate(starts.tolist()):
        parts += more
        if parts == 0:
            continue
        if parts not in passed:
            passed[parts] = certifies(parts * part)
        if passed[parts][position]:
            last = position
        else:
            parts = 0
    return last


def _labels_needed(tests: AsLabelled | Reweighted, precision: float, level: float, labels: int) -> int | None:
    """Return how many labels, at the shares seen so far, would let a walk start; None beyond 1,000 times as many."""
    low, high = 0.0, math.log(1000)
    if not np.any(tests.scaled(math.exp(high)).certifies(precision, level)):
        return None
    for _ in range(12):
        middle = (low + high) / 2
        enough = bool(np.any(tests.scaled(math.exp(middle)).certifies(precision, level)))
        low, high = (low, middle) if enough else (middle, high)
    unit = 10 ** max(0, int(math.log10(labels * math.exp(high))) - 1)
    return int(math.ceil(labels * math.exp(high) / unit) * unit)
