"""What changes the questions of an index: each function is part of one transaction of its writer."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.detector import Detector
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import EncodedTexts, encode_texts, truncated_texts, unread_rows
from dupdetect.errors import InputError
from dupdetect.index.checked import DamagedRowsError, read_state, slots_of, strings, words_of
from dupdetect.index.results import Added, Removed
from dupdetect.index.rows import Rows
from dupdetect.index.snapshot import Snapshot, load_snapshot
from dupdetect.index.store import IndexStore, now
from dupdetect.index.stored import company_of, form_hash
from dupdetect.index.vectors import append_rows, delete_earlier, map_vectors, write_rows
from dupdetect.listing import MOST_PAIRS
from dupdetect.progress import Progress
from dupdetect.search import TooManyPairsError
from dupdetect.tables.cells import shown
from dupdetect.text import canonical

__all__ = ["add", "compact", "delete_unused_files", "no_question", "remove"]

_TEXTS = 65_536  # encoded and compared in one go
_FEW_EMPTY = 1_024  # slots for which no file is written anew
_ROWS = 8_192


def add(connection: sqlite3.Connection, folder: Path, detector: Detector, rows: Rows, progress: Progress) -> Added:
    """Add rows; see `QuestionIndex.add`."""
    there = _there(connection, folder, rows)
    fresh = [row for row in range(len(rows.texts)) if row not in there]
    forms = {row: canonical(rows.texts[row]) for row in fresh}
    numbers = {form: _form_number(connection, form) for form in forms.values() if form}
    new = sorted(form for form, number in numbers.items() if number is None)
    pairs = 0
    for start in range(0, len(new), _TEXTS):
        some = DistinctTexts.of(new[start : start + _TEXTS])
        texts = encode_texts(detector.encoder, some, progress, detector.guards)
        truncated = truncated_texts(detector.encoder, texts)
        pairs += _add_forms(connection, folder, detector, texts, truncated, progress)
    numbers |= {form: _form_number(connection, form) for form in new}
    ids = _add_questions(connection, rows, [(row, numbers.get(form)) for row, form in forms.items()])
    blank = sum(not form for form in forms.values())
    return Added(
        ids=ids,
        unchanged=len(there),
        new_texts=len(new),
        repeats=len(fresh) - len(new) - blank,
        blank=blank,
        pairs=pairs,
        notes=(*rows.notes, *_unread(connection, [number for form in forms.values() if (number := numbers.get(form))])),
    )


def _unread(connection: sqlite3.Connection, forms: Sequence[int]) -> tuple[str, ...]:
    """Say what the encoder has not read of some rows, by the numbers of their texts."""
    long_rows, words = 0, []
    for number, rows in Counter(forms).items():
        unknown, truncated = connection.execute(
            "SELECT unknown, truncated FROM forms WHERE number = ?", (number,)
        ).fetchone()
        long_rows += rows * truncated
        words += [words_of(unknown)] * rows
    return unread_rows(long_rows, words).notes


def remove(connection: sqlite3.Connection, folder: Path, ids: Sequence[str]) -> Removed:
    """Remove questions, and the texts and pairs that go with them; see `QuestionIndex.remove`."""
    found = {}
    for name in ids:
        row = connection.execute("SELECT number, form FROM questions WHERE id = ?", (name,)).fetchone()
        if row is not None:
            found[name] = row
    if len(found) < len(ids):
        raise no_question(folder, [name for name in ids if name not in found], " Nothing was changed.")
    connection.executemany("DELETE FROM questions WHERE number = ?", ((number,) for number, _ in found.values()))
    gone = [
        (form,)
        for form in sorted({form for _, form in found.values() if form is not None})
        if connection.execute("SELECT 1 FROM questions WHERE form = ?", (form,)).fetchone() is None
    ]
    connection.executemany("INSERT INTO empty_slots SELECT slot FROM forms WHERE number = ?", gone)
    connection.executemany("DELETE FROM forms WHERE number = ?", gone)
    connection.executemany("DELETE FROM pairs WHERE smaller = ?", gone)
    connection.executemany("DELETE FROM pairs WHERE larger = ?", gone)
    return Removed(len(found), len(gone))


def compact(connection: sqlite3.Connection, folder: Path, dimension: int) -> None:
    """Put files of vectors without unused ones in the place of those with more unused than used ones."""
    state = read_state(connection)
    number, slots = state.vectors, state.slots
    empty = connection.execute("SELECT count(*) FROM empty_slots").fetchone()[0]
    if empty <= max(_FEW_EMPTY, slots - empty):
        return
    used = slots_of([slot for (slot,) in connection.execute("SELECT slot FROM forms ORDER BY slot")], slots)
    rows = map_vectors(folder, number, slots, dimension).rows
    portions = (rows[used[start : start + _ROWS]] for start in range(0, len(used), _ROWS))
    write_rows(folder, number + 1, portions)
    # A slot never moves up, so that going through them in order, each finds its new place free.
    connection.executemany("UPDATE forms SET slot = ? WHERE slot = ?", enumerate(used.tolist()))
    connection.execute("DELETE FROM empty_slots")
    connection.execute("UPDATE state SET vectors = ?, slots = ?", (number + 1, len(used)))


def delete_unused_files(store: IndexStore) -> None:
    """Delete files of vectors that no longer count."""
    with store.reading() as connection:
        number = read_state(connection).vectors
    delete_earlier(store.folder, number)


def no_question(folder: Path, ids: Sequence[str], then: str = "") -> InputError:
    """Return the error for ids that are not there.  then: what became of that."""
    more = f", nor with {len(ids) - 1:,} others of those that were named" if len(ids) > 1 else ""
    return InputError(f"The index {folder} has no question with the id {ids[0]!r}{more}.{then}")


def _there(connection: sqlite3.Connection, folder: Path, rows: Rows) -> frozenset[int]:
    """Return the rows that the index has already; InputError for ids that it has for something else."""
    there = set()
    for row, name in enumerate(rows.ids or ()):
        known = connection.execute("SELECT text, label FROM questions WHERE id = ?", (name,)).fetchone()
        if known is None:
            continue
        strings(value for value in known if value is not None)
        for what, mine, given in (("text", known[0], rows.texts[row]), ("label", known[1], rows.labels[row])):
            if mine != given and (what == "text" or rows.labelled):
                raise InputError(
                    f"The index {folder} has a question with the id {name!r} already, with another {what}: "
                    f"{shown(mine or '')}, not {shown(given or '')}. Nothing was added. To change it, remove it first; "
                    "if it is another question, give it another id."
                )
        there.add(row)
    return frozenset(there)


def _add_forms(
    connection: sqlite3.Connection,
    folder: Path,
    detector: Detector,
    texts: EncodedTexts,
    truncated: NDArray[np.bool_],
    progress: Progress,
) -> int:
    """Add texts that the index does not have, and their pairs; return the number of these."""
    threshold = detector.require_calibration().threshold
    dimension = texts.embeddings.shape[1]
    known = load_snapshot(connection, folder, dimension)
    state = read_state(connection)
    vectors, slots, first = state.vectors, state.slots, state.next_form
    room = MOST_PAIRS - connection.execute("SELECT count(*) FROM pairs").fetchone()[0]
    companies = [company_of(form, words) for form, words in zip(texts.forms, texts.unknown, strict=True)]
    try:
        among = texts.similar(threshold, progress, most=room)
        _add_pairs(connection, among.left + first, among.right + first, among.similarity)
        count = len(among)
        for new, found, similarity in _known_pairs(known, texts.embeddings, companies, threshold, progress):
            count += len(new)
            if count > room:
                raise TooManyPairsError
            _add_pairs(connection, _form_numbers(connection, found), new + first, similarity)
    except TooManyPairsError:
        raise InputError(
            f"More than {MOST_PAIRS:,} pairs of texts would reach the threshold, too many to keep. Nothing was added. "
            "Add what `dupdetect dedupe` keeps of them, or make an index with a higher threshold."
        ) from None
    append_rows(folder, vectors, slots, texts.embeddings)
    connection.executemany(
        "INSERT INTO forms VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (first + place, slots + place, form, form_hash(form), company, json.dumps(words), cut)
            for place, (form, company, words, cut) in enumerate(
                zip(texts.forms, companies, texts.unknown, truncated.tolist(), strict=True)
            )
        ),
    )
    more = len(texts.forms)
    connection.execute("UPDATE state SET slots = ?, next_form = ?", (slots + more, first + more))
    return count


def _known_pairs(
    known: Snapshot,
    embeddings: NDArray[np.float32],
    companies: Sequence[str],
    threshold: float,
    progress: Progress,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the pairs of new and known texts: numbers of the new ones from 0, slots of the others, and the cosine.

    companies: of the new texts, equal ones side by side.
    """
    with progress("Comparing with known texts", len(companies), "text") as advance:
        for company, group in itertools.groupby(range(len(companies)), key=companies.__getitem__):
            members = list(group)
            for start in range(members[0], members[-1] + 1, _ROWS):
                stop = min(start + _ROWS, members[-1] + 1)
                for new, slots, similarity in known.similar(embeddings[start:stop], company, threshold):
                    yield start + new, slots, similarity
                advance(stop - start)


def _add_pairs(
    connection: sqlite3.Connection,
    smaller: NDArray[np.integer[Any]],
    larger: NDArray[np.integer[Any]],
    similarity: NDArray[np.float32],
) -> None:
    rows = zip(smaller.tolist(), larger.tolist(), similarity.tolist(), strict=True)
    connection.executemany("INSERT INTO pairs VALUES (?, ?, ?)", rows)


def _form_numbers(connection: sqlite3.Connection, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) the numbers of the forms in some slots."""
    different, place = np.unique(slots, return_inverse=True)
    numbers = [
        number
        for slot in different.tolist()
        for (number,) in connection.execute("SELECT number FROM forms WHERE slot = ?", (slot,))
    ]
    if len(numbers) < len(different):
        raise DamagedRowsError("a vector that counts is that of no text")
    return np.array(numbers, dtype=np.int64)[place]


def _form_number(connection: sqlite3.Connection, form: str) -> int | None:
    row = connection.execute("SELECT number FROM forms WHERE hash = ?", (form_hash(form),)).fetchone()
    return None if row is None else int(row[0])


def _add_questions(
    connection: sqlite3.Connection, rows: Rows, fresh: Sequence[tuple[int, int | None]]
) -> tuple[str, ...]:
    """Add questions, each a row and the number of its form, None where it is blank; return the ids of all rows."""
    number = read_state(connection).next_question
    ids = list(rows.ids) if rows.ids is not None else [""] * len(rows.texts)
    time = now()
    for row, form in fresh:
        while rows.ids is None and _is_taken(connection, str(number)):
            number += 1
        if rows.ids is None:
            ids[row] = str(number)
        added = time if rows.added is None else rows.added[row]
        connection.execute(
            "INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?)",
            (number, ids[row], rows.texts[row], form, rows.labels[row], added),
        )
        number += 1
    connection.execute("UPDATE state SET next_question = ?", (number,))
    return tuple(ids)


def _is_taken(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM questions WHERE id = ?", (name,)).fetchone() is not None
