"""An index gives the answers of its detector, and those of an index made anew from what is in it."""

import contextlib
import dataclasses
import os
import shutil
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
        "classes": [index.classify_many(QUERIES, top=2, outsiders=share) for share in (0.1, 0.4)],
        "clusters": index.clusters(),
        "counts": index.counts,
        "result": [getattr(result, name).tolist() for name in SHARED] + _pairs(result),
        "merged": result.run.get("merged"),
    }


def _pairs(result):
    columns = [result.pairs.left, result.pairs.right, result.pairs.similarity, result.pairs.probability]
    ruled_out = [result.ruled_out.left, result.ruled_out.right, result.ruled_out.similarity, result.ruled_out.reasons]
    return [column.tolist() for column in (*columns, *ruled_out)]


def assert_as_anew(index):
    """The answers are those of an index made anew from what is in it."""
    with tempfile.TemporaryDirectory() as folder, QuestionIndex.create(Path(folder, "anew"), DETECTOR) as anew:
        fill(anew, rows_in(index))
        for table, columns in (("told_apart", "?, ?"), ("merged", "?, ?, ?"), ("survivors", "?, ?, ?, ?")):
            with index._store.reading() as connection:
                made = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            with anew._store.writing() as connection:
                connection.executemany(f"INSERT INTO {table} VALUES ({columns})", made)  # noqa: S608
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


@pytest.mark.parametrize("bundle", [1, 4])
def test_search_is_exact_where_bundles_are_many(index, monkeypatch, bundle):
    monkeypatch.setattr("dupdetect.index.snapshot._BUNDLE", bundle)
    monkeypatch.setattr("dupdetect.index.snapshot._BLOCK", 8)
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
        st.tuples(
            st.sampled_from(["unmerge", "forget", "merge", "merge", "forget_merge"]),
            st.integers(0, 30),
            st.integers(0, 30),
        ),
        st.tuples(st.sampled_from(["set_survivor", "set_survivor", "forget_survivor"]), st.integers(0, 30)),
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
    monkeypatch.setattr("dupdetect.index.snapshot._BUNDLE", 2)
    with tempfile.TemporaryDirectory() as folder:
        index = QuestionIndex.create(Path(folder, "index"), DETECTOR)
        expected, number = [], 0
        people, chosen = {"merge": set(), "unmerge": set()}, []
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
                case ("unmerge" | "forget" | "merge" | "forget_merge") as verb, a, b if expected:
                    (a, text, _), (b, other, _) = expected[a % len(expected)], expected[b % len(expected)]
                    pair = frozenset((canonical(text), canonical(other)))
                    apart, together = ("forget", "unmerge"), ("forget_merge", "merge")
                    decided, against = (apart, together) if verb in apart else (together, apart)
                    if len(pair) == 1 or "" in pair or (verb == decided[1] and pair in people[against[1]]):
                        with pytest.raises(InputError):
                            getattr(index, verb)(a, b)
                    elif verb == decided[1]:
                        getattr(index, verb)(a, b)
                        people[verb].add(pair)
                    else:
                        assert getattr(index, verb)(a, b) == (pair in people[decided[1]])
                        people[decided[1]].discard(pair)
                case ("set_survivor" | "forget_survivor") as verb, place if expected:
                    name, text, _ = expected[place % len(expected)]
                    if canonical(text):
                        chosen = [one for one in chosen if one[0] != canonical(text)]
                        chosen += [(canonical(text), name)] if verb == "set_survivor" else []
                        getattr(index, verb)(name)
                case "interrupted", texts:
                    with pytest.MonkeyPatch.context() as patch:
                        patch.setattr(changes, "_add_questions", _fail)
                        with pytest.raises(KeyboardInterrupt):
                            index.add(texts)
                case ("reopen",):
                    index.close()
                    index = QuestionIndex.open(index.folder, DETECTOR)
            assert rows_in(index) == expected
        assert_as_decided(index.duplicates(), people, chosen)
        assert_as_anew(index)
        index.close()


def assert_as_decided(result, people, chosen):
    """What people decided holds, and every removed row names a kept one that it was measured against."""
    forms = [canonical(text) for text in result.questions.texts]
    ids, rows = result.questions.ids, range(len(result))
    pairs = {frozenset((forms[pair.left], forms[pair.right])) for pair in result.pairs if not pair.same_text}
    assert {pair for pair in people["merge"] if pair <= set(forms)} <= pairs
    assert not pairs & people["unmerge"]
    stays = {forms[row] for row in rows if result.kept[row]}
    for row in np.flatnonzero(~result.kept).tolist():
        survivor = result.duplicate_of[row]
        both = frozenset((forms[row], forms[survivor]))
        assert result.kept[survivor]
        assert len(both) == 1 or both in pairs
        if len(both) == 2:
            assert result.similarity[row] == DETECTOR.decide([tuple(both)]).similarity[0]
            assert result.similarity[row] >= result.threshold or both in people["merge"]
        if both in people["merge"]:
            assert result.probability[row] == 1
    latest = [form for form, _ in reversed(chosen)]
    for place, form in enumerate(latest):
        before = any(frozenset((form, other)) in pairs and other in stays for other in latest[:place])
        assert form not in forms or before or form in stays
    for form, name in chosen:
        if name in ids and form in stays and forms[ids.index(name)] == form:
            assert result.kept[ids.index(name)]


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


def test_what_was_merged_counts_whatever_its_similarity(index):
    rows = [("1", "error 403 on login page", None), ("2", "error 404 on login page", None), ("3", "my parcel", None)]
    fill(index, rows)
    assert index.clusters() == ()
    index.merge("1", "2")
    index.merge("3", "2")
    (cluster,) = index.clusters()
    assert [(member.id, member.duplicate_of, member.merged) for member in cluster.members] == [
        ("1", None, False),
        ("2", "1", True),
        ("3", None, False),
    ]
    assert [pair[:2] for pair in cluster.merged] == [("1", "2"), ("2", "3")]
    measured = DETECTOR.decide([("error 403 on login page", "error 404 on login page")])
    assert cluster.merged[0][2] == measured.similarity[0]
    assert cluster.members[1].similarity == measured.similarity[0]
    assert (cluster.members[1].probability, measured.probability[0]) == (1, pytest.approx(0.5, abs=0.4))
    result = index.duplicates(estimated_precision=0.99)
    assert [(pair["left"], pair["right"]) for pair in result.run["merged"]] == [("1", "2"), ("2", "3")]
    assert result.run["merged"][1]["similarity"] < result.threshold
    # No pair counts but for these, so that the threshold is the one from which any would be as likely.
    assert result.threshold > measured.similarity[0]
    assert result.notes[-1].startswith("2 of the pairs count because somebody has merged them, 2 of them below")
    assert "merged them, 1 of them below" in index.duplicates().notes[-1]
    assert len(result.ruled_out) == 0
    assert index.search("error 403 on login page", 2)[1].duplicate is False
    assert index.counts["merged"] == 2
    # A reviewer's label of a later result wins: what is not sure is not merged.
    apart = index.duplicates(told_apart={pair_key("error 404 on login page", "my parcel")})
    assert apart.kept.tolist() == [True, False, True]
    assert len(apart.run["merged"]) == 1


def test_a_pair_that_reviewers_confirm_counts(index):
    fill(
        index,
        [("1", "error 403 on login page", None), ("2", "error 404 on login page", None), ("3", "my parcel", None)],
    )
    assert index.duplicates().kept.all()
    key = pair_key("error 403 on login page", "error 404 on login page")
    confirmed = index.duplicates(confirmed={key, pair_key("error 404 on login page", "my parcel")})
    assert confirmed.kept.tolist() == [True, False, True]
    assert confirmed.probability[1] == 1
    assert confirmed.run["confirmed_by_reviewers"] == 1
    # The label of a later result wins over what the index remembers, as for those that are told apart.
    index.unmerge("1", "2")
    assert index.duplicates().kept.all()
    assert index.duplicates(confirmed={key}).kept.tolist() == [True, False, True]


def test_a_decision_that_contradicts_another_is_refused(index):
    fill(index, [("1", "how do i pay", None), ("2", "how do i pay now", None), ("3", "How do I pay?", None)])
    index.unmerge("1", "2")
    with pytest.raises(InputError, match=r"have been told apart, and cannot be merged too.*take that back first"):
        index.merge("2", "3")
    assert not index.forget_merge("1", "2")
    assert index.forget("1", "2")
    index.merge("2", "3")
    with pytest.raises(InputError, match=r"have been merged, and cannot be told apart too.*take that back first"):
        index.unmerge("1", "2")
    assert not index.forget("1", "2")
    with pytest.raises(InputError, match="have the same text"):
        index.merge("1", "3")
    with pytest.raises(InputError, match="no question with the id '9'"):
        index.merge("1", "9")
    assert index.forget_merge("1", "2")
    index.unmerge("1", "2")
    fill(index, [("4", " ", None)])
    for use in (lambda: index.merge("1", "4"), lambda: index.set_survivor("4")):
        with pytest.raises(InputError, match="'4' is blank"):
            use()


def test_what_was_chosen_stays(index):
    fill(index, [("1", "how do i pay", None), ("2", "how do i pay now", None), ("3", "How do I pay now?", None)])
    key = index.clusters()[0].key
    assert index.clusters()[0].kept == ("1",)
    index.set_survivor("3")
    (cluster,) = index.clusters()
    assert (cluster.kept, cluster.key) == (("3",), key)
    assert [(member.duplicate_of, member.chosen) for member in cluster.members] == [("3", False), ("3", False), (None, True)]  # fmt: skip  # noqa: E501
    index.set_survivor("1")  # the last choice
    assert index.clusters()[0].kept == ("1",)
    assert index.forget_survivor("1")
    assert not index.forget_survivor("1")
    assert index.clusters()[0].kept == ("3",)
    index.remove(["3"])
    assert index.clusters()[0].kept == ("2",)
    index.remove(["2"])
    fill(index, [("5", "how do i pay NOW", None), ("3", "How do I pay now?", None)])
    assert index.clusters()[0].kept == ("3",)
    assert index.counts["survivors"] == 1
    with pytest.raises(InputError, match="no question with the id '9'"):
        index.set_survivor("9")


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


def test_ids_with_half_a_character_are_found_as_they_were_given(index):
    index.add(["one", "two"], ids=["a\ud83d", "b"])
    assert "a\ud83d" in index
    assert index["a\ud83d"].id == "a\ufffd"
    index.merge("a\ud83d", "b")
    index.set_survivor("a\udc00")
    assert index.clusters()[0].kept == ("a\ufffd",)
    with pytest.raises(InputError, match="no question with the id 'x\ufffd'"):
        index.remove(["x\ud83d"])
    with pytest.raises(InputError, match="is given to several questions"):
        index.add(["three", "four"], ids=["c\ud83d", "c\udc00"])
    with pytest.raises(InputError, match="cannot identify rows"):
        index.add({"text": ["three", "four"], "id": ["c\ud83d", "c\udc00"]}, text="text", id="id")
    assert index.remove(["a\ud83d", "a\ufffd"]).questions == 1


def test_an_id_that_is_no_string_is_refused(index):
    index.add(["one", "two"], ids=["5", "6"])
    assert 5 not in index
    for use in (lambda: index.remove(["5", 5]), lambda: index[5], lambda: index.unmerge("6", 5)):
        with pytest.raises(InputError, match="ids must be strings, not 5 of type int"):
            use()
    assert len(index) == 2


def test_texts_may_be_given_one_by_one(index):
    texts = ["how do i pay", "where is my parcel"]
    index.add(texts, labels=["a", "b"])
    assert index.search_many(text for text in texts) == index.search_many(texts)
    assert len(index.search_many(iter(texts))) == 2
    assert index.classify_many(iter(texts)) == index.classify_many(texts)
    assert [] not in index


def test_the_number_of_hits_may_be_any_whole_number(index):
    index.add([f"question number {n}" for n in range(40)], labels=[f"l{n}" for n in range(40)])
    for kind in (np.int8, np.uint8, np.int64):
        assert index.search("question number 7", kind(20)) == index.search("question number 7", 20)
        assert index.classify("question number 7", top=kind(20)) == index.classify("question number 7", top=20)
    assert len(index.search("question number 7", np.int8(100))) == 40


def test_check_encodes_a_text_once(index, monkeypatch):
    index.add(["how do i pay zorg", "how do i pay"], ids=["1", "2"])
    wanted = DETECTOR.explain("how do i pay the zorg", "how do i pay zorg")
    asked = []
    encode = Reader.encode
    monkeypatch.setattr(
        Reader, "encode", lambda self, texts, *, progress=None: asked.extend(texts) or encode(self, texts)
    )
    assert index.check("how do i pay the zorg").explanation == wanted
    assert wanted.unknown_left == wanted.unknown_right == ("zorg",)
    assert asked == ["how do i pay the zorg"]


def test_an_index_made_anew_holds_nothing_of_what_was_removed(index, tmp_path):
    index.add(["a secret", "something else"], ids=["1", "2"])
    secret = Reader().encode(["a secret"]).tobytes()
    index.remove(["1"])
    assert secret in (index.folder / "vectors-1.f32").read_bytes()
    with QuestionIndex.rebuild(index.folder, tmp_path / "anew", DETECTOR) as anew:
        assert rows_in(anew) == rows_in(index)
    for file in (tmp_path / "anew").rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert secret not in content
        assert b"a secret" not in content


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
    index.merge("0", "5")
    index.set_survivor("3")
    with pytest.raises(ArtifactError, match=f"{what}.*rebuild"):
        QuestionIndex.open(index.folder, detector)
    times = [question.added for question in index]
    with QuestionIndex.rebuild(index.folder, tmp_path / "other", detector) as other:
        assert rows_in(other) == rows_in(index)
        assert [question.added for question in other] == times
        assert [other.counts[name] for name in ("told_apart", "merged", "survivors")] == [1, 1, 1]
        assert other.forget_survivor("3")
        assert other.forget_merge("5", "0")
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


def _without_rules(change):
    """Change the database, and none of what it refuses by itself holds it back."""

    def damage(folder):
        with contextlib.closing(sqlite3.connect(folder / "questions.sqlite", isolation_level=None)) as file:
            file.execute("PRAGMA ignore_check_constraints = ON")
            file.executescript(change)

    return damage


ASKS = {
    "search": lambda index: index.search("how do i pay", 3),
    "classify": lambda index: index.classify("how do i pay"),
    "duplicates": lambda index: index.duplicates(),
    "clusters": lambda index: index.clusters(),
    "add": lambda index: index.add(["something else", "how do i pay more"], ids=["8", "9"]),
    "remove": lambda index: index.remove(["1"]),
    "list": list,
    "get": lambda index: index["1"],
    "version": lambda index: index.version,
    "merge": lambda index: index.merge("1", "3"),
}


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ("UPDATE state SET slots = -5", "search add remove"),
        ("UPDATE state SET slots = 'abc'", "search add remove duplicates classify version"),
        ("UPDATE state SET slots = 10000000000000", "search add"),
        ("UPDATE state SET vectors = 'x/../../outside'", "search add remove"),
        ("UPDATE state SET vectors = 0", "search add"),
        ("UPDATE state SET version = x'00'", "search version"),
        ("UPDATE state SET next_form = 'a'", "add"),
        ("UPDATE state SET next_question = 0.5", "add"),
        ("DELETE FROM state", "search add remove duplicates clusters classify version"),
        ("UPDATE forms SET slot = -1 WHERE number = 1", "search classify duplicates"),
        ("UPDATE forms SET slot = 999 WHERE number = 1", "search classify duplicates"),
        ("UPDATE forms SET slot = 'a' WHERE number = 1", "search classify duplicates"),
        ("UPDATE forms SET slot = 999, company = 'w', unknown = '[\"w\"]' WHERE number = 1", "search add duplicates"),
        ("UPDATE forms SET company = 'w', unknown = '{' WHERE number = 1", "duplicates clusters"),
        ("UPDATE forms SET company = 'w', unknown = '[1]' WHERE number = 1", "duplicates clusters"),
        ("UPDATE forms SET company = 'w', unknown = '5' WHERE number = 1", "duplicates"),
        ("UPDATE forms SET form = x'ff00' WHERE number = 1", "search duplicates clusters"),
        ("UPDATE questions SET text = x'ff00' WHERE id = '1'", "search list get duplicates clusters merge"),
        ("UPDATE questions SET label = x'ff00' WHERE id = '1'", "search classify list get duplicates"),
        ("UPDATE questions SET text = 'quite another' WHERE id = '1'", "duplicates clusters"),
        ("UPDATE questions SET form = 99 WHERE id = '1'", "search"),
        ("DELETE FROM forms WHERE number = 1", "search duplicates clusters"),
        ("DELETE FROM questions WHERE form = 1", "search duplicates clusters"),
        ("INSERT INTO pairs VALUES (1, 99, 0.9)", "duplicates clusters"),
        ("UPDATE pairs SET similarity = 'high'", "duplicates clusters"),
        ("UPDATE pairs SET larger = x'00'", "duplicates clusters"),
        ("INSERT INTO empty_slots VALUES (-3)", "search add"),
    ],
)
def test_a_damaged_database_says_so_whatever_is_asked(index, change, asked):
    """Never an error of Python's, and never an answer that is made of another text's vector."""
    texts = ["how do i pay", "how do i pay it", "where is my parcel", "where is my parcel now"]
    index.add(texts, ids=["1", "2", "3", "4"], labels=["a", "b", "c", "d"])
    assert index.counts["pairs"] > 0
    index.close()

    def files():
        return {file for file in index.folder.parent.rglob("*") if not file.name.startswith("questions.sqlite-")}

    before = files()
    _without_rules(change)(index.folder)
    for name in asked.split():
        with QuestionIndex.open(index.folder, DETECTOR) as again, pytest.raises(ArtifactError, match="damaged"):
            ASKS[name](again)
    assert files() == before


@pytest.mark.skipif(os.name != "posix", reason="makes links and pipes as POSIX has them")
@pytest.mark.parametrize("name", ["vectors-1.f32", "rounded-1.u8", "steps-1.f32"])
def test_nothing_is_written_to_what_a_link_stands_for(index, tmp_path, name):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    place = index.folder / name
    for make in (lambda: place.symlink_to(mine), lambda: place.symlink_to(tmp_path / "not there"),
                 lambda: os.mkfifo(place), place.mkdir):  # fmt: skip
        make()
        with pytest.raises(ArtifactError, match="is a link, or no file"):
            index.add(["one", "two"])
        place.rmdir() if place.is_dir() else place.unlink()
    assert mine.read_text() == "mine"
    assert not (tmp_path / "not there").exists()
    assert len(index) == 0
    assert index.add(["one", "two"]).new_texts == 2


@pytest.mark.skipif(os.name != "posix", reason="makes links as POSIX does")
def test_nothing_is_written_to_the_database_that_a_link_stands_for(index, tmp_path):
    index.add(["one", "two"])
    other = tmp_path / "other"
    shutil.copytree(index.folder, other)
    (other / "questions.sqlite").unlink()
    (other / "questions.sqlite").symlink_to(index.folder / "questions.sqlite")
    with QuestionIndex.open(other, DETECTOR) as again, pytest.raises(ArtifactError, match="is a link"):
        again.add(["three"])
    assert len(index) == 2
    assert index.search("one")[0].text == "one"


def test_an_index_that_was_replaced_by_another_is_refused_until_it_is_opened_again(index, tmp_path):
    index.add(["where is my parcel", "how do i pay"])
    with QuestionIndex.create(tmp_path / "other", DETECTOR) as other:
        other.add(["zebra crossing rules", "a song"])
    assert index.search("where is my parcel")[0].text == "where is my parcel"
    index.folder.rename(tmp_path / "before")
    (tmp_path / "other").rename(index.folder)
    for ask in (lambda: index.search("where is my parcel"), lambda: index.add(["three"]), lambda: len(index)):
        with pytest.raises(ArtifactError, match="has been replaced by another since it was opened"):
            ask()
    with QuestionIndex.open(index.folder, DETECTOR) as again:
        assert again.search("zebra crossing rules")[0].text == "zebra crossing rules"
        assert len(again) == 2


def test_nothing_is_added_where_the_vectors_are_gone(index):
    index.add(["one", "two"])
    index.close()
    (index.folder / "vectors-1.f32").unlink()
    with QuestionIndex.open(index.folder, DETECTOR) as again:
        with pytest.raises(ArtifactError, match="lacks its file of vectors"):
            again.add(["three"])
        assert len(again) == 2


def open_files():
    """Return how many files this process has open, where that can be told."""
    files = Path("/proc/self/fd")
    return len([*files.iterdir()]) if files.is_dir() else 0


def test_a_database_of_something_else_or_a_newer_format_is_refused(index):
    index.close()
    for pragma, message in (("user_version = 9", "has format 9"), ("application_id = 5", "no database of an index")):
        with contextlib.closing(sqlite3.connect(index.folder / "questions.sqlite")) as file:
            file.execute(f"PRAGMA {pragma}")
        before = open_files()
        with pytest.raises(ArtifactError, match=message):
            QuestionIndex.open(index.folder, DETECTOR)
        assert open_files() == before


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
    (lambda index: index.search(None), "item 1 is of type NoneType"),
    (lambda index: index.search_many(["a"] * 9 + [5, 6]), "item 10 is of type int"),
    (lambda index: index.search_many(b"x"), "Put it in a list"),
    (lambda index: index.classify_many([["x" * 999]]), "item 1 is of type list"),
    (lambda index: index[[]], "ids must be strings"),
    (lambda index: index.unmerge(np.int64(1), "4"), "ids must be strings"),
    (lambda index: index.remove(b"1"), "ids must be a list of ids"),
    (lambda index: index.classify("x", top=0), "top must be"),
    (lambda index: index.classify("x", outsiders=1), "outsiders must be a share"),
    (lambda index: index.classify("x", outsiders=True), "outsiders must be a share"),
    (lambda index: index["x"], "no question with the id 'x'"),
])  # fmt: skip
def test_wrong_use_says_what_is_wanted(index, use, message):
    with pytest.raises(InputError, match=message):
        use(index)


def test_a_number_is_given_out_once(index, tmp_path):
    index.add(["a b", "c d", "e f"])
    index.remove(["3"])
    with QuestionIndex.rebuild(index.folder, tmp_path / "again", DETECTOR) as again:
        assert again.add(["g h"]).ids == index.add(["g h"]).ids == ("4",)


def test_notes_count_all_rows_that_were_added(index, monkeypatch):
    """Also in several portions, and with texts that are there already; words are of this request."""
    monkeypatch.setattr(changes, "_TEXTS", 3)
    long = " ".join(f"w{n}" for n in range(60))
    texts = [*(f"how do i pay z{n}" for n in range(7)), "where is it", long]
    notes = index.add(texts).notes
    assert [note[:6] for note in notes] == ["1 row ", "7 rows"]
    assert "such as 'z0' and 'z1'" in notes[1]
    assert index.add(["how do i pay z5", "How do I pay Z5?", "where is it", long]).notes == (
        notes[0],
        notes[1].replace("7 rows hold", "2 rows hold").replace("'z0' and 'z1'", "'z5'"),
    )
