"""What searches of an index look at, and what they need to know of all of it: read once for each version, and kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoder import Encoder
from dupdetect.index.checked import read_state
from dupdetect.index.classes import class_limit
from dupdetect.index.searching import labelled_slots
from dupdetect.index.snapshot import Snapshot, load_snapshot
from dupdetect.index.store import IndexStore

__all__ = ["View"]

_TRIES = 10


class View:
    """The present version of the index in a store, whose vectors are those of `encoder`; threads may share it."""

    def __init__(self, store: IndexStore, encoder: Encoder) -> None:
        self._store = store
        self._encoder = encoder
        self._snapshot: Snapshot | None = None
        self._labelled: tuple[int, NDArray[np.bool_]] | None = None
        self._limit: tuple[int, float, float | None] | None = None

    def forget(self) -> None:
        """Keep nothing of it any more."""
        self._snapshot = self._labelled = self._limit = None

    @contextmanager
    def looking(self) -> Iterator[tuple[sqlite3.Connection, Snapshot]]:
        """One transaction, and the vectors that go with it."""
        for tries in range(_TRIES):
            with self._store.reading() as connection:
                try:
                    snapshot = self._current(connection)
                except FileNotFoundError:
                    # A writer has put another file in its place since the transaction began.
                    if tries + 1 < _TRIES:
                        continue
                    raise self._store.without_vectors() from None
                yield connection, snapshot
                return

    def labelled_slots(self, connection: sqlite3.Connection, snapshot: Snapshot) -> NDArray[np.bool_]:
        """Return what `searching.labelled_slots` says of this snapshot."""
        known = self._labelled
        if known is None or known[0] != snapshot.version:
            known = self._labelled = (snapshot.version, labelled_slots(connection, len(snapshot.vectors)))
        return known[1]

    def class_limit(self, connection: sqlite3.Connection, snapshot: Snapshot, outsiders: float) -> float | None:
        """Return what `classes.class_limit` says of this snapshot; kept for the last share alone."""
        known = self._limit
        if known is None or known[:2] != (snapshot.version, outsiders):
            known = self._limit = (snapshot.version, outsiders, class_limit(connection, snapshot, outsiders))
        return known[2]

    def _current(self, connection: sqlite3.Connection) -> Snapshot:
        version = read_state(connection).version
        known = self._snapshot
        if known is None or known.version != version:
            known = self._snapshot = load_snapshot(connection, self._store.folder, int(self._encoder.dimension))
        return known
