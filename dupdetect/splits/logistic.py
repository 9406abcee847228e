"""A logistic regression of several features, for the leak probe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def logistic_guess(
    features: NDArray[np.float64], labels: NDArray[np.bool_], new: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit a logistic regression by iteratively reweighted least squares, and return the probabilities (m,) of `new`."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1  # constant in train, so without weight
    x = np.column_stack([np.ones(len(features)), (features - mean) / scale])
    weights = np.zeros(x.shape[1])
    # A light pull to zero, as a feature may separate the labels, or repeat another. About ten steps settle it.
    pull = len(x) * np.diag([1e-6] + [1e-3] * features.shape[1])
    for _ in range(25):
        probability = _sigmoid(x @ weights)
        spread = probability * (1 - probability)
        step = np.linalg.solve(x.T @ (x * spread[:, None]) + pull, x.T @ (labels - probability) - pull @ weights)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return _sigmoid(np.column_stack([np.ones(len(new)), (new - mean) / scale]) @ weights)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * x))
