"""Which pairs share a batch: balanced as asked, and never a hidden duplicate as a negative.

A ranking objective takes the other questions of a batch as negatives, and so would push apart two of one *duplicate
class* (connected by pairs labelled duplicate). `PairBatches` keeps them in different batches, as far as there are
enough; `allowed_negatives` marks those that share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.graph import connected_components

__all__ = [
    "BatchCounts",
    "PairBatches",
    "allowed_negatives",
    "duplicate_classes",
    "length_buckets",
    "negative_schedule",
]

Rows = NDArray[np.int64]

_ROTATION, _ORDER = 1, 2  # first words of the seeds, so that no two streams of random numbers are the same


def duplicate_classes(n: int, left: ArrayLike, right: ArrayLike, labels: ArrayLike) -> Rows:
    """Return for each of `n` questions the smallest number of those known to ask the same, (n,) int64: the components
    over the pairs with a true label."""
    same = np.asarray(labels, dtype=np.bool_)
    return connected_components(n, np.asarray(left, dtype=np.int64)[same], np.asarray(right, dtype=np.int64)[same])


def allowed_negatives(anchors: ArrayLike, candidates: ArrayLike, classes: Rows) -> NDArray[np.bool_]:
    """Return (n, m) bool: True where question candidates[j] is not known to ask the same as anchors[i].

    anchors (n,), candidates (m,): question numbers, such as the two sides of a batch.  classes: from
    `duplicate_classes`.

    >>> allowed_negatives([0, 2], [1, 3], np.array([0, 0, 2, 0])).tolist()
    [[False, False], [True, True]]
    """
    rows, columns = classes[np.asarray(anchors, dtype=np.int64)], classes[np.asarray(candidates, dtype=np.int64)]
    allowed: NDArray[np.bool_] = rows[:, None] != columns[None, :]
    return allowed


def length_buckets(lengths: ArrayLike, count: int) -> Rows:
    """Return (n,) int64 in [0, count): equally full buckets from short to long; equal lengths share the lower one."""
    values = np.asarray(lengths)
    if count < 1:
        raise InputError(f"The number of length buckets must be at least 1, not {count}.")
    rank = np.searchsorted(np.sort(values), values, side="left")
    return (rank * count // max(len(values), 1)).astype(np.int64)


def negative_schedule(step_share: float) -> Literal["semi-hard", "hard"]:
    """Return the kind of negatives to mine when `step_share` of the training, in [0, 1], is done: semi-hard, and from
    one half on hard. The hardest negatives early on can collapse all vectors into one (Schroff et al., FaceNet, arXiv
    1503.03832, section 3.2).

    Raises InputError outside [0, 1].
    """
    if not 0 <= step_share <= 1:
        raise InputError(f"The share of steps done lies in [0, 1], not {step_share}.")
    return "semi-hard" if step_share < 0.5 else "hard"


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """What one epoch holds. `places` = pairs - left_out + repeated.

    `duplicates`: places taken by duplicates.  `left_out`: pairs that wait for a later epoch, and `repeated`: places
    beyond a pair's first; both 0 with the natural share.  `short`: batches of fewer pairs than asked.
    """

    places: int
    duplicates: int
    left_out: int
    repeated: int
    batches: int
    short: int


class PairBatches:
    """Batches of labelled pairs, a new plan for every epoch; the same (seed, epoch) gives the same plan.

    left, right: (n,) question numbers.  labels: (n,) bool, True = duplicate.  batch_size: the most pairs in a batch.

    With `positive_share` None every pair is used once an epoch. Otherwise an epoch has as many places as there are
    pairs, so that shares can be compared at equal cost: duplicates fill that share of them, in (0, 1). The kind with
    too few pairs is repeated, the other waits its turn; over the epochs no pair is used twice more than another of its
    kind and bucket. Either way each batch holds the epoch's share of duplicates to within one pair, but for the short
    ones.

    `apart` is the group rule: in a batch, no two pairs hold members of one duplicate class. A pair that finds no room
    goes to a later batch, and is never dropped. A class with more pairs than full batches could hold one each of is
    spread over all of them instead: kept apart, its pairs would be alone in batch after batch. So an objective that
    takes negatives from the batch must mask with `allowed_negatives` too.  `buckets`: (n,) int, such as
    `length_buckets`; a batch then holds one bucket, and the share is met inside each bucket that has both kinds: where
    a bucket has few of one kind, these are repeated often.

    Raises EmptyInputError without pairs, and InputError for columns of different lengths, a batch size or seed out of
    range, and a share that cannot be had because all labels are the same.
    """

    def __init__(
        self,
        left: ArrayLike,
        right: ArrayLike,
        labels: ArrayLike,
        *,
        batch_size: int,
        positive_share: float | None = None,
        apart: bool = True,
        buckets: ArrayLike | None = None,
        seed: int = 0,
    ) -> None:
        self.left, self.right = np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)
        self.labels = np.asarray(labels, dtype=np.bool_)
        self.buckets = np.zeros(len(self.labels), np.int64) if buckets is None else np.asarray(buckets, dtype=np.int64)
        self.batch_size, self.positive_share, self.apart, self.seed = batch_size, positive_share, apart, seed
        self._check()
        questions = int(max(self.left.max(), self.right.max())) + 1
        self.classes = duplicate_classes(questions, self.left, self.right, self.labels)

    def epoch(self, number: int) -> Iterator[Rows]:
        """Yield the batches of epoch `number` (0, 1, ...): positions in the pairs, (at most batch_size,) int64."""
        yield from self._plan(number)

    def counts(self, number: int) -> BatchCounts:
        """Return what the batches of epoch `number` hold."""
        batches = self._plan(number)
        places = np.concatenate(batches)
        used = len(np.unique(places))
        return BatchCounts(
            places=len(places),
            duplicates=int(self.labels[places].sum()),
            left_out=len(self.labels) - used,
            repeated=len(places) - used,
            batches=len(batches),
            short=sum(len(batch) < self.batch_size for batch in batches),
        )

    def _plan(self, epoch: int) -> list[Rows]:
        if epoch < 0:
            raise InputError(f"Epochs are numbered 0, 1, ..., not {epoch}.")
        batches: list[Rows] = []
        rng = np.random.default_rng([_ORDER, self.seed, epoch])
        ends = (self.classes[self.left], self.classes[self.right]) if self.apart else None
        for number, bucket in enumerate(np.unique(self.buckets)):
            drawn = self._draw(np.flatnonzero(self.buckets == bucket), number, epoch)
            batches += _fill(self._order(drawn, rng), self.labels, ends, self.batch_size)
        return [batches[position] for position in rng.permutation(len(batches)).tolist()]

    def _draw(self, rows: Rows, bucket: int, epoch: int) -> Rows:
        """Return the pairs of a bucket that this epoch uses, as often as it uses them."""
        kinds = rows[self.labels[rows]], rows[~self.labels[rows]]
        if self.positive_share is None or not all(map(len, kinds)):
            return rows
        positives = min(max(round(self.positive_share * len(rows)), 1), len(rows) - 1)
        drawn = []
        for kind, (pool, places) in enumerate(zip(kinds, (positives, len(rows) - positives), strict=True)):
            # One round of all pairs after another, cut into epochs: uses differ by one at most, at any time.
            turn = np.random.default_rng([_ROTATION, self.seed, bucket, kind]).permutation(pool)
            drawn.append(turn[(epoch * places + np.arange(places)) % len(pool)])
        return np.concatenate(drawn)

    def _order(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Return `rows` in random order, with the pairs of one class, and the two kinds, spread evenly."""
        ends = self.classes[np.stack([self.left[rows], self.right[rows]])]
        crowd = np.bincount(np.concatenate([ends[0], ends[1][ends[0] != ends[1]]]))
        # A pair is hard to place for the more crowded of its classes: evenly spread, its pairs seldom meet in a batch.
        busy = np.where(crowd[ends[0]] >= crowd[ends[1]], ends[0], ends[1])
        place = (_rank_within(busy, rng.random(len(rows))) + rng.random(len(rows))) / np.bincount(busy)[busy]
        labels = self.labels[rows]
        position = (_rank_within(labels, place) + 0.5) / np.bincount(labels, minlength=2)[labels.astype(np.int64)]
        return rows[np.lexsort((place, position))]

    def _check(self) -> None:
        lengths = {len(self.left), len(self.right), len(self.labels), len(self.buckets)}
        if len(lengths) > 1:
            raise InputError(f"The columns of the pairs differ in length: {sorted(lengths)}. Pass one value per pair.")
        if not len(self.labels):
            raise EmptyInputError("There are no pairs to make batches of.")
        if self.batch_size < 1 or self.seed < 0:
            raise InputError(f"batch_size is at least 1 and seed at least 0, not {self.batch_size} and {self.seed}.")
        if self.positive_share is not None and not 0 < self.positive_share < 1:
            raise InputError(f"positive_share lies between 0 and 1, both excluded, not {self.positive_share}.")
        if self.positive_share is not None and (self.labels.all() or not self.labels.any()):
            raise InputError(
                f"A share of {self.positive_share:.0%} duplicates needs pairs of both labels, and all "
                f"{len(self.labels):,} pairs have the same. Add pairs of the other, or leave the share natural."
            )


def _rank_within(group: NDArray[np.int64] | NDArray[np.bool_], key: NDArray[np.float64]) -> Rows:
    """Return each entry's rank by `key` among those of its group, from 0."""
    order = np.lexsort((key, group))
    _, start, size = np.unique(group[order], return_index=True, return_counts=True)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(start, size)
    return rank


def _fill(order: Rows, labels: NDArray[np.bool_], ends: tuple[Rows, Rows] | None, size: int) -> list[Rows]:
    """Return batches of the pairs `order`: each goes into the first one with room for its kind that lies after all
    batches of its classes, but for those with more pairs than there are batches: the order has spread these evenly."""
    total, duplicates = len(order), int(labels[order].sum())

    def duplicates_in(batch: int) -> int:
        return (batch + 1) * size * duplicates // total - batch * size * duplicates // total

    shelves = _Shelf(lambda batch: size - duplicates_in(batch)), _Shelf(duplicates_in)
    batches: list[list[int]] = []
    free_from: dict[int, int] = {}  # by class, the batch after the last one that holds a member
    large = _large_classes(order, ends, -(-total // size))
    for row, same in zip(order.tolist(), labels[order].tolist(), strict=True):
        classes = {int(ends[0][row]), int(ends[1][row])} - large if ends else set()
        batch = shelves[same].take(max((free_from.get(name, 0) for name in classes), default=0))
        batches += [[] for _ in range(batch + 1 - len(batches))]
        batches[batch].append(row)
        free_from.update(dict.fromkeys(classes, batch + 1))
    return [np.array(batch, dtype=np.int64) for batch in batches if batch]


def _large_classes(order: Rows, ends: tuple[Rows, Rows] | None, batches: int) -> set[int]:
    """Return the classes that more of the pairs `order` hold members of than there are batches."""
    if ends is None:
        return set()
    left, right = ends[0][order], ends[1][order]
    crowd = np.bincount(np.concatenate([left, right[left != right]]))
    return set(np.flatnonzero(crowd > batches).tolist())


class _Shelf:
    """The places that each batch still has for one kind of pair; the batches never end."""

    def __init__(self, places: Callable[[int], int]) -> None:
        self._places = places
        self._room: dict[int, int] = {}
        self._onward: dict[int, int] = {}  # from a full batch to a later one, so that no walk is long twice

    def take(self, earliest: int) -> int:
        """Take a place in the first batch with room from `earliest` on, and return that batch."""
        batch, passed = earliest, []
        while not self._room.setdefault(batch, self._places(batch)):
            passed.append(batch)
            batch = self._onward.get(batch, batch + 1)
        self._onward.update(dict.fromkeys(passed, batch))
        self._room[batch] -= 1
        return batch
