"""Triplets from labelled pairs: for each question one that asks the same, and others that do not but seem to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.pairs import QuestionPairs, Triplets
from dupdetect.search import cosine
from dupdetect.search.blocks import float32_error
from dupdetect.search.exact import unit_rows
from dupdetect.training.sampling import duplicate_classes

__all__ = ["MinedTriplets", "MiningCounts", "Negatives", "mine_triplets"]

Negatives = Literal["random", "semi-hard", "hard"]
Embeddings = NDArray[np.float32]
Rows = NDArray[np.int64]

_BLOCK_ROWS = 256  # anchors whose products with the whole pool are in memory at once
_STREAM = 4  # first word of the seed; sampling uses 1 to 3


@dataclass(frozen=True, slots=True)
class MiningCounts:
    """What was found: labelled + unlabelled = anchors * per_anchor - missing.

    `labelled`: negatives that a label names; `unlabelled`: others of the pool.  `missing`: negatives asked for and not
    there; `without`: anchors that got none at all.  `contradictions`: pairs labelled not duplicate inside one duplicate
    class, which are used for nothing.
    """

    anchors: int
    labelled: int
    unlabelled: int
    missing: int
    without: int
    contradictions: int


@dataclass(frozen=True, slots=True, eq=False)
class MinedTriplets:
    """anchor, positive, negative: (m,) int64 positions in `pairs.nodes().texts`, sorted by anchor; and the counts."""

    anchor: Rows
    positive: Rows
    negative: Rows
    counts: MiningCounts

    def __len__(self) -> int:
        return len(self.anchor)

    def texts(self, texts: Sequence[str]) -> Triplets:
        """Return the triplets as texts; `texts` holds one per question, in the order of the nodes."""
        columns = (self.anchor, self.positive, self.negative)
        return Triplets(*(tuple(texts[row] for row in column.tolist()) for column in columns))


def mine_triplets(
    embeddings: Embeddings,
    pairs: QuestionPairs,
    *,
    negatives: Negatives = "semi-hard",
    per_anchor: int = 1,
    margin: float | None = None,
    false_negative_share: float | None = 0.95,
    seed: int = 0,
) -> MinedTriplets:
    """Return up to `per_anchor` triplets for every question of `pairs` that has a labelled duplicate.

    embeddings: (k, d) float32 unit rows, one per text of `pairs.nodes()`; those questions are the pool.  Each anchor
    counts the same: it gets one of its labelled duplicates, drawn by `seed`, and `per_anchor` different negatives. No
    negative is a known duplicate, however many labelled duplicates lie between.

    With s(p) the similarity of anchor and positive, s(n) that of anchor and negative, a negative is
    - "random": any;
    - "semi-hard": s(p) - margin < s(n) < s(p), drawn at random; both strict, as FaceNet has them (Schroff et al., arXiv
      1503.03832, eq. 4, there with squared Euclidean distances; here the distance is 1 - similarity);
    - "hard": the most similar one; among equals the lower position.
    Questions labelled as no duplicate of the anchor come first, nearest before others ("random": by chance): they are
    certain. Any other question may be a duplicate that nobody labelled, so one with s(n) above `false_negative_share`
    of s(p) is passed over, for all three kinds (TopK-PercPos of NV-Retriever, Moreira et al., arXiv 2407.15831, which
    finds 0.95 best; for s(p) below 0 the same distance below it). None turns the rule off.

    Similarities are compared as `search.cosine` gives them, so the result depends on embeddings, pairs and options
    alone.  Memory beyond the result: 256 x k float32.

    Raises InputError without pairs labelled duplicate, for embeddings that do not fit or are no unit rows, and for
    options out of range ("semi-hard" needs a margin in (0, 2]).
    """
    _check(pairs, negatives, per_anchor, margin, false_negative_share, seed)
    vectors = unit_rows(embeddings, "embeddings", rows=len(pairs.nodes().texts))
    pool = _Pool(vectors, pairs, seed, margin if negatives == "semi-hard" else None, false_negative_share)
    found = pool.labelled(per_anchor, None if negatives == "random" else -pool.edge_similarity)
    labelled = sum(map(len, found))
    unfilled = [anchor for anchor, rows in enumerate(found) if len(rows) < per_anchor]
    ways = {"random": pool.by_chance, "semi-hard": pool.by_chance_in_band, "hard": pool.by_nearness}
    for anchor, more in ways[negatives](unfilled, found, per_anchor):
        found[anchor] = np.concatenate([found[anchor], more])
    return pool.result(found, per_anchor, labelled)


class _Pool:
    """The questions of some pairs, their anchors with a positive each, and which questions may be whose negatives.

    node, positive: (a,) of each anchor.  low, high, cut: (a,) a negative has low < s(n) < high, and without a label
    also s(n) <= cut.  edge_anchor, edge_node, edge_similarity: the labelled negatives, both ways round.
    """

    def __init__(
        self, vectors: Embeddings, pairs: QuestionPairs, seed: int, margin: float | None, share: float | None
    ) -> None:
        _, left, right = pairs.nodes()
        source, target = np.concatenate([left, right]), np.concatenate([right, left])
        same = np.tile(pairs.labels, 2)
        self.vectors, self.rng = vectors, np.random.default_rng([_STREAM, seed])
        self.classes = duplicate_classes(len(vectors), left, right, pairs.labels)

        drawn = np.lexsort((self.rng.random(int(same.sum())), source[same]))
        self.node, first = np.unique(source[same][drawn], return_index=True)
        self.positive = target[same][drawn][first]
        near = cosine(vectors[self.node], vectors[self.positive]).astype(np.float64)
        nothing = np.full(len(near), np.inf)
        self.low = -nothing if margin is None else near - margin
        self.high = nothing if margin is None else near
        self.cut = nothing if share is None else near - (1 - share) * np.abs(near)

        apart = self.classes[source] != self.classes[target]
        self.contradictions = int((~same & ~apart).sum()) // 2
        edges = ~same & apart & np.isin(source, self.node)
        self.edge_anchor, self.edge_node = np.searchsorted(self.node, source[edges]), target[edges]
        self.edge_similarity = cosine(vectors[source[edges]], vectors[self.edge_node]).astype(np.float64)

        # One random order of the pool, entered at a random place by each anchor, stands for an order of its own.
        self.order = self.rng.permutation(len(vectors))
        self.place = np.argsort(self.order)
        self.entry = self.rng.integers(len(vectors), size=len(self.node))

    def labelled(self, most: int, key: NDArray[np.float64] | None) -> list[Rows]:
        """Return for each anchor up to `most` of its labelled negatives in the band, smallest key first (or any)."""
        if key is None:
            key = self.rng.random(len(self.edge_node))
        order = np.lexsort((self.edge_node, key, self.edge_anchor))
        order = order[self._in_band(self.edge_anchor[order], self.edge_similarity[order])]
        starts = np.searchsorted(self.edge_anchor[order], np.arange(len(self.node) + 1)).tolist()
        return [self.edge_node[order[start : min(start + most, stop)]] for start, stop in pairwise(starts)]

    def by_chance(self, anchors: Sequence[int], found: Sequence[Rows], most: int) -> Iterator[tuple[int, Rows]]:
        """Yield each anchor with as many more negatives as it lacks, drawn from all that are allowed."""
        for anchor in anchors:
            candidates = np.roll(self.order, -self.entry[anchor])
            yield anchor, self._first_allowed(anchor, candidates, found[anchor], most)

    def by_chance_in_band(self, anchors: Sequence[int], found: Sequence[Rows], most: int) -> Iterator[tuple[int, Rows]]:
        """Yield the same, drawn from those in the band."""
        for anchor, products, slack in self._products(anchors):
            upper = min(self.cut[anchor], self.high[anchor]) + slack
            candidates = np.flatnonzero((products > self.low[anchor] - slack) & (products <= upper))
            turn = (self.place[candidates] - self.entry[anchor]) % len(self.order)
            yield anchor, self._first_allowed(anchor, candidates[np.argsort(turn)], found[anchor], most)

    def by_nearness(self, anchors: Sequence[int], found: Sequence[Rows], most: int) -> Iterator[tuple[int, Rows]]:
        """Yield the same, the most similar of those that are allowed."""
        for anchor, products, slack in self._products(anchors):
            lacking = most - len(found[anchor])
            products = np.where(products <= self.cut[anchor] + slack, products, -np.inf)
            products[self.classes == self.classes[self.node[anchor]]] = -np.inf
            among = lacking
            while True:
                among = min(among, len(products))
                last = products.max() if among == 1 else np.partition(products, -among)[-among]
                rows = np.flatnonzero(products >= max(last - 2 * slack, -2.0))
                rows, similarity = self._allowed(anchor, rows, found[anchor])
                # What is not among `rows` is less similar than last - slack, whatever the rounding.
                if (
                    among == len(products)
                    or not np.isfinite(last)
                    or int((similarity >= last - slack).sum()) >= lacking
                ):
                    break
                among *= 4
            yield anchor, rows[np.lexsort((rows, -similarity))][:lacking]

    def result(self, found: Sequence[Rows], per_anchor: int, labelled: int) -> MinedTriplets:
        sizes = np.array([len(rows) for rows in found], dtype=np.int64)
        counts = MiningCounts(
            anchors=len(found),
            labelled=labelled,
            unlabelled=int(sizes.sum()) - labelled,
            missing=len(found) * per_anchor - int(sizes.sum()),
            without=int((sizes == 0).sum()),
            contradictions=self.contradictions,
        )
        anchor, positive = np.repeat(self.node, sizes), np.repeat(self.positive, sizes)
        return MinedTriplets(anchor, positive, np.concatenate(found), counts)

    def _products(self, anchors: Sequence[int]) -> Iterator[tuple[int, NDArray[np.float32], float]]:
        """Yield each anchor with its float32 products with the pool, and a bound on their rounding error."""
        slack = 2 * float32_error(self.vectors.shape[1])
        for start in range(0, len(anchors), _BLOCK_ROWS):
            block = anchors[start : start + _BLOCK_ROWS]
            for anchor, products in zip(block, self.vectors[self.node[block]] @ self.vectors.T, strict=True):
                yield anchor, products, slack

    def _first_allowed(self, anchor: int, candidates: Rows, found: Rows, most: int) -> Rows:
        rows = np.empty(0, dtype=np.int64)
        start, step = 0, 16 * most
        while start < len(candidates) and len(rows) < most - len(found):
            rows = np.concatenate([rows, self._allowed(anchor, candidates[start : start + step], found)[0]])
            start, step = start + step, 4 * step
        return rows[: most - len(found)]

    def _allowed(self, anchor: int, rows: Rows, found: Rows) -> tuple[Rows, NDArray[np.float64]]:
        """Return those of `rows` that may be negatives without a label, in their order, and their similarities."""
        rows = rows[(self.classes[rows] != self.classes[self.node[anchor]]) & ~np.isin(rows, found)]
        own = np.broadcast_to(self.vectors[self.node[anchor]], (len(rows), self.vectors.shape[1]))
        similarity = cosine(own, self.vectors[rows]).astype(np.float64)
        keep = (similarity <= self.cut[anchor]) & self._in_band(anchor, similarity)
        return rows[keep], similarity[keep]

    def _in_band(self, anchor: Rows | int, similarity: NDArray[np.float64]) -> NDArray[np.bool_]:
        return (self.low[anchor] < similarity) & (similarity < self.high[anchor])


def _check(
    pairs: QuestionPairs, negatives: str, per_anchor: int, margin: float | None, share: float | None, seed: int
) -> None:
    if negatives not in get_args(Negatives):
        raise InputError(f"negatives is one of {', '.join(get_args(Negatives))}, not {negatives!r}.")
    if negatives == "semi-hard" and (margin is None or not 0 < margin <= 2):
        raise InputError(f"Semi-hard negatives lie within a margin in (0, 2], not {margin}: name the objective's own.")
    if per_anchor < 1 or seed < 0:
        raise InputError(f"per_anchor is at least 1 and seed at least 0, not {per_anchor} and {seed}.")
    if share is not None and not 0 < share <= 1:
        raise InputError(f"false_negative_share lies in (0, 1], or is None for no rule, not {share}.")
    if not pairs.labels.any():
        raise InputError(
            f"Triplets need pairs labelled duplicate, and none of the {len(pairs):,} pairs is. Add some, or check "
            "which label column was read."
        )
