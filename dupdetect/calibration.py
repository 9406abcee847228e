"""Similarity to probability, and the threshold that meets a criterion.

There is no threshold that suits every encoder and every task, so there is no default one: `Calibration.fit` chooses it
on held-out labelled pairs, and keeps those similarities and labels (never the texts), so that `Calibration.at` can
choose another operating point later without encoding anything again. A pair is a duplicate when
`similarity >= threshold`, everywhere. The chosen threshold lies midway between the least similar accepted pair and the
next less similar one, so that rounding in the last digits of a similarity does not change a decision.

    MaxF1()                      the best F1 on the labelled pairs
    MinPrecision(0.95)           the lowest threshold certified to have this precision, or a refusal
    MinRecall(0.9)               the highest threshold that finds this share of the labelled duplicates
    FixedThreshold(0.8)          what `at(threshold=0.8)` records: a number that somebody else answers for
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.errors import (
    ArtifactError,
    CalibrationError,
    EncoderMismatchError,
    InputError,
    UnreachableCriterionError,
)
from dupdetect.metrics import (
    Curve,
    clopper_pearson,
    clopper_pearson_lower,
    clopper_pearson_upper,
    counts_at,
    curve,
    design_effect,
    regularized_beta,
)

__all__ = [
    "Calibration",
    "CalibrationSample",
    "Criterion",
    "FixedThreshold",
    "MaxF1",
    "MinPrecision",
    "MinRecall",
    "criterion_from_dict",
    "criterion_to_dict",
]

MINIMUM_OF_EACH_KIND = 20
"""Labelled duplicates, and other pairs, below which nothing is fitted: 20 know a recall of 0.8 to about +-0.2 only."""

_FIRST_TEST = 60
"""Accepted pairs at the first certified threshold: 59 without an error are the fewest that certify 0.95 at 95 %."""
_TESTS_PER_DOUBLING = 16
_TESTS_PER_START = 32

BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]


# --- Criteria ---------------------------------------------------------------------------------------------------------


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
    errors among the first pairs end that walk. So it may start again at four times as many pairs (up to half of all),
    and the allowed error rate is split evenly between the starts; a walk that still goes when it meets the next start
    inherits that one's part (the fallback procedure: Wiens 2003; Wiens and Dmitrienko 2005; valid under any dependence
    of the tests). The last threshold that passed is taken. Neither the candidates nor the parts depend on `precision`,
    so asking for more never gives a lower threshold. In simulation with 10,000 pairs and 0.9 asked, a single walk was
    refused in 25 % of the draws, this one in 1 %, and it kept 0.79 of the recall of the best threshold there is
    (a single walk 0.60); with 4,000 pairs and 0.8 asked 0.89, without a refusal.

    **Dependence.** Pairs that share questions err together. The exact bound is therefore taken at the effective sample
    size n / `metrics.design_effect`, per threshold, from the groups of the evidence (Korn and Graubard 1998). That is
    an approximation that simulation supports, not a theorem: with groups of ten pairs that err together, 2-5 % of the
    certificates were wrong, and 12-20 % where groups were ignored. With groups of one pair it is exact.
    """

    precision: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _check_target(self.precision, "min_precision")
        _check_inside(self.confidence, "confidence")

    def __str__(self) -> str:
        return f"precision of at least {self.precision:g} with {100 * self.confidence:g} % confidence"


@dataclass(frozen=True, slots=True)
class MinRecall:
    """The highest threshold that accepts at least this share, in (0, 1], of the labelled duplicates.

    A statement about the labelled pairs; `Calibration.summary` gives the interval that goes with it.
    """

    recall: float

    def __post_init__(self) -> None:
        _check_target(self.recall, "min_recall")

    def __str__(self) -> str:
        return f"recall of at least {self.recall:g} on the labelled pairs"


@dataclass(frozen=True, slots=True)
class FixedThreshold:
    """This threshold, whatever the labelled pairs say about it."""

    threshold: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise InputError(f"The threshold is {self.threshold}, and must be a number.")

    def __str__(self) -> str:
        return f"threshold {self.threshold:g} set by hand"


Criterion: TypeAlias = MaxF1 | MinPrecision | MinRecall | FixedThreshold

_CRITERIA: Mapping[str, type[Criterion]] = {
    "max_f1": MaxF1,
    "min_precision": MinPrecision,
    "min_recall": MinRecall,
    "fixed_threshold": FixedThreshold,
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


# --- Evidence ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSample:
    """The held-out pairs without their texts: what was measured, and what a person said.

    `similarity` (n,) float32, descending; `label` (n,) bool; `group` (n,) int32, the same number for pairs that share
    questions directly or through others. Read-only. Make one with `CalibrationSample.of`.
    """

    similarity: NDArray[np.float32]
    label: BoolArray
    group: NDArray[np.int32]

    @classmethod
    def of(cls, similarity: ArrayLike, labels: ArrayLike, groups: ArrayLike | None = None) -> CalibrationSample:
        """Return the checked sample; without `groups` every pair is independent of the others.

        `groups` (n,) are whole numbers or strings. Sorted, so that nothing later depends on the order of the rows.

        Raises `InputError` for arrays that do not match, similarities that are not finite, labels that are not 0 / 1.
        """
        wide = np.asarray(similarity)
        counts_at(wide, labels, 0.0)  # for its checks
        with np.errstate(over="ignore"):  # caught below
            score = wide.astype(np.float32)
        label = np.asarray(labels).astype(np.bool_)
        if not np.all(np.isfinite(score)):
            raise InputError("similarity must be finite numbers.")
        names = np.zeros(len(score)) if groups is None else np.asarray(groups)
        if names.shape != score.shape:
            raise InputError(f"There are {len(score)} pairs and {names.size} groups: one group for each is needed.")
        group = np.unique(names, return_inverse=True)[1].astype(np.int32)
        order = np.lexsort((group, label, -score))
        group = np.arange(len(score), dtype=np.int32) if groups is None else group[order]
        arrays = score[order], label[order], group
        for array in arrays:
            array.setflags(write=False)
        return cls(*arrays)

    def __len__(self) -> int:
        return len(self.label)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CalibrationSample):
            return NotImplemented
        mine, theirs = self.to_arrays(), other.to_arrays()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    __hash__ = None  # type: ignore[assignment]

    @property
    def duplicates(self) -> int:
        """How many pairs are labelled duplicates."""
        return int(self.label.sum())

    @property
    def prevalence(self) -> float:
        """The share of duplicates, in [0, 1]."""
        return self.duplicates / len(self)

    @property
    def groups(self) -> int:
        """How many groups share no question with each other."""
        return len(np.unique(self.group))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the three arrays by name, for an .npz file."""
        return {"similarity": self.similarity, "label": self.label, "group": self.group}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> CalibrationSample:
        """Return the sample that `to_arrays` wrote; `ArtifactError` when an array is missing or does not fit."""
        try:
            return cls.of(arrays["similarity"], arrays["label"], arrays["group"])
        except KeyError as error:
            raise ArtifactError(f"The evidence of the calibration lacks the array {error}. Calibrate again.") from None
        except InputError as error:
            raise ArtifactError(f"The evidence of the calibration is damaged: {error} Calibrate again.") from None


# --- Calibration ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Calibration:
    """How to decide with one encoder's similarities, and the evidence for it. Immutable: `at` returns a new one.

    `threshold`: accept similarity >= threshold.  `criterion`: how it was chosen.
    `prevalence`: the share of duplicates, in (0, 1), among the pairs to decide on; at fit, that of the evidence.
    `encoder`: the fingerprint of the encoder.  `data`: a few words on where the labelled pairs come from.
    `slope` (>= 0) and `intercept`: probability = 1 / (1 + exp(-(slope * similarity + intercept))), at `prevalence`.
    """

    threshold: float
    criterion: Criterion
    prevalence: float
    encoder: str
    slope: float
    intercept: float
    sample: CalibrationSample = field(repr=False)
    data: str = ""

    def __post_init__(self) -> None:
        _check_inside(self.prevalence, "prevalence")
        if not (math.isfinite(self.threshold) and math.isfinite(self.intercept) and 0 <= self.slope < math.inf):
            raise InputError("A calibration needs a finite threshold and intercept, and a finite slope of at least 0.")

    @classmethod
    def fit(
        cls,
        similarity: ArrayLike,
        labels: ArrayLike,
        *,
        encoder: str,
        criterion: Criterion = MaxF1(),
        groups: ArrayLike | None = None,
        data: str = "",
    ) -> Calibration:
        """Return the calibration for labelled pairs that the encoder was not trained on.

        `similarity` (n,) cosine; `labels` (n,) True for a duplicate; `groups` (n,) the same for pairs that share
        questions directly or through others (none: all independent).

        Raises `CalibrationError` for fewer than 20 duplicates or fewer than 20 other pairs,
        `UnreachableCriterionError` when no threshold meets the criterion, `InputError` for arrays that do not fit.
        """
        sample = CalibrationSample.of(similarity, labels, groups)
        duplicates, others = sample.duplicates, len(sample) - sample.duplicates
        if min(duplicates, others) < MINIMUM_OF_EACH_KIND:
            raise CalibrationError(
                f"Too few labelled pairs to calibrate: {duplicates} duplicates and {others} others, and at least "
                f"{MINIMUM_OF_EACH_KIND} of each are needed. Label more pairs of the rarer kind."
            )
        slope, intercept = _logistic_fit(sample)
        threshold = _choose(criterion, sample, sample.prevalence)
        return cls(threshold, criterion, sample.prevalence, encoder, slope, intercept, sample, data)

    def probability(self, similarity: ArrayLike) -> FloatArray:
        """Return the chance that each pair is a duplicate, in (0, 1), never falling as similarity rises; any shape."""
        score = np.asarray(similarity, dtype=np.float64)
        logit = np.clip(self.slope * score + self.intercept, -700, 36)  # beyond, rounding would give 0 or 1
        chance: FloatArray = 1 / (1 + np.exp(-logit))
        return chance

    def accepts(self, similarity: ArrayLike) -> BoolArray:
        """Return the decisions, similarity >= threshold; any shape."""
        decision: BoolArray = np.asarray(similarity, dtype=np.float64) >= self.threshold
        return decision

    def at(
        self,
        *,
        min_precision: float | None = None,
        min_recall: float | None = None,
        prevalence: float | None = None,
        threshold: float | None = None,
        confidence: float = 0.95,
    ) -> Calibration:
        """Return a calibration with another operating point, chosen on the same evidence.

        Give at most one of `min_precision` (with `confidence`), `min_recall` and `threshold`; none keeps the criterion.

        `prevalence`, in (0, 1), is the share of duplicates where decisions are made. It moves the probabilities by
        log-odds(new) - log-odds(old) (Saerens, Latinne and Decaestecker 2002), and precision becomes
        TPR q / (TPR q + FPR (1 - q)), so the threshold is chosen again. It assumes that duplicates look the same in
        both places, and so do other pairs. `MinPrecision` then certifies with a lower bound for TPR and an upper
        one for FPR, each at half of the allowed error: careful, and at a low prevalence demanding.

        Raises `InputError` for two requests at once or values out of range, `UnreachableCriterionError`.
        """
        requests = {"min_precision": min_precision, "min_recall": min_recall, "threshold": threshold}
        asked = [name for name, value in requests.items() if value is not None]
        if len(asked) > 1:
            raise InputError(f"Give one of min_precision, min_recall and threshold, not {' and '.join(asked)}.")
        criterion = self.criterion
        if min_precision is not None:
            criterion = MinPrecision(min_precision, confidence)
        elif min_recall is not None:
            criterion = MinRecall(min_recall)
        elif threshold is not None:
            criterion = FixedThreshold(float(threshold))
        share = self.prevalence if prevalence is None else prevalence
        _check_inside(share, "prevalence")
        return replace(
            self,
            threshold=_choose(criterion, self.sample, share),
            criterion=criterion,
            prevalence=share,
            intercept=self.intercept + (_log_odds(share) - _log_odds(self.prevalence)),
        )

    def check_encoder(self, fingerprint: str) -> None:
        """Raise `EncoderMismatchError` unless the calibration was fitted with this encoder."""
        if fingerprint != self.encoder:
            raise EncoderMismatchError(self.encoder, fingerprint)

    def summary(self, *, confidence: float = 0.95) -> dict[str, Any]:
        """Return what is known about the operating point, as JSON values.

        precision, recall and f1 are {"value", "low", "high"} at the threshold and the prevalence, `value` None where no
        pair is accepted. **They are measured on the pairs that the threshold was chosen on**, so fresh pairs can
        turn out a little worse. Intervals are two-sided and exact at the effective sample size (see `MinPrecision`);
        at another prevalence than the evidence's, those of precision and F1 combine intervals for TPR and FPR at half
        of the allowed error each, and are wider than need be.
        """
        _check_inside(confidence, "confidence")
        precision, recall, f1 = _measured(self.sample, self.threshold, self.prevalence, confidence)
        return {
            "threshold": self.threshold,
            "criterion": str(self.criterion),
            "prevalence": self.prevalence,
            "encoder": self.encoder,
            "data": self.data,
            "pairs": len(self.sample),
            "duplicates": self.sample.duplicates,
            "groups": self.sample.groups,
            "measured_on": "the labelled pairs that the threshold was chosen on",
            "confidence": confidence,
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }

    def describe(self) -> list[str]:
        """Return the summary as lines of text, names in a column of 13 characters."""
        found = self.summary()
        at = "" if self.prevalence == self.sample.prevalence else f", where {_percent(self.prevalence)} are duplicates"
        lines = [
            f"calibration  {self.data or 'labelled pairs'}: {found['pairs']:,} pairs in {found['groups']:,} groups, "
            f"{found['duplicates']:,} duplicates ({_percent(self.sample.prevalence)})",
            f"threshold    cosine {self.threshold:.4f}: {found['criterion']}{at}",
        ]
        for name in ("precision", "recall", "f1"):
            value = "none" if found[name]["value"] is None else f"{found[name]['value']:.3f}"
            lines.append(f"{name:<13}{value} ({found[name]['low']:.3f} to {found[name]['high']:.3f})")
        return [*lines, " " * 13 + "measured on the pairs that the threshold was chosen on; 95 % intervals"]

    def promise(self) -> str:
        """Say in a sentence or two what the operating point does and does not promise for the rows of a file."""
        basis = f"{len(self.sample):,} labelled pairs ({_percent(self.sample.prevalence)} of them duplicates)"
        match self.criterion:
            case FixedThreshold():
                return "This threshold was set by hand: nothing is promised for it. Look at what was found before deleting."
            case MinPrecision():
                claim = f"This threshold is certified on {basis}: {self.criterion}."
            case MinRecall():
                claim = f"Chosen on {basis}: {self.criterion}; it promises no precision."
            case MaxF1():
                claim = f"This threshold has the best F1 on {basis}; it promises no precision."
        return (
            f"{claim} Among all pairs of a file duplicates are far rarer than there, so a larger share of what is found "
            "here can be wrong: look at it before deleting."
        )

    def evidence(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the sample by name: similarity float32, label bool, group int32, each (n,)."""
        return self.sample.to_arrays()

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values; `evidence` gives the arrays."""
        return {
            "threshold": self.threshold,
            "criterion": criterion_to_dict(self.criterion),
            "prevalence": self.prevalence,
            "encoder": self.encoder,
            "link": "logistic",
            "slope": self.slope,
            "intercept": self.intercept,
            "data": self.data,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], evidence: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return the calibration that `to_dict` and `evidence` wrote; it decides identically.

        Raises `ArtifactError` when something is missing, damaged, or of a kind that this version does not know.
        """
        try:
            if values["link"] != "logistic":
                raise ArtifactError(f"The link {values['link']!r} is not known here. Update dupdetect.")
            return cls(
                threshold=float(values["threshold"]),
                criterion=criterion_from_dict(values["criterion"]),
                prevalence=float(values["prevalence"]),
                encoder=str(values["encoder"]),
                slope=float(values["slope"]),
                intercept=float(values["intercept"]),
                sample=CalibrationSample.from_arrays(evidence),
                data=str(values["data"]),
            )
        except KeyError as error:
            raise ArtifactError(f"The calibration lacks {error}. Calibrate again.") from None
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"The calibration is damaged: {error} Calibrate again.") from None


# --- The link ---------------------------------------------------------------------------------------------------------


def _logistic_fit(sample: CalibrationSample) -> tuple[float, float]:
    """Return slope (>= 0) and intercept of the most likely logistic curve.

    The labels are drawn in a little, to (P + 1) / (P + 2) and 1 / (N + 2) for P duplicates and N others (Platt 1999),
    so that labels which similarity separates perfectly still give a finite slope. Newton's method with halved steps, as
    Lin, Lin and Weng (2007).
    """
    positives = sample.duplicates
    negatives = len(sample) - positives
    target = np.where(sample.label, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    flat = 0.0, _log_odds(float(target.mean()))
    score = sample.similarity.astype(np.float64)
    centre, spread = float(score.mean()), float(score.std())
    if spread == 0:
        return flat
    design = np.column_stack([(score - centre) / spread, np.ones(len(sample))])

    def loss(weights: FloatArray) -> float:
        logit = design @ weights
        return float(np.sum(np.logaddexp(0, logit) - target * logit))

    weights = np.array(flat)
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -700, 700)))
        curvature = design.T @ (design * (chance * (1 - chance))[:, None])
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), design.T @ (target - chance))
        before, size = loss(weights), 1.0
        while loss(weights + size * step) > before and size > 1e-6:
            size /= 2
        weights = weights + size * step
        if np.max(np.abs(step)) < 1e-10:
            break
    slope = float(weights[0] / spread)
    # Duplicates no more similar than other pairs: the best curve that does not fall is flat.
    return (slope, float(weights[1]) - slope * centre) if slope > 0 else flat


# --- The threshold ----------------------------------------------------------------------------------------------------


def _choose(criterion: Criterion, sample: CalibrationSample, prevalence: float) -> float:
    """Return the threshold that the criterion asks for when a share `prevalence` of the pairs are duplicates."""
    if isinstance(criterion, FixedThreshold):
        return criterion.threshold
    cuts = curve(sample.similarity, sample.label)
    if isinstance(criterion, MaxF1):
        value = _f1(cuts.recall, cuts.false_positive_rate, prevalence) if prevalence != sample.prevalence else cuts.f1
        # The first is the highest threshold; the tolerance is for values that are equal but for rounding.
        return _below_cut(cuts, int(np.argmax(value >= value.max() - 1e-12)))
    if isinstance(criterion, MinRecall):
        return _below_cut(cuts, int(np.argmax(cuts.recall >= criterion.recall)))
    return _below_cut(cuts, _certified_cut(criterion, sample, cuts, prevalence))


def _below_cut(cuts: Curve, index: int) -> float:
    """Return the threshold midway between this distinct similarity and the next lower one.

    It is a float32 number: comparing float32 similarities with it gives the same in single and double precision.
    """
    accepted = float(cuts.threshold[index])
    if index + 1 == len(cuts.threshold):
        return accepted
    rejected = float(cuts.threshold[index + 1])
    middle = float(np.float32((accepted + rejected) / 2))
    return middle if middle > rejected else accepted


@dataclass(frozen=True, slots=True)
class _AsLabelled:
    """Precision tests at some cuts, for pairs with as many duplicates as the labelled ones; effective counts."""

    found: FloatArray
    accepted: FloatArray

    def lower(self, level: float) -> FloatArray:
        return clopper_pearson_lower(self.found, self.accepted, confidence=1 - level)

    def certifies(self, precision: float, level: float) -> BoolArray:
        """Tell where `lower(level) >= precision`, by one evaluation of the binomial tail instead of a search."""
        some = np.maximum(self.found, 1e-9)
        return (self.found > 0) & (regularized_beta(some, self.accepted - self.found + 1, precision) <= level)

    def at(self, cuts: BoolArray) -> _AsLabelled:
        return _AsLabelled(self.found[cuts], self.accepted[cuts])

    def scaled(self, factor: float) -> _AsLabelled:
        return _AsLabelled(self.found * factor, self.accepted * factor)


@dataclass(frozen=True, slots=True)
class _Reweighted:
    """Precision tests at some cuts, for pairs of which a share `prevalence` are duplicates; effective counts."""

    found: FloatArray
    positives: FloatArray
    mistaken: FloatArray
    negatives: FloatArray
    prevalence: float

    def lower(self, level: float) -> FloatArray:
        found = clopper_pearson_lower(self.found, self.positives, confidence=1 - level / 2)
        mistaken = clopper_pearson_upper(self.mistaken, self.negatives, confidence=1 - level / 2)
        return _precision(found, mistaken, self.prevalence)

    def certifies(self, precision: float, level: float) -> BoolArray:
        decision: BoolArray = self.lower(level) >= precision
        return decision

    def at(self, cuts: BoolArray) -> _Reweighted:
        found, mistaken = self.found[cuts], self.mistaken[cuts]
        return _Reweighted(found, self.positives[cuts], mistaken, self.negatives[cuts], self.prevalence)

    def scaled(self, factor: float) -> _Reweighted:
        found, positives = self.found * factor, self.positives * factor
        return _Reweighted(found, positives, self.mistaken * factor, self.negatives * factor, self.prevalence)


def _certified_cut(criterion: MinPrecision, sample: CalibrationSample, cuts: Curve, prevalence: float) -> int:
    """Return the lowest cut that the walk of `MinPrecision` certifies, or raise `UnreachableCriterionError`."""
    accepted = cuts.true_positives + cuts.false_positives
    tested, starts = _test_sequence(accepted)
    tests = _precision_tests(sample, cuts, tested, prevalence)
    part = (1 - criterion.confidence) / int(starts.sum())
    last = _walk(lambda level: tests.certifies(criterion.precision, level), starts, part)
    if last is not None:
        return int(tested[last])

    # What one start alone can certify is exactly the best precision that could have been asked for.
    bound = np.full(len(tested), -1.0)
    for parts in np.unique(starts[starts > 0]).tolist():
        bound = np.where(starts == parts, tests.lower(parts * part), bound)
    best = int(np.argmax(bound))
    pairs, duplicates = int(accepted[tested[best]]), int(cuts.true_positives[tested[best]])
    needed = _labels_needed(tests.at(starts > 0), criterion.precision, part, len(sample))
    if needed is None:
        advice = "More labels of this kind would not help: ask for less, or use another encoder."
    else:
        advice = f"About {needed:,} labelled pairs like these would be needed, and there are {len(sample):,}."
    shift = "" if prevalence == sample.prevalence else f" where {_percent(prevalence)} of the pairs are duplicates"
    raise UnreachableCriterionError(
        f"{criterion}{shift}",
        float(bound[best]),
        needed,
        f"Of the {pairs:,} most similar labelled pairs {duplicates:,} are duplicates. {advice}",
    )


def _test_sequence(accepted: IntArray) -> tuple[IntArray, IntArray]:
    """Return the cuts to test in order, (t,), and how many walks start at each, (t,); from similarities alone.

    `accepted` (k,) is how many pairs each cut accepts. Ties can make several planned tests one cut.
    """
    total = int(accepted[-1])
    steps = int(_TESTS_PER_DOUBLING * math.log2(max(1.0, total / _FIRST_TEST))) + 1
    step = np.arange(steps)
    wanted = np.minimum(np.ceil(_FIRST_TEST * 2 ** (step / _TESTS_PER_DOUBLING)), total)
    start = (step % _TESTS_PER_START == 0) & ((wanted <= total / 2) | (step == 0))
    tested, position = np.unique(np.searchsorted(accepted, wanted), return_inverse=True)
    return tested.astype(np.int64), np.bincount(position, weights=start).astype(np.int64)


def _walk(certifies: Callable[[float], BoolArray], starts: IntArray, part: float) -> int | None:
    """Return the last position that passes, or None: the fallback procedure over the cuts in order."""
    passed: dict[int, BoolArray] = {}
    last: int | None = None
    parts = 0
    for position, more in enumerate(starts.tolist()):
        parts += more
        if parts == 0:
            continue
        if parts not in passed:
            passed[parts] = certifies(parts * part)
        if passed[parts][position]:
            last = position
        else:
            parts = 0
    return last


def _precision_tests(
    sample: CalibrationSample, cuts: Curve, tested: IntArray, prevalence: float
) -> _AsLabelled | _Reweighted:
    found = cuts.true_positives[tested].astype(np.float64)
    mistaken = cuts.false_positives[tested].astype(np.float64)
    accepted = (found + mistaken).astype(np.int64)
    if prevalence == sample.prevalence:
        effect = np.array([design_effect(sample.label[:n], sample.group[:n]) for n in accepted.tolist()])
        return _AsLabelled(found / effect, accepted / effect)
    positive, negative = sample.group[sample.label], sample.group[~sample.label]
    # The sample is sorted, so the accepted pairs of a kind are its first ones.
    hit = np.array([design_effect(np.arange(len(positive)) < n, positive) for n in found.tolist()])
    miss = np.array([design_effect(np.arange(len(negative)) >= n, negative) for n in mistaken.tolist()])
    return _Reweighted(found / hit, len(positive) / hit, mistaken / miss, len(negative) / miss, prevalence)


def _labels_needed(tests: _AsLabelled | _Reweighted, precision: float, level: float, labels: int) -> int | None:
    """Return how many labels, at the shares seen so far, would let a walk start; None beyond 1,000 times as many."""
    low, high = 0.0, math.log(1000)
    if not np.any(tests.scaled(math.exp(high)).certifies(precision, level)):
        return None
    for _ in range(12):
        middle = (low + high) / 2
        enough = bool(np.any(tests.scaled(math.exp(middle)).certifies(precision, level)))
        low, high = (low, middle) if enough else (middle, high)
    unit = 10 ** max(0, int(math.log10(labels * math.exp(high))) - 1)
    return int(math.ceil(labels * math.exp(high) / unit) * unit)


# --- Measures at a prevalence -----------------------------------------------------------------------------------------


def _precision(recall: FloatArray, false_positive_rate: FloatArray, prevalence: float) -> FloatArray:
    """Return TPR q / (TPR q + FPR (1 - q)), and 0 where nothing is accepted."""
    found, mistaken = recall * prevalence, false_positive_rate * (1 - prevalence)
    return np.divide(found, found + mistaken, out=np.zeros_like(found), where=found + mistaken > 0)


def _f1(recall: FloatArray, false_positive_rate: FloatArray, prevalence: float) -> FloatArray:
    """Return 2 TPR q / (TPR q + FPR (1 - q) + q)."""
    found, mistaken = recall * prevalence, false_positive_rate * (1 - prevalence)
    return 2 * found / (found + mistaken + prevalence)


def _measured(
    sample: CalibrationSample, threshold: float, prevalence: float, confidence: float
) -> tuple[dict[str, float | None], dict[str, float | None], dict[str, float | None]]:
    """Return precision, recall and F1 at the threshold, each with its interval; see `Calibration.summary`."""
    accepted = sample.similarity.astype(np.float64) >= threshold
    label, group = sample.label, sample.group
    half = (1 + confidence) / 2
    recall = _share(accepted[label], group[label], confidence)
    found = _share(accepted[label], group[label], half)
    # Read from the other side, because the design effect guards against failures that were not seen.
    spared = _share(~accepted[~label], group[~label], half)
    rates = np.array([[found[i] for i in (0, 1, 2)], [1 - spared[i] for i in (0, 1, 2)]])
    precision = tuple(_precision(rates[0], rates[1], prevalence).tolist())
    f1 = tuple(_f1(rates[0], rates[1], prevalence).tolist())
    if prevalence == sample.prevalence:
        if accepted.any():
            precision = _share(label[accepted], group[accepted], confidence)
        # F1 = 2 J / (1 + J), where J is the share of hits among the pairs that are accepted or duplicates.
        either = accepted | label
        f1 = tuple(2 * share / (1 + share) for share in _share((accepted & label)[either], group[either], confidence))
    named = [dict(zip(("value", "low", "high"), values, strict=True)) for values in (precision, recall, f1)]
    if not accepted.any():
        named[0] = {"value": None, "low": 0.0, "high": 1.0}
    return named[0], named[1], named[2]


def _share(successes: BoolArray, groups: NDArray[np.int32], confidence: float) -> tuple[float, float, float]:
    """Return the share of successes and its exact interval at the effective sample size."""
    effect = design_effect(successes, groups)
    low, high = clopper_pearson(successes.sum() / effect, len(successes) / effect, confidence=confidence)
    return float(successes.mean()), low, high


# --- Small print ------------------------------------------------------------------------------------------------------


def _log_odds(share: float) -> float:
    return math.log(share) - math.log1p(-share)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _check_target(value: float, name: str) -> None:
    if not 0 < value <= 1:
        raise InputError(f"{name} is {value}, and must be above 0 and at most 1.")


def _check_inside(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}, and must lie between 0 and 1, without the ends.")
