"""What training optimises, as functions of distances.

One sign convention for all: `distance` lies in [0, 2], 0 means the same direction, smaller is closer. It is 1 - cosine,
or the Euclidean distance of unit rows, sqrt(2 - 2 cosine). Each objective returns a scalar tensor that falls when
training goes the right way, and 0 (with gradient 0) where a batch gives it nothing to do.

    contrastive     pairs with labels: margin form, logistic form; hard_pairs keeps those that are still out of order
    triplet         duplicate against another question, with a margin; pick_negatives finds the other in the batch
    ranking         the duplicate against all other questions of the batch
    distillation    the teacher's similarities, kept
    joint           a weighted sum
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from dupdetect.errors import InputError
from dupdetect.training.config import Distance

__all__ = [
    "MAX_DISTANCE",
    "InBatchNegatives",
    "check_margin",
    "contrastive_logistic",
    "contrastive_margin",
    "distance_matrix",
    "distillation",
    "hard_pairs",
    "joint",
    "pair_distance",
    "pick_negatives",
    "ranking",
    "triplet_margin",
]

InBatchNegatives = Literal["random", "semi-hard", "hard"]

MAX_DISTANCE = 2.0
"""Of opposite unit vectors, by either distance."""

# The slope of a square root is infinite at 0; below this squared distance two rows count as equal, with slope 0.
_NEGLIGIBLE = 1e-12


_CLOSEST = 7


def check_margin(margin: float) -> float:
    """Return `margin`, or raise InputError when it is not in (0, 2]: no two unit vectors are farther apart than 2.

    A margin from a library whose distances are not of unit vectors (5 is a usual one) can never be met, and then every
    pair pushes for ever.
    """
    if not 0 < margin <= MAX_DISTANCE:
        raise InputError(
            f"The margin is {margin:g}, but distances of unit vectors lie in [0, 2]. Choose one above 0 and up to 2."
        )
    return margin


def pair_distance(left: Tensor, right: Tensor, kind: Distance = "cosine") -> Tensor:
    """Return (n,) distances of the rows of `left` and `right`, both (n, d) of any length but 0."""
    left, right = functional.normalize(left, dim=-1), functional.normalize(right, dim=-1)
    return _of_cosine((left * right).sum(-1), kind)


def distance_matrix(left: Tensor, right: Tensor, kind: Distance = "cosine") -> Tensor:
    """Return (n, m) distances between all rows of `left` (n, d) and `right` (m, d), of any length but 0."""
    return _of_cosine(functional.normalize(left, dim=-1) @ functional.normalize(right, dim=-1).T, kind)


def _of_cosine(cosine: Tensor, kind: Distance) -> Tensor:
    if kind == "cosine":
        return 1 - cosine
    squared = 2 - 2 * cosine
    apart = squared > _NEGLIGIBLE
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def contrastive_margin(distance: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Return the mean over pairs of y d^2 / 2 + (1 - y) max(0, margin - d)^2 / 2, at least 0.

    Duplicates are pulled together, others are pushed apart until `margin`. `distance` (n,), `labels` (n,) bool, True
    for duplicates. Raises InputError for a margin outside (0, 2]. Hadsell, Chopra and LeCun, "Dimensionality Reduction
    by Learning an Invariant Mapping", CVPR 2006 (their Y is 1 for pairs that are not alike).

    >>> float(contrastive_margin(torch.tensor([0.4, 0.5]), torch.tensor([True, False]), 1.5))  # 0.16 / 2, 1.0 / 2
    0.29...
    """
    check_margin(margin)
    apart = functional.relu(margin - distance)
    return _mean(torch.where(labels, distance, apart) ** 2 / 2)


def contrastive_logistic(distance: Tensor, labels: Tensor, scale: float | Tensor, boundary: float | Tensor) -> Tensor:
    """Return the mean cross entropy of the labels where P(duplicate) = sigmoid(scale (boundary - distance)).

    With the cosine distance this is sigmoid(scale * cosine + bias), bias = scale (boundary - 1): the pairwise loss of
    Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023. `distance` (n,), `labels` (n,) bool; `scale`
    above 0 and `boundary` in [0, 2] are numbers, or scalar tensors that are learned.
    """
    logits = scale * (boundary - distance)
    return _mean(functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none"))


def hard_pairs(distance: Tensor, labels: Tensor) -> Tensor:
    """Return (n,) bool: duplicates farther apart than the closest other pair, and others closer than the farthest
    duplicate: those that no threshold puts right. All pairs when there are only duplicates, or none.

    Pass `distance[hard]` and `labels[hard]` to a contrastive objective. The online contrastive loss of
    sentence-transformers, except that a batch of one kind is kept whole.
    """
    if bool(labels.all()) or not bool(labels.any()):
        return torch.ones_like(labels)
    fixed = distance.detach()
    return torch.where(labels, fixed > fixed[~labels].min(), fixed < fixed[labels].max())


def triplet_margin(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Return the mean of max(0, positive - negative + margin) over distances (n,) of anchors to a duplicate and to
    another question, at least 0.

    Raises InputError for a margin outside (0, 2]. Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015; they square
    the Euclidean distances, which makes them twice the cosine distances.
    """
    check_margin(margin)
    return _mean(functional.relu(positive - negative + margin))


def pick_negatives(
    distances: Tensor,
    positive: Tensor,
    allowed: Tensor,
    how: InBatchNegatives,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (rows, columns), both (k,) int64: one negative for each anchor that is allowed any.

    `distances` (n, m) from anchors to candidates, `positive` (n,) from anchors to their duplicates, `allowed` (n, m)
    bool: a candidate that is not allowed is never picked. "random": any, drawn from `generator` (on the CPU). "hard":
    the closest. "semi-hard": the closest of those that are farther than the duplicate, else, as all are closer, the
    farthest: the hardest ones early in training can collapse a model (FaceNet, section 3.2).
    """
    distances, positive = distances.detach(), positive.detach()
    rows = allowed.any(1).nonzero().squeeze(1)
    distances, allowed = distances[rows], allowed[rows]
    if how == "random":
        draw = torch.rand(distances.shape, generator=generator).to(distances.device)
        return rows, draw.masked_fill(~allowed, -1).argmax(1) if len(rows) else rows
    if how == "hard":
        return rows, distances.masked_fill(~allowed, torch.inf).argmin(1) if len(rows) else rows
    if not len(rows):
        return rows, rows
    beyond = allowed & (distances > positive[rows, None])
    closest_beyond = distances.masked_fill(~beyond, torch.inf).argmin(1)
    farthest = distances.masked_fill(~allowed, -torch.inf).argmax(1)
    return rows, torch.where(beyond.any(1), closest_beyond, farthest)


def ranking(distances: Tensor, allowed: Tensor, temperature: float, *, symmetric: bool = False) -> Tensor:
    """Return the mean cross entropy of finding the duplicate of each anchor among the candidates of the batch.

    `distances` (n, m), m >= n: column i of row i is its duplicate, further columns are candidates only. `allowed`
    (n, m) bool: a column that is not allowed, because it is or may be a duplicate too, is left out; the duplicate
    itself always takes part. `symmetric` adds the way back: each duplicate finds its anchor among the n anchors.
    Multiple negatives ranking, Henderson et al., "Efficient Natural Language Response Suggestion", 2017; the
    temperature, above 0, as in InfoNCE, van den Oord et al., 2018.

    Raises InputError when the temperature is not above 0.
    """
    if not temperature > 0:
        raise InputError(f"The temperature is {temperature:g}, but it must be above 0. A usual one is 0.05.")
    own = torch.eye(*distances.shape, dtype=torch.bool, device=distances.device)
    logits = (-distances / temperature).masked_fill(~(allowed | own), -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    if not len(target):
        return distances.sum()
    forth = functional.cross_entropy(logits, target)
    if not symmetric:
        return forth
    return (forth + functional.cross_entropy(logits[:, : len(target)].T, target)) / 2


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Return how far the student's cosines are from the teacher's, squared, in [0, 4]: half of it the mean over all
    pairs of different rows, half the mean over each row's 7 closest by the teacher.

    In a batch nearly all pairs are unlike each other; a plain mean would hold those, and hardly the neighbours, which
    are what a threshold decides on. `student` (n, d) and `teacher` (n, e) hold the same texts; only angles among them
    count, so the dimensions may differ, and turning either space changes nothing. No gradient reaches the teacher.
    Park et al., "Relational Knowledge Distillation", CVPR 2019, has the plain mean.
    """
    asked = distance_matrix(teacher, teacher).detach()
    squared = (distance_matrix(student, student) - asked) ** 2
    itself = torch.eye(len(student), dtype=torch.bool, device=student.device)
    closest = asked.masked_fill(itself, torch.inf).topk(min(_CLOSEST, max(0, len(student) - 1)), largest=False).indices
    return (_mean(squared[~itself]) + _mean(squared.gather(1, closest))) / 2


def joint(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the sum of `parts`, each times its weight; raises KeyError for a part without a weight."""
    return torch.stack([weights[name] * part for name, part in parts.items()]).sum()


def _mean(values: Tensor) -> Tensor:
    # The mean of nothing is nan, and would make all weights nan.
    return values.mean() if values.numel() else values.sum()
