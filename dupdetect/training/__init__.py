"""Fine-tuning of encoders (extra `train`): labelled pairs and a base model to a better model.

    trained = train_detector(TrainingConfig(), load_splits("pairs.csv"), "my-detector")

or step by step:

    splits = split_pairs(load_pairs("pairs.csv"))
    folder = fine_tune(TrainingConfig(), splits.train, splits.validation, "model")
    encoder = OnnxEncoder.load(export_onnx(folder, "encoder"))
    detector = Detector.calibrate(encoder, splits.calibration)

    config              TrainingConfig: every choice
    sources             load_pairs;  splits: load_splits;  sampling: which pairs share a batch
    mining              mine_triplets;  mined: those of an epoch
    objectives          the mathematics, on distances;  batch_loss: the objective of a config on a batch
    models              load, embed, average;  low_rank: adapters;  teachers: similarities to be held to
    run                 one step, one evaluation;  collapse: whether texts are still told apart
    checkpoints         to continue after a kill;  curves: metrics.jsonl and its picture
    fine_tuning         fine_tune: the whole
    export              the int8 ONNX encoder;  static: models without a network, and their export
    comparison          the result beside its base;  model_card: both in words
    detectors           train_detector: all of it, to a folder that a detector is loaded from

Names are imported when they are first used: config, sources and mining need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dupdetect.errors import MissingExtraError

if TYPE_CHECKING:
    from dupdetect.training.collapse import CollapseError
    from dupdetect.training.comparison import Comparison
    from dupdetect.training.config import TrainingConfig
    from dupdetect.training.detectors import TrainedDetector, interrupted, train_detector
    from dupdetect.training.export import export_onnx
    from dupdetect.training.fine_tuning import fine_tune
    from dupdetect.training.mining import mine_triplets
    from dupdetect.training.models import average_weights, combine_weights
    from dupdetect.training.sources import load_pairs
    from dupdetect.training.splits import load_splits
    from dupdetect.training.static import export_static, static_model
    from dupdetect.training.teachers import Teacher

__all__ = [
    "CollapseError",
    "Comparison",
    "Teacher",
    "TrainedDetector",
    "TrainingConfig",
    "average_weights",
    "combine_weights",
    "export_onnx",
    "export_static",
    "fine_tune",
    "interrupted",
    "load_pairs",
    "load_splits",
    "mine_triplets",
    "static_model",
    "train_detector",
]

_HOME = {
    "CollapseError": "collapse",
    "Comparison": "comparison",
    "Teacher": "teachers",
    "TrainedDetector": "detectors",
    "TrainingConfig": "config",
    "average_weights": "models",
    "combine_weights": "models",
    "export_onnx": "export",
    "export_static": "static",
    "fine_tune": "fine_tuning",
    "interrupted": "detectors",
    "load_pairs": "sources",
    "load_splits": "splits",
    "mine_triplets": "mining",
    "static_model": "static",
    "train_detector": "detectors",
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
