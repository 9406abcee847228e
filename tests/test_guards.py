"""Guards: what they fire for, what they leave alone, and what that does to scores, matches and survivors."""

import json
import time

import numpy as np
import pytest
from conftest import HashingEncoder
from hypothesis import given, settings
from hypothesis import strategies as st

from dupdetect import Detector, QuestionPairs, listing
from dupdetect.artifacts import MANIFEST
from dupdetect.calibration import cap_where, share_by_group
from dupdetect.calibration.cap import RATE
from dupdetect.errors import ArtifactError, InputError
from dupdetect.guards import GUARDS, GuardedTexts, Guards
from dupdetect.guards import guards as guards_module
from dupdetect.guards.lexicon import ALTERNATIVES, LISTED, NEGATIONS, OPPOSITES, SMALL_WORDS
from dupdetect.guards.reading import read
from dupdetect.guards.rules import changes_places
from dupdetect.text import canonical


def names(first, second):
    forms = [canonical(first), canonical(second)]
    fired = GuardedTexts(forms, [[first], [second]]).fired(np.array([0]), np.array([1]))[0]
    return [name for name, fires in zip(GUARDS, fired, strict=True) if fires]


@pytest.mark.parametrize(
    ("guard", "first", "second"),
    [
        ("numbers", "Error 403 when I upload", "error 404 when I upload"),
        ("numbers", "Where is order NG-48581?", "Where is my order NG-48582?"),
        ("numbers", "What costs 1,200 euros?", "What costs 1.200 euros?"),
        ("numbers", "two devices", "three devices"),
        ("numbers", "version 4.1 crashes", "Version 4.2 crashes!"),
        ("numbers", "version 4.1 crashes", "Version 4.10 crashes!"),
        ("numbers", "update to v1.10", "update to v1.1"),
        ("numbers", "is 4.10 the last release", "is 4.1 the last release"),
        ("numbers", "0.1 percent fee", "0.9 percent fee"),
        ("numbers", "is 0.5 mg safe", "is 5 mg safe"),
        ("numbers", "is .5 mg safe", "is .7 mg safe"),
        ("numbers", "release 1.2.3", "release 1.2.30"),
        ("numbers", "invest 1,00,000 rupees", "invest 1 rupee"),
        ("numbers", "invest 10,00,000 rupees", "invest 1,00,000 rupees"),
        ("numbers", "within twenty-five days", "within twenty days"),
        ("numbers", "transfer 10 thousand", "transfer 10 million"),
        ("negation", "is there no 2FA prompt", "is there a 2FA prompt"),
        ("negation", "why are there no 500 errors", "why are there 500 errors"),
        ("negation", "should I not pay", "should I pay"),
        ("negation", "my site gets no 404 errors", "my site gets 404 errors"),
        ("negation", "should I cancel or not renew my plan", "should I cancel or renew my plan"),
        ("opposites", "stop the video before the end", "start the video before the end"),
        ("opposites", "does he like men", "does she like men"),
        ("numbers", "reach 1000,000 views", "reach 1000 views"),
        ("opposites", "enabled or enable?", "disabled or disable?"),
        ("negation", "Is it legal?", "Isn't it legal?"),
        ("negation", "I can log in", "I cannot log in"),
        ("negation", "pay with card", "pay without a card"),
        ("opposites", "How do I enable 2FA?", "How to disable 2FA"),
        ("opposites", "enabling tracking", "Tracking disabled"),
        ("opposites", "upload a file", "download files"),
        ("opposites", "before the trip", "after my trip"),
        ("alternatives", "export as PDF", "export as CSV"),
        ("alternatives", "a meeting on Monday", "a meeting on Friday"),
        ("alternatives", "crash on Android", "crash on my iPhone"),
        ("alternatives", "monthly payments", "yearly payments"),
        (
            "word order",
            "How do I move money from savings to checking?",
            "How do I move money from checking to savings?",
        ),
        ("word order", "Are cats afraid of tigers?", "Are tigers afraid of cats?"),
        ("word order", "Do white men like black women?", "Do black women like white men?"),
        ("word order", "monthly to yearly: from monthly to yearly", "yearly to monthly: from yearly to monthly"),
        ("word order", "want to move Pro -> Family", "want to move Family -> Pro"),
        ("word order", "private \u2192 public, how", "public \u2192 private, how"),
        ("names", "What is the capital of Peru?", "what is the capital of Chile"),
        ("names", "How long is the flight from Oslo to New York?", "How long is a flight from Oslo to Los Angeles?"),
        ("names", "How do I install Blender on my server?", "How can I install Krita on my server?"),
        ("names", "Does the VPN work at home?", "Does the SSO work at home?"),
        ("names", "My order is lost.\nWhere is the DHL parcel?", "My order is lost. Where is my UPS parcel?"),
        ("names", "<p>Is it cold in Norway\u2019s north?</p>", "is it cold in Peru's north"),
    ],
)
def test_a_guard_fires_where_texts_differ_in_nothing_else(guard, first, second):
    assert names(first, second) == [guard] == names(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("How do I pay?", "how do I pay"),
        ("How do I reset my password?", "How can I reset passwords?"),
        ("Error 403 when I upload", "Error 404 in the invoice list"),  # more differs
        ("gate in 6 months", "GATE 2017 in 6 months"),  # a number more
        ("1,200 rows", "1200 rows"),
        ("007", "7"),
        ("1.50 mm wire", "1.5 mm wire"),
        ("version 4.0 crashes", "version 4 crashes"),
        ("version 4.10 crashes", "version 4,10 crashes"),
        ("5.00 dollars", "5 dollars"),
        ("is .5 mg safe", "is 0,50 mg safe"),
        ("error \u0664\u0660\u0663", "error 403"),
        ("a 0 b 00", "a 00 b 0.0"),
        ("2 devices", "two devices"),
        ("within twenty-five days", "within 25 days"),
        ("within twenty five days", "within 25 days"),
        ("thirty-one days", "31 days"),
        ("transfer 10 thousand dollars", "transfer 10,000 dollars"),
        ("two hundred thousand views", "200,000 views"),
        ("one hundred views", "a hundred views"),
        ("two hundred and fifty views", "250 views"),
        ("two hundred fifty one views", "251 views"),
        ("a hundred and fifty thousand views", "150,000 views"),
        ("1000,000 views", "1,000,000 views"),
        ("release 1,2,3", "release 1.2.3"),
        ("order no. 0012", "order 0012"),
        ("1.5 million views", "1,500,000 views"),
        ("invest 1,00,000 rupees", "invest 100000 rupees"),
        ("1,50,000.50 rupees", "150000.5 rupees"),
        ("0,123 mm", "0.123 mm"),
        ("Where is my order no. 5512?", "Where is my order 5512?"),
        ("Where is invoice no 123?", "Where is invoice 123?"),
        ("Is my subscription active or not?", "Is my subscription active?"),
        ("whether or not it ships", "whether it ships"),
        ("How do I upload and download files?", "Uploading and downloading files"),
        ("How do I open and close a ticket?", "How can tickets be opened and closed?"),
        ("Is it enabled or disabled?", "Can I enable or disable it?"),
        ("enabling it or disabling it", "disable it"),
        ("I do not have none", "I have"),  # two negations
        ("good tea or coffee", "good coffee or tea"),
        ("the difference between cats and dogs", "the difference between dogs and cats"),
        ("soccer guys or basketball guys", "basketball guys or soccer guys"),
        ("earn money easily online", "earn money online easily"),
        ("Why is the sky blue", "Why the sky is blue"),
        ("Monday or Friday", "Friday"),  # a common one
        ("PDF export", "the export of a PDF"),
        ("how can I CANCEL my plan", "how can I TERMINATE my plan"),  # stressed
        ("who works in HR here", "who works in Human Resources here"),  # initials
        ("tea and coffee: tea and coffee", "coffee and tea: coffee and tea"),
        ("save money fast: money", "save fast money: money"),
        ("What is the capital of peru?", "what is the capital of chile"),  # no capital letters
        ("How To Paint Fences", "How To Paint Walls"),  # all words have them
        ("Reset Your Password now", "Reset Your Login now"),  # a small word has one
        ("HOW DO I INSTALL BLENDER", "HOW DO I INSTALL GIMP"),
        ("Blender keeps crashing", "GIMP keeps crashing"),  # where every sentence has one
        ("I think. Blender keeps crashing", "I think. GIMP keeps crashing"),
        ("the best way to New York", "the best way to York"),  # none of its own
        ("a trip to Colombia is cheap", "a trip to Columbia is cheap"),  # a slip of the pen
        ("who owns Pok\u00e9mon cards", "who owns Pokemon cards"),
        ("the people of India vote", "the people of Indian states vote"),
        ("what does the USA export", "what does America export"),
        ("is Gmail down, gmail is slow", "is Slack down, gmail is slow"),  # gmail is written small too
        ("paying by e-mail", "paying by email"),
        ("", ""),
    ],
)
def test_no_guard_fires_for_other_differences(first, second):
    assert names(first, second) == [] == names(second, first)


def test_several_guards_can_fire():
    assert names("enable 2 devices", "disable 3 devices") == ["numbers", "opposites"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(alphabet="abc -'.,0123456789\nüß", max_size=12), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_guards_are_symmetric_and_spare_a_text_itself_whatever_else_is_asked(texts, random):
    forms = [canonical(text) for text in texts]
    pairs = [(i, j) for i in range(len(forms)) for j in range(len(forms))]
    random.shuffle(pairs)
    left, right = np.array(pairs).T
    together = GuardedTexts(forms).fired(left, right)
    assert np.array_equal(together, GuardedTexts(forms).fired(right, left))
    for row, (i, j) in enumerate(pairs):
        alone = GuardedTexts([forms[i], forms[j]]).fired(np.array([0]), np.array([1]))[0]
        assert together[row].tolist() == alone.tolist()
        if forms[i] == forms[j]:
            assert not together[row].any()


def swapped(words, x, y, start):
    """The words with two groups in each other's place, x and y long, some words between them."""
    middle = words[start + x : -y]
    return [*words[:start], *words[-y:], *middle, *words[start : start + x]]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(1, 5), st.integers(0, 10**6))
def test_groups_that_change_places_are_found(x, y, start, between, seed):
    words = [f"w{chr(97 + k)}" for k in np.random.default_rng(seed).permutation(26)[: start + x + between + y]]
    other = swapped(words, x, y, start)
    assert changes_places(words, other)
    assert changes_places(other, words)
    words[start + x] = "and"  # it stands between the two
    assert not changes_places(words, swapped(words, x, y, start))


def test_a_word_that_moves_changes_no_places():
    words = list("abcdefgh")
    for source in range(8):
        for target in range(8):
            moved = [*words[:source], *words[source + 1 :]]
            moved.insert(target, words[source])
            assert not changes_places(words, moved) or moved == words


def test_time_is_linear_in_the_length():
    long = ["a", "b"] * 100_000
    assert not changes_places(long, [*long[1:], "a"])
    assert read("a1" * 500_000).numbers == {"1"}


def test_the_lists_say_what_they_mean():
    for one, other in OPPOSITES:
        assert one
        assert other
        assert not one & other
    for kinds in ALTERNATIVES:
        assert len(kinds) >= 2
        assert all(kinds)
        assert len(frozenset().union(*kinds)) == sum(map(len, kinds))
    for word in LISTED | NEGATIONS | SMALL_WORDS:
        assert word == canonical(word)
        assert "-" not in word
    assert not LISTED & (NEGATIONS | SMALL_WORDS)


# What they do ----------------------------------------------------------------------------------------------------


def guarded(detector, cap=0.3):
    return Detector(detector.encoder, detector.calibration, "guarded", Guards(cap))


def test_a_fired_guard_lowers_the_score_to_the_cap(detector):
    pairs = [
        ("we sell red pens to all shops", "we sell red pens to our shops"),
        ("error 403 is on my page again", "error 404 is on my page again"),
    ]
    plain, found = detector.decide(pairs), guarded(detector).decide(pairs)
    assert plain.duplicate.tolist() == [True, True]
    assert found.duplicate.tolist() == [True, False]
    assert found.guards == ((), ("numbers",))
    assert plain.guards == ((), ())
    assert np.array_equal(found.similarity, plain.similarity)
    assert found.probability[0] == plain.probability[0]
    assert found.probability[1] == detector.calibration.probability(np.float32([0.3]))[0]
    explained = guarded(detector).explain(*pairs[1])
    assert explained.guards == ("numbers",)
    assert str(explained).startswith("not duplicates: ruled out by numbers (similarity 0.8")
    low = guarded(detector, 0.75).explain(*pairs[1])
    assert "and they differ in numbers" in str(low)
    assert low.duplicate


@pytest.mark.parametrize("threshold", [0.56416393, 0.56416392326, 0.56416394, 0.7])
def test_a_threshold_just_above_the_cap_decides_the_same_everywhere(detector, threshold):
    """The score that a guard leaves is a float32, which may lie on the other side of the threshold."""
    for cap in (0.56416392326, 0.7):
        strict = guarded(detector, cap).at(threshold=threshold)
        pair = ("error 403 on the login page of my shop", "error 404 on the login page of my shop")
        assert strict.guards.rule_out(threshold) == (float(np.float32(cap)) < threshold)
        assert strict.deduplicate(list(pair)).kept[1] != strict.predict([pair])[0]


def test_a_cap_never_raises_a_score():
    similarity = np.array([-0.5, 0.2, 0.9], dtype=np.float32)
    fired = np.ones((3, len(GUARDS)), dtype=bool)
    assert Guards(0.4).score(similarity, fired).tolist() == [*similarity[:2].tolist(), np.float32(0.4)]
    assert np.array_equal(Guards(0.4).score(similarity, ~fired), similarity)


@pytest.mark.parametrize("cap", [1.5, -2, True, "0.3", None, float("nan")])
def test_a_cap_is_a_cosine(cap):
    with pytest.raises(InputError, match="cosine"):
        Guards(cap)


def test_the_cap_is_where_as_few_are_duplicates():
    rng = np.random.default_rng(0)
    similarity = rng.uniform(0, 1, 40_000).astype(np.float32)
    labels = rng.uniform(size=40_000) < 1 / (1 + np.exp(-(20 * similarity - 14)))
    fired = rng.uniform(size=40_000) < 0.25
    labels[fired] = rng.uniform(size=fired.sum()) < 0.05
    expected = (np.log(0.05 / 0.95) + 14) / 20
    alone = np.arange(len(labels))
    assert cap_where(similarity, labels, fired, alone) == pytest.approx(expected, abs=0.01)
    none = np.zeros_like(fired)
    prior = (np.log(RATE / (1 - RATE)) + 14) / 20
    assert cap_where(similarity[~fired], labels[~fired], none[~fired], alone[~fired]) == pytest.approx(prior, abs=0.01)


def test_where_similarity_says_nothing_the_cap_is_lowest():
    similarity = np.linspace(0, 1, 100, dtype=np.float32)
    labels = np.arange(100) % 2 == 0
    fired = np.zeros(100, dtype=bool)
    alone = np.arange(100)
    assert cap_where(similarity[::-1], similarity < 0.5, fired, alone) <= 1
    assert cap_where(similarity, similarity < 0.5, fired, alone) == -1
    assert cap_where(similarity[:2], np.array([True, True]), fired[:2], alone[:2]) == -1
    assert cap_where(similarity, labels, ~fired, alone) == -1


def test_a_template_counts_once_for_the_cap():
    rng = np.random.default_rng(1)
    similarity = rng.uniform(0, 1, 10_000).astype(np.float32)
    labels = rng.uniform(size=10_000) < 1 / (1 + np.exp(-(20 * similarity - 14)))
    fired = np.arange(10_000) < 800
    groups = np.arange(10_000)
    labels[:800] = False
    plain = cap_where(similarity, labels, fired, groups)
    groups[:200] = -1
    labels[:200] = True  # two hundred pairs of one template
    assert cap_where(similarity, labels, fired, groups) == pytest.approx(plain, abs=0.03)
    assert cap_where(similarity, labels, fired, np.arange(10_000)) > plain + 0.1
    assert share_by_group(labels[:202], groups[:202]) == (pytest.approx(1 / 3), 3)
    assert share_by_group(labels[:0], groups[:0]) == (0.0, 0)


def with_numbers(n=300):
    """Pairs of which those that differ in a number are not duplicates, although they are the most similar."""
    left, right, labels = [], [], []
    for number in range(n):
        words = [f"{chr(97 + number // 26 % 26)}{chr(97 + number % 26)}{chr(107 + k)}" for k in range(9)]
        if number % 3 == 0:
            left.append(" ".join([*words, "403"]))
            right.append(" ".join([*words, "404"]))
        else:
            shared = 7 if number % 3 == 1 else 3
            left.append(" ".join(words))
            right.append(" ".join([*words[:shared], *(word.upper() + "x" for word in words[shared:])]))
        labels.append(number % 3 == 1)
    return QuestionPairs.from_columns(left, right, labels)


def test_calibration_fits_the_guards_and_counts_with_them(tmp_path):
    pairs = with_numbers()
    plain = Detector.calibrate(HashingEncoder(), pairs, guards=False)
    found = Detector.calibrate(HashingEncoder(), pairs)
    assert plain.guards is None
    assert plain.calibration.summary()["f1"]["value"] < 0.9
    assert found.calibration.summary()["f1"]["value"] == 1
    assert found.guards.cap < found.calibration.threshold
    folder = tmp_path / "saved"
    with pytest.raises(Exception, match="save"):
        found.save_pretrained(folder)  # the encoder of the tests cannot be


def test_the_shipped_detectors_keep_their_guards(tmp_path):
    for tier in ("default", "fast"):
        detector = Detector.from_pretrained(tier=tier)
        assert isinstance(detector.guards, Guards)
        again = Detector.from_pretrained(detector.save_pretrained(tmp_path / tier))
        assert again.guards == detector.guards
        assert not again.predict([("error 403 on my page", "error 404 on my page")])[0]
        assert again.at(threshold=0.2).guards == detector.guards


def test_a_folder_without_guards_loads_and_a_damaged_one_does_not(tmp_path):
    folder = Detector.from_pretrained(tier="fast").save_pretrained(tmp_path / "saved")
    path = folder / MANIFEST
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | {"guards": {"cap": 7}}), "utf-8")
    with pytest.raises(ArtifactError, match="cap"):
        Detector.from_pretrained(folder)
    path.write_text(json.dumps(content | {"guards": "all"}), "utf-8")
    with pytest.raises(ArtifactError, match="guards"):
        Detector.from_pretrained(folder)
    del content["guards"]
    path.write_text(json.dumps(content | {"format": 1}), "utf-8")
    assert Detector.from_pretrained(folder).guards is None


TEXTS = [
    "error 403 is on my page again now",
    "error 404 is on my page again now",
    "error 403 is on your page again now",
    "Error 404 is on your page again now?",
    "something else entirely was asked here",
]


def test_pairs_that_guards_rule_out_are_kept_apart_and_listed(detector, tmp_path):
    plain = detector.deduplicate(TEXTS)
    found = guarded(detector).deduplicate(TEXTS)
    assert plain.counts["clusters"] == 1
    assert {(pair.left, pair.right) for pair in found.pairs} == {(0, 2), (1, 3)}
    assert found.duplicate_of.tolist() == [-1, -1, 0, 1, -1]
    listed = list(zip(found.ruled_out.left.tolist(), found.ruled_out.right.tolist(), strict=True))
    assert {(0, 1), (2, 3)} <= set(listed) <= {(0, 1), (0, 3), (1, 2), (2, 3)}
    assert found.counts["pairs_ruled_out"] == len(listed)
    assert found.ruled_out.counts()["numbers"] == len(listed)
    assert found.ruled_out.names[0] == ("numbers",)
    folder = found.write(tmp_path / "out")
    lines = (folder / "ruled_out.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + len(listed)
    assert ",numbers," in lines[1]
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert run["guards"] == {"cap": 0.3}
    assert run["ruled_out"]["numbers"] == len(listed)
    assert "numbers (" in (folder / "report.html").read_text("utf-8")


def test_where_too_many_pairs_are_there_the_same_stays(detector, monkeypatch):
    texts = [f"error {number % 7} is on my page again {word}" for number in range(40) for word in ("now", "my", "your")]
    listed = guarded(detector).deduplicate(texts)
    monkeypatch.setattr(listing, "MOST_PAIRS", 50)
    crowded = guarded(detector).deduplicate(texts)
    assert crowded.ruled_out is None
    assert crowded.duplicate_of.tolist() == listed.duplicate_of.tolist()
    assert crowded.cluster_id.tolist() == listed.cluster_id.tolist()
    assert "ruled out are not listed" in " ".join(crowded.notes)


@pytest.mark.parametrize("top_k", [1, 2, 3, 100])
@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.7])
def test_matches_are_the_best_by_score(detector, top_k, threshold):
    detector = guarded(detector).at(threshold=threshold)
    known = [f"error {number} is on my page again" for number in range(400, 430)]
    known += ["error 411 is on our page again", "the page has an error", "where is my parcel now"]
    queries = [
        "error 411 is on my page again and again",
        "error 999 is on my page again",
        "error 405 is on my page again",
    ]
    found = detector.match(queries, known, top_k=top_k)
    for query, matches in zip(queries, found, strict=True):
        decided = detector.decide([(query, text) for text in known])
        score = np.where(
            [bool(guards) for guards in decided.guards],
            np.minimum(decided.similarity, np.float32(0.3)),
            decided.similarity,
        )
        expected = sorted(-value for value in score[score.astype(float) >= threshold].tolist())[:top_k]
        row = dict(zip(known, score.tolist(), strict=True))
        assert [-row[match.text] for match in matches or ()] == expected
        for match in matches or ():
            assert match.probability == pytest.approx(decided.probability[match.row])


def test_pairs_told_apart_are_still_drawn_for_review(detector):
    """Labels speak for what they were drawn from, so what is drawn must not depend on labels."""
    first = detector.deduplicate(TEXTS)
    apart = set(first.candidates.key[:2])
    again = detector.deduplicate(TEXTS, told_apart=apart)
    assert again.candidates.key == first.candidates.key
    assert np.array_equal(again.candidates.band_pairs, first.candidates.band_pairs)
    assert again.ruled_out.counts()["review"] >= 1
    assert len(again.pairs) < len(first.pairs)
    together = again.cluster_id[again.ruled_out.left] == again.cluster_id[again.ruled_out.right]
    assert again.counts["ruled_out_in_one_cluster"] == together.sum()


def test_a_spelling_without_capital_letters_takes_no_names_away(detector):
    texts = ["why does my colleague Anna have to sign", "why does my colleague Maria have to sign"]
    for more in ([], [texts[0].upper()], [texts[1].lower()]):
        result = guarded(detector).deduplicate([*texts, *more])
        assert result.ruled_out.counts()["names"] == 1
        assert result.counts["removed"] == len(more)


def test_a_pair_is_decided_by_its_own_two_texts_whatever_else_is_in_the_call(detector):
    plain = ("why does my colleague anna have to sign", "why does my colleague maria have to sign")
    named = ("why does my colleague Anna have to sign", "why does my colleague Maria have to sign")
    model = guarded(detector)
    alone = [model.decide([pair]) for pair in (plain, named, (named[0], plain[1]))]
    assert [found.guards[0] for found in alone] == [(), ("names",), ()]
    together = model.decide([plain, named, (named[0], plain[1])])
    assert together.guards == tuple(found.guards[0] for found in alone)
    assert together.duplicate.tolist() == [found.duplicate[0] for found in alone] == [True, False, True]
    assert np.array_equal(together.probability, np.concatenate([found.probability for found in alone]))
    assert model.explain(*plain).duplicate
    assert model.decide([plain, ("", named[0]), (plain[0], named[0])]).guards == ((), (), ())


def test_a_query_matches_the_same_whatever_else_is_asked(detector):
    model = guarded(detector)
    known = [
        "why does my colleague Maria have to sign",
        "where is my parcel now",
        "Why Does My Colleague Eva have to Sign",
    ]
    queries = [
        "why does my colleague anna have to sign",
        "why does my colleague Anna have to sign",
        "WHY DOES MY COLLEAGUE ANNA HAVE TO SIGN",
        "why does my colleague maria have to sign",
        "where is my parcel now",
        "",
    ]
    alone = [model.match([query], known)[0] for query in queries]
    assert [sorted(match.row for match in found or ()) for found in alone] == [[0, 2], [2], [0, 2], [0, 2], [1], []]
    assert [*model.match(queries, known)] == alone
    assert [*model.match(queries[::-1], known)] == alone[::-1]


@pytest.mark.parametrize("text", ["." * 100_000 + "x", "=" * 100_000, "o Ab " * 20_000, "e\u0301\u0316" * 30_000])
def test_reading_takes_linear_time(text):
    start = time.process_time()
    read(canonical(text), [text])
    assert time.process_time() - start < 2


def test_texts_without_a_pair_are_not_read(detector, monkeypatch):
    read_texts = []
    monkeypatch.setattr(guards_module, "read", lambda form, written: read_texts.append(form) or read(form, written))
    guarded(detector).deduplicate([f"{letter}a {letter}b {letter}c {letter}d" for letter in "abcdefgh"])
    assert read_texts == []


def test_many_texts_of_one_template_take_no_time():
    forms = [f"where is order {number} of mine" for number in range(3_000)]
    texts = GuardedTexts(forms)
    left, right = np.triu_indices(len(forms), 1)
    fired = texts.fired(left, right)  # 4.5 million pairs
    assert fired[:, 0].all()
    assert not fired[:, 1:].any()
