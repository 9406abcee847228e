"""The command line: parse, call, print. Each verb imports its work when it runs, so that --help is instant.

Data goes to stdout, progress and notes to stderr. Exit status: 0 done, 1 an error that says what to do next,
2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

import click

from dupdetect._version import __version__
from dupdetect.errors import DupdetectError, OutputExistsError

if TYPE_CHECKING:
    from dupdetect.calibration import Criterion
    from dupdetect.detector import Detector
    from dupdetect.pairs import QuestionPairs
    from dupdetect.results import Explanation
    from dupdetect.tables import Table

__all__ = ["cli", "main", "show"]

F = TypeVar("F", bound=Callable[..., Any])

SHIPPED = "default"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with cli.make_context("dupdetect", given) as context:
            cli.invoke(context)
        sys.stdout.flush()
        status = 0
    except click.exceptions.Exit as done:  # --help, --version
        status = done.exit_code
    except click.ClickException as error:
        error.show()
        status = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. Nothing was written under the final name.", err=True)
        status = 130
    except BrokenPipeError:  # the reader of our output, `head` for one, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except DupdetectError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        status = 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        click.echo(f"Error: {error.strerror or error}{where}. Nothing was written under the final name.", err=True)
        status = 1
    sys.exit(status)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="dupdetect")
def cli() -> None:
    """Find the short texts that ask the same thing.

    \b
    dupdetect dedupe export.csv                  which rows are duplicates, and of what
    dupdetect match new.csv --against known.csv  which known question each new one asks
    dupdetect score "How do I pay?" "Payment?"   are these two the same?
    """


# What several verbs take ----------------------------------------------------------------------------------------


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_model_option = click.option("--model", metavar="M", help="A detector folder, instead of the shipped one.")
_point_options = _options(
    click.option("--min-precision", type=float, metavar="P", help="Certified precision of at least P (0 to 1)."),
    click.option("--min-recall", type=float, metavar="R", help="Recall of at least R (0 to 1)."),
    click.option("--threshold", type=float, metavar="T", help="This cosine similarity, as it is."),
    click.option(
        "--prevalence", type=float, metavar="Q", help="Expected share of duplicates among the pairs decided on."
    ),
)
_table_options = _options(
    click.option("--encoding", metavar="NAME", help="Character encoding, when the detected one is wrong."),
    click.option("--delimiter", metavar="CHAR", help="Cell delimiter, when the detected one is wrong."),
    click.option(
        "--on-bad-rows",
        type=click.Choice(["error", "keep"]),
        default="error",
        show_default=True,
        help="Rows with too many or too few cells: stop, or keep them as they are.",
    ),
)
_pair_options = _options(
    click.option("--left", metavar="COL", help="Column of the first question."),
    click.option("--right", metavar="COL", help="Column of the second question."),
    click.option("--label", metavar="COL", help="Column of the label (1 or 0, yes or no, ...)."),
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it is there already.")
_excel_option = click.option(
    "--excel-safe", is_flag=True, help="Put a ' before cells that a spreadsheet would run as a formula."
)


# Verbs ----------------------------------------------------------------------------------------------------------


@cli.command(short_help="Find the duplicates in an export.")
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
@_point_options
@_model_option
@_table_options
@_excel_option
@_overwrite_option
@_json_option
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
    dupdetect dedupe export.csv --min-precision 0.95 --excel-safe
    cat export.csv | dupdetect dedupe - -o out --json
    """
    from dupdetect.keep import parse_keep
    from dupdetect.questions import Questions

    point = _point(min_precision, min_recall, threshold, prevalence)
    parse_keep(keep)
    target = Path(output) if output else _beside(export)
    _check_free(target, overwrite)
    questions = Questions.read(
        export, text=text or None, id=id_column, encoding=encoding, delimiter=delimiter, on_bad_rows=on_bad_rows
    )
    detector = _detector(model).at(**point)
    result = detector.deduplicate(questions, keep=keep, progress=show)
    result.write(target, excel_safe=excel_safe, overwrite=overwrite)
    for note in result.notes:
        click.echo(f"Note: {note}", err=True)
    record = result.record()
    click.echo(_json({**record, "output": str(target)}) if as_json else _summary(record, target))


@cli.command(short_help="Find the known questions that new ones ask.")
@click.argument("queries")
@click.option("--against", required=True, metavar="KNOWN.csv", help="The known questions.")
@click.option("--text", "text", multiple=True, metavar="COL", help="Text column of QUERIES; repeat it for several.")
@click.option("--against-text", multiple=True, metavar="COL", help="Text column of KNOWN.csv.  [default: as QUERIES]")
@click.option("--against-id", metavar="COL", help="Column that names a known question.")
@click.option("-o", "--output", metavar="OUT.csv", help="Output file.  [default: standard output]")
@click.option("--top-k", default=5, show_default=True, type=click.IntRange(min=1), help="Matches per query, at most.")
@_point_options
@_model_option
@_table_options
@_excel_option
@_overwrite_option
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

    point = _point(min_precision, min_recall, threshold, prevalence)
    _check_free(output, overwrite)
    table = partial(_read_table, encoding=encoding, delimiter=delimiter, on_bad_rows=on_bad_rows)
    asked = Questions.from_table(table(queries), text=text or None)
    known = Questions.from_table(table(against), text=against_text or text or None, id=against_id)
    detector = _detector(model).at(**point)
    matches = detector.match(asked, known, top_k=top_k, progress=show)
    _write_table(output, matches.columns(), matches.rows(), excel_safe=excel_safe, overwrite=overwrite)
    for name, questions in ((queries, asked), (against, known)):
        for note in questions.notes:
            click.echo(f"Note: {name}: {note}", err=True)
    hits = sum(found is not None for found in matches)
    click.echo(f"{hits:,} of {len(matches):,} queries match one of {len(known):,} known questions.", err=True)


@cli.command(short_help="Say how alike two texts are, or pairs in a file.")
@click.argument("what", nargs=-1, required=True, metavar="TEXT TEXT | PAIRS.csv")
@click.option("--left", metavar="COL", help="Column of the first question in PAIRS.csv.")
@click.option("--right", metavar="COL", help="Column of the second question in PAIRS.csv.")
@click.option("-o", "--output", metavar="OUT.csv", help="Output file.  [default: standard output]")
@_point_options
@_model_option
@_table_options
@_excel_option
@_overwrite_option
@_json_option
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
    point = _point(min_precision, min_recall, threshold, prevalence)
    if len(what) == 2:
        explanation = _detector(model).at(**point).explain(*what)
        click.echo(_json(_plain(explanation)) if as_json else str(explanation))
        return
    if as_json:
        raise click.UsageError("--json goes with two texts; a file of pairs gives CSV.")
    _check_free(output, overwrite)
    columns, rows = _scored(
        _read_table(what[0], encoding, delimiter, on_bad_rows), left, right, _detector(model).at(**point)
    )
    _write_table(output, columns, rows, excel_safe=excel_safe, overwrite=overwrite)


@cli.command(short_help="Split labelled pairs so that no question leaks.")
@click.argument("pairs")
@click.option("-o", "--output", required=True, metavar="DIR", help="Output folder.")
@click.option("--seed", default=0, show_default=True, help="Another seed puts groups into other splits.")
@_pair_options
@_overwrite_option
@_json_option
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

    labelled = _labelled(pairs, left, right, label)
    with atomic_folder(Path(output), overwrite=overwrite, expected=SPLIT_FILES) as place:
        splits = split_pairs(labelled, seed=seed)
        splits.check()
        write_splits(splits, place)
    click.echo(_json(splits.report.to_dict()) if as_json else str(splits.report))


@cli.command(short_help="Fit the threshold of a model on labelled pairs.")
@click.argument("model")
@click.argument("pairs")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Where the calibrated detector goes.")
@click.option("--min-precision", type=float, metavar="P", help="Threshold with certified precision of at least P.")
@click.option("--min-recall", type=float, metavar="R", help="Threshold with recall of at least R.")
@_pair_options
@_overwrite_option
@_json_option
def calibrate(
    model: str,
    pairs: str,
    output: str,
    min_precision: float | None,
    min_recall: float | None,
    left: str | None,
    right: str | None,
    label: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit the threshold of MODEL on labelled PAIRS that it was not trained on.

    MODEL is a detector folder, a sentence-transformers folder or hub name (extra `train`), or `default` for the shipped
    detector. Without --min-precision or --min-recall the threshold is the one with the highest F1.

    \b
    dupdetect calibrate default my_pairs.csv -o my-detector
    dupdetect calibrate sentence-transformers/all-mpnet-base-v2 calibration.csv -o mpnet --min-precision 0.95
    """
    from dupdetect.detector import Detector

    _check_free(output, overwrite)
    criterion = _criterion(min_precision, min_recall)
    labelled = _labelled(pairs, left, right, label)
    base = _detector(model)
    detector = Detector.calibrate(
        base.encoder, labelled, criterion=criterion, data=Path(pairs).name, name=Path(output).name, progress=show
    )
    detector.save_pretrained(output, overwrite=overwrite)
    click.echo(_json(_described(detector)) if as_json else _info_text(detector))


@cli.command(short_help="Measure a detector on labelled pairs.")
@click.argument("model")
@click.argument("pairs")
@_pair_options
@_point_options
@_json_option
def evaluate(
    model: str,
    pairs: str,
    left: str | None,
    right: str | None,
    label: str | None,
    min_precision: float | None,
    min_recall: float | None,
    threshold: float | None,
    prevalence: float | None,
    as_json: bool,
) -> None:
    """Measure MODEL (a folder, or `default` for the shipped detector) on labelled PAIRS that nothing was fitted on.

    Reports pair metrics at the threshold, retrieval (Recall@K) and mining over all pairs of the questions.

    \b
    dupdetect evaluate default test.csv
    dupdetect evaluate my-detector splits/test.csv --json
    """
    from dupdetect.evaluation import evaluate as run

    point = _point(min_precision, min_recall, threshold, prevalence)
    labelled = _labelled(pairs, left, right, label)
    detector = _detector(model).at(**point)
    evaluation = run(detector, labelled, progress=show)
    click.echo(_json(evaluation.to_dict()) if as_json else str(evaluation))


@cli.command(short_help="Say what a detector is made of.")
@click.argument("model", required=False)
@_json_option
def info(model: str | None, as_json: bool) -> None:
    """Say what a detector is: its encoder, and where its threshold comes from. Without MODEL, the shipped one.

    \b
    dupdetect info
    dupdetect info my-detector --json
    """
    detector = _detector(model)
    click.echo(_json(_described(detector)) if as_json else _info_text(detector))


# What the verbs share -------------------------------------------------------------------------------------------


def _detector(model: str | None) -> Detector:
    from dupdetect.detector import Detector

    return Detector.from_pretrained(None if model in (None, SHIPPED) else model)


def _point(
    min_precision: float | None, min_recall: float | None, threshold: float | None, prevalence: float | None
) -> dict[str, float | None]:
    """Check that at most one operating point was asked for, before any work is done."""
    named = {"--min-precision": min_precision, "--min-recall": min_recall, "--threshold": threshold}
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"Give one of {' and '.join(given)}, not both.")
    return {
        "min_precision": min_precision,
        "min_recall": min_recall,
        "threshold": threshold,
        "prevalence": prevalence,
    }


def _criterion(min_precision: float | None, min_recall: float | None) -> Criterion:
    from dupdetect.calibration import MaxF1, MinPrecision, MinRecall

    if min_precision is not None and min_recall is not None:
        raise click.UsageError("Give one of --min-precision and --min-recall, not both.")
    if min_precision is not None:
        return MinPrecision(min_precision)
    return MinRecall(min_recall) if min_recall is not None else MaxF1()


def _labelled(path: str, left: str | None, right: str | None, label: str | None) -> QuestionPairs:
    from dupdetect.pairs import read_pairs

    pairs = read_pairs(path, left=left, right=right, label=label)
    for reason, count in pairs.dropped.to_dict().items():
        if count:
            click.echo(f"Note: left out {count:,} rows: {reason.replace('_', ' ')}.", err=True)
    return pairs


def _read_table(path: str, encoding: str | None, delimiter: str | None, on_bad_rows: Literal["error", "keep"]) -> Table:
    from dupdetect.tables import read_table

    return read_table(path, encoding=encoding, delimiter=delimiter, on_bad_rows=on_bad_rows)


def _scored(
    table: Table, left: str | None, right: str | None, detector: Detector
) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the columns and rows of a table of pairs with similarity, probability and duplicate added."""
    from dupdetect.pairs import pair_columns

    first, second = pair_columns(table.columns, left, right)
    pairs = list(zip(table.column(first), table.column(second), strict=True))
    similarity = detector.similarity(pairs, progress=show)
    probability = detector.predict_proba(pairs)[:, 1]
    verdict = detector.predict(pairs)
    rows = (
        (*cells, str(value), f"{chance:.6f}", "true" if same else "false")
        for cells, value, chance, same in zip(table.rows, similarity, probability, verdict, strict=True)
    )
    return (*table.columns, "similarity", "probability", "duplicate"), rows


def _write_table(
    output: str | None, columns: Sequence[str], rows: Iterator[Sequence[str]], *, excel_safe: bool, overwrite: bool
) -> None:
    from dupdetect.atomic import atomic_file
    from dupdetect.tables import write_csv

    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # cells go out as they are, whatever the console's habits
            sys.stdout.reconfigure(encoding="utf-8", newline="")
        write_csv(sys.stdout, columns, rows, excel_safe=excel_safe)
        return
    with atomic_file(Path(output), overwrite=overwrite) as place, place.open("w", encoding="utf-8", newline="") as file:
        write_csv(file, columns, rows, excel_safe=excel_safe)


def _check_free(output: str | Path | None, overwrite: bool) -> None:
    """Refuse an output that exists before an hour is spent on it."""
    if output is not None and Path(output).exists() and not overwrite:
        raise OutputExistsError(output)


def _beside(export: str) -> Path:
    """Return the default output folder: the export's name without its endings, plus .dupdetect."""
    if export == "-":
        return Path("stdin.dupdetect")
    path = Path(export)
    name = path.name.removesuffix(".gz")
    stem = name.rpartition(".")[0] or name
    return path.with_name(f"{stem}.dupdetect")


@contextlib.contextmanager
def show(stage: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar with rate and remaining time on stderr; where that is no terminal, a line every ten seconds."""
    from tqdm import tqdm

    interval = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(
        total=total, desc=stage, unit=f" {unit}", unit_scale=True, mininterval=interval, delay=1.0, file=sys.stderr
    ) as bar:
        yield bar.update


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


def _described(detector: Detector) -> dict[str, Any]:
    calibration = None if detector.calibration is None else detector.calibration.summary()
    return {
        "name": detector.name,
        "dupdetect": __version__,
        "encoder": {"fingerprint": detector.encoder.fingerprint, "dimension": detector.encoder.dimension},
        "calibration": calibration,
    }


def _info_text(detector: Detector) -> str:
    lines = [
        f"{detector.name}",
        f"encoder      {detector.encoder.fingerprint}, {detector.encoder.dimension} dimensions",
    ]
    if detector.calibration is None:
        return "\n".join([*lines, "calibration  none: fit one with `dupdetect calibrate`"])
    return "\n".join([*lines, *detector.calibration.describe()])


def _plain(explanation: Explanation) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(explanation)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
