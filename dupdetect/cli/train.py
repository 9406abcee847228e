"""The verb that makes a detector from labelled pairs of one's own: train."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from dupdetect.cli.options import (
    criterion_options,
    json_option,
    local_name,
    overwrite_option,
    pair_options,
    table_options,
    together,
)
from dupdetect.cli.terminal import as_json_text, check_free, printable, show
from dupdetect.errors import InputError, UnreachableCriterionError
from dupdetect.training.config import Mining, Negatives, Objective, TrainingConfig

if TYPE_CHECKING:
    from dupdetect.calibration import Criterion

_DEFAULTS = {option.name: option.default for option in dataclasses.fields(TrainingConfig)}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _setting(name: str, kind: Any, text: str, metavar: str | None = None) -> Callable[..., Any]:
    """Return the option for a field of `TrainingConfig`; its value is None when it is not given."""
    default = "" if _DEFAULTS[name] is None else f"  [default: {_DEFAULTS[name]}]"
    return click.option(_flag(name), name, type=kind, metavar=metavar, help=text + default)


def _config(config_file: str | None, **flags: Any) -> TrainingConfig:
    """Return the config of the file, or the default one, with what the flags say in its place."""
    given = {name: value for name, value in flags.items() if value is not None}
    config = TrainingConfig()
    if config_file is not None:
        try:
            config = TrainingConfig.read(config_file)
        except InputError as error:
            raise InputError(f"--config {config_file}: {error}") from None
    if "epochs" in given:
        given["steps"] = None  # else those of the file would count instead
    try:
        config = dataclasses.replace(config, **given)
    except InputError as error:
        name = str(error).partition(" ")[0]
        raise InputError(str(error).replace(name, _flag(name), 1) if name in given else str(error)) from None
    for name in ("negatives", "mining"):
        if name in given and "triplet" not in config.parts:
            raise click.UsageError(f"{_flag(name)} is about triplets. Add --objective triplet.")
    return config


config_options = together(
    "config",
    _config,
    base=_setting("base", str, "Model to begin with: a sentence-transformers folder, or a name on the hub.", "M"),
    objective=_setting("objective", click.Choice(get_args(Objective)), "What training optimises."),
    negatives=_setting("negatives", click.Choice(get_args(Negatives)), "Which other question makes a triplet."),
    mining=_setting("mining", click.Choice(get_args(Mining)), "Where triplets come from: the batch, or all questions."),
    epochs=_setting("epochs", float, "Passes over the pairs.", "N"),
    batch_size=_setting("batch_size", int, "Pairs of a step.", "N"),
    learning_rate=_setting("learning_rate", float, "The highest; it rises to it, and falls to 0.", "R"),
    lora_rank=_setting(
        "lora_rank",
        int,
        "Train low-rank adapters of this rank, not the weights; give ten times the learning rate.",
        "N",
    ),
    average_with_base=_setting("average_with_base", float, "Share of the base in the weights at the end.", "SHARE"),
    seed=_setting("seed", int, "Of everything random, the split included.", "N"),
    config_file=click.option(
        "--config",
        "config_file",
        metavar="FILE.json",
        help="Any options of the training (dupdetect.training.TrainingConfig); those given here count before them.",
    ),
)


@click.command(short_help="Fine-tune a model on labelled pairs.")
@click.argument("pairs")
@click.option(
    "-o", "--output", required=True, metavar="MODEL", callback=local_name, help="Where the trained detector goes."
)
@config_options
@criterion_options
@pair_options
@table_options
@click.option("--split", metavar="NAME", help="Which split of a data set to read, where it has several.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a data set on the hub.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted training.")
@overwrite_option
@json_option
def train(
    pairs: str,
    output: str,
    config: TrainingConfig,
    criterion: Criterion,
    columns: dict[str, Any],
    reading: dict[str, Any],
    split: str | None,
    revision: str | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fine-tune a model on labelled PAIRS, and write a detector that `--model` takes (needs the extra `train`).

    PAIRS is a CSV, .xlsx, Parquet or JSON Lines file, a `datasets` folder or a hub id, and is split so that no question
    leaks; or a folder made by `dupdetect split`, whose splits are used as they are.

    The threshold comes from the calibration pairs. The test pairs are looked at once, beside the base, so that you see
    whether training paid. MODEL also loads with sentence-transformers. An interrupted training leaves MODEL.training,
    from which --resume goes on.

    \b
    dupdetect train my_pairs.csv -o my-detector
    dupdetect train splits -o my-detector --objective triplet --negatives hard --epochs 3
    dupdetect train pairs.parquet -o my-detector --average-with-base 0.5 --min-precision 0.9
    dupdetect train owner/dataset --split train -o my-detector --config training.json --resume
    """
    from dupdetect.artifacts import MANIFEST, written_files

    check_free(output, overwrite, pairs, config.base, marker=MANIFEST, expected=written_files(Path(output)))
    # Read when the libraries are imported: their bars for files would stand between our lines.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from dupdetect.training import interrupted, load_splits, train_detector

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that nothing here needs
    _say(f"Reading {pairs}")
    splits = load_splits(pairs, **columns, **reading, split=split, revision=revision, seed=config.seed)
    for note in splits.notes:
        _say(f"Note: {note}")
    try:
        trained = train_detector(
            config,
            splits,
            output,
            criterion=criterion,
            data=splits.data,
            overwrite=overwrite,
            resume=resume,
            announce=_say,
            progress=show,
        )
    except (KeyboardInterrupt, OSError, UnreachableCriterionError):
        if (work := interrupted(output)) is not None:
            _say(f"What is done so far is in {work}: the same command with --resume goes on from there.")
        raise
    if as_json:
        click.echo(as_json_text({"output": str(trained.folder), **trained.comparison.to_dict()}))
    else:
        click.echo(printable(f"{trained.comparison}\nwritten to {trained.folder}/ (start with README.md)"))


def _say(text: str) -> None:
    click.echo(printable(text), err=True)
