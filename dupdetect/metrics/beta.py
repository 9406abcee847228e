"""The beta distribution in NumPy alone: its distribution function, and its quantiles."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from dupdetect.errors import InputError
from dupdetect.metrics.inputs import FloatArray


def regularized_beta(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> FloatArray:
    """Return I_x(a, b), the distribution function of the beta distribution, for a, b > 0 and x in [0, 1]; broadcasts.

    For whole numbers the binomial tail: I_p(k, n - k + 1) = P(X >= k) for X binomial with n trials of chance p.
    Continued fraction of Didonato and Morris (1992) in Lentz's form ("Numerical Recipes", 6.4).
    """
    first, second, point = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b, x)))
    if not (np.all(first > 0) and np.all(second > 0) and np.all((point >= 0) & (point <= 1))):
        raise InputError("The beta distribution needs a > 0, b > 0 and x in [0, 1].")
    # The fraction converges fast below the mean only; beyond it, the mirrored one does.
    mirrored = point > (first + 1) / (first + second + 2)
    low, high = np.where(mirrored, second, first), np.where(mirrored, first, second)
    at = np.where(mirrored, 1 - point, point)
    inside = at > 0
    log_front = _log_beta_density(low, high, np.where(inside, at, 0.5))
    value = np.where(inside, np.exp(log_front) * at * (1 - at) * _beta_fraction(low, high, at) / low, 0.0)
    return np.where(mirrored, 1 - value, value)


def beta_quantile(a: FloatArray, b: FloatArray, chance: float) -> FloatArray:
    """Return x with I_x(a, b) = chance: Newton on the logarithm, inside a bracket that only ever shrinks."""
    low, high = np.zeros_like(a), np.ones_like(a)
    # Wilson's score bound is nearly there already.
    z, total = NormalDist().inv_cdf(chance), a + b
    x = (a / total + z**2 / (2 * total) + z * np.sqrt(a * b / total**3 + (z / (2 * total)) ** 2)) / (1 + z**2 / total)
    for _ in range(200):
        below = regularized_beta(a, b, x)
        low, high = np.where(below < chance, x, low), np.where(below < chance, high, x)
        with np.errstate(all="ignore"):  # far out the tail or the density is 0, and the bracket is halved instead
            step = x - below * np.log(below / chance) / np.exp(_log_beta_density(a, b, x))
        usable = (step >= low) & (step <= high) & (step > 0) & (step < 1)  # false for nan
        following = np.where(usable, step, (low + high) / 2)
        if np.all(np.abs(following - x) <= 1e-11 * x):
            return following
        x = following
    return x


def _log_beta_density(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    normaliser = [math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q) for p, q in zip(a.flat, b.flat, strict=True)]
    density: FloatArray = (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - np.reshape(normaliser, a.shape)
    return density


def _beta_fraction(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    """Return the continued fraction of I_x(a, b), for x up to about the mean, by Lentz's recurrence."""
    tiny = 1e-300  # instead of 0, so that the recurrence can divide
    numerator = np.ones_like(x)
    denominator = 1 - (a + b) * x / (a + 1)
    denominator = 1 / np.where(np.abs(denominator) < tiny, tiny, denominator)
    fraction = denominator.copy()
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            denominator = 1 + term * denominator
            denominator = 1 / np.where(np.abs(denominator) < tiny, tiny, denominator)
            numerator = 1 + term / numerator
            numerator = np.where(np.abs(numerator) < tiny, tiny, numerator)
            step = numerator * denominator
            fraction = fraction * step
        if np.all(np.abs(step - 1) < 1e-14):
            break
    return fraction
