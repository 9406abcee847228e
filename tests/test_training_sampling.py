from collections import Counter

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.training.sampling import (
    PairBatches,
    allowed_negatives,
    duplicate_classes,
    length_buckets,
    negative_schedule,
)


@st.composite
def edges(draw, min_size=1):
    node = st.integers(0, draw(st.integers(1, 30)))
    rows = draw(st.lists(st.tuples(node, node, st.booleans()), min_size=min_size, max_size=60))
    left, right, labels = (list(column) for column in zip(*rows, strict=True))
    return left, right, labels


def components(left, right, labels):
    """Each question's duplicate class, by networkx."""
    graph = nx.Graph()
    graph.add_nodes_from([*left, *right])
    graph.add_edges_from((a, b) for a, b, same in zip(left, right, labels, strict=True) if same)
    return {node: number for number, nodes in enumerate(nx.connected_components(graph)) for node in nodes}


def sparse_pairs(n=2000, seed=0, duplicates=0.3):
    """Pairs of mostly different questions, a few of them in many pairs."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3 * n, n), rng.integers(0, 3 * n, n), rng.random(n) < duplicates


@settings(deadline=None)
@given(edges(), st.integers(1, 9), st.integers(0, 3))
def test_every_pair_is_used_once_an_epoch(graph, batch_size, epoch):
    batches = list(PairBatches(*graph, batch_size=batch_size).epoch(epoch))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(graph[0])))
    assert all(0 < len(batch) <= batch_size for batch in batches)


@settings(deadline=None)
@given(edges(), st.integers(1, 9), st.sampled_from([None, 0.2, 0.5]), st.booleans())
def test_no_two_pairs_of_a_batch_hold_members_of_one_class(graph, batch_size, share, bucketed):
    left, right, labels = graph
    if share and len(set(labels)) == 1:
        return
    buckets = np.arange(len(left)) % 3 if bucketed else np.zeros(len(left), int)
    class_of = components(left, right, labels)
    batches = list(PairBatches(*graph, batch_size=batch_size, positive_share=share, buckets=buckets).epoch(0))
    used = np.concatenate(batches)
    for batch in batches:
        pairs = used[buckets[used] == buckets[batch[0]]]  # with all their repetitions
        crowd = Counter(name for row in pairs for name in {class_of[left[row]], class_of[right[row]]})
        large = {name for name, count in crowd.items() if count > -(-len(pairs) // batch_size)}
        held = [{class_of[left[row]], class_of[right[row]]} - large for row in batch]
        assert sum(map(len, held)) == len(set().union(*held))


def test_a_class_with_more_pairs_than_batches_is_spread_and_leaves_them_full():
    star = [0] * 20, range(1, 21), [True] * 20
    for apart in (False, True):
        assert [len(b) for b in PairBatches(*star, batch_size=5, apart=apart).epoch(0)] == [5] * 4
    # A question with 300 duplicates among 2,000 other pairs, 36 batches: 8 or 9 of its pairs in each, else one or two.
    left, right, labels = sparse_pairs()
    first = max(*left, *right) + 1
    columns = ([*left, *[first] * 300], [*right, *range(first + 1, first + 301)], [*labels, *[True] * 300])
    plan = PairBatches(*columns, batch_size=64)
    batches = list(plan.epoch(0))
    assert len(batches) <= -(-len(columns[0]) // 64) + 1
    assert plan.counts(0).short <= 2
    of_hub = [sum(columns[0][row] == first for row in batch) for batch in batches if len(batch) == 64]
    assert max(of_hub) <= 2 * 300 / len(batches)


def test_the_rule_costs_no_short_batches_on_ordinary_data():
    counts = PairBatches(*sparse_pairs(), batch_size=64).counts(0)
    assert (counts.batches, counts.short) == (32, 1)


@pytest.mark.parametrize("share", [None, 0.1, 0.5, 0.8])
def test_each_batch_holds_the_share_of_duplicates(share):
    left, right, labels = sparse_pairs()
    plan = PairBatches(left, right, labels, batch_size=64, positive_share=share)
    wanted = 64 * (share or labels.mean())
    full = [labels[batch].sum() for batch in plan.epoch(0) if len(batch) == 64]
    assert len(full) >= 30
    assert max(abs(duplicates - wanted) for duplicates in full) <= 1


def test_counts_say_what_a_share_repeats_and_leaves_out():
    left, right, labels = sparse_pairs()
    plan = PairBatches(left, right, labels, batch_size=64, positive_share=0.5)
    rows, counts = np.concatenate(list(plan.epoch(0))), plan.counts(0)
    assert counts.places == len(rows) == len(labels)
    assert counts.duplicates == labels[rows].sum() == len(labels) // 2
    assert counts.left_out == len(set(range(len(labels))) - set(rows.tolist())) > 0
    assert counts.repeated == counts.places - len(set(rows.tolist())) > 0


@settings(deadline=None, max_examples=30)
@given(edges(min_size=2), st.floats(0.05, 0.95), st.integers(1, 6))
def test_over_the_epochs_every_pair_of_a_kind_is_used_equally_often(graph, share, epochs):
    labels = np.array(graph[2])
    if labels.all() or not labels.any():
        return
    plan = PairBatches(*graph, batch_size=4, positive_share=share)
    uses = Counter(np.concatenate([row for epoch in range(epochs) for row in plan.epoch(epoch)]).tolist())
    for kind in (True, False):
        times = [uses[row] for row in np.flatnonzero(labels == kind).tolist()]
        assert max(times) - min(times) <= 1


def test_a_batch_holds_one_bucket():
    left, right, labels = sparse_pairs()
    buckets = length_buckets(left % 50, 4)
    batches = list(PairBatches(left, right, labels, batch_size=32, buckets=buckets).epoch(0))
    assert all(len(set(buckets[batch].tolist())) == 1 for batch in batches)
    assert sum(map(len, batches)) == len(labels)


def test_length_buckets_are_equally_full_and_in_order():
    buckets = length_buckets([30, 10, 20, 40], 2)
    assert buckets.tolist() == [1, 0, 0, 1]
    assert length_buckets([7, 7, 7], 3).tolist() == [0, 0, 0]
    assert length_buckets([], 3).tolist() == []
    with pytest.raises(InputError, match="at least 1"):
        length_buckets([1], 0)


def test_same_seed_and_epoch_same_plan_and_others_differ():
    def plan(seed, epoch, **options):
        batches = PairBatches(*sparse_pairs(), batch_size=32, seed=seed, **options).epoch(epoch)
        return [batch.tolist() for batch in batches]

    assert plan(3, 1) == plan(3, 1)
    assert plan(3, 1, positive_share=0.5) == plan(3, 1, positive_share=0.5)
    assert len({str(plan(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_one_kind_alone_makes_batches_but_no_share():
    assert len(list(PairBatches([0, 2, 4], [1, 3, 5], [True] * 3, batch_size=2).epoch(0))) == 2
    with pytest.raises(InputError, match=r"50% duplicates needs pairs of both labels, and all 3 pairs"):
        PairBatches([0, 2, 4], [1, 3, 5], [True] * 3, batch_size=2, positive_share=0.5)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (([], [], []), {}, "no pairs"),
        (([0], [1, 2], [True]), {}, "differ in length"),
        (([0], [1], [True]), {"batch_size": 0}, "batch_size"),
        (([0], [1], [True]), {"seed": -1}, "seed"),
        (([0, 2], [1, 3], [True, False]), {"positive_share": 1.0}, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused(columns, options, message):
    with pytest.raises(InputError, match=message):
        PairBatches(*columns, **{"batch_size": 2} | options)
    if not columns[0]:
        with pytest.raises(EmptyInputError):
            PairBatches(*columns, batch_size=2)


def test_epochs_start_at_zero():
    with pytest.raises(InputError, match="not -1"):
        list(PairBatches([0], [1], [True], batch_size=1).epoch(-1))


@settings(deadline=None)
@given(edges())
def test_allowed_negatives_are_those_of_other_classes(graph):
    left, right, labels = graph
    class_of = components(left, right, labels)
    allowed = allowed_negatives(left, right, duplicate_classes(max(*left, *right) + 1, left, right, labels))
    assert allowed.tolist() == [[class_of[a] != class_of[b] for b in right] for a in left]


def test_negatives_are_semi_hard_first_and_hard_later():
    assert [negative_schedule(share) for share in (0, 0.49, 0.5, 1)] == ["semi-hard", "semi-hard", "hard", "hard"]
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"\[0, 1\]"):
            negative_schedule(share)
