"""Three pictures of the page, each with what it shows in words and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration import Calibration
from dupdetect.curves import PairCurves, pair_curves
from dupdetect.report.result import DrawnPairs, Result
from dupdetect.svg import Axis, Frame, Plot

__all__ = ["Figure", "calibration_figures", "similarity_figure"]

BIN_WIDTH = 0.02
"""Of the histogram, in cosine. Bins begin at the threshold, so that each is on one side of it."""
_FRAME = Frame(440, 58, 14, 12, 240)
_WIDE = Frame(560, 68, 22, 12, 240)
_TENTHS = [(tenth / 10, f"{tenth / 10:.1f}") for tenth in range(0, 11, 2)]
_RECALLS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture in SVG.  key: (classes of the mark, words).  columns, rows: the same as a table; `rows` begin with what
    the row is about."""

    id: str
    title: str
    svg: str
    words: str
    key: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def similarity_figure(result: Result, lowered: float | None) -> Figure | None:
    """Return the histogram of the similarities of pairs of different texts; None where no pair is listed or drawn.

    All pairs that are listed are counted, possible ones among them; below these, pairs that were drawn for review stand
    for all.
    lowered: the score of pairs in which a guard fires, None where no guard is heeded.
    """
    threshold = result.calibration.threshold
    different = ~result.pairs.same_text
    found = _counted(result.pairs.similarity[different], threshold)
    out = {} if result.ruled_out is None else _counted(result.ruled_out.similarity, threshold)
    possible = {} if result.possible is None else _counted(result.possible.similarity, threshold)
    below = {} if result.candidates is None else _below(result.candidates, result, lowered)
    if not (found or out or possible or below):
        return None
    last_place = max(0, math.ceil((1 - threshold) / BIN_WIDTH - 1e-9) - 1)
    places = range(min(0, *found, *out, *possible, *below), last_place + 1)
    heights = [sum(counts.get(place, 0.0) for counts in (found, out, possible, below)) for place in places]
    step = _round_step(max(heights))
    top = step * math.ceil(max(heights) / step)
    first = threshold + BIN_WIDTH * places[0]
    last = max(1.0, first + BIN_WIDTH)
    ticks = [(step * times, _short(step * times)) for times in range(round(top / step) + 1)]
    plot = Plot(
        Axis("Cosine similarity", first, last, _similarity_ticks(first, last)),
        Axis("Pairs of different texts", 0, top, ticks),
        _WIDE,
    )
    body, rows = [], []
    for place in places:
        low = threshold + BIN_WIDTH * place
        high = min(low + BIN_WIDTH, last)
        bottom = 0.0
        others = possible.get(place, 0.0) + below.get(place, 0.0)
        for count, name in ((others, "soft"), (found.get(place, 0.0), "first"), (out.get(place, 0.0), "second")):
            if count:
                body.append(plot.bar(low, high, bottom, bottom + count, name))
                bottom += count
        estimated = f"about {_about(others)}" if place in below else f"{others:,.0f}"
        cells = (f"{counts.get(place, 0.0):,.0f}" for counts in (found, out))
        rows.append((f"{low:.3f} to {high:.3f}", estimated, *cells))
    body.append(plot.line([(threshold, 0), (threshold, top)], "ink dashed"))
    confirmed = int((result.pairs.similarity[different] < threshold).sum())
    said = f", and {confirmed:,} below that people call duplicates" if confirmed else ""
    key = [("area first", f"{sum(found.values()) - confirmed:,.0f} at or above the threshold: duplicates{said}")]
    if out:
        key.append(("area second", f"{sum(out.values()):,.0f} ruled out"))
    words = "How many pairs have which similarity."
    soft = [f"{sum(possible.values()):,.0f} possible"] if possible else []
    if below:
        estimated, these = _about(sum(below.values())), " these" if possible else ""
        soft.append(f"about {estimated} below{these}, estimated from those drawn at random for review")
    if soft:
        key.append(("area soft", "; ".join(soft)))
    if below:
        words += " Less similar pairs are left out: hardly any of them are duplicates."
    if below and lowered is not None:
        words += " Below the threshold pairs in which a guard fires are left out too, unless ruled_out.csv has them."
    key.append(("dashed ink", f"the threshold, {threshold:.4f}"))
    return Figure(
        "similarities",
        "Similarities of the pairs",
        plot.picture("similarities-title", "similarities-words similarities-key", body),
        words,
        tuple(key),
        ("similarity", "possible, or below" if possible else "below the threshold", "duplicates", "ruled out"),
        tuple(rows),
    )


def calibration_figures(calibration: Calibration) -> tuple[Figure, ...]:
    """Return precision over recall and, where it can be worked out, reliability on the labelled pairs, as they are
    labelled: the probabilities are those of a curve that was fitted without the pairs in question."""
    sample, chance = calibration.sample, calibration.held_out_probability()
    probability = calibration.probability(sample.similarity) if chance is None else chance
    curves = pair_curves(sample.similarity, probability, sample.label, sample.group.astype(np.int64))
    pictures = (_precision_recall(calibration, curves),)
    return pictures if chance is None else (*pictures, _reliability(calibration, curves))


def _precision_recall(calibration: Calibration, curves: PairCurves) -> Figure:
    sample = calibration.sample
    plot = Plot(Axis("Recall", 0, 1, _TENTHS), Axis("Precision", 0, 1, _TENTHS), _FRAME)
    accepted = sample.similarity >= np.float32(calibration.threshold)
    body = [
        plot.line([(0, sample.prevalence), (1, sample.prevalence)], "ink dashed"),
        plot.line(curves.precision_recall, "first"),
    ]
    decided = "the threshold accepts none of these pairs"
    if accepted.any():
        precision, recall = float(sample.label[accepted].mean()), float(accepted[sample.label].mean())
        decided = f"the threshold {calibration.threshold:.4f}: precision {precision:.3f}, recall {recall:.3f}"
        body.append(plot.dot(recall, precision, "area first"))
    key = (
        ("line first", "all thresholds"),
        ("dot first", decided),
        ("dashed ink", f"guessing: precision {sample.prevalence:.3f}"),
    )
    rows = [(f"{recall:.2f}", _at(curves.precision_recall, recall)) for recall in _RECALLS]
    return Figure(
        "precision-recall",
        "Precision and recall",
        plot.picture("precision-recall-title", "precision-recall-words precision-recall-key", body),
        "Of the labelled pairs that a threshold accepts, the share that are duplicates (precision), over the share of "
        "all duplicates that it finds (recall).",
        key,
        ("recall", "precision"),
        tuple(rows),
    )


def _reliability(calibration: Calibration, curves: PairCurves) -> Figure:
    bins = curves.reliability
    plot = Plot(Axis("Probability given", 0, 1, _TENTHS), Axis("Share that are duplicates", 0, 1, _TENTHS), _FRAME)
    body = [plot.line([(0, 0), (1, 1)], "ink dashed")]
    body += [plot.line([(part.probability, part.low), (part.probability, part.high)], "first") for part in bins]
    body += [plot.dot(part.probability, part.share, "area first") for part in bins]
    weighted = calibration.sample.labels is not None
    key = (
        ("dot first", "pairs of nearly equal probability, with a 95 % interval"),
        ("dashed ink", "as many duplicates as promised"),
    )
    rows = [
        (f"{part.probability:.3f}", f"{part.share:.3f}", f"{part.low:.3f} to {part.high:.3f}", f"{part.pairs:,}")
        for part in bins
    ]
    return Figure(
        "reliability",
        "Reliability of the probabilities",
        plot.picture("reliability-title", "reliability-words reliability-key", body),
        "Of pairs that are given a probability, the share that turn out to be duplicates. Each pair has the "
        "probability of a curve that was fitted without it.",
        key,
        ("probability", "share of duplicates", "95 % interval", "pairs, weighted" if weighted else "pairs"),
        tuple(rows),
    )


def _counted(
    similarity: NDArray[np.float32], threshold: float, weight: NDArray[np.float64] | None = None
) -> dict[int, float]:
    """Return how many are in each bin, or what they weigh. Bins are numbered from the threshold; 1 is in the last."""
    last = max(0, math.ceil((1 - threshold) / BIN_WIDTH - 1e-9) - 1)
    place = np.floor((similarity.astype(np.float64) - threshold) / BIN_WIDTH).astype(np.int64)
    places, slot = np.unique(np.minimum(place, last), return_inverse=True)
    return dict(zip(places.tolist(), np.bincount(slot, weights=weight).astype(np.float64).tolist(), strict=True))


def _below(drawn: DrawnPairs, result: Result, lowered: float | None) -> dict[int, float]:
    """Return the estimated number of pairs in each bin below those that are listed: a drawn pair stands for its band.
    Those that count, as people have put them together, are left out.

    lowered: the score of pairs in which a guard fires. It is not their similarity, so they are not counted.
    """
    threshold, n = result.calibration.threshold, len(result.text_of)
    some = np.array(drawn.kind, dtype=np.str_) == "below"
    some &= ~np.isin(drawn.left_row * n + drawn.right_row, result.pairs.left * n + result.pairs.right)
    if lowered is not None:
        some &= drawn.score != np.float32(lowered)
    if not some.any():
        return {}
    weight = drawn.band_pairs / np.bincount(drawn.band)[drawn.band]
    return _counted(drawn.score[some], threshold, weight[some])


def _at(corners: Sequence[tuple[float, float]], recall: float) -> str:
    """Return the precision where the curve reaches a recall."""
    return next((f"{precision:.3f}" for reached, precision in corners if reached >= recall), "not reached")


def _round_step(highest: float) -> float:
    """Return 1, 2 or 5 times a power of ten, of which three to six reach the highest count."""
    unit = 10.0 ** math.floor(math.log10(max(1.0, highest / 3)))
    return next(unit * times for times in (5, 2, 1) if unit * times <= max(1.0, highest / 3))


def _similarity_ticks(low: float, high: float) -> list[tuple[float, str]]:
    step = 0.05 if high - low <= 0.6 else 0.1 if high - low <= 1.2 else 0.2
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [(number * step, f"{number * step + 0.0:.{2 if step < 0.1 else 1}f}") for number in numbers]


def _short(count: float) -> str:
    """Write a count for an axis: 500, 15k or 1.5M."""
    if count < 1e4:
        return f"{count:,.0f}"
    return f"{count / 1e3:g}k" if count < 1e6 else f"{count / 1e6:g}M"


def _about(count: float) -> str:
    """Write an estimated count with two digits that count."""
    unit = 10 ** max(0, math.floor(math.log10(max(count, 1.0))) - 1)
    return f"{round(count / unit) * unit:,.0f}"
