"""The verb index: known questions in a folder that grows and shrinks."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dupdetect.cli.options import (
    cache_option,
    excel_option,
    json_option,
    load_detector,
    local_name,
    model_options,
    overwrite_option,
    point_options,
    say_cache_use,
    table_options,
)
from dupdetect.cli.summary import reviewed, summary
from dupdetect.cli.terminal import as_json_text, check_free, printable, show
from dupdetect.errors import DupdetectError, InputError

if TYPE_CHECKING:
    from dupdetect.index import Hit, QuestionIndex
    from dupdetect.results import Deduplication

__all__ = ["index"]

_SHOWN_COLUMNS = 5


@click.group(short_help="Keep known questions in a folder, and ask it.")
def index() -> None:
    """Keep known questions in a folder INDEX that grows and shrinks, and ask it.

    Each text is encoded and compared once, when it is added; the answers are those of an index made anew from what is
    in it. Reading goes on while a process adds or removes; only one at a time may.

    \b
    dupdetect index add faq monday.csv --text question --id number
    dupdetect index add faq tuesday.csv --text question --id number
    dupdetect index search faq "How do I get my money back?"
    dupdetect index duplicates faq -o faq.dupdetect
    dupdetect index remove faq 1017 1018
    """


index_argument = click.argument("folder", metavar="INDEX", callback=local_name)


@index.command(short_help="Add questions; make the index if it is not there.")
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
    with _opened_to_add(folder, model, point, cache) as known:
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


@index.command(short_help="Remove questions.")
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
        lines = sys.stdin.buffer.read().decode("utf-8-sig", "replace").splitlines()
        ids = tuple(line for line in lines if line.strip())
    with _opened(folder) as known:
        removed = known.remove(ids)
        left = len(known)
    if as_json:
        click.echo(as_json_text({"index": folder, **asdict(removed), "left": left}))
        return
    click.echo(f"removed {removed.questions:,} questions and {removed.texts:,} texts that no other question has")
    click.echo(f"{printable(folder)} holds {left:,} questions")


@index.command(short_help="Find the known questions that are most like a text.")
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
    with _opened(folder) as known:
        hits = known.search(text, k)
    if as_json:
        click.echo(as_json_text([asdict(hit) for hit in hits]))
        return
    if not hits:
        click.echo("Nothing in the index can be compared with this text.", err=True)
    for hit in hits:
        click.echo(_line(hit))


@index.command(short_help="Say which class a text belongs to.")
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
    with _opened(folder) as known:
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


@index.command(short_help="Find the duplicates among all questions.")
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
    from dupdetect.artifacts import CERTIFICATE
    from dupdetect.results import OUTPUT_FILES

    target = Path(output)
    check_free(target, overwrite, folder, marker="run.json", expected=(*OUTPUT_FILES, CERTIFICATE))
    apart, confirmed = reviewed(target)
    with _opened(folder) as known:
        result: Deduplication = known.duplicates(
            told_apart=apart, confirmed=confirmed, estimated_precision=estimated_precision or None, progress=show
        )
    result.write(target, excel_safe=excel_safe, overwrite=overwrite)
    for note in result.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    record = result.record()
    click.echo(as_json_text({**record, "output": str(target)}) if as_json else printable(summary(record, target)))


@index.command(short_help="Remember that two questions are no duplicates.")
@index_argument
@click.argument("first", metavar="ID")
@click.argument("second", metavar="ID")
@click.option("--undo", is_flag=True, help="Forget it again.")
def unmerge(folder: str, first: str, second: str, undo: bool) -> None:
    """Remember that two questions of INDEX are no duplicates, whatever their similarity.

    It holds for their texts, also after they were removed and added again. Both can still be duplicates of a third.

    \b
    dupdetect index unmerge faq 1017 2044
    dupdetect index unmerge faq 1017 2044 --undo
    """
    with _opened(folder) as known:
        if not undo:
            known.unmerge(first, second)
            click.echo(printable(f"{first} and {second} are told apart"))
        elif known.forget(first, second):
            click.echo(printable(f"{first} and {second} are not told apart any more"))
        else:
            click.echo("Note: These two had not been told apart.", err=True)


@index.command(short_help="Remember that two questions ask the same.")
@index_argument
@click.argument("first", metavar="ID")
@click.argument("second", metavar="ID")
@click.option("--undo", is_flag=True, help="Forget it again.")
def merge(folder: str, first: str, second: str, undo: bool) -> None:
    """Remember that two questions of INDEX ask the same, whatever their similarity and the guards.

    It holds for their texts, also after they were removed and added again, in `index duplicates` and on the page of
    the clusters. What was told apart cannot be merged, before that is undone.

    \b
    dupdetect index merge faq 1017 3071
    dupdetect index merge faq 1017 3071 --undo
    """
    with _opened(folder) as known:
        if not undo:
            known.merge(first, second)
            click.echo(printable(f"{first} and {second} are merged"))
        elif known.forget_merge(first, second):
            click.echo(printable(f"{first} and {second} are not merged any more"))
        else:
            click.echo("Note: These two had not been merged.", err=True)


@index.command(short_help="Remember which question of a cluster stays.")
@index_argument
@click.argument("name", metavar="ID")
@click.option("--undo", is_flag=True, help="Forget it again.")
def survivor(folder: str, name: str, undo: bool) -> None:
    """Remember that a question of INDEX stays, and those go that are duplicates of it.

    Without that, the question that was added first stays. Of two that are duplicates of each other, the one that was
    named last stays. It holds for the text, also after it was removed and added again.

    \b
    dupdetect index survivor faq 3071
    dupdetect index survivor faq 3071 --undo
    """
    with _opened(folder) as known:
        if not undo:
            known.set_survivor(name)
            click.echo(printable(f"{name} stays wherever it is a duplicate"))
        elif known.forget_survivor(name):
            click.echo(printable(f"{name} is not chosen any more"))
        else:
            click.echo("Note: This question had not been chosen.", err=True)


@index.command(short_help="Make an index anew, by another detector.")
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
        with _opened(folder) as known:
            detector = known.detector.at(**point)
    else:
        detector = load_detector(model).at(**point)
    with QuestionIndex.rebuild(folder, new, detector, progress=show) as known:
        click.echo(printable(f"{new} holds {len(known):,} questions, by {known.detector.name}"))


@index.command(short_help="Say what is in an index.")
@index_argument
@json_option
def info(folder: str, as_json: bool) -> None:
    """Say how many questions INDEX holds, and which detector it was made with.

    \b
    dupdetect index info faq
    """
    with _opened(folder) as known:
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


@contextmanager
def _opened(folder: str) -> Iterator[QuestionIndex]:
    from dupdetect.index import QuestionIndex

    with QuestionIndex.open(folder) as known:
        yield known


@contextmanager
def _opened_to_add(folder: str, model: str | None, point: dict[str, Any], cache: str | None) -> Iterator[QuestionIndex]:
    """Open an index, or make it; one that was made is deleted if nothing could be added."""
    from dupdetect.atomic import is_empty_folder
    from dupdetect.index import QuestionIndex

    named = model is not None or any(value is not None for value in point.values())
    detector = load_detector(model).at(**point) if named else None
    was_there = Path(folder).exists()
    there = was_there and not is_empty_folder(folder)
    known = QuestionIndex.open(folder, detector) if there else QuestionIndex.create(folder, detector)
    try:
        if cache is not None:
            known.close()
            known = QuestionIndex.open(folder, known.detector.cached(cache))
        with known:
            yield known
    except BaseException:
        if not there and not _holds_questions(folder):
            shutil.rmtree(folder, ignore_errors=True)
            if was_there:
                Path(folder).mkdir(exist_ok=True)
        raise


def _holds_questions(folder: str) -> bool:
    """Tell whether something was added before whatever went wrong."""
    try:
        with _opened(folder) as known:
            return len(known) > 0
    except DupdetectError:
        return False


def _list_clusters(folder: str, as_json: bool) -> None:
    with _opened(folder) as known:
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
