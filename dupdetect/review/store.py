"""The labels of reviewers, kept in one file that nothing is ever deleted from.

The file is an SQLite database with a list of events: a reviewer gave a pair a label, or took one back. What counts is
worked out from the list: the latest label of each reviewer that was not taken back. So a label given by mistake, the
reviewer's second thoughts and the time of each stay on record.

The file also knows how many certificates were asked for: each answer is a look at the labels, and all of them share the
error that one is allowed (`dupdetect.review.certified`).

A pair is named by its key (`dupdetect.review.candidates.pair_key`), which depends on its two texts alone: labels
outlive the export that they were given for. The file holds no text.

Any number of processes may use a file at once, and each may be killed at any moment: a label that `record` has returned
from is there. It is in the file itself too, not only in the one beside it (`-wal`) that SQLite may leave then, so that
a copy of the file is complete. Each event has a checksum: a label is read as it was given, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, cast, get_args

from dupdetect import sqlite
from dupdetect.errors import ArtifactError, InputError
from dupdetect.text import without_halves

__all__ = ["LABELS", "Label", "ReviewStore", "labels_beside"]

Label = Literal["duplicate", "different", "unsure"]
LABELS: tuple[Label, ...] = get_args(Label)

FORMAT = 1
_APPLICATION = 0x64757072  # at a fixed place in the file: tells it from other SQLite databases
_PATIENCE = 30.0  # seconds to wait for another process, which holds the file for milliseconds
_TABLE = (
    "CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, time TEXT NOT NULL, reviewer TEXT NOT NULL, "
    "key TEXT NOT NULL, label TEXT NOT NULL, takes_back INTEGER, checksum BLOB NOT NULL)"
)
_REQUESTS = (
    "CREATE TABLE IF NOT EXISTS requests (number INTEGER PRIMARY KEY, time TEXT NOT NULL, digest TEXT NOT NULL UNIQUE)"
)


def labels_beside(folder: str | Path) -> Path:
    """Return the file of labels for a folder that `dupdetect dedupe` writes: beside it, as it may be written anew."""
    there = Path(os.path.realpath(folder))
    return there.with_name(f"{there.name}.reviews.sqlite")


@dataclass(frozen=True, slots=True)
class _Event:
    """A row of the file: a label was given to the pair `key`, or the event number `takes_back`, which did, undone."""

    number: int
    time: str
    reviewer: str
    key: str
    label: str
    takes_back: int | None

    def cells(self) -> tuple[int, str, str, str, str, int | None]:
        return self.number, self.time, self.reviewer, self.key, self.label, self.takes_back

    def checksum(self) -> bytes:
        # A damaged file may call a text a blob, which JSON knows nothing of.
        return hashlib.sha256(json.dumps(self.cells(), default=repr).encode()).digest()


class ReviewStore:
    """The labels in the file `path`, which is made if it is not there. Use it in a `with`, or close it.

    Raises ArtifactError for a file that is no store of labels, damaged, or of a newer format, and InputError for one
    that cannot be opened, made or written to, or is locked for long; every method may.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._explained():
            # Absolute, since SQLite takes some names for no file at all.
            self._file = sqlite3.connect(self.path.absolute(), timeout=_PATIENCE, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> ReviewStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def record(self, key: str, label: str, reviewer: str = "") -> None:
        """Give the pair `key` a label of `LABELS`; an earlier one by the same reviewer no longer counts.

        reviewer: a name, of which white space at either end is no part.  Raises InputError for any other label.
        """
        if label not in LABELS:
            raise InputError(f"The label {label!r} is not one of {', '.join(LABELS)}.")
        with self._writing():
            self._add(_name(reviewer), key, label, takes_back=None)

    def undo(self, reviewer: str | None = None, among: Collection[str] | None = None) -> str | None:
        """Take back the label that was given last, by `reviewer` or, without a name, by anyone; return its pair's key.

        among: the keys of the pairs that it may be of; None for any.

        The reviewer's earlier label of this pair, if there is one, counts again. Returns None where there is nothing to
        take back. Called repeatedly, it goes back one label after the other.
        """
        with self._writing():
            given = [
                event
                for event in self._given()
                if (reviewer is None or event.reviewer == _name(reviewer)) and (among is None or event.key in among)
            ]
            if not given:
                return None
            last = given[-1]
            self._add(last.reviewer, last.key, last.label, takes_back=last.number)
        return last.key

    def labels(self) -> dict[str, Label]:
        """Return the label of each pair, by key, where all of its reviewers gave the same one; the keys are sorted."""
        return {
            key: next(iter(given.values())) for key, given in self._by_pair().items() if len(set(given.values())) == 1
        }

    def conflicts(self) -> dict[str, dict[str, Label]]:
        """Return the pairs that reviewers gave different labels, "unsure" included: by key, then by reviewer."""
        return {key: given for key, given in self._by_pair().items() if len(set(given.values())) > 1}

    def labels_by(self, reviewer: str) -> dict[str, Label]:
        """Return the label that one reviewer gave each pair, by key; the keys are sorted."""
        name = _name(reviewer)
        return {key: given[name] for key, given in self._by_pair().items() if name in given}

    def request_number(self, digest: str) -> int:
        """Return which request for a certificate on these labels this is, from 1: the next one, or where it was made
        before (`record_request`), its number then.

        digest: of all that the answer depends on.
        """
        with self._explained():
            if not self._file.execute("SELECT 1 FROM sqlite_master WHERE name = 'requests'").fetchone():
                return 1
            known = self._file.execute("SELECT number FROM requests WHERE digest = ?", (digest,)).fetchone()
            if known is None:
                known = self._file.execute("SELECT coalesce(max(number), 0) + 1 FROM requests").fetchone()
        return int(known[0])

    def record_request(self, digest: str) -> None:
        """Keep that this request has had its answer, a certificate or a refusal."""
        with self._writing():
            self._file.execute(_REQUESTS)
            time = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._file.execute("INSERT OR IGNORE INTO requests (time, digest) VALUES (?, ?)", (time, digest))

    def _by_pair(self) -> dict[str, dict[str, Label]]:
        """Return key -> reviewer -> the latest label, both sorted, whatever the order in which labels came."""
        with self._explained():
            events = self._given()
        latest = {(event.key, event.reviewer): cast("Label", event.label) for event in events}
        found: dict[str, dict[str, Label]] = {}
        for (key, reviewer), label in sorted(latest.items()):
            found.setdefault(key, {})[reviewer] = label
        return found

    def _given(self) -> list[_Event]:
        """Return the labels that were given and not taken back, in the order in which they came."""
        events = []
        rows = self._file.execute(
            "SELECT number, time, reviewer, key, label, takes_back, checksum FROM events ORDER BY number"
        )
        for number, (*cells, checksum) in enumerate(rows, 1):
            event = _Event(*cells)
            if event.number != number or checksum != event.checksum():
                raise self._damaged()
            events.append(event)
        taken_back = {event.takes_back for event in events}
        return [event for event in events if event.takes_back is None and event.number not in taken_back]

    def _add(self, reviewer: str, key: str, label: str, *, takes_back: int | None) -> None:
        number = self._file.execute("SELECT coalesce(max(number), 0) + 1 FROM events").fetchone()[0]
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = _Event(number, time, reviewer, key, label, takes_back)
        self._file.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", (*event.cells(), event.checksum()))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, alone with the file: nobody adds an event between what the block reads and writes."""
        with self._explained(), self._file:
            self._file.execute("BEGIN IMMEDIATE")
            yield

    def _prepare(self) -> None:
        # A label is on the disk when `record` returns, even if the power fails then.
        self._file.execute("PRAGMA synchronous = EXTRA")
        sqlite.prepare(self._file, _APPLICATION, FORMAT, _TABLE, self._said_name(), self._damaged())
        # So that readers and a writer do not wait for each other. Where it cannot be had, because another process holds
        # the file or it may only be read, nothing is less safe.
        with suppress(sqlite3.OperationalError):
            self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA wal_autocheckpoint = 1")  # each label goes on into the file itself at once

    def _explained(self) -> AbstractContextManager[None]:
        """Raise what goes wrong with the file as an error that says what to do next."""
        return sqlite.explained(
            self._said_name(),
            self._damaged(),
            {
                sqlite3.SQLITE_CANTOPEN: "cannot be opened or made. The folder must be there, and you must be allowed "
                "to write to it.",
                sqlite3.SQLITE_READONLY: "may only be read. Ask for the right to write to it, or copy its folder and "
                "review there.",
                sqlite3.SQLITE_BUSY: f"has been locked for {_PATIENCE:.0f} s by another process. Wait for that, and "
                "try again.",
            },
            otherwise="Labels that were recorded before are not lost; try again.",
        )

    def _said_name(self) -> str:
        return f"The file of labels {self.path}"

    def _damaged(self) -> ArtifactError:
        return ArtifactError(
            f"{self.path} is no file of review labels, or a damaged one. Move it elsewhere, and put a copy from before "
            "in its place; without one, reviewing starts anew."
        )


def _name(reviewer: str) -> str:
    return without_halves(reviewer).strip()
