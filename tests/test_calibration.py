"""Another operating point from the same evidence; summary, and saving."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from labelled_similarities import GROUPED, draw, fitted, population

from dupdetect import calibration as module
from dupdetect.calibration import Calibration, CalibrationSample, FixedThreshold, MaxF1, MinPrecision, MinRecall
from dupdetect.calibration.link import FOLDS, Isotonic, isotonic_link
from dupdetect.calibration.measures import calibration_error, measured
from dupdetect.errors import (
    ArtifactError,
    CalibrationError,
    EncoderMismatchError,
    InputError,
    UnreachableCriterionError,
)
from dupdetect.metrics import counts_at, curve, expected_calibration_error

# Another share of duplicates


def test_probabilities_follow_the_prevalence():
    """Saerens et al. 2002: the retargeted probabilities are calibrated where duplicates are rarer."""
    calibration = fitted(pairs=20_000)
    similarity, label, _ = draw(1, 400_000)
    share = 0.02
    keep = ~label
    duplicates = np.flatnonzero(label)
    keep[duplicates[: int(share / (1 - share) * keep.sum())]] = True
    rare, truth = similarity[keep], label[keep]
    shifted = calibration.at(prevalence=float(truth.mean()))
    assert expected_calibration_error(shifted.probability(rare), truth) < 0.005
    assert expected_calibration_error(calibration.probability(rare), truth) > 0.1
    assert shifted.summary()["precision"]["value"] == pytest.approx(
        counts_at(rare, truth, shifted.threshold).precision, abs=0.05
    )
    best = curve(rare, truth).f1.max()
    assert counts_at(rare, truth, shifted.threshold).f1 > 0.9 * best
    assert counts_at(rare, truth, calibration.threshold).f1 < 0.8 * best


def test_prevalence_there_and_back_is_the_same_calibration():
    calibration = fitted()
    back = calibration.at(prevalence=0.01).at(prevalence=calibration.prevalence)
    assert back.threshold == calibration.threshold
    assert back.link.slope == calibration.link.slope
    assert back.link.intercept == pytest.approx(calibration.link.intercept)
    assert calibration.at() == calibration


def test_rarer_duplicates_need_a_higher_threshold():
    calibration = fitted()
    thresholds = [calibration.at(prevalence=q).threshold for q in (0.5, 0.2, 0.05, 0.01)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]
    # Recall does not depend on the share of duplicates, and a number set by hand on nothing at all.
    for request in ({"min_recall": 0.8}, {"threshold": 0.8}):
        assert calibration.at(**request, prevalence=0.01).threshold == calibration.at(**request).threshold


# Other operating points


def test_at_records_what_was_asked_and_changes_nothing_else():
    calibration = fitted(pairs=4000)
    before = json.dumps(calibration.to_dict())
    assert calibration.at(min_precision=0.8, confidence=0.9).criterion == MinPrecision(0.8, 0.9)
    assert calibration.at(min_recall=0.9).criterion == MinRecall(0.9)
    by_hand = calibration.at(threshold=0.8, prevalence=0.1)
    assert (by_hand.threshold, by_hand.criterion, by_hand.prevalence) == (0.8, FixedThreshold(0.8), 0.1)
    assert json.dumps(calibration.to_dict()) == before
    assert by_hand.sample is calibration.sample
    with pytest.raises(FrozenInstanceError):
        calibration.threshold = 0.5
    with pytest.raises(ValueError, match="read-only"):
        calibration.sample.similarity[0] = 0


def test_at_refuses_two_requests_and_impossible_values():
    calibration = fitted()
    with pytest.raises(InputError, match="not min_recall and threshold"):
        calibration.at(min_recall=0.9, threshold=0.5)
    for prevalence in (0, 1, 1.5, math.nan):
        with pytest.raises(InputError, match="prevalence is"):
            calibration.at(prevalence=prevalence)


def test_another_encoder_is_refused():
    calibration = fitted()
    calibration.check_encoder("e1")
    with pytest.raises(EncoderMismatchError, match="fitted with encoder e1, but the encoder here is e2"):
        calibration.check_encoder("e2")


@pytest.mark.parametrize(("duplicates", "others"), [(19, 500), (500, 19)])
def test_too_few_labels_are_counted(duplicates, others):
    similarity = np.linspace(1, 0, duplicates + others)
    with pytest.raises(CalibrationError, match=f"{duplicates} duplicates and {others} others, and at least 20 of each"):
        Calibration.fit(similarity, np.arange(len(similarity)) < duplicates, encoder="e1")


@pytest.mark.parametrize(
    ("similarity", "groups"),
    [
        ([0.1, math.nan], None),
        ([1e300, 0.1], None),
        ([math.inf, 0.1], None),
        ([1.5, 0.1], None),
        ([-1.01, 0.1], None),
        ([0.1 + 0.1j, 0.2], None),
        ([0.1, 0.2], [1]),
        ([0.1], None),
        ([0.1, 0.2], [math.nan, 1.0]),
        ([0.1, 0.2], [0.5, 1.0]),
        ([0.1, 0.2], [1j, 2]),
    ],
)
def test_evidence_that_does_not_fit_is_refused(similarity, groups):
    with pytest.raises(InputError):
        CalibrationSample.of(similarity, [1, 0], groups)


def test_a_cosine_may_be_off_by_rounding():
    sample = CalibrationSample.of([np.float32(1.0001), -1.0001, -math.inf, 0.5], [1, 0, 1, 0])
    assert sample.similarity.tolist() == [1, 0.5, -1, -math.inf]
    assert sample.comparable.tolist() == [True, True, True, False]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("name", ["threshold", "min_recall", "min_precision", "prevalence", "confidence"])
def test_numbers_of_numpy_are_stored_as_plain_ones(name, kind):
    asked = {name: kind(0.5), **({"min_precision": 0.5} if name == "confidence" else {})}
    calibration = fitted().at(**asked)
    assert json.loads(json.dumps(calibration.to_dict())) == calibration.to_dict()
    json.dumps(calibration.summary(confidence=kind(0.5)))
    assert Calibration.from_dict(calibration.to_dict(), calibration.evidence()) == calibration


@pytest.mark.parametrize("value", [np.complex64(0.5), 0.5j, "0.5", True, math.inf])
@pytest.mark.parametrize("name", ["threshold", "min_recall", "min_precision", "prevalence"])
def test_what_is_no_real_number_is_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is .* must be a number"):
        fitted().at(**{name: value})


def test_a_confidence_without_a_precision_is_refused():
    for asked in ({}, {"threshold": 0.5}, {"min_recall": 0.5}):
        with pytest.raises(InputError, match="goes with min_precision only"):
            fitted().at(**asked, confidence=0.9)


def test_it_can_be_a_key_and_copied():
    calibration = fitted()
    other = calibration.at(threshold=0.5)
    assert {calibration: 1, other: 2}[fitted()] == 1
    for copied in (copy.deepcopy(calibration), pickle.loads(pickle.dumps(calibration))):  # noqa: S301 - our own bytes
        assert copied == calibration
        assert hash(copied) == hash(calibration)
        for array in copied.evidence().values():
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


# Pairs that no threshold accepts


def with_never_accepted(duplicates, others):
    similarity, label, _ = draw(0, 2000)
    more = np.full(duplicates + others, -math.inf)
    return np.append(similarity, more), np.append(label, np.arange(len(more)) < duplicates)


@pytest.mark.parametrize("criterion", [MaxF1(), MinPrecision(0.7), MinRecall(0.4)])
def test_what_no_threshold_accepts_is_missed_and_never_found(criterion):
    similarity, label = with_never_accepted(500, 300)
    calibration = Calibration.fit(similarity, label, encoder="e1", criterion=criterion)
    accepted = calibration.accepts(similarity)
    assert not accepted[2000:].any()
    summary = calibration.summary()
    assert summary["precision"]["value"] == pytest.approx(label[accepted].mean())
    assert summary["recall"]["value"] == pytest.approx(accepted[label].mean())
    assert summary["never_accepted"] == 800
    assert "800 of the pairs are never accepted: their texts differ in words" in "\n".join(calibration.describe())
    cuts = np.unique(similarity[:2000].astype(np.float32))
    if criterion == MaxF1():
        assert summary["f1"]["value"] == pytest.approx(max(counts_at(similarity, label, cut).f1 for cut in cuts))
    if criterion == MinRecall(0.4):
        higher = cuts[cuts > calibration.threshold][0]
        assert counts_at(similarity, label, np.nextafter(higher, 2)).recall < 0.4 <= summary["recall"]["value"]
    loaded = Calibration.from_dict(calibration.to_dict(), calibration.evidence())
    assert loaded == calibration
    assert loaded.at(prevalence=0.4) == calibration.at(prevalence=0.4)


def test_a_certified_precision_is_that_of_what_is_accepted():
    similarity, label = with_never_accepted(0, 0)
    certified = Calibration.fit(similarity, label, encoder="e1", criterion=MinPrecision(0.8))
    similarity, label = with_never_accepted(500, 300)
    again = Calibration.fit(similarity, label, encoder="e1", criterion=MinPrecision(0.8))
    assert again.threshold == certified.threshold


def test_a_recall_beyond_what_can_be_accepted_is_refused():
    similarity, label = with_never_accepted(1000, 0)
    most = label[:2000].sum() / label.sum()
    with pytest.raises(
        UnreachableCriterionError, match=r"1,000 of the .* labelled duplicates are accepted at no"
    ) as refusal:
        Calibration.fit(similarity, label, encoder="e1", criterion=MinRecall(0.9))
    assert refusal.value.best == pytest.approx(most)
    assert (
        Calibration.fit(similarity, label, encoder="e1", criterion=MinRecall(most))
        .accepts(similarity)[:2000][label[:2000]]
        .all()
    )


def test_the_probability_is_fitted_without_them():
    plain, more = (Calibration.fit(*with_never_accepted(*count), encoder="e1") for count in ((0, 0), (500, 300)))
    assert more.link == plain.link
    chance = more.probability([-math.inf, -1.0, 1.0])
    assert chance[0] == 0 < chance[1] < chance[2]


def test_they_do_not_make_up_for_labels_that_are_too_few():
    similarity = np.append(np.linspace(1, 0, 60), np.full(100, -math.inf))
    label = np.append(np.arange(60) < 19, np.ones(100, bool))
    with pytest.raises(CalibrationError, match=r"19 duplicates and 41 others.*beside 100 that are accepted at no"):
        Calibration.fit(similarity, label, encoder="e1")


# The summary


def test_the_summary_measures_at_the_threshold():
    similarity, label, group = draw(0, 1000, mean_size=2, spread=1.0)
    calibration = Calibration.fit(similarity, label, encoder="e1", groups=group, data="made up")
    summary = calibration.summary()
    json.dumps(summary, allow_nan=False)
    counts = counts_at(similarity, label, calibration.threshold)
    for name, expected in (("precision", counts.precision), ("recall", counts.recall), ("f1", counts.f1)):
        assert summary[name]["value"] == pytest.approx(expected)
        assert 0 <= summary[name]["low"] < expected < summary[name]["high"] <= 1
    assert summary["pairs"] == len(label)
    assert summary["duplicates"] == label.sum()
    assert summary["groups"] == len(set(group.tolist()))
    assert summary["prevalence"] == label.mean()
    assert summary["measured_on"] == "the labelled pairs that the threshold was chosen on"


@pytest.mark.parametrize("prevalence", [None, 0.02])
def test_intervals_cover_the_truth(prevalence):
    _, _, cuts = population(**GROUPED)
    threshold = 0.65
    at = np.sum(cuts.threshold >= threshold) - 1
    share = prevalence or cuts.positives / (cuts.positives + cuts.negatives)
    found, mistaken = cuts.recall[at] * share, cuts.false_positive_rate[at] * (1 - share)
    truth = {
        "precision": found / (found + mistaken),
        "recall": cuts.recall[at],
        "f1": 2 * found / (found + mistaken + share),
    }
    missed = dict.fromkeys(truth, 0)
    for seed in range(200):
        sample = CalibrationSample.of(*draw(seed, 1000, **GROUPED))
        intervals = measured(sample, threshold, prevalence or sample.prevalence, 0.95)
        for interval, (name, value) in zip(intervals, truth.items(), strict=True):
            missed[name] += not interval["low"] <= value <= interval["high"]
    assert max(missed.values()) <= 0.08 * 200


@pytest.mark.parametrize("slope", [20.0, 12.0])
def test_the_interval_of_the_calibration_error_covers_the_truth(slope):
    """Of perfect probabilities too (20), where every sample and every resample of it shows an error above 0."""

    def claimed(similarity):
        return 1 / (1 + np.exp(-slope * (similarity.astype(float) - 0.72)))

    similarity, label, _ = draw(10_000, 200_000)
    truth = expected_calibration_error(claimed(similarity), label)
    assert (truth < 0.003) == (slope == 20)
    missed = 0
    for seed in range(60):
        similarity, label, group = draw(seed, 500)
        value, low, high = calibration_error(claimed(similarity), label, group, resamples=100)
        assert low < value < high
        assert value == pytest.approx(expected_calibration_error(claimed(similarity), label))
        missed += not low <= truth <= high
    assert missed <= 0.05 * 60


def test_the_calibration_error_is_that_of_held_out_pairs():
    similarity, label, group = draw(0, 1500, mean_size=2)
    calibration = Calibration.fit(similarity, label, encoder="e1", groups=group)
    error = calibration.summary()["expected_calibration_error"]
    assert 0 <= error["low"] < error["value"] < error["high"] < 0.1
    sample, chance = calibration.sample, np.empty(len(label))
    for fold in range(FOLDS):
        inside = sample.group % FOLDS == fold
        rest = sample.at(~inside)
        chance[inside] = 1 / (1 + np.exp(-isotonic_link(rest).log_odds(sample.similarity[inside].astype(float))))
    assert error["value"] == pytest.approx(expected_calibration_error(chance, sample.label))
    assert calibration.at(prevalence=0.01).summary()["expected_calibration_error"] == error
    assert f"isotonic curve, off by {error['value']:.3f} on average" in "\n".join(calibration.describe())


def test_a_threshold_that_accepts_nothing_is_said_so():
    summary = fitted().at(threshold=1.0).summary()
    assert summary["precision"] == {"value": None, "low": 0.0, "high": 1.0}
    assert summary["recall"]["value"] == 0
    assert "precision    none (0.000 to 1.000)" in fitted().at(threshold=1.0).describe()


def test_the_description_names_data_threshold_and_measures():
    text = "\n".join(fitted().at(prevalence=0.01).describe())
    assert "made up: 2,000 pairs" in text
    assert "best F1 on the labelled pairs, where 1 % are duplicates" in text
    assert "measured on the pairs that the threshold was chosen on" in text


# What it says


@pytest.mark.parametrize(
    ("asked", "claim"),
    [
        ({}, "This threshold has the best F1 on 2,000 labelled pairs"),
        ({"min_precision": 0.2}, "This threshold is certified on 2,000 labelled pairs"),
    ],
)
def test_the_promise_states_the_share_that_the_decision_is_made_for(asked, claim):
    calibration = fitted()
    share = f"{100 * calibration.prevalence:.3g} %"
    plain, rarer = calibration.at(**asked), calibration.at(**asked, prevalence=0.1)
    assert plain.promise().startswith(f"{claim} ({share} of them duplicates)")
    assert "duplicates are far rarer than there" in plain.promise()
    assert rarer.promise().startswith(f"{claim}, weighted as if 10 % of them were duplicates ({share} are)")
    assert "Where fewer than 10 % of all pairs of a file are duplicates, a larger share" in rarer.promise()
    assert plain.probability_basis() == f"among pairs of which {share} are duplicates, as among the labelled pairs"
    assert rarer.probability_basis() == "among pairs of which 10 % are duplicates, as was asked for"


@pytest.mark.parametrize("asked", [{"min_recall": 0.8}, {"threshold": 0.8}])
def test_promises_that_do_not_depend_on_the_share_stay(asked):
    calibration = fitted()
    assert calibration.at(**asked, prevalence=0.1).promise() == calibration.at(**asked).promise()
    assert "10 % are duplicates" in calibration.at(**asked, prevalence=0.1).probability_basis()


# Rows that stand for weights


def weighted(labels=400, weight=5):
    """Labels of which those of the lower half stand in `weight` rows."""
    similarity, label, _ = draw(0, labels)
    times = np.where(similarity < np.median(similarity), weight, 1)
    return [np.repeat(column, times) for column in (similarity, label, np.arange(labels))]


def test_labels_are_counted_and_not_the_rows_that_stand_for_their_weights():
    similarity, label, group = weighted()
    calibration = Calibration.fit(similarity, label, encoder="e1", groups=group, label_count=400)
    summary, share = calibration.summary(), f"{100 * label.mean():.3g} %"
    assert calibration.sample.labels == calibration.sample.labelled == summary["pairs"] == summary["groups"] == 400
    assert len(calibration.sample) == len(label) > 1000
    assert summary["duplicates"] == draw(0, 400)[1].sum()
    assert summary["share_of_duplicates"] == summary["prevalence"] == label.mean()
    assert summary["link"] == "logistic"  # too few labels for another, if enough rows
    assert (
        f"400 pairs in 400 groups, {summary['duplicates']} duplicates; weighted, {share} are"
        in (calibration.describe()[0])
    )
    for asked in ({}, {"min_recall": 0.8}):
        promise = calibration.at(**asked).promise()
        assert f"400 labelled pairs, weighted to stand for pairs of which {share} are duplicates" in promise
        assert "Of another export it says nothing." in promise
    assert "as the weights of the labels say" in calibration.probability_basis()


def test_weights_make_up_for_no_labels():
    similarity = np.repeat(np.linspace(1, 0, 60), 10)
    label, group = np.arange(600) < 190, np.repeat(np.arange(60), 10)
    with pytest.raises(CalibrationError, match="19 duplicates and 41 others"):
        Calibration.fit(similarity, label, encoder="e1", groups=group, label_count=60)
    assert Calibration.fit(similarity, label, encoder="e1", groups=group).sample.labels is None


def test_no_precision_is_certified_from_rows_that_stand_for_weights():
    similarity, label, group = weighted()
    with pytest.raises(CalibrationError, match="--from-reviews"):
        Calibration.fit(similarity, label, encoder="e1", groups=group, label_count=400, criterion=MinPrecision(0.5))


def test_the_count_of_labels_is_saved():
    similarity, label, group = weighted()
    calibration = Calibration.fit(similarity, label, encoder="e1", groups=group, label_count=np.int64(400))
    arrays = calibration.evidence()
    loaded = Calibration.from_dict(calibration.to_dict(), arrays)
    assert loaded == calibration
    assert loaded.sample.labels == 400
    assert loaded != Calibration.fit(similarity, label, encoder="e1", groups=group)
    for damage in (np.array([0]), np.array([2.5]), np.array([1, 2])):
        with pytest.raises(ArtifactError, match="damaged"):
            Calibration.from_dict(calibration.to_dict(), {**arrays, "labels": damage})


@pytest.mark.parametrize("count", [0, -1, 2.0, True, "3"])
def test_a_count_of_labels_that_is_none_is_refused(count):
    with pytest.raises(InputError, match="number of labels is"):
        CalibrationSample.of([0.1, 0.2], [0, 1], [0, 1], label_count=count)


def test_weights_need_groups():
    with pytest.raises(InputError, match="the groups are needed"):
        CalibrationSample.of([0.1, 0.2], [0, 1], label_count=1)


# Saving


@pytest.mark.parametrize("criterion", [MaxF1(), MinPrecision(0.75), MinRecall(0.9)])
def test_saved_and_loaded_it_decides_identically(criterion, tmp_path):
    calibration = fitted(pairs=4000, criterion=criterion, mean_size=2).at(prevalence=0.3)
    np.savez(tmp_path / "evidence.npz", **calibration.evidence())
    text = json.dumps(calibration.to_dict(), allow_nan=False)
    with np.load(tmp_path / "evidence.npz", allow_pickle=False) as arrays:
        loaded = Calibration.from_dict(json.loads(text), dict(arrays))
    assert loaded == calibration
    similarity = np.linspace(-1, 1, 999, dtype=np.float32)
    assert np.array_equal(loaded.probability(similarity), calibration.probability(similarity))
    assert np.array_equal(loaded.accepts(similarity), calibration.accepts(similarity))
    assert loaded.at(min_recall=0.5) == calibration.at(min_recall=0.5)
    assert {name: str(a.dtype) for name, a in loaded.evidence().items()} == {
        "similarity": "float32",
        "label": "bool",
        "group": "int32",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": None},
        {"prevalence": 2.0},
        {"link": "isotonic"},
        {"link": "spline"},
        {"slope": -1.0},
        {"criterion": {"name": "x"}},
    ],
)
def test_damaged_values_are_refused(change):
    calibration = fitted()
    with pytest.raises(ArtifactError):
        Calibration.from_dict({**calibration.to_dict(), **change}, calibration.evidence())


def test_an_isotonic_link_is_saved(tmp_path):
    similarity = np.random.default_rng(0).uniform(0, 1, 2000).astype(np.float32)
    label = np.random.default_rng(1).random(2000) < np.where(similarity < 0.6, 0.05, 0.9)
    calibration = Calibration.fit(similarity, label, encoder="e1").at(prevalence=0.2)
    assert isinstance(calibration.link, Isotonic)
    values = json.loads(json.dumps(calibration.to_dict(), allow_nan=False))
    assert Calibration.from_dict(values, calibration.evidence()) == calibration
    assert hash(calibration) == hash(pickle.loads(pickle.dumps(calibration)))  # noqa: S301 - our own bytes
    for change in ({"scores": [0.2]}, {"values": [None]}, {"values": 3}, {"scores": ["a"], "values": [1.0]}):
        with pytest.raises(ArtifactError, match="damaged"):
            Calibration.from_dict({**values, **change}, calibration.evidence())


def test_missing_values_and_arrays_are_named():
    calibration = fitted()
    values, arrays = calibration.to_dict(), calibration.evidence()
    with pytest.raises(ArtifactError, match="lacks 'slope'"):
        Calibration.from_dict({name: v for name, v in values.items() if name != "slope"}, arrays)
    with pytest.raises(ArtifactError, match="lacks the array 'group'"):
        Calibration.from_dict(values, {name: a for name, a in arrays.items() if name != "group"})
    with pytest.raises(ArtifactError, match="damaged"):
        Calibration.from_dict(values, {**arrays, "label": arrays["label"][:-1]})
    for group in (arrays["group"].astype(str), arrays["group"] * np.nan, arrays["group"].astype(np.float64)):
        with pytest.raises(ArtifactError, match=r"array 'group' must hold whole numbers.* Calibrate again"):
            Calibration.from_dict(values, {**arrays, "group": group})


def test_every_public_name_is_documented():
    for name in module.__all__:
        assert name == "Criterion" or getattr(module, name).__doc__


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a", None, "b"], "must be whole numbers or strings; one of them is None"),
        ([1.5, 2, 3], "must be whole numbers or strings; one of them is 1.5"),
        (["a", 2, "b"], "Some groups are strings and some are not"),
    ],
)
def test_groups_that_name_nothing_are_refused(groups, message):
    with pytest.raises(InputError, match=message):
        CalibrationSample.of([0.9, 0.5, 0.1], [1, 0, 0], np.array(groups, dtype=object))


@pytest.mark.parametrize("groups", [["a", "b", "a"], [1.0, 2.0, 1.0], [1, 2, 1], [b"a", b"b", b"a"]])
def test_groups_are_the_same_by_whatever_they_are_named(groups):
    names = np.array(groups, dtype=object)
    assert CalibrationSample.of([0.9, 0.5, 0.1], [1, 0, 0], names).group.tolist() == [0, 1, 0]
