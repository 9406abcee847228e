"""Texts with an end that others share: two with the same end are compared by what stands before it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect import crowded as crowded_module
from dupdetect.clustering import resolve
from dupdetect.crowded import crowded
from dupdetect.progress import silent
from dupdetect.search import SimilarPairs, TooManyPairsError, Vectors, cosine, similar_pairs, vectors


def unit(matrix):
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def made_up(n, ends, d, seed):
    """Texts in some heaps, with ends -1 (none) to ends - 1, and vectors of what stands before these."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(3, d))
    whole, before = (unit(middle[rng.integers(3, size=n)] + 0.5 * rng.normal(size=(n, d))) for _ in range(2))
    end = rng.integers(-1, ends, size=n)
    return Vectors.of(whole, end, before[end >= 0]), before


def every_pair(made, before, threshold):
    """Brute force over all pairs."""
    left, right = np.triu_indices(len(made.whole), 1)
    same = (made.end[left] == made.end[right]) & (made.end[left] >= 0)
    similarity = np.where(same, cosine(before[left], before[right]), cosine(made.whole[left], made.whole[right]))
    keep = similarity.astype(np.float64) >= threshold
    return SimilarPairs(left[keep].astype(np.int32), right[keep].astype(np.int32), similarity[keep])


def equal(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("left", "right", "similarity"))


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(0, 60),
    ends=st.integers(0, 4),
    d=st.integers(2, 6),
    threshold=st.sampled_from([-1.0, 0.2, 0.7, 0.95]),
    rows=st.sampled_from([1, 3, 7, 1024]),
    columns=st.sampled_from([2, 5, 4096]),
    seed=st.integers(0, 10**6),
)
def test_each_pair_is_found_by_what_the_two_are_compared_by(n, ends, d, threshold, rows, columns, seed):
    made, before = made_up(n, ends, d, seed)
    expected = every_pair(made, before, threshold)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "_ROWS", rows)
        patch.setattr(vectors, "_COLUMNS", columns)
        found = made.similar(slice(0, n), threshold, progress=seen.append)
        assert sum(seen) == n * (n - 1) // 2
        part = made.similar(slice(n // 3, n), threshold)
    assert equal(found, expected)
    inside = expected.left >= n // 3
    shifted = SimilarPairs(expected.left[inside] - n // 3, expected.right[inside] - n // 3, expected.similarity[inside])
    assert equal(part, shifted)
    assert np.array_equal(made.similarity(found.left, found.right), found.similarity)
    products = made.products(np.arange(n), np.arange(n))
    assert np.allclose(products[found.left, found.right], found.similarity, atol=1e-5)
    assert products.shape == (n, n)


def test_without_ends_it_is_the_plain_search():
    made, _ = made_up(50, 0, 5, 1)
    assert (made.end == -1).all()
    assert equal(made.similar(slice(0, 50), 0.5), similar_pairs(made.whole, 0.5))
    assert equal(Vectors.of(made.whole).similar(slice(0, 50), 0.5), similar_pairs(made.whole, 0.5))


def test_pairs_alike_by_their_end_alone_take_no_room():
    """A thousand different questions above one signature: no text is a pair of another, and none is counted."""
    rng = np.random.default_rng(2)
    signature = np.append(np.zeros(32), 50.0)
    questions = unit(np.pad(rng.normal(size=(1000, 32)), ((0, 0), (0, 1))))
    whole = unit(signature + questions)
    made = Vectors.of(whole, np.zeros(1000, dtype=np.int64), questions)
    assert len(made.similar(slice(0, 1000), 0.9, most=0)) == 0
    with pytest.raises(TooManyPairsError):
        Vectors.of(whole).similar(slice(0, 1000), 0.9, most=400_000)


@pytest.mark.parametrize("off", [0, 1])
def test_there_is_room_for_as_many_as_are_asked_for(off):
    made, before = made_up(60, 2, 4, 3)
    count = len(every_pair(made, before, 0.5))
    if off:
        with pytest.raises(TooManyPairsError):
            made.similar(slice(0, 60), 0.5, most=count - off)
    else:
        assert len(made.similar(slice(0, 60), 0.5, most=count)) == count


def test_what_is_finished_is_not_compared_again(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "_ROWS", 16)
    made, _ = made_up(60, 2, 4, 4)
    seen = []
    done = made.similar(slice(0, 60), 0.5, work=tmp_path)
    monkeypatch.setattr(vectors, "_block", None)
    assert equal(made.similar(slice(0, 60), 0.5, work=tmp_path, progress=seen.append), done)
    assert sum(seen) == 60 * 59 // 2
    others = Vectors.of(made.whole, np.where(made.end == 1, 0, made.end), made.before)
    with pytest.raises(TypeError):  # other ends make another join
        others.similar(slice(0, 60), 0.5, work=tmp_path)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 50),
    ends=st.integers(0, 3),
    threshold=st.sampled_from([0.2, 0.7, 0.95]),
    block=st.sampled_from([1, 7, 1024]),
    seed=st.integers(0, 10**6),
)
def test_survivors_without_a_list_of_all_pairs_are_those_of_the_list(n, ends, threshold, block, seed):
    made, before = made_up(n, ends, 4, seed)
    priority = np.random.default_rng(seed).permutation(n)
    expected = resolve(n, every_pair(made, before, threshold), priority)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowded_module, "_BLOCK_ROWS", block)
        pairs, cluster = crowded(made, np.zeros(n, dtype=np.int64), threshold, priority, 10**9, silent)
    again = resolve(n, pairs, priority)
    assert cluster.tolist() == expected.cluster.tolist()
    assert again.survivor.tolist() == expected.survivor.tolist()
    assert np.array_equal(again.similarity, expected.similarity, equal_nan=True)
