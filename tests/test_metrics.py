"""Every number against scikit-learn, SciPy or brute force, and unchanged by the order of the rows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics as oracle

from dupdetect import metrics
from dupdetect.errors import EmptyInputError, InputError

properties = settings(max_examples=40, deadline=None)  # machines differ in speed

# Few distinct values, so that most examples have heavy ties.
TIED = st.lists(st.tuples(st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(label for _, label in rows) < len(rows)
)


def columns(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in rows]), np.array([label for _, label in rows])


# Pairs


def test_curve_cuts_between_distinct_values_only():
    cuts = metrics.curve([0.9, 0.8, 0.8, 0.1], [1, 1, 0, 0])
    assert cuts.threshold.tolist() == [0.9, 0.8, 0.1]
    assert cuts.true_positives.tolist() == [1, 2, 2]
    assert cuts.false_positives.tolist() == [0, 1, 2]
    assert (cuts.positives, cuts.negatives) == (2, 2)
    assert cuts.precision.tolist() == [1, 2 / 3, 0.5]
    assert cuts.recall.tolist() == [0.5, 1, 1]
    assert cuts.false_positive_rate.tolist() == [0, 0.5, 1]


@properties
@given(TIED)
def test_curve_measures_agree_with_scikit_learn(rows):
    score, label = columns(rows)
    cuts = metrics.curve(score, label)
    assert metrics.average_precision(cuts) == pytest.approx(oracle.average_precision_score(label, score))
    assert metrics.roc_auc(cuts) == pytest.approx(oracle.roc_auc_score(label, score))
    for threshold, precision, recall, f1 in zip(cuts.threshold, cuts.precision, cuts.recall, cuts.f1, strict=True):
        predicted = score >= threshold
        assert precision == pytest.approx(oracle.precision_score(label, predicted, zero_division=0))
        assert recall == pytest.approx(oracle.recall_score(label, predicted))
        assert f1 == pytest.approx(oracle.f1_score(label, predicted))
        counts = metrics.counts_at(score, label, threshold)
        assert (counts.precision, counts.recall, counts.f1) == (precision, recall, f1)
        assert metrics.accuracy(score, label, threshold) == pytest.approx(oracle.accuracy_score(label, predicted))


@properties
@given(TIED)
def test_best_f1_is_attained_and_its_threshold_is_the_highest(rows):
    score, label = columns(rows)
    value, threshold = metrics.best_f1(metrics.curve(score, label))
    by_threshold = {t: metrics.counts_at(score, label, t).f1 for t in set(score.tolist())}
    assert value == max(by_threshold.values())
    assert threshold == max(t for t, f1 in by_threshold.items() if f1 == value)


@properties
@given(TIED, st.floats(0.05, 1))
def test_recall_at_precision_is_the_best_there_is(rows, precision):
    score, label = columns(rows)
    counts = [metrics.counts_at(score, label, t) for t in set(score.tolist())]
    expected = max((c.recall for c in counts if c.precision >= precision), default=0.0)
    assert metrics.recall_at_precision(metrics.curve(score, label), precision) == expected


@properties
@given(TIED, st.randoms())
def test_the_order_of_rows_changes_nothing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    for measure in (metrics.average_precision, metrics.roc_auc, metrics.best_f1):
        assert measure(metrics.curve(*columns(rows))) == measure(metrics.curve(*columns(shuffled)))
    chances = [((score + 1) / 2, label) for score, label in rows]
    random.shuffle(shuffled := list(chances))
    assert metrics.expected_calibration_error(*columns(chances), bins=4) == pytest.approx(
        metrics.expected_calibration_error(*columns(shuffled), bins=4)
    )


def test_ratios_of_nothing_are_nan():
    counts = metrics.counts_at([0.1, 0.2], [1, 0], 0.9)
    assert math.isnan(counts.precision)
    assert (counts.recall, counts.f1) == (0.0, 0.0)
    assert math.isnan(metrics.PairCounts(0, 0, 0).f1)


@pytest.mark.parametrize(
    ("similarity", "labels", "message"),
    [
        ([0.1, 0.2], [1], "but there are 1 labels"),
        ([0.1, math.nan], [1, 0], "finite"),
        ([0.1, 0.2], [1, 2], "True / False or 1 / 0"),
        ([0.1, 0.2], ["yes", "no"], "True / False or 1 / 0"),
        ([0.1, 0.2], [1, 1], "All 2 pairs are labelled a duplicate"),
        ([0.1, 0.2], [0, 0], "All 2 pairs are labelled not a duplicate"),
        ([[0.1, 0.2]], [1, 0], "has the shape"),
        ([0.1, 0.2], [[1, 0]], "one-dimensional"),
        (["a", "b"], [1, 0], "finite numbers"),
    ],
)
def test_curve_refuses(similarity, labels, message):
    with pytest.raises(InputError, match=message):
        metrics.curve(similarity, labels)


def test_empty_input_is_refused():
    for measure in (metrics.curve, metrics.log_loss, metrics.pair_counts):
        with pytest.raises(EmptyInputError):
            measure([], [])
    with pytest.raises(EmptyInputError):
        metrics.bootstrap_interval(len, [], seed=0)


# Probabilities


@properties
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_probability_scores_agree_with_scikit_learn(rows):
    chance, label = columns(rows)
    assert metrics.log_loss(chance, label) == pytest.approx(oracle.log_loss(label, chance, labels=[False, True]))
    assert metrics.brier_score(chance, label) == pytest.approx(np.mean((chance - label) ** 2))
    assert 0 <= metrics.expected_calibration_error(chance, label) <= 1


def test_expected_calibration_error_by_hand():
    chance, label = [0.1, 0.2, 0.8, 0.9], [0, 1, 1, 1]
    assert metrics.expected_calibration_error(chance, label, bins=2) == pytest.approx((0.35 + 0.15) / 2)
    assert metrics.expected_calibration_error(chance, label, bins=1) == pytest.approx(0.25)
    # Ties share a bin, so that the order of rows cannot matter.
    assert metrics.expected_calibration_error([0.5] * 4, [0, 0, 1, 1], bins=2) == 0


def test_expected_calibration_error_is_small_for_calibrated_probabilities():
    generator = np.random.default_rng(0)
    chance = generator.random(50_000)
    label = generator.random(50_000) < chance
    assert metrics.expected_calibration_error(chance, label) < 0.01
    assert metrics.expected_calibration_error(chance**2, label) > 0.1


def test_probabilities_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"range over \[-0.5, 1.0\]"):
        metrics.log_loss([-0.5, 1.0], [0, 1])


# Intervals


def test_regularized_beta_agrees_with_scipy():
    generator = np.random.default_rng(0)
    a, b, x = generator.uniform(0.1, 500, 2000), generator.uniform(0.1, 500, 2000), generator.random(2000)
    np.testing.assert_allclose(metrics.regularized_beta(a, b, x), special.betainc(a, b, x), atol=1e-11)
    assert metrics.regularized_beta(2, 3, [0, 1]).tolist() == [0, 1]


@pytest.mark.parametrize("trials", [1, 2, 59, 1000, 10**6])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.9999])
def test_clopper_pearson_agrees_with_scipy(trials, confidence):
    successes = np.unique([0, 1, trials // 3, trials // 2, int(0.95 * trials), trials - 1, trials])
    low = metrics.clopper_pearson_lower(successes, trials, confidence=confidence)
    high = metrics.clopper_pearson_upper(successes, trials, confidence=confidence)
    some, not_all = successes > 0, successes < trials
    expected_low = stats.beta.ppf(1 - confidence, successes[some], trials - successes[some] + 1)
    expected_high = stats.beta.ppf(confidence, successes[not_all] + 1, trials - successes[not_all])
    np.testing.assert_allclose(low[some], expected_low, rtol=0, atol=1e-9)
    np.testing.assert_allclose(high[not_all], expected_high, rtol=0, atol=1e-9)
    assert np.all(low[~some] == 0)
    assert np.all(high[~not_all] == 1)


def test_clopper_pearson_is_the_exact_interval_of_scipy():
    for successes, trials in [(0, 10), (10, 10), (3, 17), (950, 1000)]:
        expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
        assert metrics.clopper_pearson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-10)


def test_59_labels_without_an_error_certify_95_percent():
    assert metrics.clopper_pearson_lower(59, 59) >= 0.95 > metrics.clopper_pearson_lower(58, 58)
    assert metrics.clopper_pearson_lower(299, 299) >= 0.99 > metrics.clopper_pearson_lower(298, 298)


def test_effective_counts_may_be_fractions():
    expected = stats.beta.ppf(0.05, 9.5, 11.25 - 9.5 + 1)
    assert float(metrics.clopper_pearson_lower(9.5, 11.25)) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(successes, trials):
    with pytest.raises(InputError, match="exact interval"):
        metrics.clopper_pearson(successes, trials)


@properties
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_design_effect_is_1_for_independent_pairs(successes):
    assert metrics.design_effect(successes, range(len(successes))) == 1


def test_design_effect_of_groups_that_succeed_or_fail_as_one_is_their_size():
    generator = np.random.default_rng(0)
    successes = np.repeat(generator.random(500) < 0.7, 4)
    assert metrics.design_effect(successes, np.repeat(np.arange(500), 4)) == pytest.approx(4, abs=0.05)
    # Without a failure nobody knows, so each group counts once.
    assert metrics.design_effect([True] * 12, np.repeat([0, 1, 2], 4)) == pytest.approx(4)


def test_design_effect_of_groups_that_do_not_matter_is_about_1():
    successes = np.random.default_rng(0).random(4000) < 0.7
    assert metrics.design_effect(successes, np.repeat(np.arange(1000), 4)) == pytest.approx(1, abs=0.1)


def test_bootstrap_of_a_mean_agrees_with_scipy():
    values = np.random.default_rng(1).normal(size=200)
    interval = metrics.bootstrap_interval(
        lambda rows: float(values[rows].mean()), np.arange(200), seed=3, resamples=4000
    )
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, random_state=np.random.default_rng(4)
    ).confidence_interval
    assert interval == pytest.approx((expected.low, expected.high), abs=0.02)


def test_bootstrap_draws_whole_groups_with_all_their_rows():
    groups = np.array(["b", "a", "b", "c", "a", "b"])

    def whole(rows):
        for group in "abc":
            members = np.flatnonzero(groups == group)
            times = [int(np.sum(rows == member)) for member in members]
            assert len(set(times)) == 1
        return float(len(rows))

    low, high = metrics.bootstrap_interval(whole, groups, seed=0, resamples=200)
    assert 3 <= low <= high <= 9


def test_bootstrap_is_wider_when_rows_depend_on_each_other_and_repeats_with_its_seed():
    values = np.repeat(np.random.default_rng(1).normal(size=50), 10)

    def mean(rows):
        return float(values[rows].mean())

    grouped = metrics.bootstrap_interval(mean, np.repeat(np.arange(50), 10), seed=0)
    single = metrics.bootstrap_interval(mean, np.arange(500), seed=0)
    assert grouped[1] - grouped[0] > 2 * (single[1] - single[0])
    assert grouped == metrics.bootstrap_interval(mean, np.repeat(np.arange(50), 10), seed=0)


def test_bootstrap_refuses_a_statistic_that_is_mostly_undefined():
    label = np.array([True, False, False, False])
    score = np.arange(4.0)
    with pytest.raises(InputError, match="too few groups"):
        metrics.bootstrap_interval(
            lambda rows: metrics.roc_auc(metrics.curve(score[rows], label[rows])), np.arange(4), seed=0
        )


# Rankings

RANKED = st.integers(1, 6).flatmap(
    lambda depth: st.lists(
        st.tuples(st.lists(st.booleans(), min_size=depth, max_size=depth), st.integers(0, 3)), min_size=1, max_size=8
    )
)


@properties
@given(RANKED, st.integers(1, 6))
def test_ranking_metrics_agree_with_their_definitions(rows, k):
    relevance = np.array([row for row, _ in rows])
    relevant = np.array([sum(row) + unlisted for row, unlisted in rows])
    k = min(k, relevance.shape[1])
    if not relevant.any():
        with pytest.raises(EmptyInputError, match="No query"):
            metrics.recall_at_k(relevance, relevant, k)
        return
    queries = [(row, total) for row, total in zip(relevance.tolist(), relevant.tolist(), strict=True) if total]

    def mean(per_query):
        return pytest.approx(np.mean([per_query(row, total) for row, total in queries]))

    def ideal(total):
        return sum(1 / math.log2(rank + 2) for rank in range(min(total, k)))

    recall = metrics.recall_at_k(relevance, relevant, k)
    assert (recall.queries, recall.left_out) == (len(queries), len(rows) - len(queries))
    assert recall.value == mean(lambda row, total: sum(row[:k]) / total)
    assert metrics.mean_reciprocal_rank(relevance, relevant).value == mean(
        lambda row, _: next((1 / (rank + 1) for rank, hit in enumerate(row) if hit), 0)
    )
    assert metrics.mean_average_precision(relevance, relevant).value == mean(
        lambda row, total: sum(sum(row[: rank + 1]) / (rank + 1) for rank, hit in enumerate(row) if hit) / total
    )
    assert metrics.ndcg_at_k(relevance, relevant, k).value == mean(
        lambda row, total: sum(hit / math.log2(rank + 2) for rank, hit in enumerate(row[:k])) / ideal(total)
    )


def test_ranking_metrics_agree_with_scikit_learn_on_complete_lists():
    generator = np.random.default_rng(0)
    relevance = generator.random((30, 12)) < 0.3
    relevance[:, 5] = True
    order = np.tile(np.arange(12, 0, -1), (30, 1))
    total = relevance.sum(axis=1)
    assert metrics.ndcg_at_k(relevance, total, 7).value == pytest.approx(oracle.ndcg_score(relevance, order, k=7))
    assert metrics.mean_average_precision(relevance, total).value == pytest.approx(
        oracle.label_ranking_average_precision_score(relevance, order)
    )


@pytest.mark.parametrize(
    ("relevance", "relevant", "k", "message"),
    [
        ([True, False], [1], 1, "shape"),
        ([[True, False]], [1, 1], 1, "do not go with 2 totals"),
        ([[True, True]], [1], 1, "at least what the ranked list"),
        ([[True, False]], [1.5], 1, "whole numbers"),
        ([[True, False]], [1], 3, "k is 3"),
        ([[True, False]], [1], 0, "k is 0"),
    ],
)
def test_ranking_metrics_refuse(relevance, relevant, k, message):
    with pytest.raises(InputError, match=message):
        metrics.ndcg_at_k(relevance, relevant, k)


# Groupings


@properties
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc")), min_size=1, max_size=25))
def test_pair_counts_agree_with_counting_every_pair(rows):
    predicted, gold = [p for p, _ in rows], [g for _, g in rows]
    counts = metrics.pair_counts(predicted, gold)
    both = list(itertools.combinations(rows, 2))
    assert counts.true_positives == sum(a == b for a, b in both)
    assert counts.true_positives + counts.false_positives == sum(a[0] == b[0] for a, b in both)
    assert counts.true_positives + counts.false_negatives == sum(a[1] == b[1] for a, b in both)
    (_, wrong), (missed, right) = oracle.cluster.pair_confusion_matrix(gold, predicted)
    ordered = 2 * counts.false_positives, 2 * counts.false_negatives, 2 * counts.true_positives
    assert ordered == (wrong, missed, right)


def test_pair_counts_of_many_items_take_no_square():
    items = np.arange(1_000_000)
    counts = metrics.pair_counts(items // 2, items // 4)
    assert counts == metrics.PairCounts(500_000, 0, 1_000_000)
    assert counts.precision == 1
    assert counts.recall == pytest.approx(1 / 3)
    one = metrics.pair_counts(np.zeros(1_000_000, dtype=int), np.zeros(1_000_000, dtype=int))
    assert one.true_positives == 1_000_000 * 999_999 // 2


@properties
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_renaming_groups_changes_no_count(groups):
    names = [f"group {7 - g}" for g in groups]
    assert metrics.pair_counts(groups, names).f1 == pytest.approx(metrics.pair_counts(groups, groups).f1, nan_ok=True)


def test_pair_counts_refuses_groupings_of_different_items():
    with pytest.raises(InputError, match="not of 2 and 1 items"):
        metrics.pair_counts([1, 2], [1])


def test_every_public_name_exists_and_is_documented():
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__
