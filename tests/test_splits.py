import csv
import json
import time

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from dupdetect.errors import EmptyInputError, InputError, LeakageError
from dupdetect.pairs import QuestionPairs
from dupdetect.splits import (
    DEFAULT_FRACTIONS,
    SPLIT_FILES,
    Splits,
    _average_precision,
    _common,
    _degrees,
    _logistic_guess,
    sketch_key,
    split_pairs,
    write_splits,
)
from dupdetect.text import canonical

# No deadline: a busy machine is no failure.
unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
HALVES = {"train": 0.5, "test": 0.5}


def pairs_of(rows):
    return QuestionPairs.from_columns([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def question(number, spelling=0):
    """Three spellings of one question: the second has the same canonical text, the third only the same words."""
    return (f"how about topic {number}", f"How  about TOPIC {number}?", f"about topic {number}, how")[spelling]


def random_rows(n, questions, seed=0):
    random = np.random.default_rng(seed)
    ends = random.integers(0, questions, (n, 2))
    return [(question(a), question(b), bool(c)) for (a, b), c in zip(ends, random.random(n) < 0.4, strict=True)]


SPELLED = st.builds(question, st.integers(0, 60), st.integers(0, 2))
ROWS = st.lists(st.tuples(SPELLED, SPELLED, st.booleans()), min_size=4, max_size=60)


def split_or_skip(rows, **options):
    try:
        return split_pairs(pairs_of(rows), **options)
    except InputError:
        assume(False)
        raise


def where(splits):
    """Each pair's split, and each question's."""
    edges, homes = {}, {}
    for name, part in splits.items():
        for a, b in zip(part.left, part.right, strict=True):
            edges[frozenset((canonical(a), canonical(b)))] = name
            homes[canonical(a)] = homes[canonical(b)] = name
    return edges, homes


# The promises


@unhurried
@given(ROWS, st.integers(0, 50))
def test_no_text_and_no_set_of_words_stands_in_two_splits(rows, seed):
    splits = split_or_skip(rows, seed=seed, fractions=HALVES)
    splits.check()
    homes = {}
    for name, part in splits.items():
        for text in (*part.left, *part.right):
            assert homes.setdefault(canonical(text), name) == name
            assert homes.setdefault(("words", sketch_key(canonical(text))), name) == name


@unhurried
@given(ROWS, st.integers(0, 50))
def test_nothing_is_dropped(rows, seed):
    pairs = pairs_of(rows)
    splits = split_or_skip(rows, seed=seed, fractions=HALVES)
    together = [row for _, part in splits.items() for row in part.to_rows()]
    assert sorted(together) == sorted(pairs.to_rows())
    assert splits.report.pairs + splits.report.dropped.total == len(rows)
    assert sum(share.pairs for share in splits.report.splits.values()) == len(pairs)
    assert sum(share.duplicates for share in splits.report.splits.values()) == pairs.labels.sum()
    assert sum(share.groups for share in splits.report.splits.values()) == splits.report.groups
    assert sum(share.questions for share in splits.report.splits.values()) == splits.report.questions
    assert sum(share.got for share in splits.report.splits.values()) == pytest.approx(1)


@unhurried
@given(ROWS)
def test_groups_are_what_networkx_finds(rows):
    pairs = pairs_of(rows)
    splits = split_or_skip(rows, fractions=HALVES)
    graph = nx.Graph()
    for a, b in zip(pairs.left, pairs.right, strict=True):
        a, b = canonical(a), canonical(b)
        graph.add_edges_from([(a, b), (a, ("words", sketch_key(a))), (b, ("words", sketch_key(b)))])
    group_of = {}
    for name, part in splits.items():
        for text, group in zip(part.left, splits.groups[name].tolist(), strict=True):
            group_of[canonical(text)] = group
    components = [[group_of[x] for x in c if x in group_of] for c in nx.connected_components(graph)]
    assert all(len(set(groups)) == 1 for groups in components)
    assert len({groups[0] for groups in components}) == len(components) == splits.report.groups


@unhurried
@given(ROWS, st.randoms())
def test_shuffled_rows_give_the_same_splits_and_the_same_report(rows, random):
    first = split_or_skip(rows, fractions=HALVES)
    # Of repeats with other spellings the first row stays: compare canonical texts.
    second = split_pairs(pairs_of(random.sample(rows, len(rows))), fractions=HALVES)
    assert where(first) == where(second)
    assert first.report == second.report


@unhurried
@given(ROWS, ROWS)
def test_added_pairs_move_no_group_that_keeps_its_questions(rows, more):
    # Only rows about other questions: every old group keeps its questions.
    more = [(f"other {a}", f"other {b}", label) for a, b, label in more]
    before = split_or_skip(rows, fractions=HALVES)
    after = split_pairs(pairs_of([*more, *rows]), fractions=HALVES)
    assert where(before)[1].items() <= where(after)[1].items()


@unhurried
@given(ROWS, st.lists(st.tuples(SPELLED, SPELLED), min_size=1, max_size=5))
def test_a_merged_group_stays_where_one_of_its_parts_was(rows, bridges):
    before = where(split_or_skip(rows, fractions=HALVES))[1]
    known = [(a, b) for a, b in bridges if canonical(a) in before and canonical(b) in before]
    # Labels of the bridges cannot contradict: they take the label of the pair where there is one.
    labels = {frozenset((canonical(a), canonical(b))): label for a, b, label in rows}
    new = [(a, b, labels.get(frozenset((canonical(a), canonical(b))), True)) for a, b in known]
    try:
        splits = split_pairs(pairs_of([*rows, *new]), fractions=HALVES)
    except InputError:  # all merged into one side
        return
    after = where(splits)[1]
    members = {}
    for name, part in splits.items():
        for a, b, group in zip(part.left, part.right, splits.groups[name].tolist(), strict=True):
            members.setdefault(group, set()).update((canonical(a), canonical(b)))
    for texts in members.values():
        old = {before[text] for text in texts if text in before}
        assert {after[text] for text in texts} <= old


def test_a_group_that_takes_in_a_new_question_rarely_moves():
    rows = [(question(i, 0), question(i + 10_000), True) for i in range(3000)]
    grown = [*rows, *((question(i), question(i + 20_000), True) for i in range(3000))]
    before, after = where(split_pairs(pairs_of(rows)))[1], where(split_pairs(pairs_of(grown)))[1]
    moved = np.mean([before[canonical(question(i))] != after[canonical(question(i))] for i in range(3000)])
    # One of three questions speaks for the group, and the splits agree by chance in .7^2 + 3 * .1^2 of all cases.
    assert moved == pytest.approx((1 - 0.52) / 3, abs=0.03)


def test_seeds_give_other_splits():
    pairs = pairs_of([(question(i), question(i + 1000), True) for i in range(900)])
    first, again, other = (split_pairs(pairs, seed=seed) for seed in (1, 1, 2))
    assert where(first) == where(again)
    assert where(first) != where(other)


# Fractions


def test_fractions_are_met_when_groups_are_many():
    splits = split_pairs(pairs_of([(question(i), question(i + 10_000), i % 3 == 0) for i in range(9000)]))
    for name, asked in DEFAULT_FRACTIONS.items():
        assert splits.report.splits[name].asked == asked
        assert splits.report.splits[name].got == pytest.approx(asked, abs=0.015)
        assert splits.report.splits[name].prevalence == pytest.approx(1 / 3, abs=0.06)
    assert splits.report.warnings == ()


def test_a_split_with_no_share_is_empty():
    splits = split_pairs(pairs_of(random_rows(50, 1000)), fractions={"calibration": 0.5, "test": 0.5})
    assert len(splits.train) == len(splits.validation) == 0
    assert len(splits.calibration) + len(splits.test) == splits.report.pairs
    assert splits.report.probe is None
    assert splits.report.to_dict()["splits"]["train"]["prevalence"] is None
    assert "train" in str(splits.report)
    whole = split_pairs(pairs_of(random_rows(5, 1000)), fractions={"test": 1})
    assert len(whole.test) == 5


@pytest.mark.parametrize(
    "fractions",
    [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": 0.5, "dev": 0.5}, {"train": float("nan"), "test": 1}],
)
def test_fractions_that_are_none_are_refused(fractions):
    with pytest.raises(InputError, match="Fractions are shares"):
        split_pairs(pairs_of(random_rows(20, 1000)), fractions=fractions)


def test_too_few_groups_are_an_error_that_names_the_empty_splits():
    with pytest.raises(EmptyInputError, match="no pairs to split"):
        split_pairs(pairs_of([]))
    with pytest.raises(InputError, match=r"split would be empty: 1 pairs form only 1 group\(s\)"):
        split_pairs(pairs_of([("a", "b", True)]))
    with pytest.raises(InputError, match="3 pairs form only 3 group"):
        split_pairs(pairs_of([("a", "b", True), ("c", "d", False), ("e", "f", False)]))


@pytest.mark.parametrize("graph", [nx.star_graph(500), nx.path_graph(500), nx.complete_graph(30)])
def test_one_connected_component_cannot_be_split(graph):
    with pytest.raises(InputError, match="form only 1 group"):
        split_pairs(pairs_of([(question(a), question(b), True) for a, b in graph.edges]))


def test_a_giant_group_is_warned_of():
    star = [(question(0), question(i), i % 2 == 0) for i in range(1, 400)]
    small = [(question(i), question(i + 10_000), i % 2 == 0) for i in range(1000, 2000)]
    splits = split_pairs(pairs_of([*star, *small]))
    assert splits.report.largest_group == 399
    assert any("One group of connected questions holds 399 pairs" in warning for warning in splits.report.warnings)
    assert any("was asked for" in warning for warning in splits.report.warnings)
    assert "Warning: " in str(splits.report)


def test_a_split_of_one_label_is_warned_of():
    splits = split_pairs(pairs_of([(question(i), question(i + 1000), True) for i in range(200)]))
    assert any(warning.endswith("pairs of test have the same label.") for warning in splits.report.warnings)


# Equal words


def test_sketch_key_ignores_order_repetition_and_punctuation():
    assert sketch_key("is red, or is blue, better") == sketch_key("better: is blue or red") == "better blue is or red"
    assert sketch_key("caf\u00e9 \u2014 bar") == "bar caf\u00e9"
    assert sketch_key("plan a now") != sketch_key("plan b now")
    # Vowel signs are part of the word.
    assert sketch_key("\u0915\u093f\u0938\u0915\u0940 \u0915\u093f\u0924\u093e\u092c") != sketch_key(
        "\u0915\u0938\u0915\u093e \u0915\u0924\u092c"
    )


@pytest.mark.parametrize("form", ["", "c++", "c#", "?!", "\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600", "2+2"])
def test_short_and_wordless_texts_have_no_key(form):
    assert sketch_key(form) == ""


def test_texts_without_words_are_not_linked():
    symbols = ["+", "-", "*", "/", "=", "~", "^", "%", "c++", "c#", "c", "\U0001f600", "\U0001f601"]
    rows = [(symbol, question(number), True) for number, symbol in enumerate(symbols)]
    assert split_pairs(pairs_of(rows), fractions=HALVES).report.groups == len(symbols)


def test_links_by_equal_words_are_counted():
    rows = [(question(i), question(i + 1000), i % 2 == 0) for i in range(100)]
    rows += [(question(0, 2), question(5000), True), (question(1, 2), question(1), False)]
    report = split_pairs(pairs_of(rows)).report
    assert (report.sketch_links, report.sketch_merges) == (2, 1)  # the second is linked by its pair as well
    assert report.groups == 100
    assert report.shared_sketches == report.shared_questions == 0


# The check


def test_check_finds_a_question_that_was_moved():
    splits = split_pairs(pairs_of(random_rows(100, 3000)))
    left, right = splits.test.left[0], "an other question"
    leaked = QuestionPairs((*splits.train.left, left.upper() + " ?"), (*splits.train.right, right),
                           np.append(splits.train.labels, True))  # fmt: skip
    broken = Splits(leaked, splits.validation, splits.calibration, splits.test, splits.groups, splits.report)
    with pytest.raises(LeakageError, match=r"^1 question text.* in train and test"):
        broken.check()


def test_groups_stand_beside_their_pairs():
    splits = split_pairs(pairs_of(random_rows(300, 400)), fractions={"train": 0.5, "test": 0.5}, seed=3)
    seen = {}
    for name, part in splits.items():
        groups = splits.groups[name]
        assert groups.shape == (len(part),)
        assert groups.dtype == np.int64
        for a, b, group in zip(part.left, part.right, groups.tolist(), strict=True):
            assert seen.setdefault(canonical(a), group) == group
            assert seen.setdefault(canonical(b), group) == group


# The probe


def leaky_rows(seed=0):
    """Questions that are asked about again and again, each with a fixed answer: only the graph tells the label."""
    random = np.random.default_rng(seed)
    rows = []
    for hub in range(400):
        label = bool(random.random() < 0.5)
        rows += [(question(hub), question(100_000 + 10 * hub + i), label) for i in range(6)]
    return rows


def test_a_random_split_leaks_and_ours_does_not():
    probe = split_pairs(pairs_of(leaky_rows())).report.probe
    assert probe.grouped.seen == 0
    assert probe.random.seen > 0.9
    assert probe.random.history_accuracy > 0.95
    assert probe.random.history_average_precision > 0.95
    # With no question seen, all test pairs get the same guess.
    assert probe.grouped.history_average_precision == pytest.approx(probe.grouped.prevalence)
    one_guess = (pytest.approx(probe.grouped.majority), pytest.approx(1 - probe.grouped.majority))
    assert probe.grouped.history_accuracy in one_guess


def test_the_probe_samples_by_content(monkeypatch):
    monkeypatch.setattr("dupdetect.splits._PROBE_PAIRS", 200)
    rows = random_rows(1500, 6000)
    report = split_pairs(pairs_of(rows)).report
    assert report.probe.train_pairs == 200
    assert split_pairs(pairs_of(rows[::-1])).report == report


def test_how_the_pairs_were_chosen_shows_in_both_splits():
    # Duplicates are asked about often, others once: the unlabelled graph tells, whatever the split.
    rows = [(question(i), question(100_000 + 10 * i + j), True) for i in range(300) for j in range(5)]
    rows += [(question(i + 1000), question(200_000 + i), False) for i in range(1500)]
    probe = split_pairs(pairs_of(rows)).report.probe
    assert probe.grouped.structure_accuracy == probe.random.structure_accuracy == 1


def test_labels_by_chance_cannot_be_guessed():
    probe = split_pairs(pairs_of(random_rows(6000, 40_000))).report.probe
    for score in (probe.grouped, probe.random):
        assert score.history_average_precision == pytest.approx(score.prevalence, abs=0.08)
        assert score.structure_average_precision == pytest.approx(score.prevalence, abs=0.08)


@unhurried
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda e: e[0] != e[1]), max_size=60))
def test_common_neighbours_and_degrees_agree_with_networkx(edges):
    edges = sorted({(min(e), max(e)) for e in edges})
    graph = nx.Graph(edges)
    graph.add_nodes_from(range(13))
    columns = np.array(edges, dtype=np.int64).reshape(-1, 2)
    pairs = np.array([(a, b) for a in range(13) for b in range(a)])
    expected = [len(list(nx.common_neighbors(graph, a, b))) for a, b in pairs.tolist()]
    assert _common(13, columns, pairs).tolist() == expected
    expected_degrees = [sorted((graph.degree(a), graph.degree(b))) for a, b in pairs.tolist()]
    assert _degrees(13, columns, pairs, np.False_).tolist() == expected_degrees


def test_common_neighbours_in_several_steps():
    clique = np.array([(a, b) for a in range(150) for b in range(a)])  # 11,175 pairs of degree 149: 1.7 million steps
    twice = np.vstack([clique, clique])
    assert (_common(150, clique, twice) == 148).all()


def test_logistic_guess_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 3)) * [1, 5, 0.1] + [0, 3, 1]
    y = random.random(2000) < 1 / (1 + np.exp(-(x @ [1.0, -0.3, 4.0] - 3)))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    reference = LogisticRegression(C=1 / (1e-3 * len(x)), tol=1e-8).fit(scaled, y)
    assert _logistic_guess(x, y, x) == pytest.approx(reference.predict_proba(scaled)[:, 1], abs=1e-4)


def test_logistic_guess_survives_separable_constant_and_one_class_data():
    x = np.column_stack([np.arange(100.0), np.ones(100), np.arange(100.0)])
    assert ((_logistic_guess(x, x[:, 0] >= 50, x) >= 0.5) == (x[:, 0] >= 50)).all()
    assert (_logistic_guess(x, np.ones(100, dtype=bool), x) > 0.99).all()
    assert np.isfinite(_logistic_guess(x[:1], np.zeros(1, dtype=bool), x)).all()


@unhurried
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=50))
def test_average_precision_agrees_with_scikit_learn(scored):
    truth, score = np.array([t for t, _ in scored]), np.array([float(s) for _, s in scored])
    assume(truth.any())  # scikit-learn warns without
    assert _average_precision(truth, score) == pytest.approx(average_precision_score(truth, score))


# Files


def test_files_hold_every_pair_and_the_report(tmp_path):
    rows = [
        *random_rows(200, 5000),
        ('say "hi", or\nnot', "\u00fcber \U0001f600;\t|", True),
        ("=1+1 formula", "x y z", False),
    ]
    splits = split_pairs(pairs_of(rows))
    write_splits(splits, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(SPLIT_FILES)
    for name, part in splits.items():
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            header, *written = csv.reader(file)
        assert header == ["question1", "question2", "label", "group"]
        expected = [
            [a, b, str(label), str(group)]
            for (a, b, label), group in zip(part.to_rows(), splits.groups[name].tolist(), strict=True)
        ]
        assert written == expected
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == splits.report.to_dict()


def test_the_report_reads_as_a_table():
    text = str(split_pairs(pairs_of(random_rows(500, 5000))).report)
    for words in (
        "train",
        "validation",
        "calibration",
        "test",
        "Dropped before",
        "Questions in two splits: 0",
        "seed 0",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) < 140


# Scale


def test_two_hundred_thousand_pairs_take_seconds():
    pairs = pairs_of(random_rows(200_000, 500_000))
    start = time.process_time()
    splits = split_pairs(pairs, fractions={"train": 0.9, "test": 0.1})
    assert time.process_time() - start < 20  # about 4 on one core
    assert splits.report.pairs == len(pairs)
