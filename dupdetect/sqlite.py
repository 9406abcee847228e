"""SQLite files of our own kinds: told from others, made where there is none, and trouble with them in plain words.

A kind of file is told by two numbers at fixed places in it: `application`, and `version`, which is its format.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dupdetect._version import __version__
from dupdetect.errors import ArtifactError, InputError

__all__ = ["TROUBLE", "check_kind", "explained", "prepare"]

TROUBLE = (sqlite3.Error, UnicodeDecodeError)
"""What goes wrong with a file. SQLite's messages may quote it, and Python reads them as UTF-8."""
_DAMAGE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_MISMATCH})


@contextmanager
def explained(
    name: str,
    damaged: ArtifactError,
    said: Mapping[int, str],
    otherwise: str,
    error_class: type[ArtifactError | InputError] = InputError,
) -> Iterator[None]:
    """Raise what goes wrong with a file in the block as an error that says what to do next.

    name: begins the sentence.  damaged: raised for a file that is something else, or damaged.  said: by the result code
    of SQLite, how the sentence of an `error_class` goes on.  otherwise: for all other codes, what to do.
    """
    try:
        yield
    except sqlite3.ProgrammingError:  # closed, or used by another thread: nothing is wrong with the file
        raise
    except TROUBLE as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the upper bits only go into detail
        if code in _DAMAGE:
            raise damaged from None
        raise error_class(f"{name} {said.get(code, f'cannot be used: {error}. {otherwise}')}") from None


def check_kind(file: sqlite3.Connection, application: int, version: int, name: str, damaged: ArtifactError) -> None:
    """Raise `damaged` for a file of another application or an older format, ArtifactError for a newer format."""
    found, found_version = _first(file, "PRAGMA application_id"), _first(file, "PRAGMA user_version")
    if found != application or found_version < version:
        raise damaged
    if found_version > version:
        raise ArtifactError(
            f"{name} has format {found_version}; dupdetect {__version__} reads up to {version}. "
            "Update it: pip install --upgrade dupdetect"
        )


def prepare(
    file: sqlite3.Connection, application: int, version: int, table: str, name: str, damaged: ArtifactError
) -> None:
    """Make the table in a file that is new; otherwise `check_kind`.

    table: the statement that makes it, if it is not there: another process may be making it too.
    """
    with file:  # one transaction, since another process may be making the table
        file.execute("BEGIN")
        new = not any(_first(file, f"PRAGMA {number}") for number in ("application_id", "user_version"))
        new = new and _first(file, "SELECT count(*) FROM sqlite_master") == 0
    if not new:
        check_kind(file, application, version, name, damaged)
        return
    with file:
        file.execute("BEGIN IMMEDIATE")
        file.execute(table)
        file.execute(f"PRAGMA application_id = {application}")
        file.execute(f"PRAGMA user_version = {version}")


def _first(file: sqlite3.Connection, question: str) -> int:
    return int(file.execute(question).fetchone()[0])
