"""Whether training paid: the trained detector beside its base, on the same test pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect import metrics
from dupdetect.compared_pairs import compare as compare_pairs
from dupdetect.detector import Detector
from dupdetect.errors import InputError
from dupdetect.evaluation import Evaluation, Interval, evaluate
from dupdetect.graph import connected_components
from dupdetect.pairs import QuestionPairs
from dupdetect.progress import Progress, silent

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A trained detector and its base, each with a threshold of its own from the same calibration pairs.

    `gain`: average precision of the trained one less that of the base, in [-1, 1], and its 95 % interval by resampling
    groups of pairs that share questions, the same ones for both; nan where there are too few groups.
    """

    trained: Evaluation
    base: Evaluation
    gain: Interval

    @property
    def verdict(self) -> str:
        """Whether training paid, in a sentence or two."""
        return " ".join(self._sentences())

    def measures(self) -> Iterator[tuple[str, float, float]]:
        """Yield (name, of the trained one, of the base) for what both are compared by; higher is better for each."""
        for name, measure in _MEASURES.items():
            yield name, measure(self.trained), measure(self.base)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is not defined is None."""
        gain = {name: None if math.isnan(value) else value for name, value in asdict(self.gain).items()}
        return {
            "verdict": self.verdict,
            "average_precision_gain": gain,
            "trained": self.trained.to_dict(),
            "base": self.base.to_dict(),
        }

    def __str__(self) -> str:
        pair = self.trained.pair
        lines = [
            f"On {pair.pairs:,} test pairs, {pair.duplicates:,} of them duplicates, that nothing was fitted on:",
            "",
            f"{'':<40}{'trained':>9}{'base':>9}",
            *(f"  {name:<38}{trained:>9.4f}{base:>9.4f}" for name, trained, base in self.measures()),
            "",
        ]
        if self.base.criterion != self.trained.criterion:
            lines.append(
                f"The base cannot reach the {self.trained.criterion}; it is shown at its {self.base.criterion}."
            )
        return "\n".join([*lines, self.verdict])

    def _sentences(self) -> Iterator[str]:
        change, interval = self.gain.value, f"95 % interval {self.gain.low:+.3f} to {self.gain.high:+.3f}"
        if math.isnan(self.gain.low):
            yield (
                f"Whether training paid cannot be said: average precision changed by {change:+.3f}, and there are too "
                "few groups of test questions for an interval."
            )
        elif self.gain.low > 0:
            yield f"Training paid: average precision rose by {change:.3f} ({interval})."
        elif self.gain.high < 0:
            yield (
                f"Training did harm: average precision fell by {-change:.3f} ({interval}). Use the base as it is, "
                "average the weights with it, or lower the learning rate."
            )
        else:
            yield (
                f"Training did not pay as far as these test pairs can tell: average precision changed by {change:+.3f} "
                f"({interval}). The base may do as well; more pairs or more steps may help."
            )
        lower = [name for name, trained, base in self.measures() if trained < base]
        if lower and not self.gain.high < 0:
            yield f"Lower than with the base: {', '.join(lower)}."


def compare(
    trained: Detector, base: Detector, pairs: QuestionPairs, *, seed: int = 0, progress: Progress = silent
) -> Comparison:
    """Measure both on labelled pairs that neither training nor calibration has seen; raises what `evaluate` raises."""
    nodes = pairs.nodes()
    groups = connected_components(len(nodes.texts), nodes.left, nodes.right)[nodes.left]
    scores = [compare_pairs(detector.encoder, pairs, progress, detector.guards).score for detector in (trained, base)]

    def gain(rows: NDArray[np.int64]) -> float:
        new, old = (metrics.average_precision(metrics.curve(s[rows], pairs.labels[rows])) for s in scores)
        return new - old

    try:
        low, high = metrics.bootstrap_interval(gain, groups, seed=seed)
    except InputError:
        low, high = math.nan, math.nan
    return Comparison(
        trained=evaluate(trained, pairs, seed=seed, progress=progress),
        base=evaluate(base, pairs, seed=seed, progress=progress),
        gain=Interval(gain(np.arange(len(pairs))), low, high),
    )


_MEASURES: Mapping[str, Callable[[Evaluation], float]] = {
    "average precision": lambda found: found.pair.average_precision.value,
    "F1 at its threshold": lambda found: found.pair.f1.value,
    "Recall@1 among the test questions": lambda found: found.retrieval.recall_at_1,
    "Recall@10 among the test questions": lambda found: found.retrieval.recall_at_10,
    "average precision over all their pairs": lambda found: found.mining.average_precision,
    "F1 over all their pairs": lambda found: found.mining.f1,
}
