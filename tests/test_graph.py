import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.graph import bridges, connected_components


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 40))
    node = st.integers(0, n - 1)
    return n, draw(st.lists(st.tuples(node, node), max_size=80))


def by_networkx(n, edges):
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(edges)
    labels = [0] * n
    for component in nx.connected_components(graph):
        for node in component:
            labels[node] = min(component)
    return labels


def columns(edges):
    return [a for a, _ in edges], [b for _, b in edges]


@settings(deadline=None)
@given(graphs())
def test_labels_are_the_smallest_node_of_each_component(graph):
    n, edges = graph
    labels = connected_components(n, *columns(edges))
    assert labels.dtype == np.int64
    assert labels.tolist() == by_networkx(n, edges)


@settings(deadline=None)
@given(graphs(), st.randoms())
def test_order_and_direction_of_edges_do_not_matter(graph, random):
    n, edges = graph
    other = [(b, a) if random.random() < 0.5 else (a, b) for a, b in edges]
    random.shuffle(other)
    assert np.array_equal(connected_components(n, *columns(edges)), connected_components(n, *columns(other)))


@pytest.mark.parametrize(
    "graph",
    [nx.star_graph(300), nx.path_graph(300), nx.complete_graph(40), nx.balanced_tree(2, 7), nx.barbell_graph(30, 50)],
    ids=["star", "path", "clique", "tree", "bridge"],
)
@pytest.mark.parametrize("seed", range(3))
def test_shapes_that_are_hard_for_label_propagation(graph, seed):
    n = graph.number_of_nodes() + 5  # five nodes with no edge
    renumber = np.random.default_rng(seed).permutation(n)
    edges = [(int(renumber[a]), int(renumber[b])) for a, b in graph.edges]
    assert connected_components(n, *columns(edges)).tolist() == by_networkx(n, edges)


@pytest.mark.parametrize("order", ["ascending", "random"])
def test_a_long_path_is_one_component(order):
    n = 200_000
    path = np.arange(n) if order == "ascending" else np.random.default_rng(0).permutation(n)
    assert not connected_components(n, path[:-1], path[1:]).any()


def test_a_large_random_graph_agrees_with_networkx():
    random = np.random.default_rng(1)
    n = 5_000
    left, right = random.integers(0, n, (2, 3_000))
    edges = list(zip(left.tolist(), right.tolist(), strict=True))
    assert connected_components(n, left, right).tolist() == by_networkx(n, edges)


def test_no_edges_and_no_nodes():
    assert connected_components(3, [], []).tolist() == [0, 1, 2]
    assert connected_components(0, [], []).tolist() == []


@pytest.mark.parametrize(
    ("n", "left", "right"),
    [(2, [0], [2]), (2, [-1], [0]), (2, [0, 1], [0]), (2, [0.5], [1.0]), (-1, [], []), (2, [[0, 1]], [[1, 0]])],
    ids=["outside", "negative node", "lengths", "not integers", "negative count", "two columns"],
)
def test_what_is_not_a_graph_is_refused(n, left, right):
    with pytest.raises(ValueError):
        connected_components(n, left, right)


def bridges_by_networkx(n, edges):
    graph = nx.Graph(edges)
    parts = []
    found = {frozenset(edge) for edge in nx.bridges(graph)}
    for a, b in edges:
        if frozenset((a, b)) not in found:
            parts.append(0)
            continue
        size = len(nx.node_connected_component(graph, a))
        graph.remove_edge(a, b)
        one = len(nx.node_connected_component(graph, a))
        graph.add_edge(a, b)
        parts.append(min(one, size - one))
    return parts


def simple(edges):
    return sorted({(min(edge), max(edge)) for edge in edges if edge[0] != edge[1]})


@settings(deadline=None, max_examples=300)
@given(graphs())
def test_bridges_are_the_edges_that_alone_hold_a_component_together(graph):
    n, edges = graph
    edges = simple(edges)
    assert bridges(n, *columns(edges)).tolist() == bridges_by_networkx(n, edges)


@settings(deadline=None)
@given(graphs(), st.randoms())
def test_bridges_do_not_depend_on_the_order_of_the_edges(graph, random):
    n, edges = graph
    edges = simple(edges)
    found = dict(zip(edges, bridges(n, *columns(edges)).tolist(), strict=True))
    random.shuffle(edges)
    assert bridges(n, *columns(edges)).tolist() == [found[edge] for edge in edges]


@pytest.mark.parametrize(
    "graph",
    [nx.star_graph(300), nx.path_graph(300), nx.complete_graph(40), nx.balanced_tree(2, 7), nx.barbell_graph(30, 50)],
    ids=["star", "path", "clique", "tree", "bridge"],
)
def test_bridges_of_large_shapes(graph):
    edges = simple(graph.edges)
    assert bridges(graph.number_of_nodes(), *columns(edges)).tolist() == bridges_by_networkx(len(graph), edges)
