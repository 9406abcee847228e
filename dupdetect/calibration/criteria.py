"""What a threshold is chosen for, and how that is written as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from dupdetect.errors import ArtifactError, InputError
from dupdetect.metrics.inputs import check_share


@dataclass(frozen=True, slots=True)
class MaxF1:
    """The threshold with the best F1 on the labelled pairs; the higher one where two are equally good.

    It promises nothing about precision, and the best F1 depends on the share of duplicates: see `Calibration.at`.
    """

    def __str__(self) -> str:
        return "best F1 on the labelled pairs"


@dataclass(frozen=True, slots=True)
class MinPrecision:
    """The lowest threshold whose precision is certified: `precision` in (0, 1], `confidence` in (0, 1).

    Over repeated draws of labelled pairs, the chosen threshold has a true precision below `precision` in at most
    1 - confidence of them (and there is a threshold at all, or `UnreachableCriterionError`), for pairs that come from
    where the labelled ones came from. The guarantee is for one request: asking for many precisions and then
    picking one is a choice of its own.

    **How.** Candidate thresholds are fixed without looking at labels: those that accept the 60 most similar pairs, then
    4 % more each time. At each, "precision is below `precision`" is tested by the exact one-sided Clopper-Pearson
    bound. Testing downwards and stopping at the first failure keeps the error rate over all tests without any
    correction (fixed sequence testing; Angelopoulos et al. 2021, "Learn then Test", arXiv 2110.01052), but a few stray
    errors among the first pairs end that walk. So it may start again at twice as many pairs (up to half of all),
    and the allowed error rate is split evenly between the starts; a walk that still goes when it meets the next start
    inherits that one's part (the fallback procedure: Wiens 2003; Wiens and Dmitrienko 2005; valid under any dependence
    of the tests). The last threshold that passed is taken. Neither the candidates nor the parts depend on `precision`,
    so asking for more never gives a lower threshold. In 400 simulated draws of 10,000 pairs with 0.9 asked, a single
    walk was refused in 22 %, this one in none, and it kept 0.78 of the recall of the best threshold there is (a single
    walk 0.61); with 4,000 pairs and 0.8 asked 0.90, without a refusal.

    **Dependence.** Pairs that share questions err together. The exact bound is therefore taken at the effective sample
    size n / `metrics.design_effect`, per threshold, from the groups of the evidence (Korn and Graubard 1998). That is
    an approximation that simulation supports, not a theorem: with groups of ten pairs that err together, 2-5 % of the
    certificates were wrong, and 12-20 % where groups were ignored. With groups of one pair it is exact.
    """

    precision: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", number(self.precision, "min_precision"))
        check_share(self.precision, "min_precision")
        object.__setattr__(self, "confidence", inside(self.confidence, "confidence"))

    def __str__(self) -> str:
        return f"precision of at least {self.precision:g} with {100 * self.confidence:g} % confidence"


@dataclass(frozen=True, slots=True)
class MinRecall:
    """The highest threshold that accepts at least this share, in (0, 1], of the labelled duplicates.

    A statement about the labelled pairs; `Calibration.summary` gives the interval that goes with it. Duplicates that no
    threshold accepts count as missed, so where there are many of them it is refused (`UnreachableCriterionError`).
    """

    recall: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "recall", number(self.recall, "min_recall"))
        check_share(self.recall, "min_recall")

    def __str__(self) -> str:
        return f"recall of at least {self.recall:g} on the labelled pairs"


@dataclass(frozen=True, slots=True)
class FixedThreshold:
    """This threshold, whatever the labelled pairs say about it."""

    threshold: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", number(self.threshold, "threshold"))
        if not -1 <= self.threshold <= 1:
            raise InputError(f"The threshold is {self.threshold}, and a cosine lies between -1 and 1.")

    def __str__(self) -> str:
        return f"threshold {self.threshold:g} set by hand"


@dataclass(frozen=True, slots=True)
class EstimatedPrecision:
    """The lowest threshold from which this share, in (0, 1), of the pairs found in a file are duplicates by their
    probabilities. An estimate for that file (`Calibration.estimated`), not a certificate. Not 1: no probability is.
    """

    precision: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", number(self.precision, "estimated_precision"))
        if self.precision == 0:
            raise InputError(
                "Every precision is at least 0. For all pairs that reach the threshold pass estimated_precision=None."
            )
        if self.precision == 1:
            raise InputError(
                "No pair of different texts is a duplicate for certain, so an estimated precision of 1 is never "
                "reached. Ask for less, such as 0.99."
            )
        check_share(self.precision, "estimated_precision")

    def __str__(self) -> str:
        return f"estimated precision of at least {self.precision:g} in this file"


Criterion: TypeAlias = MaxF1 | MinPrecision | MinRecall | FixedThreshold | EstimatedPrecision
_CRITERIA: Mapping[str, type[Criterion]] = {
    "max_f1": MaxF1,
    "min_precision": MinPrecision,
    "min_recall": MinRecall,
    "fixed_threshold": FixedThreshold,
    "estimated_precision": EstimatedPrecision,
}


def criterion_to_dict(criterion: Criterion) -> dict[str, Any]:
    """Return the criterion as JSON values, for example {"name": "min_recall", "recall": 0.9}."""
    name = next(name for name, kind in _CRITERIA.items() if isinstance(criterion, kind))
    return {"name": name, **asdict(criterion)}


def criterion_from_dict(values: Mapping[str, Any]) -> Criterion:
    """Return the criterion that `criterion_to_dict` wrote; `ArtifactError` when it is none that is known here."""
    arguments = dict(values)
    name = arguments.pop("name", None)
    if name not in _CRITERIA:
        raise ArtifactError(f"The criterion {name!r} is none of {', '.join(_CRITERIA)}. Update dupdetect.")
    try:
        return _CRITERIA[name](**arguments)
    except (TypeError, InputError) as error:
        raise ArtifactError(f"The criterion {name!r} is damaged: {error}") from None


def number(value: float, name: str) -> float:
    """Return the value as a plain float, which can be written as JSON; raise InputError for what is no number."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}, and must be a number.")
    return float(value)


def inside(value: float, name: str) -> float:
    """Return the value as a plain float if it lies between 0 and 1, without the ends; raise InputError otherwise."""
    share = number(value, name)
    if not 0 < share < 1:
        raise InputError(f"{name} is {value}, and must lie between 0 and 1, without the ends.")
    return share
