"""What lets pairs fall before they are looked at: never one that reaches the threshold, however the vectors lie."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.search import cosine, exact, similar_pairs
from dupdetect.search.integers import IntegerBlock, IntegerProducts
from dupdetect.search.marked import marked_places
from dupdetect.search.shorter import shorter_rows

SCRIPTS = Path(__file__).parent.parent / "scripts"
PRODUCTS = IntegerProducts()


def unit(matrix):
    matrix = np.asarray(matrix, dtype=np.float64)
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def ordinary(rng, n, d):
    return rng.normal(size=(n, d))


def clustered(rng, n, d):
    return rng.normal(size=(max(1, n // 8), d))[rng.integers(max(1, n // 8), size=n)] + 0.3 * rng.normal(size=(n, d))


def axes(rng, n, d):
    """Rows with one coordinate, which make the steps as large as they can be."""
    return np.eye(d)[rng.integers(d, size=n)] * rng.choice([-1, 1], size=(n, 1))


def spikes(rng, n, d):
    """One large coordinate, and many just below half a step, where all roundings go the same way."""
    rows = np.full((n, d), 0.49 / 63) * rng.choice([-1, 1], size=(1, d))
    rows[np.arange(n), rng.integers(d, size=n)] = 1.0
    return rows


def halves(rng, n, d):
    """Coordinates in the middle between two integers, on either side of a product."""
    return (rng.integers(-62, 62, size=(n, d)) + 0.5) / 63 + np.eye(d)[0]


def flat(rng, n, d):
    """All in a plane: the tail is nothing but rounding."""
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, d))


def alike(rng, n, d):
    return np.ones((n, d)) + 1e-4 * rng.normal(size=(n, d))


def opposite(rng, n, d):
    return alike(rng, n, d) * np.where(np.arange(n) % 2, 1.0, -1.0)[:, None]


KINDS = [ordinary, clustered, axes, spikes, halves, flat, alike, opposite]
SHAPES = {"seed": st.integers(0, 10**6), "n": st.integers(2, 60), "d": st.integers(2, 90)}


def of(kind, seed, n, d):
    return unit(kind(np.random.default_rng(seed), n, d))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(**SHAPES)
def test_no_integer_product_hides_a_pair(kind, seed, n, d):
    first, second = of(kind, seed, n, d), of(kind, seed + 1, n + 3, d)
    pairs = np.stack(np.meshgrid(np.arange(n), np.arange(n + 3), indexing="ij")).reshape(2, -1)
    similarity = cosine(first[pairs[0]], second[pairs[1]]).astype(np.float64)
    # Thresholds on the values themselves: each pair is as close as can be.
    for threshold in np.quantile(similarity, [0.0, 0.3, 0.7, 0.99, 1.0], method="nearest").tolist():
        found = PRODUCTS.candidates(IntegerBlock.of(first), IntegerBlock.of(second), threshold)
        assert not set(np.flatnonzero(similarity >= threshold).tolist()) - set(found.tolist())
        assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(**SHAPES, threshold=st.floats(-1, 1))
def test_short_products_are_never_below_the_long_ones(kind, seed, n, d, threshold):
    rows = of(kind, seed, n, d)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dupdetect.search.shorter._LENGTHS", (2, 3, 6, 31))
        short = shorter_rows(rows, threshold).astype(np.float64)
    assert short.shape[1] <= d
    exact_products = rows.astype(np.float64) @ rows.astype(np.float64).T
    assert (short @ short.T - exact_products).min() >= -2e-7


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 60), d=st.integers(8, 90), block=st.integers(1, 70))
def test_the_join_is_that_of_float64(kind, seed, n, d, block):
    rows = of(kind, seed, n, d)
    i, j = np.triu_indices(n, 1)
    similarity = cosine(rows[i], rows[j])
    threshold = float(np.quantile(similarity, 0.8, method="nearest"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_FEW_ROWS", 0)
        patch.setattr("dupdetect.search.shorter._LENGTHS", (2, 3, 6, 31))
        pairs = similar_pairs(rows, threshold, block_rows=block)
    keep = similarity.astype(np.float64) >= threshold
    assert pairs.left.tolist() == i[keep].tolist()
    assert pairs.right.tolist() == j[keep].tolist()
    assert pairs.similarity.tolist() == similarity[keep].tolist()


def test_vectors_with_few_directions_get_short_and_others_stay():
    rng = np.random.default_rng(0)
    few = unit(rng.normal(size=(3000, 40)) @ rng.normal(size=(40, 384)))
    assert shorter_rows(few, 0.8).shape[1] < 100
    many = unit(rng.normal(size=(3000, 384)) + 4 * np.eye(384)[rng.integers(384, size=3000)])
    assert shorter_rows(many, 0.2) is many


def test_a_large_join_finds_what_float32_products_find():
    rng = np.random.default_rng(3)
    rows = unit(rng.normal(size=(400, 128))[rng.integers(400, size=5000)] + 0.6 * rng.normal(size=(5000, 128)))
    fast = similar_pairs(rows, 0.7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_FEW_ROWS", 10**9)
        plain = similar_pairs(rows, 0.7)
    assert len(fast) > 1000
    for column in ("left", "right", "similarity"):
        assert np.array_equal(getattr(fast, column), getattr(plain, column))


def test_the_threads_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(4)
    rows = unit(rng.normal(size=(300, 64))[rng.integers(300, size=3000)] + 0.6 * rng.normal(size=(3000, 64)))
    found = []
    for threads in (1, 7):
        monkeypatch.setattr(exact, "usable_cores", lambda threads=threads: threads)
        found.append(similar_pairs(rows, 0.6, block_rows=100))
    assert np.array_equal(found[0].left, found[1].left)
    assert np.array_equal(found[0].right, found[1].right)
    assert np.array_equal(found[0].similarity, found[1].similarity)


def test_the_graph_is_what_the_script_makes():
    code = """import sys, make_product as made
sys.exit(made.PATH.read_bytes() != made.product().SerializeToString(deterministic=True))"""
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=False).returncode == 0


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 1])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (40, 123), (0, 4), (7, 0)])
def test_marked_places_are_those_of_numpy(shape, share):
    marked = np.random.default_rng(0).random(shape) < share
    assert marked_places(marked).tolist() == np.flatnonzero(marked).tolist()


def test_a_direction_that_all_vectors_share_does_not_coarsen_the_integers_of_short_ones():
    rng = np.random.default_rng(0)
    rows = unit(rng.normal(size=(3000, 30)) @ rng.normal(size=(30, 384)) + 10 * rng.normal(size=384))
    assert np.abs(rows @ unit(rows.mean(axis=0, keepdims=True)).T).min() > 0.6
    short = shorter_rows(rows, 0.99)
    assert short.shape[1] < 100
    assert np.abs(short).max() < 0.4
