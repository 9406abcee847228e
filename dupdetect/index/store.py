"""`questions.sqlite`: everything about an index but its vectors, in one database.

A transaction reads or writes; nothing else does. So what a reader sees belongs together, and what a writer has begun
is there as a whole or not at all.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dupdetect import sqlite
from dupdetect.errors import ArtifactError, IndexLockedError, InputError

__all__ = ["DATABASE", "IndexStore", "make_store", "now"]

DATABASE = "questions.sqlite"
FORMAT = 1
_APPLICATION = 0x64757078  # at a fixed place in the file: tells it from other SQLite databases
_PATIENCE = 5.0  # seconds to wait for another writer, which adds a question or two in less

_TABLES = """
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL,       -- rises with each change
    next_question INTEGER NOT NULL,
    next_form INTEGER NOT NULL,
    vectors INTEGER NOT NULL,       -- N of the files vectors-N.f32 and so on that count
    slots INTEGER NOT NULL          -- how many of their rows count
);
CREATE TABLE forms (                -- distinct canonical texts
    number INTEGER PRIMARY KEY,
    slot INTEGER NOT NULL UNIQUE,   -- its row in the file of vectors
    form TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,      -- of the form
    company TEXT NOT NULL,          -- forms are compared where this is equal: the words that the encoder does not know
    unknown TEXT NOT NULL,          -- these words as JSON
    truncated INTEGER NOT NULL
);
CREATE INDEX forms_apart ON forms (slot) WHERE company != '';
CREATE TABLE empty_slots (slot INTEGER PRIMARY KEY);
CREATE TABLE questions (
    number INTEGER PRIMARY KEY,     -- in the order in which they were added
    id TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    form INTEGER,                   -- NULL for a blank text
    label TEXT,
    added TEXT NOT NULL
);
CREATE INDEX questions_form ON questions (form, number);
CREATE INDEX questions_label ON questions (form) WHERE label IS NOT NULL;
CREATE TABLE pairs (                -- of forms, at or above the threshold
    smaller INTEGER NOT NULL,
    larger INTEGER NOT NULL,
    similarity REAL NOT NULL,
    PRIMARY KEY (smaller, larger)
) WITHOUT ROWID;
CREATE INDEX pairs_larger ON pairs (larger);
CREATE TABLE told_apart (           -- pairs of texts, whether the index has them at present or not
    key TEXT PRIMARY KEY,
    time TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE merged (               -- pairs of texts that people put together, by the hashes of their forms
    first BLOB NOT NULL,            -- the lower one
    second BLOB NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (first, second)
) WITHOUT ROWID;
CREATE TABLE survivors (            -- texts that people chose to stay
    hash BLOB PRIMARY KEY,          -- of the form
    number INTEGER NOT NULL UNIQUE, -- in the order in which they were chosen
    id TEXT NOT NULL,               -- of the question that was chosen, of those with this text
    time TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO state VALUES (1, 1, 1, 1, 1, 0);
"""


def make_store(folder: Path) -> None:
    """Make the database of an empty index in `folder`."""
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as file:
        file.execute(f"PRAGMA application_id = {_APPLICATION}")
        file.execute(f"PRAGMA user_version = {FORMAT}")
        file.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
        file.executescript(_TABLES)


def now() -> str:
    """Return the time, as the database keeps it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class IndexStore:
    """The database of the index in `folder`; threads may share it.

    Raises ArtifactError for a file that is missing, damaged or of a newer format, InputError for one that may not be
    written to, IndexLockedError where another process goes on writing; every method may.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = (folder / DATABASE).absolute()
        self._idle: list[sqlite3.Connection] = []  # for readers
        self._writer: sqlite3.Connection | None = None
        self._writing = threading.Lock()
        self._guard = threading.Lock()
        self._closed = False
        self._file: tuple[int, int] | None = None  # the one that was opened first
        try:
            with self._explained():
                self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database. A change that another thread is making is finished first."""
        with self._writing, self._guard:
            self._closed = True
            for connection in [*self._idle, *([self._writer] if self._writer else [])]:
                connection.close()
            self._idle, self._writer = [], None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One transaction that sees the index as it is now, whatever is written meanwhile."""
        with self._explained():
            connection = self._take()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone: what the block does is there when it ends, or nothing of it."""
        with self._writing, self._explained():
            if self._closed:
                raise InputError(f"The index {self.folder} has been closed. Open it again.")
            self._check_file()
            if self._path.is_symlink():
                raise ArtifactError(
                    f"{self._path} is a link, and nothing is written to what it stands for. Copy the whole index again."
                )
            if self._writer is None:
                self._writer = self._connect("rw")
            with self._writer:
                self._begin(self._writer)
                try:
                    yield self._writer
                except FileNotFoundError as error:
                    if error.filename is None or Path(error.filename).parent != self.folder:
                        raise
                    raise self.without_vectors() from None  # a reader's may have been replaced meanwhile, but not ours
                self._writer.execute("UPDATE state SET version = version + 1")

    def _begin(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise IndexLockedError(
                f"Another process is adding to or removing from the index {self.folder}, and one at a time may. Wait "
                "until it is done, and try again. Searching goes on meanwhile."
            ) from None

    def _take(self) -> sqlite3.Connection:
        with self._guard:
            if self._closed:
                raise InputError(f"The index {self.folder} has been closed. Open it again.")
            self._check_file()
            if self._idle:
                return self._idle.pop()
        connection = self._connect("ro")
        try:
            self._check_file()  # once more: it is this one that was opened
        except ArtifactError:
            connection.close()
            raise
        return connection

    def _check_file(self) -> None:
        """Raise ArtifactError where another index has been put in the place of the one that was opened: what is known
        of that one, such as its vectors, would be taken for what is known of this."""
        try:
            found = self._path.stat()
        except OSError:
            raise ArtifactError(f"The index {self.folder} lacks {DATABASE}. Copy the whole folder again.") from None
        if self._file is None:
            self._file = found.st_dev, found.st_ino
        elif self._file != (found.st_dev, found.st_ino):
            raise ArtifactError(
                f"The index {self.folder} has been replaced by another since it was opened. Open it again."
            )

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._guard:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode={mode}",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time has it
        )
        if mode == "rw":
            connection.execute("PRAGMA synchronous = FULL")  # what has been added stays when the power fails
            return connection
        try:
            connection.execute("SELECT 1 FROM state")
        except sqlite3.OperationalError:
            connection.close()
            if self._path.with_name(f"{DATABASE}-wal").exists() or not self._path.is_file():
                raise
            # Where nothing may be written, nothing changes either.
            uri = f"{self._path.as_uri()}?mode=ro&immutable=1"
            return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        return connection

    def _check(self) -> None:
        if not self._path.is_file():
            raise ArtifactError(f"The index {self.folder} lacks {DATABASE}. Copy the whole folder again.")
        with self.reading() as connection:
            sqlite.check_kind(connection, _APPLICATION, FORMAT, f"The index {self.folder}", self.damaged())

    def _explained(self) -> AbstractContextManager[None]:
        """Raise what goes wrong with the file as an error that says what to do next."""
        return sqlite.explained(
            f"The index {self.folder}",
            self.damaged(),
            {
                sqlite3.SQLITE_READONLY: "may only be read. Ask for the right to write to it, or copy the folder.",
                sqlite3.SQLITE_CANTOPEN: "cannot be opened. You must be allowed to read the folder and, to add or "
                "remove, to write to it.",
                sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Nothing of the change was kept; make room, and "
                "try again.",
            },
            otherwise="What was added before is not lost; try again.",
        )

    def without_vectors(self) -> ArtifactError:
        """Return the error for an index whose file of vectors is not there."""
        return ArtifactError(f"The index {self.folder} lacks its file of vectors. Copy the whole folder again.")

    def damaged(self) -> ArtifactError:
        """Return the error for a file that is not what it should be."""
        return ArtifactError(
            f"{self._path} is no database of an index, or a damaged one. Copy the whole index again, or make it anew."
        )
