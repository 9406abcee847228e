"""Vectors kept in a file: the same rows with it as without it, whatever happens to the file."""

import contextlib
import copy
import csv
import importlib.metadata
import inspect
import os
import pickle
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import HashingEncoder

from dupdetect import Detector
from dupdetect.cli import main
from dupdetect.encoder import Encoder, LimitedVocabulary, cache
from dupdetect.encoder.cache import CachedEncoder, cached_texts
from dupdetect.errors import ArtifactError, InputError
from dupdetect.results import OUTPUT_FILES

TEXTS = [f"how do i change setting {number} of my account" for number in range(50)]


class Angles:
    """Unit rows of two columns, fast, and without importing anything of the tests."""

    fingerprint, dimension = "test:angles", 2

    def encode(self, texts, *, progress=None):
        if progress:
            progress(len(texts))
        angles = np.array([zlib.crc32(text.encode()) for text in texts], dtype=np.float64)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


class Spelling(HashingEncoder):
    """Knows no word with a digit in it."""

    def unknown_words(self, texts):
        return [tuple(sorted({word for word in text.split() if not word.isalpha()})) for text in texts]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "vectors.sqlite"


def rows_of(texts):
    return HashingEncoder().encode(texts)


def opened(path, encoder=None):
    """Return a cached encoder, and the list of the texts that it asks its encoder for from now on."""
    cached = CachedEncoder(encoder or HashingEncoder(), path)
    cached.encoder.encoded.clear()
    return cached, cached.encoder.encoded


def filled(path, texts=TEXTS):
    """Fill a cache, and return its path."""
    CachedEncoder(HashingEncoder(), path).encode(texts)
    return path


# The same rows, and only new texts encoded


def test_the_second_time_nothing_is_encoded_and_the_rows_are_the_same_to_the_bit(path):
    for expected in (TEXTS, []):
        cached, asked = opened(path)
        rows = cached.encode(TEXTS)
        assert rows.dtype == np.float32
        assert rows.tobytes() == rows_of(TEXTS).tobytes()
        assert asked == expected


def test_of_a_grown_list_only_the_new_texts_are_encoded(path):
    filled(path)
    cached, asked = opened(path)
    grown = ["one before", *TEXTS[::-1], "one after"]
    assert cached.encode(grown).tobytes() == rows_of(grown).tobytes()
    assert asked == ["one before", "one after"]
    assert (cached.use.cached, cached.use.encoded, cached.use.added) == (50, 2, 2)
    assert cached.summary() == f"Texts from the cache {path}: 50 of 52. Encoded and added to it: 2."


def test_texts_are_encoded_in_portions_and_progress_counts_every_one(path, monkeypatch):
    monkeypatch.setattr(cache, "_TEXTS_PER_PORTION", 7)
    filled(path, TEXTS[::2])
    counts = []
    cached, _ = opened(path)
    assert cached.encode(TEXTS, progress=counts.append).tobytes() == rows_of(TEXTS).tobytes()
    assert sum(counts) == len(TEXTS)


def test_an_interrupted_run_keeps_what_it_has_encoded(path, monkeypatch):
    monkeypatch.setattr(cache, "_TEXTS_PER_PORTION", 10)

    class Interrupted(HashingEncoder):
        def encode(self, texts, *, progress=None):
            if TEXTS[34] in texts:
                raise KeyboardInterrupt
            return super().encode(texts, progress=progress)

    with pytest.raises(KeyboardInterrupt):
        CachedEncoder(Interrupted(), path).encode(TEXTS)
    cached, asked = opened(path)
    cached.encode(TEXTS)
    assert asked == TEXTS[30:]


def test_no_texts_and_repeated_texts_and_half_a_surrogate_pair(path):
    cached, asked = opened(path)
    assert cached.encode([]).shape == (0, cached.dimension)
    odd = ["a\ud800b", "a\udfffb", "", "a\ud800b"]
    assert cached.encode(odd).tobytes() == rows_of(odd).tobytes()
    asked.clear()
    assert cached.encode(odd).tobytes() == rows_of(odd).tobytes()
    assert asked == []
    with pytest.raises(TypeError, match="not one string"):
        cached.encode("a b")


def test_the_file_holds_no_text(path):
    content = filled(path).read_bytes()
    assert b"setting" not in content
    assert path.parent.joinpath("vectors.sqlite-journal").exists() is False


# What a row depends on


def test_encoders_that_share_a_file_do_not_share_rows(path):
    other = type("Other", (HashingEncoder,), {"fingerprint": "test:other"})
    filled(path)
    for first in (TEXTS, []):
        cached, asked = opened(path, other())
        cached.encode(TEXTS)
        assert asked == first
    assert opened(path)[0].encode(TEXTS).tobytes() == rows_of(TEXTS).tobytes()


def test_the_versions_are_those_that_are_installed():
    found = cache._versions()
    assert found["onnxruntime"] == importlib.metadata.version("onnxruntime")
    assert found["numpy"] == np.__version__


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setattr(cache, "_versions", lambda: {"onnxruntime": "0.0"}),
        lambda patch: patch.setattr(cache, "_processor", lambda: "another"),
        lambda patch: patch.setattr(cache, "__version__", "0.0"),
        lambda patch: patch.setattr("conftest.HashingEncoder.encode", _rounded_otherwise),
    ],
)
def test_where_rows_could_be_others_all_are_encoded_anew(path, monkeypatch, change):
    filled(path)
    change(monkeypatch)
    cached, asked = opened(path)
    cached.encode(TEXTS)
    assert cached.use.cached == 0
    monkeypatch.undo()
    cached, asked = opened(path)
    assert cached.encode(TEXTS).tobytes() == rows_of(TEXTS).tobytes()
    assert asked == [], "the old rows are still there"


_encode = HashingEncoder.encode


def _rounded_otherwise(self, texts, *, progress=None):
    return np.nextafter(_encode(self, texts, progress=progress), np.float32(2))


def test_what_is_no_unit_row_is_not_kept(path):
    for spoil in (lambda rows: rows * 7, lambda rows: rows[:-1], lambda rows: rows[:, 0], lambda rows: rows * np.nan):

        class Spoilt(HashingEncoder):
            def encode(self, texts, *, progress=None, spoil=spoil):
                return spoil(super().encode(texts, progress=progress))

        with pytest.raises(InputError, match="Correct its encode"):
            CachedEncoder(Spoilt(), path).encode(TEXTS)
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM vectors").fetchone() == (0,)


# The wrapper is what it wraps


def test_it_is_the_encoder_that_it_wraps(path):
    for encoder in (HashingEncoder(), Spelling()):
        cached = CachedEncoder(encoder, path)
        assert isinstance(cached, Encoder)
        assert (cached.fingerprint, cached.dimension) == (encoder.fingerprint, encoder.dimension)
        assert cached.truncated(["a " * 51, "a"]).tolist() == [True, False]
        assert isinstance(cached, LimitedVocabulary) == isinstance(encoder, LimitedVocabulary)
    assert cached.unknown_words(["error 403"]) == [("403",)]


def test_a_detector_with_a_cache_decides_the_same_and_counts(path, detector):
    questions = [*TEXTS, TEXTS[0].upper(), "", "how do i change the setting of my account 3"]
    plain = detector.deduplicate(questions)
    assert (plain.run["encoded_texts"], plain.run["cached_texts"]) == (51, 0)
    detector.cached(path).deduplicate(TEXTS)
    cached = detector.cached(path)
    for counts in ((1, 50), (0, 51)):
        result = cached.deduplicate(questions)
        assert (result.run["encoded_texts"], result.run["cached_texts"]) == counts
        assert result.duplicate_of.tolist() == plain.duplicate_of.tolist()
        assert result.similarity.tobytes() == plain.similarity.tobytes()
    assert cached.deduplicate([""]).run["cached_texts"] == 0
    assert cached_texts(cached.at(threshold=0.9).encoder) == 101
    again = cached.cached(path.with_name("another")).encoder
    assert isinstance(again.encoder, HashingEncoder), "a cache in place of the other, not around it"


def test_each_thread_counts_for_itself(path, detector):
    cached, runs = detector.cached(filled(path)), []
    threads = [threading.Thread(target=lambda: runs.append(cached.deduplicate(TEXTS).run)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(run["encoded_texts"], run["cached_texts"]) for run in runs] == [(0, 50)] * 4


def test_a_detector_with_a_cache_is_copied_sent_and_saved(path, detector, tmp_path):
    cached = detector.cached(filled(path))
    for other in (copy.deepcopy(cached), pickle.loads(pickle.dumps(cached))):  # noqa: S301 - our own bytes
        assert other.deduplicate(TEXTS).run["cached_texts"] == 50
        assert cached_texts(cached.encoder) == 0
    with pytest.raises(ArtifactError, match="HashingEncoder cannot be saved"):
        cached.save_pretrained(tmp_path / "saved")


# Files that are no cache, or damaged


def _foreign(path):
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB, checksum BLOB)")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("id,question\n" * 1000),
        lambda path: path.write_text("short"),
        lambda path: path.write_bytes(bytes(8192)),
        lambda path: path.write_bytes(filled(path).read_bytes()[:9000]),
        _foreign,
    ],
)
def test_what_is_no_cache_is_refused_and_left_alone(path, make):
    make(path)
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match=r"is no cache of vectors, or a damaged one\. Name another file"):
        CachedEncoder(HashingEncoder(), path).encode(TEXTS)
    assert path.read_bytes() == before


def test_a_newer_format_asks_for_an_update(path):
    with contextlib.closing(sqlite3.connect(filled(path))) as file:
        file.execute(f"PRAGMA user_version = {cache.FORMAT + 1}")
    with pytest.raises(ArtifactError, match=r"has format 2; dupdetect .* reads up to 1. Update it"):
        CachedEncoder(HashingEncoder(), path)


@pytest.mark.parametrize("name", ["", "no/such/folder/c", ".", "x" * 300])
def test_a_file_that_cannot_be_made(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"cannot be opened or made\. Name a file, in a folder that is there"):
        CachedEncoder(HashingEncoder(), name)


def test_every_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert filled(Path(":memory:")).is_file()


def test_damage_is_an_error_or_does_no_harm(path, tmp_path):
    """Bytes changed anywhere, or cut off: never other rows, never another error."""
    CachedEncoder(Angles(), path).encode(TEXTS)
    good, chance, refusals, damaged = path.read_bytes(), random.Random(0), [], tmp_path / "damaged"
    for place in [*range(0, 100, 3), *(chance.randrange(len(good)) for _ in range(60))]:
        content = bytearray(good)
        content[place : place + chance.choice([1, 1, 500])] = chance.randbytes(1)
        damaged.write_bytes(content)
        try:
            assert CachedEncoder(Angles(), damaged).encode(TEXTS).tobytes() == Angles().encode(TEXTS).tobytes()
        except ArtifactError as error:
            refusals.append(str(error))
    assert 20 < len(refusals) < 90
    assert "\n" not in "".join(refusals)


def test_a_row_under_the_key_of_another_is_damage(path):
    with contextlib.closing(sqlite3.connect(filled(path))) as file, file:
        file.execute("UPDATE vectors SET vector = (SELECT vector FROM vectors ORDER BY rowid LIMIT 1)")
    with pytest.raises(ArtifactError, match=r"is damaged\. Delete it; the next run makes it anew"):
        opened(path)[0].encode(TEXTS)
    path.unlink()
    assert opened(path)[0].encode(TEXTS).tobytes() == rows_of(TEXTS).tobytes()


# What goes wrong while rows are added costs no result


def check_not_added(path, reason):
    """The run gives every row, says why it added nothing, and the file stays what it was."""
    cached, asked = opened(path)
    grown = [*TEXTS, "one more"]
    assert cached.encode(grown).tobytes() == rows_of(grown).tobytes()
    assert asked == ["one more"]
    assert f"Encoded: 1, of which 0 could be added to it ({reason})" in cached.summary()
    assert "the next run encodes the others again" in cached.summary()


def test_a_file_that_is_locked(path, monkeypatch):
    monkeypatch.setattr(cache, "_PATIENCE", 0.05)
    filled(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # another process is about to write
        check_not_added(path, "database is locked")
        other.execute("COMMIT")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ArtifactError, match=r"has been locked for 0 s by another process\. Wait for that"):
            CachedEncoder(HashingEncoder(), path)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the permissions of Unix")
def test_a_file_that_may_only_be_read_is_read():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = filled(folder / "vectors.sqlite")
        path.chmod(0o444)
        folder.chmod(0o555)
        user = os.geteuid()
        try:
            if user == 0:  # who may write anywhere
                os.seteuid(65534)
            if not os.access(path, os.R_OK, effective_ids=True):
                pytest.skip("the folder for temporary files is closed to others")
            check_not_added(path, "attempt to write a readonly database")
            with pytest.raises(ArtifactError, match="cannot be opened or made"):
                CachedEncoder(HashingEncoder(), folder / "new")
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_a_full_disk(path, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(cache, "_TEXTS_PER_PORTION", 100)
    many = [f"text number {number}" for number in range(1000)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        cached, _ = opened(path)
        rows = cached.encode(many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert rows.tobytes() == rows_of(many).tobytes()
    assert 0 < cached.use.added < 1000
    assert f"of which {cached.use.added} could be added to it (disk I/O error)" in cached.summary()
    kept = cached.use.added
    cached, asked = opened(path)
    assert cached.encode(many).tobytes() == rows_of(many).tobytes()
    assert asked == many[kept:]


# Several processes


def numbered(first, last):
    return [f"text number {number}" for number in range(first, last)]


def add_numbered(path, first, last):
    """Add texts in portions of five, and print a line before each portion that is added."""
    cache._TEXTS_PER_PORTION = 5
    cached = CachedEncoder(Angles(), path)
    cached.encode(numbered(first, last), progress=lambda count: os.write(1, b"portion\n" * (count > 0)))
    assert cached.use.problem == ""


def start_adding(path, first, last):
    """Start a process that adds the texts numbered `first` to `last`."""
    script = (
        "import os, zlib\nimport numpy as np\n"
        "from dupdetect.encoder import cache\nfrom dupdetect.encoder.cache import CachedEncoder\n"
        + "\n".join(map(inspect.getsource, (Angles, numbered, add_numbered)))
        + f"\nadd_numbered({str(path)!r}, {first}, {last})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)


def missing_of(path, texts):
    """Return which texts the file does not have; those that it has must have the right rows."""
    asked = []

    class Asked(Angles):
        def encode(self, texts, *, progress=None):
            asked.extend(texts)
            return super().encode(texts, progress=progress)

    cached = CachedEncoder(Asked(), path)
    asked.clear()
    assert cached.encode(texts).tobytes() == Angles().encode(texts).tobytes()
    return asked


def test_two_processes_at_once(path):
    with start_adding(path, 0, 150) as one, start_adding(path, 100, 250) as another:
        for process in (one, another):
            assert process.stdout.readline() == b"portion\n"
        missing_of(path, numbered(240, 260))  # at least once: they can be done by now
        while one.poll() is None:
            missing_of(path, numbered(240, 260))
        assert [one.wait(), another.wait()] == [0, 0]
    assert missing_of(path, numbered(0, 260)) == []


def test_a_process_that_is_killed_at_any_moment_leaves_whole_portions(path):
    chance, before = random.Random(1), 0
    for _ in range(4):
        portions = chance.randrange(2, 20)
        with start_adding(path, before, 2000) as process:
            for _ in range(portions):
                assert process.stdout.readline() == b"portion\n"
            time.sleep(chance.uniform(0, 0.01))
            process.kill()
        with contextlib.closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            kept = file.execute("SELECT count(*) FROM vectors").fetchone()[0]
        assert kept % 5 == 0
        assert kept >= before + 5 * (portions - 1)
        assert missing_of(path, numbered(0, kept)) == []
        before = kept


# The command line


def write(path, questions):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "question"], *enumerate(questions, 1)])
    return str(path)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.fixture
def loaded(monkeypatch, detector):
    """The command line with a detector that takes no time to load."""
    monkeypatch.setattr(Detector, "from_pretrained", lambda _, **options: detector)


@pytest.mark.usefixtures("loaded")
def test_the_verbs_say_what_came_from_the_cache_and_write_the_same(capsys, tmp_path, path):
    tonight = ["How do I pay?", "how do I pay now", "Where is my parcel?", "HOW DO I PAY", "", "Can I pay by card?"]
    last_night = write(tmp_path / "last.csv", tonight[:3])
    export = write(tmp_path / "tonight.csv", tonight)
    assert run(capsys, "dedupe", export, "-o", tmp_path / "plain")[0] == 0
    code, _, err = run(capsys, "dedupe", last_night, "--cache", path)
    assert code == 0
    assert f"Note: Texts from the cache {path}: 0 of 3. Encoded and added to it: 3." in err
    code, out, err = run(capsys, "dedupe", export, "--cache", path, "-o", tmp_path / "cached", "--json")
    assert code == 0
    assert f"Note: Texts from the cache {path}: 3 of 4. Encoded and added to it: 1." in err
    for record in (out, (tmp_path / "cached" / "run.json").read_text()):
        assert '"encoded_texts": 1,\n  "cached_texts": 3,' in record
    for name in set(OUTPUT_FILES) - {"run.json"}:
        cached = (tmp_path / "cached" / name).read_bytes().replace(b"/cached", b"/plain")  # the report names its folder
        assert cached == (tmp_path / "plain" / name).read_bytes()
    for verb in (
        ("match", export, "--against", last_night),
        ("score", export, "--left", "question", "--right", "question"),
    ):
        code, out, err = run(capsys, *verb, "--cache", path)
        assert code == 0
        assert f"Texts from the cache {path}: 4 of 4. Encoded and added to it: 0." in err
        _, plain, err = run(capsys, *verb)
        assert out == plain
        assert "Texts from the cache" not in err


@pytest.mark.usefixtures("loaded")
def test_nothing_is_cached_unless_asked_for(capsys, tmp_path):
    export = write(tmp_path / "e.csv", TEXTS)
    assert run(capsys, "dedupe", export, "-o", tmp_path / "out")[0] == 0
    assert sorted(child.name for child in tmp_path.iterdir()) == ["e.csv", "out"]


@pytest.mark.usefixtures("loaded")
def test_the_export_is_not_taken_for_a_cache_and_a_cache_in_the_output_is_not_replaced(capsys, tmp_path):
    export = write(tmp_path / "e.csv", TEXTS)
    before = Path(export).read_bytes()
    code, out, err = run(capsys, "match", export, "--against", export, "--cache", export)
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: {export} is no cache of vectors, or a damaged one.")
    assert len(err.splitlines()) == 1
    assert Path(export).read_bytes() == before
    (tmp_path / "out").mkdir()
    inside = filled(tmp_path / "out" / "vectors.sqlite")
    code, _, err = run(capsys, "dedupe", export, "-o", tmp_path / "out", "--overwrite", "--cache", inside)
    assert code == 1
    assert f"{inside} lies in the output" in err


def test_the_shipped_detector_takes_its_vectors_from_the_cache_and_is_saved_without_it(path, tmp_path):
    detector = Detector.from_pretrained()
    questions = [
        "How do I pay?",
        "how can i pay",
        "Where is my parcel?",
        "in 中文 words",
        "What does this cost? " * 100,
    ]
    plain, cached = detector.deduplicate(questions), detector.cached(path)
    for again in (cached, detector.cached(path)):
        result = again.deduplicate(questions)
        assert result.similarity.tobytes() == plain.similarity.tobytes()
        assert result.notes == plain.notes
    assert result.run["cached_texts"] == len(questions)
    loaded = Detector.from_pretrained(cached.save_pretrained(tmp_path / "saved"))
    assert type(loaded.encoder) is type(detector.encoder)
