"""dupdetect finds the short texts that ask the same thing.

    from dupdetect import Detector
    detector = Detector.from_pretrained()
    detector.predict([("How do I reset my password?", "I forgot my password, what now?")])
    result = detector.deduplicate(["How do I pay?", "how do I pay", "Where is my parcel?"])

A map, from the bottom up (each module imports only what stands above it here):

    errors          what can go wrong;  progress: who is told;  atomic: files that appear whole or not at all
    frozen          results that stay what they are;  cores: how many threads are worth starting
    shipped         where the detectors lie that come with the package;  shell: commands to paste
    remote          files behind a URL, fetched and sent (extra `remote`)
    sqlite          files of ours in SQLite, and what goes wrong with them
    markup          HTML out of a text
    text            canonical(): the one definition of "the same question text"
    tables          tabular files and frames, every cell as it came
    parts           an export to a table: a file, what is behind a URL, several parts as one
    questions       texts to compare, with ids and their untouched original rows
    pairs           labelled pairs and triplets
    graph           connected components
    metrics         curves, exact and bootstrap intervals, retrieval
    splits          leakage-safe train / validation / calibration / test
    encoder         text to unit vectors
    search          exact similar_pairs and nearest;  approximate_pairs (extra `ann`)
    guards          what a cosine does not see: numbers, negation, opposites, alternatives, word order
    distinct_texts  texts, each question text once
    encoded_texts   the distinct texts of a call, compared where their unknown words agree;  compared_pairs: two by two;
                    best_matches: each with the best of others;  boilerplate: ends that many texts share
    calibration     similarity to probability, and the threshold that meets a criterion
    clustering      pairs to clusters with survivors;  crowded: the same, where there are too many pairs to list
    keep            which duplicate stays
    review          pairs to be labelled, the labels, and what follows;  ruled_out: why pairs do not count after all
    artifacts       the folder that a detector is saved in;  model_card: what it is, in words;  hub: there and back
    results         Deduplication, Matches, Explanation;  report: the page that shows them;  row_results: texts to rows
                    svg, curves: plots;  possible: which pairs are sure enough to count
    engines         where the long parts run: here, or on a Ray cluster (extra `cluster`)
    listing         the pairs that are found, and how many at most;  deduplication_notes: what is said of them
    deduplicating   one deduplication, from questions to what stays;  matching: from queries to known questions
    loading         a detector by its name, out of a folder or from the hub
    detector        Detector;  index: QuestionIndex, a folder of known questions
    planning        what a large deduplication will take
    recalibrating   a detector out of the labels of a review
    evaluation      evaluate(), n_way_accuracy(), and plots
    training        fine-tuning of encoders (extra `train`);  service: an index over HTTP (extra `serve`)
    cli             the command line

Names are imported when they are first used: `import dupdetect` itself loads neither numpy nor onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dupdetect._version import __version__

if TYPE_CHECKING:
    from dupdetect.calibration import Calibration, MaxF1, MinPrecision, MinRecall
    from dupdetect.detector import Detector
    from dupdetect.errors import DupdetectError
    from dupdetect.evaluation import Evaluation, evaluate
    from dupdetect.index import QuestionIndex
    from dupdetect.pairs import QuestionPairs, Triplets
    from dupdetect.questions import Questions
    from dupdetect.results import Deduplication, Explanation, Matches
    from dupdetect.splits import Splits, split_pairs
    from dupdetect.text import canonical

__all__ = [
    "Calibration",
    "Deduplication",
    "Detector",
    "DupdetectError",
    "Evaluation",
    "Explanation",
    "Matches",
    "MaxF1",
    "MinPrecision",
    "MinRecall",
    "QuestionIndex",
    "QuestionPairs",
    "Questions",
    "Splits",
    "Triplets",
    "__version__",
    "canonical",
    "evaluate",
    "split_pairs",
]

_HOME = {
    "Calibration": "calibration",
    "Deduplication": "results",
    "Detector": "detector",
    "DupdetectError": "errors",
    "Evaluation": "evaluation",
    "Explanation": "results",
    "Matches": "results",
    "MaxF1": "calibration",
    "MinPrecision": "calibration",
    "MinRecall": "calibration",
    "QuestionIndex": "index",
    "QuestionPairs": "pairs",
    "Questions": "questions",
    "Splits": "splits",
    "Triplets": "pairs",
    "canonical": "text",
    "evaluate": "evaluation",
    "split_pairs": "splits",
}
_MODULES = frozenset(
    {"calibration", "errors", "metrics", "pairs", "questions", "results", "search", "splits", "tables", "training"}
)

if not TYPE_CHECKING:  # a type checker would take it to mean that every name is there

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            return getattr(import_module(f"dupdetect.{_HOME[name]}"), name)
        if name in _MODULES:
            return import_module(f"dupdetect.{name}")
        raise AttributeError(f"module 'dupdetect' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
