import copy
import math
import pickle
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.errors import ColumnNotFoundError, InputError, InvalidLabelError
from dupdetect.pairs import DroppedPairs, QuestionPairs, Triplets, pair_columns, read_pairs
from dupdetect.text import canonical

SPELLINGS = ["a", "A", " a? ", "b", "B!", "c", "d e", "d  E.", "", " ", "\u200b"]
ROWS = st.lists(st.tuples(st.sampled_from(SPELLINGS), st.sampled_from(SPELLINGS), st.booleans()), max_size=40)


@dataclass
class FewColumns:
    cells: dict[str, list[str]]

    @property
    def columns(self):
        return tuple(self.cells)

    def column(self, name):
        if name not in self.cells:
            raise ColumnNotFoundError(name, self.columns)
        return self.cells[name]


def from_rows(rows):
    return QuestionPairs.from_columns([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def edges_of(pairs):
    return [
        (frozenset((canonical(a), canonical(b))), bool(label))
        for a, b, label in zip(pairs.left, pairs.right, pairs.labels, strict=True)
    ]


# Cleaning


@settings(deadline=None)
@given(ROWS)
def test_every_row_is_kept_or_counted(rows):
    pairs = from_rows(rows)
    assert len(rows) == len(pairs) + pairs.dropped.total


@settings(deadline=None)
@given(ROWS)
def test_what_is_kept_is_each_pair_that_all_its_rows_agree_on(rows):
    seen = {}
    for a, b, label in rows:
        edge = frozenset((canonical(a), canonical(b)))
        if "" not in edge and len(edge) == 2:
            seen.setdefault(edge, set()).add(label)
    expected = {(edge, label) for edge, labels in seen.items() if len(labels) == 1 for label in labels}
    kept = edges_of(from_rows(rows))
    assert set(kept) == expected
    assert len(kept) == len(expected)


@settings(deadline=None)
@given(ROWS, st.randoms())
def test_the_order_of_rows_changes_neither_pairs_nor_counts(rows, random):
    shuffled = random.sample(rows, len(rows))
    first, second = from_rows(rows), from_rows(shuffled)
    assert Counter(edges_of(first)) == Counter(edges_of(second))
    assert first.dropped == second.dropped


@settings(deadline=None)
@given(ROWS)
def test_cleaning_clean_pairs_changes_nothing(rows):
    once = from_rows(rows)
    twice = QuestionPairs.from_columns(once.left, once.right, once.labels)
    assert (twice.left, twice.right, twice.labels.tolist()) == (once.left, once.right, once.labels.tolist())
    assert twice.dropped == DroppedPairs()


def test_each_reason_is_counted_under_its_name():
    pairs = from_rows(
        [
            ("How?", "Why?", True),
            ("why", "how", True),  # repeat, the other way round
            ("Same", "same?", False),  # self pair
            ("x", "y", True),
            ("Y", "X", False),  # contradiction: both rows go
            ("", "y", True),  # blank
            ("x", "z", False),
        ]
    )
    assert pairs.left == ("How?", "x")
    assert pairs.right == ("Why?", "z")
    assert pairs.labels.tolist() == [True, False]
    assert pairs.dropped == DroppedPairs(blank=1, self_pairs=1, contradictions=2, repeats=1)
    assert pairs.dropped.total == 5
    assert pairs.dropped.to_dict() == {"blank": 1, "self_pairs": 1, "contradictions": 2, "repeats": 1}


def test_missing_questions_are_blank():
    pairs = QuestionPairs.from_columns([None, math.nan, "a"], ["x", "y", "b"], [1, 1, 1])
    assert len(pairs) == 1
    assert pairs.dropped.blank == 2
    pandas = pytest.importorskip("pandas")
    nullable = pandas.Series(["a", None], dtype="string")
    assert QuestionPairs.from_columns(nullable, ["b", "y"], [1, 1]).dropped.blank == 1


def test_a_question_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="Row 2: the right question is 7"):
        QuestionPairs.from_columns(["a", "b"], ["c", 7], [0, 1])  # type: ignore[list-item]


def test_columns_of_different_length_are_refused():
    with pytest.raises(InputError, match="left 1, right 2, labels 1"):
        QuestionPairs.from_columns(["a"], ["b", "c"], [1])
    with pytest.raises(InputError, match="differ in length"):
        QuestionPairs(("a",), ("b",), np.array([True, False]))


# Labels


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (True, True), (False, False), (1, True), (0, False), (1.0, True), (0.0, False), ("1", True), ("0", False),
        ("TRUE", True), ("False", False), (" yes ", True), ("No", False), ("Duplicate", True),
        ("not duplicate", False), ("not_duplicate", False), ("distinct", False), ("1.0", True),
        (np.int64(1), True), (np.bool_(False), False),
    ],
)  # fmt: skip
def test_usual_spellings_of_labels(written, means):
    assert QuestionPairs.from_columns(["a"], ["b"], [written]).labels.tolist() == [means]


@pytest.mark.parametrize("written", ["maybe", "", "2", 2, -1, "-1", 0.5, None, math.nan])
def test_any_other_label_is_refused_with_its_row(written):
    with pytest.raises(InvalidLabelError, match="Row 3") as caught:
        QuestionPairs.from_columns(["a", "b", "c"], ["d", "e", "f"], [1, 0, written])
    assert caught.value.row == 3


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.float32])
def test_labels_may_be_an_array(dtype):
    labels = np.array([1, 0], dtype=dtype)
    assert QuestionPairs.from_columns(["a", "b"], ["c", "d"], labels).labels.tolist() == [True, False]


def test_the_constructor_does_not_guess_labels():
    with pytest.raises(InputError, match="from_columns"):
        QuestionPairs(("a",), ("b",), np.array(["0"]))  # type: ignore[arg-type]


def test_labels_cannot_be_changed():
    labels = np.array([True])
    pairs = QuestionPairs(("a",), ("b",), labels)
    with pytest.raises(ValueError, match="read-only"):
        pairs.labels[0] = False
    labels[0] = False
    assert pairs.labels[0]


# Columns of a table


@pytest.mark.parametrize(
    "names",
    [
        ("question1", "question2", "is_duplicate"),
        ("Question 1", "Question 2", "Label"),
        ("text1", "text2", "duplicate"),
        ("sentence1", "sentence2", "label"),
        ("text_a", "text_b", "label"),
        ("left", "right", "label"),
        ("left_text", "right_text", "label"),
        ("anchor", "positive", "label"),
    ],
)
def test_usual_column_names_are_found(names):
    cells = dict(zip(names, (["a"], ["b"], ["1"]), strict=True))
    pairs = QuestionPairs.from_table(FewColumns({"id": ["7"], **cells}))
    assert (pairs.left, pairs.right, pairs.labels.tolist()) == (("a",), ("b",), [True])


def test_named_columns_are_taken():
    table = FewColumns({"question1": ["no"], "question2": ["no"], "one": ["a"], "two": ["b"], "same": ["no"]})
    pairs = QuestionPairs.from_table(table, left="one", right="two", label="same")
    assert (pairs.left, pairs.right, pairs.labels.tolist()) == (("a",), ("b",), [False])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "datasets"])
def test_from_frame(library):
    frames = pytest.importorskip(library)
    data = {
        "question1": ["a", "b", "a", None],
        "question2": ["b", "c", "A", "d"],
        "is_duplicate": [True, False, True, False],
    }
    make = {
        "pandas": lambda: frames.DataFrame(data),
        "polars": lambda: frames.DataFrame(data),
        "pyarrow": lambda: frames.table(data),
        "datasets": lambda: frames.Dataset.from_dict(data),
    }[library]
    pairs = QuestionPairs.from_frame(make())
    assert list(pairs.to_rows()) == [("a", "b", 1), ("b", "c", 0)]
    assert pairs.dropped == DroppedPairs(blank=1, self_pairs=1)
    assert QuestionPairs.from_frame(make(), left="question2", right="question1", label="is_duplicate").left == (
        "b",
        "c",
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("one", "two", "label"), "No usual name was found for the two question columns. Name both .left=..., right="),
        (("left", "right", "text1", "text2", "label"), "more than one choice for the two question columns"),
        (("left", "Left", "right", "label"), "more than one choice for the two question columns"),
        (("left", "right", "same"), "No usual name was found for the column of labels .1 or 0.*. Name it .label="),
        (("left", "right", "label", "duplicate"), "more than one choice for the column of labels"),
        ((), "Columns: none"),
    ],
)
def test_columns_that_are_not_obvious_are_asked_for(names, message):
    with pytest.raises(InputError, match=message):
        QuestionPairs.from_table(FewColumns({name: [] for name in names}))


def test_wrong_names_are_refused():
    table = FewColumns({"left": ["a"], "right": ["b"], "label": ["1"]})
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'left'"):
        QuestionPairs.from_table(table, left="lefft", right="right")
    with pytest.raises(InputError, match="Name both"):
        QuestionPairs.from_table(table, left="left")
    with pytest.raises(InputError, match="three different columns"):
        QuestionPairs.from_table(table, left="left", right="left")


def test_question_columns_can_be_found_without_a_label():
    assert pair_columns(["id", "Text 1", "Text 2"], None, None) == ("Text 1", "Text 2")
    assert pair_columns(["a", "b"], "b", "a") == ("b", "a")


def test_pairs_are_read_from_a_file(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('question1,question2,is_duplicate\n"a, b",c,1\nd,e,0\n', encoding="utf-8")
    pairs = read_pairs(path)
    assert (pairs.left, pairs.right, pairs.labels.tolist()) == (("a, b", "d"), ("c", "e"), [True, False])
    assert read_pairs(path, left="question2", right="question1").left == ("c", "e")
    path.write_text("text,text,label\na,b,1\n", encoding="utf-8")
    assert read_pairs(path, left="text#1", right="text#2").right == ("b",)
    with pytest.raises(ColumnNotFoundError):
        read_pairs(path, left="text#1", right="text#3")


# Views


@settings(deadline=None)
@given(ROWS)
def test_nodes_are_the_pairs_as_edges(rows):
    pairs = from_rows(rows)
    fresh = QuestionPairs(pairs.left, pairs.right, pairs.labels)
    for texts, left, right in (pairs.nodes(), fresh.nodes()):
        assert list(texts) == sorted({canonical(text) for text in (*pairs.left, *pairs.right)})
        assert [texts[i] for i in left] == [canonical(text) for text in pairs.left]
        assert [texts[i] for i in right] == [canonical(text) for text in pairs.right]
    assert fresh.nodes() is fresh.nodes()


@settings(deadline=None)
@given(ROWS, st.data())
def test_select_takes_pairs_by_position_or_mask(rows, data):
    pairs = from_rows(rows)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs))), dtype=np.bool_)
    by_mask, by_position = pairs.select(mask), pairs.select(np.flatnonzero(mask).tolist())
    assert list(by_mask.to_rows()) == list(by_position.to_rows())
    assert list(by_mask.to_rows()) == [row for row, wanted in zip(pairs.to_rows(), mask, strict=True) if wanted]
    again = QuestionPairs(by_mask.left, by_mask.right, by_mask.labels).nodes()
    assert by_mask.nodes().texts == again.texts
    assert by_mask.nodes().left.tolist() == again.left.tolist()
    assert by_mask.nodes().right.tolist() == again.right.tolist()
    assert by_mask.dropped == DroppedPairs()


def test_select_keeps_the_order_asked_for_and_refuses_what_is_not_there():
    pairs = from_rows([("a", "b", True), ("c", "d", False)])
    assert pairs.select([1, 0]).left == ("c", "a")
    with pytest.raises(IndexError):
        pairs.select([2])
    with pytest.raises(IndexError):
        pairs.select(np.array([True]))


def test_prevalence_and_rows():
    pairs = from_rows([("a", "b", True), ("c", "d", False)])
    assert pairs.prevalence == 0.5
    assert list(pairs.to_rows()) == [("a", "b", 1), ("c", "d", 0)]
    assert math.isnan(from_rows([]).prevalence)


# Triplets


def test_triplets_are_columns():
    triplets = Triplets(["a", "b"], ["A b", "B c"], ["x", "y"])  # type: ignore[arg-type]
    assert len(triplets) == 2
    assert triplets.anchor == ("a", "b")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((("a", "How?"), ("b", " how"), ("c", "z")), "Triplet 2: .* not three different questions"),
        ((("a",), ("b",), ("A.",)), "Triplet 1"),
        ((("a",), ("b",), ("B!",)), "Triplet 1"),
        ((("a",), (" ",), ("c",)), "Triplet 1: the positive is blank"),
        ((("a",), ("b",), ()), "differ in length"),
    ],
)
def test_triplets_that_contradict_themselves_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        Triplets(*columns)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda pairs: pickle.loads(pickle.dumps(pairs))])  # noqa: S301 - our own bytes
def test_a_copy_cannot_be_written_to_either(copied):
    pairs = QuestionPairs.from_columns(["a", "a", "b"], ["b", "A", "c"], [1, 1, 0])
    pairs.nodes()
    again = copied(pairs)
    assert (again.left, again.right, again.dropped) == (pairs.left, pairs.right, pairs.dropped)
    assert again.labels.tolist() == [True, False]
    assert not again.labels.flags.writeable
    assert again.nodes().texts == pairs.nodes().texts
