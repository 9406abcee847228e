"""Boilerplate: what a large part of a collection ends in is left out where two texts have it in common."""

import random

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import HashingEncoder
from hypothesis import given
from hypothesis import strategies as st

from dupdetect import Detector, boilerplate
from dupdetect.cli import cli
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.guards import Guards
from dupdetect.text import canonical

SIGNATURE = "Kind regards\nJane Doe\nCustomer care of Northgate Partners\nPhone 555 0100"
QUESTIONS = [f"w{n} x{n} y{n} z{n}" for n in range(30)]


def find_boilerplate(texts):
    return boilerplate.find_boilerplate(DistinctTexts.of(list(texts)))


def signed(questions=QUESTIONS, signature=SIGNATURE):
    return [f"{question}\n\n{signature}" for question in questions]


def test_what_many_texts_share_is_left_out():
    found = find_boilerplate(signed())
    assert {sentence for sentence, _ in found.sentences} == {
        "kind regards", "jane doe", "customer care of northgate partners", "phone 555 0100"
    }  # fmt: skip
    assert {count for _, count in found.sentences} == {30}
    assert found.rest == {canonical(text): question for text, question in zip(signed(), QUESTIONS, strict=True)}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "<br>", "</p>\n<p>", "</DIV><div>", ". ", "! "])
def test_lines_end_as_programs_end_them(line_end):
    signature = line_end.join(["", "the four words here", "and five more of them"])
    found = find_boilerplate(question + signature for question in QUESTIONS)
    assert set(found.rest.values()) == set(QUESTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "How do I close my account for good? Regards, {}",  # first, and a question
        "{} is my name. How do I close my account for good?",  # a question
        "Please send me a refund for order no. {}",
        "{} is broken\nWhich device do you use it on? Android",
        "{} is broken\nThe device that I use it on: Android",  # a field of a form
        "Please answer soon if you can\n{}",  # first
    ],
)
def test_what_may_be_asked_stays(text):
    assert find_boilerplate(text.format(question) for question in QUESTIONS).rest == {}


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (signed(QUESTIONS[:19]), "too few texts"),
        (signed() + [f"other text number {n}" for n in range(1500)], "too small a share of them"),
        (signed(signature="Thanks a lot"), "too short to matter"),
        ([f"how do i open the door of house {n}" for n in range(50)], "no sentence of its own"),
        ([SIGNATURE] * 50, "one text fifty times"),
        ([], "no texts"),
        (["", " ", "<br>"] * 30, "blank texts"),
    ],
)
def test_what_is_left_alone(texts, why):
    assert find_boilerplate(texts).sentences == (), why
    assert find_boilerplate(texts).notes(left_out=True) == ()


def test_twenty_texts_are_enough_and_two_percent_are_needed():
    others = [f"other text number {n}" for n in range(980)]
    assert len(find_boilerplate(signed(QUESTIONS[:20]) + others).rest) == 20
    assert find_boilerplate([*signed(QUESTIONS[:20]), *others, "one more"]).rest == {}


def test_a_text_of_nothing_else_stays_whole():
    found = find_boilerplate([*signed(), SIGNATURE, "Customer care of Northgate Partners"])
    assert canonical(SIGNATURE) not in found.rest
    assert len(found.rest) == 30


def test_short_lines_go_where_there_are_several():
    signature = "Best regards,\nSandra Doe\nNorthgate Support Team"
    found = find_boilerplate(signed(signature=signature))
    assert found.rest == {canonical(f"{question} {signature}"): question for question in QUESTIONS}


def test_short_lines_go_beside_long_ones():
    texts = [f"Hello\n{question}\nJane Doe\nCustomer care of Northgate Partners\nBye" for question in QUESTIONS]
    assert find_boilerplate(texts).rest[canonical(texts[0])] == f"hello {QUESTIONS[0]}"


def test_the_order_of_rows_and_repeated_rows_mean_nothing():
    texts = signed() + [text.replace("\n", " ").upper() for text in signed()]  # equal forms, with lines and without
    assert len(find_boilerplate(texts).rest) == 30
    shuffled = [*texts, *texts[::3]]
    random.Random(1).shuffle(shuffled)
    one, other = find_boilerplate(texts), find_boilerplate(shuffled)
    assert (one.sentences, one.rest) == (other.sentences, other.rest)


def test_the_rest_is_canonical_and_never_blank():
    rng = random.Random(2)
    pieces = ["Sent from my small phone.", "One two three four!", "Why?", "...", "<b>a</b>", "-- ", "\u2424", "Ä ß"]
    texts = ["\n".join(rng.choice([*pieces, f"q{n}"]) for _ in range(rng.randint(1, 5))) for n in range(400)]
    found = find_boilerplate(texts)
    assert len(found.rest) > 20
    assert all(rest and canonical(rest) == rest != form for form, rest in found.rest.items())


@given(st.lists(st.text("aB.?! x:`&<", min_size=1, max_size=12), max_size=4))
def test_plain_texts_have_the_ends_that_they_have_beside_an_invisible_character(pieces):
    """Texts of plain characters alone take a short cut."""
    texts = [f"{' '.join(pieces)} {question}. Kind regards from all of us." for question in QUESTIONS]
    assert find_boilerplate(texts) == find_boilerplate([f"\u200b{text}" for text in texts])


def test_ends_are_equal_where_what_is_left_out_is():
    texts = [*signed(), *signed([f"{question} too" for question in QUESTIONS], "Bye\nSent from my small phone")]
    found = find_boilerplate(texts)
    assert found.end.keys() == found.rest.keys() == {canonical(text) for text in texts}
    assert set(found.end.values()) == {
        ("kind regards", "jane doe", "customer care of northgate partners", "phone 555 0100"),
        ("bye", "sent from my small phone"),
    }
    form = canonical(texts[0])
    assert found.before[form] == (QUESTIONS[0], found.end[form])


def test_two_texts_with_the_same_end_are_compared_by_what_stands_before_it(detector):
    texts = [*signed(), *signed(["w1 x1 y1 z1 please"])]
    plain = detector.deduplicate([*QUESTIONS, "w1 x1 y1 z1 please"])
    whole = detector.deduplicate(texts, without_boilerplate=False)
    result = detector.deduplicate(texts)
    assert np.array_equal(result.pairs.similarity, plain.pairs.similarity)
    assert np.array_equal(result.duplicate_of, plain.duplicate_of)
    assert len(result.pairs) == 1 < len(whole.pairs)
    assert result.questions.texts == tuple(texts)
    (note,) = (note for note in result.notes if "share" in note)
    assert note.startswith("31 texts have ends that many texts share, such as 'customer care of")
    assert note.endswith("Two with the same end are compared by what stands before it, all others as wholes.")
    (note,) = (note for note in whole.notes if "share" in note)
    assert note.endswith("are compared as wholes. Different questions above one long signature look alike then.")
    assert {"sentence": "jane doe", "texts": 31} in result.run["boilerplate"] == whole.run["boilerplate"]
    assert (result.run["without_boilerplate"], whole.run["without_boilerplate"]) == (True, False)


def test_an_end_that_is_what_is_asked_tells_texts_apart(calibration):
    """Two requests below each of thirty texts: what stands before them is the same, and all that is the same."""
    requests = ["Please cancel the plan that I have", "Kindly send me an invoice for last year"]
    texts = [f"{question}. {request}." for question in QUESTIONS for request in requests]
    detector = Detector(HashingEncoder(), calibration, "hashing").at(threshold=0.75)
    assert len(find_boilerplate(texts).rest) == 60
    result = detector.deduplicate(texts)
    whole = detector.deduplicate(texts, without_boilerplate=False)
    assert result.kept.all()
    assert not whole.kept.all()  # alike by their requests


def test_a_text_with_an_end_and_one_without_are_compared_as_wholes(detector):
    texts = [*signed(), QUESTIONS[3]]
    result, whole = (detector.at(threshold=-1).deduplicate(texts, without_boilerplate=on) for on in (True, False))
    found, expected = ({(p.left, p.right): p.similarity for p in one.pairs} for one in (result, whole))
    assert found.keys() == expected.keys()
    assert {pair for pair in found if found[pair] == expected[pair]} == {(row, 30) for row in range(30)}


def test_each_text_is_encoded_once_or_twice(calibration):
    encoder = HashingEncoder()
    texts = [*signed(), QUESTIONS[3], "no end at all"]
    result = Detector(encoder, calibration, "hashing").deduplicate(texts)
    expected = [*(canonical(text) for text in signed()), *QUESTIONS, "no end at all"]
    assert sorted(encoder.encoded) == sorted(expected)
    assert result.run["encoded_texts"] == len(expected)
    assert len(set(result.text_of.tolist())) == 32


def test_an_end_that_no_other_text_has_is_encoded_with_its_text_alone(calibration):
    """Its sentences are shared by many, and it has more of them than any other."""
    encoder = HashingEncoder()
    texts = [
        *signed(),
        *signed([f"{q} too" for q in QUESTIONS], "Sent from my small phone"),
        "a\nSent from my small phone",
    ]
    texts[-1] += f"\n{SIGNATURE}"
    assert canonical(texts[-1]) in find_boilerplate(texts).rest
    Detector(encoder, calibration, "hashing").deduplicate(texts)
    assert len(encoder.encoded) == 60 + 61
    assert "a" not in encoder.encoded


def test_guards_see_what_two_texts_are_compared_by(calibration):
    phones = ["Sent from my Android phone today", "Sent from my iPhone phone today"]
    texts = [f"{question}\n{phone}" for question in QUESTIONS for phone in phones]
    detector = Detector(HashingEncoder(), calibration, "hashing", Guards(-1.0)).at(threshold=0.75)
    result = detector.deduplicate(texts)
    assert len(result.pairs) == 0
    assert result.ruled_out.counts()["alternatives"] == 30  # the ends differ, so guards see them
    numbered = [f"{question} opens in 7 days\nCall me within 24 hours please" for question in QUESTIONS]
    numbered += ["w1 x1 y1 z1 opens in 24 days\nCall me within 24 hours please"]
    for without in (True, False):  # the whole texts have 7 and 24, and 24
        out = detector.deduplicate(numbered, without_boilerplate=without).ruled_out
        assert ((1, 30) in zip(out.left.tolist(), out.right.tolist(), strict=True)) is without


def test_words_that_the_encoder_does_not_know_must_agree_before_the_end(calibration):
    """One text has an unknown word before the end, the other in it: as wholes they agree in it."""
    encoder = HashingEncoder()
    encoder.unknown_words = lambda texts: [
        (text,) if text == "zz" else tuple(sorted({w for w in text.split() if w.startswith("zz")})) for text in texts
    ]
    signature = "Best wishes from all of zzcorp"
    texts = [*signed(signature=signature), *signed(["w1 x1 y1 z1 zzcorp", "zz"], signature)]
    detector = Detector(encoder, calibration, "hashing").at(threshold=-1)
    result, whole = (detector.deduplicate(texts, without_boilerplate=on) for on in (True, False))
    found, expected = ({(p.left, p.right): p.similarity for p in one.pairs} for one in (result, whole))
    assert found[1, 30] == expected[1, 30]
    assert found[1, 2] < expected[1, 2]
    assert "zz" not in encoder.encoded  # without a known word
    assert not any(31 in pair for pair in found)


def test_the_pairs_to_review_have_the_scores_that_decide(detector):
    texts = [*signed(), *signed([f"{question} please" for question in QUESTIONS[::2]])]
    detector = detector.at(threshold=0.95)
    drawn = detector.deduplicate(texts).candidates
    plain = detector.deduplicate([canonical(text).removesuffix(canonical(SIGNATURE)) for text in texts]).candidates
    assert len(drawn) > 10

    def scores(some):
        return {(a, b): s for a, b, s in zip(some.left_row.tolist(), some.right_row.tolist(), some.score, strict=True)}

    assert scores(drawn) == scores(plain)


def test_the_approximate_search_compares_wholes_and_says_so(detector):
    pytest.importorskip("faiss")
    texts = [*signed(), "w1 x1 y1 z1 please"]
    result = detector.deduplicate(texts, search="ann")
    assert any("and are compared as wholes" in note for note in result.notes)
    assert result.run["without_boilerplate"] is False
    assert list(result.pairs) == list(detector.deduplicate(texts, without_boilerplate=False).pairs)


def test_the_command_line_says_what_is_left_out(tmp_path):
    export = tmp_path / "export.csv"
    cells = "\n".join(f'"{text}"' for text in signed())
    export.write_text(f"body\n{cells}\n")
    said = CliRunner().invoke(cli, ["dedupe", str(export)])
    assert said.exit_code == 0
    assert "Two with the same end are compared by what stands before it" in said.stderr
    said = CliRunner().invoke(cli, ["dedupe", str(export), "--with-boilerplate", "--overwrite"])
    assert said.exit_code == 0
    assert "30 texts have ends that many texts share" in said.stderr
    assert "are compared as wholes. Different questions" in said.stderr
