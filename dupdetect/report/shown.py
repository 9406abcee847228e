"""What the page shows of a result: clusters, pairs that hold clusters together, pairs that are ruled out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.report.result import Cluster, Pairs, Result
from dupdetect.report.words import ShownText, only_in, shown_text
from dupdetect.text import readable

__all__ = [
    "ReasonShown",
    "clusters_in_turn",
    "possible_pairs",
    "ruled_out",
    "shown_cluster",
    "weak_links",
    "weakest_pairs",
]

# What is left out is counted on the page, which names the file that has it.
_TEXTS = 25  # of a cluster
_LINKS = 50
_POSSIBLE = 50
_OF_A_REASON = 10
_IDS = 10
_WORDS = 12
_TITLE = 90


@dataclass(frozen=True, slots=True)
class Some:
    """Some things, and how many more there are."""

    first: tuple[str, ...]
    more: int

    @classmethod
    def of(cls, everything: Sequence[str], most: int) -> Some:
        return cls(tuple(everything[:most]), max(0, len(everything) - most))


@dataclass(frozen=True, slots=True)
class Removed:
    """Rows of one text that are removed for the same row that stays.

    lacks: words of the text that stays which this one does not have.
    """

    ids: Some
    text: ShownText
    lacks: Some
    similarity: float
    probability: float
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Stays:
    """A row that stays, the ids of removed rows that repeat its text, and what else is removed for it."""

    id: str
    text: ShownText
    repeats: Some
    removed: tuple[Removed, ...]


@dataclass(frozen=True, slots=True)
class ShownCluster:
    """place: from 1, by size.  weakest: the lowest similarity of its pairs.  same_text: all rows have the same text, in
    its canonical form.  left_out: rows that are not shown."""

    id: int
    place: int
    title: str
    size: int
    kept: int
    weakest: float
    same_text: bool
    doubtful: bool
    stays: tuple[Stays, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class ShownPair:
    """Two rows, with the words marked that the other does not have.  texts: so many hang on the pair alone."""

    ids: tuple[str, str]
    texts: tuple[ShownText, ShownText]
    similarity: float
    probability: float
    cluster: int
    hanging: int


@dataclass(frozen=True, slots=True)
class ReasonShown:
    """A reason, how many pairs it rules out, and the most similar of them."""

    name: str
    number: int
    pairs: tuple[ShownPair, ...]


def weakest_pairs(result: Result) -> NDArray[np.float64]:
    """Return the lowest similarity of the pairs of each cluster, by its id; inf where there is no pair."""
    weakest = np.full(len(result.cluster_id) + 1, np.inf)
    np.minimum.at(weakest, result.cluster_id[result.pairs.left], result.pairs.similarity)
    return weakest


def clusters_in_turn(clusters: Sequence[Cluster], weakest: NDArray[np.float64]) -> Iterator[tuple[int, int, int]]:
    """Yield the places of all clusters, each once, the next largest and the next most doubtful in turn; with each, how
    many of the largest, and of the most doubtful, it completes.

    Most doubtful is the cluster with the weakest pair; of equals, the larger one.
    """
    doubtful = np.argsort(weakest[[cluster.id for cluster in clusters]], kind="stable").tolist() if clusters else []
    seen: set[int] = set()
    for turn, place in enumerate(doubtful):
        for one, complete in ((turn, (turn + 1, turn)), (place, (turn + 1, turn + 1))):
            if one not in seen:
                seen.add(one)
                yield one, *complete


def shown_cluster(result: Result, cluster: Cluster, place: int, weakest: float) -> ShownCluster:
    """Return a cluster with up to `_TEXTS` texts: each row that stays, then what is removed for it.

    The least similar come first. The title is that of the row that stays for most others.
    """
    texts, ids = result.questions.texts, result.questions.ids
    below = np.round(result.probability[list(cluster.rows)], 6) < 0.5  # as questions.csv writes it
    parts: list[Stays] = []
    room, shown = _TEXTS, 0
    removed = _removed_for(result, cluster)
    title = max(cluster.kept, key=lambda row: (sum(map(len, removed[row].values())), -row))
    for row in sorted(cluster.kept, key=lambda row: (_least(result, removed[row]), row)):
        if not room:
            break
        rows = removed[row]
        repeats = rows.pop(int(result.text_of[row]), [])
        alike = sorted(rows.values(), key=lambda same: (float(result.similarity[same[0]]), same[0]))[: room - 1]
        room -= 1 + len(alike)
        shown += 1 + len(repeats) + sum(map(len, alike))
        parts.append(
            Stays(
                ids[row],
                shown_text(texts[row]),
                Some.of([ids[other] for other in repeats], _IDS),
                tuple(_removed(result, same, texts[row]) for same in alike),
            )
        )
    return ShownCluster(
        id=cluster.id,
        place=place,
        title=_title(texts[title]),
        size=len(cluster.rows),
        kept=len(cluster.kept),
        weakest=weakest,
        same_text=len(np.unique(result.text_of[list(cluster.rows)])) == 1,
        doubtful=bool(below.any()),
        stays=tuple(parts),
        left_out=len(cluster.rows) - shown,
    )


def weak_links(result: Result) -> tuple[int, tuple[ShownPair, ...]]:
    """Return how many pairs alone hold two groups of two texts or more together, and the least similar of them."""
    links = np.flatnonzero(result.pairs.bridge >= 2)
    links = links[np.argsort(result.pairs.similarity[links], kind="stable")]
    shown = (_pair(result, result.pairs, link, int(result.pairs.bridge[link])) for link in links[:_LINKS].tolist())
    return len(links), tuple(shown)


def possible_pairs(result: Result) -> tuple[int, tuple[ShownPair, ...]]:
    """Return how many pairs may be duplicates and are not taken for it, and the likeliest of them."""
    pairs = result.possible
    if pairs is None:
        return 0, ()
    number = len(pairs.left)
    return number, tuple(_pair(result, pairs, place, 0) for place in range(min(number, _POSSIBLE)))


def ruled_out(result: Result) -> tuple[ReasonShown, ...]:
    """Return each reason that rules out a pair; a pair can be there for several."""
    pairs = result.ruled_out
    if pairs is None:
        return ()
    by_reason: dict[str, list[int]] = {}
    for number, names in enumerate(pairs.names):
        for name in names:
            by_reason.setdefault(name, []).append(number)
    found = []
    for name, numbers in by_reason.items():
        first = sorted(numbers, key=lambda number: (-float(pairs.similarity[number]), number))[:_OF_A_REASON]
        found.append(ReasonShown(name, len(numbers), tuple(_pair(result, pairs, number, 0) for number in first)))
    return tuple(sorted(found, key=lambda reason: (-reason.number, reason.name)))


def _removed_for(result: Result, cluster: Cluster) -> dict[int, dict[int, list[int]]]:
    """Return for each row that stays the rows that are removed for it, by their text."""
    removed: dict[int, dict[int, list[int]]] = {row: {} for row in cluster.kept}
    for row in cluster.rows:
        stays = int(result.duplicate_of[row])
        if stays >= 0:
            removed[stays].setdefault(int(result.text_of[row]), []).append(row)
    return removed


def _least(result: Result, removed: dict[int, list[int]]) -> float:
    return min((float(result.similarity[same[0]]) for same in removed.values()), default=math.inf)


def _removed(result: Result, rows: list[int], stays: str) -> Removed:
    text, probability = result.questions.texts[rows[0]], float(result.probability[rows[0]])
    return Removed(
        Some.of([result.questions.ids[row] for row in rows], _IDS),
        shown_text(text, stays),
        Some.of(only_in(stays, text), _WORDS),
        float(result.similarity[rows[0]]),
        probability,
        round(probability, 6) < 0.5,
    )


def _pair(result: Result, pairs: Pairs, number: int, hanging: int) -> ShownPair:
    rows = int(pairs.left[number]), int(pairs.right[number])
    left, right = (result.questions.texts[row] for row in rows)
    return ShownPair(
        (result.questions.ids[rows[0]], result.questions.ids[rows[1]]),
        (shown_text(left, right), shown_text(right, left)),
        float(pairs.similarity[number]),
        float(pairs.probability[number]),
        int(result.cluster_id[rows[0]]),
        hanging,
    )


def _title(text: str) -> str:
    """Return the beginning of a text without its markup, in one line."""
    title = " ".join(readable(text).split())
    if len(title) <= _TITLE:
        return title
    words, _, _ = title[:_TITLE].rpartition(" ")
    return f"{words or title[: _TITLE - 1]}…"
