"""What plots of labelled pairs show, in a few hundred numbers whatever the number of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect import metrics

BIN_WIDTH = 0.02
"""Of the histogram, in cosine."""

# Less than half a pixel where an axis from 0 to 1 is at most 560 pixels long.
_TOLERANCE = 1 / 1200


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Pairs of nearly equal probability: how many, their mean probability, and the share of duplicates among them.

    low, high: exact 95 % interval of the share at the effective sample size, as pairs that share questions depend on
    each other. All but `pairs` in [0, 1].
    """

    pairs: int
    probability: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HistogramBin:
    """How many duplicates, and how many other pairs, have a similarity in [low, low + 0.02); 1 counts in the last."""

    low: float
    duplicates: int
    others: int


@dataclass(frozen=True, slots=True)
class PairCurves:
    """What plots of labelled pairs draw.

    precision_recall: (recall, precision) corners of the curve, both in [0, 1], recall never falling. The curve has
    steps, so the area under it is the average precision; corners are left out as long as what is drawn stays within
    1 / 1200 of it, which nobody can see. Only thresholds have corners: duplicates that none accepts stay missed, so the
    curve can end before a recall of 1, and has no corner at all where no duplicate can be found.
    reliability: the bins of the expected calibration error, by rising probability.
    histogram: bins from the one with the lowest similarity up to 1, without a gap. Pairs that are accepted at no
    threshold are not in it.
    """

    precision_recall: tuple[tuple[float, float], ...]
    reliability: tuple[ReliabilityBin, ...]
    histogram: tuple[HistogramBin, ...]


def pair_curves(
    similarity: NDArray[np.float32],
    probability: NDArray[np.float64],
    labels: NDArray[np.bool_],
    groups: NDArray[np.int64],
) -> PairCurves:
    """Return the curves of labelled pairs, all (n,); `groups` is the same for pairs that hang together by questions.

    A similarity of -inf says that the pair is accepted at no threshold.

    Raises InputError when there are not both duplicates and other pairs.
    """
    corners = simplified(_steps(metrics.curve(similarity, labels)), _TOLERANCE)
    slots = metrics.calibration_bins(probability)
    return PairCurves(
        precision_recall=tuple((float(recall), float(precision)) for recall, precision in corners),
        reliability=tuple(
            _reliability(probability[slots == slot], labels[slots == slot], groups[slots == slot])
            for slot in np.unique(slots)
        ),
        histogram=_histogram(similarity, labels),
    )


def simplified(path: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Return the corners (m, 2) of a line through some of the corners (n, 2) of `path`, first and last among them.

    No point of either line is farther than `tolerance` from the other (Douglas and Peucker 1973).
    """
    kept = np.zeros(len(path), dtype=np.bool_)
    kept[:1] = kept[-1:] = True
    spans = [(0, len(path) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        away = _distances(path[first + 1 : last], path[first], path[last])
        farthest = int(np.argmax(away))
        if away[farthest] > tolerance:
            middle = first + 1 + farthest
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    return path[kept]


def _distances(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n,) the distance of each point to the straight line between two."""
    along = end - start
    length = float(along @ along)
    position = np.clip((points - start) @ along / length, 0, 1) if length else np.zeros(len(points))
    away: NDArray[np.float64] = np.hypot(*(points - start - position[:, None] * along).T)
    return away


def _steps(cuts: metrics.Curve) -> NDArray[np.float64]:
    """Return the corners (2 k, 2) of precision over recall: level while recall rises, as average precision counts."""
    gains = np.flatnonzero(np.diff(cuts.true_positives, prepend=0))
    recall, precision = cuts.recall[gains], cuts.precision[gains]
    before = np.append(0.0, recall)[:-1]
    return np.column_stack([np.column_stack([before, recall]).ravel(), np.repeat(precision, 2)])


def _reliability(
    probability: NDArray[np.float64], labels: NDArray[np.bool_], groups: NDArray[np.int64]
) -> ReliabilityBin:
    effect = metrics.design_effect(labels, groups)
    low, high = metrics.clopper_pearson(labels.sum() / effect, len(labels) / effect)
    return ReliabilityBin(len(labels), float(probability.mean()), float(labels.mean()), low, high)


def _histogram(similarity: NDArray[np.float32], labels: NDArray[np.bool_]) -> tuple[HistogramBin, ...]:
    number = round(2 / BIN_WIDTH)
    edges = np.linspace(-1, 1, number + 1).round(2)
    # 1 itself counts in the last bin, and -inf in none.
    slot = np.minimum(np.searchsorted(edges, similarity.astype(np.float64), side="right"), number) - 1
    duplicates = np.bincount(slot[labels] + 1, minlength=number + 1)[1:]
    others = np.bincount(slot[~labels] + 1, minlength=number + 1)[1:]
    return tuple(
        HistogramBin(float(edges[place]), int(duplicates[place]), int(others[place]))
        for place in range(int(slot[slot >= 0].min(initial=number - 1)), number)
    )
