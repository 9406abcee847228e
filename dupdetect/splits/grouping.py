"""Questions to groups that must stay together, and a position for each group by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dupdetect.graph import connected_components
from dupdetect.pairs import PairNodes
from dupdetect.splits.sketch import sketch_key


def group_questions(nodes: PairNodes) -> tuple[NDArray[np.int64], int, int]:
    """Return each question's group (k,), numbered 0, 1, ... by smallest text; the sketch links; the merges by them."""
    first_with: dict[str, int] = {}
    links = [
        (first, number)
        for number, key in enumerate(map(sketch_key, nodes.texts))
        if key and (first := first_with.setdefault(key, number)) != number
    ]
    linked = np.array(links, dtype=np.int64).reshape(-1, 2)
    by_pairs = connected_components(len(nodes.texts), nodes.left, nodes.right)
    # Texts are sorted, so the smallest node number is the smallest text.
    labels = connected_components(
        len(nodes.texts), np.concatenate([nodes.left, linked[:, 0]]), np.concatenate([nodes.right, linked[:, 1]])
    )
    distinct, group = np.unique(labels, return_inverse=True)
    return group.astype(np.int64), len(links), len(np.unique(by_pairs)) - len(distinct)


def hashes(texts: Sequence[str], seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return two independent hashes per canonical text, (k,) uint64 each."""
    key = hashlib.blake2b(str(seed).encode(), digest_size=32).digest()
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=16, key=key).digest() for text in texts)
    columns = np.frombuffer(digests, dtype="<u8").reshape(-1, 2).astype(np.uint64)
    return columns[:, 0], columns[:, 1]


def position_of_groups(
    group_of_question: NDArray[np.int64], ranks: NDArray[np.uint64], spread: NDArray[np.uint64]
) -> NDArray[np.float64]:
    """Return a position in [0, 1) per group: the second hash of the question whose first hash is smallest."""
    order = np.lexsort((spread, ranks, group_of_question))
    speaker = order[np.unique(group_of_question[order], return_index=True)[1]]
    # The top 53 bits: a float64 holds them exactly, so the position can never round up to 1.
    return (spread[speaker] >> np.uint64(11)).astype(np.float64) * 2.0**-53
