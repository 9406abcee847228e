"""Groupings against counting every pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dupdetect import metrics
from dupdetect.errors import InputError

properties = settings(max_examples=40, deadline=None)  # machines differ in speed


@properties
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc")), min_size=1, max_size=25))
def test_pair_counts_agree_with_counting_every_pair(rows):
    predicted, gold = [p for p, _ in rows], [g for _, g in rows]
    counts = metrics.pair_counts(predicted, gold)
    both = list(itertools.combinations(rows, 2))
    assert counts.true_positives == sum(a == b for a, b in both)
    assert counts.true_positives + counts.false_positives == sum(a[0] == b[0] for a, b in both)
    assert counts.true_positives + counts.false_negatives == sum(a[1] == b[1] for a, b in both)
    (_, wrong), (missed, right) = oracle.cluster.pair_confusion_matrix(gold, predicted)
    ordered = 2 * counts.false_positives, 2 * counts.false_negatives, 2 * counts.true_positives
    assert ordered == (wrong, missed, right)


def test_pair_counts_of_many_items_take_no_square():
    items = np.arange(1_000_000)
    counts = metrics.pair_counts(items // 2, items // 4)
    assert counts == metrics.PairCounts(500_000, 0, 1_000_000)
    assert counts.precision == 1
    assert counts.recall == pytest.approx(1 / 3)
    one = metrics.pair_counts(np.zeros(1_000_000, dtype=int), np.zeros(1_000_000, dtype=int))
    assert one.true_positives == 1_000_000 * 999_999 // 2


@properties
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_renaming_groups_changes_no_count(groups):
    names = [f"group {7 - g}" for g in groups]
    assert metrics.pair_counts(groups, names).f1 == pytest.approx(metrics.pair_counts(groups, groups).f1, nan_ok=True)


def test_pair_counts_refuses_groupings_of_different_items():
    with pytest.raises(InputError, match="not of 2 and 1 items"):
        metrics.pair_counts([1, 2], [1])
