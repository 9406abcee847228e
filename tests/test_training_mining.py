import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect import QuestionPairs
from dupdetect.errors import InputError
from dupdetect.search import cosine
from dupdetect.training.mining import mine_triplets

KINDS = ("random", "semi-hard", "hard")


def mine(vectors, pairs, negatives, **options):
    margin = {"margin": 0.5} if negatives == "semi-hard" else {}
    return mine_triplets(vectors, pairs, **margin | {"negatives": negatives} | options)


def unit_rows(rows):
    rows = np.asarray(rows, dtype=np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def at_angles(*degrees):
    """Unit vectors in a plane: the similarity of two is the cosine of the angle between."""
    return unit_rows([[np.cos(np.radians(a)), np.sin(np.radians(a))] for a in degrees])


def pairs_of(*edges):
    """Pairs of questions a, b, c, ... whose positions are those of the letters, if none is left out."""
    left, right, labels = zip(*edges, strict=True)
    return QuestionPairs.from_columns(left, right, labels)


@st.composite
def labelled_graphs(draw):
    """Random labelled pairs with random unit vectors, coarse ones so that ties and equal rows are common."""
    n = draw(st.integers(2, 25))
    node = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(node, node, st.booleans()), min_size=1, max_size=50))
    edges.append((0, n, True))  # one that no other row contradicts
    pairs = QuestionPairs.from_columns(*zip(*((f"q{a}", f"q{b}", same) for a, b, same in edges), strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return pairs, unit_rows(rng.integers(-2, 3, (len(pairs.nodes().texts), 3)) + 0.1)


def facts(pairs):
    """Duplicate classes, labelled duplicates and labelled negatives, by networkx and sets."""
    _, left, right = pairs.nodes()
    graph = nx.Graph()
    graph.add_nodes_from([*left.tolist(), *right.tolist()])
    rows = list(zip(left.tolist(), right.tolist(), pairs.labels.tolist(), strict=True))
    graph.add_edges_from((a, b) for a, b, same in rows if same)
    class_of = {node: i for i, nodes in enumerate(nx.connected_components(graph)) for node in nodes}
    both_ways = [(a, b, same) for a, b, same in rows] + [(b, a, same) for a, b, same in rows]
    return class_of, {(a, b) for a, b, same in both_ways if same}, {(a, b) for a, b, same in both_ways if not same}


def similarity(vectors, a, b):
    return float(cosine(vectors[[a]], vectors[[b]])[0])


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(labelled_graphs(), st.integers(1, 4), st.sampled_from([0.9, 0.95, None]), st.integers(0, 3))
def test_triplets_obey_every_rule(kind, graph, per_anchor, share, seed):
    pairs, vectors = graph
    class_of, duplicates, distinct = facts(pairs)
    mined = mine(vectors, pairs, kind, per_anchor=per_anchor, false_negative_share=share, seed=seed)
    rows = list(zip(mined.anchor.tolist(), mined.positive.tolist(), mined.negative.tolist(), strict=True))
    assert len(set(rows)) == len(rows) == len(mined)
    for anchor, positive, negative in rows:
        near, far = similarity(vectors, anchor, positive), similarity(vectors, anchor, negative)
        assert (anchor, positive) in duplicates
        assert class_of[negative] != class_of[anchor]
        if kind == "semi-hard":
            assert near - 0.5 < far < near
        if share and (anchor, negative) not in distinct:
            assert far <= near - (1 - share) * abs(near)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(labelled_graphs(), st.integers(1, 4), st.integers(0, 3))
def test_what_is_missing_was_not_there(kind, graph, per_anchor, seed):
    pairs, vectors = graph
    class_of, duplicates, distinct = facts(pairs)
    mined = mine(vectors, pairs, kind, per_anchor=per_anchor, seed=seed)
    anchors = {a for a, _ in duplicates}
    found = {anchor: mined.negative[mined.anchor == anchor].tolist() for anchor in anchors}
    positive = dict(zip(mined.anchor.tolist(), mined.positive.tolist(), strict=True))
    for anchor, negatives in found.items():
        assert len(negatives) <= per_anchor
        if anchor not in positive:
            continue
        near = similarity(vectors, anchor, positive[anchor])
        allowed = [
            node
            for node in range(len(vectors))
            if class_of[node] != class_of[anchor]
            and ((anchor, node) in distinct or similarity(vectors, anchor, node) <= near - (1 - 0.95) * abs(near))
            and (kind != "semi-hard" or near - 0.5 < similarity(vectors, anchor, node) < near)
        ]
        assert len(negatives) == min(per_anchor, len(allowed))
        labelled = [node for node in allowed if (anchor, node) in distinct]
        assert {*negatives} <= {*labelled} or {*labelled} <= {*negatives}
        if kind == "hard":
            by_rank = sorted(allowed, key=lambda n: (n not in labelled, -similarity(vectors, anchor, n), n))
            assert negatives == by_rank[:per_anchor]
    counts = mined.counts
    assert counts.anchors == len(anchors)
    assert len(mined) == counts.labelled + counts.unlabelled
    assert counts.labelled == sum((a, n) in distinct for a in anchors for n in found[a])
    assert counts.missing == len(anchors) * per_anchor - len(mined)
    assert counts.without == sum(not negatives for negatives in found.values())


def test_semi_hard_is_farther_than_the_positive_but_within_the_margin():
    pairs = pairs_of(("a", "b", 1), ("c", "d", 0), ("e", "f", 0))
    vectors = at_angles(0, 40, 39, 41, 55, 80)  # a b c d e f; cosines .77 .78 .75 .57 .17
    negatives = {
        int(mine(vectors, pairs, "semi-hard", margin=0.3, false_negative_share=None, seed=seed).negative[0])
        for seed in range(30)
    }
    assert negatives == {3, 4}


def test_an_exact_tie_with_the_positive_is_not_semi_hard():
    pairs = pairs_of(("a", "b", 1), ("c", "d", 0))
    mined = mine(at_angles(0, 40, -40, 40), pairs, "semi-hard", margin=0.5, false_negative_share=None)
    assert 0 not in mined.anchor.tolist()
    assert mined.counts.without >= 1


def test_hard_takes_the_nearest_and_among_equals_the_lower_position():
    pairs = pairs_of(("a", "b", 1), ("c", "d", 0), ("e", "f", 0))
    mined = mine(at_angles(0, 10, 90, -60, 60, 60), pairs, "hard", per_anchor=4)
    assert mined.negative[mined.anchor == 0].tolist() == [3, 4, 5, 2]
    assert mined.positive[mined.anchor == 0].tolist() == [1] * 4


def test_unlabelled_questions_too_near_are_passed_over_and_labelled_ones_are_not():
    near, unlabelled = at_angles(0, 20, 5, 90), pairs_of(("a", "b", 1), ("c", "d", 0))
    assert mine(near, unlabelled, "hard").negative.tolist()[0] == 3
    assert mine(near, unlabelled, "hard", false_negative_share=None).negative.tolist()[0] == 2
    assert mine(near, pairs_of(("a", "b", 1), ("a", "c", 0), ("c", "d", 0)), "hard").negative.tolist()[0] == 2


def test_a_contradiction_inside_a_class_is_counted_and_used_for_nothing():
    pairs = pairs_of(("a", "b", 1), ("b", "c", 1), ("a", "c", 0), ("c", "d", 0))
    for kind in KINDS:
        mined = mine(at_angles(0, 5, 10, 30), pairs, kind, false_negative_share=None)
        assert set(mined.negative.tolist()) <= {3}
        assert mined.counts.contradictions == 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_anchor_counts_the_same_and_seeds_hold(kind):
    rng = np.random.default_rng(0)
    star = [("hub", f"spoke {i}", True) for i in range(40)] + [(f"far {i}", f"away {i}", False) for i in range(300)]
    pairs = QuestionPairs.from_columns(*zip(*star, strict=True))
    vectors = unit_rows(rng.normal(size=(len(pairs.nodes().texts), 4)))
    mined = mine(vectors, pairs, kind, per_anchor=3, false_negative_share=None, seed=5)
    assert np.unique(mined.anchor, return_counts=True)[1].max() == 3
    again = mine(vectors, pairs, kind, per_anchor=3, false_negative_share=None, seed=5)
    for column in ("anchor", "positive", "negative"):
        assert getattr(mined, column).tolist() == getattr(again, column).tolist()
    other = mine(vectors, pairs, kind, per_anchor=3, false_negative_share=None, seed=6)
    assert mined.positive.tolist() != other.positive.tolist()


def test_blocks_of_anchors_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    rows = [(f"q{i}", f"q{i + 1}", i % 3 == 0) for i in range(200)]
    pairs = QuestionPairs.from_columns(*zip(*rows, strict=True))
    vectors = unit_rows(rng.normal(size=(len(pairs.nodes().texts), 6)))
    whole = {kind: mine(vectors, pairs, kind, per_anchor=5).negative.tolist() for kind in KINDS}
    monkeypatch.setattr("dupdetect.training.mining._BLOCK_ROWS", 7)
    assert whole == {kind: mine(vectors, pairs, kind, per_anchor=5).negative.tolist() for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_duplicates_alone_and_three_rows_will_do(kind):
    pairs = pairs_of(("a", "b", 1), ("c", "d", 1), ("e", "f", 1))
    mined = mine(at_angles(0, 20, 60, 80, 120, 140), pairs, kind, margin=1.0)
    assert mined.counts.unlabelled == len(mined) > 0
    assert mine(at_angles(0, 20), pairs_of(("a", "b", 1)), kind).counts.without == 2


def test_triplets_as_texts():
    pairs = pairs_of(("a", "b", 1), ("c", "d", 0))
    triplets = mine(at_angles(0, 20, 60, 80), pairs, "hard").texts(["A?", "B?", "C?", "D?"])
    assert (triplets.anchor, triplets.positive, triplets.negative) == (("A?", "B?"), ("B?", "A?"), ("C?", "C?"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negatives": "easy"}, "random, semi-hard, hard, not 'easy'"),
        ({"negatives": "semi-hard"}, "margin in"),
        ({"negatives": "semi-hard", "margin": 5}, "not 5"),
        ({"negatives": "hard", "per_anchor": 0}, "per_anchor"),
        ({"negatives": "hard", "seed": -1}, "seed"),
        ({"negatives": "hard", "false_negative_share": 1.5}, "not 1.5"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        mine_triplets(at_angles(0, 20), pairs_of(("a", "b", 1)), **options)


def test_bad_embeddings_and_one_label_are_refused():
    pairs = pairs_of(("a", "b", 1), ("c", "d", 0))
    with pytest.raises(InputError, match="2 rows for 4 texts"):
        mine(at_angles(0, 20), pairs, "hard")
    with pytest.raises(InputError, match="embeddings: row 0 has length 2"):
        mine(2 * at_angles(0, 20, 30, 40), pairs, "hard")
    with pytest.raises(InputError, match="none of the 1 pairs"):
        mine(at_angles(0, 20), pairs_of(("a", "b", 0)), "hard")
