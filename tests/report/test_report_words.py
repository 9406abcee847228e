"""Differing words: what is marked is what the other text does not have, and nothing of a text is lost or changed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_up_questions import unhurried

from dupdetect.report.words import LONGEST_TEXT, only_in, shown_text

WORDS = ("reset", "Reset", "password?", "my", "--", "ÄRGER", "ärger", "\n", "403")
texts = some.lists(some.sampled_from(WORDS)).map(" ".join)


@given(texts, texts)
@unhurried
def test_pieces_make_up_the_text_and_marked_words_are_not_in_the_other(text, other):
    shown = shown_text(text, other)
    assert "".join(piece for piece, _ in shown.pieces).split() == text.split()
    bare = {word.casefold().strip("?-") for word in other.split()}
    for piece, marked in shown.pieces:
        words = {word.casefold().strip("?-") for word in piece.split()} - {""}
        if marked:
            assert not words & bare
        elif bare & {word.casefold().strip("?-") for word in text.split()} - {""}:
            assert words <= bare
    assert set(only_in(text, other)) <= {word.casefold().strip("?-") for word in text.split()} - bare


def test_neighbouring_marked_words_are_one_piece():
    assert shown_text("turn on the light now", "turn the light").pieces == (
        ("turn ", False),
        ("on", True),
        (" the light ", False),
        ("now", True),
    )
    assert shown_text("a b c", "a").pieces == (("a ", False), ("b c", True))


def test_texts_without_a_common_word_are_not_marked():
    assert shown_text("one two", "three four").pieces == (("one two", False),)
    assert only_in("one two", "three four") == ()


def test_half_a_word_at_the_end_is_not_marked():
    text = "same " + "x" * LONGEST_TEXT
    assert shown_text(text, text).pieces == ((text[:LONGEST_TEXT], False),)
    assert shown_text(text, text).more == 5


def test_several_blank_lines_are_one():
    assert shown_text("a\r\n\n \n\n\nb").pieces == (("a\n\nb", False),)


def test_white_space_of_any_length_is_shown_in_no_time():
    for text in ("a" + " " * 200_000 + "b", "a" + " \n" * 200_000 + "b", ("a" + " " * 500) * 400):
        start = time.process_time()
        shown = shown_text(text, longest=None)
        assert time.process_time() - start < 2
        assert "".join(piece for piece, _ in shown.pieces).split() == text.split()


def marked(text, other):
    return [piece for piece, is_marked in shown_text(text, other).pieces if is_marked]


@pytest.mark.parametrize(
    ("text", "other", "differ"),
    [
        (
            "<p>How do I <b>reset</b> my password?</p><p>Thanks</p>",
            "<p>How can I <b>reset</b> my password?</p>",
            ["do", "Thanks"],
        ),
        ("List<String> of names", "List<Integer> of names", ["List<String>"]),
        ("the <video> tag", "the <audio> tag", ["<video>"]),
        ("mail to <anna@x.com> please", "mail to <bob@x.com> please", ["<anna@x.com>"]),
        ("if x < 5 and y > 2", "if x < 6 and z > 2", ["5", "y"]),
        ("I use AT&amp;T now", "I use AT&amp;T here", ["now"]),
        ("it&#39;s a foo&nbsp;bar today", "it&#39;s a foo&nbsp;bar", ["today"]),
        ("use <b>red</b> <i>ink</i> here", "use <b>blue</b> <i>pens</i> here", ["red</b> <i>ink"]),
    ],
)
def test_words_of_html_are_told_from_its_tags(text, other, differ):
    assert marked(text, other) == differ
    assert "".join(piece for piece, _ in shown_text(text, other).pieces) == text


def test_words_that_one_has_are_those_that_a_reader_sees():
    assert only_in("<p>How do I <b>reset</b> it?</p><br>Bye", "<p>How can I <b>reset</b> it?</p>") == ("do", "bye")
    assert only_in("use &lt;div&gt; here", "use &lt;span&gt; here") == ("div",)
