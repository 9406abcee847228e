"""evaluate(): each view against a plain computation of the same thing."""

import itertools
import json

import numpy as np
import pytest

from dupdetect import Detector, QuestionPairs, evaluate
from dupdetect.errors import EmptyInputError, InputError, NotCalibratedError
from dupdetect.evaluation import MINING_FLOOR

PAIRS = [
    ("a b c d", "a b c e", 1),
    ("a b c d", "a b c f", 1),
    ("x y z w", "x y z v", 1),
    ("a b c d", "a b q r", 0),
    ("x y z w", "p q r s", 0),
    ("k l m n", "x y z k", 0),
    ("k l m n", "k l m n o", 0),
    ("g h i j", "q r s t", 1),
]


@pytest.fixture
def pairs():
    return QuestionPairs.from_columns(*zip(*PAIRS, strict=True))


@pytest.fixture
def evaluation(detector, pairs):
    return evaluate(detector, pairs)


def test_pair_metrics_are_those_of_the_decisions(detector, pairs, evaluation):
    decided = detector.predict(list(zip(pairs.left, pairs.right, strict=True)))
    right = int((decided & pairs.labels).sum())
    assert evaluation.pair.precision.value == right / decided.sum()
    assert evaluation.pair.recall.value == right / pairs.labels.sum()
    assert evaluation.pair.accuracy.value == (decided == pairs.labels).mean()
    assert evaluation.pair.threshold == detector.calibration.threshold


def test_intervals_hold_the_value(evaluation):
    for interval in (evaluation.pair.average_precision, evaluation.pair.accuracy):
        assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_retrieval_ranks_every_question_against_all_others(detector, pairs, evaluation):
    nodes = pairs.nodes()
    classes = [{"a b c d", "a b c e", "a b c f"}, {"x y z w", "x y z v"}, {"g h i j", "q r s t"}]
    first = []
    for query, known in ((text, c - {text}) for c in classes for text in c):
        others = [text for text in nodes.texts if text != query]
        similarity = detector.similarity([(query, other) for other in others])
        ranked = [others[i] for i in np.lexsort((np.arange(len(others)), -similarity))]
        first.append(len(known & set(ranked[:1])) / len(known))
    assert evaluation.retrieval.queries == 7
    assert evaluation.retrieval.recall_at_1 == pytest.approx(np.mean(first))
    assert evaluation.retrieval.recall_at_1 <= evaluation.retrieval.recall_at_5 <= evaluation.retrieval.recall_at_10


def test_mining_looks_at_all_pairs_of_the_pool(detector, pairs, evaluation):
    texts = pairs.nodes().texts
    everything = list(itertools.combinations(texts, 2))
    similarity = detector.similarity(everything)
    found = {pair for pair, s in zip(everything, similarity, strict=True) if s >= detector.calibration.threshold}
    true = {("a b c d", "a b c e"), ("a b c d", "a b c f"), ("a b c e", "a b c f"), ("x y z v", "x y z w")}
    true.add(("g h i j", "q r s t"))
    assert evaluation.mining.true_pairs == len(true)
    assert evaluation.mining.found == len(found)
    assert evaluation.mining.recall == len(found & true) / len(true)
    assert evaluation.mining.precision == len(found & true) / len(found)
    assert evaluation.mining.floor == MINING_FLOOR


def test_precision_falls_with_prevalence(evaluation):
    values = list(evaluation.precision_at_prevalence.values())
    assert values == sorted(values, reverse=True)


def test_it_prints_and_becomes_json(evaluation):
    assert "Recall@1" in str(evaluation)
    assert json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))["mining"]["pool"] == evaluation.mining.pool


def test_a_threshold_that_accepts_nothing_gives_none_not_a_crash(detector, pairs):
    evaluation = evaluate(detector.at(threshold=1.0), pairs)
    assert evaluation.to_dict()["pair"]["precision"]["value"] is None
    assert str(evaluation)


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_of_label_is_refused(detector, label):
    with pytest.raises(InputError):
        evaluate(detector, QuestionPairs.from_columns(["a", "b"], ["c", "d"], [label, label]))


def test_nothing_to_evaluate(detector, encoder, pairs):
    with pytest.raises(EmptyInputError):
        evaluate(detector, QuestionPairs.from_columns([], [], []))
    with pytest.raises(NotCalibratedError):
        evaluate(Detector(encoder), pairs)
