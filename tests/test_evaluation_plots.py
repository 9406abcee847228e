"""The plots: true to the pairs, readable by machines and people, and never in the way of other files."""

import itertools
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from conftest import labelled_pairs
from hypothesis import given
from hypothesis import strategies as st
from made_up_questions import unhurried
from sklearn.metrics import average_precision_score

from dupdetect import Detector, evaluate
from dupdetect.curves import pair_curves, simplified
from dupdetect.errors import InputError, OutputExistsError
from dupdetect.evaluation import PLOTS, HistogramBin, write_plots
from dupdetect.metrics import expected_calibration_error

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def evaluation(detector):
    return evaluate(detector, labelled_pairs(200, seed=1))


def made_up(n, seed=0):
    random = np.random.default_rng(seed)
    labels = random.random(n) < 0.4
    similarity = np.clip(random.normal(size=n) * 0.2 + labels * 0.3, -1, 1).astype(np.float32)
    return similarity, 1 / (1 + np.exp(-5 * similarity.astype(float))), labels, np.arange(n) // 2


def area(corners):
    """The area under level steps."""
    recall, precision = np.array(corners).T
    return float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2))


@pytest.mark.parametrize("n", [20, 300, 5000])
def test_the_area_under_the_curve_is_the_average_precision(n):
    similarity, probability, labels, groups = made_up(n)
    corners = pair_curves(similarity, probability, labels, groups).precision_recall
    assert area(corners) == pytest.approx(average_precision_score(labels, similarity), abs=1 / 1200)
    assert (np.diff(np.array(corners)[:, 0]) >= 0).all()
    assert corners[0][0] == 0
    assert corners[-1][0] == 1


def test_a_few_hundred_corners_are_enough_for_many_pairs():
    for n in (2000, 100_000):
        assert len(pair_curves(*made_up(n)).precision_recall) < 600


def away(points, corners):
    """The distance of each point to the line through the corners, by trying each of its straight parts."""
    nearest = np.full(len(points), np.inf)
    for start, end in itertools.pairwise(corners):
        along = end - start
        position = np.clip((points - start) @ along / max(along @ along, 1e-300), 0, 1)
        nearest = np.minimum(nearest, np.hypot(*(points - start - position[:, None] * along).T))
    return nearest


@unhurried
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=40), st.integers(0, 8))
def test_a_simplified_line_stays_within_the_tolerance_both_ways(path, tolerance):
    path = np.array(path, dtype=float)
    kept = simplified(path, tolerance)
    assert away(path, kept).max() <= tolerance + 1e-9
    along = np.linspace(0, 1, 9)[:, None, None]
    dense = (kept[:-1] * (1 - along) + kept[1:] * along).reshape(-1, 2)
    assert away(dense, path).max() <= tolerance + 1e-9
    assert kept[0].tolist() == path[0].tolist()
    assert kept[-1].tolist() == path[-1].tolist()


def test_the_reliability_bins_are_those_of_the_calibration_error():
    similarity, probability, labels, groups = made_up(3000)
    bins = pair_curves(similarity, probability, labels, groups).reliability
    assert len(bins) == 15
    assert sum(part.pairs for part in bins) == 3000
    gaps = sum(part.pairs * abs(part.probability - part.share) for part in bins) / 3000
    assert gaps == pytest.approx(expected_calibration_error(probability, labels))
    for part in bins:
        assert 0 <= part.low <= part.share <= part.high <= 1
    assert [part.probability for part in bins] == sorted(part.probability for part in bins)


def test_the_histogram_holds_every_pair_where_it_belongs():
    similarity, probability, labels, groups = made_up(1000)
    similarity[:3] = [1, -1, 0.7]  # float32 0.7 is below 0.7
    bins = pair_curves(similarity, probability, labels, groups).histogram
    assert sum(part.duplicates for part in bins) == labels.sum()
    assert sum(part.duplicates + part.others for part in bins) == 1000
    assert len(bins) == 100
    exact = similarity.astype(float)
    for part in bins[:-1]:
        inside = (exact >= part.low) & (exact < round(part.low + 0.02, 2))
        assert part.duplicates == (inside & labels).sum()
        assert part.others == (inside & ~labels).sum()


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_an_svg_with_words_for_those_who_cannot_see_it(evaluation, name):
    root = ET.fromstring(PLOTS[name](evaluation))  # noqa: S314 - our own page
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text
    assert "200 labelled pairs" in description.text
    assert "prefers-color-scheme: dark" in root.find(f"{SVG}style").text


@pytest.mark.parametrize("name", PLOTS)
def test_everything_is_drawn_inside_the_page(evaluation, name):
    root = ET.fromstring(PLOTS[name](evaluation))  # noqa: S314
    width, height = float(root.get("width")), float(root.get("height"))
    points = [p.split(",") for line in root.iter(f"{SVG}polyline") for p in line.get("points").split()]
    points += [(dot.get("cx"), dot.get("cy")) for dot in root.iter(f"{SVG}circle") if dot.get("cy")]
    assert len(points) > 2
    for x, y in points:
        assert 0 <= float(x) <= width
        assert 0 <= float(y) <= height
    assert all(float(bar.get("height")) >= 0 for bar in root.iter(f"{SVG}rect"))


def test_the_threshold_is_where_the_axis_says(evaluation):
    root = ET.fromstring(PLOTS["histogram.svg"](evaluation))  # noqa: S314
    ticks = {
        text.text: float(text.get("x"))
        for text in root.iter(f"{SVG}text")
        if text.get("text-anchor") == "middle" and text.get("class") == "soft"
    }
    (line,) = (line for line in root.iter(f"{SVG}polyline") if "dashed" in line.get("class"))
    x = float(line.get("points").split(",")[0])
    first, last = min(ticks, key=float), max(ticks, key=float)
    share = (evaluation.pair.threshold - float(first)) / (float(last) - float(first))
    expected = ticks[first] + share * (ticks[last] - ticks[first])
    assert x == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("low", [0.7, 0.5, 0.0, -1.0])
def test_a_histogram_of_any_width_has_ticks(evaluation, low):
    bins = tuple(HistogramBin(float(at), 1, 1) for at in np.arange(low, 0.75, 0.02).round(2))
    narrow = replace(evaluation, curves=replace(evaluation.curves, histogram=bins))
    root = ET.fromstring(PLOTS["histogram.svg"](narrow))  # noqa: S314
    assert 3 <= sum(line.get("x1") == line.get("x2") for line in root.iter(f"{SVG}line") if line.get("x1")) <= 13


@pytest.mark.parametrize("threshold", [1.0, -1.0])
def test_a_threshold_that_accepts_nothing_or_everything_is_drawn(detector, threshold):
    evaluation = evaluate(detector.at(threshold=threshold), labelled_pairs(60, seed=2))
    for plot in PLOTS.values():
        ET.fromstring(plot(evaluation))  # noqa: S314
    assert ("accepts no pair" in PLOTS["pr.svg"](evaluation)) == (threshold == 1)


def test_names_cannot_break_the_picture(detector):
    name = '<script>alert(1)</script>&"\x1b\x00\ud800' + "n" * 200
    evaluation = evaluate(Detector(detector.encoder, detector.calibration, name), labelled_pairs(60, seed=2))
    for plot in PLOTS.values():
        text = plot(evaluation)
        assert "<script" not in text
        root = ET.fromstring(text.encode())  # noqa: S314
        assert "n" * 200 in root.find(f"{SVG}desc").text
        assert max(len(part.text) for part in root.iter(f"{SVG}text")) < 100


def test_files_are_written_once(evaluation, tmp_path):
    folder = write_plots(evaluation, tmp_path / "plots")
    assert sorted(path.name for path in folder.iterdir()) == sorted(PLOTS)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputExistsError):
        write_plots(evaluation, folder)
    write_plots(evaluation, folder, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "thesis.docx").write_text("mine")
    with pytest.raises(InputError):
        write_plots(evaluation, folder, overwrite=True)
    assert (folder / "thesis.docx").read_text() == "mine"
