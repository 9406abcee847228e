"""Verbs over detectors: calibrate, evaluate and info."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dupdetect._version import __version__
from dupdetect.cli.options import (
    criterion_options,
    device_option,
    json_option,
    load_detector,
    local_name,
    output_name,
    overwrite_option,
    pair_options,
    point_options,
    table_options,
)
from dupdetect.cli.terminal import as_json_text, check_free, check_here, printable, read_labelled, show
from dupdetect.errors import InputError

if TYPE_CHECKING:
    from dupdetect.calibration import Criterion
    from dupdetect.detector import Detector
    from dupdetect.evaluation import Evaluation, NWayAccuracy


@click.command(short_help="Fit the threshold of a model on labelled pairs, or on the labels of a review.")
@click.argument("model", required=False)
@click.argument("pairs", required=False)
@click.option(
    "--from-reviews",
    "reviews",
    metavar="OUT_DIR",
    help="Instead of MODEL and PAIRS: the output folder of `dupdetect dedupe` whose pairs were labelled with "
    "`dupdetect review`.",
)
@click.option(
    "--model",
    "made_by",
    metavar="M",
    help="With --from-reviews: the detector folder that made OUT_DIR, where it was not a shipped one.",
)
@click.option(
    "-o", "--output", required=True, metavar="FOLDER", callback=local_name, help="Where the calibrated detector goes."
)
@criterion_options
@pair_options
@table_options
@overwrite_option
@json_option
def calibrate(
    model: str | None,
    pairs: str | None,
    reviews: str | None,
    made_by: str | None,
    output: str,
    criterion: Criterion,
    columns: dict[str, Any],
    reading: dict[str, Any],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit the threshold of MODEL on labelled PAIRS that it was not trained on.

    MODEL is a detector folder, a sentence-transformers folder or hub name (extra `train`), or `default` for the shipped
    detector. Without --min-precision or --min-recall the threshold is the one with the highest F1.

    With --from-reviews the labels are those of a review of an export, and the precision holds among all its pairs: the
    threshold is the lowest certified to have --min-precision (0.95 if neither is given). Nothing is encoded again. The
    certificate is written beside the detector, and to OUT_DIR/certificate.json until that is made anew.

    \b
    dupdetect calibrate default my_pairs.csv -o my-detector
    dupdetect calibrate sentence-transformers/all-mpnet-base-v2 calibration.csv -o mpnet --min-precision 0.95
    dupdetect calibrate --from-reviews export.dupdetect -o my-detector --min-precision 0.9
    """
    if reviews is not None:
        from dupdetect.tables.read import given_options

        given = {name: value for name, value in columns.items() if value is not None} | given_options(**reading)
        named = [f"--{name.replace('_', '-')}" for name in given]
        if model is not None or named:
            raise click.UsageError(
                f"--from-reviews takes the labels from {reviews}, so it does not go with "
                f"{named[0] if named else 'MODEL and PAIRS'}. The detector that made it is named with --model."
            )
        check_here(reviews)
        _calibrate_from_reviews(Path(reviews), made_by, output, criterion, overwrite, as_json)
        return
    if made_by is not None:
        raise click.UsageError("--model goes with --from-reviews only: without it, MODEL is the first argument.")
    if model is None or pairs is None:
        raise click.UsageError("Give MODEL and PAIRS, or --from-reviews OUT_DIR.")
    from dupdetect.artifacts import MANIFEST, written_files
    from dupdetect.detector import Detector

    check_free(output, overwrite, pairs, marker=MANIFEST, expected=written_files(Path(output)))
    encoder = load_detector(model).encoder
    labelled = read_labelled(pairs, **columns, **reading)
    detector = Detector.calibrate(
        encoder, labelled, criterion=criterion, data=Path(pairs).name, name=Path(output).name, progress=show
    )
    detector.save_pretrained(output, overwrite=overwrite)
    click.echo(as_json_text(_described(detector)) if as_json else printable(_info_text(detector)))


@click.command(short_help="Measure a detector on labelled pairs, or on classified texts.")
@click.argument("model")
@click.argument("data", metavar="PAIRS|TEXTS")
@pair_options
@table_options
@point_options
@click.option(
    "--plots",
    metavar="DIR",
    callback=output_name,
    help="Also draw pr.svg, reliability.svg and histogram.svg into this folder of their own.",
)
@click.option("--classes", metavar="COL", help="The file holds texts, not pairs, and this column the class of each.")
@click.option(
    "--text", multiple=True, metavar="COL", help="With --classes: the text column; repeat it for several of them."
)
@click.option("--shots", type=click.IntRange(min=1), help="With --classes: examples per class.  [default: 1]")
@click.option("--draws", type=click.IntRange(min=1), help="With --classes: times they are drawn.  [default: 20]")
@device_option
@overwrite_option
@json_option
def evaluate(
    model: str,
    data: str,
    columns: dict[str, Any],
    reading: dict[str, Any],
    point: dict[str, Any],
    plots: str | None,
    classes: str | None,
    text: tuple[str, ...],
    shots: int | None,
    draws: int | None,
    device: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Measure MODEL (a folder, or `default` for the shipped detector) on labelled PAIRS that nothing was fitted on.

    Reports pair metrics at the threshold, beside what can be guessed without reading a word; what the threshold costs
    here; retrieval (Recall@K); mining over all pairs of the questions; and the precision where duplicates are rarer.

    With --classes, on TEXTS and the class of each: how often a text is most similar to an example of its own class,
    among one of every class (N-way one-shot accuracy). That needs no threshold, so MODEL may be uncalibrated.

    \b
    dupdetect evaluate default test.csv
    dupdetect evaluate my-detector splits/test.csv --plots plots --json
    dupdetect evaluate default intents.csv --classes intent --text utterance --shots 5
    """
    of_pairs = {**columns, **point, "plots": plots, "overwrite": overwrite or None}
    of_classes = {"text": text or None, "shots": shots, "draws": draws}
    for name, value in (of_classes if classes is None else of_pairs).items():
        if value is not None:
            raise click.UsageError(
                f"--{name.replace('_', '-')} {'goes only' if classes is None else 'does not go'} with --classes."
            )
    if overwrite and plots is None:
        raise click.UsageError("--overwrite goes with --plots: nothing else is written.")
    if classes is None:
        result: Evaluation | NWayAccuracy = _evaluated_pairs(
            model, device, data, columns, reading, point, plots, overwrite
        )
    else:
        result = _evaluated_classes(model, device, data, classes, text, reading, shots, draws)
    click.echo(as_json_text(result.to_dict()) if as_json else printable(str(result)))


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


def _calibrate_from_reviews(
    folder: Path, made_by: str | None, output: str, criterion: Criterion, overwrite: bool, as_json: bool
) -> None:
    from dupdetect.artifacts import MANIFEST, written_files
    from dupdetect.calibration import MaxF1, MinPrecision
    from dupdetect.recalibrating import recalibrate

    check_free(output, overwrite, str(folder), marker=MANIFEST, expected=written_files(Path(output)))
    if criterion == MaxF1():  # neither option was given
        criterion = MinPrecision(0.95)
    detector = None if made_by is None else load_detector(made_by)
    done = recalibrate(folder, output, criterion=criterion, made_by=detector, overwrite=overwrite)
    lines = [*done.certificate["statement"], f"written to {output}/, with certificate.json"]
    click.echo(as_json_text(done.certificate) if as_json else printable("\n".join(lines)))


def _described(detector: Detector) -> dict[str, Any]:
    from dupdetect.guards import GUARDS

    calibration = None if detector.calibration is None else detector.calibration.summary()
    return {
        "name": detector.name,
        "dupdetect": __version__,
        "encoder": {"fingerprint": detector.encoder.fingerprint, "dimension": detector.encoder.dimension},
        "calibration": calibration,
        "guards": None if detector.guards is None else {"names": list(GUARDS), **detector.guards.to_dict()},
    }


def _info_text(detector: Detector) -> str:
    from dupdetect.guards import GUARDS

    lines = [
        f"{detector.name}",
        f"encoder      {detector.encoder.fingerprint}, {detector.encoder.dimension} dimensions",
    ]
    if detector.calibration is None:
        return "\n".join([*lines, "calibration  none: fit one with `dupdetect calibrate`"])
    guards = "none"
    if detector.guards is not None:
        guards = f"{', '.join(GUARDS)}: a pair that differs in nothing else scores at most {detector.guards.cap:.4f}"
    return "\n".join([*lines, *detector.calibration.describe(), f"guards       {guards}"])


def _evaluated_pairs(
    model: str,
    device: str | None,
    pairs: str,
    columns: dict[str, Any],
    reading: dict[str, Any],
    point: dict[str, Any],
    plots: str | None,
    overwrite: bool,
) -> Evaluation:
    from dupdetect.evaluation import PLOTS, write_plots
    from dupdetect.evaluation import evaluate as run

    check_free(plots, overwrite, pairs, model, marker="reliability.svg", expected=PLOTS)
    detector = load_detector(model, device=device).at(**point)
    evaluation = run(detector, read_labelled(pairs, **columns, **reading), progress=show)
    if plots is not None:
        write_plots(evaluation, plots, overwrite=overwrite)
        click.echo(f"Plots are in {printable(plots)}/", err=True)
    return evaluation


def _evaluated_classes(
    model: str,
    device: str | None,
    texts: str,
    classes: str,
    columns: tuple[str, ...],
    reading: dict[str, Any],
    shots: int | None,
    draws: int | None,
) -> NWayAccuracy:
    from dupdetect.evaluation import n_way_accuracy
    from dupdetect.questions import Questions

    encoder = load_detector(model, device=device).encoder
    questions = Questions.read(texts, text=columns or None, **reading)
    if classes in questions.text_columns:
        raise InputError(f"The column {classes!r} cannot be both text and class. Name the text column with --text.")
    groups = questions.table.column(classes)
    for note in questions.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    chosen = {name: value for name, value in (("shots", shots), ("draws", draws)) if value is not None}
    return n_way_accuracy(encoder, questions.texts, groups, **chosen, progress=show)
