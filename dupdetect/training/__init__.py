"""Fine-tuning of encoders (extra `train`): labelled pairs and a base model to a better model.

    pairs = load_pairs("pairs.csv")
    splits = split_pairs(pairs)
    folder = fine_tune(TrainingConfig(), splits.train, splits.validation, "model")
    export_onnx(folder, "encoder")

    config              TrainingConfig: every choice
    sources             load_pairs;  sampling: which pairs share a batch;  mining: mine_triplets
    objectives          the mathematics, on distances;  batch_loss: the objective of a config on a batch
    models              load, embed, average;  teachers: similarities to be held to;  mined: triplets for an epoch
    run                 one step, one evaluation;  collapse: whether texts are still told apart
    checkpoints         to continue after a kill;  curves: metrics.jsonl and its picture
    fine_tuning         fine_tune: the whole
    export              the int8 ONNX encoder

Names are imported when they are first used: config, sources and mining need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dupdetect.errors import MissingExtraError

if TYPE_CHECKING:
    from dupdetect.training.collapse import CollapseError
    from dupdetect.training.config import TrainingConfig
    from dupdetect.training.export import export_onnx
    from dupdetect.training.fine_tuning import fine_tune
    from dupdetect.training.mining import mine_triplets
    from dupdetect.training.models import average_weights
    from dupdetect.training.sources import load_pairs
    from dupdetect.training.teachers import Teacher

__all__ = [
    "CollapseError",
    "Teacher",
    "TrainingConfig",
    "average_weights",
    "export_onnx",
    "fine_tune",
    "load_pairs",
    "mine_triplets",
]

_HOME = {
    "CollapseError": "collapse",
    "Teacher": "teachers",
    "TrainingConfig": "config",
    "average_weights": "models",
    "export_onnx": "export",
    "fine_tune": "fine_tuning",
    "load_pairs": "sources",
    "mine_triplets": "mining",
}
_EXTRA = frozenset({"onnx", "onnxscript", "sentence_transformers", "torch", "transformers"})


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dupdetect.training' has no attribute {name!r}")
    try:
        return getattr(import_module(f"dupdetect.training.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        raise MissingExtraError("train", f"dupdetect.training.{name}", package.replace("_", "-")) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
