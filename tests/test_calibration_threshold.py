"""The threshold attains what it reports, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_similarities import TIED, draw, fitted, properties

from dupdetect.calibration import Calibration, EstimatedPrecision, MaxF1, MinPrecision, MinRecall
from dupdetect.errors import CalibrationError, InputError
from dupdetect.metrics import counts_at


@properties
@given(TIED)
def test_max_f1_attains_the_best_f1_there_is_under_heavy_ties(pairs):
    similarity, label = pairs
    calibration = Calibration.fit(similarity, label, encoder="e1")
    single = similarity.astype(np.float32)
    by_cut = {float(t): counts_at(single, label, t).f1 for t in np.unique(single)}
    attained = counts_at(single, label, calibration.threshold).f1
    assert attained == max(by_cut.values())
    assert calibration.summary()["f1"]["value"] == pytest.approx(attained)
    # Where several are equally good, the most careful one.
    assert np.sum(calibration.accepts(single)) == min(np.sum(single >= t) for t, f1 in by_cut.items() if f1 == attained)


@properties
@given(TIED, st.floats(0.01, 1))
def test_min_recall_is_the_highest_threshold_with_that_recall(pairs, recall):
    similarity, label = pairs
    calibration = Calibration.fit(similarity, label, encoder="e1", criterion=MinRecall(recall))
    single = similarity.astype(np.float32)
    assert counts_at(single, label, calibration.threshold).recall >= recall
    higher = single[single > single[calibration.accepts(single)].min()]
    assert len(higher) == 0 or counts_at(single, label, higher.min()).recall < recall


@properties
@given(TIED, st.sampled_from([MaxF1(), MinRecall(0.5), MinRecall(1.0)]))
def test_the_threshold_stands_clear_of_the_similarities(pairs, criterion):
    similarity, label = pairs
    threshold = Calibration.fit(similarity, label, encoder="e1", criterion=criterion).threshold
    assert threshold == np.float32(threshold)
    distance = np.abs(np.unique(similarity.astype(np.float32)) - threshold)
    assert distance.min() > 0.004 or threshold == np.float32(similarity.min())


def test_neighbouring_float32_similarities_are_still_told_apart():
    high = np.float32(0.75)
    low = np.nextafter(high, np.float32(0))
    similarity = np.repeat(np.array([high, low]), 30)
    calibration = Calibration.fit(similarity, np.repeat([True, False], 30), encoder="e1")
    assert calibration.accepts(similarity).tolist() == [True] * 30 + [False] * 30
    # The same in single precision, as NumPy compares float32 with a Python number.
    assert (similarity >= calibration.threshold).tolist() == [True] * 30 + [False] * 30


@properties
@given(TIED, st.randoms(use_true_random=False), st.sampled_from([MaxF1(), MinRecall(0.6)]))
def test_the_order_of_rows_changes_nothing(pairs, random, criterion):
    similarity, label = pairs
    group = np.arange(len(label)) // 3
    order = list(range(len(label)))
    random.shuffle(order)
    one = Calibration.fit(similarity, label, encoder="e1", criterion=criterion, groups=group)
    other = Calibration.fit(similarity[order], label[order], encoder="e1", criterion=criterion, groups=group[order])
    assert one == other
    assert one.summary() == other.summary()


def test_the_order_of_rows_changes_no_certificate():
    similarity, label, group = draw(0, 3000, mean_size=3, spread=1.0)
    order = np.random.default_rng(1).permutation(len(label))
    one = Calibration.fit(similarity, label, encoder="e1", criterion=MinPrecision(0.75), groups=group)
    names = np.array([f"g{g}" for g in group])
    other = Calibration.fit(
        similarity[order], label[order], encoder="e1", criterion=MinPrecision(0.75), groups=names[order]
    )
    assert one.threshold == other.threshold


def test_more_pairs_on_existing_ties_move_the_threshold_only_between_cuts():
    similarity, label = np.repeat([0.9, 0.7, 0.5, 0.3], 25), np.repeat([True, True, False, False], 25)
    before = Calibration.fit(similarity, label, encoder="e1")
    after = Calibration.fit(np.append(similarity, [0.7] * 10), np.append(label, [False] * 10), encoder="e1")
    assert before.threshold == after.threshold == np.float32(0.6)


@properties
@given(st.integers(0, 50), st.floats(0.05, 0.999), st.integers(0, 2**32 - 1))
def test_an_estimated_precision_takes_as_many_pairs_as_it_can(size, precision, seed):
    calibration = fitted()
    generator = np.random.default_rng(seed)
    scores = np.round(generator.uniform(calibration.threshold, 1, size), 2).astype(np.float32)  # ties
    scores = scores[scores >= calibration.threshold]
    found = calibration.estimated(scores, precision)
    assert found.criterion == EstimatedPrecision(precision)
    if not len(scores):
        assert found.threshold == calibration.surely(precision).threshold
    assert found.threshold >= calibration.threshold
    accepted = scores >= found.threshold
    chance = calibration.probability(scores)
    assert not accepted.any() or chance[accepted].mean() >= precision
    lower = scores[~accepted]
    assert not len(lower) or chance[scores >= lower.max()].mean() < precision
    again = calibration.estimated(generator.permutation(scores), precision)
    assert again.threshold == found.threshold


@properties
@given(st.floats(0.01, 0.999), st.floats(-0.2, 0.9))
def test_every_pair_is_likely_from_the_lowest_cosine_on(precision, threshold):
    calibration = fitted().at(threshold=threshold)
    found = calibration.surely(precision)
    assert found.criterion == EstimatedPrecision(precision)
    assert found.threshold >= threshold
    if found.threshold > 1:
        assert calibration.probability(1.0) < precision
        return
    assert calibration.probability(found.threshold) >= precision
    below = np.nextafter(found.threshold, -2)
    assert below < threshold or calibration.probability(below) < precision


def test_an_estimated_precision_is_for_a_file():
    calibration = fitted()
    found = calibration.estimated(np.array([0.9], dtype=np.float32), 0.5)
    assert "That is no certificate" in found.promise()
    with pytest.raises(CalibrationError, match="reached on the pairs of a file"):
        found.at(prevalence=0.01)
    with pytest.raises(InputError, match="estimated_precision"):
        calibration.estimated([], 1.5)
    with pytest.raises(InputError, match="For all pairs that reach the threshold pass estimated_precision=None"):
        calibration.estimated([], 0)
    with pytest.raises(InputError, match=r"never reached. Ask for less, such as 0\.99"):
        calibration.estimated([], 1)
    assert found.probability([0.7]).tolist() == calibration.probability([0.7]).tolist()
