"""The detector on a small encoder: what each answer promises, whatever the rows and their order."""

import copy
import dataclasses
import itertools
import pickle
import random
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dupdetect import Detector, MaxF1, QuestionIndex, QuestionPairs, split_pairs
from dupdetect.errors import (
    ArtifactError,
    CalibrationError,
    EmptyInputError,
    EncoderMismatchError,
    InputError,
    NotCalibratedError,
)
from dupdetect.review.candidates import pair_key
from dupdetect.text import canonical

WORDS = ["reset", "my", "password", "invoice", "late", "refund", "camera", "offline", "two", "three"]
KEEPS = ["first", "last", "longest", "medoid"]
texts_of_words = st.lists(
    st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join) | st.sampled_from(["Reset my PASSWORD?", " ", "?"]),
    max_size=14,
)


# Pairs


def test_similarity_is_symmetric_and_one_for_the_same_text(detector):
    forward = detector.similarity([("reset my password", "password lost"), ("A b", "a  B?"), ("", "")])
    backward = detector.similarity([("password lost", "reset my password"), ("a  B?", "A b"), ("", "")])
    assert forward.dtype == np.float32
    assert (forward == backward).all()
    assert forward[1] == 1.0
    assert forward[2] == 0.0


def test_a_similarity_does_not_depend_on_its_company(detector):
    pair = ("reset my password", "my invoice is late")
    alone = detector.similarity([pair])[0]
    crowd = detector.similarity([(f"w{i} a", f"w{i} b c") for i in range(50)] + [pair])[-1]
    assert alone == crowd


def test_probabilities_rise_with_similarity_and_sum_to_one(detector):
    pairs = [("a b c d", other) for other in ("a b c d", "a b c x", "a b x y", "a x y z", "w x y z")]
    probability = detector.predict_proba(pairs)
    assert probability.shape == (5, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    order = np.argsort(detector.similarity(pairs))
    assert (np.diff(probability[order, 1]) >= 0).all()


def test_predict_is_the_threshold_on_similarity_and_never_a_blank(detector):
    pairs = [("a b c", "a b c"), ("a b c", "x y z"), ("", ""), (" ", "a")]
    assert detector.predict(pairs).tolist() == [True, False, False, False]
    assert detector.at(threshold=-0.9).predict(pairs).tolist() == [True, True, False, False]


def test_one_definition_of_the_probability(detector):
    pairs = [("How do I pay?", "how do I pay"), ("", "a")]
    assert detector.predict_proba(pairs)[:, 1].tolist() == [1.0, 0.0]
    assert detector.at(prevalence=0.001).explain(*pairs[0]).probability == 1.0
    assert "a text is blank" in str(detector.at(threshold=-1.0).explain("", "x"))


def test_pairs_may_come_in_any_iterable(detector, pairs):
    expected = detector.similarity([("a b", "a c"), ("x", "y")])
    assert (detector.similarity(zip(["a b", "x"], ["a c", "y"], strict=True)) == expected).all()
    assert (detector.similarity(np.array([["a b", "a c"], ["x", "y"]])) == expected).all()
    assert len(detector.similarity(pairs)) == len(pairs)


@pytest.mark.parametrize("bad", [None, 3, "ab"])
def test_what_is_no_list_of_pairs_is_refused(detector, bad):
    with pytest.raises(InputError, match="list of pairs"):
        detector.similarity(bad)


def test_no_pairs(detector):
    assert detector.similarity([]).shape == (0,)
    assert detector.predict_proba([]).shape == (0, 2)
    assert detector.predict([]).shape == (0,)


@pytest.mark.parametrize("bad", [["ab"], [("a",)], [("a", None)], [("a", "b", "c")]])
def test_what_is_not_a_pair_is_refused(detector, bad):
    with pytest.raises(InputError, match=r"pairs\[0\]"):
        detector.similarity(bad)


def test_explain_names_the_words(detector):
    explanation = detector.explain("Reset my password", "Reset your password!")
    assert explanation.shared == ("reset", "password")
    assert explanation.only_left == ("my",)
    assert explanation.only_right == ("your",)
    assert not explanation.same_text
    assert "threshold" in str(explanation)
    assert detector.explain("Hi", "hi!").same_text


# Operating points


def test_at_gives_a_new_detector(detector):
    strict = detector.at(threshold=0.95)
    assert (detector.calibration.threshold, strict.calibration.threshold) == (0.7, 0.95)


def test_the_confidence_of_a_certified_precision_can_be_chosen(detector):
    usual, careful = detector.at(min_precision=0.5), detector.at(min_precision=0.5, confidence=0.999)
    assert usual.calibration.criterion.confidence == 0.95
    assert careful.calibration == detector.calibration.at(min_precision=0.5, confidence=0.999)
    assert careful.calibration.threshold > usual.calibration.threshold


def test_without_calibration_there_is_no_decision(encoder):
    bare = Detector(encoder)
    assert bare.similarity([("a b", "a b")])[0] == 1.0
    for call in (
        lambda: bare.predict([("a", "b")]),
        lambda: bare.predict_proba([("a", "b")]),
        lambda: bare.deduplicate(["a"]),
        lambda: bare.match(["a"], ["a"]),
        lambda: bare.at(threshold=0.5),
    ):
        with pytest.raises(NotCalibratedError, match="dupdetect calibrate"):
            call()


def test_a_calibration_belongs_to_one_encoder(encoder, calibration):
    encoder.fingerprint = "test:another"
    with pytest.raises(EncoderMismatchError, match="calibrate again"):
        Detector(encoder, calibration)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows * 7, "length 7"),
        (lambda rows: rows[:-1], "rows for"),
        (lambda rows: rows[:, 0], "two dimensions"),
        (lambda rows: rows * np.nan, "length nan"),
    ],
)
def test_what_an_encoder_returns_is_checked(encoder, pairs, spoil, message):
    class Spoilt(type(encoder)):
        def encode(self, texts, *, progress=None):
            return spoil(super().encode(texts, progress=progress))

    with pytest.raises(InputError, match=message):
        Detector.calibrate(Spoilt(), pairs)


def test_labelled_pairs_are_asked_for(encoder):
    for call in (lambda: Detector.calibrate(encoder, [("a", "b", 1)]), lambda: split_pairs([("a", "b", 1)])):
        with pytest.raises(InputError, match=r"QuestionPairs\.from_columns"):
            call()


def test_a_criterion_is_asked_for(encoder, pairs):
    with pytest.raises(InputError, match=r"Pass MaxF1\(\)"):
        Detector.calibrate(encoder, pairs, criterion=MaxF1)


@pytest.mark.parametrize(
    "point",
    [{"threshold": 2}, {"threshold": "0.8"}, {"min_precision": "0.9"}, {"prevalence": "x"}, {"confidence": 0.9}],
)
def test_operating_points_are_checked(detector, point):
    with pytest.raises(InputError):
        detector.at(**point)


def test_too_few_labels(encoder, pairs):
    with pytest.raises(CalibrationError, match="Too few"):
        Detector.calibrate(encoder, pairs.select(np.arange(12)))


# Collections: the promises, on anything


def check(detector, texts, result):
    """Every promise of `deduplicate`, against brute force over all pairs of rows."""
    forms = [canonical(text) for text in texts]
    everything = list(itertools.combinations(range(len(texts)), 2))
    similarity = detector.similarity([(texts[i], texts[j]) for i, j in everything])
    expected = {
        pair: float(s)
        for pair, s in zip(everything, similarity, strict=True)
        if float(s) >= result.threshold and forms[pair[0]] and forms[pair[1]]
    }
    assert {(i, j): s for i, j, s in result.row_pairs()} == expected
    kept = result.kept
    for row, survivor in enumerate(result.duplicate_of.tolist()):
        if kept[row]:
            assert survivor == -1
            assert np.isnan(result.similarity[row])
            assert np.isnan(result.probability[row])
        else:
            assert kept[survivor]
            assert expected[min(row, survivor), max(row, survivor)] == result.similarity[row]
            assert result.cluster_id[row] == result.cluster_id[survivor]
            assert 0 < result.probability[row] <= 1
    assert not any(kept[i] and kept[j] for i, j in expected)
    for i, j in expected:
        assert result.cluster_id[i] == result.cluster_id[j]
    counts = result.counts
    assert counts["rows"] == len(texts) == counts["kept"] + counts["removed"]
    assert counts["rows"] == counts["blank"] + counts["distinct_texts"] + counts["repeats_of_a_text"]
    assert sorted(row for cluster in result.clusters for row in cluster.rows) == [
        row for row, size in enumerate(np.bincount(result.cluster_id)[result.cluster_id]) if size > 1
    ]
    sizes = [len(cluster.rows) for cluster in result.clusters]
    assert sizes == sorted(sizes, reverse=True)


anything = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anything
@given(texts=texts_of_words, keep=st.sampled_from(KEEPS), threshold=st.sampled_from([0.3, 0.6, 0.8, 1.0]))
def test_no_missed_pair_and_no_orphan(detector, texts, keep, threshold):
    detector = detector.at(threshold=threshold)
    check(detector, texts, detector.deduplicate(texts, keep=keep))


@anything
@given(texts=texts_of_words, keep=st.sampled_from(["longest", "medoid"]), seed=st.integers(0, 100))
def test_shuffling_the_rows_changes_nothing(detector, texts, keep, seed):
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    plain = detector.deduplicate(texts, keep=keep)
    shuffled = detector.deduplicate([texts[row] for row in order], keep=keep)

    def outcome(result, text_at):
        return sorted(
            (text_at(row), text_at(survivor) if survivor >= 0 else "", bool(kept), str(similarity))
            for row, (survivor, kept, similarity) in enumerate(
                zip(result.duplicate_of.tolist(), result.kept, result.similarity, strict=True)
            )
        )

    assert outcome(plain, lambda row: texts[row]) == outcome(shuffled, lambda row: texts[order[row]])
    by_text = sorted((texts[row], plain.cluster_id[row]) for row in range(len(texts)))
    assert by_text == sorted((texts[order[row]], shuffled.cluster_id[row]) for row in range(len(texts)))


@pytest.mark.parametrize("keep", ["longest", "medoid", "max:votes"])
def test_blank_rows_are_numbered_by_their_content(detector, keep):
    rows = [("", "3"), ("reset my password", "1"), ("", "2"), (" ", "3"), ("\u200b", "7")]
    numbers = set()
    for order in itertools.permutations(rows):
        frame = {"text": [text for text, _ in order], "votes": [votes for _, votes in order]}
        result = detector.deduplicate(frame, text="text", keep=keep)
        numbers.add(tuple(sorted(zip(order, result.cluster_id.tolist(), strict=True))))
    assert len(numbers) == 1


@anything
@given(texts=texts_of_words)
def test_first_and_last_mirror_each_other(detector, texts):
    first = detector.deduplicate(texts, keep="first").kept
    last = detector.deduplicate(texts[::-1], keep="last").kept
    assert first.tolist() == last[::-1].tolist()


def test_every_text_is_encoded_once(detector, encoder):
    detector.deduplicate(["a b", "A b?", "c d", "", "a  b"])
    assert sorted(encoder.encoded) == ["a b", "c d"]


def test_ten_thousand_identical_rows_make_no_square(detector):
    result = detector.deduplicate(["Help me"] * 10_000)
    assert result.counts["kept"] == 1
    assert len(result.pairs) == 9_999
    assert (result.similarity[1:] == 1).all()


def test_empty_and_single(detector):
    assert len(detector.deduplicate([])) == 0
    assert detector.deduplicate([]).counts["largest_cluster"] == 0
    assert detector.deduplicate(["a"]).kept.tolist() == [True]


def test_blank_rows_are_kept_and_counted(detector):
    result = detector.deduplicate(["", "  ", "\u200b", "a"])
    assert result.kept.all()
    assert result.counts["blank"] == 3
    assert len(set(result.cluster_id.tolist())) == 4


def test_long_texts_are_counted_and_said(detector):
    long = " ".join(f"w{i}" for i in range(60))
    result = detector.deduplicate([long, long, "short"])
    assert result.run["truncated_rows"] == 2
    assert any("2 rows have texts longer" in note for note in result.notes)


def test_match_says_how_many_known_questions_it_cannot_name(detector):
    known = ["a b c", "A b c", "d e f", "", " "]
    assert detector.match(["a b c"], known).notes == (
        "Known questions: 1 row has the text of an earlier row; a match names the first row with its text.",
    )
    assert detector.match(["a b c"], ["a b c", "d e f"]).notes == ()


def test_what_a_lower_precision_is_said_to_take_it_takes(detector):
    """Also where pairs are read in part, tie, or were confirmed, and whatever was asked for."""
    long = " ".join(f"w{i}" for i in range(60))
    texts = [f"{long} cancel", f"{long} keep"]
    for n, others in enumerate([1] * 3 + [2] * 10):
        shared = [f"{letter}{n}" for letter in "abcdefgh"[others:]]
        texts += [" ".join([*shared, *(f"x{n}{m}{i}" for i in range(others))]) for m in range(3)]
    every = detector.deduplicate(texts, estimated_precision=0.99)
    confirmed = frozenset(list(every.candidates.key)[:3])
    for keys in (frozenset(), confirmed):
        taken = {
            precision: (~result.pairs.same_text).sum()
            for precision in (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
            for result in [detector.deduplicate(texts, estimated_precision=precision, confirmed=keys)]
        }
        assert taken[0.8] > taken[0.9] > taken[0.95]
        for precision in taken:
            result = detector.deduplicate(texts, estimated_precision=precision, confirmed=keys)
            more = result.run["more_at_lower_precision"]
            assert more == {f"{p:g}": taken[p] - taken[precision] for p in taken if p < precision}
            said = [f"{count} at {p}" for p, count in more.items() if count]
            assert all(part in result.possible_pairs() for part in said)
            assert ("A lower" in result.possible_pairs()) == bool(said)


def test_what_was_read_in_part_is_never_sure(detector):
    long = [f"w{i}" for i in range(60)]
    ends = [" ".join(long), " ".join([*long, "cancel", "it"])]
    whole = [" ".join(f"v{i}" for i in range(40)), " ".join([*(f"v{i}" for i in range(40)), "please"])]
    result = detector.deduplicate([*ends, *whole, "short"], estimated_precision=0.9)
    assert result.kept.tolist() == [True, True, True, False, True]
    # It looks as sure as the other pair, and is as likely as the last of the possible ones.
    assert (result.possible.left[-1], result.possible.right[-1]) == (0, 1)
    least = detector.calibration.probability(np.float32([detector.calibration.threshold]))
    assert result.possible.probability[-1] == pytest.approx(least[0])
    assert result.run["pairs_read_in_part"] == 1
    assert any(note.startswith("1 pair that looks like duplicates, with a text longer") for note in result.notes)
    # Nor where there is no other pair, and the detector's own threshold would do for the precision.
    low = detector.calibration.probability(np.float32(detector.calibration.threshold)) * 0.9
    for others in ([], ["x y z", "u v"]):
        alone = detector.deduplicate([*ends, *others], estimated_precision=float(low))
        assert alone.kept.all()
        assert len(alone.possible) == 1 == alone.run["pairs_read_in_part"]
    # Whoever asks for all that reach the threshold, or confirms the pair, gets it.
    key = pair_key(*map(canonical, ends))
    for options in ({}, {"estimated_precision": 0.9, "confirmed": {key}}):
        assert detector.deduplicate([*ends, *whole, "short"], **options).kept.tolist() == [
            True,
            False,
            True,
            False,
            True,
        ]


def test_pairs_of_nothing_but_blanks_are_decided(detector):
    for pairs in ([("", "")], [("", " "), ("\u200b", "")]):
        assert not detector.predict(pairs).any()
        assert (detector.predict_proba(pairs)[:, 1] == 0).all()
    assert detector.explain("", " ").duplicate is False


# Saving


def test_an_operating_point_from_numpy_can_be_saved(tmp_path):
    detector = Detector.from_pretrained().at(threshold=np.float32(0.7), prevalence=np.float32(0.1))
    loaded = Detector.from_pretrained(detector.save_pretrained(tmp_path / "d"))
    assert loaded.calibration == detector.calibration
    detector.deduplicate(["a b", "a c"]).write(tmp_path / "out")


def test_a_callers_encoder_cannot_be_saved_silently_wrong(detector, tmp_path):
    with pytest.raises(ArtifactError, match="HashingEncoder"):
        detector.save_pretrained(tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_the_shipped_detector_can_be_copied_and_sent_to_another_process():
    detector = Detector.from_pretrained()
    pair = [("how do i pay", "how can i pay")]
    for copied in (copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))):  # noqa: S301 - our own bytes
        assert copied.encoder.fingerprint == detector.encoder.fingerprint
        assert copied.similarity(pair) == detector.similarity(pair)


@pytest.mark.parametrize("path", ["./nope", "../nope", "/nope/nope", "nope/nope/nope", "~/nope"])
def test_a_path_that_is_not_there_is_not_taken_for_a_hub_name(path):
    with pytest.raises(ArtifactError, match="not a detector folder"):
        Detector.from_pretrained(path)


def test_results_cannot_be_changed(detector):
    result = detector.deduplicate(["a b", "a b"])
    for column in (result.duplicate_of, result.cluster_id, result.similarity, result.pairs.left):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_unknown_tiers():
    with pytest.raises(InputError, match="tier"):
        Detector.from_pretrained(tier="huge")
    with pytest.raises(InputError, match="Leave out 'mine'"):
        Detector.from_pretrained("mine", tier="fast")


def test_a_threshold_for_one_file_is_not_saved(detector, tmp_path):
    result = detector.deduplicate(["a b c d e f g h", "a b c d e f g h i"], estimated_precision=0.8)
    one = dataclasses.replace(detector, calibration=result.calibration)
    with pytest.raises(CalibrationError, match=r"save detector\.at\(threshold=0\."):
        one.save_pretrained(tmp_path / "saved")
    with pytest.raises(CalibrationError, match="promises nothing for others"):
        QuestionIndex.create(tmp_path / "index", one)
    assert not list(tmp_path.iterdir())
    assert one.at(threshold=one.calibration.threshold).calibration.threshold == one.calibration.threshold


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint8, np.int64])
def test_top_k_of_any_integer_type(detector, kind):
    found = detector.match(["a b c"], ["a b c", "a b d"], top_k=kind(100))
    assert found.top_k == 100
    assert list(found) == list(detector.match(["a b c"], ["a b c", "a b d"], top_k=100))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([], [], []), "no labelled pairs to calibrate on. Hand in"),
        ((["", "a b"], ["", "A b"], [1, 1]), "no labelled pairs to calibrate on (left out: 1 blank, 1 self pairs)."),
    ],
)
def test_nothing_to_calibrate_on(encoder, columns, said):
    with pytest.raises(EmptyInputError, match=re.escape(said)):
        Detector.calibrate(encoder, QuestionPairs.from_columns(*columns))
