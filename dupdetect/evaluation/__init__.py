"""How good a detector is on labelled data that nothing was fitted on.

Several views, because each hides what another shows:

    pair_metrics   the labelled pairs, decided at a threshold that was chosen elsewhere
    transfer       what that threshold costs against the best one here; its precision at another prevalence
    graph_alone    what can be guessed about the same labels without reading a word
    retrieval      does a question find its duplicates among all others?
    mining         all pairs of the questions, as `dedupe` sees them
    n_way          classes instead of pairs: is a text most like an example of its own class?

    measure        evaluate(): all but the last;  result: Evaluation
    curves         what the plots show;  svg: axes and colours;  plots: write_plots()
"""

from __future__ import annotations

from dupdetect.curves import HistogramBin, PairCurves, ReliabilityBin
from dupdetect.evaluation.graph_alone import GraphAlone
from dupdetect.evaluation.measure import evaluate
from dupdetect.evaluation.mining import MINING_FLOOR, MiningMetrics
from dupdetect.evaluation.n_way import LeftOutTexts, NWayAccuracy, n_way_accuracy
from dupdetect.evaluation.pair_metrics import Interval, PairMetrics
from dupdetect.evaluation.plots import (
    PLOTS,
    histogram_plot,
    precision_recall_plot,
    reliability_plot,
    write_plots,
)
from dupdetect.evaluation.result import Evaluation
from dupdetect.evaluation.retrieval import RetrievalMetrics
from dupdetect.evaluation.transfer import ThresholdTransfer

__all__ = [
    "MINING_FLOOR",
    "PLOTS",
    "Evaluation",
    "GraphAlone",
    "HistogramBin",
    "Interval",
    "LeftOutTexts",
    "MiningMetrics",
    "NWayAccuracy",
    "PairCurves",
    "PairMetrics",
    "ReliabilityBin",
    "RetrievalMetrics",
    "ThresholdTransfer",
    "evaluate",
    "histogram_plot",
    "n_way_accuracy",
    "precision_recall_plot",
    "reliability_plot",
    "write_plots",
]
