"""The verb that says what a large deduplication will take."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dupdetect.cli.options import json_option, load_detector, model_options, point_options, table_options
from dupdetect.cli.terminal import as_json_text, show

if TYPE_CHECKING:
    from dupdetect.planning import Plan, Rates


@click.command(short_help="Say what a large deduplication will take.")
@click.argument("export")
@click.option("--text", "text", multiple=True, metavar="COL", help="Column to compare; repeat it for several.")
@click.option("--rows", type=click.IntRange(min=1), metavar="N", help="For so many rows.  [default: as EXPORT has]")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="W",
    help="With so many workers of one core like those here.  [default: the cores of this machine]",
)
@point_options
@model_options
@table_options
@json_option
def plan(
    export: str,
    text: tuple[str, ...],
    rows: int | None,
    workers: int | None,
    point: dict[str, Any],
    model: str | None,
    reading: dict[str, Any],
    as_json: bool,
) -> None:
    """Say how long a deduplication of N rows like those of EXPORT will take, and how much memory, disk and network.

    Encodes and compares some rows of EXPORT for a few seconds, on this machine, and calculates the rest. It is a
    prediction: as right as EXPORT is like the N rows, as the workers are like this machine, and as this one is idle.

    \b
    dupdetect plan sample.csv --rows 10000000 --workers 64
    """
    from dupdetect.cores import usable_cores
    from dupdetect.planning import measure
    from dupdetect.planning import plan as planned
    from dupdetect.questions import Questions

    questions = Questions.read(export, text=text or None, progress=show, **reading)
    rates = measure(load_detector(model).at(**point), questions)
    found = planned(rates, rows or len(questions), workers or usable_cores())
    if as_json:
        click.echo(as_json_text({"measured": asdict(rates), "predicted": asdict(found)}))
    else:
        click.echo(_told(rates, found))


def _told(rates: Rates, plan: Plan) -> str:
    from dupdetect.listing import MOST_PAIRS

    exact, approximate = plan.exact, plan.approximate
    workers = f"{_workers(plan.workers)} ({'--engine ray' if plan.workers > rates.cores else 'either engine'})"
    return "\n".join(
        [
            f"measured here, on {rates.texts:,} different texts of {rates.rows:,} rows: in a second, a core encodes "
            f"{rates.encoded:,.0f} texts or compares {rates.compared / 1e6:,.0f} million pairs, or does all the rest "
            f"for {rates.rest:,.0f} rows",
            f"predicted for {plan.rows:,} rows ({plan.texts:,.0f} different texts if as many repeat as there), "
            f"{_pairs(plan.pairs, rates.similar)}:",
            f"  exact, {workers}: {_parts(exact)}; memory {_bytes(exact['memory'])}",
            f"  approximate (--search ann), {workers}: {_parts(approximate)}; memory {_bytes(approximate['memory'])}",
            f"  disk {_bytes(plan.disk)} with --resume; on Ray, object store {_bytes(plan.store)} and network "
            f"{_bytes(plan.network)} for a node that holds all vectors",
            *(
                [f"  More than {MOST_PAIRS:,} pairs are not all listed; choosing what stays takes longer then."]
                if plan.pairs > MOST_PAIRS
                else []
            ),
        ]
    )


def _pairs(pairs: float, share: float) -> str:
    if pairs >= 1:
        return f"about {pairs:,.0f} similar pairs"
    return "less than one similar pair" if share else "no similar pairs, as none were in the sample"


def _workers(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers:,} workers"


def _parts(seconds: dict[str, float]) -> str:
    return (
        f"{_time(seconds['seconds'])} (encoding {_time(seconds['encoding'])}, comparing {_time(seconds['comparing'])}, "
        f"the rest {_time(seconds['rest'])})"
    )


def _time(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def _bytes(number: float) -> str:
    for size, unit in ((1e12, "TB"), (1e9, "GB")):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number / 1e6:,.0f} MB"
