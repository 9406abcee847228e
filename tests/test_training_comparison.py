"""Whether training paid is said plainly: for better, for worse, and where the test pairs cannot tell."""

import json

import numpy as np
import pytest
from conftest import HashingEncoder, labelled_pairs

from dupdetect import Detector, MinRecall
from dupdetect.training.comparison import compare


class NoisyEncoder(HashingEncoder):
    """Half of each vector is noise of its text's own."""

    fingerprint = "test:noisy"

    def encode(self, texts, *, progress=None):
        noise = [np.random.default_rng(sum(text.encode())).normal(size=self.dimension) for text in texts]
        rows = super().encode(texts, progress=progress) + np.reshape(noise, (-1, self.dimension)) / 4
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def good():
    return Detector.calibrate(HashingEncoder(), labelled_pairs(seed=1), name="good")


@pytest.fixture(scope="module")
def noisy():
    return Detector.calibrate(NoisyEncoder(), labelled_pairs(seed=1), name="noisy")


def test_training_that_paid(good, noisy):
    found = compare(good, noisy, labelled_pairs(seed=2))
    assert 0 < found.gain.low < found.gain.value < found.gain.high
    expected = found.trained.pair.average_precision.value - found.base.pair.average_precision.value
    assert found.gain.value == pytest.approx(expected)
    assert found.verdict.startswith(f"Training paid: average precision rose by {expected:.3f} ")
    assert str(found).endswith(found.verdict)


def test_training_that_did_harm(good, noisy):
    found = compare(noisy, good, labelled_pairs(seed=2))
    assert found.verdict.startswith("Training did harm: average precision fell by 0.")
    assert "Use the base as it is" in found.verdict


def test_training_that_changed_nothing(good):
    found = compare(good, good, labelled_pairs(seed=2))
    assert (found.gain.value, found.gain.low, found.gain.high) == (0, 0, 0)
    assert found.verdict.startswith("Training did not pay as far as these test pairs can tell")


def test_too_few_groups_for_an_interval(good, noisy):
    found = compare(good, noisy, labelled_pairs(n=3, seed=2))
    assert np.isnan(found.gain.low)
    assert found.verdict.startswith("Whether training paid cannot be said")
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["average_precision_gain"]["low"] is None


def test_what_became_worse_is_named(good, noisy):
    strict = good.at(threshold=0.99)
    found = compare(strict, noisy, labelled_pairs(seed=2))
    assert found.verdict.startswith("Training paid")
    assert "Lower than with the base: F1 at its threshold" in found.verdict


def test_a_base_that_cannot_reach_the_criterion_is_shown_at_another(good, noisy):
    recall = Detector.calibrate(good.encoder, labelled_pairs(seed=1), criterion=MinRecall(0.9))
    assert "cannot reach" in str(compare(recall, noisy, labelled_pairs(seed=2)))
    assert "cannot reach" not in str(compare(good, noisy, labelled_pairs(seed=2)))


def test_the_gain_is_about_what_is_decided_where_words_are_unknown(good, noisy):
    class Forgetful(HashingEncoder):
        def unknown_words(self, texts):
            return [
                tuple(sorted(word for word in set(text.split()) if word.startswith("v") and word.endswith("x3")))
                for text in texts
            ]

    pairs = labelled_pairs(seed=2)  # duplicates that share fewer than seven words hold such a word on one side
    found = compare(Detector(Forgetful(), good.calibration), noisy, pairs)
    assert found.trained.pair.unlike > 0
    expected = found.trained.pair.average_precision.value - found.base.pair.average_precision.value
    assert found.gain.value == pytest.approx(expected)
