"""Verbs over whole exports: dedupe and match."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from dupdetect.cli.options import (
    excel_option,
    json_option,
    load_detector,
    model_option,
    operating_point,
    overwrite_option,
    point_options,
    table_options,
)
from dupdetect.cli.terminal import as_json_text, check_free, printable, show, write_table


@click.command(short_help="Find the duplicates in an export.")
@click.argument("export")
@click.option(
    "--text", "text", multiple=True, metavar="COL", help="Column to compare; repeat it for several (subject, body)."
)
@click.option(
    "--id", "id_column", metavar="COL", help="Column that names a row. Without one, rows are numbered from 1."
)
@click.option("-o", "--output", metavar="DIR", help="Output folder.  [default: EXPORT.dupdetect]")
@click.option(
    "--keep",
    default="first",
    show_default=True,
    metavar="POLICY",
    help="Which of several stays: first, last, longest, medoid, max:COL or min:COL.",
)
@point_options
@model_option
@table_options
@excel_option
@overwrite_option
@json_option
def dedupe(
    export: str,
    text: tuple[str, ...],
    id_column: str | None,
    output: str | None,
    keep: str,
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
    """Find the duplicates in EXPORT (CSV, .csv.gz, Parquet, JSON Lines, or - for standard input).

    Writes a folder: questions.csv (every row, every cell, plus cluster_id, kept, duplicate_of, similarity,
    probability), kept.csv (the rows that stay), pairs.csv (every pair found), report.html and run.json.

    \b
    dupdetect dedupe export.csv
    dupdetect dedupe tickets.csv --text subject --text description --id ticket_no
    dupdetect dedupe forum.parquet --keep max:votes -o unique-questions
    dupdetect dedupe export.csv --min-precision 0.8 --excel-safe
    cat export.csv | dupdetect dedupe - -o out --json
    """
    from dupdetect.keep import parse_keep
    from dupdetect.questions import Questions

    point = operating_point(min_precision, min_recall, threshold, prevalence)
    parse_keep(keep)
    target = Path(output) if output else _beside(export)
    check_free(target, overwrite, export)
    questions = Questions.read(
        export, text=text or None, id=id_column, encoding=encoding, delimiter=delimiter, on_bad_rows=on_bad_rows
    )
    detector = load_detector(model).at(**point)
    result = detector.deduplicate(questions, keep=keep, progress=show)
    result.write(target, excel_safe=excel_safe, overwrite=overwrite)
    for note in result.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    record = result.record()
    click.echo(as_json_text({**record, "output": str(target)}) if as_json else printable(_summary(record, target)))


@click.command(short_help="Find the known questions that new ones ask.")
@click.argument("queries")
@click.option("--against", required=True, metavar="KNOWN.csv", help="The known questions.")
@click.option("--text", "text", multiple=True, metavar="COL", help="Text column of QUERIES; repeat it for several.")
@click.option("--against-text", multiple=True, metavar="COL", help="Text column of KNOWN.csv.  [default: as QUERIES]")
@click.option("--against-id", metavar="COL", help="Column that names a known question.")
@click.option("-o", "--output", metavar="OUT.csv", help="Output file.  [default: standard output]")
@click.option("--top-k", default=5, show_default=True, type=click.IntRange(min=1), help="Matches per query, at most.")
@point_options
@model_option
@table_options
@excel_option
@overwrite_option
def match(
    queries: str,
    against: str,
    text: tuple[str, ...],
    against_text: tuple[str, ...],
    against_id: str | None,
    output: str | None,
    top_k: int,
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
) -> None:
    """Find for each question in QUERIES the known questions that ask the same.

    Every query comes out with its own cells, once per match; one that nothing matches comes out once, with blank cells.

    \b
    dupdetect match new.csv --against faq.csv -o matched.csv
    dupdetect match tickets.csv --text subject --against faq.csv --against-text question --top-k 1
    """
    from dupdetect.questions import Questions
    from dupdetect.tables import read_table

    point = operating_point(min_precision, min_recall, threshold, prevalence)
    check_free(output, overwrite, queries, against)
    table = partial(read_table, encoding=encoding, delimiter=delimiter, on_bad_rows=on_bad_rows)
    asked = Questions.from_table(table(queries), text=text or None)
    known = Questions.from_table(table(against), text=against_text or text or None, id=against_id)
    detector = load_detector(model).at(**point)
    matches = detector.match(asked, known, top_k=top_k, progress=show)
    write_table(output, matches.columns(), matches.rows(), excel_safe=excel_safe, overwrite=overwrite)
    for name, questions in ((queries, asked), (against, known)):
        for note in questions.notes:
            click.echo(f"Note: {printable(f'{name}: {note}')}", err=True)
    hits = sum(found is not None for found in matches)
    click.echo(f"{hits:,} of {len(matches):,} queries match one of {len(known):,} known questions.", err=True)


def _beside(export: str) -> Path:
    """Return the default output folder: the export's name without its endings, plus .dupdetect."""
    if export == "-":
        return Path("stdin.dupdetect")
    path = Path(export)
    name = path.name.removesuffix(".gz")
    stem = name.rpartition(".")[0] or name or "export"  # a folder such as "." has no name; reading it says so
    return path.parent / f"{stem}.dupdetect"


def _summary(record: dict[str, Any], target: Path) -> str:
    counts, calibration = record["counts"], record["calibration"]
    return "\n".join(
        [
            f"{counts['rows']:,} rows = {counts['kept']:,} kept + {counts['removed']:,} duplicates of a kept row",
            f"{counts['rows']:,} rows = {counts['distinct_texts']:,} different texts + {counts['repeats_of_a_text']:,} "
            f"repeats + {counts['blank']:,} blank (kept)",
            f"{counts['clusters']:,} clusters hold {counts['rows_in_clusters']:,} rows, the largest "
            f"{counts['largest_cluster']:,}; {counts['pairs_of_different_texts']:,} pairs of different texts",
            f"threshold: cosine {calibration['threshold']:.4f}, {calibration['criterion']}",
            record["promise"],
            f"written to {target}/ (start with report.html)",
        ]
    )
