"""canonical(): what it undoes, and what it must not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dupdetect.text import canonical, is_blank


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
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
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


MAIL = """<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml"><head><meta charset="utf-8"><title>Ticket</title>
<style type="text/css"><!-- p { color: red } --></style></head>
<body class="x"><!-- preview text --><p class=MsoNormal>How do I <b>pay</b>?<o:p></o:p></p>
<script src="https://example.com/track.js"></script><script>var seen = 1;</script></body></html>"""


@pytest.mark.parametrize(
    "text",
    [
        MAIL,
        MAIL.replace("<", "&lt;"),
        MAIL.upper(),
        "<style>p { color: red }</style>How do I pay?",
        "How do I <!-- a comment -->pay?",
        "<!-- a > b\n--> How do I <!----> pay?<!-->",
        "<!--[if mso]><p>Outlook</p><![endif]--><!--[if !mso]><!--> How do I pay? <!--<![endif]-->",
        "<p><![if !supportLists]>How do I pay?<![endif]></p>",
        "<![CDATA[How do I <b>pay</b>?]]>",
        "<head></head>How do I pay?",
        '<head><script type="x">f(1)</script></head>How do I pay?',
    ],
)
def test_what_a_browser_does_not_show_goes(text):
    assert canonical(text) == "how do i pay"


@pytest.mark.parametrize(
    "text",
    [
        "how do i use the <style> tag",
        "what does <script> do in a page? and <head>",
        "why does <!-- hide my text",
        "settings --> privacy",
        "is <!doctype html> needed before <html>",
        'is "<!--" closed by "-->" in html',
        "does `<script>` run before `</script>` if x = 1".replace("`", "'"),
        "what is <![cdata[ for",
        "use <script> and not </script> here",
        "std::vector<header> or <style-guide> or <scripts>",
    ],
)
def test_a_mention_of_markup_swallows_nothing(text):
    assert canonical(text + "?") == text


def test_tags_that_a_sentence_names_leave_its_words():
    assert canonical("Do I close <style> in a mail with </style>?") == "do i close in a mail with"
    assert canonical("Is <head> closed before <body>, with </head>?") == "is closed before <body>, with"
    assert canonical("What is <style>? <style>p {}</style> Mine.") == "what is <style>? mine"


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "\x00\t\n", "\u00a0", "<br>", "&nbsp;"])
def test_nothing_to_read_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["?", "...", "!!!", "\u061f"])
def test_a_text_of_punctuation_is_not_blank(text):
    assert not is_blank(text)


@given(st.text("aB1 .?!:'\"`&;<>/#xp\t", max_size=30))
def test_plain_texts_have_the_form_that_they_have_beside_an_invisible_character(text):
    """Texts of plain characters alone take a short cut."""
    assert canonical(text) == canonical(f"\u200b{text}")


@given(st.text(max_size=60))
def test_the_form_of_a_form_is_itself(text):
    assert canonical(canonical(text)) == canonical(text)


@given(
    st.lists(st.sampled_from(["&", "amp;", "lt;", "gt;", "<", ">", "br", "b", "/", "a", " ", "#39;", "\u0130", "?"]))
)
def test_nested_markup_settles(parts):
    text = "".join(parts)
    assert canonical(canonical(text)) == canonical(text)


HIDDEN = ["<style>", "</style>", "<script ", "</SCRIPT>", "<head>", "</head>", "<!--", "-->", "<![CDATA[", "]]>"]


@given(
    st.lists(st.sampled_from([*HIDDEN, "<!doctype x>", "<![if ", "<meta ", "{", "=", "'", "`", ">", "&lt;", "b", " "]))
)
def test_hidden_markup_settles(parts):
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
    "marks of two marks": "a" + "\u0f73" * 50_000,
    "a large number": "&#" + "1" * 100_000 + ";",
    "many zeros": "&#" + "0" * 9_999 + "65;",
    "long": "a" * 10**6,
    "open styles": "<style>" * 50_000,
    "styles and scripts": "<style><script>" * 50_000 + "</style>",
    "open heads": "<head>" * 50_000 + "</head>",
    "attributes of style": "<style " * 50_000,
    "ends of style": "<style></style" * 50_000,
    "named styles": "<style> a </style>" * 50_000,
    "nested styles": "<style>{" * 50_000 + "</style>" * 50_000,
    "metadata": "<head><meta " * 50_000 + "</head>",
    "open comments": "<!--" * 50_000,
    "comments open before one end": "<!-- " * 50_000 + "-->",
    "quoted comments": "<!--'" * 50_000 + "-->",
    "open sections": "<![CDATA[" * 50_000 + "]]>",
    "open conditions": "<![if " * 50_000,
    "document types": "<!doctype " * 50_000 + "</b>",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_take_no_more_than_linear_time(text):
    start = time.process_time()  # of this process: other work on the machine does not count
    form = canonical(text)
    assert time.process_time() - start < 5
    assert canonical(form) == form
