"""N-way accuracy: against every possible draw, against scikit-learn, and every row accounted for."""

import itertools
import json
import math

import numpy as np
import pytest
from conftest import HashingEncoder
from hypothesis import given
from hypothesis import strategies as st
from made_up_questions import unhurried
from sklearn.neighbors import KNeighborsClassifier

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.evaluation import n_way_accuracy

TOPICS = {
    "pay": ["how do i pay", "can i pay by card", "pay with a voucher", "card refused"],
    "parcel": ["where is my parcel", "parcel late", "is my card in the parcel"],
    "login": ["i cannot log in", "log in fails", "where do i log in with my card"],
}


class SameForAll(HashingEncoder):
    """Tells nothing apart."""

    def encode(self, texts, *, progress=None):
        return np.tile(np.eye(1, self.dimension, dtype=np.float32), (len(texts), 1))


def columns(topics):
    rows = [(text, name) for name, texts in topics.items() for text in texts]
    return [text for text, _ in rows], [name for _, name in rows]


def every_draw(topics, shots):
    """The accuracy of each possible choice of references, by scikit-learn."""
    encoder = HashingEncoder()
    texts, names = columns(topics)
    vectors = encoder.encode(texts)
    accuracies = []
    for chosen in itertools.product(*(itertools.combinations(members, shots) for members in topics.values())):
        known = np.isin(texts, [text for some in chosen for text in some])
        nearest = KNeighborsClassifier(1, metric="cosine").fit(vectors[known], np.array(names)[known])
        accuracies.append(nearest.score(vectors[~known], np.array(names)[~known]))
    return accuracies


@pytest.mark.parametrize("shots", [1, 2])
def test_the_mean_and_spread_of_many_draws_are_those_of_all_possible_ones(encoder, shots):
    possible = every_draw(TOPICS, shots)
    found = n_way_accuracy(encoder, *columns(TOPICS), shots=shots, draws=2000)
    assert found.accuracy == pytest.approx(np.mean(possible), abs=0.02)
    assert found.deviation == pytest.approx(np.std(possible), abs=0.02)
    assert (found.ways, found.texts, found.queries) == (3, 10, 10 - 3 * shots)


def test_a_single_draw_is_one_of_the_possible_ones(encoder):
    possible = every_draw(TOPICS, 1)
    seen = set()
    for seed in range(20):
        found = n_way_accuracy(encoder, *columns(TOPICS), draws=1, seed=seed)
        assert min(abs(found.accuracy - value) for value in possible) < 1e-9
        assert math.isnan(found.deviation)
        seen.add(found.accuracy)
    assert len(seen) > 1


def test_classes_without_a_common_word_are_told_apart(encoder):
    topics = {f"class {i}": [f"word{i} and{i} x{i}y{j}" for j in range(5)] for i in range(10)}
    assert n_way_accuracy(encoder, *columns(topics)).accuracy == 1


def test_what_is_equally_similar_counts_as_a_choice_at_random():
    for shots in (1, 2):
        found = n_way_accuracy(SameForAll(), *columns(TOPICS), shots=shots)
        assert found.accuracy == pytest.approx(1 / 3)
        assert found.deviation == pytest.approx(0)


def test_each_text_is_encoded_once(encoder):
    texts, names = columns(TOPICS)
    n_way_accuracy(encoder, texts + texts, names + names, draws=5)
    assert sorted(encoder.encoded) == sorted(texts)


@unhurried
@given(st.randoms(use_true_random=False))
def test_neither_the_order_of_the_rows_nor_the_names_of_the_classes_matter(random):
    texts, names = columns(TOPICS)
    expected = n_way_accuracy(HashingEncoder(), texts, names, draws=3, seed=7)
    rows = list(zip(texts, names, strict=True))
    random.shuffle(rows)
    numbers = dict(zip(TOPICS, random.sample(range(100), len(TOPICS)), strict=True))
    shuffled = n_way_accuracy(
        HashingEncoder(), [text for text, _ in rows], np.array([numbers[n] for _, n in rows]), draws=3, seed=7
    )
    assert shuffled == expected


@unhurried
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", " ", None, math.nan, "a b", "A b?", "c", "d e", "f", "g h", "a c", "i"]),
            st.sampled_from(["x", "x", "y", "y", "z", "", None, math.nan]),
        ),
        max_size=40,
    )
)
def test_every_row_is_accounted_for(rows):
    rows += [("one more", "x"), ("and another", "x"), ("of y", "y"), ("also of y", "y")]
    found = n_way_accuracy(HashingEncoder(), [text for text, _ in rows], [name for _, name in rows], draws=1)
    left_out = found.left_out
    assert len(rows) == found.texts + sum(
        (
            left_out.blank,
            left_out.unclassified,
            left_out.contradictions,
            left_out.repeats,
            left_out.in_small_classes,
        )
    )


def test_what_is_left_out_is_counted_by_reason(encoder):
    texts, names = columns(TOPICS)
    texts += ["", "no class", "How do I pay??", "in two", "in two", "in two", "alone"]
    names += ["pay", " ", "pay", "pay", "login", "login", "rare"]
    found = n_way_accuracy(encoder, texts, names, draws=1)
    left_out = found.left_out
    assert (left_out.blank, left_out.unclassified, left_out.repeats) == (1, 1, 1)
    assert (left_out.contradictions, left_out.in_small_classes, found.small_classes) == (3, 1, 1)
    assert found.texts == 10
    text = str(found)
    assert "1 blank, 1 without a class, 3 in several classes, 1 repeats, 1 in 1 classes of fewer than 2" in text


def test_missing_values_of_pandas_are_blank_or_no_class(encoder):
    pandas = pytest.importorskip("pandas")
    texts, names = columns(TOPICS)
    plain = n_way_accuracy(encoder, [*texts, None, "no class"], [*names, "pay", None])
    nullable = n_way_accuracy(
        encoder,
        pandas.Series([*texts, None, "no class"], dtype="string"),
        pandas.Series([*names, "pay", None], dtype="string"),
    )
    assert nullable == plain
    assert (plain.left_out.blank, plain.left_out.unclassified) == (1, 1)


def test_whole_numbers_of_numpy_will_do(encoder):
    plain = n_way_accuracy(encoder, *columns(TOPICS), shots=1, draws=2, seed=3)
    found = n_way_accuracy(encoder, *columns(TOPICS), shots=np.int64(1), draws=np.int32(2), seed=np.uint8(3))
    assert json.dumps(found.to_dict()) == json.dumps(plain.to_dict())


def test_it_prints_and_becomes_json(encoder):
    found = n_way_accuracy(encoder, *columns(TOPICS), draws=1, seed=3)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["deviation"] is None
    assert plain["left_out"]["repeats"] == 0
    assert plain["encoder"] == encoder.fingerprint
    assert f"accuracy {found.accuracy:.4f} (guessing: 0.3333)" in str(found)
    assert "standard deviation" in str(n_way_accuracy(encoder, *columns(TOPICS)))


def test_what_cannot_be_measured(encoder):
    texts, names = columns(TOPICS)
    with pytest.raises(EmptyInputError):
        n_way_accuracy(encoder, [], [])
    with pytest.raises(InputError, match="10 texts and 9 classes"):
        n_way_accuracy(encoder, texts, names[1:])
    with pytest.raises(InputError, match=r"1 of 3 classes have at least 4 different texts.*shots="):
        n_way_accuracy(encoder, texts, names, shots=3)
    with pytest.raises(InputError, match="Row 2: the text is 7"):
        n_way_accuracy(encoder, ["a", 7], ["x", "y"])
    for wrong in ({"shots": 0}, {"draws": 0}, {"shots": 1.0}, {"draws": "2"}, {"shots": True}):
        with pytest.raises(InputError, match="whole number, at least 1"):
            n_way_accuracy(encoder, texts, names, **wrong)
    for seed in (-1, 0.5, None):
        with pytest.raises(InputError, match=r"seed is .*whole number, at least 0"):
            n_way_accuracy(encoder, texts, names, seed=seed)
    for label in (["x"], ("x", ["y"]), np.zeros(2)):
        with pytest.raises(InputError, match=r"Row 10: the class is .* cannot name a class"):
            n_way_accuracy(encoder, texts, [*names[:-1], label])
    assert encoder.encoded == []
