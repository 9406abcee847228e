"""What the graph of pairs tells about their labels to someone who has not read a word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect import metrics
from dupdetect.splits.graph_features import common_neighbours, degrees
from dupdetect.splits.logistic import logistic_guess

_FOLDS = 5


@dataclass(frozen=True, slots=True)
class GraphAlone:
    """What guesses without reading achieve on the same pairs; a detector is worth what it has above them.

    majority: accuracy of always giving the more frequent label; prevalence: average precision of guessing at random.
    accuracy, average_precision: guessed from how often each question stands in these pairs, and with which others. That
    is how the pairs were chosen, and no split removes it (see `dupdetect.splits.ProbeScore`). Fitted and measured on
    `folds` parts in turn that share no question; accuracy over all pairs, average precision the mean over the parts,
    each counting by its pairs. All in [0, 1]; with folds 0 all pairs hang together, and both are nan.
    """

    majority: float
    prevalence: float
    accuracy: float
    average_precision: float
    folds: int


def graph_alone(
    k: int, edges: NDArray[np.int64], labels: NDArray[np.bool_], groups: NDArray[np.int64], seed: int
) -> GraphAlone:
    """Return what can be guessed from `edges` (n, 2) between `k` questions; `labels` and `groups` (n,) as elsewhere.

    The features are those of the leak probe of `dupdetect.splits`, taken from the pairs as they are: which pairs there
    are, never their labels.
    """
    positives = int(labels.sum())
    part = parts_of_groups(groups, seed)
    folds = int(part.max()) + 1 if part.any() else 0
    features = np.log1p(np.hstack([degrees(k, edges, edges, np.True_), common_neighbours(k, edges, edges)[:, None]]))
    right, precision = np.zeros(folds), np.zeros(folds)
    for fold in range(folds):
        out = part == fold
        guess = logistic_guess(features[~out], labels[~out], features[out])
        right[fold] = ((guess >= 0.5) == labels[out]).sum()
        # Within the part: parts with more duplicates get lower guesses, as those they were fitted on had fewer.
        precision[fold] = _average_precision(guess, labels[out]) * out.sum()
    return GraphAlone(
        majority=max(positives, len(labels) - positives) / len(labels),
        prevalence=positives / len(labels),
        accuracy=float(right.sum() / len(labels)) if folds else np.nan,
        average_precision=float(precision.sum() / len(labels)) if folds else np.nan,
        folds=folds,
    )


def parts_of_groups(groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the part (n,) of each pair, 0 to 4: whole groups, dealt out in an order drawn with `seed`."""
    distinct, group = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(distinct)) % _FOLDS)[group]


def _average_precision(score: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Return the average precision; where all labels are equal there is nothing to rank: the share of duplicates."""
    share = float(labels.mean())
    return metrics.average_precision(metrics.curve(score, labels)) if 0 < share < 1 else share
