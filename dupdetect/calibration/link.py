"""Similarity to probability: a logistic curve."""

from __future__ import annotations

import math

import numpy as np

from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.metrics.inputs import FloatArray


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
