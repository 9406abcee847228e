"""The join by torch: the pairs of the exact search, to the bit, whatever torch runs on."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.errors import InputError, MissingExtraError
from dupdetect.search import TooManyPairsError, nearest, similar_pairs
from dupdetect.search.on_device import nearest_on, similar_pairs_on

torch = pytest.importorskip("torch")

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no graphics card here")
    ),
]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def close_rows(n, dimension, seed):
    """Rows around a few centres, some of them the same, so that there are pairs and ties at every threshold."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, n // 5), dimension))
    rows = centres[rng.integers(0, len(centres), n)] + rng.normal(size=(n, dimension)) * rng.choice(
        [0, 0.1, 0.5], (n, 1)
    )
    return unit(rows)


def assert_same_pairs(found, expected):
    for column in ("left", "right", "similarity"):
        mine, other = getattr(found, column), getattr(expected, column)
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 60),
    dimension=st.integers(1, 40),
    seed=st.integers(0, 1000),
    threshold=st.one_of(st.floats(-0.999, 1), st.sampled_from([-0.5, 0.0, 0.7, 0.9, 1.0])),
    block_rows=st.integers(1, 70),
)
def test_the_pairs_of_the_exact_search(device, n, dimension, seed, threshold, block_rows):
    rows = close_rows(n, dimension, seed) if n else np.zeros((0, dimension), np.float32)
    expected = similar_pairs(rows, threshold)
    assert_same_pairs(similar_pairs_on(device, rows, threshold, block_rows=block_rows), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_a_threshold_that_is_the_similarity_of_a_pair_takes_this_pair(device):
    rows = close_rows(300, 64, 1)
    for similarity in np.unique(similar_pairs(rows, -0.9).similarity)[::997].tolist():
        for threshold in (similarity, float(np.nextafter(similarity, 2))):
            if threshold <= 1:
                found = similar_pairs_on(device, rows, threshold, block_rows=128)
                assert_same_pairs(found, similar_pairs(rows, threshold))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_however_torch_multiplies(device, precision):
    # Rounded to 8 bits as coarsely as can be: numbers halfway between two that have 8 bits.
    rng = np.random.default_rng(5)
    rows = unit(rng.choice([-1, 1], (200, 96)) * (1 + 2.0**-9 * rng.choice([1, 3, 5], (200, 96))))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        found = similar_pairs_on(device, rows, 0.2)
    finally:
        torch.set_float32_matmul_precision(before)
    assert len(found)
    assert_same_pairs(found, similar_pairs(rows, 0.2))


def test_a_card_that_cuts_numbers_to_fewer_bits_misses_nothing(monkeypatch):
    """As TF32 and bfloat16 products do: what is cut here is what a card may cut."""
    product = torch.Tensor.__matmul__

    def cut(left, right):
        return product(left.to(torch.bfloat16).float(), right.to(torch.bfloat16).float())

    monkeypatch.setattr(torch.Tensor, "__matmul__", cut)
    rows = close_rows(400, 48, 3)
    for threshold in (-0.3, 0.5, 0.9):
        assert_same_pairs(similar_pairs_on("cpu", rows, threshold, block_rows=100), similar_pairs(rows, threshold))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(
    queries=st.integers(0, 20), corpus=st.integers(0, 50), k=st.integers(1, 60), seed=st.integers(0, 1000),
)  # fmt: skip
def test_the_neighbours_of_the_exact_search(device, queries, corpus, k, seed):
    rows = close_rows(queries + corpus, 8, seed) if queries + corpus else np.zeros((0, 8), np.float32)
    found = nearest_on(device, rows[:queries], rows[queries:], k)
    expected = nearest(rows[:queries], rows[queries:], k)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.similarity, expected.similarity)


def test_neighbours_in_several_portions(monkeypatch):
    monkeypatch.setattr("dupdetect.search.on_device._PRODUCTS", 200)
    rows, done = close_rows(90, 8, 4), []
    found = nearest_on("cpu", rows, rows, 3, progress=done.append)
    expected = nearest(rows, rows, 3)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.similarity, expected.similarity)
    assert len(done) > 10
    assert sum(done) == 90


def test_progress_counts_every_pair_once():
    rows, done = close_rows(101, 8, 0), []
    similar_pairs_on("cpu", rows, 0.9, block_rows=10, progress=done.append)
    assert sum(done) == 101 * 100 // 2


def test_too_many_pairs_stop_it():
    rows = close_rows(100, 8, 0)
    count = len(similar_pairs(rows, 0.5))
    assert len(similar_pairs_on("cpu", rows, 0.5, block_rows=20, most=count)) == count
    with pytest.raises(TooManyPairsError):
        similar_pairs_on("cpu", rows, 0.5, block_rows=20, most=count - 1)


def test_finished_blocks_are_not_computed_again(tmp_path, monkeypatch):
    rows, done = close_rows(100, 8, 0), []
    expected = similar_pairs_on("cpu", rows, 0.5, block_rows=30, work=tmp_path)
    last = max((tmp_path / "device").iterdir(), key=lambda file: int(file.stem.rpartition("-")[2]))
    last.unlink()
    found = similar_pairs_on("cpu", rows, 0.5, block_rows=30, work=tmp_path, progress=done.append)
    assert_same_pairs(found, expected)
    assert done == [100 * 99 // 2 - 10 * 9 // 2, 10 * 9 // 2]
    with pytest.raises(TooManyPairsError):
        similar_pairs_on("cpu", rows, 0.5, block_rows=30, work=tmp_path, most=1)


@pytest.mark.parametrize("threshold", [1.5, -2, float("nan")])
def test_a_threshold_that_is_none(threshold):
    with pytest.raises(InputError, match="threshold"):
        similar_pairs_on("cpu", close_rows(5, 4, 0), threshold)


def test_what_is_refused():
    rows = close_rows(5, 4, 0)
    with pytest.raises(InputError, match="block_rows"):
        similar_pairs_on("cpu", rows, 0.5, block_rows=0)
    with pytest.raises(InputError, match="length"):
        similar_pairs_on("cpu", rows * 2, 0.5)
    with pytest.raises(InputError, match="dimensions"):
        nearest_on("cpu", rows, rows[:, :2] / np.linalg.norm(rows[:, :2], axis=1, keepdims=True), 1)
    with pytest.raises(InputError, match="top_k"):
        nearest_on("cpu", rows, rows, 0)


def test_without_torch_the_pip_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"dupdetect\[train\]"):
        similar_pairs_on("cuda", close_rows(5, 4, 0), 0.5)


def test_a_device_that_is_full_is_said(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.Tensor, "__matmul__", full)
    with pytest.raises(InputError, match="memory of cpu does not suffice"):
        similar_pairs_on("cpu", close_rows(5, 4, 0), 0.5)
