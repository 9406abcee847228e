"""How well ranked lists put what is relevant first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.metrics.inputs import BoolArray, FloatArray, IntArray, boolean


class QueryMean(NamedTuple):
    """A mean over the queries that have something to find; `left_out` counts those that have nothing."""

    value: float
    queries: int
    left_out: int


def recall_at_k(relevance: ArrayLike, relevant: ArrayLike, k: int) -> QueryMean:
    """Return the mean share of each query's relevant items that stand among its first `k`, in [0, 1].

    `relevance` (q, d) booleans: is the item at this rank relevant, best rank first (pad short lists with False);
    `relevant` (q,) how many relevant items each query has in the whole collection. With more than `k` of them a query
    cannot reach 1. Queries without any are left out and counted, here and in the other three.

    Raises `InputError` when the shapes do not match, a list holds more relevant items than there are, `k` is not in
    1..d, or no query has anything to find.
    """
    hit, total, left_out = _ranked(relevance, relevant, k)
    return _query_mean(hit[:, :k].sum(axis=1) / total, left_out)


def mean_reciprocal_rank(relevance: ArrayLike, relevant: ArrayLike) -> QueryMean:
    """Return the mean of 1 / rank of the first relevant item (0 where none is in the list), in [0, 1]."""
    hit, _, left_out = _ranked(relevance, relevant, 1)
    return _query_mean(np.where(hit.any(axis=1), 1 / (hit.argmax(axis=1) + 1), 0.0), left_out)


def mean_average_precision(relevance: ArrayLike, relevant: ArrayLike) -> QueryMean:
    """Return the mean over queries of average precision, in [0, 1].

    Precision at the rank of each relevant item, summed and divided by the number of relevant items (as trec_eval), so
    those that the list does not reach count as 0.
    """
    hit, total, left_out = _ranked(relevance, relevant, 1)
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    return _query_mean(np.sum(precision * hit, axis=1) / total, left_out)


def ndcg_at_k(relevance: ArrayLike, relevant: ArrayLike, k: int) -> QueryMean:
    """Return the mean normalised discounted cumulative gain of the first `k`, in [0, 1].

    Gain 1 / log2(rank + 1), divided by that of the best possible list (Järvelin and Kekäläinen 2002).
    """
    hit, total, left_out = _ranked(relevance, relevant, k)
    gain = 1 / np.log2(np.arange(2, k + 2))
    best = np.cumsum(gain)[np.minimum(total, k) - 1]
    return _query_mean(hit[:, :k] @ gain / best, left_out)


def _ranked(relevance: ArrayLike, relevant: ArrayLike, k: int) -> tuple[BoolArray, IntArray, int]:
    """Return the rows that have something to find, how much, and how many rows have nothing."""
    table, total = np.asarray(relevance), np.asarray(relevant)
    if table.ndim != 2 or total.shape != table.shape[:1]:
        raise InputError(f"Ranked lists of the shape {table.shape} do not go with {total.size} totals.")
    hit = boolean(table.ravel(), "relevance").reshape(table.shape)
    if total.dtype.kind not in "iu" or np.any(np.count_nonzero(hit, axis=1) > total):
        raise InputError("`relevant` must be whole numbers, and at least what the ranked list itself holds.")
    if not 1 <= k <= table.shape[1]:
        raise InputError(f"k is {k}, and the ranked lists have {table.shape[1]} items.")
    some = total > 0
    if not np.any(some):
        raise EmptyInputError("No query has a relevant item, so there is nothing to find.")
    return hit[some], total[some].astype(np.int64), int(np.sum(~some))


def _query_mean(values: FloatArray, left_out: int) -> QueryMean:
    return QueryMean(float(values.mean()), len(values), left_out)
