"""What `evaluate` returns, and how it reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dupdetect.calibration.measures import percent
from dupdetect.curves import PairCurves
from dupdetect.evaluation.graph_alone import GraphAlone
from dupdetect.evaluation.mining import MiningMetrics
from dupdetect.evaluation.pair_metrics import PairMetrics
from dupdetect.evaluation.retrieval import RetrievalMetrics
from dupdetect.evaluation.transfer import ThresholdTransfer


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` measured; `str()` gives a page of text.

    precision_at_prevalence: share of duplicates among the pairs -> precision at the detector's threshold there.
    curves: what `write_plots` draws.
    """

    detector: str
    encoder: str
    criterion: str
    pair: PairMetrics
    transfer: ThresholdTransfer
    graph: GraphAlone
    retrieval: RetrievalMetrics
    mining: MiningMetrics
    precision_at_prevalence: dict[str, float]
    curves: PairCurves

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, all but the curves; what is not defined is None."""
        record = asdict(self)
        del record["curves"]
        plain: dict[str, Any] = _without_nan(record)
        return plain

    def __str__(self) -> str:
        parts = (_pair_lines, _graph_lines, _transfer_lines, _retrieval_lines, _mining_lines, _prevalence_lines)
        title = f"{self.detector}, threshold {self.pair.threshold:.4f} ({self.criterion})"
        return "\n\n".join([title, *("\n".join(lines(self)) for lines in parts)])


def _pair_lines(evaluation: Evaluation) -> Iterator[str]:
    pair = evaluation.pair
    yield f"Labelled pairs: {pair.pairs:,}, of which {pair.duplicates:,} duplicates. [95 % interval]"
    for name, interval in (
        ("average precision", pair.average_precision),
        ("F1", pair.f1),
        ("precision", pair.precision),
        ("recall", pair.recall),
        ("accuracy", pair.accuracy),
        ("recall at precision 0.90", pair.recall_at_precision_90),
        ("recall at precision 0.95", pair.recall_at_precision_95),
        ("expected calibration error", pair.expected_calibration_error),
    ):
        between = f"[{interval.low:.4f}, {interval.high:.4f}]" if interval.low < interval.high else "[cannot be told]"
        yield f"  {name:<28}{interval.value:8.4f}  {between}"
    if pair.unlike:
        yield f"  {pair.unlike:,} of the pairs differ in words that the encoder does not know, and are never accepted"


def _graph_lines(evaluation: Evaluation) -> Iterator[str]:
    pair, graph = evaluation.pair, evaluation.graph
    yield "What can be had without reading a word, on the same pairs:   accuracy   average precision"
    for name, accuracy, average_precision in (
        ("the detector", pair.accuracy.value, pair.average_precision.value),
        ("which questions stand in pairs, and with which others", graph.accuracy, graph.average_precision),
        ("guessing: the more frequent label, a random order", graph.majority, graph.prevalence),
    ):
        yield f"  {name:<57}{accuracy:10.4f}{average_precision:20.4f}"
    if graph.folds:
        yield f"  (second line: fitted and measured in turn on {graph.folds} parts that share no question)"
    else:
        yield "  (second line: not defined, as all pairs hang together by their questions)"


def _transfer_lines(evaluation: Evaluation) -> Iterator[str]:
    transfer = evaluation.transfer
    if transfer.chosen_here:
        yield "Threshold transfer: none, as the threshold was chosen on these very pairs. Nothing here is a result."
        return
    yield "Threshold transfer: F1 here, at the threshold that was chosen on other pairs and at the best one for these."
    yield f"  chosen on: {transfer.chosen_on or 'labelled pairs that nothing was said about'}"
    there = f"{percent(transfer.chosen_among)} duplicates there"
    if transfer.chosen_for != transfer.chosen_among:
        there += f", weighted as if {percent(transfer.chosen_for)} were"
    yield (
        f"  {transfer.threshold:.4f}, the detector's   F1 {transfer.f1:.4f}   (on the pairs it was chosen on "
        f"{transfer.f1_where_chosen:.4f}; {there}, {percent(transfer.prevalence)} here)"
    )
    yield (
        f"  {transfer.best_threshold:.4f}, the best here    F1 {transfer.best_f1:.4f}   "
        "(not a result: it has seen the labels)"
    )
    yield f"  lost by the transfer         {transfer.loss:.4f}"


def _retrieval_lines(evaluation: Evaluation) -> Iterator[str]:
    retrieval = evaluation.retrieval
    yield f"Retrieval: {retrieval.queries:,} questions with a known duplicate, in a pool of {retrieval.pool:,}."
    yield (
        f"  Recall@1 {retrieval.recall_at_1:.4f}   @5 {retrieval.recall_at_5:.4f}   "
        f"@10 {retrieval.recall_at_10:.4f}   MRR {retrieval.mrr:.4f}   MAP {retrieval.map:.4f}   "
        f"nDCG@10 {retrieval.ndcg_at_10:.4f}"
    )


def _mining_lines(evaluation: Evaluation) -> Iterator[str]:
    mining = evaluation.mining
    yield (
        f"Mining: all {mining.pool * (mining.pool - 1) // 2:,} pairs of the pool, {mining.true_pairs:,} of them "
        "known duplicates (unknown ones count as errors)."
    )
    yield (
        f"  precision {mining.precision:.4f}   recall {mining.recall:.4f}   F1 {mining.f1:.4f}"
        f"   average precision {mining.average_precision:.4f}"
    )


def _prevalence_lines(evaluation: Evaluation) -> Iterator[str]:
    yield "Precision at this threshold where duplicates are rarer among the pairs:"
    shares = evaluation.precision_at_prevalence
    if any(math.isnan(value) for value in shares.values()):
        yield "  cannot be told: not one of these pairs is wrongly accepted, which does not mean that none ever is"
    else:
        yield "  " + "   ".join(f"{share}: {value:.4f}" for share, value in shares.items())


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
