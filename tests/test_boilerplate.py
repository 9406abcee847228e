"""Boilerplate: what a large part of a collection shares is left out of the comparison, and of nothing else."""

import random

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import HashingEncoder

from dupdetect import Detector
from dupdetect.boilerplate import find_boilerplate
from dupdetect.cli import cli
from dupdetect.guards import Guards
from dupdetect.text import canonical

SIGNATURE = "Kind regards\nJane Doe\nCustomer care of Northgate Partners\nPhone 555 0100"
QUESTIONS = [f"w{n} x{n} y{n} z{n}" for n in range(30)]


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


def test_short_lines_go_only_beside_long_ones():
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


def test_deduplicate_compares_what_is_left(detector):
    texts = [*signed(), "w1 x1 y1 z1 please"]
    plain = detector.deduplicate([*QUESTIONS, texts[-1]])
    whole = detector.deduplicate(texts)
    result = detector.deduplicate(texts, without_boilerplate=True)
    assert np.array_equal(result.pairs.similarity, plain.pairs.similarity)
    assert np.array_equal(result.duplicate_of, plain.duplicate_of)
    assert len(result.pairs) == 1 < len(whole.pairs)
    assert result.questions.texts == tuple(texts)
    (note,) = (note for note in result.notes if "share" in note)
    assert note.startswith(
        "30 texts are compared without their ends, which many texts share, such as 'customer care of"
    )
    (note,) = (note for note in whole.notes if "share" in note)
    assert note.startswith("30 texts have ends that many texts share, such as 'customer care of")
    assert {"sentence": "jane doe", "texts": 30} in result.run["boilerplate"] == whole.run["boilerplate"]
    assert (result.run["without_boilerplate"], whole.run["without_boilerplate"]) == (True, False)


def test_guards_see_what_is_left_out(calibration):
    phones = ["Sent from my Android phone today", "Sent from my iPhone phone today"]
    texts = [f"{question}\n{phone}" for question in QUESTIONS for phone in phones]
    detector = Detector(HashingEncoder(), calibration, "hashing", Guards(-1.0)).at(threshold=0.9)
    result = detector.deduplicate(texts, without_boilerplate=True)
    assert len(result.pairs) == 0
    assert result.ruled_out.counts()["alternatives"] == 30


def test_texts_alike_but_for_boilerplate_are_pairs_not_one_text(calibration):
    encoder = HashingEncoder()
    texts = [*signed(), QUESTIONS[3]]
    result = Detector(encoder, calibration, "hashing").deduplicate(texts, without_boilerplate=True)
    assert result.duplicate_of[30] == 3
    assert result.similarity[30] == pytest.approx(1, abs=1e-6)
    assert len(set(result.text_of.tolist())) == 31
    assert sorted(encoder.encoded) == sorted(QUESTIONS)  # each once
    assert result.run["encoded_texts"] == 30


def test_the_command_line_says_what_is_left_out(tmp_path):
    export = tmp_path / "export.csv"
    cells = "\n".join(f'"{text}"' for text in signed())
    export.write_text(f"body\n{cells}\n")
    said = CliRunner().invoke(cli, ["dedupe", str(export)])
    assert said.exit_code == 0
    assert "30 texts have ends that many texts share" in said.stderr
    said = CliRunner().invoke(cli, ["dedupe", str(export), "--without-boilerplate", "--overwrite"])
    assert said.exit_code == 0
    assert "30 texts are compared without their ends" in said.stderr
