"""The best matches of each query among known texts, by their score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import EncodedTexts
from dupdetect.guards import GuardedTexts, capitalised_words
from dupdetect.progress import Progress, silent
from dupdetect.search import Neighbours, nearest

__all__ = ["as_asked", "best_matches", "scores_of"]

_LISTED = 5_000_000  # neighbours in memory at once, each 12 bytes

Score = Callable[[int, NDArray[np.int64], NDArray[np.float32]], NDArray[np.float32]]
"""Of a query and others, by their forms, and their similarity: what a threshold is compared with."""

Matched = tuple[int, NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]


def as_asked(slots: Sequence[int], texts: Sequence[str]) -> tuple[list[int], list[dict[int, str]]]:
    """Return for each query its round, and for each round its queries: a text for each form.

    slots: the form of each query, -1 for blank ones.  Guards read names by their capital letters, so queries of one
    form with other names are asked in different rounds, and none has the names of another.
    """
    written: dict[int, set[str]] = {}
    for slot, text in zip(slots, texts, strict=True):
        written.setdefault(slot, set()).add(text)
    ways: dict[int, dict[frozenset[str], int]] = {}
    rounds: list[dict[int, str]] = [{}]
    round_of = []
    for slot, text in zip(slots, texts, strict=True):
        names = capitalised_words(text) if len(written[slot]) > 1 and slot >= 0 else frozenset[str]()
        known = ways.setdefault(slot, {})
        number = known.setdefault(names, len(known))
        round_of.append(number)
        if slot >= 0:
            if number == len(rounds):
                rounds.append({})
            rounds[number].setdefault(slot, text)
    return round_of, rounds


def scores_of(texts: EncodedTexts, known: DistinctTexts, rounds: Sequence[Mapping[int, str]]) -> list[Score]:
    """Return for each round the score of its queries, each written as it is asked, beside known texts, written in all
    ways that are known.

    rounds: of `as_asked`.
    """
    guards = texts.guards
    if guards is None:
        return [lambda *pair: pair[-1]] * len(rounds)
    ways = dict(zip(known.forms, known.written, strict=True))
    forms, written = list(texts.forms), [ways.get(form, ()) for form in texts.forms]
    places: list[dict[int, int]] = []
    for queries in rounds:
        places.append({slot: place for place, slot in enumerate(queries, len(forms))})
        forms += [texts.forms[slot] for slot in queries]
        written += [(text,) for text in queries.values()]
    guarded = GuardedTexts(forms, written)

    def score_in(place: Mapping[int, int]) -> Score:
        def score(query: int, others: NDArray[np.int64], similarity: NDArray[np.float32]) -> NDArray[np.float32]:
            fired = guarded.fired(np.full(len(others), place[query]), others)
            fired[others == query] = False
            return guards.score(similarity, fired)

        return score

    return [score_in(place) for place in places]


def best_matches(
    texts: EncodedTexts,
    queries: NDArray[np.int64],
    corpus: NDArray[np.int64],
    k: int,
    threshold: float,
    score: Score,
    progress: Progress,
    find: Callable[..., Neighbours] = nearest,
) -> Iterator[Matched]:
    """Yield for each query: its form, and of its matches the forms, similarity and score, at most k, best score first.

    queries, corpus: numbers of forms, rising.  A match has a score at or above the threshold. Queries without one may
    be left out. Equal scores are in the order of their similarity; the query's own form comes before all others.

    A guard may lower the score of the nearest, so as many neighbours are looked at as are needed: until none farther
    off can have a better score, because the score is never above the similarity.

    find: takes the arguments of `search.nearest` and returns the same, perhaps elsewhere.
    """
    depth = k
    while len(queries):
        unsettled = []
        together = max(1, _LISTED // depth)
        for part in (queries[start : start + together] for start in range(0, len(queries), together)):
            for query, forms, similarity in texts.nearest(part, corpus, depth, progress, find):
                scores = score(query, forms, similarity)
                order = np.lexsort((-similarity, -scores, forms != query))[:k]
                order = order[scores[order].astype(np.float64) >= threshold]
                settled = (
                    len(forms) < depth
                    or float(similarity[-1]) < threshold
                    or not (scores < similarity).any()
                    or (len(order) == k and scores[order[-1]] > similarity[-1])
                )
                if settled:
                    yield query, forms[order], similarity[order], scores[order]
                else:
                    unsettled.append(query)
        queries = np.array(unsettled, dtype=np.int64)
        depth, progress = 4 * depth, silent
