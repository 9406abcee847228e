"""Verbs over pairs of questions: score and split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from dupdetect.cli.options import (
    excel_option,
    json_option,
    load_detector,
    model_option,
    operating_point,
    overwrite_option,
    pair_options,
    point_options,
    table_options,
)
from dupdetect.cli.terminal import as_json_text, check_free, printable, read_labelled, show, write_table

if TYPE_CHECKING:
    from dupdetect.detector import Detector
    from dupdetect.tables import Table


@click.command(short_help="Say how alike two texts are, or pairs in a file.")
@click.argument("what", nargs=-1, required=True, metavar="TEXT TEXT | PAIRS.csv")
@click.option("--left", metavar="COL", help="Column of the first question in PAIRS.csv.")
@click.option("--right", metavar="COL", help="Column of the second question in PAIRS.csv.")
@click.option("-o", "--output", metavar="OUT.csv", help="Output file.  [default: standard output]")
@point_options
@model_option
@table_options
@excel_option
@overwrite_option
@json_option
def score(
    what: tuple[str, ...],
    left: str | None,
    right: str | None,
    output: str | None,
    min_precision: float | None,
    min_recall: float | None,
    threshold: float | None,
    prevalence: float | None,
    model: str | None,
    encoding: str | None,
    delimiter: str | None,
    on_bad_rows: Literal["error", "keep"],
    excel_safe: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Say how alike two texts are, or each pair of texts in a file.

    \b
    dupdetect score "How do I reset my password?" "I forgot my password"
    dupdetect score pairs.csv --left question1 --right question2 -o scored.csv
    """
    if len(what) > 2:
        raise click.UsageError("Give two texts (in quotes), or one file of pairs.")
    point = operating_point(min_precision, min_recall, threshold, prevalence)
    if len(what) == 2:
        explanation = load_detector(model).at(**point).explain(*what)
        click.echo(as_json_text(asdict(explanation)) if as_json else printable(str(explanation)))
        return
    if as_json:
        raise click.UsageError("--json goes with two texts; a file of pairs gives CSV.")
    from dupdetect.tables import read_table

    check_free(output, overwrite, what[0])
    table = read_table(what[0], encoding=encoding, delimiter=delimiter, on_bad_rows=on_bad_rows)
    columns, rows = _scored(table, left, right, load_detector(model).at(**point))
    write_table(output, columns, rows, excel_safe=excel_safe, overwrite=overwrite)


@click.command(short_help="Split labelled pairs so that no question leaks.")
@click.argument("pairs")
@click.option("-o", "--output", required=True, metavar="DIR", help="Output folder.")
@click.option("--seed", default=0, show_default=True, help="Another seed puts groups into other splits.")
@pair_options
@overwrite_option
@json_option
def split(
    pairs: str,
    output: str,
    seed: int,
    left: str | None,
    right: str | None,
    label: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Split labelled PAIRS so that no question stands in two splits.

    Writes train.csv, validation.csv, calibration.csv, test.csv and report.json, and prints what was checked.

    \b
    dupdetect split pairs.csv -o splits
    dupdetect split pairs.csv -o splits --left q1 --right q2 --label same --seed 7
    """
    from dupdetect.atomic import atomic_folder
    from dupdetect.splits import SPLIT_FILES, split_pairs, write_splits

    check_free(output, overwrite, pairs)
    labelled = read_labelled(pairs, left, right, label)
    with atomic_folder(Path(output), overwrite=overwrite, expected=SPLIT_FILES, marker="report.json") as place:
        splits = split_pairs(labelled, seed=seed)
        splits.check()
        write_splits(splits, place)
    click.echo(as_json_text(splits.report.to_dict()) if as_json else str(splits.report))


def _scored(
    table: Table, left: str | None, right: str | None, detector: Detector
) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the columns and rows of a table of pairs with similarity, probability and duplicate added."""
    from dupdetect.pairs import pair_columns
    from dupdetect.results.cells import free_names

    first, second = pair_columns(table.columns, left, right)
    found = detector.decide(list(zip(table.column(first), table.column(second), strict=True)), progress=show)
    rows = (
        (*cells, str(similarity), f"{probability:.6f}", "true" if duplicate else "false")
        for cells, similarity, probability, duplicate in zip(
            table.rows, found.similarity, found.probability, found.duplicate, strict=True
        )
    )
    added = free_names(table.columns, ("similarity", "probability", "duplicate"))
    return (*table.columns, *added), rows
