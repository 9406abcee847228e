"""Certificates hold over repeated draws, and a refusal says what would do."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_similarities import GROUPED, draw, fitted, population

from dupdetect.calibration import Calibration, CalibrationSample, MinPrecision
from dupdetect.calibration.threshold import choose_threshold
from dupdetect.errors import UnreachableCriterionError
from dupdetect.metrics import curve


def simulate(resamples, pairs, precision, *, use_groups=True, **options):
    """Return the shares of wrong certificates and of refusals, and the mean recall over that of the oracle."""
    true_precision, true_recall, cuts = population(**options)
    oracle = float(np.max(cuts.recall[1000:], where=cuts.precision[1000:] >= precision, initial=0))
    wrong, recall = 0, []
    for seed in range(resamples):
        similarity, label, group = draw(seed, pairs, **options)
        sample = CalibrationSample.of(similarity, label, group if use_groups else None)
        try:
            threshold = choose_threshold(MinPrecision(precision), sample, sample.prevalence)
        except UnreachableCriterionError:
            recall.append(0.0)
            continue
        wrong += true_precision(threshold) < precision
        recall.append(true_recall(threshold))
    return wrong / resamples, float(np.mean(np.array(recall) == 0)), float(np.mean(recall)) / oracle


def test_certified_precision_holds_and_is_not_timid():
    wrong, refused, recall = simulate(400, 4000, 0.8)
    assert wrong <= 0.05
    assert refused <= 0.02
    assert recall >= 0.85


def test_certified_precision_holds_when_pairs_share_questions():
    wrong, _, recall = simulate(400, 2000, 0.8, **GROUPED)
    assert wrong <= 0.05
    assert recall >= 0.65


def test_pairs_that_share_questions_would_be_certified_wrongly_if_groups_were_ignored():
    wrong, _, _ = simulate(200, 2000, 0.8, use_groups=False, **GROUPED)
    assert wrong > 0.1


def test_certified_precision_holds_over_resampled_groups_of_a_pool():
    """The pool is all there is, and its groups are drawn whole, as those of a labelled sample are."""
    similarity, label, group = draw(0, 40_000, **GROUPED)
    cuts = curve(similarity, label)
    ascending, members = cuts.threshold[::-1], np.split(np.arange(len(group)), np.flatnonzero(np.diff(group)) + 1)
    wrong, recall = 0, []
    generator = np.random.default_rng(1)
    for _ in range(200):
        drawn = [members[number] for number in generator.integers(len(members), size=400)]
        rows = np.concatenate(drawn)
        names = np.repeat(np.arange(400), [len(part) for part in drawn])
        sample = CalibrationSample.of(similarity[rows], label[rows], names)
        try:
            threshold = choose_threshold(MinPrecision(0.8), sample, sample.prevalence)
        except UnreachableCriterionError:
            recall.append(0.0)
            continue
        at = len(ascending) - 1 - np.searchsorted(ascending, threshold)
        wrong += cuts.precision[at] < 0.8
        recall.append(cuts.recall[at])
    assert wrong <= 0.05 * 200
    assert np.mean(recall) >= 0.75 * cuts.recall[cuts.precision >= 0.8].max()


@pytest.mark.parametrize("exact_labels", [59, 60])
def test_59_labels_without_an_error_are_nearly_enough(exact_labels):
    similarity = np.append(np.linspace(1, 0.9, exact_labels), np.linspace(0.5, 0, 40))
    label = np.arange(len(similarity)) < exact_labels
    fit = {"encoder": "e1", "criterion": MinPrecision(0.95)}
    if exact_labels < 60:  # the first planned test accepts 60 pairs, and one of them is an error here
        with pytest.raises(UnreachableCriterionError):
            Calibration.fit(similarity, label, **fit)
    else:
        assert Calibration.fit(similarity, label, **fit).accepts(similarity).sum() == exact_labels


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 100), st.lists(st.floats(0.5, 0.95), min_size=2, max_size=2), st.sampled_from([None, 0.1, 0.6]))
def test_asking_for_more_precision_never_lowers_the_threshold(seed, precisions, prevalence):
    calibration = fitted(seed, 1500, mean_size=2, spread=1.0)
    thresholds = []
    for precision in sorted(precisions):
        try:
            thresholds.append(calibration.at(min_precision=precision, prevalence=prevalence).threshold)
        except UnreachableCriterionError:
            thresholds.append(math.inf)
    assert thresholds[0] <= thresholds[1]


def test_asking_for_more_confidence_never_lowers_the_threshold():
    calibration = fitted(pairs=4000)
    thresholds = [calibration.at(min_precision=0.75, confidence=c).threshold for c in (0.5, 0.8, 0.95, 0.999)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


@pytest.mark.parametrize("prevalence", [None, 0.1])
def test_a_refusal_names_the_best_that_could_have_been_asked_for(prevalence):
    calibration = fitted(pairs=1000)
    with pytest.raises(UnreachableCriterionError) as refusal:
        calibration.at(min_precision=0.97, prevalence=prevalence)
    error = refusal.value
    assert error.asked.startswith("precision of at least 0.97 with 95 % confidence")
    assert ("where 10 % of the pairs are duplicates" in error.asked) == (prevalence is not None)
    calibration.at(min_precision=error.best - 1e-6, prevalence=prevalence)
    with pytest.raises(UnreachableCriterionError):
        calibration.at(min_precision=error.best + 1e-6, prevalence=prevalence)


@pytest.mark.parametrize("prevalence", [None, 0.1, 0.003])
@pytest.mark.parametrize("pairs", [1000, 1700, 4000])
def test_what_a_refusal_offers_can_be_had(pairs, prevalence):
    """Shown with four digits, so it has to be rounded down."""
    calibration = fitted(pairs=pairs)
    with pytest.raises(UnreachableCriterionError) as refusal:
        calibration.at(min_precision=0.99, prevalence=prevalence)
    (offered,) = re.findall(r"the best available is (\d\.\d{4})\.", str(refusal.value))
    assert refusal.value.best - 0.00011 < float(offered) < refusal.value.best
    assert calibration.at(min_precision=float(offered), prevalence=prevalence).criterion == MinPrecision(float(offered))


def test_a_refusal_offers_nothing_where_nothing_can_be_had():
    assert "nothing above 0 is available" in str(UnreachableCriterionError("a precision of 0.5", 0.00002, None, ""))


def test_a_refusal_says_how_many_labels_would_do():
    similarity, label = np.linspace(1, 0, 200), np.arange(200) < 62
    label[[10, 20]] = False
    with pytest.raises(UnreachableCriterionError) as refusal:
        Calibration.fit(similarity, label, encoder="e1", criterion=MinPrecision(0.95))
    needed = refusal.value.labels_needed
    assert "Of the 60 most similar labelled pairs 58 are duplicates." in str(refusal.value)
    assert f"About {needed:,} labelled pairs like these would be needed, and there are 200." in str(refusal.value)
    assert 200 < needed < 20_000
    # With that many at the same shares it works (the first test then stands elsewhere, so ask for a little more).
    times = math.ceil(2 * needed / 200)
    many = np.repeat(label, times)
    assert Calibration.fit(np.repeat(similarity, times), many, encoder="e1", criterion=MinPrecision(0.95))


@pytest.mark.parametrize("precision", [0.9, 0.95])
def test_a_refusal_for_want_of_duplicates_says_that_more_labels_would_do(precision):
    label = np.arange(100) < 40  # in perfect order, but the first test accepts 60
    with pytest.raises(UnreachableCriterionError, match=r"About 1[567]0 labelled pairs like these") as refusal:
        Calibration.fit(np.linspace(1, 0, 100), label, encoder="e1", criterion=MinPrecision(precision))
    needed = refusal.value.labels_needed
    enough = np.arange(needed) < 0.4 * needed
    assert Calibration.fit(np.linspace(1, 0, needed), enough, encoder="e1", criterion=MinPrecision(precision))


def test_a_refusal_says_when_more_labels_would_not_help():
    label = np.random.default_rng(0).random(500) < 0.5
    with pytest.raises(UnreachableCriterionError, match="would not help") as refusal:
        Calibration.fit(np.random.default_rng(1).random(500), label, encoder="e1", criterion=MinPrecision(0.99))
    assert refusal.value.labels_needed is None
    with pytest.raises(UnreachableCriterionError, match="would not help"):
        fitted().at(min_precision=1.0)


def test_one_group_of_pairs_certifies_nothing():
    similarity, label = np.linspace(1, 0, 400), np.arange(400) < 200
    assert Calibration.fit(similarity, label, encoder="e1", criterion=MinPrecision(0.9))
    with pytest.raises(UnreachableCriterionError):
        Calibration.fit(similarity, label, encoder="e1", criterion=MinPrecision(0.9), groups=np.zeros(400, int))


def test_certified_precision_holds_at_another_prevalence():
    share, asked, draws = 0.05, 0.2, 80
    _, _, cuts = population()
    true_precision = cuts.recall * share / (cuts.recall * share + cuts.false_positive_rate * (1 - share))
    wrong = refused = 0
    for seed in range(draws):
        similarity, label, _ = draw(seed, 4000)
        sample = CalibrationSample.of(similarity, label)
        try:
            threshold = choose_threshold(MinPrecision(asked), sample, share)
        except UnreachableCriterionError:
            refused += 1
            continue
        wrong += true_precision[np.sum(cuts.threshold >= threshold) - 1] < asked
    assert wrong <= 0.05 * draws
    assert refused <= 0.05 * draws


@pytest.mark.parametrize(("pairs", "precision"), [(200, 0.95), (1000, 0.99), (4000, 0.997)])
def test_labels_without_an_error_certify_what_so_many_can(pairs, precision):
    label = np.arange(pairs) < pairs / 2
    found = Calibration.fit(np.linspace(1, 0, pairs), label, encoder="e1", criterion=MinPrecision(precision))
    assert precision ** (found.sample.similarity[label] >= found.threshold).sum() < 0.05


def test_a_hub_of_pairs_that_agree_certifies_no_more_than_one_of_them():
    """120 pairs of their own and one group of 120, all right: true precision could be 0.92 with such hubs."""
    similarity, label = np.linspace(1, 0, 480), np.arange(480) < 240
    group = np.where(np.arange(480) % 2 == 0, np.arange(480), 1)
    with pytest.raises(UnreachableCriterionError):
        Calibration.fit(similarity, label, encoder="e1", criterion=MinPrecision(0.95), groups=group)
