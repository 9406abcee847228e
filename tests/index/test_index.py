"""An index gives the answers of its detector, and those of an index made anew from what is in it."""

import contextlib
import dataclasses
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import labelled_pairs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_questions import TEXTS, Reader, by_hand, make_detector

from dupdetect import Detector, QuestionIndex
from dupdetect.errors import (
    ArtifactError,
    IndexLockedError,
    InputError,
    NotCalibratedError,
    OutputExistsError,
)
from dupdetect.index import changes, store
from dupdetect.review.candidates import pair_key
from dupdetect.text import canonical

DETECTOR = make_detector()
QUERIES = (*TEXTS, "how do i close my old account", "zorg how do i pay", "error 500 on login page", "zzz", "")
SHARED = ("cluster_id", "duplicate_of", "similarity", "probability", "text_of")


@pytest.fixture(autouse=True)
def unflushed(monkeypatch):
    """Do not wait for the disk: processes are killed here, and the power does not fail."""
    connect = store.IndexStore._connect

    def unflushed(self, mode):
        connection = connect(self, mode)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    monkeypatch.setattr(store.IndexStore, "_connect", unflushed)
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def index(tmp_path):
    with QuestionIndex.create(tmp_path / "index", DETECTOR) as made:
        yield made


def rows_in(index):
    return [(question.id, question.text, question.label) for question in index]


def fill(index, rows):
    if rows:
        ids, texts, labels = zip(*rows, strict=True)
        index.add(texts, ids=ids, labels=labels)
    return index


def answers(index):
    """All that an index says, apart from when questions were added."""
    result = index.duplicates()
    return {
        "rows": rows_in(index),
        "hits": [index.search_many(QUERIES, k) for k in (2, 100)],
        "checks": [index.check(text) for text in QUERIES[:4]],
        "classes": index.classify_many(QUERIES, top=2),
        "clusters": index.clusters(),
        "counts": index.counts,
        "result": [getattr(result, name).tolist() for name in SHARED] + _pairs(result),
    }


def _pairs(result):
    columns = [result.pairs.left, result.pairs.right, result.pairs.similarity, result.pairs.probability]
    ruled_out = [result.ruled_out.left, result.ruled_out.right, result.ruled_out.similarity, result.ruled_out.reasons]
    return [column.tolist() for column in (*columns, *ruled_out)]


def assert_as_anew(index):
    """The answers are those of an index made anew from what is in it."""
    with tempfile.TemporaryDirectory() as folder, QuestionIndex.create(Path(folder, "anew"), DETECTOR) as anew:
        fill(anew, rows_in(index))
        with index._store.reading() as connection:
            apart = connection.execute("SELECT * FROM told_apart").fetchall()
        with anew._store.writing() as connection:
            connection.executemany("INSERT INTO told_apart VALUES (?, ?)", apart)
        mine, other = answers(index), answers(anew)
        assert repr(mine) == repr(other)  # as text, in which NaN equals itself


# What it says ------------------------------------------------------------------------------------------------------


def test_search_is_what_the_decisions_on_all_pairs_say(index):
    fill(index, [(f"q{n}", text, "even" if n % 2 == 0 else None) for n, text in enumerate(TEXTS)])
    index.unmerge("q0", "q3")
    apart = {pair_key(canonical(TEXTS[0]), canonical(TEXTS[3]))}
    wanted = [by_hand(DETECTOR, rows_in(index), text, apart) for text in QUERIES]
    for k in (1, 2, 3, 5, 100):
        for best, hits in zip(wanted, index.search_many(QUERIES, k), strict=True):
            found = [
                (h.id, h.text, h.label, h.questions, h.similarity, h.probability, h.duplicate, h.guards) for h in hits
            ]
            assert found == best[:k]


@pytest.mark.parametrize("peaks", [1, 3])
def test_search_is_exact_where_blocks_are_many(index, monkeypatch, peaks):
    monkeypatch.setattr("dupdetect.index.snapshot._PEAKS", peaks)
    test_search_is_what_the_decisions_on_all_pairs_say(index)


def test_names_are_told_by_how_each_text_is_written_whatever_else_is_asked(index):
    oslo = "How do we get from the airport to Oslo today?"
    fill(index, [("1", oslo, None), ("2", oslo.lower(), None)])
    asked = [oslo.replace("Oslo", "Bonn"), oslo.replace("Oslo", "bonn")]
    together = index.search_many(asked)
    assert together == [index.search(text)[:] for text in asked]
    assert [hits[0].guards for hits in together] == [("names",), ()]
    fill(index, [("3", asked[0], None)])
    assert len(index.duplicates().ruled_out) == 1
    fill(index, [("4", oslo.upper(), None)])  # one of the ways that it is written tells the name
    assert len(index.duplicates().ruled_out) == 1
    assert index.search(asked[0], 2)[1].guards == ("names",)


class Uneven(Reader):
    """Gives rows that are a little longer or shorter than 1."""

    fingerprint = "test:uneven"

    def encode(self, texts, *, progress=None):
        rows = super().encode([text.removesuffix(" zz") for text in texts], progress=progress)
        return rows * np.float32([[1.0009] if text.endswith(" zz") else [0.9995] for text in texts])

    def unknown_words(self, texts):
        return [()] * len(texts)


def test_the_same_text_comes_first_though_another_is_nearer(tmp_path):
    uneven = Detector.calibrate(Uneven(), labelled_pairs()).at(threshold=0.7)
    with QuestionIndex.create(tmp_path / "uneven", uneven) as index:
        index.add(["how do i pay zz", "how do i pay", "where is it"], ids=["1", "2", "3"], labels=["x", "y", None])
        assert [(hit.id, hit.similarity) for hit in index.search("how do i pay", 1)] == [("2", 1.0)]
        assert [hit.id for hit in index.search("how do i pay")] == ["2", "1", "3"]
        assert index.classify("how do i pay", top=1).label == "y"


def test_equally_similar_texts_are_in_the_order_in_which_they_were_added(index):
    # The encoder sums words: these have one vector, and no guard fires for the two orders of a word twice.
    texts = ["a b c d e f g h", "h g f e d c b a", "b a c d e f g h", "c b a d e f g h"]
    fill(index, [(str(n), text, None) for n, text in enumerate(texts)])
    index.remove(["0"])
    fill(index, [("0", texts[0], None)])
    similarities = {hit.similarity for hit in index.search("a b c d e f g x")}
    assert len(similarities) == 1
    assert [hit.id for hit in index.search("a b c d e f g x", 2)] == ["1", "2"]
    assert [hit.id for hit in index.search("a b c d e f g x", 4)] == ["1", "2", "3", "0"]
    assert [hit.id for hit in index.search(texts[0], 1)] == ["0"]


def test_duplicates_are_those_of_the_detector(index):
    rows = [(f"q{n}", text, None) for n, text in enumerate(TEXTS)]
    fill(index, rows[::2])
    fill(index, rows[1::2])
    known = rows_in(index)
    frame = {"id": [row[0] for row in known], "text": [row[1] for row in known]}
    wanted = DETECTOR.deduplicate(frame, text="text", id="id")
    result = index.duplicates()
    for name in SHARED:
        np.testing.assert_array_equal(getattr(result, name), getattr(wanted, name), err_msg=name)
    assert _pairs(result) == _pairs(wanted)
    assert result.candidates.key == wanted.candidates.key
    assert result.notes[-1:] == wanted.notes[-1:]
    assert "do not know" in result.notes[-1] or "does not know" in result.notes[-1]
    assert len(wanted.pairs) > 3
    assert len(wanted.ruled_out) > 3
    assert wanted.run["encoded_texts"] == result.run["cached_texts"] > 0


@pytest.mark.parametrize("estimated", [None, 0.9, 0.97])
def test_duplicates_can_be_those_of_an_estimated_precision(index, estimated):
    fill(index, [(f"q{n}", text, None) for n, text in enumerate(TEXTS)])
    wanted = DETECTOR.deduplicate({"t": list(TEXTS)}, text="t", estimated_precision=estimated)
    result = index.duplicates(estimated_precision=estimated)
    assert result.threshold == wanted.threshold
    np.testing.assert_array_equal(result.duplicate_of, wanted.duplicate_of)


def test_clusters_are_those_of_duplicates(index):
    fill(index, [(f"q{n}", text, None) for n, text in enumerate(TEXTS)])
    result, clusters = index.duplicates(), index.clusters()
    assert [[member.id for member in cluster.members] for cluster in clusters] == [
        [result.questions.ids[row] for row in cluster.rows] for cluster in result.clusters
    ]
    assert [set(cluster.kept) for cluster in clusters] == [
        {result.questions.ids[row] for row in cluster.kept} for cluster in result.clusters
    ]
    removed = {member.id: member for cluster in clusters for member in cluster.members if member.duplicate_of}
    for row in np.flatnonzero(~result.kept).tolist():
        member = removed.pop(result.questions.ids[row])
        assert member.duplicate_of == result.questions.ids[result.duplicate_of[row]]
        assert (member.similarity, member.probability) == (result.similarity[row], result.probability[row])
    assert not removed


def test_a_cluster_keeps_its_key_when_it_grows(index):
    fill(index, [("1", "where is my parcel", None), ("2", "where is my parcel now", None)])
    (before,) = index.clusters()
    fill(index, [("3", "Where is my parcel??", None), ("4", "how do i pay", None), ("5", "how do i pay now", None)])
    grown = next(cluster for cluster in index.clusters() if "1" in cluster.kept)
    assert (grown.key, len(grown.members)) == (before.key, 3)
    assert len({cluster.key for cluster in index.clusters()}) == 2


def test_check_says_why(index):
    fill(index, [("1", "error 403 on login page", None)])
    there, not_there = index.check("Error 403 on login page!"), index.check("error 404 on login page")
    assert (there.duplicate, there.best.id, there.explanation.same_text) == (True, "1", True)
    assert (not_there.duplicate, not_there.best.guards) == (False, ("numbers",))
    assert not_there.explanation == DETECTOR.explain("error 404 on login page", "error 403 on login page")
    assert index.check(" ") == dataclasses.replace(index.check(""), text=" ")
    assert index.check("").best is None


def test_classes_are_those_of_the_best_labelled_question(index):
    fill(
        index,
        [
            ("1", "how do i pay", "pay"),
            ("2", "how do i pay now", "now"),
            ("3", "how do i pay right now", None),
            ("4", "How do I pay?", "money"),
            ("5", "where is my parcel", "parcel"),
        ],
    )
    found = index.classify("how do i pay right now", top=2)
    assert (found.label, found.ranking[0].id) == ("now", "2")
    assert found.probability == found.ranking[0].probability == DETECTOR.decide([("how do i pay right now", "how do i pay now")]).probability[0]  # fmt: skip  # noqa: E501
    assert [match.label for match in index.classify("how do i pay", top=3).ranking] == ["pay", "money", "now"]
    none = index.classify("my printer is on fire")
    assert none.label is None
    assert [match.duplicate for match in none.ranking] == [False] * 4
    assert index.classify("") == dataclasses.replace(none, text="", ranking=(), probability=0.0)
    index.remove(["2"])
    assert index.classify("how do i pay right now").label == "pay"


# append == rebuild -------------------------------------------------------------------------------------------------

changes_made = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=5), st.booleans()),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 30), min_size=1, max_size=4)),
        st.tuples(st.just("unmerge"), st.integers(0, 30), st.integers(0, 30)),
        st.tuples(st.just("forget"), st.integers(0, 30), st.integers(0, 30)),
        st.tuples(st.just("interrupted"), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)),
        st.tuples(st.just("reopen")),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(changes_made)
def test_the_answers_are_those_of_an_index_made_anew(monkeypatch, made):
    monkeypatch.setattr(changes, "_FEW_EMPTY", 0)
    monkeypatch.setattr(changes, "_TEXTS", 2)
    monkeypatch.setattr("dupdetect.index.snapshot._PEAKS", 2)
    with tempfile.TemporaryDirectory() as folder:
        index = QuestionIndex.create(Path(folder, "index"), DETECTOR)
        expected, number = [], 0
        for change in made:
            names = [row[0] for row in expected]
            match change:
                case "add", texts, labelled:
                    rows = [(f"n{number + n}", text, f"l{n}" if labelled else None) for n, text in enumerate(texts)]
                    number += len(rows)
                    fill(index, rows)
                    expected += rows
                case "remove", places:
                    gone = {names[place % len(names)] for place in places} if names else set()
                    index.remove(sorted(gone))
                    expected = [row for row in expected if row[0] not in gone]
                case ("unmerge" | "forget") as verb, a, b:
                    a, b = (expected[place % len(expected)] if expected else ("", "", None) for place in (a, b))
                    if canonical(a[1]) != canonical(b[1]):
                        getattr(index, verb)(a[0], b[0])
                case "interrupted", texts:
                    with pytest.MonkeyPatch.context() as patch:
                        patch.setattr(changes, "_add_questions", _fail)
                        with pytest.raises(KeyboardInterrupt):
                            index.add(texts)
                case _:
                    index.close()
                    index = QuestionIndex.open(index.folder, DETECTOR)
            assert rows_in(index) == expected
        assert_as_anew(index)
        index.close()


def _fail(*_):
    raise KeyboardInterrupt


KILLED = """
import sys, time
sys.path[:0] = {paths!r}
from known_questions import make_detector
from dupdetect import QuestionIndex
from dupdetect.index import changes

def stop_after(name):
    function = getattr(changes, name)
    def stopped(*arguments):
        result = function(*arguments)
        print("now", flush=True)
        time.sleep(600)
    setattr(changes, name, stopped)

changes._FEW_EMPTY = 0
index = QuestionIndex.open({folder!r}, make_detector())
stop_after({moment!r})
index.add(["how do i pay", "something else", "where is my parcel now"], ids=["7", "8", "9"])
if {moment!r} != "delete_unused_files":
    index.remove(["0", "1", "2", "3", "4", "5", "8"])
"""


@pytest.mark.parametrize("moment", ["append_rows", "_add_questions", "delete_unused_files", "write_rows", "compact"])
def test_a_process_that_is_killed_leaves_all_of_a_change_or_nothing(index, moment):
    rows = [(str(n), text, None) for n, text in enumerate(TEXTS[:7])]
    added = [("7", "how do i pay", None), ("8", "something else", None), ("9", "where is my parcel now", None)]
    fill(index, rows)
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path]
    script = KILLED.format(paths=paths, folder=str(index.folder), moment=moment)
    if moment in ("write_rows", "compact"):  # while questions are removed
        fill(index, added)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"now\n"
        during = rows_in(index)
        process.kill()
    nothing = moment in ("append_rows", "_add_questions")
    wanted = rows if nothing else rows + added
    assert during == rows_in(index) == wanted
    assert_as_anew(index)
    with QuestionIndex.open(index.folder, DETECTOR) as again:
        assert fill(again, added)[added[0][0]].text == "how do i pay"
        again.remove(["0", "1"])
        assert rows_in(again) == (rows + added)[2:]
        assert_as_anew(again)


# Adding and removing -----------------------------------------------------------------------------------------------


def test_what_is_added_adds_up_and_is_encoded_once(index):
    encoder = DETECTOR.encoder
    added = index.add(["How do I pay?", "how do i pay", " ", "where is it"], ids=["a", "b", "c", "d"])
    assert (added.given, added.added, added.new_texts, added.repeats, added.blank, added.unchanged) == (
        4,
        4,
        2,
        1,
        1,
        0,
    )
    before = len(encoder.encoded)
    again = index.add(["where is it", "how do i PAY", "how do i pay now"], ids=["d", "e", "f"])
    assert (again.given, again.unchanged, again.new_texts, again.repeats, again.pairs) == (3, 1, 1, 1, 1)
    assert encoder.encoded[before:] == ["how do i pay now"]
    assert index.counts["questions"] == len(index) == 6
    assert {name: index.counts[name] for name in ("texts", "repeats", "blank", "pairs")} == {
        "texts": 3,
        "repeats": 2,
        "blank": 1,
        "pairs": 1,
    }
    index.duplicates(), index.clusters()
    assert encoder.encoded[before:] == ["how do i pay now"]


def test_questions_without_ids_get_numbers_that_no_other_has(index):
    assert index.add(["one"], ids=["2"]).ids == ("2",)
    assert index.add(["two", "three"]).ids == ("3", "4")
    index.add(["four"], ids=["5"])
    index.remove(["4"])
    assert index.add(["five", "six"]).ids == ("6", "7")
    assert [question.text for question in index] == ["one", "two", "four", "five", "six"]


def test_frames_and_their_columns(index):
    frame = {
        "ticket": ["t1", "t2"],
        "subject": ["pay", "parcel"],
        "body": ["how do i pay", "where"],
        "kind": ["x", " "],
    }
    index.add(frame, text=["subject", "body"], id="ticket", label="kind")
    assert rows_in(index) == [("t1", "pay\nhow do i pay", "x"), ("t2", "parcel\nwhere", None)]
    added = index.add([{"id": "7", "question": "how do i pay"}], text="question")
    assert added.ids == ("7",)
    assert "7" in index
    assert "8" not in index


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"questions": ["other"], "ids": ["a"]}, "with the id 'a' already, with another text: 'one', not 'other'"),
        ({"questions": ["one"], "ids": ["a"], "labels": ["y"]}, "another label: 'x', not 'y'"),
        ({"questions": ["new", "new"], "ids": ["b", "b"]}, "'b' is given to several"),
        ({"questions": ["new"], "ids": [" "]}, "An id is blank"),
        ({"questions": ["new"], "ids": [5]}, "must be strings, not 5 of type int"),
        ({"questions": ["new"], "ids": "b"}, "ids must be a list"),
        ({"questions": ["new"], "ids": ["b", "c"]}, "There are 2 ids for 1 questions"),
        ({"questions": ["new"], "labels": []}, "There are 0 labels for 1 questions"),
        ({"questions": "new"}, "is one text or a path"),
        (
            {"questions": {"t": ["new", "old"], "n": ["1", "1"]}, "text": "t", "id": "n"},
            "Column 'n' cannot identify rows",
        ),
        ({"questions": {"t": ["new"]}, "text": "t", "ids": ["1"], "id": "t"}, "not both"),
        ({"questions": {"t": ["new"]}, "text": "t", "labels": ["1"], "label": "t"}, "not both"),
        ({"questions": {"t": ["new"]}, "text": "t", "label": "kind"}, "no column 'kind'"),
    ],
)
def test_what_cannot_be_added_changes_nothing(index, arguments, message):
    index.add(["one"], ids=["a"], labels=["x"])
    version = index.version
    given = arguments["questions"]
    more = {**arguments}
    if isinstance(given, list) and "ids" in arguments and given == ["other"]:
        more = {"questions": ["fresh", *given], "ids": ["fresh", "a"]}
    with pytest.raises(InputError, match=message):
        index.add(more.pop("questions"), **more)
    assert rows_in(index) == [("a", "one", "x")]
    assert index.version == version


def test_an_encoder_that_fails_changes_nothing(index, monkeypatch):
    monkeypatch.setattr(changes, "_TEXTS", 2)
    index.add(["one", "two"], ids=["a", "b"])
    before = answers(index)
    encode = Reader.encode

    def encode_some(self, texts, *, progress=None):
        if "z9" in texts:
            raise RuntimeError("out of luck")
        return encode(self, texts, progress=progress)

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "encode", encode_some)
        with pytest.raises(RuntimeError):
            index.add(["a0", "a1", "a2", "z9"])
    assert repr(answers(index)) == repr(before)


def test_more_pairs_than_can_be_kept_change_nothing(index, monkeypatch):
    monkeypatch.setattr(changes, "MOST_PAIRS", 2)
    index.add(["where is my parcel", "where is my parcel now"])
    version = index.version
    for texts in (["is my parcel here now", "where is my parcel today"], ["a b c d", "a b c e", "a b c f"]):
        with pytest.raises(InputError, match="More than 2 pairs of texts would reach the threshold"):
            index.add(texts)
    assert (len(index), index.version) == (2, version)


def test_a_label_that_is_not_given_again_stays(index):
    index.add(["one"], ids=["a"], labels=["x"])
    assert index.add(["one"], ids=["a"]).unchanged == 1
    assert index["a"].label == "x"


def test_removing_is_of_all_or_none(index):
    index.add(["one", "two", "two"], ids=["a", "b", "c"])
    with pytest.raises(InputError, match="no question with the id 'x', nor with 1 others"):
        index.remove(["a", "x", "y"])
    with pytest.raises(InputError, match="must be a list"):
        index.remove("a")
    assert len(index) == 3
    assert dataclasses.astuple(index.remove(["b", "b"])) == (1, 0)
    assert dataclasses.astuple(index.remove(["a", "c"])) == (2, 2)
    assert len(index) == 0
    assert index.search("one") == ()
    assert index.clusters() == ()
    assert len(index.duplicates()) == 0
    assert dataclasses.astuple(index.remove([])) == (0, 0)


def test_the_files_of_vectors_shrink(index, monkeypatch):
    monkeypatch.setattr(changes, "_FEW_EMPTY", 3)
    index.add([f"question number {n}" for n in range(10)], ids=[str(n) for n in range(10)])
    with QuestionIndex.open(index.folder, DETECTOR) as reader:
        before = reader.search("question number 9", 1)
        index.remove([str(n) for n in range(5)])
        assert [file.name for file in index.folder.glob("vectors-*")] == ["vectors-1.f32"]
        index.remove(["5"])
        files = sorted(file.name for file in index.folder.iterdir() if file.suffix in (".f32", ".u8"))
        assert files == ["rounded-2.u8", "steps-2.f32", "vectors-2.f32"]
        assert (index.folder / "vectors-2.f32").stat().st_size == 4 * 64 * 4
        assert reader.search("question number 9", 1) == before
    assert_as_anew(index)


def test_what_was_told_apart_stays_apart(index):
    rows = [("1", "how do i pay", None), ("2", "how do i pay now", None), ("3", "How do I pay?", None)]
    fill(index, rows)
    index.unmerge("1", "2")
    assert [cluster.kept for cluster in index.clusters()] == [("1",)]
    assert [hit.id for hit in index.search("how do i PAY")] == ["1"]
    assert index.duplicates().ruled_out.names == (("review",),)
    index.remove(["1", "2", "3"])
    fill(index, [("5", "HOW do i pay now", None), ("6", "how do i pay", None)])
    index.close()
    with QuestionIndex.open(index.folder, DETECTOR) as again:
        assert again.clusters() == ()
        assert again.forget("6", "5")
        assert not again.forget("6", "5")
        assert len(again.clusters()) == 1
        with pytest.raises(InputError, match="no question with the id '9'"):
            again.unmerge("5", "9")
        fill(again, [("7", "how do i pay.", None)])
        with pytest.raises(InputError, match="have the same text"):
            again.unmerge("6", "7")


@pytest.mark.parametrize(
    "text", ["half \ud83d pair", "nul \0 byte", "line\r\nend", "<b>bold</b> &amp; more", "'; DROP"]
)
def test_any_text_can_be_kept(index, text):
    index.add([text], ids=[text], labels=[text])
    whole = text.replace("\ud83d", "\ufffd")
    assert rows_in(index) == [(whole, whole, whole)]
    assert index.search(text)[0].same_text
    assert index.classify(text).label == whole
    assert index.remove([whole]).texts == 1


# Several at once ---------------------------------------------------------------------------------------------------


def test_a_second_writer_is_told_to_wait_and_readers_are_not(index, monkeypatch):
    monkeypatch.setattr(store, "_PATIENCE", 0.05)
    index.add(["one"], ids=["a"])
    with QuestionIndex.open(index.folder, DETECTOR) as other:
        with index._store.writing() as connection:
            connection.execute("DELETE FROM questions")
            for change in (lambda: other.add(["two"]), lambda: other.remove(["a"]), lambda: other.unmerge("a", "b")):
                with pytest.raises(IndexLockedError, match="Wait until it is done, and try again"):
                    change()
            assert [hit.id for hit in other.search("one")] == ["a"]
            connection.execute("INSERT INTO questions VALUES (1, 'a', 'one', 1, NULL, '')")
        assert other.add(["two"]).added == 1
        assert [hit.id for hit in index.search("two", 1)] == ["2"]


def test_searches_see_all_of_a_change_or_nothing_while_another_thread_makes_it(index, monkeypatch):
    monkeypatch.setattr(changes, "_FEW_EMPTY", 4)
    index.add([f"filler number {n} x{n} y{n}" for n in range(20)], ids=[f"f{n}" for n in range(20)])
    both = ["where is my big parcel", "where is my small parcel"]
    done = threading.Event()
    seen, wrong = set(), []

    def search():
        while not done.is_set():
            found = {hit.id for hit in index.search("where is my parcel", 3) if hit.duplicate}
            seen.add(frozenset(found))
            if found not in (set(), {"a", "b"}):
                wrong.append(found)
            result = index.clusters()
            if {len(cluster.members) for cluster in result} not in (set(), {2}):
                wrong.append(result)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(15):
        index.add([*both, f"more {number} of u{number}"], ids=["a", "b", f"m{number}"])
        index.remove(["a", "b", f"m{number}"])
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert index.search("where is my parcel", 1)[0].id.startswith("f")


# Opening -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detector", "what"),
    [
        (make_detector(threshold=0.8), "threshold 0.700000, not 0.800000"),
        (make_detector(cap=0.4), r"guards {'cap': 0.5}, not {'cap': 0.4}"),
        (dataclasses.replace(DETECTOR, guards=None), "not None"),
        (DETECTOR.at(prevalence=0.01).at(threshold=0.7), "another calibration, with the same threshold"),
    ],
)
def test_another_detector_is_refused_and_makes_an_index_of_its_own(index, tmp_path, detector, what):
    fill(index, [(str(n), text, None) for n, text in enumerate(TEXTS)])
    index.unmerge("0", "3")
    with pytest.raises(ArtifactError, match=f"{what}.*rebuild"):
        QuestionIndex.open(index.folder, detector)
    times = [question.added for question in index]
    with QuestionIndex.rebuild(index.folder, tmp_path / "other", detector) as other:
        assert rows_in(other) == rows_in(index)
        assert [question.added for question in other] == times
        assert other.counts["told_apart"] == 1
        wanted = detector.deduplicate(
            {"text": list(TEXTS)},
            text="text",
            told_apart={pair_key(*map(canonical, (TEXTS[0], TEXTS[3])))},
        )
        np.testing.assert_array_equal(other.duplicates().duplicate_of, wanted.duplicate_of)
    with pytest.raises(OutputExistsError):
        QuestionIndex.rebuild(index.folder, tmp_path / "other", detector)


def test_an_index_of_an_encoder_of_ones_own_needs_it(index):
    with pytest.raises(ArtifactError, match="does not hold its detector, 'reader'"):
        QuestionIndex.open(index.folder)


def test_a_detector_without_a_threshold_makes_no_index(tmp_path):
    with pytest.raises(NotCalibratedError):
        QuestionIndex.create(tmp_path / "index", Detector(Reader()))
    assert not (tmp_path / "index").exists()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(OutputExistsError):
        QuestionIndex.create(tmp_path / "mine", DETECTOR)


def _replace(name, old, new):
    return lambda folder: (folder / name).write_text((folder / name).read_text().replace(old, new))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "index.json").unlink(), "it has no index.json"),
        (_replace("index.json", '"format": 1', '"format": 2'), "format 2; dupdetect .* reads up to 1"),
        (_replace("index.json", '"format": 1', '"format": true'), "index.json is damaged"),
        (_replace("index.json", '"dimension": 64', '"dimension": "64"'), "index.json is damaged"),
        (_replace("index.json", "{", "["), "index.json is damaged"),
        (lambda folder: (folder / "questions.sqlite").unlink(), "lacks questions.sqlite"),
        (lambda folder: (folder / "questions.sqlite").write_bytes(b"x" * 5000), "no database of an index"),
        (lambda folder: (folder / "vectors-1.f32").unlink(), "lacks its file of vectors"),
        (lambda folder: (folder / "vectors-1.f32").write_bytes(b"1234"), "holds 0 of 2 rows"),
        (lambda folder: (folder / "rounded-1.u8").write_bytes(b"1" * 64), "holds 1 of 2 rows"),
    ],
)
def test_a_damaged_index_says_so(index, damage, message):
    index.add(["one", "two"])
    index.close()
    damage(index.folder)
    with pytest.raises(ArtifactError, match=message):  # noqa: SIM117
        with QuestionIndex.open(index.folder, DETECTOR) as again:
            again.search("one")


def test_a_database_of_something_else_or_a_newer_format_is_refused(index):
    index.close()
    for pragma, message in (("user_version = 9", "has format 9"), ("application_id = 5", "no database of an index")):
        with contextlib.closing(sqlite3.connect(index.folder / "questions.sqlite")) as file:
            file.execute(f"PRAGMA {pragma}")
        with pytest.raises(ArtifactError, match=message):
            QuestionIndex.open(index.folder, DETECTOR)


def test_a_closed_index_says_so(index):
    index.close()
    for use in (lambda: index.search("x"), lambda: index.add(["x"]), lambda: len(index)):
        with pytest.raises(InputError, match="has been closed"):
            use()
    index.close()


@pytest.mark.parametrize(("use", "message"), [
    (lambda index: index.search("x", 0), "k must be"),
    (lambda index: index.search("x", True), "k must be"),
    (lambda index: index.search_many("x"), "list of strings"),
    (lambda index: index.search(None), "list of strings"),
    (lambda index: index.classify("x", top=0), "top must be"),
    (lambda index: index["x"], "no question with the id 'x'"),
])  # fmt: skip
def test_wrong_use_says_what_is_wanted(index, use, message):
    with pytest.raises(InputError, match=message):
        use(index)
