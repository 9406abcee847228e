"""Equal words in another order stay together."""

import pytest
from made_up_questions import HALVES, pairs_of, question

from dupdetect.splits import sketch_key, split_pairs


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
