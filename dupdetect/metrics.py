"""Arrays in, numbers out: how well similarities, probabilities, rankings and groupings agree with labels.

Everywhere `similarity` is (n,) finite, larger is closer; `labels` is (n,) of booleans or 0 / 1, True for a duplicate;
a pair is predicted a duplicate when `similarity >= threshold`. Equal similarities are never told apart, so that no
number depends on the order of the rows. A ratio with nothing below the line (the precision of no prediction) is nan.

    pairs           curve -> average_precision, roc_auc, best_f1, recall_at_precision; counts_at, accuracy
    probabilities   log_loss, brier_score, expected_calibration_error
    intervals       clopper_pearson (exact), design_effect (for dependent pairs), bootstrap_interval
    rankings        recall_at_k, mean_reciprocal_rank, mean_average_precision, ndcg_at_k
    groupings       pair_counts
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.errors import EmptyInputError, InputError

__all__ = [
    "Curve",
    "PairCounts",
    "QueryMean",
    "accuracy",
    "average_precision",
    "best_f1",
    "bootstrap_interval",
    "brier_score",
    "clopper_pearson",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "counts_at",
    "curve",
    "design_effect",
    "expected_calibration_error",
    "log_loss",
    "mean_average_precision",
    "mean_reciprocal_rank",
    "ndcg_at_k",
    "pair_counts",
    "recall_at_k",
    "recall_at_precision",
    "regularized_beta",
    "roc_auc",
]

BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]


# --- Pairs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs were found rightly, found wrongly, and missed."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float:
        """Share of the found pairs that are duplicates, in [0, 1]; nan when none was found."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the duplicates that were found, in [0, 1]; nan when there are none."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), in [0, 1]; nan when all three are 0."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What each possible threshold would do, from the most careful to the most generous.

    `threshold` (k,) holds the distinct similarities, descending; `true_positives` and `false_positives` (k,) count the
    pairs with similarity >= threshold; `positives` and `negatives` count all pairs, each at least 1.
    """

    threshold: FloatArray
    true_positives: IntArray
    false_positives: IntArray
    positives: int
    negatives: int

    @property
    def precision(self) -> FloatArray:
        """Share of the accepted pairs that are duplicates, (k,) in [0, 1]."""
        return self.true_positives / (self.true_positives + self.false_positives)

    @property
    def recall(self) -> FloatArray:
        """Share of the duplicates that are accepted, (k,) in [0, 1], rising to 1."""
        return self.true_positives / self.positives

    @property
    def false_positive_rate(self) -> FloatArray:
        """Share of the other pairs that are accepted, (k,) in [0, 1], rising to 1."""
        return self.false_positives / self.negatives

    @property
    def f1(self) -> FloatArray:
        """Harmonic mean of precision and recall, (k,) in [0, 1]."""
        # One division of whole numbers, so that equal values compare equal.
        return 2 * self.true_positives / (self.true_positives + self.false_positives + self.positives)


def curve(similarity: ArrayLike, labels: ArrayLike) -> Curve:
    """Return the counts at every distinct similarity.

    Raises `InputError` when the arrays do not match, or there are not both duplicates and other pairs.

    >>> cuts = curve([0.9, 0.8, 0.8, 0.1], [1, 1, 0, 0])
    >>> cuts.threshold.tolist(), cuts.true_positives.tolist(), cuts.false_positives.tolist()
    ([0.9, 0.8, 0.1], [1, 2, 2], [0, 1, 2])
    """
    score, label = _scored(similarity, labels, "similarity")
    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        found = "not a duplicate" if positives == 0 else "a duplicate"
        raise InputError(f"All {len(label)} pairs are labelled {found}: both kinds of pairs are needed.")
    order = np.argsort(-score, kind="stable")
    score, label = score[order], label[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    true_positives = np.cumsum(label, dtype=np.int64)[last_of_tie]
    return Curve(score[last_of_tie], true_positives, last_of_tie + 1 - true_positives, positives, negatives)


def average_precision(cuts: Curve) -> float:
    """Return the step-wise area under precision over recall, in (0, 1].

    The sum of precision times the gain in recall over the distinct thresholds, without interpolation, as
    scikit-learn's `average_precision_score`.
    """
    return float(np.sum(np.diff(cuts.recall, prepend=0.0) * cuts.precision))


def roc_auc(cuts: Curve) -> float:
    """Return the chance that a duplicate is more similar than another pair, ties counting half, in [0, 1].

    The trapezoid area under recall over false positive rate (Hanley and McNeil 1982).
    """
    recall = np.append(0.0, cuts.recall)
    return float(np.sum(np.diff(cuts.false_positive_rate, prepend=0.0) * (recall[1:] + recall[:-1]) / 2))


def best_f1(cuts: Curve) -> tuple[float, float]:
    """Return the best F1 in (0, 1] and its threshold (the highest one where several are as good).

    The threshold is tuned on the pairs at hand, so on fresh pairs the value will be lower.
    """
    best = int(np.argmax(cuts.f1))
    return float(cuts.f1[best]), float(cuts.threshold[best])


def recall_at_precision(cuts: Curve, precision: float) -> float:
    """Return the best recall among the thresholds whose precision is at least `precision`; 0 where there is none."""
    _check_share(precision, "precision")
    return float(np.max(cuts.recall, where=cuts.precision >= precision, initial=0.0))


def counts_at(similarity: ArrayLike, labels: ArrayLike, threshold: float) -> PairCounts:
    """Return the counts (and by its properties precision, recall and F1) when accepting similarity >= threshold."""
    score, label = _scored(similarity, labels, "similarity")
    accepted = score >= threshold
    found = int(np.sum(accepted & label))
    return PairCounts(found, int(accepted.sum()) - found, int(label.sum()) - found)


def accuracy(similarity: ArrayLike, labels: ArrayLike, threshold: float) -> float:
    """Return the share of right decisions at `threshold`, in [0, 1]."""
    score, label = _scored(similarity, labels, "similarity")
    return float(np.mean((score >= threshold) == label))


# --- Probabilities ----------------------------------------------------------------------------------------------------


def log_loss(probability: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean negative log likelihood in nats, 0 at best.

    A probability of 0 or 1 counts as 2.2e-16 away from it, as in scikit-learn, so one wrong certainty costs 36 nats.
    """
    chance, label = _scored(probability, labels, "probability")
    epsilon = float(np.finfo(np.float64).eps)
    chance = np.clip(chance, epsilon, 1 - epsilon)
    return float(-np.mean(np.where(label, np.log(chance), np.log1p(-chance))))


def brier_score(probability: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean squared difference of probability and label, in [0, 1], 0 at best (Brier 1950)."""
    chance, label = _scored(probability, labels, "probability")
    return float(np.mean((chance - label) ** 2))


def expected_calibration_error(probability: ArrayLike, labels: ArrayLike, *, bins: int = 15) -> float:
    """Return how far probabilities lie from observed shares on average, in [0, 1], 0 at best.

    The pairs are ordered by probability and cut into at most `bins` bins of nearly equal size (Nixon et al. 2019,
    "Measuring Calibration in Deep Learning"); the result is the size-weighted mean of |mean probability - share of
    duplicates|. Equal probabilities share a bin, so bins can be fewer and uneven.
    """
    chance, label = _scored(probability, labels, "probability")
    if bins < 1:
        raise InputError(f"bins is {bins}, and must be at least 1.")
    position = np.searchsorted(np.sort(chance), chance)
    # Where a value first stands in the order decides its bin: ties cannot be torn apart.
    slot = position * bins // len(chance)
    gap = np.bincount(slot, weights=chance - label, minlength=bins)
    return float(np.sum(np.abs(gap)) / len(chance))


# --- Intervals --------------------------------------------------------------------------------------------------------


def regularized_beta(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> FloatArray:
    """Return I_x(a, b), the distribution function of the beta distribution, for a, b > 0 and x in [0, 1]; broadcasts.

    For whole numbers the binomial tail: I_p(k, n - k + 1) = P(X >= k) for X binomial with n trials of chance p.
    Continued fraction of Didonato and Morris (1992) in Lentz's form ("Numerical Recipes", 6.4).
    """
    first, second, point = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b, x)))
    if not (np.all(first > 0) and np.all(second > 0) and np.all((point >= 0) & (point <= 1))):
        raise InputError("The beta distribution needs a > 0, b > 0 and x in [0, 1].")
    # The fraction converges fast below the mean only; beyond it, the mirrored one does.
    mirrored = point > (first + 1) / (first + second + 2)
    low, high = np.where(mirrored, second, first), np.where(mirrored, first, second)
    at = np.where(mirrored, 1 - point, point)
    inside = at > 0
    log_front = _log_beta_density(low, high, np.where(inside, at, 0.5))
    value = np.where(inside, np.exp(log_front) * at * (1 - at) * _beta_fraction(low, high, at) / low, 0.0)
    return np.where(mirrored, 1 - value, value)


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
    _check_open_share(confidence, "confidence")
    some = hits > 0
    a = np.where(some, hits, 1.0)
    return np.where(some, _beta_quantile(a, np.where(some, total - a, 0.0) + 1, 1 - confidence), 0.0)


def clopper_pearson_upper(successes: ArrayLike, trials: ArrayLike, *, confidence: float = 0.95) -> FloatArray:
    """Return the exact one-sided upper confidence bound for a share: one minus the lower one for the failures."""
    return 1 - clopper_pearson_lower(np.asarray(trials) - np.asarray(successes), trials, confidence=confidence)


def clopper_pearson(successes: float, trials: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided confidence interval (low, high) for a share; see `clopper_pearson_lower`."""
    _check_open_share(confidence, "confidence")
    one_sided = (1 + confidence) / 2
    low = clopper_pearson_lower(successes, trials, confidence=one_sided)
    return float(low), float(clopper_pearson_upper(successes, trials, confidence=one_sided))


def design_effect(successes: ArrayLike, groups: ArrayLike) -> float:
    """Return by how much dependence inside groups inflates the variance of the share of successes, at least 1.

    `successes` (n,) boolean, `groups` (n,) whole numbers. n / design_effect is the effective sample size that exact
    intervals should use (Kish 1965; Korn and Graubard 1998). The variance is the usual one between groups, sum over
    groups of (successes - share * size)^2, against the binomial one. One group of mean size in which everything
    fails is added, as if seen next: without it a few failures, or none, would say that groups do not matter. So with no
    failure at all (and groups of one size) the effective size is the number of groups; with groups of one pair it is n.

    >>> design_effect([True] * 6, [0, 0, 1, 1, 2, 2])
    2.0
    """
    hit = _boolean(successes, "successes")
    group = np.asarray(groups)
    if group.shape != hit.shape:
        raise InputError(f"There are {len(hit)} outcomes and {group.size} groups: one group for each is needed.")
    if len(hit) == 0:
        return 1.0
    size = np.bincount(group)
    if size.max() == 1:
        return 1.0
    success = np.bincount(group, weights=hit)
    mean_size = len(hit) / np.count_nonzero(size)
    total = len(hit) + mean_size
    share = success.sum() / total
    if share == 0:
        return float(mean_size)
    between = np.sum((success - share * size) ** 2) + (share * mean_size) ** 2
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
    _check_open_share(confidence, "confidence")
    names = np.asarray(groups)
    if names.ndim != 1 or names.size == 0:
        raise EmptyInputError("A bootstrap needs at least one row with its group.")
    _, group, size = np.unique(names, return_inverse=True, return_counts=True)
    members = np.argsort(group, kind="stable")
    start = np.cumsum(size) - size
    generator = np.random.default_rng(seed)
    values = np.full(resamples, np.nan)
    for resample in range(resamples):
        drawn = generator.integers(len(size), size=len(size))
        length = size[drawn]
        # Position of each row inside its group, for all drawn groups laid end to end.
        offset = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        try:
            values[resample] = statistic(members[np.repeat(start[drawn], length) + offset])
        except InputError:
            continue
    defined = values[~np.isnan(values)]
    if len(defined) < 0.9 * resamples or resamples < 1:
        raise InputError(
            f"The statistic is defined on {len(defined)} of {resamples} resamples only: "
            "there are too few groups of each kind for a bootstrap interval."
        )
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


# --- Rankings ---------------------------------------------------------------------------------------------------------


class QueryMean(NamedTuple):
    """A mean over the queries that have something to find; `left_out` counts those that have nothing."""

    value: float
    queries: int
    left_out: int


def recall_at_k(relevance: ArrayLike, relevant: ArrayLike, k: int) -> QueryMean:
    """Return the mean share of each query's relevant items that stand among its first `k`, in [0, 1].

    `relevance` (q, d) booleans: is the item at this rank relevant, best rank first (pad short lists with False);
    `relevant` (q,) how many relevant items each query has in the whole collection. With more than `k` of them a query
    cannot reach 1. Queries without any are left out and counted, here and in the other three.

    Raises `InputError` when the shapes do not match, a list holds more relevant items than there are, `k` is not in
    1..d, or no query has anything to find.
    """
    hit, total, left_out = _ranked(relevance, relevant, k)
    return _query_mean(hit[:, :k].sum(axis=1) / total, left_out)


def mean_reciprocal_rank(relevance: ArrayLike, relevant: ArrayLike) -> QueryMean:
    """Return the mean of 1 / rank of the first relevant item (0 where none is in the list), in [0, 1]."""
    hit, _, left_out = _ranked(relevance, relevant, 1)
    return _query_mean(np.where(hit.any(axis=1), 1 / (hit.argmax(axis=1) + 1), 0.0), left_out)


def mean_average_precision(relevance: ArrayLike, relevant: ArrayLike) -> QueryMean:
    """Return the mean over queries of average precision, in [0, 1].

    Precision at the rank of each relevant item, summed and divided by the number of relevant items (as trec_eval), so
    those that the list does not reach count as 0.
    """
    hit, total, left_out = _ranked(relevance, relevant, 1)
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    return _query_mean(np.sum(precision * hit, axis=1) / total, left_out)


def ndcg_at_k(relevance: ArrayLike, relevant: ArrayLike, k: int) -> QueryMean:
    """Return the mean normalised discounted cumulative gain of the first `k`, in [0, 1].

    Gain 1 / log2(rank + 1), divided by that of the best possible list (Järvelin and Kekäläinen 2002).
    """
    hit, total, left_out = _ranked(relevance, relevant, k)
    gain = 1 / np.log2(np.arange(2, k + 2))
    best = np.cumsum(gain)[np.minimum(total, k) - 1]
    return _query_mean(hit[:, :k] @ gain / best, left_out)


# --- Groupings --------------------------------------------------------------------------------------------------------


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


# --- Inputs and numerics ----------------------------------------------------------------------------------------------


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _pairs_within(sizes: NDArray[np.integer]) -> int:
    return int(np.sum(sizes.astype(np.int64) * (sizes.astype(np.int64) - 1) // 2))


def _check_share(value: float, name: str) -> None:
    if not 0 < value <= 1:
        raise InputError(f"{name} is {value}, and must be above 0 and at most 1.")


def _check_open_share(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}, and must lie between 0 and 1.")


def _boolean(labels: ArrayLike, name: str) -> BoolArray:
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InputError(f"{name} must be one-dimensional, and has the shape {array.shape}.")
    if array.dtype == np.bool_:
        return array
    accepted = (array == 0) | (array == 1) if array.dtype.kind in "iuf" else np.zeros(len(array), dtype=np.bool_)
    if not np.all(accepted):
        raise InputError(f"{name} must be True / False or 1 / 0; one of them is {array[~accepted][0]!r}.")
    return array.astype(np.bool_)


def _scored(score: ArrayLike, labels: ArrayLike, name: str) -> tuple[FloatArray, BoolArray]:
    """Return both as checked arrays (n,), n >= 1; `name` says what the scores are, probabilities lie in [0, 1]."""
    values = np.asarray(score)
    label = _boolean(labels, "labels")
    if values.shape != label.shape:
        raise InputError(f"{name} has the shape {values.shape}, but there are {len(label)} labels.")
    if len(label) == 0:
        raise EmptyInputError(f"There is nothing to measure: {name} and labels are empty.")
    if values.dtype.kind not in "biuf" or not np.all(np.isfinite(values)):
        raise InputError(f"{name} must be finite numbers.")
    values = values.astype(np.float64)
    if name == "probability" and not (values.min() >= 0 and values.max() <= 1):
        raise InputError(f"A probability lies in [0, 1], and these range over [{values.min()}, {values.max()}].")
    return values, label


def _ranked(relevance: ArrayLike, relevant: ArrayLike, k: int) -> tuple[BoolArray, IntArray, int]:
    """Return the rows that have something to find, how much, and how many rows have nothing."""
    table, total = np.asarray(relevance), np.asarray(relevant)
    if table.ndim != 2 or total.shape != table.shape[:1]:
        raise InputError(f"Ranked lists of the shape {table.shape} do not go with {total.size} totals.")
    hit = _boolean(table.ravel(), "relevance").reshape(table.shape)
    if total.dtype.kind not in "iu" or np.any(np.count_nonzero(hit, axis=1) > total):
        raise InputError("`relevant` must be whole numbers, and at least what the ranked list itself holds.")
    if not 1 <= k <= table.shape[1]:
        raise InputError(f"k is {k}, and the ranked lists have {table.shape[1]} items.")
    some = total > 0
    if not np.any(some):
        raise EmptyInputError("No query has a relevant item, so there is nothing to find.")
    return hit[some], total[some].astype(np.int64), int(np.sum(~some))


def _query_mean(values: FloatArray, left_out: int) -> QueryMean:
    return QueryMean(float(values.mean()), len(values), left_out)


def _log_beta_density(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    normaliser = [math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q) for p, q in zip(a.flat, b.flat, strict=True)]
    density: FloatArray = (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - np.reshape(normaliser, a.shape)
    return density


def _beta_fraction(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    """Return the continued fraction of I_x(a, b), for x up to about the mean, by Lentz's recurrence."""
    tiny = 1e-300  # instead of 0, so that the recurrence can divide
    numerator = np.ones_like(x)
    denominator = 1 - (a + b) * x / (a + 1)
    denominator = 1 / np.where(np.abs(denominator) < tiny, tiny, denominator)
    fraction = denominator.copy()
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            denominator = 1 + term * denominator
            denominator = 1 / np.where(np.abs(denominator) < tiny, tiny, denominator)
            numerator = 1 + term / numerator
            numerator = np.where(np.abs(numerator) < tiny, tiny, numerator)
            step = numerator * denominator
            fraction = fraction * step
        if np.all(np.abs(step - 1) < 1e-14):
            break
    return fraction


def _beta_quantile(a: FloatArray, b: FloatArray, chance: float) -> FloatArray:
    """Return x with I_x(a, b) = chance: Newton on the logarithm, inside a bracket that only ever shrinks."""
    low, high = np.zeros_like(a), np.ones_like(a)
    # Wilson's score bound is nearly there already.
    z, total = NormalDist().inv_cdf(chance), a + b
    x = (a / total + z**2 / (2 * total) + z * np.sqrt(a * b / total**3 + (z / (2 * total)) ** 2)) / (1 + z**2 / total)
    for _ in range(200):
        below = regularized_beta(a, b, x)
        low, high = np.where(below < chance, x, low), np.where(below < chance, high, x)
        with np.errstate(all="ignore"):  # far out the tail or the density is 0, and the bracket is halved instead
            step = x - below * np.log(below / chance) / np.exp(_log_beta_density(a, b, x))
        usable = (step >= low) & (step <= high) & (step > 0) & (step < 1)  # false for nan
        following = np.where(usable, step, (low + high) / 2)
        if np.all(np.abs(following - x) <= 1e-11 * x):
            return following
        x = following
    return x
