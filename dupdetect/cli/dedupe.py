"""The verb dedupe: the duplicates in an export."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

import click

from dupdetect.cli.options import (
    cache_option,
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
from dupdetect.cli.summary import made_from, reviewed, summary
from dupdetect.cli.terminal import as_json_text, check_free, check_inputs, printable, show
from dupdetect.errors import InputError, OutputExistsError
from dupdetect.remote import check_output, files_of, is_url, shown

if TYPE_CHECKING:
    from dupdetect.detector import Detector
    from dupdetect.engines import Engine

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
    replaced = made_from(target)
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


def _name(target: str | Path) -> str:
    return str(target) if isinstance(target, Path) else shown(target)


def _precision(asked: float | None, detector: Detector) -> float | None:
    """Return the estimated precision to dedupe with, which limits errors where nothing else does: rows are removed."""
    from dupdetect.calibration import MaxF1

    if asked is None:
        promises_nothing = isinstance(detector.require_calibration().criterion, MaxF1)
        return _USUAL_PRECISION if promises_nothing else None
    return asked or None


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
