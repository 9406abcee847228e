"""Similarity to probability: a logistic curve, or a rising curve of any shape where that fits held-out pairs better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dupdetect.calibration.criteria import number
from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.errors import ArtifactError, InputError
from dupdetect.metrics.inputs import FloatArray, IntArray

FEWEST_FOR_ISOTONIC = 1000
"""Labels of comparable pairs below which the curve is logistic without a trial. In simulation the isotonic one lost
there by up to 0.008 nats a pair, even where the truth was not logistic, and a trial chose it in up to half the draws.
"""
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Logistic:
    """The log-odds of a duplicate are `slope` (>= 0) * score + `intercept` (Platt 1999)."""

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        for name in ("slope", "intercept"):
            object.__setattr__(self, name, number(getattr(self, name), name))
        if self.slope < 0:
            raise InputError(f"The slope is {self.slope}, and must be at least 0: probability rises with similarity.")

    def log_odds(self, score: FloatArray) -> FloatArray:
        return self.slope * score + self.intercept

    def shifted(self, by: float) -> Logistic:
        return Logistic(self.slope, self.intercept + by)


@dataclass(frozen=True, slots=True)
class Isotonic:
    """The log-odds of a duplicate go straight from knot to knot, and stay as they are beyond the first and the last.

    `scores` (k,), k >= 1, rising; `values` (k,), the log-odds there, never falling.
    """

    scores: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("scores", "values"):
            object.__setattr__(self, name, tuple(number(value, name) for value in getattr(self, name)))
        if not self.scores or len(self.scores) != len(self.values):
            raise InputError(f"There are {len(self.scores)} scores and {len(self.values)} values: as many are needed.")
        if np.any(np.diff(self.scores) <= 0) or np.any(np.diff(self.values) < 0):
            raise InputError("The knots do not rise: probability rises with similarity.")

    def log_odds(self, score: FloatArray) -> FloatArray:
        value: FloatArray = np.interp(score, self.scores, self.values)
        return value

    def shifted(self, by: float) -> Isotonic:
        return Isotonic(self.scores, tuple(value + by for value in self.values))


Link: TypeAlias = Logistic | Isotonic


def link_to_dict(link: Link) -> dict[str, Any]:
    """Return the link as JSON values, for example {"link": "logistic", "slope": 9.5, "intercept": -6.0}."""
    if isinstance(link, Logistic):
        return {"link": "logistic", "slope": link.slope, "intercept": link.intercept}
    return {"link": "isotonic", "scores": list(link.scores), "values": list(link.values)}


def link_from_dict(values: Mapping[str, Any]) -> Link:
    """Return the link that `link_to_dict` wrote; other keys are left alone.

    Raises `ArtifactError` for a kind that is not known here; `KeyError`, `TypeError` or `ValueError` for damage.
    """
    match values["link"]:
        case "logistic":
            return Logistic(float(values["slope"]), float(values["intercept"]))
        case "isotonic":
            return Isotonic(tuple(values["scores"]), tuple(values["values"]))
    raise ArtifactError(f"The link {values['link']!r} is not known here. Update dupdetect.")


# Fitting


def best_link(sample: CalibrationSample) -> Link:
    """Return the logistic or the isotonic curve, whichever has the lower log loss on held-out groups.

    Logistic for fewer than `FEWEST_FOR_ISOTONIC` labels of comparable pairs, for pairs that all hang together, and
    where both are as good.

    Each label counts once, whatever it weighs. Weights undo that pairs were drawn by their score, and among pairs drawn
    by that alone the chance of a duplicate at a given score does not depend on how many were drawn; with them, the many
    pairs of low scores would bend a curve that is not quite right everywhere where no decision is made. (A review also
    draws pairs by what a guard says, all at one score, and by what the encoder read of them: there it is approximate.)
    """
    once = sample.at(sample.once)
    tried = once.comparable.sum() >= FEWEST_FOR_ISOTONIC and can_be_held_out(once)
    if tried and _loss(isotonic_link, once) < _loss(logistic_link, once):
        return isotonic_link(once)
    return logistic_link(once)


def can_be_held_out(sample: CalibrationSample) -> bool:
    """Tell whether the comparable pairs lie in two folds at least, so that some are left to fit a curve on."""
    return len(np.unique(sample.group[sample.comparable] % FOLDS)) > 1


def _loss(fit: Callable[[CalibrationSample], Link], sample: CalibrationSample) -> float:
    value, label = held_out_log_odds(fit, sample)[sample.comparable], sample.label[sample.comparable]
    return float(np.mean(np.logaddexp(0, np.where(label, -value, value))))


def held_out_log_odds(fit: Callable[[CalibrationSample], Link], sample: CalibrationSample) -> FloatArray:
    """Return (n,) the log-odds of each pair by the curve through the labels of other folds; -inf where similarity is.

    Groups stay whole. They are numbered by what is in them, most similar first (`CalibrationSample`), and dealt to the
    folds in turn, so the folds are alike, and the same whatever the order of the rows. See
    `can_be_held_out`.
    """
    fold, once = sample.group % FOLDS, sample.once
    value = np.full(len(sample), -np.inf)
    for held_out in np.unique(fold):
        inside = fold == held_out
        link = fit(sample.at(~inside & once))
        value[inside] = link.log_odds(sample.similarity[inside].astype(np.float64))
    value[~sample.comparable] = -np.inf
    return value


def logistic_link(sample: CalibrationSample) -> Logistic:
    return Logistic(*logistic_fit(sample))


def isotonic_link(sample: CalibrationSample) -> Isotonic:
    """Return the most likely curve that never falls through the comparable pairs, joined from block centre to centre.

    Pooled adjacent violators (Ayer et al. 1955; for probabilities Zadrozny and Elkan 2002). One more duplicate at the
    lowest similarity and one more other pair at the highest keep all shares inside (0, 1): n pairs without a duplicate
    at the lower end give 1 / (n + 1).
    """
    rising = sample.similarity[sample.comparable][::-1].astype(np.float64)
    score, first = np.unique(np.concatenate([rising[:1], rising, rising[-1:]]), return_index=True)
    label = np.concatenate([[True], sample.label[sample.comparable][::-1], [False]])
    pairs = np.diff(first, append=len(label))
    share, centre = pooled(np.add.reduceat(label, first, dtype=np.float64), pairs, score * pairs)
    return Isotonic(tuple(centre.tolist()), tuple((np.log(share) - np.log1p(-share)).tolist()))


def pooled(duplicates: FloatArray, pairs: IntArray, total_score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the share of duplicates and the mean score of each block; neighbours whose share does not rise are one.

    All (m,), for rising scores: how many duplicates, how many pairs, and the sum of their scores.
    """
    blocks: list[tuple[float, float, float]] = []
    for found, size, total in zip(duplicates.tolist(), pairs.tolist(), total_score.tolist(), strict=True):
        while blocks and blocks[-1][0] * size >= found * blocks[-1][1]:
            before = blocks.pop()
            found, size, total = found + before[0], size + before[1], total + before[2]
        blocks.append((found, size, total))
    column = np.array(blocks).T
    return column[0] / column[1], column[2] / column[1]


def logistic_fit(sample: CalibrationSample) -> tuple[float, float]:
    """Return slope (>= 0) and intercept of the most likely logistic curve through the comparable pairs.

    The labels are drawn in a little, to (P + 1) / (P + 2) and 1 / (N + 2) for P duplicates and N others (Platt 1999),
    so that labels which similarity separates perfectly still give a finite slope. Newton's method with halved steps, as
    Lin, Lin and Weng (2007).
    """
    label = sample.label[sample.comparable]
    positives = int(label.sum())
    negatives = len(label) - positives
    target = np.where(label, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    flat = 0.0, log_odds(float(target.mean()))
    score = sample.similarity[sample.comparable].astype(np.float64)
    centre, spread = float(score.mean()), float(score.std())
    if spread == 0:
        return flat
    design = np.column_stack([(score - centre) / spread, np.ones(len(label))])

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


def log_odds(share: float) -> float:
    return math.log(share) - math.log1p(-share)
