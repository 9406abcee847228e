"""Clusters and survivors in parts: what `clustering.resolve` decides, by processes that each see some of the pairs.

Which nodes hang together is found in rounds. Some pairs are replaced by a forest that connects the same nodes, of fewer
edges than there are nodes, and forests are put together two by two. What stays is decided within a cluster, so clusters
are shared out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dupdetect.clustering import resolve
from dupdetect.graph import connected_components
from dupdetect.search import SimilarPairs

__all__ = ["bundles", "forest", "survivors"]


def forest(*edges: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return (2, k) int64: an edge from each node that has a smaller one in its component to the smallest.

    edges: (2, m) each, ends of edges, which taken together connect the same nodes.

    >>> forest(np.array([[1, 5], [2, 6]]), np.array([[2], [3]])).tolist()
    [[2, 3, 6], [1, 1, 5]]
    """
    every = np.concatenate(edges, axis=1)
    nodes, place = np.unique(every, return_inverse=True)
    left, right = place.reshape(every.shape)
    root = connected_components(len(nodes), left, right)
    hanging = np.flatnonzero(root != np.arange(len(nodes)))
    return np.stack([nodes[hanging], nodes[root[hanging]]]).astype(np.int64)


def bundles(pairs: SimilarPairs, cluster: NDArray[np.int64], size: int) -> Iterator[SimilarPairs]:
    """Yield the pairs in bundles of about `size`, or one cluster where that has more; each cluster's in one bundle.

    cluster: (n,), as `Resolution.cluster`.  Within a cluster in the order of `pairs`.
    """
    label = cluster[pairs.left]
    order = np.argsort(label, kind="stable")
    first = np.flatnonzero(np.diff(label[order], prepend=-1))
    cuts = first[np.unique(first // size, return_index=True)[1]]
    for some in np.split(order, cuts[1:]):
        yield SimilarPairs(pairs.left[some], pairs.right[some], pairs.similarity[some])


def survivors(
    pairs: SimilarPairs, nodes: NDArray[np.int64], priority: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return (k,) int64, the node that stays for each of `nodes`, and (k,) float32, the similarity to it.

    pairs: all of some clusters.  nodes: (k,) those of the pairs, rising.  priority: (k,), as for `clustering.resolve`.
    """
    left, right = (np.searchsorted(nodes, side).astype(np.int32) for side in (pairs.left, pairs.right))
    resolution = resolve(len(nodes), SimilarPairs(left, right, pairs.similarity), priority)
    return nodes[resolution.survivor], resolution.similarity
