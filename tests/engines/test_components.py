"""Clusters and survivors in parts are those of all pairs at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.clustering import Resolution, resolve
from dupdetect.engines.components import bundles, forest, survivors
from dupdetect.search import SimilarPairs


def random_pairs(rng, n, count):
    """Distinct pairs of n nodes, with few different similarities, so that many are equal."""
    places = np.unique(rng.integers(0, n * n, count))
    left, right = np.divmod(places, n)
    left, right = left[left < right], right[left < right]
    similarity = rng.choice(np.array([0.8, 0.9, 0.95], dtype=np.float32), len(left))
    return SimilarPairs(left.astype(np.int32), right.astype(np.int32), similarity)


def in_parts(n, pairs, priority, shard, bundle):
    ends = np.stack([pairs.left, pairs.right])
    forests = [forest(ends[:, start : start + shard]) for start in range(0, len(pairs), shard)]
    while len(forests) > 1:
        forests = [forest(*forests[place : place + 2]) for place in range(0, len(forests), 2)]
    cluster = np.arange(n)
    for node, smallest in forests:
        cluster[node] = smallest
    survivor, similarity = np.arange(n), np.full(n, np.nan, dtype=np.float32)
    given = 0
    for some in bundles(pairs, cluster, bundle):
        nodes = np.unique([some.left, some.right])
        survivor[nodes], similarity[nodes] = survivors(some, nodes, priority[nodes])
        given += len(some)
    assert given == len(pairs)
    return Resolution(cluster, survivor, similarity)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    count=st.integers(0, 300),
    shard=st.integers(1, 200),
    bundle=st.integers(1, 200),
)
def test_any_graph_in_any_parts(seed, n, count, shard, bundle):
    rng = np.random.default_rng(seed)
    pairs, priority = random_pairs(rng, n, count), rng.permutation(n)
    if not len(pairs):
        return
    found, expected = in_parts(n, pairs, priority, shard, bundle), resolve(n, pairs, priority)
    for column in ("cluster", "survivor", "similarity"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60), count=st.integers(1, 300))
def test_a_forest_has_fewer_edges_than_nodes(seed, n, count):
    pairs = random_pairs(np.random.default_rng(seed), n, count)
    node, smallest = forest(np.stack([pairs.left, pairs.right]))
    assert len(node) < n
    assert (smallest < node).all()
    assert len(np.unique(node)) == len(node)
    np.testing.assert_array_equal(forest(np.stack([node, smallest])), [node, smallest])


def test_a_cluster_stands_in_one_bundle():
    rng = np.random.default_rng(0)
    pairs = random_pairs(rng, 500, 500)
    cluster = resolve(500, pairs, np.arange(500)).cluster
    parts = list(bundles(pairs, cluster, 40))
    labels = [set(cluster[part.left].tolist()) for part in parts]
    assert len(parts) > 3
    assert sum(map(len, labels)) == len(set().union(*labels))
