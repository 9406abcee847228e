"""What is told from rounded rows is true of the rows."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_questions import make_detector

from dupdetect.index import snapshot
from dupdetect.index.rounded import RoundedQueries, round_rows
from dupdetect.index.snapshot import Snapshot
from dupdetect.index.vectors import Vectors
from dupdetect.search import cosine

KINDS = ("any", "sparse", "alike", "one")


def unit(kind, n, d, seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, d))
    if kind == "sparse":
        rows *= random.random((n, d)) < 0.1
        rows[np.arange(n), random.integers(0, d, n)] += 1
    if kind == "alike":
        rows = rows[:1] + 0.05 * rows
    if kind == "one":
        rows = np.eye(d)[random.integers(0, d, n)]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def all_cosines(queries, rows):
    return np.stack([cosine(np.broadcast_to(query, rows.shape), rows) for query in queries])


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(KINDS), st.sampled_from(KINDS), st.integers(1, 200), st.integers(0, 1000), st.floats(-1, 1))
def test_the_bounds_hold(kind, other, d, seed, threshold):
    rows, queries = unit(kind, 50, d, seed), unit(other, 7, d, seed)
    rounded, kept = round_rows(rows)
    asked = RoundedQueries.of(queries)
    products = (rounded.astype(np.int32) - 128) @ asked.columns.astype(np.int32)
    exact = all_cosines(queries, rows)
    assert (np.abs(asked.near(products, kept[:, 0]) - exact.T) <= asked.errors(kept[:, 1:], slice(None))).all()
    reach = exact.astype(np.float64) >= threshold
    assert (asked.cuts(kept, threshold) <= products.T)[reach].all()


def test_the_bounds_are_of_use():
    rows = unit("any", 500, 384, 0)
    asked = RoundedQueries.of(rows[:3])
    assert asked.errors(round_rows(rows)[1][:, 1:], slice(None)).max() < 0.04


def made(rows, *, dead=(), apart=()):
    plain = np.ones(len(rows), dtype=bool)
    plain[[*dead, *apart]] = False
    return Snapshot(1, Vectors(rows, *round_rows(rows)), plain, {"x": np.array(apart, dtype=np.int64)}, frozenset())


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_are_those_of_all_cosines(monkeypatch, kind, few):
    monkeypatch.setattr(snapshot, "_FEW_ROWS", few)
    monkeypatch.setattr(snapshot, "_BLOCK", 64)
    monkeypatch.setattr(snapshot, "_BUNDLE", 8)
    monkeypatch.setattr(snapshot, "_TOGETHER", 3)
    rows, queries = unit(kind, 300, 24, 1), unit(kind, 8, 24, 2)
    apart, dead = list(range(5, 300, 7)), list(range(3, 300, 11))
    dead = [slot for slot in dead if slot not in apart]
    known = made(rows, dead=dead, apart=apart)
    wanted = np.random.default_rng(0).random(300) < 0.5
    companies = ["", "x", "", "y", "", "", "x", ""]
    exact = all_cosines(queries, rows)
    for k in (1, 2, 5, 60, 1000):
        for mask in (None, wanted):
            found = known.nearest(queries, companies, k, mask)
            for place, (slots, similarity) in enumerate(found):
                pool = {"": np.flatnonzero(known.plain), "x": np.array(apart), "y": np.array([], dtype=int)}[
                    companies[place]
                ]
                pool = pool if mask is None else pool[mask[pool]]
                cut = np.sort(exact[place][pool])[::-1][k - 1] if len(pool) > k else -2
                assert set(slots.tolist()) == set(pool[exact[place][pool] >= cut].tolist())
                np.testing.assert_array_equal(similarity, exact[place][slots])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(KINDS), st.integers(1, 200), st.integers(1, 40), st.integers(1, 12), st.integers(0, 999), st.data()
)
def test_the_nearest_do_not_depend_on_how_slots_are_put_together(monkeypatch, kind, n, d, k, seed, data):
    """Whatever the sizes of blocks and bundles, they are those of all cosines."""
    monkeypatch.setattr(snapshot, "_FEW_ROWS", 0)
    block = data.draw(st.sampled_from([8, 32, 128]))
    monkeypatch.setattr(snapshot, "_BLOCK", block)
    monkeypatch.setattr(snapshot, "_CACHED", data.draw(st.sampled_from([3, block])))
    monkeypatch.setattr(snapshot, "_BUNDLE", data.draw(st.sampled_from([1, 2, 8])))
    rows, queries = unit(kind, n, d, seed), unit(data.draw(st.sampled_from(KINDS)), 3, d, seed + 1)
    dead = np.flatnonzero(np.random.default_rng(seed).random(n) < data.draw(st.sampled_from([0.0, 0.2, 1.0])))
    known = made(rows, dead=dead.tolist())
    pool, exact = np.flatnonzero(known.plain), all_cosines(queries, rows)
    for place, (slots, similarity) in enumerate(known.nearest(queries, [""] * 3, k)):
        cut = np.sort(exact[place][pool])[::-1][k - 1] if len(pool) > k else -2
        assert sorted(slots.tolist()) == pool[exact[place][pool] >= cut].tolist()
        np.testing.assert_array_equal(similarity, exact[place][slots])


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize("threshold", [-1.0, 0.2, 0.9])
def test_the_pairs_are_those_of_all_cosines(monkeypatch, few, threshold):
    monkeypatch.setattr(snapshot, "_FEW_ROWS", few)
    monkeypatch.setattr(snapshot, "_BLOCK", 64)
    monkeypatch.setattr(snapshot, "_CACHED", 24)
    monkeypatch.setattr(snapshot, "_NEW", 10)
    rows = unit("any", 200, 12, 3)
    new = np.concatenate([unit("any", 25, 12, 4), rows[:3]])
    known = made(rows, dead=[1, 70], apart=[2, 90, 150])
    exact = all_cosines(new, rows)
    for company, pool in (
        ("", np.flatnonzero(known.plain)),
        ("x", np.array([2, 90, 150])),
        ("y", np.array([], dtype=int)),
    ):
        found = list(known.similar(new, company, threshold))
        pairs = {(i, j): s for part in found for i, j, s in zip(*(column.tolist() for column in part), strict=True)}
        wanted = {
            (i, j): float(exact[i, j]) for i in range(len(new)) for j in pool.tolist() if exact[i, j] >= threshold
        }
        assert pairs == wanted
        assert sum(len(part[0]) for part in found) == len(pairs)


def test_an_index_that_reads_integers_finds_the_same(tmp_path, monkeypatch):
    from dupdetect import QuestionIndex

    texts = [f"how do i {verb} my {thing} {when}" for verb in ("pay", "open", "close", "find") for thing in ("account", "parcel", "card", "error 403", "error 404") for when in ("now", "today", "at once", "zorg")]  # fmt: skip  # noqa: E501
    with QuestionIndex.create(tmp_path / "index", make_detector()) as index:
        index.add(texts[:40])
        before = index.search_many(texts, 7)
        monkeypatch.setattr(snapshot, "_FEW_ROWS", 0)
        assert index.search_many(texts, 7) == before
        index.add(texts[40:])
        after = index.search_many(texts, 7), index.duplicates().duplicate_of.tolist()
        monkeypatch.undo()
        assert (index.search_many(texts, 7), index.duplicates().duplicate_of.tolist()) == after
