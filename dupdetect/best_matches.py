"""The best matches of each query among known texts, by their score."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoded_texts import EncodedTexts
from dupdetect.progress import Progress, silent
from dupdetect.search import Neighbours, nearest

__all__ = ["best_matches"]

_LISTED = 5_000_000  # neighbours in memory at once, each 12 bytes

Matched = tuple[int, NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]


def best_matches(
    texts: EncodedTexts,
    queries: NDArray[np.int64],
    corpus: NDArray[np.int64],
    k: int,
    threshold: float,
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
                score = texts.score(np.full(len(forms), query), forms, similarity)
                order = np.lexsort((-similarity, -score, forms != query))[:k]
                order = order[score[order].astype(np.float64) >= threshold]
                settled = (
                    len(forms) < depth
                    or float(similarity[-1]) < threshold
                    or not (score < similarity).any()
                    or (len(order) == k and score[order[-1]] > similarity[-1])
                )
                if settled:
                    yield query, forms[order], similarity[order], score[order]
                else:
                    unsettled.append(query)
        queries = np.array(unsettled, dtype=np.int64)
        depth, progress = 4 * depth, silent
