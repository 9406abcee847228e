"""How to decide with one encoder's similarities: threshold, probability, and the evidence for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.calibration.criteria import (
    Criterion,
    EstimatedPrecision,
    FixedThreshold,
    MaxF1,
    MinPrecision,
    MinRecall,
    criterion_from_dict,
    criterion_to_dict,
    inside,
    number,
)
from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.link import (
    Isotonic,
    Link,
    best_link,
    can_be_held_out,
    held_out_log_odds,
    isotonic_link,
    link_from_dict,
    link_to_dict,
    log_odds,
    logistic_link,
)
from dupdetect.calibration.measures import calibration_error, measured, percent
from dupdetect.calibration.threshold import choose_threshold
from dupdetect.errors import (
    ArtifactError,
    CalibrationError,
    EncoderMismatchError,
    InputError,
)
from dupdetect.metrics.inputs import BoolArray, FloatArray

MINIMUM_OF_EACH_KIND = 20
"""Labelled duplicates, and other pairs, below which nothing is fitted: 20 know a recall of 0.8 to about +-0.2 only."""

_BEST_F1 = MaxF1()
_RESAMPLES = 200
"""Behind the interval of the calibration error, which `summary` works out each time."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How to decide with one encoder's similarities, and the evidence for it. Immutable: `at` returns a new one.

    `threshold`: accept similarity >= threshold.  `criterion`: how it was chosen.
    `prevalence`: the share of duplicates, in (0, 1), among the pairs to decide on; at fit, that of the evidence.
    `encoder`: the fingerprint of the encoder.  `data`: a few words on where the labelled pairs come from.
    `link`: similarity to the log-odds of a duplicate at `prevalence`, a logistic or an isotonic curve.
    """

    threshold: float
    criterion: Criterion
    prevalence: float
    encoder: str
    link: Link
    sample: CalibrationSample = field(repr=False, hash=False)
    data: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prevalence", inside(self.prevalence, "prevalence"))
        object.__setattr__(self, "threshold", number(self.threshold, "threshold"))

    @classmethod
    def fit(
        cls,
        similarity: ArrayLike,
        labels: ArrayLike,
        *,
        encoder: str,
        criterion: Criterion = _BEST_F1,
        groups: ArrayLike | None = None,
        data: str = "",
        label_count: int | None = None,
    ) -> Calibration:
        """Return the calibration for labelled pairs that the encoder was not trained on.

        `similarity` (n,) cosine in [-1, 1], or -inf for a pair that is accepted at no threshold: duplicates among those
        count as missed, and the probability is fitted without them. `labels` (n,) True for a duplicate; `groups` (n,)
        the same for pairs that share questions directly or through others (none: all independent). `label_count`: how
        many labels the rows are, where equal rows of one group stand for the weight of one label (none: all are).

        The probability is a logistic curve, or an isotonic one where that has the lower log loss on held-out groups of
        at least 1,000 labels (`link.best_link`).

        Raises `CalibrationError` for fewer than 20 duplicates or fewer than 20 other pairs that some threshold accepts,
        `UnreachableCriterionError` when no threshold meets the criterion, `InputError` for arrays that do not fit.
        """
        if not isinstance(criterion, Criterion):
            raise InputError(f"The criterion is {criterion!r}. Pass MaxF1(), MinPrecision(p) or MinRecall(r).")
        sample = CalibrationSample.of(similarity, labels, groups, label_count=label_count)
        once, comparable = sample.once, sample.comparable
        never = int((once & ~comparable).sum())
        duplicates, others = (int((once & comparable & kind).sum()) for kind in (sample.label, ~sample.label))
        if min(duplicates, others) < MINIMUM_OF_EACH_KIND:
            apart = f" (beside {never} that are accepted at no threshold)" if never else ""
            raise CalibrationError(
                f"Too few labelled pairs to calibrate: {duplicates} duplicates and {others} others, and at least "
                f"{MINIMUM_OF_EACH_KIND} of each are needed{apart}. Label more pairs of the rarer kind."
            )
        threshold = choose_threshold(criterion, sample, sample.prevalence)
        return cls(threshold, criterion, sample.prevalence, encoder, best_link(sample), sample, data)

    def probability(self, similarity: ArrayLike) -> FloatArray:
        """Return the chance that each pair is a duplicate, in (0, 1), never falling as similarity rises; any shape.

        0 for a similarity of -inf, which says that the two are never duplicates.
        """
        score = np.asarray(similarity, dtype=np.float64)
        never = np.isneginf(score)
        return _probability(np.where(never, -np.inf, self.link.log_odds(np.where(never, 0.0, score))))

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
        confidence: float | None = None,
    ) -> Calibration:
        """Return a calibration with another operating point, chosen on the same evidence.

        Give at most one of `min_precision` (with `confidence`, 0.95 unless given), `min_recall` and `threshold`; none
        keeps the criterion.

        `prevalence`, in (0, 1), is the share of duplicates where decisions are made. It moves the probabilities by
        log-odds(new) - log-odds(old) (Saerens, Latinne and Decaestecker 2002), and precision becomes
        TPR q / (TPR q + FPR (1 - q)), so the threshold is chosen again. It assumes that duplicates look the same in
        both places, and so do other pairs. `MinPrecision` then certifies with a lower bound for TPR and an upper
        one for FPR, each at half of the allowed error: careful, and at a low prevalence demanding.

        Raises `InputError` for two requests at once or values out of range, `UnreachableCriterionError`, and
        `CalibrationError` for what this evidence cannot answer, such as another certificate from labels of a review.
        """
        requests = {"min_precision": min_precision, "min_recall": min_recall, "threshold": threshold}
        asked = [name for name, value in requests.items() if value is not None]
        if len(asked) > 1:
            raise InputError(f"Give one of min_precision, min_recall and threshold, not {' and '.join(asked)}.")
        if confidence is not None and min_precision is None:
            raise InputError(f"A confidence ({confidence}) goes with min_precision only: give both, or neither.")
        criterion = self.criterion
        if min_precision is not None:
            criterion = MinPrecision(min_precision, 0.95 if confidence is None else confidence)
        elif min_recall is not None:
            criterion = MinRecall(min_recall)
        elif threshold is not None:
            criterion = FixedThreshold(threshold)
        share = self.prevalence if prevalence is None else inside(prevalence, "prevalence")
        if (criterion, share) == (self.criterion, self.prevalence):
            return self  # a threshold certified from weights cannot be chosen again
        return replace(
            self,
            threshold=choose_threshold(criterion, self.sample, share),
            criterion=criterion,
            prevalence=share,
            link=self.link.shifted(log_odds(share) - log_odds(self.prevalence)),
        )

    def estimated(self, scores: ArrayLike, precision: float) -> Calibration:
        """Return the calibration with the lowest threshold, not below its own, from which an estimated share
        `precision`, in (0, 1), of the pairs of a file are duplicates.

        scores: (m,) of all pairs of the file at or above the threshold. The estimate is the mean probability of those
        that are accepted, so it holds as far as the file is like the labelled pairs. Where no threshold reaches it,
        none of these pairs is accepted; without pairs it is the one from which each pair would be as likely (`surely`).
        """
        criterion = EstimatedPrecision(precision)
        levels, sizes = np.unique(np.asarray(scores, dtype=np.float32), return_counts=True)
        if not len(levels):
            return self.surely(precision)
        levels, sizes = levels[::-1], sizes[::-1]
        share = np.cumsum(self.probability(levels) * sizes) / np.cumsum(sizes)
        enough = np.flatnonzero(share >= criterion.precision)
        threshold = float(levels[enough[-1]] if len(enough) else np.nextafter(levels[0], np.float32(2)))
        return replace(self, threshold=threshold, criterion=criterion)

    def surely(self, precision: float) -> Calibration:
        """Return the calibration with the lowest threshold, not below its own, from which *each* pair is a duplicate
        with a probability of at least `precision`; one above 1 where no cosine is as likely.

        For files of which not all pairs at or above the threshold are known. Then `estimated` cannot tell how many less
        likely ones might be accepted beside these; of these alone an estimated share `precision` or more are right.
        """
        criterion = EstimatedPrecision(precision)
        low, high = self.threshold, 1.0
        if float(self.probability(low)) >= criterion.precision:
            high = low
        elif float(self.probability(high)) < criterion.precision:
            high = float(np.nextafter(np.float32(1), np.float32(2)))
        else:
            while (middle := (low + high) / 2) not in (low, high):
                likely = float(self.probability(middle)) >= criterion.precision
                low, high = (low, middle) if likely else (middle, high)
        return replace(self, threshold=high, criterion=criterion)

    def check_encoder(self, fingerprint: str) -> None:
        """Raise `EncoderMismatchError` unless the calibration was fitted with this encoder."""
        if fingerprint != self.encoder:
            raise EncoderMismatchError(self.encoder, fingerprint)

    def summary(self, *, confidence: float = 0.95) -> dict[str, Any]:
        """Return what is known about the operating point, as JSON values.

        precision, recall and f1 are {"value", "low", "high"} at the threshold and the prevalence, `value` None where no
        pair is accepted. `never_accepted` pairs are accepted at no threshold: a text is blank, or the two differ in
        words that the encoder does not know, or, in a review, a guard lowers their score below all that were drawn.
        They are among `pairs`, and `duplicates` among them are missed.
        Where rows stand for weights, these count labels, each once; `share_of_duplicates` is that of the rows.

        `expected_calibration_error` likewise is for pairs as labelled, whatever the prevalence: of the probability that
        each pair gets from a `link` of the same kind which was fitted without its group (`value` None where all pairs
        hang together).

        **They are measured on the pairs that the threshold was chosen on**, so fresh pairs can turn out a little worse.
        Intervals are two-sided and exact at the effective sample size (see `MinPrecision`);
        at another prevalence than the evidence's, those of precision and F1 combine intervals for TPR and FPR at half
        of the allowed error each, and are wider than need be.
        """
        confidence = inside(confidence, "confidence")
        precision, recall, f1 = measured(self.sample, self.threshold, self.prevalence, confidence)
        once = self.sample.once
        return {
            "threshold": self.threshold,
            "criterion": str(self.criterion),
            "prevalence": self.prevalence,
            "encoder": self.encoder,
            "data": self.data,
            "link": link_to_dict(self.link)["link"],
            "pairs": self.sample.labelled,
            "duplicates": int((self.sample.label & once).sum()),
            "share_of_duplicates": self.sample.prevalence,
            "never_accepted": int((~self.sample.comparable & once).sum()),
            "groups": self.sample.groups,
            "measured_on": "the labelled pairs that the threshold was chosen on",
            "confidence": confidence,
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "expected_calibration_error": self._calibration_error(confidence),
        }

    def share_found(self, threshold: float) -> float:
        """Return the share, in [0, 1], of the duplicates among the labelled pairs that reach `threshold`; where rows
        stand for weights, of those among all that the labels stand for, estimated."""
        reached = self.sample.similarity.astype(np.float64) >= threshold
        return float(reached[self.sample.label].mean())

    def held_out_probability(self) -> FloatArray | None:
        """Return (n,) for the pairs of the sample, as they are labelled, the probability in [0, 1] that each gets from
        a `link` of the same kind which was fitted without its group; None where all pairs hang together.
        """
        if not can_be_held_out(self.sample):
            return None
        fit = isotonic_link if isinstance(self.link, Isotonic) else logistic_link
        return _probability(held_out_log_odds(fit, self.sample))

    def _calibration_error(self, confidence: float) -> dict[str, float | None]:
        sample, chance = self.sample, self.held_out_probability()
        if chance is None:
            return {"value": None, "low": 0.0, "high": 1.0}
        value, low, high = calibration_error(
            chance, sample.label, sample.group, confidence=confidence, resamples=_RESAMPLES
        )
        return {"value": value, "low": low, "high": high}

    def describe(self) -> list[str]:
        """Return the summary as lines of text, names in a column of 13 characters."""
        found = self.summary()
        kinds = f"{found['duplicates']:,} duplicates"
        if self.sample.labels is None:
            kinds += f" ({percent(self.sample.prevalence)})"
        else:
            kinds += f"; weighted, {percent(self.sample.prevalence)} are"
        at = "" if self._as_labelled else f", where {percent(self.prevalence)} are duplicates"
        lines = [
            f"calibration  {self.data or 'labelled pairs'}: "
            f"{found['pairs']:,} pairs in {found['groups']:,} groups, {kinds}",
            f"threshold    cosine {self.threshold:.4f}: {found['criterion']}{at}",
        ]
        for name in ("precision", "recall", "f1"):
            value = "none" if found[name]["value"] is None else f"{found[name]['value']:.3f}"
            lines.append(f"{name:<13}{value} ({found[name]['low']:.3f} to {found[name]['high']:.3f})")
        error = found["expected_calibration_error"]
        if error["value"] is not None:
            lines.append(
                f"probability  {found['link']} curve, off by {error['value']:.3f} on average "
                f"({error['low']:.3f} to {error['high']:.3f})"
            )
        never = found["never_accepted"]
        if never:
            lines.append(f"{'':<13}{never:,} of the pairs are never accepted: {self.sample.why_never}")
        return [*lines, " " * 13 + "measured on the pairs that the threshold was chosen on; 95 % intervals"]

    @property
    def _as_labelled(self) -> bool:
        return self.prevalence == self.sample.prevalence

    def promise(self) -> str:
        """Say in a sentence or two what the operating point does and does not promise for the rows of a file."""
        labelled, share = f"{self.sample.labelled:,} labelled pairs", percent(self.prevalence)
        there = percent(self.sample.prevalence)
        weighted = self.sample.labels is not None
        known = (
            f"{labelled}, weighted to stand for pairs of which {there} are duplicates"
            if weighted
            else (f"{labelled} ({there} of them duplicates)")
        )
        basis = known
        if not self._as_labelled:
            basis = f"{labelled}, weighted as if {share} of them were duplicates"
            basis += "" if weighted else f" ({there} are)"
        match self.criterion:
            case FixedThreshold():
                return (
                    "This threshold was set by hand: nothing is promised for it. "
                    "Look at what was found before deleting."
                )
            case MinPrecision():
                claim = f"This threshold is certified on {basis}: {self.criterion}."
            case MinRecall():  # the share of duplicates does not matter to it
                claim = f"Chosen on {known}: {self.criterion}; it promises no precision."
            case EstimatedPrecision(precision):
                return (
                    f"Of the pairs of different texts found here {percent(precision)} or more are estimated to be "
                    f"duplicates, if this file is like the {basis}. That is no certificate."
                )
            case MaxF1():
                claim = f"This threshold has the best F1 on {basis}; it promises no precision."
        if weighted and self._as_labelled:
            certified = isinstance(self.criterion, MinPrecision)
            where = "among all pairs of that export" if certified else "estimated for the pairs of that export"
            source = f" ({self.data})" if self.data else ""
            return f"{claim[:-1]}{source}, {where}. Of another export it says nothing."
        if self._as_labelled or isinstance(self.criterion, MinRecall):
            return (
                f"{claim} Among all pairs of a file duplicates are far rarer than there, so a larger share of what is "
                "found here can be wrong: look at it before deleting."
            )
        return (
            f"{claim} Where fewer than {share} of all pairs of a file are duplicates, a larger share of what is found "
            "here can be wrong: look at it before deleting."
        )

    def probability_basis(self) -> str:
        """Say, as the end of a sentence, which pairs the probabilities are for: with rarer duplicates they fall."""
        labelled = "as among the labelled pairs" if self.sample.labels is None else "as the weights of the labels say"
        origin = labelled if self._as_labelled else "as was asked for"
        return f"among pairs of which {percent(self.prevalence)} are duplicates, {origin}"

    def evidence(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the sample by name: similarity float32, label bool, group int32, each (n,).

        And `labels` (1,), where rows stand for weights.
        """
        return self.sample.to_arrays()

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON values; `evidence` gives the arrays."""
        return {
            "threshold": self.threshold,
            "criterion": criterion_to_dict(self.criterion),
            "prevalence": self.prevalence,
            "encoder": self.encoder,
            **link_to_dict(self.link),
            "data": self.data,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], evidence: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return the calibration that `to_dict` and `evidence` wrote; it decides identically.

        Raises `ArtifactError` when something is missing, damaged, or of a kind that this version does not know.
        """
        try:
            calibration = cls(
                threshold=float(values["threshold"]),
                criterion=criterion_from_dict(values["criterion"]),
                prevalence=float(values["prevalence"]),
                encoder=str(values["encoder"]),
                link=link_from_dict(values),
                sample=CalibrationSample.from_arrays(evidence),
                data=str(values["data"]),
            )
            if calibration.sample.labels is not None and isinstance(calibration.criterion, MinPrecision):
                return calibration  # certified from the weights themselves, which rows only come near
            chosen = choose_threshold(calibration.criterion, calibration.sample, calibration.prevalence)
            if abs(chosen - calibration.threshold) > 1e-6:
                raise ArtifactError(
                    f"The threshold {calibration.threshold:g} is not the one that its evidence gives ({chosen:g}) for: "
                    f"{calibration.criterion}. Calibrate again."
                )
            return calibration
        except KeyError as error:
            raise ArtifactError(f"The calibration lacks {error}. Calibrate again.") from None
        except (TypeError, ValueError, OverflowError, CalibrationError) as error:
            raise ArtifactError(f"The calibration is damaged: {error} Calibrate again.") from None


def _probability(log_odds: FloatArray) -> FloatArray:
    """Return the probabilities, in (0, 1), and 0 for log-odds of -inf."""
    chance: FloatArray = 1 / (1 + np.exp(-np.clip(log_odds, -700, 36)))  # beyond, rounding would give 0 or 1
    return np.where(np.isneginf(log_odds), 0.0, chance)
