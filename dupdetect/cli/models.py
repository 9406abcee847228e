"""Verbs over detectors: calibrate, evaluate and info."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dupdetect._version import __version__
from dupdetect.cli.options import (
    criterion_of,
    json_option,
    load_detector,
    operating_point,
    overwrite_option,
    pair_options,
    point_options,
)
from dupdetect.cli.terminal import as_json_text, check_free, printable, read_labelled, show

if TYPE_CHECKING:
    from dupdetect.detector import Detector


@click.command(short_help="Fit the threshold of a model on labelled pairs.")
@click.argument("model")
@click.argument("pairs")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Where the calibrated detector goes.")
@click.option("--min-precision", type=float, metavar="P", help="Threshold with certified precision of at least P.")
@click.option("--min-recall", type=float, metavar="R", help="Threshold with recall of at least R.")
@pair_options
@overwrite_option
@json_option
def calibrate(
    model: str,
    pairs: str,
    output: str,
    min_precision: float | None,
    min_recall: float | None,
    left: str | None,
    right: str | None,
    label: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit the threshold of MODEL on labelled PAIRS that it was not trained on.

    MODEL is a detector folder, a sentence-transformers folder or hub name (extra `train`), or `default` for the shipped
    detector. Without --min-precision or --min-recall the threshold is the one with the highest F1.

    \b
    dupdetect calibrate default my_pairs.csv -o my-detector
    dupdetect calibrate sentence-transformers/all-mpnet-base-v2 calibration.csv -o mpnet --min-precision 0.95
    """
    from dupdetect.detector import Detector

    check_free(output, overwrite, pairs)
    criterion = criterion_of(min_precision, min_recall)
    labelled = read_labelled(pairs, left, right, label)
    base = load_detector(model)
    detector = Detector.calibrate(
        base.encoder, labelled, criterion=criterion, data=Path(pairs).name, name=Path(output).name, progress=show
    )
    detector.save_pretrained(output, overwrite=overwrite)
    click.echo(as_json_text(_described(detector)) if as_json else printable(_info_text(detector)))


@click.command(short_help="Measure a detector on labelled pairs.")
@click.argument("model")
@click.argument("pairs")
@pair_options
@point_options
@json_option
def evaluate(
    model: str,
    pairs: str,
    left: str | None,
    right: str | None,
    label: str | None,
    min_precision: float | None,
    min_recall: float | None,
    threshold: float | None,
    prevalence: float | None,
    as_json: bool,
) -> None:
    """Measure MODEL (a folder, or `default` for the shipped detector) on labelled PAIRS that nothing was fitted on.

    Reports pair metrics at the threshold, retrieval (Recall@K) and mining over all pairs of the questions.

    \b
    dupdetect evaluate default test.csv
    dupdetect evaluate my-detector splits/test.csv --json
    """
    from dupdetect.evaluation import evaluate as run

    point = operating_point(min_precision, min_recall, threshold, prevalence)
    labelled = read_labelled(pairs, left, right, label)
    detector = load_detector(model).at(**point)
    evaluation = run(detector, labelled, progress=show)
    click.echo(as_json_text(evaluation.to_dict()) if as_json else str(evaluation))


@click.command(short_help="Say what a detector is made of.")
@click.argument("model", required=False)
@json_option
def info(model: str | None, as_json: bool) -> None:
    """Say what a detector is: its encoder, and where its threshold comes from. Without MODEL, the shipped one.

    \b
    dupdetect info
    dupdetect info my-detector --json
    """
    detector = load_detector(model)
    click.echo(as_json_text(_described(detector)) if as_json else printable(_info_text(detector)))


def _described(detector: Detector) -> dict[str, Any]:
    calibration = None if detector.calibration is None else detector.calibration.summary()
    return {
        "name": detector.name,
        "dupdetect": __version__,
        "encoder": {"fingerprint": detector.encoder.fingerprint, "dimension": detector.encoder.dimension},
        "calibration": calibration,
    }


def _info_text(detector: Detector) -> str:
    lines = [
        f"{detector.name}",
        f"encoder      {detector.encoder.fingerprint}, {detector.encoder.dimension} dimensions",
    ]
    if detector.calibration is None:
        return "\n".join([*lines, "calibration  none: fit one with `dupdetect calibrate`"])
    return "\n".join([*lines, *detector.calibration.describe()])
