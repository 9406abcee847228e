"""The tokenizer behind the shipped encoders: its short cut for known words gives what looking at each token gives."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import dupdetect
from dupdetect.encoder import words as taken_apart
from dupdetect.encoder.tokens import Tokens
from dupdetect.encoder.words import WordTokens

CONTENT = (Path(dupdetect.__file__).parent / "pretrained" / "tokenizer.json").read_bytes()


@pytest.fixture(scope="module")
def quick():
    return Tokens(CONTENT, max_length=16, special=True)


@pytest.fixture(scope="module")
def thorough():
    tokens = Tokens(CONTENT, max_length=16, special=True)
    tokens._all_known = re.compile("(?!)")
    return tokens


@given(st.text(st.characters(codec="ascii"), max_size=40) | st.text(max_size=20))
@example("how do i reset my password")
@example("[UNK] is not a word")
@example("a " * 30)
@example("two  spaces")
@example(" first")
@example("last ")
@example("new\nline and\ttab")
@example("nul\0")
@example("Ⅷ")
@example("a" * 100)
@example("a" * 101)
@example("ok " + "!" * 300)
def test_the_short_cut_never_differs_from_looking_at_every_token(quick, thorough, text):
    assert quick.unknown_words([text]) == thorough.unknown_words([text])


@pytest.mark.parametrize("text", ["how do i reset my password", "error 404: x@y.com (beta)?", "a " * 30 + "b"])
def test_usual_texts_take_the_short_cut(quick, text):
    assert quick._all_known.fullmatch(text)


@pytest.mark.parametrize("text", ["[CLS]", "a" * 101, "caf\u00e9", "a  b", "a\nb", ""])
def test_others_do_not(quick, text):
    assert not quick._all_known.fullmatch(text)


def without(*pieces):
    described = json.loads(CONTENT)
    for piece in pieces:
        described["model"]["vocab"].pop(piece)
    for number, piece in enumerate(described["model"]["vocab"]):
        described["model"]["vocab"][piece] = number
    return json.dumps(described).encode()


@pytest.mark.parametrize(
    ("pieces", "text"), [(("q",), "qx"), (("##q",), "xq"), (("q", "##q"), "q"), (("%",), "5 %"), (("##7",), "x7")]
)
def test_a_vocabulary_that_lacks_a_character_finds_it_unknown(pieces, text):
    tokens = Tokens(without(*pieces), max_length=16, special=True)
    assert not tokens._all_known.fullmatch(f"ok {text}")
    assert tokens._all_known.fullmatch("ok")


def test_other_rules_take_no_short_cut():
    described = json.loads(CONTENT)
    described["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    tokens = Tokens(json.dumps(described).encode(), max_length=16, special=True)
    assert not tokens._all_known.fullmatch("ok")


def test_capitals_are_known_only_where_they_are_read_as_small_letters():
    described = json.loads(CONTENT)
    assert Tokens(CONTENT, max_length=16, special=True)._all_known.fullmatch("OK")
    described["normalizer"]["lowercase"] = False
    tokens = Tokens(json.dumps(described).encode(), max_length=16, special=True)
    assert not tokens._all_known.fullmatch("OK")
    assert tokens.unknown_words(["OK ok"]) == [("OK",)]


def test_without_a_longest_length_all_tokens_are_read():
    tokens = Tokens(CONTENT, max_length=None, special=False)
    (ids,) = tokens.ids(["word " * 1000])
    assert len(ids) == 1000
    assert ids.dtype == np.int64
    assert tokens.truncated(["word " * 1000, "x" * 20_001]).tolist() == [False, True]


@pytest.fixture(scope="module", params=[(None, False), (16, True), (4, True)], ids=str)
def tokens(request):
    longest, special = request.param
    return Tokens(CONTENT, max_length=longest, special=special)


class TestWordByWord:
    """Plain texts are tokenised word by word, and get the tokens that the tokenizer gives them as wholes."""

    TEXTS = (
        st.text("aB1 .?!:'\"`[]{}<>/#_-$", max_size=40)
        | st.lists(
            st.sampled_from(["word", "[UNK]", "[CLS]", "unaffable", "caf\u00e9", "x" * 101, "5.00", "\t", "don't"])
        ).map(" ".join)
        | st.text(max_size=20)
    )

    @given(st.lists(TEXTS, max_size=4))
    def test_the_tokens_are_those_of_the_tokenizer(self, tokens, texts):
        expected = [encoding.ids for encoding in tokens._encoded(texts, tokens._special)]
        assert [ids.tolist() for ids in tokens.ids(texts)] == expected

    @pytest.mark.parametrize("text", ["how do i reset my password", "error 404: x@y.com (beta)?", ""])
    def test_plain_texts_are_read_so(self, tokens, text):
        assert tokens._words.reads(text)

    @pytest.mark.parametrize("text", ["[CLS]", "caf\u00e9", "a\tb", "a\u00a0b"])
    def test_others_are_not(self, tokens, text):
        assert not tokens._words.reads(text)

    @pytest.mark.parametrize(
        "change", [{"pre_tokenizer": {"type": "WhitespaceSplit"}}, {"normalizer": None}, {"model": {"type": "BPE"}}]
    )
    def test_nothing_is_said_under_other_rules(self, change):
        described = json.loads(CONTENT)
        described["model"] |= change.pop("model", {})
        words = WordTokens(described | change, lambda _: [])
        assert not words.reads("ok")

    def test_names_of_added_tokens_are_left_to_the_tokenizer(self):
        described = json.loads(CONTENT)
        described["added_tokens"].append({"content": "Token", "id": 7})
        words = WordTokens(described, lambda _: [])
        assert [words.reads(text) for text in ("a token", "a TOKEN", "a word")] == [False, False, True]

    @given(st.lists(st.text("aB9 .,-_'[]`~", max_size=12)))
    def test_many_texts_have_the_words_that_they_have_one_by_one(self, texts):
        few = taken_apart._words(texts)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(taken_apart, "_MANY", 0)
            many = taken_apart._words(texts)
        for different, _, counts in (few, many):
            assert sorted(different) == sorted(set(different))
            assert counts.tolist() == [len(re.findall(taken_apart._WORD, text)) for text in texts]
        assert [few[0][word] for word in few[1]] == [many[0][word] for word in many[1]]

    def test_each_word_is_looked_up_once_and_words_are_forgotten_in_the_end(self, monkeypatch):
        monkeypatch.setattr("dupdetect.encoder.words._MOST", 3)
        asked = []

        def tokenise(words):
            asked.extend(words)
            return [[len(word)] for word in words]

        words = WordTokens(json.loads(CONTENT), tokenise)
        tokens, counts = words.ids(["a bc", "", "bc, def"])
        assert (tokens.tolist(), counts.tolist()) == ([1, 2, 2, 1, 3], [2, 0, 3])
        tokens, counts = words.ids(["bc"])
        assert (tokens.tolist(), counts.tolist()) == ([2], [1])
        assert asked == [",", "a", "bc", "def", "bc"]
