"""Texts, each question text once."""

from hypothesis import given
from hypothesis import strategies as st

from dupdetect.distinct_texts import DistinctTexts
from dupdetect.text import canonical


def test_each_form_once_and_all_the_ways_that_it_is_written():
    found = DistinctTexts.of(["Pay?", "b", "pay", "Pay?", " ", "PAY"])
    assert found.forms == ("b", "pay")
    assert found.written == (("b",), ("Pay?", "pay", "PAY"))
    assert found.position.tolist() == [1, 0, 1, 1, -1, 1]


def test_no_texts():
    found = DistinctTexts.of([])
    assert (found.forms, found.written, found.position.tolist()) == ((), (), [])


@given(st.lists(st.text("aA. ", max_size=4)))
def test_forms_do_not_depend_on_the_order(texts):
    found = DistinctTexts.of(texts)
    forms = [canonical(text) for text in texts]
    assert list(found.forms) == sorted(set(forms) - {""})
    assert [found.forms[slot] if slot >= 0 else "" for slot in found.position.tolist()] == forms
    for form, written in zip(found.forms, found.written, strict=True):
        assert list(written) == list(dict.fromkeys(text for text in texts if canonical(text) == form))
    assert DistinctTexts.of(texts[::-1]).forms == found.forms
