"""Topics: questions of the same words stand together."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from tiny_bert import make_tiny_bert

from dupdetect.errors import InputError
from dupdetect.training.models import freeze_embeddings, load_model
from dupdetect.training.topics import question_topics


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(str(make_tiny_bert(tmp_path_factory.mktemp("bert"))))


KINDS = ("how do i get a new card 12", "what is the way to explain 1234"), ("please explain please", "please explain")
TEXTS = [kind[row % 2] + " " * (row % 3) for row in range(40) for kind in KINDS]


def test_equal_texts_have_one_topic_and_others_another(model):
    topics = question_topics(model, TEXTS, 4, seed=0)
    of = {}
    for text, topic in zip(TEXTS, topics.tolist(), strict=True):
        of.setdefault(text.strip(), set()).add(topic)
    assert all(len(found) == 1 for found in of.values())
    assert len(set(topics.tolist())) > 1


def test_the_same_seed_gives_the_same_topics(model):
    assert np.array_equal(question_topics(model, TEXTS, 3, seed=5), question_topics(model, TEXTS, 3, seed=5))


def test_more_topics_than_texts(model):
    assert len(question_topics(model, TEXTS[:3], 10, seed=0)) == 3


def test_no_texts_of_known_tokens(model):
    assert question_topics(model, ["", ""], 2, seed=0).shape == (2,)


def test_a_base_without_token_vectors_is_refused():
    class Bare:
        def __getitem__(self, position):
            return object()

    with pytest.raises(InputError, match="topics=1"):
        question_topics(Bare(), ["a"], 2, seed=0)
    with pytest.raises(InputError, match="train_embeddings=True"):
        freeze_embeddings(Bare())
