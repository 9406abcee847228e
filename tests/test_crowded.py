"""Survivors and clusters without a list of all pairs: those that the full list gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect import crowded as module
from dupdetect import encoded_texts, listing
from dupdetect.cli.summary import summary
from dupdetect.clustering import resolve
from dupdetect.crowded import crowded
from dupdetect.errors import InputError
from dupdetect.progress import silent
from dupdetect.search import SimilarPairs, TooManyPairsError, Vectors, exact, similar_pairs


def unit(matrix):
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def clustered(n, centres, spread, d, seed):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, d))
    return unit(middle[rng.integers(centres, size=n)] + spread * rng.normal(size=(n, d)))


def in_groups(rows, group, threshold):
    """All pairs within the groups."""
    pairs = similar_pairs(rows, threshold)
    same = group[pairs.left] == group[pairs.right]
    return SimilarPairs(pairs.left[same], pairs.right[same], pairs.similarity[same])


def check(rows, group, threshold, priority):
    every = in_groups(rows, group, threshold)
    expected = resolve(len(rows), every, priority)
    pairs, cluster = crowded(Vectors.of(rows), group, threshold, priority, 10**9, silent)
    assert cluster.tolist() == expected.cluster.tolist()
    listed = {(i, j): s for i, j, s in zip(every.left.tolist(), every.right.tolist(), every.similarity, strict=True)}
    found = list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    assert found == sorted({(i, j) for i, j in listed if expected.kept[i] != expected.kept[j]})
    assert all(listed[pair] == value for pair, value in zip(found, pairs.similarity, strict=True))
    again = resolve(len(rows), pairs, priority)
    assert again.survivor.tolist() == expected.survivor.tolist()
    assert np.array_equal(again.similarity, expected.similarity, equal_nan=True)
    return every, pairs


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 60),
    centres=st.integers(1, 6),
    spread=st.floats(0.0, 1.5),
    d=st.integers(2, 6),
    threshold=st.sampled_from([-1.0, -0.3, 0.2, 0.7, 0.95, 0.9999999, 1.0]),
    cuts=st.lists(st.integers(0, 60), max_size=3),
    block=st.sampled_from([1, 3, 7, 1024]),
    seed=st.integers(0, 10**6),
)
def test_the_answer_is_that_of_the_full_list(n, centres, spread, d, threshold, cuts, block, seed):
    rows = clustered(n, centres, spread, d, seed)
    group = np.searchsorted(np.sort(cuts), np.arange(n), side="right").astype(np.int64)
    priority = np.random.default_rng(seed + 1).permutation(n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK_ROWS", block)
        check(rows, group, threshold, priority)


def test_a_pair_of_removed_rows_joins_clusters(monkeypatch):
    """Points on an arc, ten degrees apart: the inner two are removed for the outer ones, and are a pair themselves."""
    monkeypatch.setattr(module, "_BLOCK_ROWS", 2)
    angles = np.radians([0, 10, 20, 30])
    rows = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    every, pairs = check(rows, np.zeros(4, np.int64), np.cos(np.radians(10.5)), np.array([0, 2, 3, 1]))
    assert len(every) == 3
    assert len(pairs) == 2


def test_one_template_needs_few_pairs(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_ROWS", 64)
    rows = clustered(400, 1, 0.02, 32, 0)
    every, pairs = check(rows, np.zeros(400, np.int64), 0.9, np.arange(400)[::-1].copy())
    assert len(every) == 400 * 399 // 2
    assert len(pairs) == 399


def test_many_blocks_of_one_cluster_are_not_compared(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_ROWS", 64)
    rows = clustered(1024, 1, 0.02, 32, 0)
    compared = []
    plain = module._Near.pairs
    monkeypatch.setattr(
        module._Near, "pairs", lambda self, *a: compared.append(len(a[0]) * len(a[1])) or plain(self, *a)
    )
    crowded(Vectors.of(rows), np.zeros(1024, np.int64), 0.9, np.arange(1024), 10**9, silent)
    assert sum(compared) < 10 * 1024


def test_more_pairs_with_rows_that_stay_than_there_is_room_for_are_refused():
    """A row in the middle of a hundred that are no pairs among themselves."""
    rows = np.eye(101, dtype=np.float32)
    rows[100] = 0.1
    rows[100, 100] = 0.0
    priority = np.arange(101)
    assert len(crowded(Vectors.of(rows), np.zeros(101, np.int64), 0.09, priority, 100, silent)[0]) == 100
    with pytest.raises(InputError, match="higher threshold"):
        crowded(Vectors.of(rows), np.zeros(101, np.int64), 0.09, priority, 99, silent)


def test_the_join_stops_where_there_is_no_room():
    rows = clustered(3000, 1, 0.02, 32, 0)
    seen = []
    with pytest.raises(TooManyPairsError):
        similar_pairs(rows, 0.9, most=1_000_000, progress=seen.append)
    assert sum(seen) < 3_000_000
    few = rows[:100]
    assert len(similar_pairs(few, 0.9, most=4950)) == 4950
    with pytest.raises(TooManyPairsError):
        similar_pairs(few, 0.9, most=4949)


@pytest.fixture
def crowd(detector, monkeypatch):
    """Questions, their deduplication, and a detector that has no room for so many pairs."""
    texts = [f"the order {n} from shop {n % 7} did not arrive yet please help me" for n in range(60)]
    texts += [f"question {n} has words {n}a {n}b {n}c of its own" for n in range(20)] + ["", texts[3]]
    expected = detector.deduplicate(texts, keep="longest")
    assert len(expected.pairs) > 1000
    monkeypatch.setattr(listing, "MOST_PAIRS", 1000)
    return detector, texts, expected


def test_a_crowded_collection_is_decided_the_same_and_says_what_is_listed(crowd):
    detector, texts, expected = crowd
    result = detector.deduplicate(texts, keep="longest")
    for column in ("duplicate_of", "cluster_id", "similarity", "probability"):
        assert np.array_equal(getattr(result, column), getattr(expected, column), equal_nan=True)
    assert result.record()["search"] == {"kind": "exact", "listed": "removed texts and those that stay"}
    (note,) = set(result.notes) - set(expected.notes)
    listed = int((~result.pairs.same_text).sum())
    assert f"More than 1,000 pairs of texts reach the threshold, too many to list: listed are {listed:,}" in note
    every = {(pair.left, pair.right): pair for pair in expected.pairs}
    for pair in result.pairs:
        assert replace(every[pair.left, pair.right], bridge=0) == pair  # nobody can say without all pairs
        assert pair.same_text or expected.kept[pair.left] != expected.kept[pair.right]


def test_the_medoid_is_refused_where_it_cannot_be_told(crowd):
    detector, texts, _ = crowd
    with pytest.raises(InputError, match="Choose another policy"):
        detector.deduplicate(texts, keep="medoid")


def test_of_too_many_pairs_those_count_that_are_likely_each(detector, monkeypatch):
    """The promise of an estimated precision is kept, and every count is that of the pairs that count."""
    texts = [f"the order {n} from shop {n % 7} did not arrive yet please help me" for n in range(60)] + ["", ""]
    detector = detector.at(threshold=0.5)
    every = detector.deduplicate(texts)
    likely = detector.at(threshold=detector.calibration.surely(0.95).threshold).deduplicate(texts)
    assert 100 < len(likely.pairs) < len(every.pairs) - 100
    monkeypatch.setattr(listing, "MOST_PAIRS", len(likely.pairs))
    result = detector.deduplicate(texts, estimated_precision=0.95)
    assert result.threshold == likely.threshold > 0.5
    assert list(result.pairs) == list(likely.pairs)
    assert result.pairs.probability.min() >= 0.95
    assert min(pair.probability for pair in every.pairs if pair not in list(result.pairs)) < 0.95
    assert result.duplicate_of.tolist() == likely.duplicate_of.tolist()
    assert len(result.possible) == 0
    assert result.ruled_out is not None
    assert len(result.candidates) > 0
    counts = result.counts
    assert counts["rows"] == counts["kept"] + counts["removed"] == 62
    assert counts["pairs_of_different_texts"] == len(likely.pairs)
    assert counts["pairs_possible"] == 0
    said = summary(result.record(), Path("out"))
    assert f"More than {len(likely.pairs):,} pairs of texts reach the threshold of the detector, cosine 0.5000" in said
    assert f"They count from cosine {result.threshold:.4f} on" in said
    assert "95 % or more are estimated to be duplicates" in said
    assert result.record()["search"] == {"kind": "exact"}


def test_of_too_many_likely_pairs_some_are_listed_and_the_same_stays(crowd):
    detector, texts, _ = crowd
    least = detector.calibration.surely(0.8).threshold
    expected = detector.at(threshold=least).deduplicate(texts, keep="longest")
    assert expected.record()["search"]["listed"] == "removed texts and those that stay"
    result = detector.deduplicate(texts, keep="longest", estimated_precision=0.8)
    assert result.threshold == least > detector.calibration.threshold
    for column in ("duplicate_of", "cluster_id", "similarity", "probability"):
        assert np.array_equal(getattr(result, column), getattr(expected, column), equal_nan=True)
    assert result.record()["search"] == expected.record()["search"]
    assert "They count from cosine" in result.record()["possible"]
    assert "80 % or more are estimated" in result.record()["promise"]


@pytest.mark.parametrize("most", [1, 25])
def test_of_too_many_pairs_those_that_are_read_in_part_do_not_count(detector, monkeypatch, most):
    """Neither where the likely ones are listed, nor where even these are too many."""
    long = " ".join(f"w{i}" for i in range(60))
    texts = [f"{long} end{n}" for n in range(6)] + ["a b c d e f g h i j k l m n o p", "a b c d e f g h i j k l m n o"]
    monkeypatch.setattr(listing, "MOST_PAIRS", 10_000)
    listed = detector.deduplicate(texts, estimated_precision=0.8)
    monkeypatch.setattr(listing, "MOST_PAIRS", most)
    more = [f"p{n} q{n} r{n} s{n} t{n} u{n}{m} v{n}{m}" for n in range(12) for m in range(3)]  # similar, and not likely
    result = detector.deduplicate([*texts, *more], estimated_precision=0.8)
    assert result.run["too_many_pairs"]
    assert ("listed" in result.run["search"]) == (most == 1)
    assert listed.kept.tolist() == [True] * 7 + [False]
    assert result.kept.tolist()[:8] == listed.kept.tolist()
    if most == 25:
        assert len(result.possible) == 15 == result.run["pairs_read_in_part"]
    else:
        assert any("Pairs with a text longer than the encoder reads do not count" in note for note in result.notes)


def test_where_no_pair_is_likely_enough_none_counts(crowd):
    detector, texts, _ = crowd
    likeliest = float(detector.calibration.probability(1.0))
    result = detector.deduplicate(texts, estimated_precision=(likeliest + 1) / 2)
    assert result.counts["pairs_of_different_texts"] == 0
    assert result.counts["removed"] == result.counts["repeats_of_a_text"] == 1
    assert "none counts" in result.record()["possible"]


def test_room_for_all_pairs_is_an_estimate_of_all_pairs(crowd):
    detector, texts, expected = crowd
    roomy = detector.at(threshold=0.9)
    assert roomy.deduplicate(texts[:30], estimated_precision=0.9).run["too_many_pairs"] == ""
    assert expected.run["too_many_pairs"] == ""


def test_a_deduplication_goes_on_where_it_was(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_texts, "_FEW_ROWS", 10)
    texts = [f"question {n} has words {n % 40}a {n % 30}b {n}c of its own" for n in range(200)]
    expected = detector.deduplicate(texts)
    done = detector.deduplicate(texts, work=tmp_path / "work")
    files = sorted((tmp_path / "work").rglob("*.npy"))
    assert len(files) == 1
    monkeypatch.setattr(exact._Join, "pairs", None)  # nothing is compared again
    again = detector.deduplicate(texts, work=tmp_path / "work")
    for result in (done, again):
        assert result.duplicate_of.tolist() == expected.duplicate_of.tolist()
        assert list(result.pairs) == list(expected.pairs)
