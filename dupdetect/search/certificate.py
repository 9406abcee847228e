"""How much an approximate join has found, measured: for some rows, drawn at random, all their pairs are looked up.

What is measured is the share found of the pairs of a row, averaged over the rows that have any. So every row counts
once, and the rows are independent draws. The share of all *pairs* has no bound that can be trusted: pairs of one row
are missed together, and the few rows of one large cluster, drawn or not, decide it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.metrics import clopper_pearson_upper
from dupdetect.search.exact import SimilarPairs
from dupdetect.search.sampled import partners

__all__ = ["RecallCertificate", "certify"]

_SAMPLED_ROWS = 2_000
_SEED = 0
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class RecallCertificate:
    """What a sample of rows says about the pairs that an approximate join has found.

    sampled: rows drawn uniformly, without repeats, by a generator with `seed`.  with_pairs: those that have any pair.
    pairs, found: the pairs of these rows, and how many of them were found; a pair of two sampled rows counts for both.
    recall: the share found of the pairs of a row, averaged over the rows that have any; None where no sampled row has.
    lower_bound: what this average is at least, in all rows, with `confidence`, one-sided; 0 where `recall` is None.
    """

    sampled: int
    with_pairs: int
    pairs: int
    found: int
    recall: float | None
    lower_bound: float
    confidence: float = _CONFIDENCE
    seed: int = _SEED

    def __str__(self) -> str:
        sampled, sure = f"{self.sampled:,} texts drawn at random", f"{self.confidence:.0%} confidence"
        if self.recall is None:
            most = float(clopper_pearson_upper(0, self.sampled, confidence=self.confidence))
            return (
                f"The search was approximate. None of {sampled} is similar to any other (at most {most:.2%} of all "
                f"are, with {sure}), so how much was missed cannot be said."
            )
        return (
            f"The search was approximate: on average {_down(self.recall)} of what is similar to a text was found, at "
            f"least {_down(self.lower_bound)} with {sure} (of {sampled} {self.with_pairs:,} have {self.pairs:,} pairs, "
            f"of which {self.found:,} were found)."
        )


def certify(
    embeddings: NDArray[np.float32],
    groups: Sequence[slice],
    pairs: SimilarPairs,
    threshold: float,
    *,
    progress: Callable[[int], None] | None = None,
) -> RecallCertificate:
    """Return how much `pairs` holds of the pairs of rows, within each of `groups`, at or above `threshold`.

    embeddings: (n, d) float32, rows of length 1.  groups: rows that were compared among themselves, apart from each
    other and at least one in all.
    The pairs of the sampled rows are those of the exact join. `progress` is called with numbers that sum to the rows in
    all groups.
    """
    rows = np.concatenate([np.arange(group.start, group.stop) for group in groups])
    sample = np.sort(np.random.default_rng(_SEED).choice(rows, min(_SAMPLED_ROWS, len(rows)), replace=False))
    known = _places(pairs, sample, len(embeddings))
    true, found = np.zeros(len(sample), dtype=np.int64), np.zeros(len(sample), dtype=np.int64)
    for group in groups:
        first, last = np.searchsorted(sample, [group.start, group.stop])
        for place, other in partners(embeddings, sample[first:last], group, threshold, progress):
            at = first + place
            row = sample[at]
            there = np.isin(np.minimum(row, other) * len(embeddings) + np.maximum(row, other), known)
            true += np.bincount(at, minlength=len(sample))
            found += np.bincount(at[there], minlength=len(sample))
    some = true > 0
    shares = found[some] / true[some]
    return RecallCertificate(
        sampled=len(sample),
        with_pairs=len(shares),
        pairs=int(true.sum()),
        found=int(found.sum()),
        recall=float(shares.mean()) if len(shares) else None,
        lower_bound=mean_share_lower(shares) if len(shares) else 0.0,
    )


def mean_share_lower(shares: NDArray[np.float64], confidence: float = _CONFIDENCE) -> float:
    """Return the one-sided lower confidence bound for the mean of shares in [0, 1], from (m,) independent draws, m > 0.

    One minus the Stringer bound, which auditors use for mean errors: with the shares missing z_1 >= z_2 >= ... above 0,
    and u_j the exact upper bound of Clopper and Pearson (1934) for j failures in m,

        mean missing <= u_0 + sum over j of (u_j - u_(j-1)) z_j

    For shares of 0 and 1 it is Clopper and Pearson's own, and where nothing is missing it is 0.05^(1/m), nearly
    1 - 3 / m. (Stringer 1963; Bickel 1992, "Inference and Auditing: The Stringer Bound". It is proven for many draws
    only, and on the safe side in all that has been tried.)

    >>> round(mean_share_lower(np.ones(59)), 4)
    0.9505
    """
    missing = np.sort(1.0 - shares[shares < 1.0])[::-1]
    upper = clopper_pearson_upper(np.arange(len(missing) + 1), len(shares), confidence=confidence)
    return float(1.0 - upper[0] - np.sum(np.diff(upper) * missing))


def _places(pairs: SimilarPairs, sample: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return left * n + right of the pairs with a row in the sample."""
    sampled = np.zeros(n, dtype=np.bool_)
    sampled[sample] = True
    near = sampled[pairs.left] | sampled[pairs.right]
    return pairs.left[near].astype(np.int64) * n + pairs.right[near]


def _down(share: float) -> str:
    """Write a share with four decimals, never more than it is."""
    return f"{math.floor(share * 10_000) / 10_000:.4f}"
