"""Rows that are held in little room come out as they went in."""

import copy
import pickle
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dupdetect.tables import Source, Table, rows
from dupdetect.tables.rows import Rows, RowsInTheMaking

CELLS = st.text(
    st.one_of(st.sampled_from("a\0\r\né漢😀\ud800\udfff\ufeff"), st.integers(0, 0x10FFFF).map(chr)), max_size=5
)


@st.composite
def tables(draw):
    width = draw(st.integers(1, 4))
    return width, draw(st.lists(st.tuples(*[CELLS] * width), max_size=9))


@pytest.fixture(params=[1, 2, 1024], autouse=True, scope="module")
def rows_at_once(request):
    patch = pytest.MonkeyPatch()
    patch.setattr(rows, "_ROWS_AT_ONCE", request.param)
    yield
    patch.undo()


@given(tables())
def test_they_are_the_same_rows(table):
    width, given_rows = table
    found = Rows.of(given_rows, width)
    assert list(found) == given_rows
    assert found == tuple(given_rows)
    assert tuple(given_rows) == found
    assert hash(found) == hash(tuple(given_rows))
    assert [found.column(position) for position in range(width)] == [
        [row[position] for row in given_rows] for position in range(width)
    ]


@given(tables(), st.integers(-10, 10), st.slices(9))
def test_they_are_asked_for_as_a_tuple_is(table, index, part):
    width, given_rows = table
    found, expected = Rows.of(given_rows, width), tuple(given_rows)
    assert len(found) == len(expected)
    assert found[part] == expected[part]
    if -len(expected) <= index < len(expected):
        assert found[index] == expected[index]
        assert expected[index] in found
    else:
        with pytest.raises(IndexError):
            found[index]


@given(tables())
def test_other_rows_are_not_equal(table):
    width, given_rows = table
    found = Rows.of(given_rows, width)
    assert found != (*given_rows, ("",) * width)
    assert found != Rows.of([*given_rows, ("",) * width], width)
    assert not given_rows or found != ((*given_rows[0][:-1], given_rows[0][-1] + "x"), *given_rows[1:])
    assert found != list(given_rows)


def test_copies_and_pickles_hold_the_same():
    table = Table(("a", "b"), (("1", "\ud800"), ("", "x")), Source("x", "csv"))
    for copied in (copy.deepcopy(table), pickle.loads(pickle.dumps(table))):  # noqa: S301
        assert copied == table
        assert copied.column("b") == ["\ud800", "x"]


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="A row has 1 cells where the header has 2"):
        Table(("a", "b"), (("1", "2"), ("3",)), Source("x", "csv"))


def test_short_rows_and_absent_columns_have_empty_cells():
    making = RowsInTheMaking()
    for row in (["1"], ["2", "b", "c"], []):
        making.add_row(row)
    making.add_columns([["x", "y"], ["z", "w"]], 2, places=[1, 3])
    making.add_columns([], 1, places=[])
    found = making.finished(4)
    assert found == (
        ("1", "", "", ""),
        ("2", "b", "c", ""),
        ("", "", "", ""),
        ("", "x", "", "z"),
        ("", "y", "", "w"),
        ("", "", "", ""),
    )
    assert found.column(2) == ["", "c", "", "", "", ""]


def test_they_take_little_more_room_than_their_text(monkeypatch):
    monkeypatch.setattr(rows, "_ROWS_AT_ONCE", 1024)
    tracemalloc.start()
    try:
        found = Rows.of(((f"{number:05}", "open", f"text {number:05}") for number in range(20_000)), 3)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    text = 20_000 * (5 + 4 + 10)
    assert held < text + 60_000 * 3  # an object a cell takes 50 bytes and more
    assert peak < held + 1_000_000
    assert len(found) == 20_000


@given(tables(), tables())
def test_rows_are_taken_over_as_they_are_held(table, other):
    width, given_rows = table
    more = [(row * width)[:width] for row in other[1]]
    making = RowsInTheMaking()
    for row in given_rows:
        making.add_row(row)
    making.add(Rows.of(more, width))
    making.add_row(("last",) * width)
    assert making.finished(width) == (*given_rows, *more, ("last",) * width)
