"""A detector with guards and words that its encoder does not know, and questions that have all of it."""

import functools

import numpy as np
from conftest import HashingEncoder, labelled_pairs

from dupdetect import Detector
from dupdetect.guards import Guards
from dupdetect.review.candidates import pair_key
from dupdetect.text import canonical

TEXTS = (
    "how do i open my account",
    "How do I open my account?",
    "how do i close my account",
    "how do i open my old account",
    "how do i open an account",
    "error 403 on login page",
    "error 404 on login page",
    "error 403 on the login page",
    "error on login page",
    "how do i pay zorg",
    "how do i pay zorg now",
    "how do i pay zapp",
    "how do i pay",
    "how do i pay now",
    "zorg zapp",
    "zorg",
    "zapp",
    "where is my parcel",
    "where is my parcel now",
    "is my parcel where now",
    "How long is the flight from Oslo to Rome?",
    "how long is the flight from oslo to rome",
    "How long is the flight from Oslo to Bonn?",
    "how long is the flight from oslo to bonn today",
    " ",
    "<p> </p>",
)


class Reader(HashingEncoder):
    """Does not know words that begin with z."""

    fingerprint = "test:reader"

    def encode(self, texts, *, progress=None):
        read = [" ".join("z" if word.startswith("z") else word for word in text.split()) for text in texts]
        return super().encode(read, progress=progress)

    def unknown_words(self, texts):
        unknown = [tuple(sorted({word for word in text.split() if word.startswith("z")})) for text in texts]
        return [
            (text,) if words and all(word.startswith("z") for word in text.split()) else words
            for text, words in zip(texts, unknown, strict=True)
        ]


def make_detector(threshold=0.7, cap=0.5):
    calibrated = Detector.calibrate(Reader(), labelled_pairs(), data="made for the tests")
    return Detector(calibrated.encoder, calibrated.calibration, "reader", Guards(cap)).at(threshold=threshold)


@functools.cache
def decision(detector, text, other):
    """What the detector says of one pair, alone; and whether the two have different unknown words."""
    decisions = detector.decide([(text, other)])
    unlike = detector.explain(text, other).guards == ("unknown words",)
    return decisions.similarity[0], decisions.probability[0], decisions.duplicate[0], decisions.guards[0], unlike


def by_hand(detector, questions, text, told_apart=()):
    """What a search must find among questions (id, text, label), from the decision on each pair alone."""
    asked = canonical(text)
    first, written, count = {}, {}, {}
    for place, (name, known, label) in enumerate(questions):
        form = canonical(known)
        first.setdefault(form, (place, name, known, label))
        written[form] = min(written.get(form, known), known)
        count[form] = count.get(form, 0) + 1
    first.pop("", None)
    rows = []
    for form, (place, name, known, label) in first.items() if asked else ():
        similarity, probability, duplicate, guards, unlike = decision(detector, text, written[form])
        apart = unlike or pair_key(asked, form) in told_apart
        if form != asked and apart:
            continue
        score = min(similarity, np.float32(detector.guards.cap)) if guards else similarity
        hit = (name, known, label, count[form], float(similarity), float(probability), bool(duplicate), guards)
        rows.append((form != asked, -score, -similarity, place, hit))
    return [row[-1] for row in sorted(rows, key=lambda row: row[:4])]
