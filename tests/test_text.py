"""canonical(): what it undoes, and what it must not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dupdetect.text import canonical, is_blank, unique_canonical


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("How do I pay?", "how do i pay"),
        ("  How\tdo \n I\u00a0pay ?! ", "how do i pay"),
        ("HOW DO I PAY", "how do i pay"),
        ("Tom &amp; Jerry&#39;s", "tom & jerry's"),
        ("Tom &amp;amp; Jerry", "tom & jerry"),
        ("Hello<br>there<br/>you", "hello there you"),
        ("<p class='x'>Hello</p>", "hello"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("it\u2019s \u201cfine\u201d \u2013 really\u2026", 'it\'s "fine" - really'),
        ("cafe\u0301", "caf\u00e9"),
        ("pass\u200bword \ufeffreset\u00ad", "password reset"),
        ("\u200fمرحبا\u200e؟", "مرحبا"),
        ("a\x00b", "a b"),
        ("Straße", "straße"),
        ("❤️ it", "❤ it"),
        ("どうすれば？", "どうすれば"),
    ],
)
def test_what_programs_and_keyboards_did_is_undone(text, form):
    assert canonical(text) == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("error 403", "error 404"),
        ("List<String> sort", "List<Integer> sort"),
        ("area in m\u00b2", "area in m2"),
        ("a < b and c > d", "a d"),
        ("resume", "resum\u00e9"),
        ("enable 2fa", "disable 2fa"),
        ("3.1 mm", "31 mm"),
        ("C", "C++"),
        ("yes, or no", "yes or no"),
        ("-5 degrees", "5 degrees"),
        ("What does <ol> do in HTML?", "What does <ul> do in HTML?"),
        ("List<A> sort", "List<B> sort"),
        ("if a<b c>d", "if a<b or e>d"),
        ("Masse", "Maße"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\U0001f3f4"),
    ],
)
def test_what_carries_meaning_stays(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "\x00\t\n", "\u00a0", "<br>", "&nbsp;"])
def test_nothing_to_read_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["?", "...", "!!!", "\u061f"])
def test_a_text_of_punctuation_is_not_blank(text):
    assert not is_blank(text)


@given(st.text(max_size=60))
def test_the_form_of_a_form_is_itself(text):
    assert canonical(canonical(text)) == canonical(text)


@given(
    st.lists(st.sampled_from(["&", "amp;", "lt;", "gt;", "<", ">", "br", "b", "/", "a", " ", "#39;", "\u0130", "?"]))
)
def test_nested_markup_settles(parts):
    text = "".join(parts)
    assert canonical(canonical(text)) == canonical(text)


@given(st.text(max_size=40), st.text(alphabet=" \t\n\u00a0", max_size=5))
def test_case_and_white_space_around_do_not_matter(text, space):
    assert canonical(space + text + space) == canonical(text)


HOSTILE = {
    "escaped ampersands": "a &" + "amp;" * 50_000 + "lt; b",
    "numeric ampersands": "&" + "#38;" * 50_000,
    "open brackets": "<" * 100_000,
    "open tags": "<b" * 50_000,
    "attributes": "<b " * 50_000,
    "nested tags": "<b" * 50_000 + ">" * 50_000,
    "nested paragraphs": "<p" * 50_000 + ">" * 50_000,
    "combining marks": "a" + "\u0301\u0316" * 50_000,
    "a large number": "&#" + "1" * 100_000 + ";",
    "many zeros": "&#" + "0" * 9_999 + "65;",
    "long": "a" * 10**6,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_take_no_more_than_linear_time(text):
    start = time.perf_counter()
    form = canonical(text)
    assert time.perf_counter() - start < 5
    assert canonical(form) == form


@given(st.lists(st.text(max_size=5)))
def test_unique_forms_do_not_depend_on_order(texts):
    forms, slots = unique_canonical(texts)
    assert forms == sorted(set(forms))
    assert [forms[slot] for slot in slots] == [canonical(text) for text in texts]
    assert unique_canonical(texts[::-1])[0] == forms
