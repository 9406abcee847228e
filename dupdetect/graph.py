"""Connected components of a graph given as two integer columns, and its bridges."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bridges", "connected_components"]


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


def bridges(n: int, left: ArrayLike, right: ArrayLike) -> NDArray[np.int64]:
    """Return (m,) int64: how many nodes each edge alone connects to the rest of its component, 0 for other edges.

    An edge is a bridge where its component falls apart without it; the number is that of the smaller part.

    n, left, right: as for `connected_components`, each edge once, and no loops. The answer depends on the edges alone.

    A breadth-first tree is grown from the smallest node of each component. Every edge outside it draws a random number
    of 64 bits, and every tree edge gets the exclusive or of those whose cycle it lies on, summed up the tree: an edge
    on no cycle gets 0, and any other one with a chance of 2^-64 (Pritchard and Thurimella, "Fast computation of small
    cuts via cycle space sampling", ACM Transactions on Algorithms 2011). The numbers are drawn with a fixed seed.
    """
    root = connected_components(n, left, right)
    a, b = _ends(left), _ends(right)
    source, target = np.concatenate([a, b]), np.concatenate([b, a])
    by_source = np.argsort(source, kind="stable")
    neighbour = target[by_source]
    start = np.searchsorted(source[by_source], np.arange(n + 1))
    edge = np.tile(np.arange(len(a)), 2)[by_source]
    parent_edge = np.full(n, -1, dtype=np.int64)
    seen = root == np.arange(n)
    level = np.flatnonzero(seen)
    levels = []
    while len(level):
        levels.append(level)
        places = _ranges(start[level], start[level + 1])
        places = places[~seen[neighbour[places]]]
        level, first = np.unique(neighbour[places], return_index=True)
        parent_edge[level] = edge[places[first]]
        seen[level] = True
    below = np.ones(n, dtype=np.int64)
    crossing = np.zeros(n, dtype=np.uint64)
    off_tree = np.ones(len(a), dtype=np.bool_)
    off_tree[parent_edge[parent_edge >= 0]] = False
    drawn = np.random.default_rng(0).integers(1, 2**64 - 1, size=int(off_tree.sum()), dtype=np.uint64)
    np.bitwise_xor.at(crossing, a[off_tree], drawn)
    np.bitwise_xor.at(crossing, b[off_tree], drawn)
    for level in levels[:0:-1]:
        up = parent_edge[level]
        parent = a[up] + b[up] - level
        np.add.at(below, parent, below[level])
        np.bitwise_xor.at(crossing, parent, crossing[level])
    size = np.bincount(root, minlength=n)[root]
    child = np.flatnonzero((parent_edge >= 0) & (crossing == 0))
    parts = np.zeros(len(a), dtype=np.int64)
    parts[parent_edge[child]] = np.minimum(below[child], size[child] - below[child])
    return parts


def _ranges(start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers from each start up to its stop, one range after the other."""
    sizes = stop - start
    offset = np.repeat(start - (np.cumsum(sizes) - sizes), sizes)
    return offset + np.arange(len(offset))


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
