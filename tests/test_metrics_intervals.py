"""Bounds and intervals against SciPy, and whole groups drawn together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from dupdetect import metrics
from dupdetect.errors import InputError

properties = settings(max_examples=40, deadline=None)  # machines differ in speed


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


@pytest.mark.parametrize("sizes", [[1] * 120 + [120], [10] * 80 + [200] * 20])
def test_a_few_large_groups_that_succeed_do_not_count_as_many(sizes):
    """Kish 1965: n^2 / sum size^2 is what groups of such sizes are worth, if each succeeds or fails as one."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    worth = len(group) / metrics.design_effect([True] * len(group), group)
    assert worth == pytest.approx(len(group) ** 2 / np.sum(np.square(sizes)))


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


def test_several_intervals_from_the_same_resamples_are_those_of_each_alone():
    random = np.random.default_rng(0)
    values, groups = random.random(60), np.arange(60) // 3

    def both(rows):
        return [float(values[rows].mean()), float(np.median(values[rows]))]

    together = metrics.bootstrap_intervals(both, groups, seed=4)
    alone = [metrics.bootstrap_interval(lambda rows, i=i: both(rows)[i], groups, seed=4) for i in (0, 1)]
    assert together == alone


def test_an_interval_that_is_not_defined_does_not_cost_the_others():
    mean, undefined = metrics.bootstrap_intervals(
        lambda rows: [float(rows.mean()), np.nan], np.arange(20), seed=0, resamples=100
    )
    assert 0 < mean[0] < mean[1] < 19
    assert np.isnan(undefined).all()


def test_bootstrap_refuses_a_statistic_that_is_mostly_undefined():
    label = np.array([True, False, False, False])
    score = np.arange(4.0)
    with pytest.raises(InputError, match="too few groups"):
        metrics.bootstrap_interval(
            lambda rows: metrics.roc_auc(metrics.curve(score[rows], label[rows])), np.arange(4), seed=0
        )
