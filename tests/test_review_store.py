"""The labels of reviewers: none is lost, whatever happens, and the latest of each reviewer counts."""

import contextlib
import functools
import inspect
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.encoder.cache import CachedEncoder
from dupdetect.errors import ArtifactError, InputError
from dupdetect.review import ReviewStore, store
from dupdetect.review.store import LABELS

ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reviews.sqlite"


@functools.cache
def content():
    """Return the bytes of a store with some labels, two reviewers, a conflict and a label taken back."""
    with tempfile.TemporaryDirectory() as folder, unflushed(Path(folder, "r")) as reviews:
        for number in range(40):
            reviews.record(f"{number:032x}", LABELS[number % 3], "ana" if number % 2 else "bo")
        reviews.record(f"{1:032x}", "duplicate", "bo")
        reviews.undo()
        reviews.record(f"{0:032x}", "different", "ana")
        reviews.close()
        return reviews.path.read_bytes()


def unflushed(path):
    """Return a store that does not wait for the disk."""
    reviews = ReviewStore(path)
    reviews._file.execute("PRAGMA synchronous = OFF")
    return reviews


def filled(path):
    """Make a store with the labels of `content`; return its path."""
    path.write_bytes(content())
    return path


def answers(path):
    with ReviewStore(path) as reviews:
        return reviews.labels(), reviews.conflicts(), reviews.labels_by("ana")


def events(path):
    with contextlib.closing(sqlite3.connect(path)) as file:
        return file.execute("SELECT number, time, reviewer, key, label, takes_back FROM events").fetchall()


# What counts


def test_labels_are_there_again_with_the_keys_sorted(path):
    with ReviewStore(path) as reviews:
        assert (reviews.labels(), reviews.conflicts(), reviews.undo()) == ({}, {}, None)
        reviews.record(TWO, "different")
        reviews.record(ONE, "duplicate")
        reviews.record(THREE, "unsure", "ana")
    with ReviewStore(str(path)) as reviews:
        assert list(reviews.labels().items()) == [(ONE, "duplicate"), (TWO, "different"), (THREE, "unsure")]
        assert reviews.labels_by("") == {ONE: "duplicate", TWO: "different"}
        assert reviews.labels_by("ana") == {THREE: "unsure"}
        assert reviews.labels_by("bo") == {}


def test_the_latest_label_of_a_reviewer_counts(path):
    with ReviewStore(path) as reviews:
        for label in ("duplicate", "unsure", "different"):
            reviews.record(ONE, label, "ana")
        assert reviews.labels() == {ONE: "different"}
        assert reviews.conflicts() == {}
    assert len(events(path)) == 3


def test_a_pair_that_reviewers_label_differently_is_a_conflict_until_they_agree(path):
    with ReviewStore(path) as reviews:
        reviews.record(ONE, "duplicate", "bo")
        reviews.record(ONE, "duplicate", "ana")
        assert reviews.labels() == {ONE: "duplicate"}
        reviews.record(ONE, "unsure", "cy")
        reviews.record(TWO, "different", "cy")
        assert reviews.labels() == {TWO: "different"}
        assert reviews.conflicts() == {ONE: {"ana": "duplicate", "bo": "duplicate", "cy": "unsure"}}
        assert list(reviews.conflicts()[ONE]) == ["ana", "bo", "cy"]
        reviews.record(ONE, "duplicate", "cy")
        assert reviews.labels() == {ONE: "duplicate", TWO: "different"}
        assert reviews.conflicts() == {}


def test_undo_goes_back_one_label_after_the_other_and_loses_none(path):
    with ReviewStore(path) as reviews:
        reviews.record(ONE, "duplicate")
        reviews.record(ONE, "different")
        reviews.record(TWO, "unsure")
        assert reviews.undo() == TWO
        assert reviews.labels() == {ONE: "different"}
        assert reviews.undo() == ONE
        assert reviews.labels() == {ONE: "duplicate"}, "the earlier label counts again"
        reviews.record(THREE, "unsure")
        assert [reviews.undo(), reviews.undo(), reviews.undo()] == [THREE, ONE, None]
        assert reviews.labels() == {}
    given, taken_back = [[row for row in events(path) if (row[5] is None) == first] for first in (True, False)]
    assert [row[3:5] for row in given] == [(ONE, "duplicate"), (ONE, "different"), (TWO, "unsure"), (THREE, "unsure")]
    assert [row[5] for row in taken_back] == [3, 2, 6, 1]


def test_a_reviewer_takes_back_only_labels_of_their_own(path):
    with ReviewStore(path) as reviews:
        reviews.record(ONE, "duplicate", "ana")
        reviews.record(TWO, "different", "bo")
        assert reviews.undo("ana") == ONE
        assert reviews.undo("ana") is None
        reviews.record(THREE, "different", "ana")
        assert [reviews.undo(), reviews.undo(), reviews.undo()] == [THREE, TWO, None]


KEYS = st.sampled_from([ONE, TWO, THREE])
REVIEWERS = st.sampled_from(["", "ana", "bo"])
RECORDS = st.tuples(KEYS, st.sampled_from(LABELS), REVIEWERS)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    with unflushed(tmp_path_factory.mktemp("scratch") / "reviews.sqlite") as reviews:
        yield reviews


@settings(deadline=None)
@given(steps=st.lists(RECORDS | st.none() | REVIEWERS, max_size=25))
def test_any_series_of_labels_and_undos_is_what_a_list_would_hold(scratch, steps):
    """A step is a label, an undo of whoever was last (None), or an undo of one reviewer."""
    scratch._file.execute("DELETE FROM events")
    held = []
    for step in steps:
        if isinstance(step, tuple):
            held.append(step)
            scratch.record(*step)
            continue
        last = next((row for row in reversed(range(len(held))) if step in (None, held[row][2])), None)
        assert scratch.undo(step) == (None if last is None else held.pop(last)[0])
    latest = {}
    for key, label, reviewer in held:
        latest.setdefault(key, {})[reviewer] = label
    assert scratch.labels() == {key: max(by.values()) for key, by in latest.items() if len({*by.values()}) == 1}
    assert scratch.conflicts() == {key: by for key, by in latest.items() if len({*by.values()}) > 1}
    assert scratch.labels_by("ana") == {key: by["ana"] for key, by in latest.items() if "ana" in by}


def test_any_name_of_a_reviewer_and_no_other_label(path):
    names = ["Ana  María", "'; DROP TABLE events; --", "李雷", "a\nb", "Ana", "ana"]
    with ReviewStore(path) as reviews:
        for number, name in enumerate(names):
            reviews.record(f"{number:032x}", "unsure", f" {name}\t")
        assert [len(reviews.labels_by(name)) for name in names] == [1] * len(names)
        reviews.record(ONE, "duplicate", "half \ud800")
        assert reviews.labels_by("half \udc00") == {ONE: "duplicate"}, "what no file can hold is U+FFFD"
        with pytest.raises(InputError, match=r"'yes' is not one of duplicate, different, unsure\."):
            reviews.record(TWO, "yes")
        assert TWO not in reviews.labels()


def test_requests_are_numbered_and_the_same_one_is_no_new_one(path):
    with ReviewStore(path) as store:
        assert store.request_number("a") == 1
        assert store.request_number("b") == 1  # nobody has had an answer yet
        store.record_request("b")
        store.record_request("b")
        assert (store.request_number("b"), store.request_number("a")) == (1, 2)
        store.record_request("a")
    with ReviewStore(path) as store:
        assert [store.request_number(digest) for digest in "abc"] == [2, 1, 3]
        assert store.labels() == {}


def test_the_time_of_a_label_is_in_utc(path):
    with ReviewStore(path) as reviews:
        for key in (ONE, TWO, THREE):
            reviews.record(key, "unsure")
    now = datetime.now(UTC)
    times = [datetime.fromisoformat(row[1]) for row in events(path)]
    assert times == sorted(times)
    assert all(time.utcoffset() == timedelta(0) and now - timedelta(minutes=5) < time <= now for time in times)


# The file


def test_a_closed_store_leaves_one_file(path):
    with ReviewStore(path) as reviews:
        reviews.record(ONE, "unsure")
    assert [file.name for file in path.parent.iterdir()] == ["reviews.sqlite"]


@pytest.mark.parametrize("name", [":memory:", "a ?mode=ro#%41.sqlite", "ü\n'\".sqlite", "\udcff", "file:x", "-"])
def test_every_name_is_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with ReviewStore(Path(name)) as reviews:
        reviews.record(ONE, "unsure")
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert answers(Path(name))[0] == {ONE: "unsure"}


def _foreign(path):
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE events (number INTEGER PRIMARY KEY)")


def _cache(path):
    class Angle:
        fingerprint, dimension = "test:angle", 1

        def encode(self, texts, *, progress=None):
            return [[1.0]] * len(texts)

    CachedEncoder(Angle(), path)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("key,label\n" * 1000),
        lambda path: path.write_text("short"),
        lambda path: path.write_bytes(bytes(8192)),
        lambda path: path.write_bytes(filled(path).read_bytes()[:9000]),
        _foreign,
        _cache,
    ],
)
def test_what_is_no_store_is_refused_and_left_alone(path, make):
    make(path)
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match=r"is no file of review labels, or a damaged one\. Move it elsewhere"):
        answers(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_format_asks_for_an_update(path):
    with contextlib.closing(sqlite3.connect(filled(path))) as file:
        file.execute(f"PRAGMA user_version = {store.FORMAT + 1}")
    with pytest.raises(ArtifactError, match=r"has format 2; dupdetect .* reads up to 1\. Update it"):
        ReviewStore(path)


@pytest.mark.parametrize("name", ["", "no/such/folder/r", ".", "x" * 300])
def test_a_file_that_cannot_be_made(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"cannot be opened or made\. The folder must be there"):
        ReviewStore(name)


def test_damage_is_an_error_or_does_no_harm(path, tmp_path):
    """Bytes changed anywhere: never other labels, never another error."""
    good, chance, refusals, damaged = filled(path).read_bytes(), random.Random(0), [], tmp_path / "damaged"
    expected = answers(path)
    for place in [*range(0, 100, 3), *(chance.randrange(len(good)) for _ in range(100))]:
        content = bytearray(good)
        content[place : place + chance.choice([1, 1, 500])] = chance.randbytes(1)
        damaged.write_bytes(content)
        try:
            assert answers(damaged) == expected
        except (ArtifactError, InputError) as error:
            refusals.append(str(error))
        for end in ("", "-wal", "-shm"):
            Path(f"{damaged}{end}").unlink(missing_ok=True)
    assert 40 < len(refusals) < 130
    assert sum("damaged one. Move it" in refusal for refusal in refusals) > 0.9 * len(refusals)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET label = 'duplicate' WHERE number = 2",
        "UPDATE events SET key = CAST(key AS BLOB) WHERE number = 3",
        "UPDATE events SET takes_back = 1 WHERE number = 42",
        "DELETE FROM events WHERE number = 5",
        "DROP TABLE events",
    ],
)
def test_events_changed_by_others_are_damage(path, change):
    with contextlib.closing(sqlite3.connect(filled(path))) as file, file:
        assert file.execute(change).rowcount in (1, -1)
    with pytest.raises(ArtifactError, match="damaged one"):
        answers(path)
    with pytest.raises(ArtifactError, match="damaged one"), ReviewStore(path) as reviews:
        reviews.undo()


def test_a_file_that_is_locked(path, monkeypatch):
    monkeypatch.setattr(store, "_PATIENCE", 0.05)
    before = answers(filled(path))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # another process is about to write
        assert answers(path) == before, "labels can be read meanwhile"
        with ReviewStore(path) as reviews, pytest.raises(InputError, match=r"locked for 0 s by another process\. Wait"):
            reviews.record(ONE, "unsure")
        other.execute("ROLLBACK")
    assert answers(path) == before


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the permissions of Unix")
def test_a_folder_and_a_file_that_may_only_be_read():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = filled(folder / "reviews.sqlite")
        before = answers(path)
        path.chmod(0o444)
        folder.chmod(0o555)
        user = os.geteuid()
        try:
            if user == 0:  # who may write anywhere
                os.seteuid(65534)
            if not os.access(path, os.R_OK, effective_ids=True):
                pytest.skip("the folder for temporary files is closed to others")
            with pytest.raises(InputError, match=r"may only be read\. Ask for the right"):
                ReviewStore(path)
            with pytest.raises(InputError, match=r"you must be allowed to write to it"):
                ReviewStore(folder / "new")
            os.seteuid(user)
            folder.chmod(0o777)
            os.seteuid(65534 if user == 0 else user)
            assert answers(path) == before
            with ReviewStore(path) as reviews, pytest.raises(InputError, match=r"may only be read\. Ask for the right"):
                reviews.record(ONE, "unsure")
        finally:
            os.seteuid(user)
            folder.chmod(0o755)
        assert answers(path) == before


def test_a_full_disk_is_said_and_the_labels_before_stay(path):
    resource = pytest.importorskip("resource")
    before = answers(filled(path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"recorded before are not lost; try again"), ReviewStore(path) as reviews:
            reviews.record(THREE, "unsure")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert answers(path) == before


def test_a_closed_store_is_no_damaged_file(path):
    reviews = ReviewStore(path)
    reviews.close()
    reviews.close()
    with pytest.raises(sqlite3.ProgrammingError):
        reviews.labels()


# Several at once


def test_of_several_that_find_no_file_each_gets_the_same_one(tmp_path):
    start = threading.Barrier(8)

    def label(path, number):
        start.wait()
        with unflushed(path) as reviews:
            reviews.record(f"{number:032x}", "unsure")

    for attempt in range(5):
        path = tmp_path / f"{attempt}"
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(label, [path] * 8, range(8)))
        assert len(answers(path)[0]) == 8


def record_all(path, reviewer, first):
    """Label pairs for ever, or to number 14, and print a line when each is recorded."""
    with ReviewStore(path) as reviews:
        for number in range(first, first + 2000 if reviewer == "killed" else 15):
            reviews.record(f"{number:032x}", "duplicate", reviewer)
            os.write(1, f"{number}\n".encode())


def start_recording(path, reviewer, first=0):
    script = (
        "import os\nfrom dupdetect.review import ReviewStore\n"
        f"{inspect.getsource(record_all)}\nrecord_all({str(path)!r}, {reviewer!r}, {first})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)


def test_several_processes_at_once(path):
    """Each makes the file if it is the first; none disturbs another, and nobody's label is lost."""
    names = ["ana", "bo", "cy"]
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(start_recording(path, name)) for name in names]
        assert processes[0].stdout.readline() == b"0\n"
        with ReviewStore(path) as reviews:
            while processes[0].poll() is None:
                reviews.record(ONE, "unsure", "here")
                assert reviews.undo("here") == ONE
        assert [process.wait() for process in processes] == [0, 0, 0]
    with ReviewStore(path) as reviews:
        assert [len(reviews.labels_by(name)) for name in names] == [15, 15, 15]
        assert set(reviews.labels().values()) == {"duplicate"}
        assert reviews.labels_by("here") == {}


def test_a_process_that_is_killed_at_any_moment_leaves_every_label_that_it_has_recorded(path, tmp_path):
    chance, recorded = random.Random(1), 0
    for attempt in range(3):
        with start_recording(path, "killed", recorded) as process:
            for _ in range(chance.randrange(1, 20)):
                last = int(process.stdout.readline())
            time.sleep(chance.uniform(0, 0.005))
            process.kill()
            last = int([last, *process.stdout.read().split()][-1])
        alone = shutil.copy(path, tmp_path / f"copy {attempt}")
        with ReviewStore(alone) as copied, ReviewStore(path) as reviews:
            assert len(copied.labels()) > last, "a copy of the file alone has them too"
            labels = reviews.labels()
        assert list(labels) == [f"{number:032x}" for number in range(len(labels))]
        assert last + 1 <= len(labels) <= last + 2
        recorded = len(labels)
