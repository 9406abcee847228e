"""Verbs over whole exports: dedupe and match."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

import click

from dupdetect.cli.options import (
    against_options,
    cache_option,
    csv_output_option,
    device_option,
    engine_options,
    excel_option,
    json_option,
    load_detector,
    model_options,
    output_name,
    overwrite_option,
    point_options,
    say_cache_use,
    table_options,
)
from dupdetect.cli.terminal import as_json_text, check_free, check_inputs, printable, show, write_table
from dupdetect.errors import ColumnNotFoundError, InputError, OutputExistsError
from dupdetect.remote import check_file, check_output, files_of, is_url, local_copy, sent_file, shown, there
from dupdetect.shell import quoted

if TYPE_CHECKING:
    from dupdetect.detector import Detector
    from dupdetect.engines import Engine
    from dupdetect.questions import Questions
    from dupdetect.results import Matches


_USUAL_PRECISION = 0.95
_PARTIAL = "dupdetect.partial"  # marks the folder that --resume made


@click.command(short_help="Find the duplicates in an export.")
@click.argument("export")
@click.option(
    "--text", "text", multiple=True, metavar="COL", help="Column to compare; repeat it for several (subject, body)."
)
@click.option(
    "--id",
    "id_column",
    metavar="COL",
    help="Column that names a row. Without one, or where its cells are blank or repeated, rows are numbered from 1.",
)
@click.option("-o", "--output", metavar="DIR", callback=output_name, help="Output folder.  [default: EXPORT.dupdetect]")
@click.option(
    "--keep",
    default="first",
    show_default=True,
    metavar="POLICY",
    help="Which of several stays: first, last, longest, medoid, max:COL or min:COL. These read numbers and dates as "
    "people and programs write them, and stop where a column could mean two things.",
)
@click.option(
    "--search",
    type=click.Choice(["exact", "ann"]),
    default="exact",
    show_default=True,
    help="exact compares all texts. ann, for millions of texts, where exact takes hours, compares each with those in "
    "the cells near to it: it misses some pairs, and a sample says how many (needs the extra ann).",
)
@click.option(
    "--without-boilerplate/--with-boilerplate",
    default=True,
    help="Whether to compare two texts that end in the same signature or disclaimer by what stands before it: by "
    "sentences and lines, as far as these stand in 2 % of the texts and in 20 at least. All others are compared as "
    "wholes, and so are all with --search ann.  [default: without]",
)
@click.option(
    "--estimated-precision",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Take for duplicates the most similar pairs, of which an estimated share P are; list the others as possible. "
    "Below 1, as none is certain; 0 for all that reach the threshold of the detector.  [default: 0.95, unless that "
    "threshold was chosen for a precision or a recall, or by hand]",
)
@point_options
@model_options
@device_option
@cache_option
@engine_options
@click.option(
    "--resume",
    is_flag=True,
    help="Keep what is finished in DIR.partial, and go on from there after an interruption. It takes about 2 kB a row, "
    "and is deleted at the end. Where DIR is a URL, it is kept in the current folder, under the last name in it.",
)
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
    search: Literal["exact", "ann"],
    without_boilerplate: bool,
    estimated_precision: float | None,
    point: dict[str, Any],
    model: str | None,
    device: str | None,
    cache: str | None,
    engine: Engine,
    resume: bool,
    reading: dict[str, Any],
    excel_safe: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find the duplicates in EXPORT (CSV, .csv.gz, .xlsx, Parquet, JSON Lines, or - for standard input).

    EXPORT and DIR may be URLs, such as s3://bucket/export.csv (needs the extra remote), and EXPORT may be a pattern, in
    quotes, for an export in several parts, which are read sorted by name as if they were one file.

    Writes a folder: questions.csv (every row, every cell, plus cluster_id, kept, duplicate_of, similarity,
    probability), kept.csv (the rows that stay), pairs.csv (every pair found), possible.csv (pairs that may be
    duplicates and are not sure enough, the likeliest first), ruled_out.csv (pairs that are alike but
    for a number, a negation, an opposite and the like), candidates.csv (pairs drawn at random for `dupdetect review`),
    report.html and run.json.

    duplicate_of is the id of the row that stays or, where no column identifies the rows, the number of this row, from
    1; then questions.csv has these numbers too, as the column row. The CSV files are UTF-8 with commas and without a
    byte order mark; see --excel-safe.

    Pairs that reviewers of an earlier result have told apart (`dupdetect review`) never count as duplicates. Those that
    they call duplicates do, if they reach the threshold of the detector.

    pairs.csv has a line for two different texts, whatever the number of rows that hold them: left_rows and right_rows
    say how many, left_row and right_row name one of each. A row that repeats a text (same_text) has its own line, with
    the row that stands for this text.

    \b
    dupdetect dedupe export.csv
    dupdetect dedupe tickets.csv --text subject --text description --id ticket_no
    dupdetect dedupe forum.parquet --keep max:votes -o unique-questions
    dupdetect dedupe export.csv --min-precision 0.8 --excel-safe
    dupdetect dedupe tonight.csv --cache vectors.sqlite
    dupdetect dedupe a_million_rows.parquet --resume
    dupdetect dedupe ten_million_rows.parquet --engine ray --address auto --resume
    dupdetect dedupe "s3://bucket/day=2026-01-01/*.parquet" -o s3://bucket/unique
    cat export.csv | dupdetect dedupe - -o out --json
    """
    from dupdetect.keep import parse_keep
    from dupdetect.questions import Questions
    from dupdetect.results.files import RESULT_FILES, RUN

    parse_keep(keep)
    if estimated_precision and any(point[name] is not None for name in ("min_precision", "min_recall", "threshold")):
        raise click.UsageError(
            "Give --estimated-precision, or one of --min-precision, --min-recall and --threshold, not both."
        )
    target = _beside(export) if output is None else output if is_url(output) else Path(output)
    replaced = _made_from(target)
    if replaced and not overwrite:
        raise OutputExistsError(_name(target), replaced)
    read = files_of(export) or [export]
    if isinstance(target, Path):
        check_free(target, overwrite, *read, *([cache] if cache else []), marker=RUN, expected=RESULT_FILES)
    else:
        check_inputs(target, *read, *([cache] if cache else []))
        check_output(target, marker=RUN, expected=RESULT_FILES, overwrite=overwrite)
    questions = Questions.read(export, text=text or None, id=id_column, progress=show, **reading)
    apart, confirmed = reviewed(target)
    with _finished_work(target, resume, vectors=cache is None) as work:
        vectors = str(work / "vectors.sqlite") if work and cache is None else cache
        detector = load_detector(model, vectors, device).at(**point)
        result = detector.deduplicate(
            questions,
            keep=keep,
            search=search,
            work=work and work / "pairs",
            told_apart=apart,
            confirmed=confirmed,
            without_boilerplate=without_boilerplate,
            estimated_precision=_precision(estimated_precision, detector),
            engine=engine,
            progress=show,
        )
        result.write(target, excel_safe=excel_safe, overwrite=overwrite)
    if replaced and PurePath(replaced).name != PurePath(shown(export) if is_url(export) else export).name:
        click.echo(f"Note: {printable(f'{_name(target)} held the result of {replaced}, which is replaced.')}", err=True)
    for note in result.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    if cache is not None:
        say_cache_use(detector)
    record = result.record()
    name = _name(target)
    click.echo(as_json_text({**record, "output": name}) if as_json else printable(summary(record, name)))


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
        _say_matches(matches, known, (queries, asked), (against, known))
        raise
    _say_matches(matches, known, (queries, asked), (against, known))


def _say_matches(matches: Matches, known: Questions, *read: tuple[str, Questions]) -> None:
    for name, questions in read:
        for note in questions.notes:
            told = shown(name) if is_url(name) else name
            click.echo(f"Note: {printable(f'{told}: {note}')}", err=True)
    for note in matches.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    hits = sum(found is not None for found in matches)
    click.echo(f"{hits:,} of {len(matches):,} queries match one of {len(known):,} known questions.", err=True)


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


def _name(target: str | Path) -> str:
    return str(target) if isinstance(target, Path) else shown(target)


def _made_from(folder: str | Path) -> str | None:
    """Return the name of the export that an output folder says it was made from, if it says so."""
    from dupdetect.results.files import RUN

    try:
        with _here(folder / RUN if isinstance(folder, Path) else f"{folder.rstrip('/')}/{RUN}") as file:
            name = json.loads(file.read_text(encoding="utf-8"))["input"]["name"] if file else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


@contextmanager
def _here(file: str | Path) -> Iterator[Path | None]:
    """Yield a file, fetched if it is behind a URL, where it is None if it is not there."""
    if isinstance(file, Path):
        yield file
    elif there(file):
        with local_copy(file) as copy:
            yield copy
    else:
        yield None


def _precision(asked: float | None, detector: Detector) -> float | None:
    """Return the estimated precision to dedupe with, which limits errors where nothing else does: rows are removed."""
    from dupdetect.calibration import MaxF1

    if asked is None:
        promises_nothing = isinstance(detector.require_calibration().criterion, MaxF1)
        return _USUAL_PRECISION if promises_nothing else None
    return asked or None


def reviewed(folder: str | Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the keys of the pairs that reviewers of an earlier result in `folder` have told apart or disagree on, and
    those of the pairs that they call duplicates."""
    from dupdetect.review.store import ReviewStore, labels_beside

    beside = labels_beside(folder) if isinstance(folder, Path) else f"{folder.rstrip('/')}.reviews.sqlite"
    with _here(beside) as file:
        if file is None or not file.exists():
            return frozenset(), frozenset()
        with ReviewStore(file) as store:
            labels, disputed = store.labels(), frozenset(store.conflicts())
    apart, confirmed = (
        frozenset(key for key, label in labels.items() if label == wanted) for wanted in ("different", "duplicate")
    )
    for what, keys in (("told apart", apart), ("disagree on", disputed)):
        if keys:
            name = PurePath(beside).name
            click.echo(f"Note: pairs that reviewers {what}, and that do not count: {len(keys):,} ({name}).", err=True)
    return apart | disputed, confirmed


@contextmanager
def _finished_work(target: str | Path, resume: bool, *, vectors: bool) -> Iterator[Path | None]:
    """Yield the folder for finished work, None without `resume`; delete what is in it when all went well.

    vectors: whether the vectors are kept there too, and not in a cache of the user's own.
    """
    if not resume:
        yield None
        return
    final = Path(os.path.realpath(target if isinstance(target, Path) else _last(target)))
    work = final.with_name(f"{final.name}.partial")
    try:
        work.mkdir(exist_ok=True)
        strange = sorted(file.name for file in work.iterdir())
        if _PARTIAL not in strange:
            if strange:
                raise InputError(
                    f"{work} is needed for --resume, and holds {strange[0]}. Move it, or name another DIR."
                )
            (work / _PARTIAL).touch()
    except OSError as error:
        raise InputError(f"{work} is needed for --resume and cannot be made: {error.strerror or error}.") from None
    yield work
    shutil.rmtree(work / "pairs", ignore_errors=True)
    for name in (_PARTIAL, *(f"vectors.sqlite{end}" for end in ("", "-journal", "-wal", "-shm") if vectors)):
        (work / name).unlink(missing_ok=True)
    with suppress(OSError):  # someone keeps something else in it
        work.rmdir()


def _beside(export: str) -> Path:
    """Return the default output folder: the export's name without its endings, plus .dupdetect.

    What is behind a URL has it in the current folder; parts have that of the folder they are in, beside it.
    """
    if export == "-":
        return Path("stdin.dupdetect")
    path = Path(_last(export) if is_url(export) else export)
    if files_of(export) is not None:
        whole = re.split(r"[^/\\]*[*?[]", export)[0]  # the folders before the first wildcard
        name = PurePath(whole).name if not is_url(whole) else _last(whole)
        folder = Path() if is_url(export) else PurePath(whole).parent
        return Path(folder, f"{'parts' if name in ('', '..') else name}.dupdetect")
    name = path.name.removesuffix(".gz")
    stem = name.rpartition(".")[0] or name or "export"  # a folder such as "." has no name; reading it says so
    return path.parent / f"{stem}.dupdetect"


def _last(url: str) -> str:
    """Return the last name in a URL."""
    return shown(url).rstrip("/").rpartition("/")[2]


def _ruled_out(counts: dict[str, int], by: dict[str, int], *, possible: bool) -> str:
    from dupdetect.results.cells import counted

    pairs, together = counts["pairs_ruled_out"], counts["ruled_out_in_one_cluster"]
    reasons = ", ".join(f"{name} {number:,}" for name, number in by.items() if number)
    alike = "these and possible ones" if possible else "these"
    verb = "is" if pairs == 1 else "are"
    if sum(by.values()) > pairs:
        reasons += "; some for several reasons"
    share = "shares" if together == 1 else "share"
    share = f"; {together:,} of them {share} a cluster all the same, because of other texts" if together else ""
    return f"{counted(pairs, 'pair')} as similar as {alike} {verb} ruled out ({reasons}){share}: see ruled_out.csv"


def _lists_possible_ones(record: dict[str, Any]) -> bool:
    """Tell whether pairs were looked for below the threshold, whether or not any is left to decide."""
    least = record["possible_from"]
    return least is not None and least < record["calibration"]["threshold"]


def summary(record: dict[str, Any], target: str | Path) -> str:
    from dupdetect.results.cells import counted

    counts, calibration = record["counts"], record["calibration"]
    rows, repeats = counted(counts["rows"], "row"), counted(counts["repeats_of_a_text"], "repeat")
    listed = "listed pair" if "listed" in record["search"] else "pair"
    pairs = f"{counted(counts['pairs_of_different_texts'], listed)} of different texts"
    again = "index duplicates" if record["input"]["format"] == "index" else "dedupe"
    joined = f"{pairs} and {repeats}: no clusters"
    if counts["clusters"]:
        joined = (
            f"{pairs} and {repeats} join {counts['rows_in_clusters']:,} rows, "
            f"{counts['rows_in_clusters'] - counts['removed']:,} of them kept, into "
            f"{counted(counts['clusters'], 'cluster')}; the largest has {counts['largest_cluster']:,} rows"
        )
    return "\n".join(
        [
            f"{rows} = {counts['kept']:,} kept + {counted(counts['removed'], 'duplicate')} of a kept row",
            f"{rows} = {counted(counts['distinct_texts'], 'different text')} + {repeats} + {counts['blank']:,} blank "
            "(kept)",
            joined,
            *([record["possible"]] if record["possible"] else []),
            *(
                [_ruled_out(counts, record["ruled_out"], possible=_lists_possible_ones(record))]
                if counts["pairs_ruled_out"]
                else []
            ),
            *([record["search"]["certificate"]] if record["search"]["kind"] == "ann" else []),
            *([record["doubt"]] if record["doubt"] else []),
            f"threshold: cosine {calibration['threshold']:.4f}, {calibration['criterion']}",
            *([record["promise"]] if counts["pairs_of_different_texts"] or not record["estimate"] else []),
            *([record["estimate"]] if record["estimate"] else []),
            record["missed"],
            *([f"To find out: {_review(str(target))}"] if record["estimate"] or record["possible"] else []),
            *(
                [f"To decide possible pairs one by one: {_review(str(target))} --possible; then {again} again"]
                if record["possible"] and not is_url(target)
                else []
            ),
            f"written to {target}/ (start with report.html)",
        ]
    )


def _review(target: str) -> str:
    if is_url(target):
        return (
            f"copy it to this machine, run dupdetect review, and put the labels to {target.rstrip('/')}.reviews.sqlite"
        )
    return f"dupdetect review {quoted(target)}"
