"""From which score on a text belongs to a class at all, told from the questions that the classes are made of.

A class is wider than a duplicate, and how much wider depends on the classes: what two questions of a bank have in
common says less than what two of a household have. So the classes themselves are asked. A question is to the other
classes what a text of a class that is not there is to all of them: an outsider. The similarity of each question to the
nearest of another class therefore shows what outsiders reach, also where there is one question for each class, and
without any label of an outsider.

With C classes and a share a, the limit is the lowest similarity at which

    (1 + sum over the classes of the share of their questions that reach it) / (C + 1)  <=  a

If a text comes from one more class of the same kind, then each of the C + 1 classes is as likely as any other to be the
one that was left out, so that it reaches the limit with a probability of a at most, give or take that it has C classes
to be near to and a question has C - 1 (conformal prediction: Vovk, Gammerman and Shafer 2005). Texts of quite another
kind reach it less often. With fewer than 1 / a - 1 classes no such statement can be made.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dupdetect.index.checked import slots_of, strings
from dupdetect.index.results import Classification, ClassMatch
from dupdetect.index.searching import Scored
from dupdetect.index.snapshot import Snapshot
from dupdetect.search import cosine, float32_error

__all__ = ["class_limit", "classification", "nearest_of_others", "outsiders_limit", "reach_classes"]

_ASKED = 1_024  # questions that are asked, where there are so many; one of each class at least
_ROWS = 8_192
_ROUNDING = 1e-9  # of sums of shares


def outsiders_limit(similarity: NDArray[np.float32], classes: NDArray[np.int64], share: float) -> float | None:
    """Return the limit that at most `share` of the texts of other classes reach; None for too few classes.

    similarity: (n,) of questions to the nearest of another class.  classes: (n,) the class of each.
    """
    different, which, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    room = share * (len(different) + 1) - 1
    if room < -_ROUNDING:
        return None
    order = np.argsort(-similarity, kind="stable")
    reaching = np.cumsum(1 / sizes[which[order]])
    values = similarity[order]
    # Of equal ones all reach it, or none.
    last_of_equal = np.append(values[1:] != values[:-1], True)
    too_many = np.flatnonzero(last_of_equal & (reaching > room + _ROUNDING))
    if not len(too_many):
        return -1.0
    return float(np.nextafter(values[too_many[0]], np.float32(2)))


def nearest_of_others(
    rows: NDArray[np.float32], classes: NDArray[np.int64], asked: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return (a,) the cosine of the `asked` of n questions and the nearest of another class; -1 where there is none.

    rows: (n, d) unit rows.  classes: (n,).  asked: (a,) places of some of them.
    """
    best = np.full(len(asked), -1, dtype=np.float32)
    slack = np.float32(2 * float32_error(rows.shape[1]))
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        near = rows[asked] @ some.T
        near[classes[asked][:, None] == classes[start : start + _ROWS]] = -4
        # A product proposes, and a cosine that depends on two rows alone decides.
        i, j = np.nonzero(near >= np.maximum(near.max(axis=1), best)[:, None] - slack)
        for part in (slice(first, first + _ROWS) for first in range(0, len(i), _ROWS)):
            np.maximum.at(best, i[part], cosine(rows[asked[i[part]]], some[j[part]]))
    return best


def class_limit(connection: sqlite3.Connection, snapshot: Snapshot, share: float) -> float | None:
    """Return `outsiders_limit` of the questions with a label; the same for the same questions, whatever their order.

    Where there are many, some of each class are asked, chosen by a hash of their text. Guards, which lower a score, are
    left aside, and so are pairs that reviewers told apart: without them the limit may be lower.
    """
    found = connection.execute(
        "SELECT DISTINCT slot, company, label FROM forms JOIN questions ON questions.form = forms.number "
        "WHERE label IS NOT NULL ORDER BY hash, label"
    ).fetchall()
    strings(label for _, _, label in found)
    number = {label: place for place, label in enumerate(sorted({label for _, _, label in found}))}
    if share * (len(number) + 1) < 1 - _ROUNDING:
        return None
    classes = np.array([number[label] for _, _, label in found], dtype=np.int64)
    slots = slots_of([slot for slot, _, _ in found], len(snapshot.vectors))
    most = max(1, _ASKED // len(number))
    seen: Counter[int] = Counter()
    members: dict[str, list[int]] = {}
    asked = np.zeros(len(found), dtype=np.bool_)
    for place, (_, company, _) in enumerate(found):
        members.setdefault(company, []).append(place)  # only these are compared, see `company_of`
        label = int(classes[place])
        asked[place] = seen[label] < most
        seen[label] += 1
    similarity = np.full(len(found), -1, dtype=np.float32)
    for group in (np.array(places, dtype=np.int64) for places in members.values()):
        some = np.flatnonzero(asked[group])
        if len(some):
            rows = snapshot.vectors.rows[slots[group]]
            similarity[group[some]] = nearest_of_others(rows, classes[group], some)
    return outsiders_limit(similarity[asked], classes[asked], share)


def reach_classes(scored: Sequence[Scored], top: int) -> int | None:
    """Return how many of the best have `top` classes among them; None where all have not."""
    seen: set[str | None] = set()
    for count, one in enumerate(scored, 1):
        seen.add(one.known.label)
        if len(seen) == top:
            return count
    return None


def classification(
    text: str, scored: Sequence[Scored], top: int, threshold: float, outsiders: float | None
) -> Classification:
    best: dict[str, ClassMatch] = {}
    for one in scored:
        label = str(one.known.label)
        if label not in best and len(best) < top:
            known = one.known
            best[label] = ClassMatch(
                label, known.id, known.text, one.similarity, one.probability, one.duplicate, one.guards
            )
    ranking = tuple(best.values())
    if not ranking:
        return Classification(text, None, 0.0, (), threshold, outsiders)
    near_enough = scored[0].duplicate or scored[0].score >= threshold
    return Classification(
        text, ranking[0].label if near_enough else None, ranking[0].probability, ranking, threshold, outsiders
    )
