"""Connected components of a graph given as two integer columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["connected_components"]


def connected_components(n: int, left: ArrayLike, right: ArrayLike) -> NDArray[np.int64]:
    """Return for each of `n` nodes the smallest node number of its component, shape (n,), int64.

    `left` and `right` are the (m,) ends of the undirected edges, each in [0, n). Loops and repeated edges are allowed.
    The labels depend on the edges alone, not on their order or direction.

    Each round hangs every root under its smallest neighbouring root, then flattens the trees. A root with no smaller
    neighbour either gains a child or finds a smaller neighbour one round later, so two rounds at least halve the roots
    of a component: O(log n) rounds of O(n + m) array work, long chains included (Shiloach and Vishkin, "An O(log n)
    parallel connectivity algorithm", Journal of Algorithms 1982).

    Raises ValueError when the columns differ in length, do not hold integers, or name a node outside [0, n).

    >>> connected_components(5, [3, 1], [1, 2]).tolist()
    [0, 1, 1, 1, 4]
    """
    a, b = _ends(left), _ends(right)
    if n < 0:
        raise ValueError(f"The number of nodes is {n}; it cannot be negative.")
    if len(a) != len(b):
        raise ValueError(f"The two ends of the edges differ in length: {len(a)} and {len(b)}.")
    if len(a) and (min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= n):
        raise ValueError(f"An edge names a node outside 0 to {n - 1}.")

    root = np.arange(n, dtype=np.int64)
    while True:
        a, b = root[a], root[b]
        apart = a != b
        if not apart.any():
            return root
        # Edges inside one tree can never matter again.
        a, b = a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        root = _flatten(root)


def _flatten(parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Point every node at the root of its tree; the depth halves with each step."""
    while True:
        grandparent = parent[parent]
        if np.array_equal(grandparent, parent):
            return parent
        parent = grandparent


def _ends(column: ArrayLike) -> NDArray[np.int64]:
    ends = np.asarray(column)
    if ends.ndim != 1 or (ends.size and ends.dtype.kind not in "iu"):
        raise ValueError(f"The ends of the edges are one column of integers, not {ends.dtype} of shape {ends.shape}.")
    return ends.astype(np.int64)
