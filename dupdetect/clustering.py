"""From pairs to clusters in which every removed row points at a kept row that it was measured against.

A *cluster* is a connected component: rows that a chain of pairs holds together. A chain a - b - c with a and c below
the threshold is one cluster with more than one survivor, because removing both b and c in favour of a would remove c
for a row that it does not match. Survivors are chosen in the order of a keep policy: a row is kept unless a row kept
before it is its pair. So (1) every removed row has a kept neighbour, and (2) no two kept rows are a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.graph import connected_components
from dupdetect.search import SimilarPairs

__all__ = ["Resolution", "connection_strength", "resolve"]


@dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """Which nodes stay, and what each removed node was removed for.

    cluster: (n,) int64, the smallest node number of its cluster.
    survivor: (n,) int64, the node that stays for this one; a kept node names itself.
    similarity: (n,) float32, the measured similarity to the survivor; NaN for kept nodes.
    """

    cluster: NDArray[np.int64]
    survivor: NDArray[np.int64]
    similarity: NDArray[np.float32]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(n,) bool: the nodes that stay."""
        kept: NDArray[np.bool_] = self.survivor == np.arange(len(self.survivor))
        return kept


def resolve(n: int, pairs: SimilarPairs, priority: NDArray[np.int64]) -> Resolution:
    """Choose the survivors among n nodes.

    priority: (n,) distinct integers; the node with the lowest number is asked first.
    A removed node points at the kept neighbour with the highest similarity, the earlier in priority among equals.
    The kept nodes are the lexicographically first maximal independent set of the pair graph in this order.
    """
    start, neighbour, similarity = _adjacency(n, pairs)
    removed = np.zeros(n, dtype=bool)
    for node in np.argsort(priority, kind="stable"):
        if not removed[node]:
            removed[neighbour[start[node] : start[node + 1]]] = True
    survivor = np.arange(n, dtype=np.int64)
    measured = np.full(n, np.nan, dtype=np.float32)
    source = np.repeat(np.arange(n), np.diff(start))
    useful = removed[source] & ~removed[neighbour]
    source, target, value = source[useful], neighbour[useful], similarity[useful]
    # Last write wins, so the best comes last: highest similarity, then earliest priority.
    order = np.lexsort((-priority[target], value))
    survivor[source[order]] = target[order]
    measured[source[order]] = value[order]
    return Resolution(connected_components(n, pairs.left, pairs.right), survivor, measured)


def connection_strength(n: int, pairs: SimilarPairs, weight: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n,): for each node the summed similarity to its neighbours, each counted `weight` times (rows per text).

    The medoid of a cluster is the node where this is greatest. Summed in the order of neighbour numbers, so that equal
    graphs give equal sums.
    """
    start, neighbour, similarity = _adjacency(n, pairs)
    heavy = similarity.astype(np.float64) * np.asarray(weight, dtype=np.float64)[neighbour]
    source = np.repeat(np.arange(n), np.diff(start))
    return np.bincount(source, weights=heavy, minlength=n).astype(np.float64)


def _adjacency(n: int, pairs: SimilarPairs) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the symmetric graph as (start, neighbour, similarity): neighbours of i at [start[i]:start[i + 1]]."""
    source = np.concatenate([pairs.left, pairs.right]).astype(np.int64)
    target = np.concatenate([pairs.right, pairs.left]).astype(np.int64)
    similarity = np.concatenate([pairs.similarity, pairs.similarity])
    order = np.lexsort((target, source))
    start = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(source, minlength=n), out=start[1:])
    return start, target[order], similarity[order]
