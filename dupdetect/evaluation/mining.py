"""All pairs of the questions, as `dedupe` sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect import metrics
from dupdetect.encoded_texts import EncodedTexts
from dupdetect.progress import Progress

MINING_FLOOR = 0.6


@dataclass(frozen=True, slots=True)
class MiningMetrics:
    """All pairs of the pool at the detector's threshold, against the classes of `RetrievalMetrics`.

    Unlabelled true duplicates count as errors, so precision is a lower bound.
    average_precision: over pairs with similarity of at least `floor`, by their score; duplicates below it count as
    never found.
    """

    pool: int
    true_pairs: int
    found: int
    precision: float
    recall: float
    f1: float
    average_precision: float
    floor: float


def mining_metrics(
    texts: EncodedTexts, classes: NDArray[np.int64], threshold: float, progress: Progress
) -> MiningMetrics:
    """Return how well the pairs of all texts at or above the threshold are those within a class.

    `classes` (n,) for the n forms of `texts`, at least two of which share one.
    """
    pool = len(classes)
    sizes = np.bincount(classes)
    true_pairs = int((sizes * (sizes - 1) // 2).sum())
    floor = min(MINING_FLOOR, threshold)
    pairs = texts.similar(floor, progress)
    same = classes[pairs.left] == classes[pairs.right]
    score = texts.score(pairs.left, pairs.right, pairs.similarity)
    found = score.astype(np.float64) >= threshold
    right = int((found & same).sum())
    counts = metrics.PairCounts(right, int(found.sum()) - right, true_pairs - right)
    return MiningMetrics(
        pool=pool,
        true_pairs=true_pairs,
        found=int(found.sum()),
        precision=counts.precision,
        recall=counts.recall,
        f1=counts.f1,
        average_precision=_average_precision(score, same, true_pairs),
        floor=floor,
    )


def _average_precision(score: NDArray[np.float32], same: NDArray[np.bool_], true_pairs: int) -> float:
    reached = int(same.sum())
    if reached in (0, len(same)):  # no curve to draw: nothing right was reached, or nothing wrong
        return reached / true_pairs
    # The curve's recall is relative to what lies above the floor; what lies below it adds nothing.
    return metrics.average_precision(metrics.curve(score, same)) * reached / true_pairs
