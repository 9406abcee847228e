"""The objective of a config, on the embeddings of one batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dupdetect.training import objectives
from dupdetect.training.config import TrainingConfig
from dupdetect.training.sampling import negative_schedule

__all__ = ["BatchLoss"]


class BatchLoss(nn.Module):
    """Gives each part of the objective that `config` names; its only weights are those of the logistic form.

    The scale is learned as its logarithm, so that it stays above 0.
    """

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self.config = config
        learned = config.form == "logistic" and config.learn_boundary
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)), requires_grad=learned)
        self.boundary = nn.Parameter(torch.tensor(float(config.boundary)), requires_grad=learned)

    def forward(
        self,
        left: Tensor,
        right: Tensor,
        labels: Tensor,
        allowed: Tensor,
        *,
        triplets: tuple[Tensor, Tensor, Tensor] | None = None,
        step_share: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return part -> scalar, for all parts but "distillation".

        `left`, `right` (n, d) are the two sides of the pairs, `labels` (n,) bool, `allowed` (n, n) bool: the right side
        of pair j may be a negative of the left side of pair i. Anchors of triplets and of the ranking are the left
        sides of duplicates; the candidates are the right sides of all pairs, for every anchor. `triplets`: anchors,
        duplicates and others, (t, d) each, that were mined elsewhere; then none are made from the batch. `step_share`
        in [0, 1]: how much of the training is done. `generator`: of random negatives.
        """
        parts = {}
        weights = self.config.parts
        if "contrastive" in weights:
            parts["contrastive"] = self._contrastive(left, right, labels)
        if triplets is not None:
            anchor, positive, negative = triplets
            parts["triplet"] = objectives.triplet_margin(
                objectives.pair_distance(anchor, positive, self.config.distance),
                objectives.pair_distance(anchor, negative, self.config.distance),
                self.config.margin,
            )
        if not {"triplet", "ranking"} & (weights.keys() - parts.keys()):
            return parts
        # Duplicates first: then candidate i is the duplicate of anchor i.
        anchors = labels.nonzero().squeeze(1)
        candidates = torch.cat([anchors, (~labels).nonzero().squeeze(1)])
        distances = objectives.distance_matrix(left[anchors], right[candidates], self.config.distance)
        usable = allowed[anchors][:, candidates]
        if "triplet" in weights and triplets is None:
            how = self.config.negatives
            rows, columns = objectives.pick_negatives(
                distances,
                distances.diagonal(),
                usable & ~torch.eye(*usable.shape, dtype=torch.bool, device=usable.device),
                negative_schedule(step_share) if how == "scheduled" else how,
                generator,
            )
            parts["triplet"] = objectives.triplet_margin(
                distances.diagonal()[rows], distances[rows, columns], self.config.margin
            )
        if "ranking" in weights:
            parts["ranking"] = objectives.ranking(
                distances, usable, self.config.temperature, symmetric=self.config.symmetric
            )
        return parts

    def _contrastive(self, left: Tensor, right: Tensor, labels: Tensor) -> Tensor:
        distance = objectives.pair_distance(left, right, self.config.distance)
        if self.config.hard_pairs:
            hard = objectives.hard_pairs(distance, labels)
            distance, labels = distance[hard], labels[hard]
        if self.config.form == "margin":
            return objectives.contrastive_margin(distance, labels, self.config.margin)
        return objectives.contrastive_logistic(distance, labels, self.log_scale.exp(), self.boundary)
