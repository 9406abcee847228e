"""Where an interrupted training continues: one file, there in full or not at all, read without pickled code."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dupdetect.atomic import atomic_file
from dupdetect.errors import ArtifactError
from dupdetect.training.mining import Negatives

__all__ = ["CHECKPOINT", "Best", "Checkpoint", "load_checkpoint", "save_checkpoint", "work_folder"]

CHECKPOINT = "checkpoint.pt"


def work_folder(output: Path) -> Path:
    """Return the folder beside an output that holds what is needed to go on while it is made."""
    return output.with_name(f"{output.name}.training")


@dataclass(frozen=True, slots=True)
class Best:
    """The weights with the highest validation average precision so far; -inf before the first evaluation."""

    average_precision: float
    step: int
    weights: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that the next step depends on, after `step` steps.

    `identity` tells the config and the data. `metrics` holds the lines written so far, `sums` the losses of the `since`
    steps after the last of them, `mined` the epoch, the kind of negatives and the (3, m) triplets that were mined for
    them. There is no state of random numbers, and none of the learning rate: both follow from the config and the step.
    """

    identity: str
    step: int
    model: dict[str, Tensor]
    loss: dict[str, Tensor]
    optimizer: dict[str, Any]
    best: Best
    metrics: str
    sums: dict[str, float]
    since: int
    mined: tuple[int, Negatives, Tensor] | None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `path`, in the place of an earlier checkpoint."""
    plain = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    best = checkpoint.best
    plain["best"] = {"average_precision": best.average_precision, "step": best.step, "weights": best.weights}
    with atomic_file(path, overwrite=True) as temporary:
        torch.save(plain, temporary)


def load_checkpoint(path: Path) -> Checkpoint:
    """Return what `save_checkpoint` wrote, with all tensors on the CPU. Only tensors, numbers and text are read: a file
    that holds anything else is refused. Raises ArtifactError when it is damaged."""
    try:
        plain = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(**{**plain, "best": Best(**plain["best"])})
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ArtifactError(f"The checkpoint {path} cannot be read: {error}. Delete it to start over.") from None
