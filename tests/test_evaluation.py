"""evaluate(): each view against a plain computation of the same thing."""

import itertools
import json

import numpy as np
import pytest
from conftest import HashingEncoder, labelled_pairs
from sklearn.metrics import f1_score, log_loss, precision_recall_curve

from dupdetect import Detector, QuestionPairs, evaluate
from dupdetect.errors import EmptyInputError, InputError, NotCalibratedError
from dupdetect.evaluation import MINING_FLOOR, histogram_plot, write_plots
from dupdetect.guards import Guards
from dupdetect.metrics import expected_calibration_error

PAIRS = [
    ("a b c d", "a b c e", 1),
    ("a b c d", "a b c f", 1),
    ("x y z w", "x y z v", 1),
    ("a b c d", "a b q r", 0),
    ("x y z w", "p q r s", 0),
    ("k l m n", "x y z k", 0),
    ("k l m n", "k l m n o", 0),
    ("g h i j", "q r s t", 1),
]


NAMES = [("Peru today", "Peru now"), ("Chile today", "Ghana today"), ("mali today", "cuba today")]


@pytest.fixture
def pairs():
    return QuestionPairs.from_columns(*zip(*PAIRS, strict=True))


@pytest.fixture
def evaluation(detector, pairs):
    return evaluate(detector, pairs)


def test_pair_metrics_are_those_of_the_decisions(detector, pairs, evaluation):
    decided = detector.predict(list(zip(pairs.left, pairs.right, strict=True)))
    right = int((decided & pairs.labels).sum())
    assert evaluation.pair.precision.value == right / decided.sum()
    assert evaluation.pair.recall.value == right / pairs.labels.sum()
    assert evaluation.pair.accuracy.value == (decided == pairs.labels).mean()
    assert evaluation.pair.threshold == detector.calibration.threshold


def test_names_are_told_by_their_capital_letters(encoder, calibration):
    detector = Detector(encoder, calibration, "hashing", Guards(-1.0))
    asked = [(f"what is the very best capital of {a}", f"what is the very best capital of {b}") for a, b in NAMES]
    pairs = QuestionPairs.from_columns(*zip(*asked, strict=True), [True, False, False])
    assert detector.predict(pairs).tolist() == [True, False, True]
    assert evaluate(detector, pairs).pair.accuracy.value == pytest.approx(2 / 3)


def test_intervals_hold_the_value(evaluation):
    pair = evaluation.pair
    for interval in (pair.average_precision, pair.accuracy, pair.expected_calibration_error):
        assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_the_calibration_error_has_an_interval(detector):
    pairs = labelled_pairs(200, seed=1)
    found = evaluate(detector, pairs)
    probability = detector.calibration.probability(detector.similarity(pairs))
    error = found.pair.expected_calibration_error
    assert error.value == pytest.approx(expected_calibration_error(probability, pairs.labels))
    assert 0 <= error.low < error.value < error.high <= 1
    line = f"expected calibration error  {error.value:8.4f}  [{error.low:.4f}, {error.high:.4f}]"
    assert line in str(found)


def test_recall_at_a_precision_has_an_interval(detector):
    pairs = labelled_pairs(200, seed=1)
    evaluation = evaluate(detector, pairs)
    similarity = detector.similarity(pairs)
    precision, recall, _ = precision_recall_curve(pairs.labels, similarity)
    for level, interval in (
        (0.90, evaluation.pair.recall_at_precision_90),
        (0.95, evaluation.pair.recall_at_precision_95),
    ):
        assert interval.value == pytest.approx(recall[precision >= level].max())
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert "recall at precision 0.95" in str(evaluation)


def test_neither_the_order_of_the_pairs_nor_of_their_questions_matters(detector):
    pairs = labelled_pairs(90, seed=3)
    expected = evaluate(detector, pairs)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(pairs))
        shuffled = pairs.select(order)
        assert evaluate(detector, shuffled) == expected
        assert evaluate(detector, QuestionPairs(shuffled.right, shuffled.left, shuffled.labels)) == expected


def test_the_transfer_compares_the_threshold_with_the_best_one_here(detector):
    pairs = labelled_pairs(150, seed=4)
    similarity = detector.similarity(pairs).astype(float)
    at = {cut: f1_score(pairs.labels, similarity >= cut) for cut in similarity}
    best = max(at.values())
    for threshold in (0.2, 0.7, 0.97):
        moved = detector.at(threshold=threshold)
        transfer = evaluate(moved, pairs).transfer
        assert transfer.threshold == moved.calibration.threshold
        assert transfer.f1 == pytest.approx(f1_score(pairs.labels, similarity >= threshold))
        assert transfer.best_f1 == pytest.approx(best)
        assert transfer.best_threshold == max(cut for cut, f1 in at.items() if f1 == pytest.approx(best))
        assert transfer.loss == pytest.approx(best - transfer.f1)
        assert transfer.f1_where_chosen == moved.calibration.summary()["f1"]["value"]
    assert transfer.prevalence == pairs.prevalence
    assert transfer.chosen_on == "made for the tests"
    assert not transfer.chosen_here


def test_a_threshold_from_these_very_pairs_loses_nothing(encoder):
    pairs = labelled_pairs(150, seed=4)
    transfer = evaluate(Detector.calibrate(encoder, pairs), pairs).transfer
    assert transfer.loss == 0
    assert transfer.chosen_here
    assert transfer.f1 == transfer.best_f1 == pytest.approx(transfer.f1_where_chosen)


def test_both_thresholds_and_the_loss_are_printed(evaluation):
    text, transfer = str(evaluation), evaluation.transfer
    assert f"{transfer.threshold:.4f}, the detector's   F1 {transfer.f1:.4f}" in text
    assert f"{transfer.best_threshold:.4f}, the best here    F1 {transfer.best_f1:.4f}" in text
    assert f"lost by the transfer         {transfer.loss:.4f}" in text
    assert evaluation.to_dict()["transfer"]["loss"] == transfer.loss


def test_pairs_with_different_unknown_words_are_never_accepted(calibration):
    detector = Detector(KnowsFewWords(), calibration).at(threshold=0.5)
    rows = [*PAIRS, ("m n o ?1", "m n o ?2", 0), ("m n o ?1", "m n o p ?1", 1), ("s t u v", "s t u ?3", 1)]
    pairs = QuestionPairs.from_columns(*zip(*rows, strict=True))
    evaluation = evaluate(detector, pairs)
    decisions = detector.decide(pairs)
    assert evaluation.pair.unlike == 2
    assert "2 of the pairs differ in words that the encoder does not know" in str(evaluation)
    assert evaluation.pair.accuracy.value == (decisions.duplicate == pairs.labels).mean()
    assert evaluation.pair.log_loss == pytest.approx(log_loss(pairs.labels, decisions.probability))
    # One of the duplicates is refused even where everything else is accepted.
    everything = evaluate(detector.at(threshold=-1.0), pairs)
    assert everything.pair.recall.value == 1 - 1 / pairs.labels.sum()
    assert evaluation.mining.found == len(detector.deduplicate(pairs.nodes().texts).pairs)
    assert evaluation.retrieval.queries == 11
    assert sum(part.duplicates + part.others for part in evaluation.curves.histogram) == len(pairs) - 2
    assert "2 pairs that differ in unknown words are not shown" in histogram_plot(evaluation)


def unlike_duplicates(known):
    """Duplicates that differ in unknown words, and beside them others; of the first kind `known` have none."""
    rows = []
    for number in range(40):
        words = " ".join(f"w{number}x{k}" for k in range(6))
        mark = ("?1", "?2") if number >= known else ("", "")
        rows.append((f"{words} {mark[0]}", f"{words} v{number} {mark[1]}", 1))
    rows += [(f"a{number} b{number}", f"b{number} c{number}", 0) for number in range(15)]
    return QuestionPairs.from_columns(*zip(*rows, strict=True))


class KnowsFewWords(HashingEncoder):
    def unknown_words(self, texts):
        return [tuple(sorted(word for word in set(text.split()) if word[0] == "?")) for text in texts]


def test_only_real_thresholds_are_chosen_from(calibration):
    pairs = unlike_duplicates(known=10)
    detector = Detector(KnowsFewWords(), calibration).at(threshold=0.7)
    found = evaluate(detector, pairs)
    score = detector.similarity(pairs).astype(float)
    score[10:40] = -np.inf
    at = {cut: (score >= cut) for cut in score[np.isfinite(score)]}
    best = max(f1_score(pairs.labels, accepted) for accepted in at.values())
    assert found.transfer.best_f1 == found.pair.best_f1 == pytest.approx(best)
    assert best < 0.5
    assert found.transfer.best_threshold in at
    recalls = [accepted[pairs.labels].mean() for accepted in at.values() if pairs.labels[accepted].mean() >= 0.9]
    assert found.pair.recall_at_precision_90.value == pytest.approx(max(recalls)) == 0.25
    corners = found.curves.precision_recall
    assert corners[-1][0] == 0.25
    assert found.pair.average_precision.value == pytest.approx(0.25)
    assert sum((b[0] - a[0]) * a[1] for a, b in itertools.pairwise(corners)) == pytest.approx(0.25, abs=0.01)


def test_where_no_pair_can_be_accepted_nothing_is_made_up(calibration, tmp_path):
    pairs = unlike_duplicates(known=0)
    detector = Detector(KnowsFewWords(), calibration)
    found = evaluate(detector, pairs)
    assert found.transfer.best_f1 == found.pair.average_precision.value == found.transfer.loss == 0
    assert found.curves.precision_recall == ()
    everything = evaluate(detector, QuestionPairs(pairs.left[:40], pairs.right[:40], np.arange(40) < 20))
    assert (everything.transfer.best_f1, everything.pair.roc_auc) == (0, 0.5)
    assert json.loads(json.dumps(everything.to_dict(), allow_nan=False))["transfer"]["best_threshold"] is None
    for number, evaluation in enumerate((found, everything)):
        write_plots(evaluation, tmp_path / str(number))


def test_the_shares_of_duplicates_are_told_apart(calibration, pairs):
    detector = Detector(HashingEncoder(), calibration)
    share = f"{100 * calibration.prevalence:.3g} %"
    assert f"; {share} duplicates there, 50 % here)" in str(evaluate(detector, pairs))
    rarer = evaluate(detector.at(prevalence=0.01), pairs)
    assert f"; {share} duplicates there, weighted as if 1 % were, 50 % here)" in str(rarer)
    assert (rarer.transfer.chosen_for, rarer.transfer.chosen_among) == (0.01, calibration.prevalence)


def test_a_blank_question_is_refused(detector):
    with pytest.raises(InputError, match="from_columns"):
        evaluate(detector, QuestionPairs(("a", " "), ("b", "c"), np.array([True, False])))


def test_retrieval_ranks_every_question_against_all_others(detector, pairs, evaluation):
    nodes = pairs.nodes()
    classes = [{"a b c d", "a b c e", "a b c f"}, {"x y z w", "x y z v"}, {"g h i j", "q r s t"}]
    first = []
    for query, known in ((text, c - {text}) for c in classes for text in c):
        others = [text for text in nodes.texts if text != query]
        similarity = detector.similarity([(query, other) for other in others])
        ranked = [others[i] for i in np.lexsort((np.arange(len(others)), -similarity))]
        first.append(len(known & set(ranked[:1])) / len(known))
    assert evaluation.retrieval.queries == 7
    assert evaluation.retrieval.recall_at_1 == pytest.approx(np.mean(first))
    assert evaluation.retrieval.recall_at_1 <= evaluation.retrieval.recall_at_5 <= evaluation.retrieval.recall_at_10


def test_mining_looks_at_all_pairs_of_the_pool(detector, pairs, evaluation):
    texts = pairs.nodes().texts
    everything = list(itertools.combinations(texts, 2))
    similarity = detector.similarity(everything)
    found = {pair for pair, s in zip(everything, similarity, strict=True) if s >= detector.calibration.threshold}
    true = {("a b c d", "a b c e"), ("a b c d", "a b c f"), ("a b c e", "a b c f"), ("x y z v", "x y z w")}
    true.add(("g h i j", "q r s t"))
    assert evaluation.mining.true_pairs == len(true)
    assert evaluation.mining.found == len(found)
    assert evaluation.mining.recall == len(found & true) / len(true)
    assert evaluation.mining.precision == len(found & true) / len(found)
    assert evaluation.mining.floor == MINING_FLOOR


def test_mining_that_reaches_no_duplicate_has_an_average_precision_of_0(detector):
    pairs = QuestionPairs.from_columns(["a b c d", "a b c d"], ["x y z w", "a b c e"], [1, 0])
    mining = evaluate(detector, pairs).mining
    assert (mining.found, mining.true_pairs, mining.average_precision) == (1, 1, 0)


def test_precision_falls_with_prevalence(evaluation):
    values = list(evaluation.precision_at_prevalence.values())
    assert values == sorted(values, reverse=True)


def test_no_error_among_a_few_pairs_is_no_certainty(detector):
    left = [f"{word} one two three" for word in "abcdefghij"]
    right = [f"{word} one two four" for word in "abcde"] + [f"{word} x y z" for word in "klmno"]
    evaluation = evaluate(detector, QuestionPairs.from_columns(left, right, [1] * 5 + [0] * 5))
    assert evaluation.pair.precision.value == 1
    assert np.isnan([evaluation.pair.precision.low, evaluation.pair.precision.high]).all()
    assert np.isnan(list(evaluation.precision_at_prevalence.values())).all()
    assert "1.0000  [cannot be told]" in str(evaluation)
    assert "which does not mean that none ever is" in str(evaluation)


def test_it_prints_and_becomes_json(evaluation):
    assert "Recall@1" in str(evaluation)
    assert json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))["mining"]["pool"] == evaluation.mining.pool


def test_a_threshold_that_accepts_nothing_gives_none_not_a_crash(detector, pairs):
    evaluation = evaluate(detector.at(threshold=1.0), pairs)
    assert evaluation.to_dict()["pair"]["precision"]["value"] is None
    assert str(evaluation)


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_of_label_is_refused(detector, label):
    with pytest.raises(InputError, match="Add pairs with the other label"):
        evaluate(detector, QuestionPairs.from_columns(["a", "b"], ["c", "d"], [label, label]))
    assert detector.encoder.encoded == []


def test_nothing_to_evaluate(detector, encoder, pairs):
    with pytest.raises(EmptyInputError):
        evaluate(detector, QuestionPairs.from_columns([], [], []))
    with pytest.raises(NotCalibratedError):
        evaluate(Detector(encoder), pairs)
