"""What can be guessed without reading a word: by hand, against scikit-learn, and printed beside the detector."""

import numpy as np
import pytest
from conftest import labelled_pairs
from hypothesis import given
from hypothesis import strategies as st
from made_up_questions import pairs_of, question, random_rows, unhurried
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dupdetect import QuestionPairs, evaluate
from dupdetect.evaluation.graph_alone import graph_alone, parts_of_groups
from dupdetect.graph import connected_components
from dupdetect.splits.graph_features import common_neighbours, degrees


def as_graph(pairs):
    texts, left, right = pairs.nodes()
    return len(texts), np.column_stack([left, right]), pairs.labels, connected_components(len(texts), left, right)[left]


def hubs_of_duplicates():
    """Duplicates are asked about often, others once: the unlabelled graph tells all."""
    rows = [(question(i), question(100_000 + 10 * i + j), True) for i in range(60) for j in range(5)]
    return [*rows, *((question(i + 1000), question(200_000 + i), False) for i in range(300))]


def test_labels_that_the_graph_gives_away():
    graph = graph_alone(*as_graph(pairs_of(hubs_of_duplicates())), seed=0)
    assert (graph.accuracy, graph.average_precision, graph.folds) == (1, 1, 5)
    assert (graph.majority, graph.prevalence) == (0.5, 0.5)


def test_pairs_that_share_no_question_give_nothing_away():
    graph = graph_alone(*as_graph(labelled_pairs(300)), seed=0)
    assert graph.accuracy == graph.majority == pytest.approx(2 / 3)
    assert graph.average_precision == pytest.approx(graph.prevalence)
    assert graph.prevalence == pytest.approx(1 / 3)


def test_labels_by_chance_cannot_be_guessed():
    graph = graph_alone(*as_graph(pairs_of(random_rows(2000, 8000))), seed=0)
    assert graph.accuracy == pytest.approx(graph.majority, abs=0.03)
    assert graph.average_precision == pytest.approx(graph.prevalence, abs=0.06)


def test_it_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    rows = random_rows(1500, 4000, seed=2)
    # Labels that depend on the graph, but not wholly.
    times = np.bincount([int(text.split()[-1]) for row in rows for text in row[:2]])
    rows = [
        (a, b, bool(random.random() < (0.7 if times[int(a.split()[-1])] > 1 else 0.2))) for a, b, _ in rows if a != b
    ]
    k, edges, labels, groups = as_graph(pairs_of(rows))
    found = graph_alone(k, edges, labels, groups, seed=5)
    x = np.log1p(np.hstack([degrees(k, edges, edges, np.True_), common_neighbours(k, edges, edges)[:, None]]))
    part = parts_of_groups(groups, seed=5)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (1e-3 * len(x) * 0.8), tol=1e-8))
    guess = cross_val_predict(model, x, labels, cv=PredefinedSplit(part), method="predict_proba")[:, 1]
    assert found.accuracy == pytest.approx(((guess >= 0.5) == labels).mean(), abs=0.005)
    each = [average_precision_score(labels[part == fold], guess[part == fold]) for fold in range(5)]
    assert found.average_precision == pytest.approx(np.average(each, weights=np.bincount(part)), abs=0.005)
    assert found.accuracy > found.majority + 0.03


@unhurried
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(0, 5))
def test_groups_are_never_divided(groups, seed):
    groups = np.array(groups)
    part = parts_of_groups(groups, seed)
    assert all(len(np.unique(part[groups == group])) == 1 for group in groups)
    assert len(np.unique(part)) == min(5, len(np.unique(groups)))


def test_pairs_that_all_hang_together_have_no_answer(detector):
    pairs = QuestionPairs.from_columns(["a b", "a b", "a b"], ["c d", "e f", "a b x"], [0, 0, 1])
    evaluation = evaluate(detector, pairs)
    assert evaluation.graph.folds == 0
    assert evaluation.to_dict()["graph"]["accuracy"] is None
    assert "not defined" in str(evaluation)


def test_it_stands_beside_the_detector(detector):
    evaluation = evaluate(detector, pairs_of(hubs_of_duplicates()))
    assert evaluation.graph.average_precision == 1
    (line,) = (line for line in str(evaluation).splitlines() if "which questions stand in pairs" in line)
    assert line.split()[-2:] == ["1.0000", "1.0000"]
    (line,) = (line for line in str(evaluation).splitlines() if line.startswith("  the detector "))
    accuracy, average_precision = evaluation.pair.accuracy.value, evaluation.pair.average_precision.value
    assert line.split()[-2:] == [f"{accuracy:.4f}", f"{average_precision:.4f}"]
