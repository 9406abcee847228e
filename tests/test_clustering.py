"""Survivors: every removed node has a kept neighbour, on any graph."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.clustering import connection_strength, resolve
from dupdetect.search import SimilarPairs


def graph(n, edges):
    """Pairs from {(i, j): similarity}."""
    items = sorted(((min(e), max(e)), s) for e, s in edges.items())
    left = np.array([e[0] for e, _ in items], dtype=np.int32)
    right = np.array([e[1] for e, _ in items], dtype=np.int32)
    return SimilarPairs(left, right, np.array([s for _, s in items], dtype=np.float32))


def chain(n):
    return {(i, i + 1): 0.9 - i / 1000 for i in range(n - 1)}


def star(n):
    return {(0, i): 0.8 + i / 1000 for i in range(1, n)}


def clique(n, start=0):
    return {(i, j): 0.9 for i in range(start, start + n) for j in range(i + 1, start + n)}


def bridge():
    return {**clique(4), **clique(4, 4), (3, 4): 0.81}


SHAPES = {
    "chain": (9, chain(9)),
    "star": (7, star(7)),
    "clique": (6, clique(6)),
    "bridge": (8, bridge()),
    "none": (5, {}),
}


def check(n, edges, priority):
    """The promises, stated once."""
    pairs = graph(n, edges)
    found = resolve(n, pairs, np.asarray(priority))
    kept = found.kept
    for node in range(n):
        survivor = int(found.survivor[node])
        assert kept[survivor]
        if kept[node]:
            assert survivor == node
            assert np.isnan(found.similarity[node])
        else:
            key = (min(node, survivor), max(node, survivor))
            assert key in edges, "a survivor must be measured, not a neighbour's neighbour"
            assert found.similarity[node] == np.float32(edges[key])
            alternatives = [
                np.float32(s) for e, s in edges.items() if node in e and kept[e[0] if e[1] == node else e[1]]
            ]
            assert found.similarity[node] == max(alternatives)
    assert not any(kept[i] and kept[j] for i, j in edges), "two kept nodes are a pair"
    oracle = nx.Graph()
    oracle.add_nodes_from(range(n))
    oracle.add_edges_from(edges)
    for component in nx.connected_components(oracle):
        assert {int(found.cluster[node]) for node in component} == {min(component)}
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_shapes(shape, seed):
    n, edges = SHAPES[shape]
    check(n, edges, np.random.default_rng(seed).permutation(n))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_graph(data):
    n = data.draw(st.integers(1, 12))
    possible = [(i, j) for i in range(n) for j in range(i + 1, n)]
    chosen = data.draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    edges = {edge: data.draw(st.sampled_from([0.7, 0.8, 0.9, 1.0])) for edge in chosen}
    check(n, edges, data.draw(st.permutations(range(n))))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_renumbering_the_nodes_changes_nothing(data):
    n, edges = data.draw(st.sampled_from(list(SHAPES.values())))
    priority = np.array(data.draw(st.permutations(range(n))))
    new = np.array(data.draw(st.permutations(range(n))))
    plain = check(n, edges, priority)
    moved_priority = np.empty(n, dtype=int)
    moved_priority[new] = priority
    renamed = {tuple(sorted((int(new[i]), int(new[j])))): s for (i, j), s in edges.items()}
    moved = check(n, renamed, moved_priority)
    assert (moved.survivor[new] == new[plain.survivor]).all()


def test_a_chain_keeps_what_its_first_row_does_not_match():
    found = check(3, {(0, 1): 0.9, (1, 2): 0.9}, [0, 1, 2])
    assert found.kept.tolist() == [True, False, True]
    assert len(set(found.cluster.tolist())) == 1


def test_the_first_asked_is_kept():
    for first in range(6):
        priority = np.roll(np.arange(6), first)
        assert check(6, clique(6), priority).kept.tolist() == [node == first for node in range(6)]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1000), low=st.floats(0.5, 0.9), more=st.floats(0, 0.1))
def test_raising_the_threshold_only_splits_clusters(seed, low, more):
    rng = np.random.default_rng(seed)
    edges = {(i, j): float(rng.uniform(0.5, 1)) for i in range(10) for j in range(i + 1, 10) if rng.random() < 0.3}
    at = [
        resolve(10, graph(10, {e: s for e, s in edges.items() if s >= t}), np.arange(10)).cluster
        for t in (low, low + more)
    ]
    for i in range(10):
        for j in range(10):
            assert at[0][i] == at[0][j] or at[1][i] != at[1][j]


def test_connection_strength_counts_each_neighbour_by_its_weight():
    pairs = graph(3, {(0, 1): 0.5, (1, 2): 1.0})
    np.testing.assert_allclose(connection_strength(3, pairs, [1, 2, 3]), [1.0, 3.5, 2.0])
