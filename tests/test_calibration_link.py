"""Probabilities rise with similarity, and are those of the most likely logistic curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_similarities import TIED, draw, fitted, properties
from sklearn.linear_model import LogisticRegression

from dupdetect.calibration import Calibration
from dupdetect.metrics import expected_calibration_error


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
    assert calibration.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-3)
    assert calibration.intercept == pytest.approx(oracle.intercept_[0], rel=1e-3)


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
    assert calibration.slope == 0
    assert calibration.probability([0.0, 1.0]).tolist() == pytest.approx([0.5, 0.5])
