"""One training in progress: the model, where it stands, one step, one evaluation."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from dupdetect import metrics
from dupdetect.pairs import QuestionPairs
from dupdetect.search import cosine
from dupdetect.training import objectives
from dupdetect.training.batch_loss import BatchLoss
from dupdetect.training.checkpoints import Best, Checkpoint
from dupdetect.training.collapse import CollapseError, RandomSimilarity, check_not_collapsed, random_similarity
from dupdetect.training.config import TrainingConfig
from dupdetect.training.curves import read_lines, write_lines
from dupdetect.training.low_rank import add_adapters
from dupdetect.training.mined import EpochTriplets
from dupdetect.training.models import (
    compute_type,
    embed,
    encode,
    freeze_embeddings,
    load_model,
    set_dropout,
    use_plain_attention,
)
from dupdetect.training.sampling import PairBatches, allowed_negatives, length_buckets, negative_schedule
from dupdetect.training.teachers import Teacher
from dupdetect.training.topics import question_topics

__all__ = ["TrainingRun", "identity"]

Rows = NDArray[np.int64]

_LARGEST_GRADIENT = 1.0
_BOUNDARY_RATE = 5e-3
"""Of scale and boundary, two numbers of the size of 1; at the rate of the model's weights they would never arrive."""


class TrainingRun:
    """The state of a training after `step` of `steps` steps.

    Every random choice of a step follows from the seed and the number of the step, the batches from the seed and the
    epoch, and the learning rate from the step: so a run that continues from a checkpoint does what it would have done.
    Texts are trained on in their canonical form, in which the detector reads them.
    """

    def __init__(
        self, config: TrainingConfig, train: QuestionPairs, validation: QuestionPairs, teacher: Teacher | None
    ) -> None:
        self.config, self.train, self.nodes, self.labels = config, train, train.nodes(), train.labels
        self.validation = validation
        self.model = load_model(config.base)
        self.device = self.model.device
        self.dtype = compute_type(config.precision, self.device)
        self._longest = self.model.max_seq_length
        # A static model reads everything, and cannot be told not to.
        if config.max_tokens is not None and self._longest != math.inf:
            self.model.max_seq_length = min(config.max_tokens, self._longest or config.max_tokens)
        set_dropout(self.model, config.dropout)
        use_plain_attention(self.model)
        if not config.train_embeddings:
            freeze_embeddings(self.model)
        self._adapters = None
        if config.lora_rank is not None:
            self._adapters = add_adapters(self.model, config.lora_rank, _seed(config.seed, 0, 4))
        self.loss = BatchLoss(config).to(self.device)
        self.optimizer = _optimizer(self.model, self.loss, config)
        self.batches = self._batches()
        self.steps = config.steps or _steps(self.batches, config.epochs)
        self.teacher = self._teacher(teacher)
        self.mined: EpochTriplets | None = None
        self.step = 0
        self.best = Best(-np.inf, 0, {})
        self.lines: list[dict[str, Any]] = []
        self._sums: dict[str, float] = {}
        self._since = 0
        self._pairs = 0  # of all steps so far
        self._timed = 0  # of these pairs, those since `_started`
        self._started = time.perf_counter()

    def remaining_batches(self) -> Iterator[Rows]:
        """Yield the pairs of each step that is still to be done, as row numbers."""
        done, epoch = 0, 0
        self._pairs = 0
        while done < self.steps:
            for rows in self.batches.epoch(epoch):
                if done < self.step:
                    self._pairs += len(rows)
                    self._started = time.perf_counter()
                elif done < self.steps:
                    self._mine(epoch)
                    yield rows
                done += 1
            epoch += 1

    def advance(self, rows: Rows) -> None:
        """Do one step on the pairs `rows`. Raises CollapseError when the loss is not a number."""
        config = self.config
        torch.manual_seed(_seed(config.seed, self.step, 0))
        self._set_rate()
        self.model.train()
        parts = self._parts(rows)
        if self.teacher is not None:
            parts["distillation"] = self._distillation(self.teacher)
        total = objectives.joint(parts, config.parts)
        if not torch.isfinite(total):
            raise CollapseError(
                f"The loss at step {self.step + 1:,} is not a number. Lower learning_rate ({config.learning_rate:g}), "
                'raise temperature, or train with precision="float32".'
            )
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        for name, value in {"loss": total, **parts}.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())
        self._since += 1
        self._pairs += len(rows)
        self._timed += len(rows)
        self.step += 1

    def evaluate(self) -> None:
        """Measure on the validation pairs, note it as a line, and keep the weights when they are the best so far.

        The base itself, at step 0, is measured but never kept. Raises CollapseError.
        """
        seconds = time.perf_counter() - self._started
        average_precision, spread = self.measure()
        line = {
            "step": self.step,
            "epoch": round(self._pairs / len(self.labels), 4),
            "loss": self._sums["loss"] / self._since if self._since else None,
            "parts": {name: total / self._since for name, total in self._sums.items() if name != "loss"},
            "learning_rate": self._share_of_rate() * self.config.learning_rate,
            "validation_average_precision": average_precision,
            "random_similarity_mean": spread.mean,
            "random_similarity_std": spread.std,
            "pairs_per_second": round(self._timed / seconds, 1) if self._timed else None,
        }
        if "contrastive" in self.config.parts and self.config.form == "logistic":
            line |= {"scale": float(self.loss.log_scale.detach().exp()), "boundary": float(self.loss.boundary.detach())}
        self.lines.append(line)
        self._sums, self._since, self._timed = {}, 0, 0
        if self.step and average_precision > self.best.average_precision:
            self.best = Best(average_precision, self.step, _copied(self.model.state_dict()))
        self._started = time.perf_counter()

    def measure(self) -> tuple[float, RandomSimilarity]:
        """Return the average precision on the validation pairs, and how alike random pairs of their questions are.
        Raises CollapseError."""
        nodes = self.validation.nodes()
        embeddings = encode(self.model, nodes.texts, self.dtype)
        spread = random_similarity(embeddings, self.config.seed)
        check_not_collapsed(spread, self.step)
        similarity = cosine(embeddings[nodes.left], embeddings[nodes.right])
        return metrics.average_precision(metrics.curve(similarity, self.validation.labels)), spread

    def finished_model(self) -> SentenceTransformer:
        """Return the model with the best weights, reading texts as long as the base does."""
        self.model.load_state_dict(self.best.weights)
        if self._adapters is not None:
            self._adapters.merge_and_unload()
        if self.model.max_seq_length != self._longest:
            self.model.max_seq_length = self._longest
        return self.model.eval()

    def checkpoint(self, identity: str) -> Checkpoint:
        """Return what `restore` needs."""
        return Checkpoint(
            identity=identity,
            step=self.step,
            model=self.model.state_dict(),
            loss=self.loss.state_dict(),
            optimizer=self.optimizer.state_dict(),
            best=self.best,
            metrics=write_lines(self.lines),
            sums=dict(self._sums),
            since=self._since,
            mined=(self.mined.epoch, self.mined.negatives, torch.from_numpy(self.mined.rows)) if self.mined else None,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to where the checkpoint was made."""
        self.model.load_state_dict(checkpoint.model)
        self.loss.load_state_dict(checkpoint.loss)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.step, self.best = checkpoint.step, checkpoint.best
        self.lines = read_lines(checkpoint.metrics)
        self._sums, self._since = dict(checkpoint.sums), checkpoint.since
        if checkpoint.mined:
            epoch, negatives, triplets = checkpoint.mined
            self.mined = EpochTriplets(epoch, negatives, triplets.numpy())

    def _parts(self, rows: Rows) -> dict[str, torch.Tensor]:
        config = self.config
        mined = self._draw_triplets(len(rows))
        if mined is not None and config.objective == "triplet":
            rows = rows[:0]  # the pairs themselves have no part in it
        left, right = self.nodes.left[rows], self.nodes.right[rows]
        columns = [left, right, *(mined if mined is not None else ())]
        used, slots = np.unique(np.concatenate(columns), return_inverse=True)
        embeddings = embed(self.model, [self.nodes.texts[question] for question in used.tolist()], self.dtype)
        sides = embeddings[torch.from_numpy(slots.astype(np.int64)).to(self.device)]
        lefts, rights, *triplets = sides.split([len(column) for column in columns])
        # Without the group rule, every other pair of the batch counts as a negative, right or wrong.
        allowed = ~np.eye(len(rows), dtype=np.bool_)
        if config.group_aware:
            allowed = allowed_negatives(left, right, self.batches.classes)
        parts: dict[str, torch.Tensor] = self.loss(
            lefts,
            rights,
            torch.from_numpy(self.labels[rows]).to(self.device),
            torch.from_numpy(allowed).to(self.device),
            triplets=tuple(triplets) or None,
            step_share=self.step / self.steps,
            generator=torch.Generator().manual_seed(_seed(config.seed, self.step, 1)),
        )
        return parts

    def _mine(self, epoch: int) -> None:
        config = self.config
        if config.mining != "index" or "triplet" not in config.parts:
            return
        how = negative_schedule(self.step / self.steps) if config.negatives == "scheduled" else config.negatives
        if self.mined is None or (self.mined.epoch, self.mined.negatives) != (epoch, how):
            embeddings = encode(self.model, self.nodes.texts, self.dtype)
            self.mined = EpochTriplets.mine(config, self.train, embeddings, epoch, how)

    def _draw_triplets(self, size: int) -> Rows | None:
        if self.mined is None:
            return None
        # Beside other parts half as many: then a step costs less than twice as much.
        share = 1 if self.config.objective == "triplet" else 2
        rng = np.random.default_rng(_seed(self.config.seed, self.step, 3))
        return self.mined.draw(max(1, size // share), rng)

    def _batches(self) -> PairBatches:
        config, nodes = self.config, self.nodes
        lengths = np.array([len(text) for text in nodes.texts])
        buckets = length_buckets(lengths[nodes.left] + lengths[nodes.right], config.length_buckets)
        if config.topics > 1:
            topics = question_topics(self.model, nodes.texts, config.topics, config.seed)
            buckets = buckets * config.topics + topics[nodes.left]
        return PairBatches(
            nodes.left,
            nodes.right,
            self.labels,
            batch_size=config.batch_size,
            positive_share=config.positive_share,
            # Duplicates share a topic. Kept apart they would leave its batches half empty; masked they do no harm.
            apart=config.group_aware and config.topics == 1,
            buckets=buckets,
            seed=config.seed,
        )

    def _teacher(self, teacher: Teacher | None) -> Teacher | None:
        if "distillation" not in self.config.parts:
            return None
        return teacher or Teacher(self.nodes.texts, encode(self.model, self.nodes.texts, self.dtype))

    def _distillation(self, teacher: Teacher) -> torch.Tensor:
        rng = np.random.default_rng(_seed(self.config.seed, self.step, 2))
        rows = teacher.batch(self.config.batch_size, rng)
        student = embed(self.model, [teacher.texts[row] for row in rows.tolist()], self.dtype)
        return objectives.distillation(student, torch.from_numpy(teacher.embeddings[rows]).to(self.device))

    def _share_of_rate(self) -> float:
        rising = min(round(self.config.warmup * self.steps), self.steps - 1)
        if self.step < rising:
            return (self.step + 1) / (rising + 1)
        return (self.steps - self.step) / (self.steps - rising)

    def _set_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * self._share_of_rate()


def _steps(batches: PairBatches, epochs: float) -> int:
    """Return how many batches `epochs` passes over the pairs are, rounded for the part of a pass; at least 1."""
    counts = [batches.counts(number).batches for number in range(math.ceil(epochs))]
    whole = math.floor(epochs)
    return max(1, sum(counts[:whole]) + round((epochs - whole) * counts[-1]))


def identity(config: TrainingConfig, train: QuestionPairs, validation: QuestionPairs, teacher: Teacher | None) -> str:
    """Return a checksum of all that a training is made from, but for the base's weights."""
    digest = hashlib.sha256(config.to_json().encode())
    for pairs in (train, validation):
        for column in (pairs.left, pairs.right):
            for text in column:
                digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        digest.update(pairs.labels.tobytes())
    if teacher is not None:
        digest.update(np.ascontiguousarray(teacher.embeddings).tobytes())
    return digest.hexdigest()


def _optimizer(model: SentenceTransformer, loss: BatchLoss, config: TrainingConfig) -> torch.optim.AdamW:
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    learned = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    # Biases and normalisations are vectors; pulling them to 0 serves nothing.
    rate = config.learning_rate
    groups: list[dict[str, Any]] = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": config.weight_decay, "highest": rate},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0, "highest": rate},
        {"params": learned, "weight_decay": 0.0, "highest": _BOUNDARY_RATE},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate, fused=True)


def _seed(seed: int, step: int, stream: int) -> int:
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1)[0])


def _copied(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in weights.items()}
