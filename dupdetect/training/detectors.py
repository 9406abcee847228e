"""Labelled pairs and a base model to a detector: fine-tuned, exported, calibrated, and measured beside its base."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dupdetect.artifacts import MANIFEST, read_manifest, write_manifest, written_files
from dupdetect.atomic import atomic_folder, check_output_folder
from dupdetect.calibration import Criterion
from dupdetect.calibration.calibration import MINIMUM_OF_EACH_KIND
from dupdetect.detector import Detector
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.errors import CalibrationError, InputError, UnreachableCriterionError
from dupdetect.progress import Progress, silent
from dupdetect.training.checkpoints import CHECKPOINT, work_folder
from dupdetect.training.comparison import Comparison, compare
from dupdetect.training.config import TrainingConfig
from dupdetect.training.export import export_onnx
from dupdetect.training.fine_tuning import fine_tune
from dupdetect.training.model_card import base_name, model_card
from dupdetect.training.run import identity
from dupdetect.training.splits import FourSplits, check_splits

__all__ = ["TrainedDetector", "interrupted", "train_detector"]

_MODEL = "model"
_MADE_FROM = "made_from"


@dataclass(frozen=True, slots=True)
class TrainedDetector:
    """What `train_detector` returns: the folder that it wrote, the detector in it, and whether training paid."""

    folder: Path
    detector: Detector
    comparison: Comparison


def train_detector(
    config: TrainingConfig,
    splits: FourSplits,
    output: str | Path,
    *,
    criterion: Criterion | None = None,
    data: str = "labelled pairs",
    overwrite: bool = False,
    resume: bool = False,
    announce: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> TrainedDetector:
    """Write the folder `output`, which `Detector.from_pretrained` and `SentenceTransformer` both load.

    The base is fine-tuned on `splits.train`, with the checkpoint that is best on `splits.validation`, and exported to
    8 bits; the threshold meets `criterion` (MaxF1 by default) on `splits.calibration`; and `splits.test` is looked at
    once, in the end, by the result and by the base, exported and calibrated the same way. A base that cannot reach the
    criterion is shown at its best F1.

    The folder holds what `Detector.save_pretrained` writes (model.onnx, tokenizer.json, evidence.npz, dupdetect.json
    and a model card), the model in float32 as sentence-transformers saves it, training.json, metrics.jsonl,
    learning_curve.svg and evaluation.json; all are covered by checksums. `data`: a few words on where the pairs come
    from, kept with the threshold and in the model card. `announce` is told each step before it begins.

    While it runs, `<output>.training` holds what is needed to go on after an interruption, with `resume`. A finished
    fine-tuning is not repeated, so a criterion that could not be met can be asked for otherwise. The folder is deleted
    in the end.

    Raises OutputExistsError when there is an output, unless `overwrite`; InputError for an interrupted run without
    `resume`, or one with another config or other data, and for a base that cannot be exported; what `check_splits`
    raises; CalibrationError for too few labels, UnreachableCriterionError; CollapseError and ArtifactError as
    `fine_tune`.
    """
    output = Path(output)
    check_splits(splits)
    _check_labels(splits)
    check_output_folder(output, marker=MANIFEST, expected=written_files(output), overwrite=overwrite)
    work = work_folder(output)
    made_from = identity(config, splits.train, splits.validation, None)
    begun = _check_work(work, made_from, resume=resume)

    def calibrated(encoder: OnnxEncoder, name: str, wanted: Criterion | None) -> Detector:
        words = f"{data}, calibration split"
        return Detector.calibrate(
            encoder, splits.calibration, criterion=wanted, data=words, name=name, progress=progress
        )

    # First, as it tells within a minute whether the base can be exported and the labels are enough.
    announce(f"Exporting and calibrating the base {base_name(config)}, to compare with")
    encoder = _exported(config.base)
    try:
        base = calibrated(encoder, base_name(config), criterion)
    except UnreachableCriterionError:
        base = calibrated(encoder, base_name(config), None)

    model = work / _MODEL
    if model.exists():
        announce("Fine-tuning is finished already")
    else:
        announce(f"Fine-tuning {'goes on' if begun else f'on {len(splits.train):,} pairs'}")
        work.mkdir(exist_ok=True)
        (work / _MADE_FROM).write_text(made_from, encoding="utf-8")
        fine_tune(config, splits.train, splits.validation, model, resume=resume, progress=progress)
    announce("Exporting to ONNX in 8 bits")
    encoder = _exported(str(model))
    announce(f"Calibrating on {len(splits.calibration):,} pairs")
    detector = calibrated(encoder, output.name, criterion)
    announce(f"Measuring on {len(splits.test):,} test pairs, beside the base")
    comparison = compare(detector, base, splits.test, seed=config.seed, progress=progress)
    announce(f"Writing {output}")
    card = model_card(detector, config, splits, comparison, data=data)
    _write(output, model, detector, comparison, card, overwrite=overwrite)
    shutil.rmtree(work, ignore_errors=True)
    return TrainedDetector(output, detector, comparison)


def _check_labels(splits: FourSplits) -> None:
    """Raise CalibrationError for too few labels in the calibration split: `calibrate` would, after the export."""
    labels = splits.calibration.labels
    every = sum(map(len, (splits.train, splits.validation, splits.calibration, splits.test)))
    duplicates = int(labels.sum())
    fewest = min(duplicates, len(labels) - duplicates)
    if fewest < MINIMUM_OF_EACH_KIND:
        wanted = math.ceil(1.5 * every * MINIMUM_OF_EACH_KIND / max(fewest, 1))
        raise CalibrationError(
            f"Of the {every:,} labelled pairs {len(labels):,} are set apart to calibrate on, {duplicates:,} duplicates "
            f"and {len(labels) - duplicates:,} others, and at least {MINIMUM_OF_EACH_KIND} of each are needed. Label "
            f"more pairs, {wanted:,} in all say, or hand in splits of your own."
        )


def interrupted(output: str | Path) -> Path | None:
    """Return the folder of an interrupted run that can go on; None where there is none."""
    work = work_folder(Path(output))
    return work if _begun(work) else None


def _begun(work: Path) -> bool:
    return (work / _MODEL).exists() or (work_folder(work / _MODEL) / CHECKPOINT).exists()


def _check_work(work: Path, made_from: str, *, resume: bool) -> bool:
    """Return whether there is something to go on with; raise InputError unless that is wanted and possible."""
    noted = work / _MADE_FROM
    if work.exists() and not noted.is_file() and any(work.iterdir()):
        raise InputError(f"{work} is needed while training, and holds other files. Move it, or name another output.")
    if not _begun(work):
        return False
    if not resume:
        raise InputError(f"An interrupted training is in {work}. Continue it with resume=True, or delete it.")
    if noted.read_text(encoding="utf-8") != made_from:
        raise InputError(
            f"The interrupted training in {work} had another config or other data. "
            "Resume with the same ones, or delete that folder."
        )
    return True


def _exported(model: str) -> OnnxEncoder:
    with TemporaryDirectory() as folder:
        return OnnxEncoder.load(export_onnx(model, folder))


def _write(
    output: Path, model: Path, detector: Detector, comparison: Comparison, card: str, *, overwrite: bool
) -> None:
    with atomic_folder(output, overwrite=overwrite, expected=written_files(output), marker=MANIFEST) as place:
        # Contents only: the weights come with a mode that lets nobody else read them.
        shutil.copytree(model, place, dirs_exist_ok=True, copy_function=shutil.copyfile)
        text = json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        (place / "evaluation.json").write_text(text + "\n", encoding="utf-8")
        with TemporaryDirectory() as folder:
            saved = detector.save_pretrained(Path(folder) / "detector", model_card=card)
            # Both have a tokenizer.json. The detector's takes the place of the other, which holds rules for padding and
            # truncation besides; whoever reads it sets those anew.
            # How to read the weights out of the detector's files is not needed where they are.
            without = shutil.ignore_patterns("modules.json", "1_Pooling")
            shutil.copytree(saved, place, dirs_exist_ok=True, ignore=without)
            write_manifest(place, read_manifest(saved))  # so that it covers the other files too
