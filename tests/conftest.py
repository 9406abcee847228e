"""A small encoder without a model, so that most tests take milliseconds."""

import functools
import hashlib

import numpy as np
import pytest
from hypothesis import settings

from dupdetect import Calibration, Detector, QuestionPairs

# The whole suite has a few minutes on two slow cores, which may be shared. More: --hypothesis-profile=thorough
settings.register_profile("suite", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=300, deadline=None)
settings.load_profile("suite")


@functools.cache
def word_vector(word, dimension):
    seed = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).normal(size=dimension)


class HashingEncoder:
    """Sums a fixed random vector for each word: texts that share words are close. Same text, same bits."""

    fingerprint = "test:hashing"
    dimension = 64
    longest = 50

    def __init__(self):
        self.encoded = []

    def encode(self, texts, *, progress=None):
        self.encoded.extend(texts)
        rows = np.zeros((len(texts), self.dimension))
        for row, text in zip(rows, texts, strict=True):
            for word in text.split() or [""]:
                row += word_vector(word, self.dimension)
            if progress:
                progress(1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def truncated(self, texts):
        return np.array([len(text.split()) > self.longest for text in texts], dtype=bool)


def labelled_pairs(n=400, seed=0):
    """Pairs of ten-word questions: duplicates share nine words, others three."""
    rng = np.random.default_rng(seed)
    left, right, labels = [], [], []
    for number in range(n):
        words = [f"w{number}x{k}" for k in range(10)]
        same = number % 3 == 0
        shared = int(rng.integers(6, 10)) if same else int(rng.integers(0, 7))
        left.append(" ".join(words))
        right.append(" ".join(words[:shared] + [f"v{number}x{k}" for k in range(10 - shared)]))
        labels.append(same)
    return QuestionPairs.from_columns(left, right, labels)


@pytest.fixture
def encoder():
    return HashingEncoder()


@pytest.fixture
def pairs():
    return labelled_pairs()


@pytest.fixture(scope="session")
def calibration():
    encoder = HashingEncoder()
    return Detector.calibrate(encoder, labelled_pairs(), data="made for the tests").calibration


@pytest.fixture
def detector(encoder, calibration):
    assert isinstance(calibration, Calibration)
    return Detector(encoder, calibration, "hashing").at(threshold=0.7)
