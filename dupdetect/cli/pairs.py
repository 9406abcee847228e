"""Verbs over pairs of questions: score and split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dupdetect.cli.options import (
    cache_option,
    csv_output_option,
    device_option,
    excel_option,
    json_option,
    load_detector,
    local_name,
    model_options,
    overwrite_option,
    pair_options,
    point_options,
    say_cache_use,
    table_options,
)
from dupdetect.cli.terminal import as_json_text, check_free, printable, read_labelled, show, write_table
from dupdetect.errors import InputError

if TYPE_CHECKING:
    from dupdetect.detector import Detector
    from dupdetect.tables import Table

FILE_ONLY = (
    "left", "right", "output", "cache", "encoding", "delimiter", "sheet", "on_bad_rows", "excel_safe", "overwrite",
)  # fmt: skip
"""What `score` takes for a file of pairs, and not for two texts."""


@click.command(short_help="Say how alike two texts are, or pairs in a file.")
@click.argument("what", nargs=-1, required=True, metavar="TEXT TEXT | PAIRS.csv")
@click.option("--left", metavar="COL", help="Column of the first question in PAIRS.csv.")
@click.option("--right", metavar="COL", help="Column of the second question in PAIRS.csv.")
@csv_output_option
@point_options
@model_options
@device_option
@cache_option
@table_options
@excel_option
@overwrite_option
@json_option
def score(
    what: tuple[str, ...],
    left: str | None,
    right: str | None,
    output: str | None,
    point: dict[str, Any],
    model: str | None,
    device: str | None,
    cache: str | None,
    reading: dict[str, Any],
    excel_safe: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Say how alike two texts are, or each pair of texts in a file.

    Two texts are printed with the words that they share. A file (CSV, .csv.gz, .xlsx, Parquet, JSON Lines, or - for
    standard input) comes out with its own columns, and with similarity, probability, duplicate and guards (what speaks
    against a pair) added.

    \b
    dupdetect score "How do I reset my password?" "I forgot my password"
    dupdetect score pairs.csv --left question1 --right question2 -o scored.csv
    dupdetect score export.dupdetect/pairs.csv --min-precision 0.8
    """
    if len(what) > 2:
        raise click.UsageError("Give two texts (in quotes), or one file of pairs.")
    if len(what) == 2:
        _check_two_texts(*what)
        explanation = load_detector(model, device=device).at(**point).explain(*what)
        click.echo(as_json_text(asdict(explanation)) if as_json else printable(str(explanation)))
        return
    if as_json:
        raise click.UsageError("--json goes with two texts; a file of pairs gives CSV.")
    if what[0] != "-" and not os.path.exists(what[0]):  # noqa: PTH110 - Path raises for long texts
        raise InputError(f"There is no file {what[0]}. Give two texts (in quotes), or one file of pairs.")
    from dupdetect.tables import read_table

    check_free(output, overwrite, what[0], *([cache] if cache else []))
    table = read_table(what[0], **reading)
    detector = load_detector(model, cache, device).at(**point)
    columns, rows = _scored(table, left, right, detector)
    say_cache_use(detector)
    write_table(output, columns, rows, excel_safe=excel_safe, overwrite=overwrite)


@click.command(short_help="Split labelled pairs so that no question leaks.")
@click.argument("pairs")
@click.option("-o", "--output", required=True, metavar="DIR", callback=local_name, help="Output folder.")
@click.option("--seed", default=0, show_default=True, help="Another seed puts groups into other splits.")
@pair_options
@table_options
@overwrite_option
@json_option
def split(
    pairs: str,
    output: str,
    seed: int,
    columns: dict[str, Any],
    reading: dict[str, Any],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Split labelled PAIRS so that no question stands in two splits.

    Writes train.csv, validation.csv, calibration.csv, test.csv (question1, question2, label and group; other columns of
    PAIRS are left out) and report.json, and prints what was checked.

    \b
    dupdetect split pairs.csv -o splits
    dupdetect split pairs.csv -o splits --left q1 --right q2 --label same --seed 7
    dupdetect split labels.xlsx --sheet Pairs -o splits
    """
    from dupdetect.atomic import atomic_folder
    from dupdetect.splits import SPLIT_FILES, split_pairs, write_splits

    check_free(output, overwrite, pairs, marker="report.json", expected=SPLIT_FILES)
    labelled = read_labelled(pairs, **columns, **reading)
    with atomic_folder(Path(output), overwrite=overwrite, expected=SPLIT_FILES, marker="report.json") as place:
        splits = split_pairs(labelled, seed=seed)
        splits.check()
        write_splits(splits, place)
    click.echo(as_json_text(splits.report.to_dict()) if as_json else str(splits.report))


def _check_two_texts(first: str, second: str) -> None:
    """Refuse what goes with a file of pairs only, and names of files: their letters would be compared."""
    context = click.get_current_context()
    given = [
        max(option.opts, key=len)
        for option in context.command.params
        if option.name in FILE_ONLY and context.get_parameter_source(option.name) is not ParameterSource.DEFAULT
    ]
    if given:
        raise click.UsageError(f"{' and '.join(given)}: only with a file of pairs. Two texts are printed as they are.")
    for text in (first, second):
        if os.path.isfile(text):  # noqa: PTH113 - Path raises for long texts
            raise click.UsageError(
                f"{printable(text)} is a file. Name one file alone to score the pairs in it (PAIRS.csv); to find the "
                "questions of one file in another, use `dupdetect match QUERIES.csv --against KNOWN.csv`; and to "
                "compare its name as a text, put a space before it."
            )


def _scored(
    table: Table, left: str | None, right: str | None, detector: Detector
) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the columns and rows of a table of pairs with similarity, probability and duplicate added."""
    from dupdetect.pairs import pair_columns
    from dupdetect.results.cells import free_names

    first, second = pair_columns(table.columns, left, right)
    found = detector.decide(list(zip(table.column(first), table.column(second), strict=True)), progress=show)
    for note in found.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    rows = (
        (*cells, str(similarity), f"{probability:.6f}", "true" if duplicate else "false", "; ".join(guards))
        for cells, similarity, probability, duplicate, guards in zip(
            table.rows, found.similarity, found.probability, found.duplicate, found.guards, strict=True
        )
    )
    added = free_names(table.columns, ("similarity", "probability", "duplicate", "guards"))
    return (*table.columns, *added), rows
