"""Does a question find its duplicates among all others?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect import metrics
from dupdetect.encoded_texts import EncodedTexts
from dupdetect.progress import Progress

_DEPTH = 100


@dataclass(frozen=True, slots=True)
class RetrievalMetrics:
    """Each question that has a known duplicate asks the pool of all questions; its duplicates are its whole class.

    Classes are the transitive closure of the pairs labelled duplicate. Unlabelled true duplicates count as errors.
    mrr, map: over the first 100 ranks.
    """

    pool: int
    queries: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mrr: float
    map: float
    ndcg_at_10: float


def retrieval_metrics(texts: EncodedTexts, classes: NDArray[np.int64], progress: Progress) -> RetrievalMetrics:
    """Return how well each text finds the others of its class, by cosine among all that it is compared with.

    `classes` (n,) for the n forms of `texts`, at least two of which share one.
    """
    pool = len(classes)
    relevant = np.bincount(classes, minlength=pool)[classes] - 1
    near = texts.nearest(np.flatnonzero(relevant), np.arange(pool), _DEPTH + 1, progress)
    relevance = np.zeros((len(near), min(_DEPTH, pool - 1)), dtype=np.bool_)
    for row, (query, found, _) in enumerate(near):
        others = found[1:]  # each question finds itself first
        relevance[row, : len(others)] = classes[others] == classes[query]
    total = relevant[[query for query, _, _ in near]]

    def recall(k: int) -> float:
        return metrics.recall_at_k(relevance, total, min(k, relevance.shape[1])).value

    return RetrievalMetrics(
        pool=pool,
        queries=len(near),
        recall_at_1=recall(1),
        recall_at_5=recall(5),
        recall_at_10=recall(10),
        mrr=metrics.mean_reciprocal_rank(relevance, total).value,
        map=metrics.mean_average_precision(relevance, total).value,
        ndcg_at_10=metrics.ndcg_at_k(relevance, total, min(10, relevance.shape[1])).value,
    )
