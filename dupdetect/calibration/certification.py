"""The walk of `MinPrecision` down the cuts, and what a refusal says."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dupdetect.calibration.criteria import MinPrecision
from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.measures import percent
from dupdetect.calibration.precision_tests import precision_tests
from dupdetect.errors import UnreachableCriterionError
from dupdetect.metrics import Curve
from dupdetect.metrics.inputs import BoolArray, FloatArray, IntArray

_FIRST_TEST = 60
"""Accepted pairs at the first certified threshold: 59 without an error are the fewest that certify 0.95 at 95 %."""
_TESTS_PER_DOUBLING = 16
_TESTS_PER_START = 16
_FEWEST_SEEN = 20
"""Most similar pairs that say something of how many labels would do; fewer say too little."""


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
    needed = _labels_needed(criterion, sample, cuts, prevalence)
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


def _labels_needed(criterion: MinPrecision, sample: CalibrationSample, cuts: Curve, prevalence: float) -> int | None:
    """Return about how many labels, with the shares seen so far, would let a walk start; None beyond 1,000 times as
    many.

    Walks start at so many accepted pairs, so with more labels at a higher similarity than with these. What the few most
    similar labels alone say of it is not counted on.
    """
    accepted = cuts.true_positives + cuts.false_positives
    total = int(accepted[-1])

    def enough(times: float) -> bool:
        wanted = _walk_starts(total * times)
        cut = np.searchsorted(accepted, np.minimum(np.maximum(wanted / times, _FEWEST_SEEN), total))
        tests = precision_tests(sample, cuts, np.unique(cut).astype(np.int64), prevalence)
        level = (1 - criterion.confidence) / len(wanted)
        return bool(np.any(tests.scaled(times).certifies(criterion.precision, level)))

    # Not by halving: where walks start depends on the number of labels, so that some more can do what many more cannot.
    grown = next((len(sample) * times for times in 1.1 ** np.arange(1, 73) if enough(times)), None)
    if grown is None:
        return None
    unit = 10 ** max(0, int(math.log10(grown)) - 1)
    return int(math.ceil(grown / unit) * unit)


def _walk_starts(total: float) -> FloatArray:
    """Return how many pairs are accepted where a walk starts, rising."""
    starts = [_FIRST_TEST * 2.0 ** (step / _TESTS_PER_DOUBLING) for step in range(0, 1000, _TESTS_PER_START)]
    return np.array([accepted for accepted in starts if accepted <= total / 2 or accepted == _FIRST_TEST])
