"""What can be guessed without reading a word, against networkx and scikit-learn."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_up_questions import pairs_of, question, random_rows, unhurried
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from dupdetect.splits import split_pairs
from dupdetect.splits.graph_features import common_neighbours, degrees
from dupdetect.splits.logistic import logistic_guess
from dupdetect.splits.probe import _average_precision


def leaky_rows(seed=0):
    """Questions that are asked about again and again, each with a fixed answer: only the graph tells the label."""
    random = np.random.default_rng(seed)
    rows = []
    for hub in range(400):
        label = bool(random.random() < 0.5)
        rows += [(question(hub), question(100_000 + 10 * hub + i), label) for i in range(6)]
    return rows


def test_a_random_split_leaks_and_ours_does_not():
    probe = split_pairs(pairs_of(leaky_rows())).report.probe
    assert probe.grouped.seen == 0
    assert probe.random.seen > 0.9
    assert probe.random.history_accuracy > 0.95
    assert probe.random.history_average_precision > 0.95
    # With no question seen, all test pairs get the same guess.
    assert probe.grouped.history_average_precision == pytest.approx(probe.grouped.prevalence)
    one_guess = (pytest.approx(probe.grouped.majority), pytest.approx(1 - probe.grouped.majority))
    assert probe.grouped.history_accuracy in one_guess


def test_the_probe_samples_by_content(monkeypatch):
    monkeypatch.setattr("dupdetect.splits.probe._PROBE_PAIRS", 200)
    rows = random_rows(1500, 6000)
    report = split_pairs(pairs_of(rows)).report
    assert report.probe.train_pairs == 200
    assert split_pairs(pairs_of(rows[::-1])).report == report


def test_how_the_pairs_were_chosen_shows_in_both_splits():
    # Duplicates are asked about often, others once: the unlabelled graph tells, whatever the split.
    rows = [(question(i), question(100_000 + 10 * i + j), True) for i in range(300) for j in range(5)]
    rows += [(question(i + 1000), question(200_000 + i), False) for i in range(1500)]
    probe = split_pairs(pairs_of(rows)).report.probe
    assert probe.grouped.structure_accuracy == probe.random.structure_accuracy == 1


def test_labels_by_chance_cannot_be_guessed():
    probe = split_pairs(pairs_of(random_rows(6000, 40_000))).report.probe
    for score in (probe.grouped, probe.random):
        assert score.history_average_precision == pytest.approx(score.prevalence, abs=0.08)
        assert score.structure_average_precision == pytest.approx(score.prevalence, abs=0.08)


@unhurried
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda e: e[0] != e[1]), max_size=60))
def test_common_neighbours_and_degrees_agree_with_networkx(edges):
    edges = sorted({(min(e), max(e)) for e in edges})
    graph = nx.Graph(edges)
    graph.add_nodes_from(range(13))
    columns = np.array(edges, dtype=np.int64).reshape(-1, 2)
    pairs = np.array([(a, b) for a in range(13) for b in range(a)])
    expected = [len(list(nx.common_neighbors(graph, a, b))) for a, b in pairs.tolist()]
    assert common_neighbours(13, columns, pairs).tolist() == expected
    expected_degrees = [sorted((graph.degree(a), graph.degree(b))) for a, b in pairs.tolist()]
    assert degrees(13, columns, pairs, np.False_).tolist() == expected_degrees


def test_common_neighbours_in_several_steps():
    clique = np.array([(a, b) for a in range(150) for b in range(a)])  # 11,175 pairs of degree 149: 1.7 million steps
    twice = np.vstack([clique, clique])
    assert (common_neighbours(150, clique, twice) == 148).all()


def test_logistic_guess_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 3)) * [1, 5, 0.1] + [0, 3, 1]
    y = random.random(2000) < 1 / (1 + np.exp(-(x @ [1.0, -0.3, 4.0] - 3)))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    reference = LogisticRegression(C=1 / (1e-3 * len(x)), tol=1e-8).fit(scaled, y)
    assert logistic_guess(x, y, x) == pytest.approx(reference.predict_proba(scaled)[:, 1], abs=1e-4)


def test_logistic_guess_survives_separable_constant_and_one_class_data():
    x = np.column_stack([np.arange(100.0), np.ones(100), np.arange(100.0)])
    assert ((logistic_guess(x, x[:, 0] >= 50, x) >= 0.5) == (x[:, 0] >= 50)).all()
    assert (logistic_guess(x, np.ones(100, dtype=bool), x) > 0.99).all()
    assert np.isfinite(logistic_guess(x[:1], np.zeros(1, dtype=bool), x)).all()


@unhurried
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=50))
def test_average_precision_agrees_with_scikit_learn(scored):
    truth, score = np.array([t for t, _ in scored]), np.array([float(s) for _, s in scored])
    assume(truth.any())  # scikit-learn warns without
    assert _average_precision(truth, score) == pytest.approx(average_precision_score(truth, score))
