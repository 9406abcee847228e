"""Words that the encoder does not know must be the same on both sides: else different texts would look the same."""

import csv
import itertools
import json
import random
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import HashingEncoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dupdetect import Detector, MaxF1, MinPrecision, MinRecall, QuestionPairs, evaluate
from dupdetect.cli import main
from dupdetect.encoder import LimitedVocabulary
from dupdetect.encoder.unknown import unknown_words
from dupdetect.errors import InputError, UnreachableCriterionError
from dupdetect.text import canonical


class ForgetfulEncoder(HashingEncoder):
    """Reads every word that begins with z as the same word, and says so."""

    def encode(self, texts, *, progress=None):
        return super().encode([" ".join(map(self.read, text.split())) for text in texts], progress=progress)

    def unknown_words(self, texts):
        found = []
        for text in texts:
            words = set(text.split())
            unknown = {word for word in words if self.read(word) != word}
            found.append((text,) if unknown == words else tuple(sorted(unknown)))
        return found

    @staticmethod
    def read(word):
        return "unknown" if word.startswith("z") else word


@pytest.fixture
def forgetful(calibration):
    return Detector(ForgetfulEncoder(), calibration, "forgetful").at(threshold=0.7)


@pytest.fixture(scope="module")
def shipped():
    return Detector.from_pretrained()


some_texts = st.lists(
    st.lists(st.sampled_from(["reset", "my", "zap", "zip", "plan", "ZAP"]), max_size=4).map(" ".join), max_size=12
)
anything = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# The words of a text


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("how are you", [(0, 3), (4, 7), (8, 11)], ()),
        ("how are you", [(0, 3), (8, 11)], ("are",)),
        ("are how are", [(4, 7)], ("are",)),
        ("b 😀 a", [(4, 5)], ("b",)),
        ("a 😀", [(0, 1)], ()),
        ("😀", [], ("😀",)),
        ("😀 密", [], ("😀 密",)),
        ("?!", [(0, 1), (1, 2)], ()),
        ("pass密word-x", [(0, 4), (5, 9), (9, 10), (10, 11)], ("pass密word",)),
        ("हिन्दी ok", [(7, 9)], ("हिन्दी",)),
        ("naïve", [(0, 5)], ()),
        ("१२ ok", [(3, 5)], ("१२",)),
        ("", [], ()),
    ],
)
def test_a_word_is_unknown_when_a_letter_or_digit_of_it_is_not_read(text, known, expected):
    assert unknown_words(text, known, len(text)) == expected


@pytest.mark.parametrize(
    ("text", "known", "unread", "expected"),
    [
        ("कुल ok", [(0, 1), (2, 3), (4, 6)], "ु", ("कुल",)),
        ("कुल ok", [(0, 1), (2, 3), (4, 6)], "", ("कुल",)),  # outside of every token, whatever the reason
        ("कुल ok", [(0, 3), (4, 6)], "", ()),
        ("かぎ ok", [(0, 1), (1, 2), (3, 5)], "ぎ", ("かぎ",)),
        ("q\u0303x ok", [(0, 1), (2, 3), (4, 6)], "\u0303", ()),
        ("क\u0303x ok", [(0, 3), (4, 6)], "\u0303", ("क\u0303x",)),
        ("an\u0336o ok", [(0, 4), (5, 7)], "\u0336", ("an\u0336o",)),
        ("a≠b ok", [(0, 1), (1, 2), (2, 3), (4, 6)], "≠", ("a≠b",)),
        ("pass\ufffdword ok", [(0, 9), (10, 12)], "\ufffd", ("pass\ufffdword",)),
        ("ok \ufffd", [(0, 2)], "", ("\ufffd",)),
        ("ok 😀\u0303", [(0, 2)], "\u0303", ()),
    ],
)
def test_a_word_is_unknown_when_a_mark_of_it_is_not_read(text, known, unread, expected):
    assert unknown_words(text, known, len(text), frozenset(unread)) == expected


def test_only_the_part_that_is_read_counts():
    assert unknown_words("ok 密码 包裹", [(0, 2)], 5) == ("密码",)


def test_the_shipped_encoder_names_the_words_it_does_not_know(shipped):
    assert isinstance(shipped.encoder, LimitedVocabulary)
    texts = [
        "how do i reset 密码, please",
        "thanks 😀",
        "😀",
        "x" * 120 + " and y",
        "a " * 300 + "密码",
        "🫠 new",
        "ok",
    ]
    assert shipped.encoder.unknown_words(texts) == [
        ("密码",),
        (),
        ("😀",),
        ("x" * 120,),
        (),  # beyond the 256 tokens that are read
        (),
        (),
    ]
    assert shipped.encoder.unknown_words([]) == []


@pytest.mark.parametrize(
    ("script", "read", "not_read"),
    [
        ("latin", "résumé mảnh naïve ångström", "an\u0336o"),
        ("greek", "ήταν", ""),
        ("cyrillic", "мой ёлка", ""),
        ("devanagari", "कल काल", "कुल"),
        ("thai", "มอ", "มือ"),
        ("arabic", "باب", "بَاب"),
        ("arabic letters with hamza", "اسم", "أين"),
        ("hebrew", "של", "שׁל"),
        ("japanese", "か", "が"),
        ("korean", "각", ""),
        ("signs", "a=b", "a≠b"),
        ("lost characters", "password", "pass\ufffdword"),
    ],
)
def test_which_marks_the_shipped_encoder_must_read(shipped, script, read, not_read):
    found = shipped.encoder.unknown_words([canonical(f"ok {read} {not_read}")])
    assert found == [tuple(canonical(not_read).split())], script


def test_the_shipped_encoder_skips_nothing_but_accents_in_silence(shipped):
    texts = [f"a{chr(code)}a" for code in range(0x300, 0x1000)]
    texts = [text for text in texts if canonical(text) == text]
    skipped = np.flatnonzero((shipped.encoder.encode(texts) == shipped.encoder.encode(["aa"])).all(axis=1))
    unknown = shipped.encoder.unknown_words(texts)
    assert len(skipped) > 300
    accents = {chr(code) for code in range(0x300, 0x370)}
    assert {texts[row][1] for row in skipped if not unknown[row]} < accents


def test_a_sentence_transformers_model_names_the_words_it_does_not_know(tmp_path):
    pytest.importorskip("sentence_transformers")
    from tiny_bert import make_tiny_bert

    from dupdetect.encoder.transformer import TransformerEncoder

    encoder = TransformerEncoder.load(make_tiny_bert(tmp_path), device="cpu")
    letters = "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k"  # 38 tokens are read
    texts = ["how do i get 密码", "密码", "please 😀", "x", f"{letters} 密 l 码", f"{letters} l 密"]
    assert encoder.unknown_words(texts) == [("密码",), ("密码",), (), (), ("密",), ()]
    assert encoder.unknown_words(["é a\u0336", "get a\ufffdb", "x"]) == [("a\u0336",), ("a\ufffdb",), ()]


def test_a_tokenizer_written_in_python_names_words_that_lose_a_mark():
    pytest.importorskip("sentence_transformers")
    from dupdetect.encoder.transformer import TransformerEncoder

    class Tokenizer:
        """Reads ASCII letters by their number, drops marks, and knows nothing else."""

        is_fast = False
        unk_token_id = 0

        def __call__(self, texts, **_):
            plain = [
                "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)) for text in texts
            ]
            return {"input_ids": [[ord(c) if c.isascii() else 0 for c in text] for text in plain]}

    encoder = TransformerEncoder.__new__(TransformerEncoder)
    encoder._model = SimpleNamespace(tokenizer=Tokenizer())
    assert encoder.unknown_words(["é a\u0336", "a密 b", "ok"]) == [("a\u0336",), ("a密 b",), ()]


# Pairs


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("密码", "包裹"),
        ("How do I reset 密码", "How do I reset 包裹"),
        ("😀", "🎉"),
        ("🫠", "🫡"),
        ("x" * 120, "y" * 120),
        ("密码", "密 码"),
        ("मेरा कुल बिल", "मेरा कल बिल"),
        ("かき", "かぎ"),
        ("is a ≠ b", "is a = b"),
        ("reset my pass\ud800word", "reset my password"),
    ],
)
def test_different_unknown_words_are_never_duplicates(shipped, a, b):
    assert shipped.similarity([(a, b)])[0] > 0.99, "it is the encoder that cannot tell them apart"
    decision = shipped.decide([(a, b)])
    assert not decision.duplicate[0]
    assert decision.probability[0] == 0
    assert decision.similarity[0] == shipped.similarity([(a, b)])[0]
    assert shipped.predict_proba([(a, b)]).tolist() == [[1.0, 0.0]]
    result = shipped.deduplicate([a, b])
    assert result.kept.all()
    assert len(result.pairs) == 0
    assert list(shipped.match([a], [b])) == [None]


def test_equal_unknown_words_leave_the_rest_to_the_similarity(shipped):
    pairs = [
        ("How do I reset 密码?", "how can I reset 密码"),
        ("密码", "密码?"),
        ("thanks, it works 😀", "Thanks it works 🎉"),
    ]
    decisions = shipped.decide(pairs)
    assert decisions.duplicate.all()
    assert decisions.probability[1] == 1
    assert decisions.notes == ()


def test_half_a_surrogate_pair_is_the_same_wherever_it_stands(shipped):
    a, b, other = "reset my pass\ud800word", "Reset my pass\udfffword", "reset my pass word"
    assert shipped.predict([(a, b), (a, other)]).tolist() == [True, False]
    assert shipped.deduplicate([a, b, other]).duplicate_of.tolist() == [-1, 0, -1]
    assert [found and found[0].row for found in shipped.match([a, other], [b])] == [0, None]
    assert shipped.explain(a, b).unknown_left == ("pass\ufffdword",)


def test_a_text_without_a_known_word_is_like_no_other(forgetful):
    assert forgetful.at(threshold=-1.0).predict(
        [("zap", "zap zap"), ("zap", "a zap"), ("a zap", "b zap")]
    ).tolist() == [
        False,
        False,
        True,
    ]


def test_explain_names_them(shipped):
    explanation = shipped.explain("How do I reset 密码", "How do I reset 包裹 😀")
    assert explanation.unknown_left == ("密码",)
    assert explanation.unknown_right == ("包裹",)
    assert explanation.guards == ("unknown words",)
    assert str(explanation).startswith("not duplicates: ruled out by unknown words (similarity 0.")
    assert "unknown in the second: 包裹" in str(explanation)
    plain = shipped.explain("How do I pay?", "How can I pay?")
    assert (plain.unknown_left, plain.unknown_right, plain.guards) == ((), (), ())
    assert "unknown" not in str(plain)
    assert "a text is blank" in str(shipped.explain("", "包裹"))


def test_encoders_that_say_nothing_of_words_read_everything(detector):
    assert not isinstance(detector.encoder, LimitedVocabulary)
    assert detector.deduplicate(["zap it", "ZAP it"]).run["unknown_word_rows"] == 0


def test_what_an_encoder_says_of_words_is_checked(calibration):
    class Short(ForgetfulEncoder):
        def unknown_words(self, texts):
            return super().unknown_words(texts)[:-1]

    with pytest.raises(InputError, match="1 rows for 2 texts"):
        Detector(Short(), calibration).similarity([("a", "b")])


# Calibration and evaluation, which are about what is decided


def pairs_half_unlike():
    """Pairs of ten words; half of the duplicates differ in a word that the encoder does not know."""
    rng = np.random.default_rng(0)
    left, right, labels = [], [], []
    for number in range(400):
        words = [f"w{number}x{k}" for k in range(9)]
        same, unlike = number % 2 == 0, number % 4 == 0
        shared = int(rng.integers(6, 9)) if same else int(rng.integers(0, 7))
        left.append(" ".join([f"z{number}a" if unlike else "known", *words]))
        other = [f"v{number}x{k}" for k in range(9 - shared)]
        right.append(" ".join([f"z{number}b" if unlike else "known", *words[:shared], *other]))
        labels.append(same)
    return QuestionPairs.from_columns(left, right, labels)


@pytest.mark.parametrize("criterion", [MaxF1(), MinPrecision(0.6), MinRecall(0.4)])
def test_a_calibration_says_what_predict_does_on_the_same_pairs(criterion):
    pairs = pairs_half_unlike()
    detector = Detector.calibrate(ForgetfulEncoder(), pairs, criterion=criterion)
    accepted, summary = detector.predict(pairs), detector.calibration.summary()
    assert summary["never_accepted"] == 100
    assert summary["precision"]["value"] == pytest.approx(pairs.labels[accepted].mean())
    assert summary["recall"]["value"] == pytest.approx(accepted[pairs.labels].mean())
    if criterion != MaxF1():
        wanted = criterion.precision if isinstance(criterion, MinPrecision) else criterion.recall
        assert summary["recall" if criterion == MinRecall(0.4) else "precision"]["value"] >= wanted
    found = evaluate(detector, pairs)
    assert (found.pair.precision.value, found.pair.recall.value) == (
        pytest.approx(summary["precision"]["value"]),
        pytest.approx(summary["recall"]["value"]),
    )
    assert found.transfer.f1_where_chosen == pytest.approx(found.pair.f1.value)
    if criterion == MaxF1():
        assert found.transfer.loss == 0


def test_a_recall_that_unknown_words_forbid_is_refused():
    with pytest.raises(UnreachableCriterionError, match=r"best available is 0\.4999\. 100 of the 200 labelled"):
        Detector.calibrate(ForgetfulEncoder(), pairs_half_unlike(), criterion=MinRecall(0.9))


def test_a_blank_text_is_accepted_at_no_threshold_of_a_calibration(forgetful):
    usable = pairs_half_unlike()
    blank = QuestionPairs((*usable.left, "a"), (*usable.right, " "), np.append(usable.labels, True))
    detector = Detector.calibrate(ForgetfulEncoder(), blank, criterion=MinRecall(0.4))
    assert detector.calibration.summary()["never_accepted"] == 101
    assert detector.calibration.link == Detector.calibrate(ForgetfulEncoder(), usable).calibration.link


# Collections, against brute force over all pairs


@anything
@given(texts=some_texts, threshold=st.sampled_from([-0.5, 0.6, 0.9]))
def test_deduplicate_finds_the_pairs_that_decide_does(forgetful, texts, threshold):
    detector = forgetful.at(threshold=threshold)
    result = detector.deduplicate(texts)
    rows = list(itertools.combinations(range(len(texts)), 2))
    decisions = detector.decide([(texts[i], texts[j]) for i, j in rows])
    expected = {
        row: similarity
        for row, similarity, duplicate in zip(
            rows, decisions.similarity.tolist(), decisions.duplicate.tolist(), strict=True
        )
        if duplicate
    }
    assert {(i, j): similarity for i, j, similarity in result.row_pairs()} == expected
    listed = [(pair.left, pair.right) for pair in result.pairs]
    assert listed == sorted(listed)
    assert result.run["unknown_word_rows"] == sum("z" in text.lower() for text in texts)


@anything
@given(texts=some_texts, seed=st.integers(0, 50))
def test_shuffling_the_rows_changes_nothing(forgetful, texts, seed):
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    plain = forgetful.deduplicate(texts, keep="longest")
    shuffled = forgetful.deduplicate([texts[row] for row in order], keep="longest")

    def clusters(result, text_at):
        return sorted(
            (cluster, text_at(row), kept, str(similarity))
            for row, (cluster, kept, similarity) in enumerate(
                zip(result.cluster_id.tolist(), result.kept.tolist(), result.similarity, strict=True)
            )
        )

    assert clusters(plain, lambda row: texts[row]) == clusters(shuffled, lambda row: texts[order[row]])
    assert plain.notes == shuffled.notes


@anything
@given(queries=some_texts, corpus=some_texts, top_k=st.integers(1, 3))
def test_match_finds_the_nearest_that_decide_accepts(forgetful, queries, corpus, top_k):
    distinct = {canonical(text): text for text in reversed(corpus) if text.strip()}
    for query, found in zip(queries, forgetful.match(queries, corpus, top_k=top_k), strict=True):
        decisions = forgetful.decide([(query, text) for text in distinct.values()])
        accepted = sorted(decisions.similarity[decisions.duplicate].tolist(), reverse=True)[:top_k]
        assert [match.similarity for match in found or ()] == accepted


def test_texts_that_are_known_keep_their_results_beside_unknown_ones(shipped):
    known = ["How do I pay?", "how can I pay", "Where is my parcel?", "where is my package"]
    alone = shipped.deduplicate(known)
    beside = shipped.deduplicate([*known, "密码", "包裹", "How do I pay 密码"])
    np.testing.assert_array_equal(beside.similarity[:4], alone.similarity)
    np.testing.assert_array_equal(beside.duplicate_of[:4], alone.duplicate_of)


def test_rows_with_unknown_words_are_counted_and_said(shipped):
    result = shipped.deduplicate(["密码", "包裹", "包裹!", "", "thanks 😀", "w" * 200 + " ok"])
    assert result.run["unknown_word_rows"] == 4
    (note,) = (note for note in result.notes if "does not know" in note)
    assert note.startswith(f"4 rows hold words that the encoder does not know, such as '{'w' * 30}...' and '包裹'.")
    matches = shipped.match(["密码", "How do I pay?"], ["包裹", "包 裹", "pay " * 300])
    assert [note.partition(" words")[0] for note in matches.notes] == [
        "Queries: 1 row holds",
        "Known questions: 1 row has texts longer than the encoder reads: they are compared by their beginning.",
        "Known questions: 2 rows hold",
    ]
    assert shipped.match(["How do I pay?"], ["pay"]).notes == ()


# The command line


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert stop.value.code == 0, captured.err
    return captured.out, captured.err


def test_the_command_line_says_so(capsys, tmp_path):
    out, _ = run(capsys, "score", "密码", "包裹")
    assert "ruled out by unknown words" in out
    assert "unknown in the first:  密码" in out

    export = tmp_path / "export.csv"
    export.write_text("id,question\n1,密码\n2,包裹\n3,How do I pay?\n", encoding="utf-8")
    _, err = run(capsys, "dedupe", export, "-o", tmp_path / "out")
    assert "Note: 2 rows hold words that the encoder does not know" in err
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["unknown_word_rows"] == 2
    assert record["counts"]["removed"] == 0
    assert "words that the encoder does not know" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    _, err = run(capsys, "match", export, "--against", export, "-o", tmp_path / "matched.csv")
    assert "Note: Queries: 2 rows hold words that the encoder does not know" in err

    numbers = range(30)
    rows = [*((f"how do i pay {n}", f"how can i pay {n}", 1) for n in numbers)]
    rows += [(f"where is parcel {n}", f"cancel plan {n}", 0) for n in numbers]
    rows += [(f"reset {n} 密码", f"reset {n} 包裹", 1) for n in numbers]
    labelled = tmp_path / "labelled.csv"
    labelled.write_text("left,right,label\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows), encoding="utf-8")
    out, _ = run(capsys, "calibrate", "default", labelled, "-o", tmp_path / "mine", "--min-recall", "0.5")
    assert "30 of the pairs are never accepted: their texts differ in words that the encoder does not know" in out
    out, _ = run(capsys, "evaluate", tmp_path / "mine", labelled, "--json")
    found = json.loads(out)["pair"]
    assert (found["unlike"], found["recall"]["value"]) == (30, 0.5)
    out, _ = run(capsys, "info", tmp_path / "mine", "--json")
    assert json.loads(out)["calibration"]["never_accepted"] == 30
    with pytest.raises(SystemExit):
        main(["calibrate", "default", str(labelled), "-o", str(tmp_path / "no"), "--min-recall", "0.9"])
    assert "30 of the 60 labelled duplicates are accepted at no threshold" in capsys.readouterr().err

    pairs = tmp_path / "pairs.csv"
    pairs.write_text("left,right\n密码,包裹\nHow do I pay?,how can I pay\n", encoding="utf-8")
    out, err = run(capsys, "score", pairs)
    assert [row["duplicate"] for row in csv.DictReader(out.splitlines())] == ["false", "true"]
    assert "Note: 1 pair differs in words that the encoder does not know, such as '包裹' and '密码'" in err


def test_unknown_words_are_named_as_what_speaks_against_a_pair(forgetful):
    pairs = [("reset my zap", "reset my zip"), ("reset my plan", "reset my plan"), ("zap", "zip")]
    found = forgetful.decide(pairs)
    assert found.guards == (("unknown words",), (), ("unknown words",))
    assert [forgetful.explain(*pair).guards for pair in pairs] == list(found.guards)
