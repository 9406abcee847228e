"""The verb match: the known questions that new ones ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from dupdetect.cli.options import (
    against_options,
    cache_option,
    csv_output_option,
    device_option,
    excel_option,
    load_detector,
    model_options,
    overwrite_option,
    point_options,
    say_cache_use,
    table_options,
)
from dupdetect.cli.terminal import check_free, check_inputs, printable, show, write_table
from dupdetect.errors import ColumnNotFoundError, InputError
from dupdetect.remote import check_file, files_of, is_url, sent_file, shown

if TYPE_CHECKING:
    from dupdetect.questions import Questions
    from dupdetect.results import Matches


@click.command(short_help="Find the known questions that new ones ask.")
@click.argument("queries")
@click.option("--against", required=True, metavar="KNOWN.csv", help="The known questions.")
@click.option("--text", "text", multiple=True, metavar="COL", help="Text column of QUERIES; repeat it for several.")
@click.option("--against-text", multiple=True, metavar="COL", help="Text column of KNOWN.csv.  [default: as QUERIES]")
@click.option("--against-id", metavar="COL", help="Column that names a known question.")
@csv_output_option
@click.option("--top-k", default=5, show_default=True, type=click.IntRange(min=1), help="Matches per query, at most.")
@point_options
@model_options
@device_option
@cache_option
@table_options
@against_options
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
    point: dict[str, Any],
    model: str | None,
    device: str | None,
    cache: str | None,
    reading: dict[str, Any],
    against_reading: dict[str, Any],
    excel_safe: bool,
    overwrite: bool,
) -> None:
    """Find for each question in QUERIES the known questions that ask the same.

    Every query comes out with its own cells, once per match; one that nothing matches comes out once, with blank cells.
    match_id is the known question's id or, where no column of KNOWN.csv identifies its rows, the number of its row,
    from 1.

    --encoding, --delimiter and --sheet are those of QUERIES, --on-bad-rows holds for both files.

    \b
    dupdetect match new.csv --against faq.csv -o matched.csv
    dupdetect match tickets.csv --text subject --against faq.csv --against-text question --top-k 1
    dupdetect match new.csv --against archive.csv --cache vectors.sqlite
    """
    if queries == against == "-":
        raise click.UsageError("Only one of QUERIES and --against can be -: there is one standard input. Name a file.")
    read = [file for given in (queries, against) for file in files_of(given) or [given]]
    if output is not None and is_url(output):
        check_inputs(output, *read, *([cache] if cache else []))
        check_file(output, overwrite=overwrite)
    else:
        check_free(output, overwrite, *read, *([cache] if cache else []))
    asked = _questions_of(queries, "", text, None, reading)
    known = _questions_of(against, "against_", against_text or text, against_id, reading | against_reading)
    detector = load_detector(model, cache, device).at(**point)
    matches = detector.match(asked, known, top_k=top_k, progress=show)
    say_cache_use(detector)
    try:
        if output is not None and is_url(output):
            with sent_file(output, overwrite=overwrite) as place:
                write_table(str(place), matches.columns(), matches.rows(), excel_safe=excel_safe, overwrite=True)
        else:
            write_table(output, matches.columns(), matches.rows(), excel_safe=excel_safe, overwrite=overwrite)
    except BrokenPipeError:  # `head` has what it wanted; what is said on stderr is for someone else
        _say_matches(matches, (queries, asked), (against, known))
        raise
    _say_matches(matches, (queries, asked), (against, known))


def _say_matches(matches: Matches, asked: tuple[str, Questions], known: tuple[str, Questions]) -> None:
    # A query comes out with its own cells, so it matters to nobody what it is identified by.
    of_queries = [note for note in asked[1].notes if not note.startswith("Rows are identified by their numbers")]
    of_known = [note.replace("their ids, name it.", "their ids, name it (--against-id).") for note in known[1].notes]
    for name, notes in ((asked[0], of_queries), (known[0], of_known)):
        for note in notes:
            told = shown(name) if is_url(name) else name
            click.echo(f"Note: {printable(f'{told}: {note}')}", err=True)
    for note in matches.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    hits = sum(found is not None for found in matches)
    click.echo(f"{hits:,} of {len(matches):,} queries match one of {len(known[1]):,} known questions.", err=True)


def _questions_of(
    path: str, prefix: str, text: tuple[str, ...], id_column: str | None, reading: dict[str, Any]
) -> Questions:
    """Return the questions in one of several files; `prefix` is what its options have before their names."""
    from dupdetect.questions import Questions

    try:
        return Questions.read(path, text=text or None, id=id_column, progress=show, **reading)
    except ColumnNotFoundError as error:
        option = "id" if error.wanted == id_column else "text"
        raise InputError(
            f"{shown(path) if is_url(path) else path}: {error} Name another ({prefix}{option}=...)."
        ) from None
    except InputError as error:
        raise InputError(re.sub(r"\b(text|id|encoding|delimiter|sheet)=", rf"{prefix}\1=", str(error))) from None
