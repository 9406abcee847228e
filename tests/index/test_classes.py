"""A text of none of the classes is told by how near the questions of a class are to the others."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_questions import make_detector

from dupdetect import QuestionIndex
from dupdetect.index import classes
from dupdetect.index.classes import nearest_of_others, outsiders_limit

ASKED = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])), min_size=1)


def reaching(similarity, labels, limit):
    """The sum over the classes of the share of their questions that reach a limit."""
    return sum(np.mean(similarity[labels == label] >= limit) for label in set(labels.tolist()))


@given(ASKED, st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.9]))
def test_the_limit_is_the_lowest_that_keeps_the_share(asked, share):
    labels, similarity = (np.array(column) for column in zip(*asked, strict=True))
    similarity = similarity.astype(np.float32)
    limit, count = outsiders_limit(similarity, labels, share), len(set(labels.tolist()))
    if limit is None:
        assert 1 / (count + 1) > share
        return
    assert 1 + reaching(similarity, labels, limit) <= share * (count + 1) + 1e-6
    lower = [value for value in similarity.tolist() if value < limit]
    assert not lower or 1 + reaching(similarity, labels, max(lower)) > share * (count + 1)


@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 1000))
def test_the_nearest_of_other_classes_are_those_of_all_cosines(n, ways, seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, 6)).astype(np.float32)
    rows = np.round(rows)  # so that some are equal
    rows[:, 0] += 10
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    labels, asked = random.integers(ways, size=n), np.flatnonzero(random.random(n) < 0.5)
    found = nearest_of_others(rows, labels, asked)
    for place, value in zip(asked.tolist(), found.tolist(), strict=True):
        others = rows[labels != labels[place]].astype(np.float64) @ rows[place].astype(np.float64)
        assert value == pytest.approx(others.max(initial=-1), abs=1e-6)


@pytest.mark.parametrize(("shots", "share"), [(1, 0.1), (1, 0.25), (4, 0.1), (4, 0.25)])
def test_texts_of_one_more_class_reach_it_as_rarely_as_promised(shots, share):
    """Simulated: classes around random centres, each as near to the others as any."""
    random = np.random.default_rng(0)
    reached = []
    for _ in range(400):
        centres = random.normal(size=(21, 8))
        rows = (centres[:, None] + 0.8 * random.normal(size=(21, shots + 1, 8))).reshape(-1, 8)
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        labels = np.repeat(np.arange(21), shots + 1)
        outsider, known = rows[-1], np.flatnonzero((labels < 20) & (np.arange(len(rows)) % (shots + 1) < shots))
        near = nearest_of_others(rows[known], labels[known], np.arange(len(known)))
        reached.append((rows[known] @ outsider).max() >= outsiders_limit(near, labels[known], share))
    # The standard deviation is 0.02 at most.
    assert share - 0.08 < np.mean(reached) < share + 0.05


WORDS = ["red", "green", "blue", "black", "white", "brown", "pink", "grey", "gold", "amber", "ivory", "olive"]
CLASSES = [(f"{word}-{n}", f"please {end} the {word} {word} thing", word) for word in WORDS for n, end in enumerate(("mend", "bring"))]  # fmt: skip  # noqa: E501


@pytest.fixture
def index(tmp_path):
    with QuestionIndex.create(tmp_path / "index", make_detector(threshold=0.99)) as made:
        ids, texts, labels = zip(*CLASSES, strict=True)
        made.add(texts, ids=ids, labels=labels)
        yield made


def test_a_text_of_a_class_need_not_be_a_duplicate(index):
    found = index.classify("could you mend the red red thing")
    assert (found.label, found.outsiders) == ("red", 0.1)
    assert found.ranking[0].similarity < 0.99
    assert not found.ranking[0].duplicate
    assert found.ranking[0].similarity >= found.threshold
    none = index.classify("could you mend the plaid plaid thing")
    assert none.label is None
    assert none.ranking[0].similarity < none.threshold == found.threshold
    assert index.classify("could you mend the plaid plaid thing", outsiders=0.9).threshold < none.threshold


def test_a_duplicate_of_a_question_is_of_its_class_whatever_outsiders_reach(index):
    index.add(["please mend the red red thing now"], ids=["x"], labels=["crimson"])
    for share in (0.1, 0.5):
        assert index.classify("please mend the red red thing", outsiders=share).label == "red"


def test_with_few_classes_only_duplicates_get_one_and_it_says_so(index):
    index.remove([name for name, _, label in CLASSES if label in WORDS[:4]])
    found = index.classify("could you mend the pink pink thing")
    assert (found.label, found.outsiders, found.threshold) == (None, None, index.detector.calibration.threshold)
    assert index.classify("could you mend the pink pink thing", outsiders=0.2).label == "pink"


def test_the_limit_does_not_depend_on_the_order_and_follows_changes(index, tmp_path):
    before = index.classify("mend it").threshold
    with QuestionIndex.create(tmp_path / "other", index.detector) as other:
        for name, text, label in reversed(CLASSES):
            other.add([text], ids=[name], labels=[label])
        assert other.classify("mend it").threshold == before
        other.add(["please mend the plaid plaid thing"], ids=["p"], labels=["plaid"])
        assert other.classify("could you mend the plaid plaid thing").label == "plaid"


def test_where_there_are_many_some_of_each_class_are_asked(index, monkeypatch):
    everything = index.classify("mend it")
    asked = []

    def counted(rows, labels, places):
        asked.append(len(places))
        return nearest_of_others(rows, labels, places)

    monkeypatch.setattr(classes, "nearest_of_others", counted)
    monkeypatch.setattr(classes, "_ASKED", 15)
    index.unmerge("red-0", "red-1")  # another version
    some = index.classify("mend it")
    assert asked == [len(WORDS)]
    assert dataclasses.replace(some, threshold=0) == dataclasses.replace(everything, threshold=0)
