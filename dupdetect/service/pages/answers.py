"""What visitors of the ask page answer: "yes, that is my question", or "none of these".

The answers are in one SQLite file beside the folder of the index, INDEX.answers.sqlite. They are no part of the index:
nothing that it finds depends on them, a visitor need not be allowed to write to it, and an answer neither waits for its
writer nor makes its readers load anything again.

The file holds what was asked, as it was typed: keep it as you keep the index. Its one table, `answers`:

    token       by which the visitor may take the answer back
    time        UTC, ISO 8601
    asked       the text
    id, text    of the known question that is the same; NULL where it was none of those shown
    shown       ids of the known questions that were shown, best first, as JSON
    taken_back  when the visitor took it back, NULL where it counts
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dupdetect import sqlite
from dupdetect.errors import ArtifactError

__all__ = ["Answer", "AnswerStore", "Counts", "answers_beside"]

FORMAT = 1
_APPLICATION = 0x64757061  # at a fixed place in the file: tells it from other SQLite databases
_PATIENCE = 5.0  # seconds to wait for another process, which holds the file for milliseconds
_TABLE = (
    "CREATE TABLE IF NOT EXISTS answers (token TEXT PRIMARY KEY, time TEXT NOT NULL, asked TEXT NOT NULL, id TEXT, "
    "text TEXT, shown TEXT NOT NULL, taken_back TEXT)"
)


def answers_beside(folder: str | Path) -> Path:
    """Return the file of answers for an index."""
    there = Path(os.path.realpath(folder))
    return there.with_name(f"{there.name}.answers.sqlite")


@dataclass(frozen=True, slots=True)
class Answer:
    """id, text: of the known question that is the one asked; None where none is.  taken_back: it does not count."""

    asked: str
    id: str | None
    text: str | None
    taken_back: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Answers that count. found: "yes, that is my question".  none: "none of these"."""

    found: int
    none: int


class AnswerStore:
    """The answers in the file `path`, which is made for the first of them. Any number of threads and processes may use
    it at once; each call is one transaction.

    Every method raises ArtifactError for a file that is something else, damaged, or of a newer format, and InputError
    for one that cannot be made or written to, or is locked for long.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, asked: str, known: tuple[str, str] | None, shown: Sequence[str]) -> str:
        """Keep an answer; return its token.

        known: id and text of the question that is the one asked, None where none of those shown is.  shown: their ids.
        """
        token = secrets.token_urlsafe(16)
        name, text = (None, None) if known is None else known
        values = (token, _now(), asked, name, text, json.dumps(list(shown)))
        with self._open() as file:
            file.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, NULL)", values)
        return token

    def take_back(self, token: str) -> bool:
        """Let an answer count no longer; return whether it did."""
        if not self.path.is_file():
            return False
        with self._open() as file:
            changed = file.execute(
                "UPDATE answers SET taken_back = ? WHERE token = ? AND taken_back IS NULL", (_now(), token)
            )
            return changed.rowcount > 0

    def get(self, token: str) -> Answer | None:
        if not self.path.is_file():
            return None
        with self._open() as file:
            row = file.execute("SELECT asked, id, text, taken_back FROM answers WHERE token = ?", (token,)).fetchone()
        return None if row is None else Answer(row[0], row[1], row[2], row[3] is not None)

    def counts(self) -> Counts:
        if not self.path.is_file():
            return Counts(0, 0)
        with self._open() as file:
            return Counts(
                *file.execute("SELECT count(id), count(*) - count(id) FROM answers WHERE taken_back IS NULL").fetchone()
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction; what goes wrong with the file is raised as an error that says what to do next."""
        name = f"The file of answers {self.path}"
        forbidden = "cannot be made or written to. Ask for the right to write to its folder."
        said = {
            sqlite3.SQLITE_BUSY: f"has been locked for {_PATIENCE:.0f} s by another process. Wait for that, and try "
            "again.",
            sqlite3.SQLITE_READONLY: forbidden,
            sqlite3.SQLITE_CANTOPEN: forbidden,
        }
        otherwise = "Answers that were recorded before are not lost; try again."
        with (
            sqlite.explained(name, self._damaged(), said, otherwise),
            closing(sqlite3.connect(self.path.absolute(), timeout=_PATIENCE)) as file,
        ):
            sqlite.prepare(file, _APPLICATION, FORMAT, _TABLE, name, self._damaged())
            with file:
                yield file

    def _damaged(self) -> ArtifactError:
        return ArtifactError(
            f"{self.path} is no file of answers, or a damaged one. Move it elsewhere; without it, counting starts anew."
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
