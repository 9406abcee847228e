"""Three plots of an evaluation, each an SVG file that a browser or a word processor shows.

pr.svg           precision over recall, with the detector's threshold on it
reliability.svg  probabilities against the shares of duplicates that came true
histogram.svg    similarities of duplicates and of other pairs, and the threshold between them
"""

from __future__ import annotations

import math
from pathlib import Path

from dupdetect.atomic import atomic_folder
from dupdetect.curves import BIN_WIDTH
from dupdetect.evaluation.result import Evaluation
from dupdetect.svg import Axis, Plot

_TENTHS = [(tenth / 10, f"{tenth / 10:.1f}") for tenth in range(0, 11, 2)]


def write_plots(evaluation: Evaluation, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write the plots named in `PLOTS` to a new folder; return the folder.

    Raises OutputExistsError when it exists and `overwrite` is not set, and InputError when it holds anything else.
    """
    with atomic_folder(folder, overwrite=overwrite, expected=tuple(PLOTS), marker="reliability.svg") as place:
        for name, plot in PLOTS.items():
            (place / name).write_text(plot(evaluation), encoding="utf-8", newline="\n")
    return Path(folder)


def precision_recall_plot(evaluation: Evaluation) -> str:
    """Return an SVG picture of precision over recall; the area under the curve is the average precision."""
    pair, transfer = evaluation.pair, evaluation.transfer
    plot = Plot(Axis("Recall", 0, 1, _TENTHS), Axis("Precision", 0, 1, _TENTHS))
    precision, recall = pair.precision.value, pair.recall.value
    body = [
        plot.line([(0, transfer.prevalence), (1, transfer.prevalence)], "ink dashed"),
        plot.line(evaluation.curves.precision_recall, "first"),
    ]
    decided = f"the detector's threshold {pair.threshold:.4f}: it accepts no pair here"
    if not math.isnan(precision):
        decided = (
            f"the detector's threshold {pair.threshold:.4f}: precision {precision:.3f}, recall {recall:.3f}, "
            f"F1 {pair.f1.value:.3f}"
        )
        body.append(plot.dot(recall, precision, "area first"))
    curve = f"all thresholds: average precision {pair.average_precision.value:.3f}"
    guessing = f"guessing: precision {transfer.prevalence:.3f}"
    return plot.page(
        "Precision and recall",
        _subtitle(evaluation),
        f"{_subject(evaluation)} Of {curve}; {decided}; {guessing}.",
        body,
        [("line first", curve), ("dot first", decided), ("dashed ink", guessing)],
    )


def reliability_plot(evaluation: Evaluation) -> str:
    """Return an SVG picture of the share of duplicates over the probability; on the diagonal they are equal."""
    bins = evaluation.curves.reliability
    plot = Plot(
        Axis("Probability that the detector gives", 0, 1, _TENTHS), Axis("Share that are duplicates", 0, 1, _TENTHS)
    )
    body = [plot.line([(0, 0), (1, 1)], "ink dashed")]
    body += [plot.line([(part.probability, part.low), (part.probability, part.high)], "first") for part in bins]
    body += [plot.dot(part.probability, part.share, "area first") for part in bins]
    sizes = sorted({part.pairs for part in bins})
    number = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    error = f"expected calibration error {evaluation.pair.expected_calibration_error.value:.3f}"
    points = "; ".join(f"{part.probability:.2f}: {part.share:.2f} of {part.pairs:,}" for part in bins)
    return plot.page(
        "Reliability of the probabilities",
        _subtitle(evaluation),
        f"{_subject(evaluation)} Mean probability: share of duplicates among so many pairs. {points}. {error}.",
        body,
        [
            ("dot first", f"{number} pairs each, of nearly equal probability, with a 95 % interval"),
            ("dashed ink", f"as many duplicates as were promised; {error}"),
        ],
    )


def histogram_plot(evaluation: Evaluation) -> str:
    """Return an SVG picture of the similarities, duplicates upward and other pairs downward, with the threshold."""
    bins, threshold = evaluation.curves.histogram, evaluation.pair.threshold
    duplicates = evaluation.pair.duplicates
    others = evaluation.pair.pairs - duplicates
    up = [part.duplicates / duplicates for part in bins]
    down = [part.others / others for part in bins]
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.25) if max(*up, *down) <= 4 * step)
    low, top = -step * max(1, math.ceil(max(down) / step)), step * max(1, math.ceil(max(up) / step))
    first, last = min(bins[0].low, threshold), 1.0
    shares = [(value, f"{100 * abs(value):.0f} %") for value in _multiples(step, low, top)]
    plot = Plot(
        Axis("Cosine similarity", first, last, _similarity_ticks(first, last)),
        Axis("Share of their kind", low, top, shares),
    )
    body = [
        plot.bar(part.low, part.low + BIN_WIDTH, low_end, high_end, name)
        for part, share, against in zip(bins, up, down, strict=True)
        for low_end, high_end, name in ((0, share, "first"), (-against, 0, "second"))
        if low_end != high_end
    ]
    body += [
        plot.line([(first, 0), (last, 0)], "ink"),
        plot.line([(threshold, low), (threshold, top)], "ink dashed"),
    ]
    recall = evaluation.pair.recall.value
    refused = evaluation.pair.accuracy.value * evaluation.pair.pairs - recall * duplicates  # of the other pairs
    above = f"{duplicates:,} duplicates, {100 * recall:.1f} % of them found"
    below = f"{others:,} other pairs, {100 * (1 - refused / others):.1f} % of them found"
    found = f"threshold {threshold:.4f}: pairs to its right are found"
    key = [("area first", f"upward: {above}"), ("area second", f"downward: {below}"), ("dashed ink", found)]
    if evaluation.pair.unlike:
        key.append(
            ("none", f"{evaluation.pair.unlike:,} pairs that differ in unknown words are not shown, and not found")
        )
    return plot.page(
        "Similarities of duplicates and of other pairs",
        _subtitle(evaluation),
        f"{_subject(evaluation)} {'; '.join(words for _, words in key)}.",
        body,
        key,
    )


def _subject(evaluation: Evaluation) -> str:
    pair = evaluation.pair
    return f"{evaluation.detector} on {pair.pairs:,} labelled pairs, of which {pair.duplicates:,} are duplicates."


def _subtitle(evaluation: Evaluation) -> str:
    """Return the subject in a length that fits; the description of the picture has all of it."""
    name = evaluation.detector if len(evaluation.detector) <= 40 else f"{evaluation.detector[:39]}…"
    return f"{name}, {evaluation.pair.pairs:,} labelled pairs, {evaluation.pair.duplicates:,} duplicates"


def _similarity_ticks(low: float, high: float) -> list[tuple[float, str]]:
    step, digits = next((step, digits) for step, digits in ((0.02, 2), (0.1, 1), (0.2, 1)) if high - low <= 12 * step)
    return [(value, f"{value:.{digits}f}") for value in _multiples(step, low, high)]


def _multiples(step: float, low: float, high: float) -> list[float]:
    """Return the multiples of `step` from `low` to `high`, both included."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 2) + 0.0 for number in range(first, last + 1)]


PLOTS = {"pr.svg": precision_recall_plot, "reliability.svg": reliability_plot, "histogram.svg": histogram_plot}
