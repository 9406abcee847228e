"""The known questions that a detector finds most likely to be duplicates of a text, by their score."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration import Calibration
from dupdetect.encoded_texts import EncodedTexts
from dupdetect.guards import GUARDS, GuardedTexts, Guards
from dupdetect.index.checked import DamagedRowsError, slots_of, strings
from dupdetect.index.snapshot import Near, Snapshot
from dupdetect.index.stored import company_of, form_hash
from dupdetect.review.candidates import pair_key

__all__ = ["Scored", "best_texts", "labelled_slots"]

_ASKED = 500  # slots in one question to the database
_DEEPER = 4


class _Known(NamedTuple):
    """A distinct text: its slot and form, the ways that it is written as a JSON list, the one of its questions that was
    added first, and how many there are."""

    slot: int
    form: str
    written: str
    number: int
    id: str
    text: str
    label: str | None
    questions: int


class Scored(NamedTuple):
    """A known text beside a query. score: what a threshold is compared with; the others as in `Hit`."""

    known: _Known
    similarity: float
    score: float
    probability: float
    duplicate: bool
    guards: tuple[str, ...]
    same_text: bool


def best_texts(
    connection: sqlite3.Connection,
    snapshot: Snapshot,
    asked: Sequence[str],
    texts: EncodedTexts,
    calibration: Calibration,
    k: int,
    enough: Callable[[Sequence[Scored]], int | None],
    labelled: NDArray[np.bool_] | None = None,
) -> list[list[Scored]]:
    """Return for each text asked about the known texts, best first: as many as are needed, and perhaps more.

    texts: what `encode_texts` makes of those asked about; nothing is found for blank ones.
    k: how many to begin with.  enough: how many of the best make up what is wanted, None where they do not.
    labelled: (slots,) bool, where only questions with a label will do; a text then counts once for each of its labels.

    A guard may lower the score of the nearest, so as many are looked at as are needed: until none farther off can have
    a better score, because the score is never above the similarity. Texts with other unknown words, and those that
    reviewers told apart from the query, are never duplicates, and not among what is found.
    """
    found: list[list[Scored]] = [[] for _ in asked]
    companies = [company_of(form, words) for form, words in zip(texts.forms, texts.unknown, strict=True)]
    pending, depth = np.flatnonzero(texts.position >= 0).tolist(), k
    while pending:
        forms = texts.position[pending]
        nearest = snapshot.nearest(texts.embeddings[forms], [companies[form] for form in forms], depth, labelled)
        unsettled = []
        for query, form, near in zip(pending, forms.tolist(), nearest, strict=True):
            slots = _with_itself(connection, texts.forms[form], near[0], labelled, len(snapshot.vectors))
            known = _known(connection, slots, labelled is not None)
            found[query] = _scored(asked[query], texts.forms[form], known, near, snapshot, texts.guards, calibration)
            last = enough(found[query])
            complete = len(near[0]) < depth
            if not complete and (last is None or found[query][last - 1].score < near[1].min()):
                unsettled.append(query)
        pending, depth = unsettled, _DEEPER * depth
    return found


def labelled_slots(connection: sqlite3.Connection, slots: int) -> NDArray[np.bool_]:
    """Return (slots,) bool: which texts a question with a label has."""
    labelled = np.zeros(slots, dtype=np.bool_)
    rows = connection.execute(
        "SELECT slot FROM forms WHERE number IN (SELECT form FROM questions WHERE label IS NOT NULL)"
    )
    labelled[slots_of([slot for (slot,) in rows], slots)] = True
    return labelled


def _with_itself(
    connection: sqlite3.Connection,
    form: str,
    slots: NDArray[np.int64],
    labelled: NDArray[np.bool_] | None,
    total: int,
) -> list[int]:
    """Return the slots, and that of the text itself if it is known: others could have its vector too.

    total: how many slots there are.
    """
    row = connection.execute("SELECT slot FROM forms WHERE hash = ?", (form_hash(form),)).fetchone()
    own = [] if row is None else slots_of(row, total).tolist()
    if labelled is not None:
        own = [slot for slot in own if labelled[slot]]
    return [*own, *(slot for slot in slots.tolist() if slot not in own)]


def _known(connection: sqlite3.Connection, slots: list[int], by_label: bool) -> list[_Known]:
    """Return the texts in some slots; by label, once for each label of their questions."""
    which, groups = ("AND label IS NOT NULL", ", label") if by_label else ("", "")
    found: list[_Known] = []
    for some in (slots[start : start + _ASKED] for start in range(0, len(slots), _ASKED)):
        # Beside min(), SQLite takes the other columns from the row that has it.
        found += itertools.starmap(
            _Known,
            connection.execute(
                "SELECT slot, forms.form, "  # noqa: S608 - no values
                "(SELECT json_group_array(DISTINCT text) FROM questions WHERE form = forms.number), "
                "min(questions.number), id, text, label, count(*) "
                "FROM forms JOIN questions ON questions.form = forms.number "
                f"WHERE slot IN ({','.join('?' * len(some))}) {which} GROUP BY slot{groups}",
                some,
            ),
        )
    strings(value for one in found for value in (one.form, one.id, one.text))
    strings(one.label for one in found if one.label is not None)
    if len({one.slot for one in found}) < len(slots):
        raise DamagedRowsError("a vector that counts is that of no text")
    return found


def _scored(
    text: str,
    form: str,
    known: Sequence[_Known],
    near: Near,
    snapshot: Snapshot,
    guards: Guards | None,
    calibration: Calibration,
) -> list[Scored]:
    """Return known texts beside a text with a canonical form, best first."""
    known = [one for one in known if one.form == form or pair_key(form, one.form) not in snapshot.told_apart]
    cosines = dict(zip(near[0].tolist(), near[1].tolist(), strict=True))
    same = np.array([one.form == form for one in known], dtype=np.bool_)
    similarity = np.array([1.0 if one.form == form else cosines[one.slot] for one in known], dtype=np.float32)
    fired = np.zeros((len(known), len(GUARDS)), dtype=np.bool_)
    score = similarity
    if guards is not None:
        guarded = GuardedTexts(
            [form, *(one.form for one in known)], [[text], *(json.loads(one.written) for one in known)]
        )
        fired = guarded.fired(np.zeros(len(known), dtype=np.int64), np.arange(1, len(known) + 1))
        fired[same] = False
        score = guards.score(similarity, fired)
    probability = np.where(same, 1.0, calibration.probability(score))
    duplicate = calibration.accepts(score)
    order = np.lexsort((np.array([one.number for one in known], dtype=np.int64), -similarity, -score, ~same))
    return [
        Scored(
            known[place],
            float(similarity[place]),
            float(score[place]),
            float(probability[place]),
            bool(duplicate[place]),
            tuple(itertools.compress(GUARDS, fired[place].tolist())),
            bool(same[place]),
        )
        for place in order.tolist()
    ]
