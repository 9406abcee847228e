"""What the graph of pairs tells about a pair without a word: how often its questions stand in it, and with which."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray


def degrees(
    k: int, edges: NDArray[np.int64], pairs: NDArray[np.int64], itself: NDArray[np.bool_] | np.bool_
) -> NDArray[np.float64]:
    """Return (n, 2): the smaller and the larger number of `edges` at the ends of each pair, less the pair itself."""
    degree = np.bincount(edges.ravel(), minlength=k)
    ends = np.sort(degree[pairs], axis=1) - np.broadcast_to(itself, len(pairs))[:, None]
    return ends.astype(np.float64)


def common_neighbours(k: int, edges: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n,): how many nodes have an edge to both ends of each pair."""
    common = np.zeros(len(pairs))
    if not len(edges):
        return common
    both_ways = np.vstack([edges, edges[:, ::-1]])
    links = np.unique(both_ways[:, 0] * k + both_ways[:, 1])  # sorted: the neighbours of each node, one after another
    neighbours = links % k
    start = np.searchsorted(links, np.arange(k + 1) * k)
    degree = np.diff(start)
    # Walking the shorter list keeps a question that stands in every pair cheap.
    swap = degree[pairs[:, 0]] > degree[pairs[:, 1]]
    short, long = np.where(swap, pairs[:, 1], pairs[:, 0]), np.where(swap, pairs[:, 0], pairs[:, 1])
    walked = np.cumsum(degree[short])
    # At most about two million steps at a time (or one pair), to bound the memory.
    steps = np.arange(0, walked[-1] if len(walked) else 0, 2_000_000)
    bounds = np.append(np.unique(np.searchsorted(walked, steps)), len(pairs)).tolist()
    for first, last in itertools.pairwise(bounds):
        times = degree[short[first:last]]
        pair = np.repeat(np.arange(first, last), times)
        offset = np.arange(len(pair)) - np.repeat(np.cumsum(times) - times, times)
        wanted = long[pair] * k + neighbours[start[short[pair]] + offset]
        place = np.searchsorted(links, wanted)
        found = links[np.minimum(place, len(links) - 1)] == wanted
        common += np.bincount(pair[found], minlength=len(pairs))
    return common
