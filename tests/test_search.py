"""Exact search: against brute force, on random and clustered vectors, whatever the block size or row order."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.cores import usable_cores
from dupdetect.errors import InputError
from dupdetect.search import TooManyPairsError, cosine, exact, nearest, similar_pairs


@pytest.fixture(scope="module", autouse=True, params=[0, 10**9], ids=["integers", "float32"])
def few_rows(request):
    """Every test twice: with the products of integers, which small sets do without, and without them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_FEW_ROWS", request.param)
        yield


def unit(matrix):
    matrix = np.asarray(matrix, dtype=np.float64)
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def random_rows(n, d=384, seed=0):
    return unit(np.random.default_rng(seed).normal(size=(n, d)))


def clustered_rows(n, centres, spread, d=64, seed=0):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, d))
    return unit(middle[rng.integers(centres, size=n)] + spread * rng.normal(size=(n, d)))


def brute_force(rows, threshold):
    """The oracle: every pair by its own float64 dot product, rounded as `cosine` rounds it."""
    expected = {}
    wide = rows.astype(np.float64)
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            value = np.float32(min(1.0, (wide[i] * wide[j]).sum()))
            if float(value) >= threshold:
                expected[i, j] = value
    return expected


def as_dict(pairs):
    return {(int(i), int(j)): s for i, j, s in zip(pairs.left, pairs.right, pairs.similarity, strict=True)}


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("block_rows", [1, 7, 64, 5000])
def test_random_vectors_match_brute_force(threshold, block_rows):
    rows = random_rows(120)
    assert as_dict(similar_pairs(rows, threshold, block_rows=block_rows)) == brute_force(rows, threshold)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9, 0.97])
def test_clustered_vectors_match_brute_force(threshold):
    rows = clustered_rows(300, centres=12, spread=0.25)
    expected = brute_force(rows, threshold)
    assert expected
    assert as_dict(similar_pairs(rows, threshold, block_rows=50)) == expected


def test_clusters_of_a_thousand_identical_rows_are_complete():
    rows = np.repeat(random_rows(3), 1000, axis=0)
    pairs = similar_pairs(rows, 0.999, block_rows=256)
    assert len(pairs) == 3 * 1000 * 999 // 2
    assert (pairs.left // 1000 == pairs.right // 1000).all()
    assert (pairs.left < pairs.right).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 40), d=st.integers(1, 9), pick=st.integers(0, 10_000))
def test_a_threshold_that_equals_a_similarity_keeps_that_pair(seed, n, d, pick):
    """Thresholds on the very values are where a filter with an unproven tolerance loses pairs."""
    rows = random_rows(max(n, 2), d, seed)
    everything = similar_pairs(rows, -1.0)
    threshold = float(everything.similarity[pick % len(everything)])
    assert as_dict(similar_pairs(rows, threshold, block_rows=5)) == brute_force(rows, threshold)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), first=st.integers(1, 50), second=st.integers(1, 50))
def test_row_order_and_block_size_change_no_bit(seed, first, second):
    rows = clustered_rows(60, centres=5, spread=0.4, seed=seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    plain = as_dict(similar_pairs(rows, 0.6, block_rows=first))
    shuffled = similar_pairs(rows[order], 0.6, block_rows=second)
    back = {(min(order[i], order[j]), max(order[i], order[j])): s for (i, j), s in as_dict(shuffled).items()}
    assert back == plain


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_threshold_of_numpy_is_the_same_number(kind, tmp_path):
    first = random_rows(1, 64)
    others = np.random.default_rng(8).normal(size=(1500, 64))
    others -= (others @ first.T) * first
    rows = unit(np.concatenate([first, 0.5 * first + np.sqrt(0.75) * unit(others)]))  # half of them above, half below
    expected = similar_pairs(rows, 0.5)
    found = similar_pairs(rows, kind(0.5), work=tmp_path)
    assert np.array_equal(found.left, expected.left)
    assert np.array_equal(found.right, expected.right)


def test_a_count_of_numpy_is_the_same_number():
    rows = random_rows(300, 8)
    assert np.array_equal(nearest(rows[:3], rows, np.uint8(2)).rows, nearest(rows[:3], rows, 2).rows)


def test_many_equally_near_rows_take_little_memory():
    rows = np.repeat(random_rows(1, 96), 20_000, axis=0)
    tracemalloc.start()
    try:
        nearest(rows[:1], rows, 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(rows) + 1_000_000, "no copy of the rows"


def test_progress_sums_to_all_pairs():
    done = []
    similar_pairs(random_rows(101, 8), 0.9, block_rows=20, progress=done.append)
    assert sum(done) == 101 * 100 // 2


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare(n):
    assert len(similar_pairs(random_rows(2, 8)[:n], 0.5)) == 0


def test_cosine_is_symmetric_bounded_and_row_by_row():
    a, b = random_rows(5000, 384, 1), random_rows(5000, 384, 2)
    together = cosine(a, b)
    assert (together == cosine(b, a)).all()
    assert (np.abs(together) <= 1).all()
    assert all(together[i] == cosine(a[i : i + 1], b[i : i + 1])[0] for i in range(0, 5000, 97))
    np.testing.assert_allclose(together, np.einsum("ij,ij->i", a, b), atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 50), q=st.integers(1, 10), k=st.integers(1, 60))
def test_nearest_matches_a_full_sort(seed, n, q, k):
    corpus = clustered_rows(n, centres=3, spread=0.3, d=8, seed=seed)
    corpus[n // 2] = corpus[0]  # a tie
    queries = clustered_rows(q, centres=3, spread=0.3, d=8, seed=seed + 1)
    found = nearest(queries, corpus, k, most_products=3 * len(corpus))
    for i in range(q):
        exact = cosine(np.repeat(queries[i : i + 1], n, axis=0), corpus)
        expected = sorted(range(n), key=lambda j: (-exact[j], j))[:k]
        assert found.rows[i].tolist() == expected
        assert found.similarity[i].tolist() == exact[expected].tolist()


def test_nearest_in_an_empty_corpus():
    found = nearest(random_rows(3, 8), np.empty((0, 8), dtype=np.float32), 5)
    assert found.rows.shape == (3, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: similar_pairs(r * 2, 0.5), "length 2"),
        (lambda r: similar_pairs(r * np.nan, 0.5), "length nan"),
        (lambda r: similar_pairs(r[0], 0.5), "two dimensions"),
        (lambda r: similar_pairs(r, 1.5), r"\[-1, 1\]"),
        (lambda r: similar_pairs(r, float("nan")), r"\[-1, 1\]"),
        (lambda r: similar_pairs(r, 0.5, block_rows=0), "block_rows"),
        (lambda r: nearest(r, r[:, :4], 1), "dimensions|length"),
        (lambda r: nearest(r, r, 0), "top_k"),
    ],
)
def test_unusable_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(random_rows(10, 8))


def test_too_many_pairs_are_noticed_before_they_take_much_room(monkeypatch):
    """Near-copies of one text: each block is full of pairs, and few of them may be held when there are too many."""
    found = []
    pairs = exact._Join.pairs

    def counted(join, *strip):
        found.append(pairs(join, *strip))
        return found[-1]

    monkeypatch.setattr(exact._Join, "pairs", counted)
    rows = np.tile(random_rows(1, 8), (400, 1))
    with pytest.raises(TooManyPairsError):
        similar_pairs(rows, 0.9, block_rows=5, most=30)
    blocks = sum(len(left) for left, _, _ in found) / 5**2
    assert blocks <= 12 * usable_cores()


class TestFinishedBlocks:
    """A join that keeps its finished blocks goes on where it was, and gives the same pairs."""

    rows = random_rows(130, 12)
    strips = tuple(-(-(44 - block) // 4) for block in range(44))  # of 4 blocks, from each block of three rows on

    def join(self, folder, rows=None, threshold=0.3, **options):
        done = []
        rows = self.rows if rows is None else rows
        found = as_dict(similar_pairs(rows, threshold, block_rows=3, work=folder, progress=done.append, **options))
        assert found == brute_force(rows, threshold)
        assert sum(done) == len(rows) * (len(rows) - 1) // 2
        return done

    def test_finished_blocks_are_not_compared_again(self, tmp_path):
        assert len(self.join(tmp_path / "work")) == sum(self.strips)
        assert len(self.join(tmp_path / "work")) == 1

    @pytest.mark.parametrize("kept", [1, 10, 80])
    def test_it_goes_on_after_an_interrupt(self, tmp_path, kept):
        seen = []

        def interrupt(_):
            seen.append(1)
            if len(seen) == kept:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            similar_pairs(self.rows, 0.3, block_rows=3, work=tmp_path, progress=interrupt)
        finished = len(list(tmp_path.glob("*.npy")))
        assert finished == sum(sum(self.strips[: end + 1]) < kept for end in range(44))
        assert len(self.join(tmp_path)) == sum(self.strips[finished:]) + (finished > 0)

    @pytest.mark.parametrize("other", [{"threshold": 0.31}, {"rows": random_rows(130, 12, seed=5)}])
    def test_those_of_another_join_are_neither_used_nor_deleted(self, tmp_path, other):
        (tmp_path / "mine.npy").write_text("mine")
        self.join(tmp_path)
        assert len(self.join(tmp_path, **other)) == sum(self.strips)
        assert len(self.join(tmp_path, **other)) == 1
        assert len(self.join(tmp_path)) == 1
        assert (tmp_path / "mine.npy").exists()

    def test_finished_pairs_count_against_the_most(self, tmp_path):
        pairs = len(similar_pairs(self.rows, 0.3, block_rows=3, work=tmp_path))
        assert len(similar_pairs(self.rows, 0.3, block_rows=3, work=tmp_path, most=pairs)) == pairs
        with pytest.raises(TooManyPairsError):
            similar_pairs(self.rows, 0.3, block_rows=3, work=tmp_path, most=pairs - 1)

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"\x93NUMPY"])
    def test_a_damaged_block_is_named(self, tmp_path, content):
        self.join(tmp_path)
        (file,) = tmp_path.glob("*-39.npy")
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"-39\.npy is damaged"):
            self.join(tmp_path)
        file.unlink()
        assert len(self.join(tmp_path)) == 1 + self.strips[13]
