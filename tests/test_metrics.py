"""Every number against scikit-learn or brute force, and unchanged by the order of the rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


def test_pairs_that_no_threshold_accepts_make_no_cut_and_stay_missed():
    similarity, label = [0.9, -math.inf, 0.4, 0.4, -math.inf, -math.inf], [1, 1, 0, 1, 1, 0]
    cuts = metrics.curve(similarity, label)
    assert cuts.threshold.tolist() == [0.9, 0.4]
    assert cuts.recall.tolist() == [0.25, 0.5]
    assert cuts.false_positive_rate.tolist() == [0, 0.5]
    assert metrics.best_f1(cuts) == (pytest.approx(4 / 7), 0.4)
    assert metrics.recall_at_precision(cuts, 0.5) == 0.5
    assert metrics.average_precision(cuts) == pytest.approx(0.25 + 0.25 * 2 / 3)
    # In a ranking they stand last, all equal.
    assert metrics.roc_auc(cuts) == pytest.approx(oracle.roc_auc_score(label, np.maximum(similarity, -9)))
    assert metrics.counts_at(similarity, label, -1.0).recall == 0.5


def test_where_no_threshold_accepts_anything_there_is_no_best_one():
    cuts = metrics.curve([-math.inf, -math.inf], [1, 0])
    f1, threshold = metrics.best_f1(cuts)
    assert f1 == 0
    assert math.isnan(threshold)
    assert (metrics.average_precision(cuts), metrics.recall_at_precision(cuts, 0.5), metrics.roc_auc(cuts)) == (
        0,
        0,
        0.5,
    )


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


def test_every_public_name_exists_and_is_documented():
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__


def test_labels_may_be_objects_that_are_true_or_false():
    score = [0.1, 0.4, 0.2, 0.9]
    expected = metrics.average_precision(metrics.curve(score, [False, True, False, True]))
    for labels in ([False, True, False, True], [0, True, np.False_, 1.0]):
        assert metrics.average_precision(metrics.curve(score, np.array(labels, dtype=object))) == expected
    for labels in ([False, True, None, True], ["0", "1", "0", "1"], [0, 1, 2, 1], [0, 1, float("nan"), 1]):
        with pytest.raises(InputError, match="True / False or 1 / 0"):
            metrics.curve(score, np.array(labels, dtype=object))


def test_groups_may_have_names_and_any_numbers():
    hit = [True, False, True, True, False, True]
    expected = metrics.design_effect(hit, [0, 0, 1, 1, 2, 2])
    assert metrics.design_effect(hit, ["x", "x", "a", "a", "b", "b"]) == expected
    assert metrics.design_effect(hit, [-1, -1, 10**12, 10**12, 5, 5]) == expected
