"""The join in shards gives the pairs of the join in one piece, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.search import similar_pairs
from dupdetect.search.between import compared_between, pairs_between, shards_of
from dupdetect.search.blocks import sorted_pairs
from dupdetect.search.integers import IntegerProducts

PRODUCTS = IntegerProducts()


def unit_rows(rng, n, d, noise=0.2):
    rows = rng.normal(size=(max(n // 4, 1), d))[rng.integers(0, max(n // 4, 1), n)] + noise * rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def in_shards(embeddings, threshold, shard_rows):
    shards = list(shards_of(embeddings, threshold, shard_rows))
    every = [
        pairs_between(first, second, threshold, PRODUCTS)
        for place, first in enumerate(shards)
        for second in shards[place:]
    ]
    return every, sorted_pairs(every)


def check(embeddings, threshold, shard_rows):
    expected = similar_pairs(embeddings, threshold)
    _, (left, right, similarity) = in_shards(embeddings, threshold, shard_rows)
    np.testing.assert_array_equal(left, expected.left)
    np.testing.assert_array_equal(right, expected.right)
    np.testing.assert_array_equal(similarity, expected.similarity)
    return len(left)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 120),
    d=st.sampled_from([2, 8, 40, 130]),
    shard_rows=st.integers(1, 130),
    threshold=st.floats(-0.5, 1),
)
def test_any_rows_in_any_shards(seed, n, d, shard_rows, threshold):
    check(unit_rows(np.random.default_rng(seed), n, d), threshold, shard_rows)


@pytest.mark.parametrize("shard_rows", [1000, 1500, 4096])
def test_shards_of_several_blocks(shard_rows):
    assert check(unit_rows(np.random.default_rng(1), 3000, 96, noise=0.05), 0.9, shard_rows) > 1000


def test_a_pair_at_the_threshold_to_the_last_bit_counts():
    embeddings = unit_rows(np.random.default_rng(2), 500, 64)
    found = similar_pairs(embeddings, 0.5)
    for similarity in found.similarity[::50].tolist():
        check(embeddings, similarity, 128)
        check(embeddings, float(np.nextafter(similarity, 2)), 128)


def test_a_pair_stands_in_the_pairs_of_its_shards():
    embeddings = unit_rows(np.random.default_rng(3), 300, 32)
    every, _ = in_shards(embeddings, 0.5, 100)
    places = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    for (first, second), (left, right, _) in zip(places, every, strict=True):
        assert set((left // 100).tolist()) <= {first}
        assert set((right // 100).tolist()) <= {second}
        assert (left < right).all()


def test_pairs_are_counted():
    assert compared_between(5) == 10
    assert compared_between(5, 7) == 35
