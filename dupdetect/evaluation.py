"""How good a detector is on labelled pairs that nothing was fitted on.

Four views, because each hides what another shows: the labelled *pairs* (with a threshold that was chosen elsewhere),
*retrieval* (does a question find its duplicates among all others?), *mining* (all pairs of the questions, as `dedupe`
sees them), and what the precision would be at another *prevalence*.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect import metrics
from dupdetect.detector import Detector
from dupdetect.errors import EmptyInputError, InputError
from dupdetect.graph import connected_components
from dupdetect.pairs import PairNodes, QuestionPairs, labelled
from dupdetect.progress import Progress, silent
from dupdetect.search import cosine, nearest, similar_pairs, unit_rows

__all__ = ["Evaluation", "Interval", "MiningMetrics", "PairMetrics", "RetrievalMetrics", "evaluate"]

PREVALENCES = (0.1, 0.01, 0.001, 0.0001)
RETRIEVAL_DEPTH = 100
MINING_FLOOR = 0.6


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval by resampling groups of pairs that share questions; nan where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairMetrics:
    """On the labelled pairs, at the detector's threshold where one is needed.

    best_f1 is tuned on these very pairs: it says what a perfect choice of threshold would have given, no more.
    """

    pairs: int
    duplicates: int
    threshold: float
    average_precision: Interval
    f1: Interval
    precision: Interval
    recall: Interval
    accuracy: Interval
    roc_auc: float
    recall_at_precision_90: float
    recall_at_precision_95: float
    best_f1: float
    expected_calibration_error: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class RetrievalMetrics:
    """Each question that has a known duplicate asks the pool of all questions; its duplicates are its whole class.

    Classes are the transitive closure of the pairs labelled duplicate. Unlabelled true duplicates count as errors.
    mrr, map: over the first 100 ranks.
    """

    pool: int
    queries: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mrr: float
    map: float
    ndcg_at_10: float


@dataclass(frozen=True, slots=True)
class MiningMetrics:
    """All pairs of the pool at the detector's threshold, against the classes of `RetrievalMetrics`.

    Unlabelled true duplicates count as errors, so precision is a lower bound.
    average_precision: over pairs with similarity of at least `floor`; duplicates below it count as never found.
    """

    pool: int
    true_pairs: int
    found: int
    precision: float
    recall: float
    f1: float
    average_precision: float
    floor: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` measured. `precision_at_prevalence`: share of duplicates -> precision at the threshold there."""

    detector: str
    encoder: str
    criterion: str
    pair: PairMetrics
    retrieval: RetrievalMetrics
    mining: MiningMetrics
    precision_at_prevalence: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is not defined is None."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain

    def __str__(self) -> str:
        pair, retrieval, mining = self.pair, self.retrieval, self.mining
        lines = [
            f"{self.detector}, threshold {pair.threshold:.4f} ({self.criterion})",
            "",
            f"Labelled pairs: {pair.pairs:,}, of which {pair.duplicates:,} duplicates. [95 % interval]",
            *(
                f"  {name:<28}{interval.value:8.4f}  [{interval.low:.4f}, {interval.high:.4f}]"
                for name, interval in (
                    ("average precision", pair.average_precision),
                    ("F1", pair.f1),
                    ("precision", pair.precision),
                    ("recall", pair.recall),
                    ("accuracy", pair.accuracy),
                )
            ),
            f"  {'expected calibration error':<28}{pair.expected_calibration_error:8.4f}",
            f"  {'F1 if tuned on these pairs':<28}{pair.best_f1:8.4f}  (not a result: it has seen the labels)",
            "",
            f"Retrieval: {retrieval.queries:,} questions with a known duplicate, in a pool of {retrieval.pool:,}.",
            f"  Recall@1 {retrieval.recall_at_1:.4f}   @5 {retrieval.recall_at_5:.4f}   "
            f"@10 {retrieval.recall_at_10:.4f}   MRR {retrieval.mrr:.4f}   MAP {retrieval.map:.4f}   "
            f"nDCG@10 {retrieval.ndcg_at_10:.4f}",
            "",
            f"Mining: all {mining.pool * (mining.pool - 1) // 2:,} pairs of the pool, {mining.true_pairs:,} of them "
            "known duplicates (unknown ones count as errors).",
            f"  precision {mining.precision:.4f}   recall {mining.recall:.4f}   F1 {mining.f1:.4f}"
            f"   average precision {mining.average_precision:.4f}",
            "",
            "Precision at this threshold where duplicates are rarer among the pairs:",
            "  " + "   ".join(f"{share}: {value:.4f}" for share, value in self.precision_at_prevalence.items()),
        ]
        return "\n".join(lines)


def evaluate(detector: Detector, pairs: QuestionPairs, *, seed: int = 0, progress: Progress = silent) -> Evaluation:
    """Measure a calibrated detector on labelled pairs; `seed` is that of the bootstrap.

    Honest only on pairs that neither the encoder, nor the calibration, nor any choice made on the way has seen: use the
    test split of `split_pairs`, once.

    Raises EmptyInputError for no pairs, InputError when there are not both duplicates and others, NotCalibratedError.
    """
    if not len(labelled(pairs)):
        raise EmptyInputError("There are no labelled pairs to evaluate on.")
    calibration = detector.require_calibration()
    nodes = pairs.nodes()
    with progress("Encoding", len(nodes.texts), "text") as advance:
        embeddings = unit_rows(
            detector.encoder.encode(nodes.texts, progress=advance), "The encoder's vectors", rows=len(nodes.texts)
        )
    similarity = cosine(embeddings[nodes.left], embeddings[nodes.right])
    probability = calibration.probability(similarity)
    classes = connected_components(len(nodes.texts), nodes.left[pairs.labels], nodes.right[pairs.labels])
    pair = _pair_metrics(similarity, probability, pairs.labels, nodes, calibration.threshold, seed)
    return Evaluation(
        detector=detector.name,
        encoder=detector.encoder.fingerprint,
        criterion=str(calibration.criterion),
        pair=pair,
        retrieval=_retrieval(embeddings, classes, progress),
        mining=_mining(embeddings, classes, calibration.threshold, progress),
        precision_at_prevalence=_at_prevalence(similarity, pairs.labels, calibration.threshold),
    )


def _pair_metrics(
    similarity: NDArray[np.float32],
    probability: NDArray[np.float64],
    labels: NDArray[np.bool_],
    nodes: PairNodes,
    threshold: float,
    seed: int,
) -> PairMetrics:
    groups = connected_components(len(nodes.texts), nodes.left, nodes.right)[nodes.left]

    def interval(statistic: Callable[[NDArray[Any], NDArray[Any]], float]) -> Interval:
        def on(rows: NDArray[np.int64]) -> float:
            return statistic(similarity[rows], labels[rows])

        try:
            low, high = metrics.bootstrap_interval(on, groups, seed=seed)
        except InputError:  # too few groups, or a value that is not defined here: there is no interval to state
            low, high = math.nan, math.nan
        return Interval(on(np.arange(len(labels))), low, high)

    cuts = metrics.curve(similarity, labels)
    return PairMetrics(
        pairs=len(labels),
        duplicates=int(labels.sum()),
        threshold=threshold,
        average_precision=interval(lambda s, y: metrics.average_precision(metrics.curve(s, y))),
        f1=interval(lambda s, y: metrics.counts_at(s, y, threshold).f1),
        precision=interval(lambda s, y: metrics.counts_at(s, y, threshold).precision),
        recall=interval(lambda s, y: metrics.counts_at(s, y, threshold).recall),
        accuracy=interval(lambda s, y: metrics.accuracy(s, y, threshold)),
        roc_auc=metrics.roc_auc(cuts),
        recall_at_precision_90=metrics.recall_at_precision(cuts, 0.90),
        recall_at_precision_95=metrics.recall_at_precision(cuts, 0.95),
        best_f1=metrics.best_f1(cuts)[0],
        # Without an interval: resampled pairs are repeated, and every repetition looks like miscalibration.
        expected_calibration_error=metrics.expected_calibration_error(probability, labels),
        log_loss=metrics.log_loss(probability, labels),
    )


def _retrieval(embeddings: NDArray[np.float32], classes: NDArray[np.int64], progress: Progress) -> RetrievalMetrics:
    pool = len(classes)
    relevant = np.bincount(classes, minlength=pool)[classes] - 1
    queries = np.flatnonzero(relevant)
    if not len(queries):
        raise InputError("No pair is labelled a duplicate, so there is nothing to retrieve.")
    with progress("Retrieving", len(queries), "question") as advance:
        near = nearest(embeddings[queries], embeddings, RETRIEVAL_DEPTH + 1, progress=advance)
    # Each question finds itself; it stands somewhere in the list, or, among many equals, beyond its end.
    others = np.empty((len(queries), near.rows.shape[1] - 1), dtype=np.int64)
    for position, (query, rows) in enumerate(zip(queries, near.rows, strict=True)):
        others[position] = rows[rows != query][: others.shape[1]]
    relevance = classes[others] == classes[queries][:, None]
    total = relevant[queries]

    def recall(k: int) -> float:
        return metrics.recall_at_k(relevance, total, min(k, relevance.shape[1])).value

    return RetrievalMetrics(
        pool=pool,
        queries=len(queries),
        recall_at_1=recall(1),
        recall_at_5=recall(5),
        recall_at_10=recall(10),
        mrr=metrics.mean_reciprocal_rank(relevance, total).value,
        map=metrics.mean_average_precision(relevance, total).value,
        ndcg_at_10=metrics.ndcg_at_k(relevance, total, min(10, relevance.shape[1])).value,
    )


def _mining(
    embeddings: NDArray[np.float32], classes: NDArray[np.int64], threshold: float, progress: Progress
) -> MiningMetrics:
    pool = len(classes)
    sizes = np.bincount(classes)
    true_pairs = int((sizes * (sizes - 1) // 2).sum())
    floor = min(MINING_FLOOR, threshold)
    with progress("Mining", pool * (pool - 1) // 2, "pair") as advance:
        pairs = similar_pairs(embeddings, floor, progress=advance)
    same = classes[pairs.left] == classes[pairs.right]
    found = pairs.similarity.astype(np.float64) >= threshold
    counts = metrics.PairCounts(int((found & same).sum()), int((found & ~same).sum()), 0)
    counts = metrics.PairCounts(counts.true_positives, counts.false_positives, true_pairs - counts.true_positives)
    reached = (
        metrics.average_precision(metrics.curve(pairs.similarity, same)) if same.any() and not same.all() else math.nan
    )
    if same.all() and len(same):
        reached = 1.0
    return MiningMetrics(
        pool=pool,
        true_pairs=true_pairs,
        found=int(found.sum()),
        precision=counts.precision,
        recall=counts.recall,
        f1=counts.f1,
        # The curve's recall is relative to what lies above the floor; what lies below it adds nothing.
        average_precision=reached * float(same.sum()) / true_pairs,
        floor=floor,
    )


def _at_prevalence(similarity: NDArray[np.float32], labels: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Return the precision at prevalence q: r q / (r q + f (1 - q)), with recall r and false positive rate f."""
    counts = metrics.counts_at(similarity, labels, threshold)
    rate = counts.false_positives / max(1, int((~labels).sum()))
    found = {q: counts.recall * q + rate * (1 - q) for q in PREVALENCES}
    return {f"{q:g}": counts.recall * q / found[q] if found[q] else math.nan for q in PREVALENCES}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
