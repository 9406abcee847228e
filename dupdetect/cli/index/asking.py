"""The verbs of `dupdetect index` that ask it: search, classify and duplicates, and how they print what they find."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dupdetect.cli.index.opening import index_argument, opened
from dupdetect.cli.options import excel_option, json_option, local_name, overwrite_option
from dupdetect.cli.summary import reviewed, summary
from dupdetect.cli.terminal import as_json_text, check_free, printable, show

if TYPE_CHECKING:
    from dupdetect.index import Hit
    from dupdetect.results import Deduplication

__all__ = ["classify", "duplicates", "search"]


@click.command(short_help="Find the known questions that are most like a text.")
@index_argument
@click.argument("text")
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="So many of them.")
@json_option
def search(folder: str, text: str, k: int, as_json: bool) -> None:
    """Find the questions in INDEX that are most likely to ask what TEXT asks, best first, duplicates or not.

    Each line has the similarity, the probability, whether it is a duplicate, the id and the text.

    \b
    dupdetect index search faq "How do I get my money back?"
    dupdetect index search faq "refund" -k 10 --json
    """
    with opened(folder) as known:
        hits = known.search(text, k)
    if as_json:
        click.echo(as_json_text([asdict(hit) for hit in hits]))
        return
    if not hits:
        click.echo("Nothing in the index can be compared with this text.", err=True)
    for hit in hits:
        click.echo(_line(hit))


@click.command(short_help="Say which class a text belongs to.")
@index_argument
@click.argument("text")
@click.option("--top", default=5, show_default=True, type=click.IntRange(min=1), help="Rank so many classes.")
@click.option(
    "--outsiders",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="So many of the texts of classes that are not there may get one; a higher share, and fewer get none.",
)
@json_option
def classify(folder: str, text: str, top: int, outsiders: float, as_json: bool) -> None:
    """Say which class TEXT belongs to, by the labelled questions of INDEX, or that it belongs to none of them.

    The class is that of the question that is most likely to ask the same. It is none where TEXT is no nearer to that
    than most questions are to other classes; with fewer than 9 classes (1 / SHARE - 1), where it is no duplicate of it.

    \b
    dupdetect index add intents examples.csv --text utterance --label intent
    dupdetect index classify intents "I want to close my account"
    dupdetect index classify intents "I want to close my account" --outsiders 0.2
    """
    with opened(folder) as known:
        found = known.classify(text, top=top, outsiders=outsiders)
        classes = known.counts["classes"]
    if as_json:
        click.echo(as_json_text(asdict(found)))
        return
    if found.outsiders is None:
        click.echo(
            f"Note: {classes:,} {'class is' if classes == 1 else 'classes are'} too few to tell what outsiders reach, "
            "so only a duplicate gets a class. "
            f"There must be {math.ceil(1 / outsiders - 1 - 1e-9):,}, or a higher share (--outsiders).",
            err=True,
        )
    click.echo("none of these" if found.label is None else printable(_one_line(found.label)))
    for match in found.ranking:
        guards = f"  [{', '.join(match.guards)}]" if match.guards else ""
        line = f"{match.similarity:.4f}  {match.probability:.3f}  {match.label}: {match.text}{guards}"
        click.echo(printable(f"  {_one_line(line)}"), err=True)


@click.command(short_help="Find the duplicates among all questions.")
@index_argument
@click.option("-o", "--output", metavar="DIR", callback=local_name, help="Write what `dupdetect dedupe` writes.")
@click.option(
    "--estimated-precision",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="With -o, as for `dupdetect dedupe`: only the most similar pairs, an estimated share P (below 1) of them "
    "duplicates.",
)
@excel_option
@overwrite_option
@json_option
def duplicates(
    folder: str,
    output: str | None,
    estimated_precision: float | None,
    excel_safe: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find the duplicates among the questions of INDEX; of several, the one that was added first stays, unless another
    one was chosen (`index survivor`).

    The clusters are listed or, with -o, a folder is written as `dupdetect dedupe --estimated-precision 0` would
    write it: with questions.csv, pairs.csv, report.html and so on, for `dupdetect review` too. Pairs that
    reviewers of an earlier result in DIR have told apart do not count, and those that they call duplicates do.

    \b
    dupdetect index duplicates faq
    dupdetect index duplicates faq --json
    dupdetect index duplicates faq -o faq.dupdetect --overwrite
    """
    if output is None:
        if overwrite or excel_safe or estimated_precision is not None:
            raise click.UsageError(
                "--overwrite, --excel-safe and --estimated-precision go with an output: name it with -o."
            )
        _list_clusters(folder, as_json)
        return
    from dupdetect.results.files import RESULT_FILES, RUN

    target = Path(output)
    check_free(target, overwrite, folder, marker=RUN, expected=RESULT_FILES)
    apart, confirmed = reviewed(target)
    with opened(folder) as known:
        result: Deduplication = known.duplicates(
            told_apart=apart, confirmed=confirmed, estimated_precision=estimated_precision or None, progress=show
        )
    result.write(target, excel_safe=excel_safe, overwrite=overwrite)
    for note in result.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    record = result.record()
    click.echo(as_json_text({**record, "output": str(target)}) if as_json else printable(summary(record, target)))


def _list_clusters(folder: str, as_json: bool) -> None:
    with opened(folder) as known:
        clusters = known.clusters()
    if as_json:
        click.echo(
            as_json_text(
                [
                    {"key": cluster.key, "members": [*map(asdict, cluster.members)], "merged": cluster.merged}
                    for cluster in clusters
                ]
            )
        )
        return
    for number, cluster in enumerate(clusters, 1):
        click.echo(f"{number:,}. {len(cluster.members):,} questions, {len(cluster.kept):,} kept ({cluster.key})")
        for member in cluster.members:
            if member.duplicate_of is None:
                stays = "kept, as chosen" if member.chosen else "kept"
            elif member.merged:
                stays = f"of {member.duplicate_of}, merged by a person, similarity {member.similarity:.3f}"
            else:
                stays = f"of {member.duplicate_of}, {member.probability:.3f}"
            click.echo(printable(f"   {_one_line(f'{member.id} ({stays}): {member.text}')}"))
        for first, second, similarity in cluster.merged:
            line = f"merged by a person: {first} with {second}, similarity {similarity:.3f}"
            click.echo(printable(f"   {_one_line(line)}"))
    rows = sum(len(cluster.members) for cluster in clusters)
    from dupdetect.results.cells import counted

    click.echo(f"{counted(len(clusters), 'cluster')} of {counted(rows, 'question')}", err=True)


def _line(hit: Hit) -> str:
    verdict = "duplicate" if hit.duplicate else "-"
    repeats = f"  ({hit.questions:,} questions)" if hit.questions > 1 else ""
    guards = f"  [{', '.join(hit.guards)}]" if hit.guards else ""
    line = f"{hit.similarity:.4f}  {hit.probability:.3f}  {verdict:<9}  {hit.id}  {hit.text}{repeats}{guards}"
    return printable(_one_line(line))


def _one_line(text: str) -> str:
    """Return a text of several lines as one."""
    return " ".join(line.strip() for line in text.splitlines())
