"""Labelled pairs and a base model to a model that tells duplicates better."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

from dupdetect.atomic import atomic_file, atomic_folder
from dupdetect.errors import EmptyInputError, InputError, LeakageError
from dupdetect.pairs import QuestionPairs
from dupdetect.progress import Progress, silent
from dupdetect.training.checkpoints import CHECKPOINT, load_checkpoint, save_checkpoint, work_folder
from dupdetect.training.collapse import CollapseError
from dupdetect.training.config import TrainingConfig
from dupdetect.training.curves import learning_curve, write_lines
from dupdetect.training.models import average_weights, load_model
from dupdetect.training.run import TrainingRun, identity
from dupdetect.training.sources import require_both_labels
from dupdetect.training.teachers import Teacher

__all__ = ["fine_tune"]


def fine_tune(
    config: TrainingConfig,
    train: QuestionPairs,
    validation: QuestionPairs,
    output: str | Path,
    *,
    resume: bool = False,
    teacher: Teacher | None = None,
    shared_questions: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train and return `output`, a folder that `SentenceTransformer(folder)` loads.

    The weights are those with the highest average precision on `validation`, averaged with the base where the config
    says so. Beside them lie `training.json` (the config), `metrics.jsonl` (a line per evaluation) and
    `learning_curve.svg`. `teacher` is what the distillation part learns from; without one it is the base, on the
    questions of `train`.

    While it runs, `<output>.training` holds the last checkpoint and the metrics so far. After an interruption, `resume`
    continues from there, and ends with the weights of an uninterrupted run on the same machine; with nothing to
    continue from it begins. The folder is deleted in the end.

    When the model stops telling texts apart, `collapsed.pt` there holds the weights with the highest average precision
    before that, if there are any: `load_checkpoint(path).best.weights`, those of the model in training. The error names
    the file. A later run begins anew, and deletes it when it ends well.

    The loop is a plain one, not the trainer of sentence-transformers: there the batches of `PairBatches`, the mask that
    goes with each and the exact continuation would each need a class of the trainer to be replaced.

    Raises InputError when there is an output, or an interrupted run without `resume`, or one with another config or
    other data; when `train` or `validation` lacks duplicates or others; EmptyInputError; LeakageError when they share a
    question, unless `shared_questions` (to measure what such a leak pretends); CollapseError when the model stops
    telling texts apart; ArtifactError for a base that cannot be loaded, or a damaged checkpoint.
    """
    output = Path(output)
    _check_data(train, validation, shared_questions=shared_questions)
    if teacher is not None and "distillation" not in config.parts:
        raise InputError('There is a teacher, but the objective has no part "distillation". Add it to weights.')
    work = _work_folder(output, resume=resume)
    made_from = identity(config, train, validation, teacher)
    # What is random here must not change what is random for the caller.
    with torch.random.fork_rng():
        run = TrainingRun(config, train, validation, teacher)
        if (work / CHECKPOINT).exists():
            checkpoint = load_checkpoint(work / CHECKPOINT)
            if checkpoint.identity != made_from:
                raise InputError(
                    f"The interrupted run in {work} had another config or other data. "
                    "Resume with the same ones, or delete that folder."
                )
            run.restore(checkpoint)
        try:
            _train(run, work, made_from, progress)
        except CollapseError as error:
            raise CollapseError(f"{error}{_kept_best(run, work, made_from)}") from error
        _write(run, output)
    shutil.rmtree(work, ignore_errors=True)
    return output


def _check_data(train: QuestionPairs, validation: QuestionPairs, *, shared_questions: bool) -> None:
    for name, pairs in (("train", train), ("validation", validation)):
        if not len(pairs):
            raise EmptyInputError(f"There are no {name} pairs.")
    require_both_labels(train, "Training")
    require_both_labels(validation, "Choosing the best checkpoint")
    shared = set(train.nodes().texts).intersection(validation.nodes().texts)
    if shared and not shared_questions:
        raise LeakageError(
            f"{len(shared):,} questions, such as {min(shared)!r}, stand in both the train and the validation pairs. "
            "Split with split_pairs, which keeps them apart."
        )


def _work_folder(output: Path, *, resume: bool) -> Path:
    if os.path.lexists(output):
        raise InputError(f"{output} exists already. Delete it, or name another output.")
    if not output.absolute().parent.is_dir():
        raise InputError(f"{output} cannot be written: there is no folder {output.absolute().parent}. Make it first.")
    work = work_folder(output)
    if (work / CHECKPOINT).exists() and not resume:
        raise InputError(f"An interrupted run is in {work}. Continue it with resume=True, or delete it.")
    work.mkdir(exist_ok=True)
    return work


def _train(run: TrainingRun, work: Path, made_from: str, progress: Progress) -> None:
    config = run.config
    with progress("Training", run.steps, "step") as advance:
        advance(run.step)
        if not run.lines:
            _evaluate(run, work)
        for rows in run.remaining_batches():
            run.advance(rows)
            last = run.step == run.steps
            if last or run.step % config.evaluate_every == 0:
                _evaluate(run, work)
            if last or run.step % config.checkpoint_every == 0:
                save_checkpoint(work / CHECKPOINT, run.checkpoint(made_from))
            advance(1)


def _kept_best(run: TrainingRun, work: Path, made_from: str) -> str:
    """Keep the best weights before a collapse, and return a sentence that says where; with none, nothing.

    The metrics stay to be looked at. The checkpoint goes: to continue from it would be to collapse again.
    """
    found = ""
    if run.best.weights:
        save_checkpoint(work / "collapsed.pt", run.checkpoint(made_from))
        found = f" The best weights before that, of step {run.best.step:,}, are in {work / 'collapsed.pt'}."
    (work / CHECKPOINT).unlink(missing_ok=True)
    return found


def _evaluate(run: TrainingRun, work: Path) -> None:
    run.evaluate()
    with atomic_file(work / "metrics.jsonl", overwrite=True) as path:
        path.write_text(write_lines(run.lines), encoding="utf-8")


def _write(run: TrainingRun, output: Path) -> None:
    config = run.config
    model = run.finished_model()
    if config.average_with_base:
        model = average_weights(load_model(config.base), model, config.average_with_base)
    run.model = model
    average_precision, spread = run.measure()
    final = {
        "step": run.best.step,
        "final": True,
        "average_with_base": config.average_with_base,
        "final_average_precision": average_precision,
        "random_similarity_mean": spread.mean,
        "random_similarity_std": spread.std,
    }
    with atomic_folder(output, marker="training.json") as folder:
        model.save(str(folder), create_model_card=False)
        (folder / "training.json").write_text(config.to_json(), encoding="utf-8")
        (folder / "metrics.jsonl").write_text(write_lines([*run.lines, final]), encoding="utf-8")
        (folder / "learning_curve.svg").write_text(learning_curve(run.lines), encoding="utf-8")
