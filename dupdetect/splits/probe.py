"""The leak probe: how well test labels can be guessed from the graph of pairs alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.metrics import average_precision, curve
from dupdetect.pairs import PairNodes
from dupdetect.splits.graph_features import common_neighbours, degrees
from dupdetect.splits.logistic import logistic_guess

_PROBE_PAIRS = 50_000


@dataclass(frozen=True, slots=True)
class ProbeScore:
    """How well the labels of test pairs can be guessed without reading a word.

    `seen`: share of test pairs with a question that also stands in train. `majority`: accuracy of always giving the
    label that is more frequent in train; `prevalence`: average precision of guessing at random. `history_*`: guessed
    from the train pairs that either question stands in, and their labels. What is above the majority and the prevalence
    is leakage; where no question was seen, all pairs get one guess, and its accuracy may be below the majority's.
    `structure_*`: guessed from how often each question stands in any pair, and with which others; that is how the data
    were chosen, and no split removes it. All in [0, 1].
    """

    seen: float
    majority: float
    prevalence: float
    history_accuracy: float
    history_average_precision: float
    structure_accuracy: float
    structure_average_precision: float


@dataclass(frozen=True, slots=True)
class LeakProbe:
    """The probe on these splits (`grouped`), and on a random split of the same pairs into the same sizes (`random`):
    the difference is what leakage can add to a model's score. Fitted on `train_pairs` pairs, measured on `test_pairs`,
    50,000 of each at most; `seen` is of all."""

    grouped: ProbeScore
    random: ProbeScore
    train_pairs: int
    test_pairs: int


def leak_probe(
    nodes: PairNodes, labels: NDArray[np.bool_], rows: Mapping[str, NDArray[np.int64]], ranks: NDArray[np.uint64]
) -> LeakProbe:
    """Guess test labels without reading a word, here and in a random split of the same sizes.

    The idea is the "magic features" of the Quora Question Pairs contest: how often a question stands in the data, and
    with which others, tells much about the label (Zhang et al., "Selection Bias Explorations and Debias Methods for
    Natural Language Sentence Matching Datasets", ACL 2019).
    """
    low, high = np.minimum(nodes.left, nodes.right), np.maximum(nodes.left, nodes.right)
    # A hash of the two questions, not of the row: shuffling rows must not change the report.
    shuffled = np.lexsort((high, low, _mix(ranks[low], ranks[high])))
    number_train, number_test = len(rows["train"]), len(rows["test"])
    in_order = np.empty(len(labels), dtype=np.int64)
    in_order[shuffled] = np.arange(len(labels))
    grouped = tuple(rows[name][np.argsort(in_order[rows[name]])] for name in ("train", "test"))
    random = shuffled[:number_train], shuffled[number_train : number_train + number_test]
    edges = np.column_stack([low, high])
    return LeakProbe(
        grouped=_probe(len(nodes.texts), edges, labels, *grouped),
        random=_probe(len(nodes.texts), edges, labels, *random),
        train_pairs=min(number_train, _PROBE_PAIRS),
        test_pairs=min(number_test, _PROBE_PAIRS),
    )


def _probe(
    k: int, edges: NDArray[np.int64], labels: NDArray[np.bool_], train: NDArray[np.int64], test: NDArray[np.int64]
) -> ProbeScore:
    in_train = np.zeros(k, dtype=np.bool_)
    in_train[edges[train]] = True
    seen = float(in_train[edges[test]].any(axis=1).mean())
    fit, held_out = train[:_PROBE_PAIRS], test[:_PROBE_PAIRS]
    truth = labels[held_out]

    positives = train[labels[train]]
    history = [
        np.hstack(
            [
                # Without the pair itself: a test pair is not in train either.
                degrees(k, edges[train], edges[chosen], known),
                degrees(k, edges[positives], edges[chosen], known & labels[chosen]),
                common_neighbours(k, edges[train], edges[chosen])[:, None],
                common_neighbours(k, edges[positives], edges[chosen])[:, None],
            ]
        )
        for chosen, known in ((fit, np.True_), (held_out, np.False_))
    ]
    structure = [
        np.hstack([degrees(k, edges, edges[chosen], np.True_), common_neighbours(k, edges, edges[chosen])[:, None]])
        for chosen in (fit, held_out)
    ]
    by_history = logistic_guess(np.log1p(history[0]), labels[fit], np.log1p(history[1]))
    by_structure = logistic_guess(np.log1p(structure[0]), labels[fit], np.log1p(structure[1]))
    return ProbeScore(
        seen=seen,
        majority=float((truth == (labels[train].mean() >= 0.5)).mean()),
        prevalence=float(truth.mean()),
        history_accuracy=float(((by_history >= 0.5) == truth).mean()),
        history_average_precision=_average_precision(truth, by_history),
        structure_accuracy=float(((by_structure >= 0.5) == truth).mean()),
        structure_average_precision=_average_precision(truth, by_structure),
    )


def _average_precision(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Average precision in [0, 1]; with one label only there is nothing to rank, and the share of duplicates."""
    prevalence = float(truth.mean())
    return average_precision(curve(score, truth)) if 0 < prevalence < 1 else prevalence


def _mix(low: NDArray[np.uint64], high: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash two hashes into one (k,) uint64: the finaliser of splitmix64 (Steele et al., OOPSLA 2014)."""
    x = low + high * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed
