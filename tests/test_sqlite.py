"""Files of our own kinds in SQLite: made once, told from others, and trouble with them in words of ours."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from dupdetect.errors import ArtifactError, InputError
from dupdetect.sqlite import check_kind, explained, prepare

APPLICATION = 0x11223344
TABLE = "CREATE TABLE IF NOT EXISTS things (name TEXT)"
DAMAGED = ArtifactError("x is no file of things.")


def open_prepared(path, version=1, timeout=0):
    file = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        prepare(file, APPLICATION, version, TABLE, "The things in x", DAMAGED)
    except BaseException:
        file.close()
        raise
    return file


def test_a_new_file_is_made_once_and_keeps_what_is_in_it(tmp_path):
    for name in ("a", "b"):
        with closing(open_prepared(tmp_path / "x")) as file:
            file.execute("INSERT INTO things VALUES (?)", (name,))
    with closing(open_prepared(tmp_path / "x")) as file:
        assert file.execute("SELECT name FROM things").fetchall() == [("a",), ("b",)]


def test_several_that_make_it_at_once_make_one(tmp_path):
    start = threading.Barrier(8)

    def add(name):
        start.wait()
        with closing(open_prepared(tmp_path / "x", timeout=30)) as file:
            file.execute("INSERT INTO things VALUES (?)", (name,))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, "abcdefgh"))
    with closing(open_prepared(tmp_path / "x")) as file:
        assert {name for (name,) in file.execute("SELECT name FROM things")} == set("abcdefgh")


@pytest.mark.parametrize(("application", "version"), [(APPLICATION + 1, 1), (0, 1), (APPLICATION, 0)])
def test_another_application_or_an_older_format_is_refused(tmp_path, application, version):
    with closing(open_prepared(tmp_path / "x")) as file:
        file.execute(f"PRAGMA application_id = {application}")
        file.execute(f"PRAGMA user_version = {version}")
        with pytest.raises(ArtifactError, match="no file of things"):
            check_kind(file, APPLICATION, 1, "The things in x", DAMAGED)
    with pytest.raises(ArtifactError, match="no file of things"):
        open_prepared(tmp_path / "x")


def test_a_newer_format_says_to_update(tmp_path):
    open_prepared(tmp_path / "x", version=3).close()
    with pytest.raises(ArtifactError, match=r"The things in x has format 3; dupdetect .* reads up to 2\. Update it"):
        open_prepared(tmp_path / "x", version=2)


def failing(path, code):
    """Make SQLite fail with this result code."""
    if code == sqlite3.SQLITE_CANTOPEN:
        sqlite3.connect(path / "nowhere" / "x")
    file = open_prepared(path / "x")
    with closing(file):
        if code == sqlite3.SQLITE_FULL:
            file.execute("PRAGMA max_page_count = 1")
            file.execute("INSERT INTO things VALUES (?)", ("a" * 100_000,))
        if code == sqlite3.SQLITE_READONLY:
            file.execute("PRAGMA query_only = 1")
            file.execute("INSERT INTO things VALUES ('a')")
        if code == sqlite3.SQLITE_BUSY:
            with closing(sqlite3.connect(path / "x", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                file.execute("BEGIN IMMEDIATE")
        if code == sqlite3.SQLITE_CONSTRAINT:
            file.execute("CREATE UNIQUE INDEX once ON things (name)")
            file.executemany("INSERT INTO things VALUES (?)", [("a",), ("a",)])
        if code == sqlite3.SQLITE_NOTADB:
            (path / "y").write_bytes(b"no database " * 100)
            with closing(sqlite3.connect(path / "y")) as other:
                other.execute("SELECT * FROM sqlite_master")
        if code == sqlite3.SQLITE_ERROR:
            file.execute("SELECT * FROM others")


NAMES = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_BUSY", "SQLITE_CANTOPEN")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [InputError, ArtifactError])
def test_trouble_that_has_words_is_told_in_them(tmp_path, name, kind):
    said = {getattr(sqlite3, other): f"is {other}." for other in NAMES}
    with pytest.raises(kind) as caught, explained("The file x", DAMAGED, said, "Try again.", kind):
        failing(tmp_path, getattr(sqlite3, name))
    assert str(caught.value) == f"The file x is {name}."
    assert isinstance(caught.value.__context__, sqlite3.Error)  # the service tells trouble from what was asked wrongly


def test_other_trouble_is_told_in_the_words_of_sqlite(tmp_path):
    with pytest.raises(InputError) as caught, explained("The file x", DAMAGED, {}, "Try again."):
        failing(tmp_path, sqlite3.SQLITE_CONSTRAINT)
    assert str(caught.value) == "The file x cannot be used: UNIQUE constraint failed: things.name. Try again."


@pytest.mark.parametrize("name", ["SQLITE_NOTADB", "SQLITE_ERROR"])
def test_damage_is_told_as_such(tmp_path, name):
    with pytest.raises(ArtifactError, match="no file of things"), explained("The file x", DAMAGED, {}, "Try again."):
        failing(tmp_path, getattr(sqlite3, name))


def test_what_is_wrong_with_the_program_stays_what_it_is(tmp_path):
    file = open_prepared(tmp_path / "x")
    file.close()
    with pytest.raises(sqlite3.ProgrammingError), explained("The file x", DAMAGED, {}, "Try again."):
        file.execute("SELECT * FROM things")
    with pytest.raises(InputError, match="mine"), explained("The file x", DAMAGED, {}, "Try again."):
        raise InputError("mine")
