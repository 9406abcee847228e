"""The three pictures against counts that are made by hand."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dupdetect.report.plots import calibration_figures, similarity_figure


def numbers(cells):
    return [int(cell.replace(",", "").removeprefix("about ")) for cell in cells]


def questions(n=60):
    rng = np.random.default_rng(3)
    common = [f"c{number}" for number in range(12)]
    return [" ".join([*rng.choice(common, 6, replace=False), f"own{row % 25}"]) for row in range(n)]


def test_the_histogram_counts_all_pairs_that_are_found(detector):
    result = detector.deduplicate(questions())
    figure = similarity_figure(result, None)
    found = result.pairs.similarity[~result.pairs.same_text]
    spans = [tuple(map(float, row[0].split(" to "))) for row in figure.rows]
    assert sum(numbers(row[2] for row in figure.rows)) == len(found) > 0
    for (low, high), count in zip(spans, numbers(row[2] for row in figure.rows), strict=True):
        inside = ((found > low + 1e-3) & (found < high - 1e-3)).sum()
        assert inside <= count <= ((found > low - 1e-3) & (found <= high + 1e-3)).sum()
    assert any(low == pytest.approx(0.7) for low, _ in spans), "a bin begins at the threshold"


def test_below_the_threshold_drawn_pairs_stand_for_all(detector):
    result = detector.deduplicate(questions())
    figure = similarity_figure(result, None)
    drawn = result.candidates
    below = np.unique(drawn.band[drawn.score < result.threshold])
    estimated = sum(float(drawn.band_pairs[drawn.band == band][0]) for band in below)
    assert sum(numbers(row[1] for row in figure.rows)) == pytest.approx(estimated, rel=0.1)
    assert estimated > 0


def test_possible_pairs_are_counted(detector):
    result = detector.deduplicate(questions(), estimated_precision=0.999)
    figure = similarity_figure(result, None)
    assert figure.columns[1] == "possible, or below"
    assert f"{len(result.possible):,} possible; about " in figure.key[1][1]
    kind = np.array(result.candidates.kind)
    below = [
        result.candidates.band_pairs[result.candidates.band == band][0]
        for band in np.unique(result.candidates.band[kind == "below"])
    ]
    assert sum(numbers(row[1] for row in figure.rows)) == pytest.approx(len(result.possible) + sum(below), rel=0.1)


def test_pairs_that_are_read_in_part_are_counted(detector):
    long = " ".join(f"w{i}" for i in range(60))
    result = detector.deduplicate([f"{long} cancel", f"{long} keep", "short"], estimated_precision=0.9)
    figure = similarity_figure(result, None)
    assert len(result.possible) == 1
    assert (result.possible.similarity >= result.threshold).all()
    assert "1 possible" in figure.key[1][1]
    assert sum(numbers(row[1] for row in figure.rows)) >= 1


def test_pairs_that_people_confirm_are_counted_once(detector):
    strict = {"estimated_precision": 0.999}
    drawn = detector.deduplicate(questions(), **strict).candidates
    result = detector.deduplicate(questions(), confirmed=frozenset(drawn.key), **strict)
    figure = similarity_figure(result, None)
    confirmed = int((result.pairs.similarity[~result.pairs.same_text] < result.threshold).sum())
    assert confirmed > 0
    assert f"duplicates, and {confirmed:,} below that people call duplicates" in figure.key[0][1]
    assert sum(numbers(row[2] for row in figure.rows)) == (~result.pairs.same_text).sum()
    listed = set(zip(result.pairs.left.tolist(), result.pairs.right.tolist(), strict=True))
    left = zip(result.candidates.left_row.tolist(), result.candidates.right_row.tolist(), strict=True)
    weight = result.candidates.band_pairs / np.bincount(result.candidates.band)[result.candidates.band]
    others = [
        w
        for pair, w, score in zip(left, weight, result.candidates.score, strict=True)
        if pair not in listed and score < result.threshold
    ]
    assert sum(numbers(row[1] for row in figure.rows)) == pytest.approx(sum(others), rel=0.1, abs=1)


def test_without_pairs_there_is_no_histogram(detector):
    assert similarity_figure(detector.deduplicate([]), None) is None


def test_precision_and_recall_of_the_threshold_are_on_the_curve(detector):
    curve = calibration_figures(detector.calibration)[0]
    sample = detector.calibration.sample
    accepted = sample.similarity >= np.float32(0.7)
    precision, recall = sample.label[accepted].mean(), accepted[sample.label].mean()
    assert f"precision {precision:.3f}, recall {recall:.3f}" in curve.key[1][1]


def test_reliability_counts_every_labelled_pair(detector):
    reliability = calibration_figures(detector.calibration)[1]
    assert sum(numbers(row[3] for row in reliability.rows)) == len(detector.calibration.sample)


def test_pictures_are_sound_and_name_their_words(detector):
    result = detector.deduplicate(questions())
    for figure in (similarity_figure(result, None), *calibration_figures(detector.calibration)):
        root = ET.fromstring(figure.svg)  # noqa: S314 - our own
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == f"{figure.id}-title"
        assert root.get("aria-describedby") == f"{figure.id}-words {figure.id}-key"
        width, height = map(float, root.get("viewBox").split()[2:])
        for x, y in re.findall(r"([\d.]+),([\d.]+)", " ".join(line.get("points", "") for line in root.iter())):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
