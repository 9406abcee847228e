"""How far a measured share, or any statistic, can be from the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.metrics.beta import beta_quantile
from dupdetect.metrics.inputs import FloatArray, IntArray, boolean, check_open_share


def clopper_pearson_lower(successes: ArrayLike, trials: ArrayLike, *, confidence: float = 0.95) -> FloatArray:
    """Return the exact one-sided lower confidence bound for a share, in [0, 1]; arrays broadcast.

    The share p at which as many successes or more have the chance 1 - confidence (Clopper and Pearson 1934): the
    1 - confidence quantile of Beta(k, n - k + 1), and 0 for no success. Counts may be fractions, as effective sample
    sizes are (Korn and Graubard 1998). Accurate to 1e-9 up to a million trials.

    Raises `InputError` unless 0 <= successes <= trials, trials > 0 and 0 < confidence < 1.

    >>> round(float(clopper_pearson_lower(59, 59)), 4)
    0.9505
    """
    hits, total = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    if not np.all((hits >= 0) & (hits <= total) & (total > 0) & np.isfinite(total)):
        raise InputError("An exact interval needs 0 <= successes <= trials, and at least one trial.")
    check_open_share(confidence, "confidence")
    some = hits > 0
    a = np.where(some, hits, 1.0)
    return np.where(some, beta_quantile(a, np.where(some, total - a, 0.0) + 1, 1 - confidence), 0.0)


def clopper_pearson_upper(successes: ArrayLike, trials: ArrayLike, *, confidence: float = 0.95) -> FloatArray:
    """Return the exact one-sided upper confidence bound for a share: one minus the lower one for the failures."""
    return 1 - clopper_pearson_lower(np.asarray(trials) - np.asarray(successes), trials, confidence=confidence)


def clopper_pearson(successes: float, trials: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided confidence interval (low, high) for a share; see `clopper_pearson_lower`."""
    check_open_share(confidence, "confidence")
    one_sided = (1 + confidence) / 2
    low = clopper_pearson_lower(successes, trials, confidence=one_sided)
    return float(low), float(clopper_pearson_upper(successes, trials, confidence=one_sided))


def design_effect(successes: ArrayLike, groups: ArrayLike) -> float:
    """Return by how much dependence inside groups inflates the variance of the share of successes, at least 1.

    `successes` (n,) boolean, `groups` (n,) whole numbers or strings. n / design_effect is the effective sample size
    that exact intervals should use (Kish 1965; Korn and Graubard 1998). The variance is the usual one between groups,
    sum over groups of (successes - share * size)^2, against the binomial one. One group in which everything fails is
    added, as large as that of a random success or failure is on average, sum size^2 / n: without it a few failures, or
    none, would say that groups do not matter. So with no failure at all the effective size is about n^2 / sum size^2,
    the number of groups where they are of one size; with groups of one pair it is n.

    >>> design_effect([True] * 6, [0, 0, 1, 1, 2, 2])
    2.0
    """
    hit = boolean(successes, "successes")
    named = np.asarray(groups)
    if named.shape != hit.shape:
        raise InputError(f"There are {len(hit)} outcomes and {named.size} groups: one group for each is needed.")
    if len(hit) == 0:
        return 1.0
    group = np.unique(named, return_inverse=True)[1]
    size = np.bincount(group)
    if size.max() == 1:
        return 1.0
    success = np.bincount(group, weights=hit)
    added = float(np.sum(size.astype(np.float64) ** 2) / len(hit))
    total = len(hit) + added
    share = success.sum() / total
    if share == 0:
        return added
    between = np.sum((success - share * size) ** 2) + (share * added) ** 2
    return max(1.0, float(between / (total * share * (1 - share))))


def bootstrap_interval(
    statistic: Callable[[IntArray], float],
    groups: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int,
) -> tuple[float, float]:
    """Return the percentile interval (low, high) of a statistic when whole groups are drawn with replacement.

    `groups` (n,) names the group of each row, whole numbers or strings: pairs that share questions belong together,
    because they are not independent. `statistic` is called with the row positions of each resample (groups keep all
    their rows, so their number varies). Resamples for which it is not defined (nan, or `InputError`) are left out.

    Raises `InputError` when more than a tenth of the resamples had to be left out. (Efron and Tibshirani 1993, 13.3;
    cluster bootstrap: Field and Welsh 2007.)
    """
    check_open_share(confidence, "confidence")
    values = _resampled(lambda rows: [statistic(rows)], 1, groups, resamples, seed)[:, 0]
    if not _mostly_defined(values):
        raise InputError(
            f"The statistic is defined on {np.count_nonzero(~np.isnan(values))} of {resamples} resamples only: "
            "there are too few groups of each kind for a bootstrap interval."
        )
    return _percentiles(values, confidence)


def bootstrap_intervals(
    statistics: Callable[[IntArray], Sequence[float]],
    groups: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int,
) -> list[tuple[float, float]]:
    """Return the intervals of several statistics from the same resamples, each as `bootstrap_interval` gives it.

    `statistics` returns one value each, always as many, or raises `InputError` where none of them is defined. Where
    `bootstrap_interval` would raise, the interval is (nan, nan): one that is not defined does not cost the others.
    """
    check_open_share(confidence, "confidence")
    number = len(statistics(np.arange(len(np.asarray(groups)))))
    values = _resampled(statistics, number, groups, resamples, seed)
    return [_percentiles(one, confidence) if _mostly_defined(one) else (math.nan, math.nan) for one in values.T]


def _resampled(
    statistics: Callable[[IntArray], Sequence[float]], number: int, groups: ArrayLike, resamples: int, seed: int
) -> FloatArray:
    """Return (resamples, number): the statistics of each resample, nan where they are not defined."""
    names = np.asarray(groups)
    if names.ndim != 1 or names.size == 0:
        raise EmptyInputError("A bootstrap needs at least one row with its group.")
    _, group, size = np.unique(names, return_inverse=True, return_counts=True)
    members = np.argsort(group, kind="stable")
    start = np.cumsum(size) - size
    generator = np.random.default_rng(seed)
    values = np.full((resamples, number), np.nan)
    for resample in range(resamples):
        drawn = generator.integers(len(size), size=len(size))
        length = size[drawn]
        # Position of each row inside its group, for all drawn groups laid end to end.
        offset = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        try:
            values[resample] = statistics(members[np.repeat(start[drawn], length) + offset])
        except InputError:
            continue
    return values


def _mostly_defined(values: FloatArray) -> bool:
    return bool(len(values) and np.count_nonzero(~np.isnan(values)) >= 0.9 * len(values))


def _percentiles(values: FloatArray, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values[~np.isnan(values)], [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
