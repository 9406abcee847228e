"""The verbs of `dupdetect index` that keep it: add and remove questions, make it anew, say what is in it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from dupdetect.cli.index.opening import index_argument, opened, opened_to_add
from dupdetect.cli.options import (
    cache_option,
    json_option,
    load_detector,
    model_options,
    point_options,
    say_cache_use,
    table_options,
)
from dupdetect.cli.terminal import as_json_text, printable, show
from dupdetect.errors import InputError

__all__ = ["add", "info", "rebuild", "remove"]

_SHOWN_COLUMNS = 5


@click.command(short_help="Add questions; make the index if it is not there.")
@index_argument
@click.argument("export", metavar="FILE")
@click.option("--text", "text", multiple=True, metavar="COL", help="Column of the text; repeat it for several.")
@click.option(
    "--id", "id_column", metavar="COL", help="Column that names a question. Without one, each gets a new number."
)
@click.option("--label", metavar="COL", help="Column of the class of a question, for `classify`; blank for none.")
@point_options
@model_options
@cache_option
@table_options
@json_option
def add(
    folder: str,
    export: str,
    text: tuple[str, ...],
    id_column: str | None,
    label: str | None,
    point: dict[str, Any],
    model: str | None,
    cache: str | None,
    reading: dict[str, Any],
    as_json: bool,
) -> None:
    """Add the questions in FILE to INDEX (CSV, .csv.gz, .xlsx, Parquet, JSON Lines, or - for standard input).

    All of them are added, or none. A question whose id is there already, with the same text, is left as it is; with
    another text it is an error. Without ids, questions that are added again are there twice.

    INDEX is made if it is not there, with the shipped detector or the one that is named; it keeps it, threshold and
    all. For an index that is there no detector need be named, and another is refused: see `dupdetect index rebuild`.

    \b
    dupdetect index add faq faq.csv
    dupdetect index add faq new.csv --text subject --text body --id ticket
    dupdetect index add intents examples.csv --text utterance --label intent --fast
    dupdetect index add archive archive.parquet --cache vectors.sqlite
    """
    from dupdetect.questions import Questions

    questions = Questions.read(export, text=text or None, id=id_column, **reading)
    with opened_to_add(folder, model, point, cache) as known:
        added = known.add(
            questions.table,
            text=questions.text_columns,
            id=id_column or questions.id_column,
            label=label,
            progress=show,
        )
        for note in dict.fromkeys((*questions.notes, *added.notes)):
            if not note.startswith("Rows are identified by their numbers"):
                click.echo(f"Note: {printable(note)}", err=True)
        kept = {*questions.text_columns, id_column or questions.id_column, label}
        if others := [name for name in questions.table.selectors if name not in kept]:
            some = ", ".join(others[:_SHOWN_COLUMNS]) + (", ..." if len(others) > _SHOWN_COLUMNS else "")
            click.echo(
                printable(f"Note: The index keeps texts, ids and labels, and no other columns ({some})."), err=True
            )
        if id_column is None and questions.id_column is None:
            click.echo("Note: No column identifies the questions, so they get new numbers.", err=True)
        say_cache_use(known.detector)
        counts = known.counts
    if as_json:
        result = {name: value for name, value in asdict(added).items() if name != "notes"}
        click.echo(as_json_text({"index": folder, "added": added.added, **result, "counts": counts}))
        return
    click.echo(
        f"{added.given:,} questions = {added.added:,} added + {added.unchanged:,} there already\n"
        f"{added.added:,} added = {added.new_texts:,} new texts + {added.repeats:,} repeats + {added.blank:,} blank\n"
        f"{added.pairs:,} more {'pair' if added.pairs == 1 else 'pairs'} of texts at or above the threshold, before "
        "guards rule any out\n"
        f"{printable(folder)} holds {counts['questions']:,} questions"
    )


@click.command(short_help="Remove questions.")
@index_argument
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@json_option
def remove(folder: str, ids: tuple[str, ...], as_json: bool) -> None:
    """Remove questions from INDEX by their ids, all of them or none; - reads ids from standard input, one a line.

    They are found no more. What they leave in the files, such as vectors, is written over when there is enough of it;
    where it must be gone at once, make the index anew by its own detector (see the last example), and delete INDEX.

    What visitors of `dupdetect serve` answered is no part of the index, and stays: INDEX.answers.sqlite beside it has
    what they typed, and id and text of each question that they confirmed. Delete that file too, to be rid of them.

    \b
    dupdetect index remove faq 1017 1018
    dupdetect index remove faq - < outdated.txt
    dupdetect index rebuild faq faq-2
    """
    if ids == ("-",):
        if sys.stdin is None:
            raise InputError("Standard input is closed. Name the ids.")
        # By line ends alone: an id may hold what else Python splits lines at, such as U+2028.
        lines = sys.stdin.buffer.read().decode("utf-8-sig", "replace").split("\n")
        ids = tuple(line.removesuffix("\r") for line in lines if line.strip())
    with opened(folder) as known:
        removed = known.remove(ids)
        left = len(known)
    if as_json:
        click.echo(as_json_text({"index": folder, **asdict(removed), "left": left}))
        return
    click.echo(f"removed {removed.questions:,} questions and {removed.texts:,} texts that no other question has")
    click.echo(f"{printable(folder)} holds {left:,} questions")


@click.command(short_help="Make an index anew, by another detector.")
@index_argument
@click.argument("new", metavar="NEW")
@point_options
@model_options
def rebuild(folder: str, new: str, point: dict[str, Any], model: str | None) -> None:
    """Make the index NEW from the questions and decisions in INDEX, by another detector or at another threshold.

    INDEX stays as it is. All texts are encoded and compared again. Without --model or --fast by INDEX's own detector.

    \b
    dupdetect index rebuild faq faq-2 --model my-detector
    dupdetect index rebuild faq faq-2 --min-precision 0.8
    """
    from dupdetect.index import QuestionIndex

    if model is None:
        with opened(folder) as known:
            detector = known.detector.at(**point)
    else:
        detector = load_detector(model).at(**point)
    with QuestionIndex.rebuild(folder, new, detector, progress=show) as known:
        click.echo(printable(f"{new} holds {len(known):,} questions, by {known.detector.name}"))


@click.command(short_help="Say what is in an index.")
@index_argument
@json_option
def info(folder: str, as_json: bool) -> None:
    """Say how many questions INDEX holds, and which detector it was made with.

    \b
    dupdetect index info faq
    """
    with opened(folder) as known:
        detector, counts = known.detector, known.counts
    calibration = detector.require_calibration()
    if as_json:
        about = {"detector": detector.name, "encoder": detector.encoder.fingerprint, "threshold": calibration.threshold}
        click.echo(as_json_text({"index": folder, **about, "counts": counts}))
        return
    lines = [
        f"questions  {counts['questions']:,} = {counts['texts']:,} different texts + {counts['repeats']:,} repeats + "
        f"{counts['blank']:,} blank",
        f"classes    {counts['classes']:,}, of {counts['labelled']:,} questions with a label",
        f"pairs      {counts['pairs']:,} of different texts at or above the threshold, before guards rule any out",
        f"decisions  {counts['told_apart']:,} {'pair' if counts['told_apart'] == 1 else 'pairs'} told apart, "
        f"{counts['merged']:,} merged, {counts['survivors']:,} texts chosen to stay",
        f"detector   {detector.name}, threshold {calibration.threshold:.4f}: {calibration.criterion}",
    ]
    click.echo(printable("\n".join(lines)))
