"""Probabilities rise with similarity, and are those of the most likely logistic or, where better, rising curve."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_similarities import TIED, draw, fitted, properties
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from dupdetect.calibration import Calibration, CalibrationSample
from dupdetect.calibration.link import (
    FEWEST_FOR_ISOTONIC,
    Isotonic,
    Logistic,
    best_link,
    isotonic_link,
    link_from_dict,
    link_to_dict,
    log_odds,
    pooled,
)
from dupdetect.errors import ArtifactError, InputError
from dupdetect.metrics import expected_calibration_error, log_loss


@pytest.mark.parametrize("seed", range(5))
def test_the_link_agrees_with_scikit_learn(seed):
    similarity, label, _ = draw(seed, 500)
    calibration = Calibration.fit(similarity, label, encoder="e1")
    positives, negatives = label.sum(), (~label).sum()
    target = np.where(label, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # Each pair stands twice, as a duplicate and as none, weighted by Platt's target.
    oracle = LogisticRegression(C=1e10, tol=1e-10, max_iter=10_000).fit(
        np.concatenate([similarity, similarity]).astype(np.float64)[:, None],
        np.repeat([1, 0], len(label)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    assert calibration.link.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-3)
    assert calibration.link.intercept == pytest.approx(oracle.intercept_[0], rel=1e-3)


def test_probabilities_are_calibrated_on_fresh_pairs():
    similarity, label, _ = draw(1, 20_000)
    assert expected_calibration_error(fitted(pairs=5000).probability(similarity), label) < 0.03


@properties
@given(TIED, st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_probability_never_falls_as_similarity_rises(pairs, similarity):
    chance = Calibration.fit(*pairs, encoder="e1").probability(np.sort(similarity))
    assert np.all(np.diff(chance) >= -1e-15)
    assert np.all((chance > 0) & (chance < 1))


def test_separable_labels_give_a_finite_slope():
    similarity = np.repeat([1.0, 0.0], 30)
    calibration = Calibration.fit(similarity, similarity > 0, encoder="e1")
    assert calibration.probability([1.0, 0.0]).tolist() == pytest.approx([31 / 32, 1 / 32])
    assert 0 < calibration.probability(-1e9) < calibration.probability(1e9) < 1


@pytest.mark.parametrize("similarity", [np.repeat([0.2, 0.8], 30), np.full(60, 0.5)])
def test_a_similarity_that_says_nothing_gives_a_flat_link(similarity):
    calibration = Calibration.fit(similarity, np.repeat([True, False], 30), encoder="e1")
    assert calibration.link.slope == 0
    assert calibration.probability([0.0, 1.0]).tolist() == pytest.approx([0.5, 0.5])


# The isotonic curve


def stepped(seed, pairs):
    """Pairs of which hardly any is a duplicate up to 0.5, half are up to 0.8, and nearly all above."""
    generator = np.random.default_rng(seed)
    similarity = generator.uniform(0, 1, pairs).astype(np.float32)
    chance = np.select([similarity < 0.5, similarity < 0.8], [0.02, 0.5], 0.97)
    return similarity, generator.random(pairs) < chance


@properties
@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0, 1)), min_size=1, max_size=40))
def test_pooling_agrees_with_scikit_learn(cuts):
    pairs = np.array([size for size, _ in cuts])
    duplicates = np.round([size * share for size, share in cuts])
    score = np.arange(len(cuts), dtype=float)
    share, centre = pooled(duplicates, pairs, score * pairs)
    oracle = IsotonicRegression().fit_transform(score, duplicates / pairs, sample_weight=pairs)
    blocks, first = np.unique(np.round(oracle, 9), return_index=True)
    assert share == pytest.approx(blocks)
    inside = [slice(*ends) for ends in zip(first, [*first[1:], None], strict=True)]
    assert centre == pytest.approx([np.average(score[rows], weights=pairs[rows]) for rows in inside])


@properties
@given(TIED, st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_the_isotonic_curve_never_falls_or_reaches_certainty(pairs, similarity):
    link = isotonic_link(CalibrationSample.of(*pairs))
    assert np.all(np.diff(link.log_odds(np.sort(similarity))) >= -1e-12)
    assert np.all(np.isfinite(link.values))


def test_the_ends_of_the_isotonic_curve_stay_clear_of_certainty():
    link = isotonic_link(CalibrationSample.of(np.repeat([0.9, 0.1], [30, 50]), np.arange(80) < 30))
    assert link.scores == pytest.approx((0.1, 0.9))
    assert link.values == pytest.approx((log_odds(1 / 51), log_odds(30 / 31)))
    alone = isotonic_link(CalibrationSample.of(np.full(60, 0.5), np.arange(60) < 20))
    assert alone.values == pytest.approx((log_odds(21 / 62),))


def test_the_curve_that_fits_fresh_pairs_better_is_kept():
    similarity, label = stepped(0, 3000)
    assert isinstance(best_link(CalibrationSample.of(similarity, label)), Isotonic)
    assert isinstance(best_link(CalibrationSample.of(*draw(0, 3000)[:2])), Logistic)
    fresh, truth = stepped(1, 20_000)
    few = slice(FEWEST_FOR_ISOTONIC - 1)
    smaller = Calibration.fit(similarity[few], label[few], encoder="e1")
    larger = Calibration.fit(similarity, label, encoder="e1")
    assert isinstance(smaller.link, Logistic)
    assert log_loss(larger.probability(fresh), truth) < log_loss(smaller.probability(fresh), truth) - 0.02
    by_kind = [expected_calibration_error(kind.probability(fresh), truth) for kind in (larger, smaller)]
    assert by_kind[0] < 0.03 < 0.06 < by_kind[1]


@pytest.mark.parametrize("apart", [0, 5])
def test_pairs_that_all_hang_together_can_hold_nothing_out(apart):
    similarity, label = stepped(0, 3000)
    similarity[:apart] = -np.inf  # never accepted, each in a group of its own
    group = np.zeros(3000, int)
    group[:apart] = np.arange(apart) + 1
    sample = CalibrationSample.of(similarity, label, group)
    assert isinstance(best_link(sample), Logistic)
    calibration = Calibration.fit(similarity, label, encoder="e1", groups=group)
    assert calibration.summary()["expected_calibration_error"] == {"value": None, "low": 0.0, "high": 1.0}


def test_neither_the_order_of_rows_nor_the_names_of_groups_matter():
    similarity, label = stepped(0, 1500)
    similarity = np.round(similarity, 2)
    group = np.random.default_rng(2).integers(0, 400, len(label))
    one = Calibration.fit(similarity, label, encoder="e1", groups=group)
    order = np.random.default_rng(1).permutation(len(label))
    renamed = np.random.default_rng(3).permutation(400)[group]
    other = Calibration.fit(similarity[order], label[order], encoder="e1", groups=renamed[order])
    assert isinstance(one.link, Isotonic)
    assert one == other
    assert one.summary() == other.summary()


@pytest.mark.parametrize("made", [draw(0, 3000)[:2], stepped(0, 3000)])
def test_another_prevalence_shifts_the_log_odds_of_either_curve(made):
    calibration = Calibration.fit(*made, encoder="e1")
    shifted = calibration.at(prevalence=0.01)
    similarity = np.linspace(-1, 1, 50)
    by = log_odds(0.01) - log_odds(calibration.prevalence)
    chances = calibration.probability(similarity), shifted.probability(similarity)
    before, after = (np.log(chance) - np.log1p(-chance) for chance in chances)
    assert after - before == pytest.approx(np.full(50, by))
    assert shifted.probability([-np.inf, 0.5])[0] == 0


@pytest.mark.parametrize(
    "link", [Logistic(9.5, -6.0), Isotonic((-0.1, 0.5, 0.9), (-5.0, 0.0, 0.0)), Isotonic((0.1,), (2,))]
)
def test_a_link_survives_json(link):
    assert link_from_dict(json.loads(json.dumps(link_to_dict(link)))) == link


def test_a_logistic_link_is_written_as_it_always_was():
    assert link_to_dict(Logistic(9.5, -6.0)) == {"link": "logistic", "slope": 9.5, "intercept": -6.0}


@pytest.mark.parametrize(
    ("scores", "values"),
    [((), ()), ((0.1,), (1.0, 2.0)), ((0.2, 0.1), (1.0, 2.0)), ((0.1, 0.1), (1.0, 2.0)), ((0.1, 0.2), (2.0, 1.0)),
     ((0.1, np.nan), (1.0, 2.0)), ((0.1,), (np.inf,)), (("0.1",), (1.0,))],
)  # fmt: skip
def test_knots_that_do_not_rise_are_refused(scores, values):
    with pytest.raises(InputError):
        Isotonic(scores, values)


def test_an_unknown_link_is_refused():
    with pytest.raises(ArtifactError, match="'spline' is not known here"):
        link_from_dict({"link": "spline"})


def test_a_label_counts_once_whatever_it_weighs():
    score, label, _ = draw(0, 200)
    repeats = np.where(score < 0.5, 30, 1)
    group = np.repeat(np.arange(200), repeats)
    weighted = CalibrationSample.of(np.repeat(score, repeats), np.repeat(label, repeats), group, label_count=200)
    link, once = best_link(weighted), best_link(CalibrationSample.of(score, label, np.arange(200)))
    assert isinstance(link, Logistic)
    assert isinstance(once, Logistic)
    assert (link.slope, link.intercept) == pytest.approx((once.slope, once.intercept))


@pytest.mark.parametrize("seed", range(6))
def test_what_a_label_weighs_does_not_choose_the_curve_either(seed):
    score, label, _ = draw(seed, 1500)
    repeats = np.where(score < 0.5, 40, 1)
    group = np.repeat(np.arange(1500), repeats)
    weighted = CalibrationSample.of(np.repeat(score, repeats), np.repeat(label, repeats), group, label_count=1500)
    link, once = best_link(weighted), best_link(weighted.at(weighted.once))
    assert type(link) is type(once)


def test_pairs_that_are_never_accepted_do_not_count_for_a_trial_of_the_isotonic_curve(monkeypatch):
    monkeypatch.setattr("dupdetect.calibration.link._loss", lambda fit, _: 0.0 if fit is isotonic_link else 1.0)
    score, label, _ = draw(0, 1200)
    assert isinstance(best_link(CalibrationSample.of(score, label)), Isotonic)
    assert isinstance(best_link(CalibrationSample.of(np.where(np.arange(1200) < 400, -np.inf, score), label)), Logistic)
