"""Pairs drawn for review: with known chances, whatever the order of the rows, and all of them counted."""

import csv

import numpy as np
import pytest
from conftest import HashingEncoder

from dupdetect import Detector
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import encode_texts
from dupdetect.errors import ArtifactError, InputError
from dupdetect.guards import Guards
from dupdetect.progress import silent
from dupdetect.review import candidates as module
from dupdetect.review.candidates import Candidates, draw_candidates
from dupdetect.ruled_out import reasons
from dupdetect.search import SimilarPairs

WORDS = [f"{a}{b}" for a in "bcdfghklm" for b in ("aal", "eel", "iil")]


def texts_of(n, seed=0):
    """Texts of eight of few words, so that many pairs are close."""
    rng = np.random.default_rng(seed)
    return sorted({" ".join(rng.choice(WORDS[:12], size=8)) for _ in range(n)})


def drawn_of(texts, threshold=0.8, floor=0.5, guards=None, least=None):
    least = threshold if least is None else least
    encoded = encode_texts(HashingEncoder(), DistinctTexts.of(texts), silent, guards)
    every = encoded.similar(least, silent)
    out = reasons(encoded, least, (), every.left, every.right).any(axis=1)
    found, ruled_out = (SimilarPairs(every.left[r], every.right[r], every.similarity[r]) for r in (~out, out))
    sure = found.similarity >= threshold
    drawn = draw_candidates(encoded, found.where(sure), found.where(~sure), ruled_out, least, floor, silent)
    return encoded, found, ruled_out, drawn


def band_sizes(drawn):
    return {band: drawn.band_pairs[drawn.band == band][0] for band in np.unique(drawn.band).tolist()}


def test_every_pair_down_to_the_floor_is_in_one_band():
    encoded, found, _, drawn = drawn_of(texts_of(150))
    every = encoded.similar(0.5, silent)
    assert sum(band_sizes(drawn).values()) == len(every) > 3 * len(found) > 300
    similarity = {
        (i, j): s for i, j, s in zip(every.left.tolist(), every.right.tolist(), every.similarity, strict=True)
    }
    pairs = list(zip(drawn.left.tolist(), drawn.right.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert all(similarity[pair] == score for pair, score in zip(pairs, drawn.score, strict=True))
    for band in range(drawn.band.max()):
        assert drawn.score[drawn.band == band].min() >= drawn.score[drawn.band == band + 1].max()
        assert (drawn.band == band).sum() == min(100, band_sizes(drawn)[band])


def test_possible_pairs_are_bands_of_their_own_and_counted_in_large_exports(monkeypatch):
    monkeypatch.setattr(module, "_TEXTS", 100)
    _, found, _, drawn = drawn_of(texts_of(400), threshold=0.9, least=0.7)
    sizes = band_sizes(drawn)
    assert len(sizes) == 5 + 3 + 3
    assert sum(sizes[band] for band in range(5)) == (found.similarity >= 0.9).sum() > 0
    assert sum(sizes[band] for band in range(5, 8)) == (found.similarity < 0.9).sum() > 0
    assert drawn.score[(drawn.band >= 5) & (drawn.band < 8)].min() >= 0.7
    assert drawn.counted.tolist() == (drawn.band < 8).tolist()
    assert drawn_of(texts_of(90))[-1].counted.all()
    kinds = ["above"] * 5 + ["possible"] * 3 + ["below"] * 3
    assert [kinds[band] for band in drawn.band.tolist()] == list(drawn.kind)


def test_more_is_drawn_of_possible_pairs_and_still_at_random(monkeypatch):
    _, found, _, drawn = drawn_of(texts_of(300), threshold=0.999, least=0.6)
    assert (found.similarity < 0.999).sum() > 1500
    kind = np.array(drawn.kind)
    assert (kind == "possible").sum() == 1500
    assert (kind != "possible").sum() <= 100 * 8
    band = drawn.band == drawn.band[kind == "possible"].max()
    there = np.sort(found.similarity)[: int(drawn.band_pairs[band][0])]
    assert 200 <= (drawn.score[band] > np.median(there)).sum() <= 300


def test_the_bands_take_turns():
    drawn = drawn_of(texts_of(150))[-1]
    bands = drawn.band.max() + 1
    first = drawn.band[: 3 * bands].reshape(3, bands)
    assert all(sorted(row) == list(range(bands)) for row in first.tolist())
    assert len({tuple(row) for row in first.tolist()}) == 3  # their order within a turn says nothing


def test_neither_row_order_nor_block_size_matters(monkeypatch):
    texts = texts_of(120)
    one = drawn_of(texts)[-1]
    monkeypatch.setattr(module, "_ROWS", 7)
    monkeypatch.setattr(module, "_COLUMNS", 11)
    other = drawn_of(texts[::-1])[-1]
    assert one.key == other.key
    assert np.array_equal(one.score, other.score)
    assert np.array_equal(one.band_pairs, other.band_pairs)


def test_of_many_texts_a_sample_is_looked_at_and_the_rest_estimated(monkeypatch):
    exact = drawn_of(texts_of(400))[-1]
    known = [size for band, size in band_sizes(exact).items() if exact.score[exact.band == band].max() < 0.8]
    monkeypatch.setattr(module, "_TEXTS", 100)
    estimates = []
    for salt in range(30):
        monkeypatch.setattr(
            module,
            "_hashes",
            lambda forms, salt=salt: np.random.default_rng(salt).integers(2**63, size=len(forms), dtype=np.uint64),
        )
        drawn = drawn_of(texts_of(400))[-1]
        estimates.append(
            [size for band, size in band_sizes(drawn).items() if drawn.score[drawn.band == band].max() < 0.8]
        )
    mean = np.mean(estimates, axis=0)
    assert mean == pytest.approx(np.array(known), rel=0.08)


def test_what_is_drawn_of_a_band_is_random():
    """The chance of a pair to be drawn does not depend on its similarity within the band."""
    _, found, _, drawn = drawn_of(texts_of(300))
    rows = drawn.band == 4
    edges = np.sort(found.similarity)[: int(band_sizes(drawn)[4])]
    middle = np.median(edges)
    assert 30 <= (drawn.score[rows] > middle).sum() <= 70


def test_pairs_that_guards_rule_out_are_a_band_of_their_own():
    texts = [f"error {number} is on my page again" for number in range(12)] + ["where is the parcel"]
    _, found, ruled_out, drawn = drawn_of(texts, threshold=0.6, guards=Guards(0.3))
    assert len(found) == 0
    assert len(ruled_out) == 66
    assert drawn.score.tolist() == [np.float32(0.3)] * 66
    assert set(drawn.band_pairs.tolist()) == {66.0}


@pytest.mark.parametrize("texts", [[], ["one"], ["one", "two"]])
def test_nothing_to_draw(texts):
    drawn = drawn_of(texts)[-1]
    assert len(drawn.key) == 0 == len(drawn.score)


def test_a_floor_above_the_threshold_draws_duplicates_only():
    _, found, _, drawn = drawn_of(texts_of(150), floor=0.9)
    assert sum(band_sizes(drawn).values()) == len(found)


# The file --------------------------------------------------------------------------------------------------------


def written(detector, tmp_path):
    rows = {"text": [*texts_of(40), "=1+1 " + texts_of(1)[0]]}
    result = detector.deduplicate(rows, text="text")
    return result, result.write(tmp_path / "out") / "candidates.csv"


def test_what_is_written_is_read_again(detector, tmp_path):
    result, path = written(detector, tmp_path)
    again = Candidates.read(path)
    assert len(again) == len(result.candidates) > 20
    for name in ("key", "left_id", "right_text", "left_text"):
        assert getattr(again, name) == getattr(result.candidates, name)
    for name in ("left_row", "right_row", "score", "band", "band_pairs"):
        assert np.array_equal(getattr(again, name), getattr(result.candidates, name))
    assert (again.left_row < again.right_row).all()
    assert again.left_text[0] == result.questions.texts[again.left_row[0]]


def test_formulas_are_defused_on_request(detector, tmp_path):
    result, _ = written(detector, tmp_path)
    assert ",'=1+1" in (result.write(tmp_path / "safe", excel_safe=True) / "candidates.csv").read_text("utf-8")
    assert Candidates.read(tmp_path / "safe" / "candidates.csv").key == result.candidates.key


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("score", "1.5"),
        ("score", "nan"),
        ("score", "x"),
        ("band", "-1"),
        ("kind", "likely"),
        ("band_pairs", "0"),
        ("band_pairs", "inf"),
        ("left_row", ""),
    ],
)
def test_a_changed_file_is_refused(detector, tmp_path, column, value):
    _, path = written(detector, tmp_path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[3][column] = value
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(ArtifactError, match=r"candidates\.csv"):
        Candidates.read(path)


def test_no_file_and_another_file(tmp_path):
    with pytest.raises(InputError, match="dedupe"):
        Candidates.read(tmp_path / "candidates.csv")
    (tmp_path / "candidates.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ArtifactError, match="again"):
        Candidates.read(tmp_path / "candidates.csv")


def test_a_detector_without_likely_pairs_draws_none_below(detector, tmp_path):
    strict = Detector(detector.encoder, detector.calibration.at(prevalence=1e-9), "strict").at(threshold=0.5)
    result = strict.deduplicate(texts_of(40))
    assert (result.candidates.score >= 0.5).all()
