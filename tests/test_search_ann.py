"""The approximate search: nothing that it finds is wrong, and its certificate says how much it misses."""

import csv
import json
import sys
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect import Detector
from dupdetect.cli import main
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import encode_texts
from dupdetect.errors import InputError, MissingExtraError
from dupdetect.metrics import clopper_pearson_lower
from dupdetect.progress import silent
from dupdetect.search import (
    SimilarPairs,
    TooManyPairsError,
    ann,
    approximate_pairs,
    cells,
    certificate,
    certify,
    similar_pairs,
)
from dupdetect.search.certificate import mean_share_lower

pytest.importorskip("faiss", reason="needs the extra `ann`")


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """The index is used from 21 rows on, instead of from 2,049."""
    monkeypatch.setattr(ann, "_FEW_ROWS", 20)


def clustered_rows(n, centres, spread=0.3, d=32, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(centres, d))[rng.integers(centres, size=n)] + spread * rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def as_dict(pairs):
    return {(int(i), int(j)): s for i, j, s in zip(pairs.left, pairs.right, pairs.similarity, strict=True)}


def some_of(pairs, keep):
    return SimilarPairs(pairs.left[keep], pairs.right[keep], pairs.similarity[keep])


def visiting(cells):
    """What stands in the place of `visits`, with this number, or all where there are fewer."""
    return lambda embeddings, middles, threshold: min(cells, len(middles))


def whole(rows):
    return [slice(0, len(rows))]


# What is found


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 300),
    centres=st.integers(1, 60),
    threshold=st.sampled_from([0.0, 0.5, 0.8, 0.95]),
    probed=st.sampled_from([1, 4, 16]),
)
def test_every_pair_found_is_one_of_the_exact_join_to_the_bit(seed, n, centres, threshold, probed):
    rows = clustered_rows(n, centres, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "visits", visiting(probed))
        found = approximate_pairs(rows, threshold)
    exact = as_dict(similar_pairs(rows, threshold))
    assert as_dict(found).items() <= exact.items()
    assert (found.left < found.right).all()
    places = found.left.astype(np.int64) * max(n, 1) + found.right
    assert (np.diff(places) > 0).all(), "sorted, and none twice"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(21, 200), pick=st.integers(0, 10_000))
def test_nothing_is_missed_in_the_cells_that_are_looked_at(seed, n, pick):
    """With all cells looked at it is the exact join, at a threshold that equals a similarity and just above it."""
    rows = clustered_rows(n, 10, seed=seed)
    everything = similar_pairs(rows, -1.0).similarity
    value = everything[pick % len(everything)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "visits", visiting(n))
        for threshold in (float(value), min(float(np.nextafter(value, np.float32(2))), 1.0)):
            assert as_dict(approximate_pairs(rows, threshold)) == as_dict(similar_pairs(rows, threshold))


def test_most_pairs_are_found_though_few_cells_are_looked_at():
    rows = clustered_rows(2000, 400, d=64)
    exact = similar_pairs(rows, 0.8)
    assert 0.95 * len(exact) < len(approximate_pairs(rows, 0.8)) <= len(exact)


def test_a_cluster_is_not_cut_off():
    """Each of its rows has 499 partners: more than any fixed number of neighbours would give."""
    rows = np.concatenate([np.repeat(clustered_rows(1, 1), 500, axis=0), clustered_rows(300, 300, seed=1)])
    assert len(approximate_pairs(rows, 0.99)) == 500 * 499 // 2


def test_rows_that_are_all_the_same(capfd):
    assert len(approximate_pairs(np.repeat(clustered_rows(1, 1), 100, axis=0), 1.0 - 1e-6)) == 100 * 99 // 2
    assert capfd.readouterr() == ("", "")


def test_the_same_rows_give_the_same_pairs_with_any_number_of_threads():
    import faiss

    rows = clustered_rows(1000, 150)
    first = as_dict(approximate_pairs(rows, 0.6))
    before = faiss.omp_get_max_threads()
    try:
        for threads in (1, 2, 3):
            faiss.omp_set_num_threads(threads)
            assert as_dict(approximate_pairs(rows, 0.6)) == first
    finally:
        faiss.omp_set_num_threads(before)


# Cells


def by_the_book(rows, middles):
    """All cells in the order of their nearness, by whole numbers."""
    scale = np.floor(4096 / 1.001 - rows.shape[1] ** 0.5 / 2)
    products = np.rint(rows * np.float32(scale)).astype(np.int64) @ middles.astype(np.int64).T
    return np.argsort(-products, axis=1, kind="stable")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(21, 300), most=st.integers(1, 40), together=st.integers(1, 300))
def test_the_nearest_cells_are_those_of_whole_numbers_whatever_stands_beside_a_row(seed, n, most, together):
    rows = np.repeat(clustered_rows(n, 10, seed=seed, d=384), 2, axis=0)
    middles = cells.middles_of(rows)
    middles[1] = middles[0]  # a tie
    assert (np.abs(middles) == np.rint(np.abs(middles))).all()
    most = min(most, len(middles))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_PRODUCTS", together * len(middles))
        found = cells.nearest_cells(rows, middles, most)
    np.testing.assert_array_equal(found, by_the_book(rows, middles)[:, :most])


def test_no_sum_of_products_leaves_the_whole_numbers_that_float32_has():
    for d in (1, 2, 384, 4096):
        longest = np.full((1, d), 1.001 / d**0.5, dtype=np.float32)
        assert (cells._rounded(longest).astype(np.int64) ** 2).sum() <= 2**24


@pytest.mark.parametrize("threshold", [0.7, 0.9])
def test_so_many_cells_are_visited_that_the_recall_aimed_at_is_reached(threshold):
    """Against a plain count, for all rows, as all are drawn."""
    rows = clustered_rows(900, 150, spread=0.45)
    middles = cells.middles_of(rows)
    order = by_the_book(rows, middles)
    exact = similar_pairs(rows, threshold)

    def recall(visited):
        true, met = np.zeros(900), np.zeros(900)
        for i, j in zip(exact.left, exact.right, strict=True):
            there = order[i, 0] in order[j, :visited] or order[j, 0] in order[i, :visited]
            true[[i, j]] += 1
            met[[i, j]] += there
        return (met[true > 0] / true[true > 0]).mean()

    chosen = cells.visits(rows, middles, threshold)
    assert recall(chosen) >= cells.RECALL
    assert chosen == 1 or recall(chosen - 1) < cells.RECALL
    assert chosen > 1


def test_where_no_row_has_a_partner_the_usual_number_of_cells_is_visited():
    rows = np.eye(100, dtype=np.float32)
    assert cells.visits(rows, cells.middles_of(rows), 0.5) == 16


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(30, 200), visited=st.integers(1, 8), shard_rows=st.integers(1, 200))
def test_pairs_that_meet_are_found_once_whatever_the_shards(seed, n, visited, shard_rows):
    rows = clustered_rows(n, 20, spread=0.6, seed=seed)
    near = cells.nearest_cells(rows, cells.middles_of(rows), visited)
    order = cells.by_home(near)
    shards = list(cells.cell_shards(rows, near, order, shard_rows))
    found = [cells.pairs_that_meet(*pair, 0.3) for pair in combinations_with_replacement(shards, 2)]
    expected = {
        (i, j): s
        for (i, j), s in as_dict(similar_pairs(rows, 0.3)).items()
        if near[i, 0] in near[j] or near[j, 0] in near[i]
    }
    left, right, similarity = cells.in_rows(order, found)
    assert len(left) == len(expected)
    assert {(int(i), int(j)): s for i, j, s in zip(left, right, similarity, strict=True)} == expected


def test_a_full_cell_is_compared_in_parts(monkeypatch):
    rows = clustered_rows(300, 40)
    expected = as_dict(approximate_pairs(rows, 0.5))
    for name, value in (("_ROWS", 7), ("_COLUMNS", 5), ("_CANDIDATES", 50)):
        monkeypatch.setattr(cells, name, value)
    assert as_dict(approximate_pairs(rows, 0.5)) == expected


def test_it_goes_on_from_what_was_finished(tmp_path, monkeypatch):
    rows = clustered_rows(1000, 150)
    monkeypatch.setattr(ann, "_SMALLEST", 64)
    expected = as_dict(approximate_pairs(rows, 0.6))
    compared, compare = [], ann.pairs_that_meet

    def interrupted(*arguments):
        compared.append(arguments)
        if len(compared) == 30:
            raise KeyboardInterrupt
        return compare(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ann, "pairs_that_meet", interrupted)
        with pytest.raises(KeyboardInterrupt):
            approximate_pairs(rows, 0.6, work=tmp_path)
    finished = len(list(tmp_path.glob("pairs-*/*.npy")))
    assert finished > 0
    compared[:] = [()] * 31
    monkeypatch.setattr(ann, "pairs_that_meet", interrupted)
    monkeypatch.setattr(ann, "middles_of", None)  # not asked for again
    done = []
    assert as_dict(approximate_pairs(rows, 0.6, work=tmp_path, progress=done.append)) == expected
    assert sum(done) == 1000 * 999 // 2
    assert len(compared) - 31 == len(list(tmp_path.glob("pairs-*/*.npy"))) - finished
    # Other cells (of another version of the library, say): nothing of these pairs fits.
    (file,) = tmp_path.glob("cells-*.npy")
    np.save(file, np.zeros((1000, 1), dtype=np.int32))
    assert as_dict(approximate_pairs(rows, 0.6, work=tmp_path)) == as_dict(similar_pairs(rows, 0.6))
    file.write_bytes(b"")
    with pytest.raises(InputError, match="is damaged"):
        approximate_pairs(rows, 0.6, work=tmp_path)


@pytest.mark.parametrize("n", [0, 1, 2, 20, 21, 1100])
def test_progress_sums_to_all_pairs(n):
    done = []
    approximate_pairs(clustered_rows(n, 50), 0.9, progress=done.append)
    assert sum(done) == n * (n - 1) // 2


def test_it_stops_where_there_are_more_pairs_than_asked_for():
    rows = clustered_rows(1100, 5)
    count = len(approximate_pairs(rows, 0.8))
    assert len(approximate_pairs(rows, 0.8, most=count)) == count
    done = []
    with pytest.raises(TooManyPairsError):
        approximate_pairs(rows, 0.8, most=10, progress=done.append)
    assert not done
    with pytest.raises(TooManyPairsError):
        approximate_pairs(rows, 0.8, most=count - 1)


def test_wrong_input():
    rows = clustered_rows(30, 3)
    with pytest.raises(InputError, match="lies in"):
        approximate_pairs(rows, 1.5)
    with pytest.raises(InputError, match="has length 2"):
        approximate_pairs(2 * rows, 0.5)


# The certificate


def test_when_nothing_is_missed_the_bound_is_that_of_as_many_successes():
    rows = clustered_rows(400, 100)
    exact = similar_pairs(rows, 0.8)
    done = []
    certified = certify(rows, whole(rows), exact, 0.8, progress=done.append)
    partners = np.bincount(np.concatenate([exact.left, exact.right]), minlength=400)
    assert (certified.sampled, certified.with_pairs) == (400, np.count_nonzero(partners))
    assert certified.pairs == certified.found == partners.sum() == 2 * len(exact)
    assert certified.recall == 1.0
    assert certified.lower_bound == pytest.approx(0.05 ** (1 / certified.with_pairs))
    assert sum(done) == 400


def test_it_counts_what_is_missed(monkeypatch):
    """Against a plain count, on a sample of the rows in two groups of three."""
    monkeypatch.setattr(certificate, "_SAMPLED_ROWS", 150)
    rows = clustered_rows(500, 60)
    groups = [slice(0, 200), slice(300, 500)]
    exact = similar_pairs(rows, 0.8)
    inside = np.any([(exact.left >= g.start) & (exact.right < g.stop) for g in groups], axis=0)
    found = some_of(exact, inside & (np.random.default_rng(5).random(len(exact)) < 0.7))
    certified = certify(rows, groups, found, 0.8)
    drawn = np.random.default_rng(certified.seed).choice([*range(200), *range(300, 500)], 150, replace=False)
    true, hits = (
        np.bincount(np.concatenate([pairs.left, pairs.right]), minlength=500)[drawn]
        for pairs in (some_of(exact, inside), found)
    )
    some = true > 0
    assert (certified.sampled, certified.with_pairs) == (150, some.sum())
    assert (certified.pairs, certified.found) == (true.sum(), hits.sum())
    assert certified.recall == pytest.approx((hits[some] / true[some]).mean())
    assert 0.5 < certified.lower_bound < certified.recall < 0.8


def test_a_bad_index_gets_a_low_certificate(monkeypatch):
    rows = clustered_rows(1200, 200)
    good = ann.in_rows
    monkeypatch.setattr(ann, "in_rows", lambda *arguments: [column[::5] for column in good(*arguments)])
    found, exact = approximate_pairs(rows, 0.8), similar_pairs(rows, 0.8)
    assert 0 < len(found) < 0.3 * len(exact)
    certified = certify(rows, whole(rows), found, 0.8)
    assert certified.lower_bound < certified.recall < 0.3
    nothing = certify(rows, whole(rows), some_of(exact, np.zeros(len(exact), dtype=bool)), 0.8)
    assert (nothing.found, nothing.recall) == (0, 0.0)
    assert nothing.lower_bound == pytest.approx(0.0, abs=1e-9)


def test_where_no_row_has_a_pair_nothing_is_claimed():
    rows = np.eye(60, dtype=np.float32)
    certified = certify(rows, whole(rows), similar_pairs(rows, 0.5), 0.5)
    assert (certified.pairs, certified.recall, certified.lower_bound) == (0, None, 0.0)
    assert "None of 60 texts drawn at random is similar to any other (at most 4.87%" in str(certified)
    assert "cannot be said" in str(certified)


def test_what_is_said_is_never_more_than_what_was_measured():
    certified = certificate.RecallCertificate(2000, 100, 12345, 12344, 0.99999, 0.97049)
    assert str(certified) == (
        "The search was approximate: on average 0.9999 of what is similar to a text was found, at least 0.9704 with "
        "95% confidence (of 2,000 texts drawn at random 100 have 12,345 pairs, of which 12,344 were found)."
    )


@pytest.mark.parametrize("misses", [0, 1, 7, 60])
def test_for_shares_of_all_or_nothing_the_bound_is_clopper_and_pearsons(misses):
    shares = np.repeat([0.0, 1.0], [misses, 60 - misses])
    assert mean_share_lower(shares) == pytest.approx(float(clopper_pearson_lower(60 - misses, 60)), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_the_bound_is_below_the_mean(shares):
    assert -1e-9 <= mean_share_lower(np.array(shares)) < np.mean(shares) + 1e-9


def population(kind, rng, n=20_000):
    """How much is found of the pairs of each row that has any; many rows have few pairs, and a few have hundreds."""
    shares = []
    while len(shares) < n:
        size = min(2 + int(rng.pareto(1.2)), 1000)
        if kind == "single pairs":
            lost = np.triu(rng.random((size, size)) < 0.03, 1)
        elif kind == "rows":
            bad = rng.random(size) < 0.02
            lost = bad[:, None] | bad
        else:
            lost = np.full((size, size), rng.random() < 0.01)
        found = ~(lost | lost.T)
        np.fill_diagonal(found, False)
        shares.extend(found.sum(axis=1) / (size - 1))
    return np.array(shares[:n])


@pytest.mark.parametrize("kind", ["single pairs", "rows", "whole clusters"])
@pytest.mark.parametrize("rows", [60, 300])
def test_the_bound_holds_in_95_of_100_samples(kind, rows):
    """Whatever is missed together: pairs by themselves, all pairs of a row, all pairs of a cluster."""
    rng = np.random.default_rng(4)
    shares = population(kind, rng)
    bounds = [mean_share_lower(rng.choice(shares, rows, replace=False)) for _ in range(200)]
    assert np.mean(bounds <= shares.mean()) >= 0.93
    assert np.median(bounds) > shares.mean() - 5 / rows - 2 * shares.std() / rows**0.5, "and says something"


# Detector and command line


def made_up_questions(n=600, seed=0):
    rng = np.random.default_rng(seed)
    words = rng.integers(3000, size=(n // 3, 8))
    return [" ".join(f"w{word}" for word in words[i % len(words)]) + f" v{i // len(words)}" for i in range(n)] + [
        "",
        "w1 w2",
    ]


def test_a_detector_carries_the_certificate(detector, monkeypatch):
    monkeypatch.setattr(ann, "visits", visiting(16))  # enough for all
    texts = made_up_questions()
    exact, result = detector.deduplicate(texts), detector.deduplicate(texts, search="ann")
    assert exact.certificate is None
    assert exact.record()["search"] == {"kind": "exact"}
    assert exact.counts == result.counts
    assert result.counts["pairs_of_different_texts"] >= 200
    certified = result.certificate
    assert certified.recall == 1.0
    assert 0.95 < certified.lower_bound < 1.0
    record = json.loads(json.dumps(result.record(), allow_nan=False))["search"]
    assert record.items() >= {"kind": "ann", "recall": 1.0, "seed": 0, "confidence": 0.95}.items()
    assert record["lower_bound"] == certified.lower_bound
    assert record["certificate"] == str(certified)
    assert record["library"].startswith("faiss ")
    assert record["recall_aimed_at"] == 0.999
    assert {"search", "certify"} <= result.run["seconds"].keys()


def test_the_order_of_the_rows_changes_nothing(detector, monkeypatch):
    monkeypatch.setattr(ann, "visits", visiting(1))
    texts = list(dict.fromkeys(made_up_questions(900)))
    first = detector.deduplicate(texts, search="ann")
    assert first.certificate.recall < 1.0, "so there is something that the order could change"
    order = np.random.default_rng(1).permutation(len(texts))
    second = detector.deduplicate([texts[i] for i in order], search="ann")
    assert second.certificate == first.certificate
    assert {frozenset((texts[order[i]], texts[order[j]])) for i, j, _ in second.row_pairs()} == {
        frozenset((texts[i], texts[j])) for i, j, _ in first.row_pairs()
    }


def test_groups_are_searched_apart_and_certified_together(encoder):
    """Texts with unknown words make groups; only large groups are searched by an index."""
    encoder.unknown_words = lambda texts: [tuple(w for w in text.split() if w.startswith("x")) for text in texts]
    known = list(dict.fromkeys(made_up_questions(200)))
    groups = [known, [f"{text} xa" for text in known[:90]], [f"{text} xb" for text in (*known[:8], *known[66:73])]]
    texts = encode_texts(encoder, DistinctTexts.of([text for group in groups for text in group]), silent)
    exact, found = texts.similar(0.7, silent), texts.similar(0.7, silent, search="ann")
    assert as_dict(found).items() <= as_dict(exact).items()
    assert (texts.group[found.left] == texts.group[found.right]).all()
    large = np.flatnonzero(np.bincount(texts.group) > 20)
    assert np.bincount(texts.group)[large].tolist() == [len(known) - 1, 90]
    inside = np.isin(texts.group[exact.left], large)
    certified = texts.certificate(exact, 0.7, silent)
    assert certified.sampled == np.isin(texts.group, large).sum()
    assert certified.pairs == certified.found == 2 * inside.sum()
    assert 0 < inside.sum() < len(exact)


def test_few_texts_are_compared_exactly(detector):
    result = detector.deduplicate(["a b c d", "a b c d e", "f"], search="ann")
    assert result.certificate is None
    assert result.record()["search"] == {"kind": "exact"}
    assert result.notes == ("So few texts were all compared with each other: the search was exact.",)
    assert len(detector.deduplicate([], search="ann")) == 0


def test_more_pairs_than_can_be_listed_are_refused(detector, monkeypatch):
    from dupdetect import listing as module

    monkeypatch.setattr(module, "MOST_PAIRS", 10)
    texts = [f"a b c d e f g h i j k l m v{i}" for i in range(60)]
    with pytest.raises(InputError, match=r"More than 1,200 pairs .* search='exact'"):
        detector.deduplicate(texts, search="ann")
    assert detector.deduplicate(texts).counts["kept"] == 1
    assert detector.deduplicate(texts[:30], search="ann").counts["pairs_of_different_texts"] > 10


def test_another_search_is_refused(detector):
    with pytest.raises(InputError, match="no search='fast'"):
        detector.deduplicate(["a"], search="fast")


def test_a_missing_library_is_said_before_anything_is_encoded(detector, encoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"dupdetect\[ann\]\""):
        detector.deduplicate(["a", "b"], search="ann")
    assert not encoder.encoded
    assert len(detector.deduplicate(["a", "b"])) == 2


@pytest.fixture
def export(tmp_path, detector, monkeypatch):
    monkeypatch.setattr(Detector, "from_pretrained", lambda _, **options: detector)
    path = tmp_path / "export.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question"], *([text] for text in made_up_questions())])
    return path


def dedupe(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["dedupe", *map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


def test_the_command_line_prints_the_certificate_and_writes_it(capsys, export, tmp_path, monkeypatch):
    monkeypatch.setattr(ann, "visits", visiting(16))  # enough for all
    assert dedupe(capsys, export, "-o", tmp_path / "plain")[0] == 0
    code, out, _ = dedupe(capsys, export, "-o", tmp_path / "out", "--search", "ann")
    assert code == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())["search"]
    assert record["kind"] == "ann"
    assert record["certificate"].startswith("The search was approximate: on average 1.0000 of")
    assert record["certificate"] in out.splitlines()
    assert record["certificate"] in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "approximate" not in (tmp_path / "plain" / "report.html").read_text(encoding="utf-8")
    for name in ("questions.csv", "kept.csv", "pairs.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_a_missing_library_is_one_line(capsys, export, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    code, out, err = dedupe(capsys, export, "--search", "ann")
    assert (code, out) == (1, "")
    assert err == (
        "Error: The approximate search needs the package faiss-cpu, which is not installed. "
        'Run: pip install "dupdetect[ann]"\n'
    )
