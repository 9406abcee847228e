"""Ranked lists against the definitions and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dupdetect import metrics
from dupdetect.errors import EmptyInputError, InputError

properties = settings(max_examples=40, deadline=None)  # machines differ in speed

RANKED = st.integers(1, 6).flatmap(
    lambda depth: st.lists(
        st.tuples(st.lists(st.booleans(), min_size=depth, max_size=depth), st.integers(0, 3)), min_size=1, max_size=8
    )
)


@properties
@given(RANKED, st.integers(1, 6))
def test_ranking_metrics_agree_with_their_definitions(rows, k):
    relevance = np.array([row for row, _ in rows])
    relevant = np.array([sum(row) + unlisted for row, unlisted in rows])
    k = min(k, relevance.shape[1])
    if not relevant.any():
        with pytest.raises(EmptyInputError, match="No query"):
            metrics.recall_at_k(relevance, relevant, k)
        return
    queries = [(row, total) for row, total in zip(relevance.tolist(), relevant.tolist(), strict=True) if total]

    def mean(per_query):
        return pytest.approx(np.mean([per_query(row, total) for row, total in queries]))

    def ideal(total):
        return sum(1 / math.log2(rank + 2) for rank in range(min(total, k)))

    recall = metrics.recall_at_k(relevance, relevant, k)
    assert (recall.queries, recall.left_out) == (len(queries), len(rows) - len(queries))
    assert recall.value == mean(lambda row, total: sum(row[:k]) / total)
    assert metrics.mean_reciprocal_rank(relevance, relevant).value == mean(
        lambda row, _: next((1 / (rank + 1) for rank, hit in enumerate(row) if hit), 0)
    )
    assert metrics.mean_average_precision(relevance, relevant).value == mean(
        lambda row, total: sum(sum(row[: rank + 1]) / (rank + 1) for rank, hit in enumerate(row) if hit) / total
    )
    assert metrics.ndcg_at_k(relevance, relevant, k).value == mean(
        lambda row, total: sum(hit / math.log2(rank + 2) for rank, hit in enumerate(row[:k])) / ideal(total)
    )


def test_ranking_metrics_agree_with_scikit_learn_on_complete_lists():
    generator = np.random.default_rng(0)
    relevance = generator.random((30, 12)) < 0.3
    relevance[:, 5] = True
    order = np.tile(np.arange(12, 0, -1), (30, 1))
    total = relevance.sum(axis=1)
    assert metrics.ndcg_at_k(relevance, total, 7).value == pytest.approx(oracle.ndcg_score(relevance, order, k=7))
    assert metrics.mean_average_precision(relevance, total).value == pytest.approx(
        oracle.label_ranking_average_precision_score(relevance, order)
    )


@pytest.mark.parametrize(
    ("relevance", "relevant", "k", "message"),
    [
        ([True, False], [1], 1, "shape"),
        ([[True, False]], [1, 1], 1, "do not go with 2 totals"),
        ([[True, True]], [1], 1, "at least what the ranked list"),
        ([[True, False]], [1.5], 1, "whole numbers"),
        ([[True, False]], [1], 3, "k is 3"),
        ([[True, False]], [1], 0, "k is 0"),
    ],
)
def test_ranking_metrics_refuse(relevance, relevant, k, message):
    with pytest.raises(InputError, match=message):
        metrics.ndcg_at_k(relevance, relevant, k)
