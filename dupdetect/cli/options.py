"""Options that several verbs take, and what is made of them."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dupdetect.cli.terminal import printable
from dupdetect.remote import is_url, shown

if TYPE_CHECKING:
    from dupdetect.calibration import Criterion
    from dupdetect.detector import Detector
    from dupdetect.engines import Engine

__all__ = [
    "against_options",
    "cache_option",
    "criterion_options",
    "csv_output_option",
    "device_option",
    "engine_options",
    "excel_option",
    "json_option",
    "load_detector",
    "local_name",
    "model_options",
    "output_name",
    "overwrite_option",
    "pair_options",
    "point_options",
    "say_cache_use",
    "table_options",
]

F = TypeVar("F", bound=Callable[..., Any])

_CSV_SUFFIXES = ("", ".csv", ".txt")
SHIPPED, FAST = "default", "fast"
"""What is said instead of a folder to mean a shipped detector."""


def together(name: str, read: Callable[..., Any], **options: Callable[..., Any]) -> Callable[[F], Callable[..., Any]]:
    """Return a decorator that adds `options` to a verb, and hands it what `read` makes of them as argument `name`.

    The options go by the names under which click hands their values over.
    """

    def decorate(function: F) -> Callable[..., Any]:
        @functools.wraps(function)
        def verb(**given: Any) -> Any:
            values = {option: given.pop(option) for option in options}
            return function(**given, **{name: read(**values)})

        for option in reversed(options.values()):
            option(verb)
        return verb

    return decorate


def operating_point(
    min_precision: float | None, min_recall: float | None, threshold: float | None, prevalence: float | None
) -> dict[str, Any]:
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


def criterion_of(min_precision: float | None, min_recall: float | None) -> Criterion:
    from dupdetect.calibration import MaxF1, MinPrecision, MinRecall

    if min_precision is not None and min_recall is not None:
        raise click.UsageError("Give one of --min-precision and --min-recall, not both.")
    if min_precision is not None:
        return MinPrecision(min_precision)
    return MinRecall(min_recall) if min_recall is not None else MaxF1()


def chosen_model(model: str | None, fast: bool) -> str | None:
    if fast and model is not None:
        raise click.UsageError("Give one of --model and --fast, not both: --fast is a detector of its own.")
    return FAST if fast else model


def chosen_engine(engine: str, address: str | None) -> Engine:
    from dupdetect.engines import RayEngine, engine_of

    if address is None:
        return engine_of(engine)
    if engine != "ray":
        raise click.UsageError("--address is that of a Ray cluster. Add --engine ray, or leave it out.")
    return RayEngine(address)


def output_name(context: click.Context, parameter: click.Parameter, output: str | None) -> str | None:
    """Return the name of an output or a cache; wrong usage when it is empty, as that of a variable that is not set, is
    `-`, which elsewhere is standard input, or has control characters, which would tear messages apart."""
    if output is not None and not output.strip():
        raise click.BadParameter("the name is empty. Name a file or a folder.", context, parameter)
    if output == "-":
        raise click.BadParameter("'-' is no name of an output. For a file of that name write ./-", context, parameter)
    if output is not None and any(unicodedata.category(character) == "Cc" for character in output):
        raise click.BadParameter(f"{output!r} has a control character. Choose another name.", context, parameter)
    return output


def local_name(context: click.Context, parameter: click.Parameter, output: str | None) -> str | None:
    """Return the name of an output on this machine, or of an index; wrong usage for a URL, and what `output_name`
    refuses."""
    if output is not None and is_url(output):
        raise click.BadParameter(f"{shown(output)!r} is a URL, and must be on this machine.", context, parameter)
    return output_name(context, parameter, output)


def csv_name(context: click.Context, parameter: click.Parameter, output: str | None) -> str | None:
    """Return the name of an output file; wrong usage when it promises anything but CSV."""
    output = output_name(context, parameter, output)
    if output is not None and os.path.isdir(output):  # noqa: PTH112 - Path raises for long names
        raise click.BadParameter(f"{output!r} is a folder. Name a file in it.", context, parameter)
    if output is not None and PurePath(output).suffix.lower() not in _CSV_SUFFIXES:
        raise click.BadParameter(
            f"CSV is all that can be written, and {output!r} would be something else. End the name in .csv.",
            context,
            parameter,
        )
    return output


model_options = together(
    "model",
    chosen_model,
    model=click.option(
        "--model",
        metavar="M",
        help="A detector folder, instead of the shipped one (`default` and `fast` are shipped; ./fast is a folder).",
    ),
    fast=click.option(
        "--fast",
        is_flag=True,
        help="The shipped detector that runs no network: many times faster, and it finds fewer of the duplicates.",
    ),
)
cache_option = click.option(
    "--cache",
    metavar="FILE",
    callback=output_name,
    help="Keep the vectors of texts in FILE, which is made if it is not there, and encode only texts that it does not "
    "have. The result is the same. It holds no text, but keep it as you keep the export.",
)
device_option = click.option(
    "--device",
    metavar="DEVICE",
    help="Encode and compare on a graphics card: cuda, or cuda:1 for the second one (needs the extra train, and a "
    "torch with CUDA). Vectors differ a little from those of the processor, so a pair close to the threshold may be "
    "decided otherwise.  [default: the processor]",
)
engine_options = together(
    "engine",
    chosen_engine,
    engine=click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where the work is done: by the cores of this machine, or on a Ray cluster (needs the extra cluster), of "
        "which --device cuda uses the graphics cards to encode. The result is the same.",
    ),
    address=click.option(
        "--address",
        metavar="ADDRESS",
        help="Of a running Ray cluster, of which this machine is a node (auto: the one that it belongs to).  "
        "[default: one of this machine alone is started]",
    ),
)
point_options = together(
    "point",
    operating_point,
    min_precision=click.option(
        "--min-precision",
        type=float,
        metavar="P",
        help="Precision of at least P (0 to 1), certified on the labelled pairs of the detector.",
    ),
    min_recall=click.option("--min-recall", type=float, metavar="R", help="Recall of at least R (0 to 1)."),
    threshold=click.option("--threshold", type=float, metavar="T", help="This cosine similarity, as it is."),
    prevalence=click.option(
        "--prevalence", type=float, metavar="Q", help="Expected share of duplicates among the pairs decided on."
    ),
)
table_options = together(
    "reading",
    dict,
    encoding=click.option("--encoding", metavar="NAME", help="Character encoding, when the detected one is wrong."),
    delimiter=click.option("--delimiter", metavar="CHAR", help="Cell delimiter, when the detected one is wrong."),
    sheet=click.option("--sheet", metavar="NAME", help="The sheet of an Excel workbook, where several hold something."),
    on_bad_rows=click.option(
        "--on-bad-rows",
        type=click.Choice(["error", "keep"]),
        default="error",
        show_default=True,
        help="Rows with too few or too many cells: stop, or keep them: short rows are filled with empty cells, and for "
        "long ones the header gets columns without a name.",
    ),
)
against_options = together(
    "against_reading",
    lambda against_encoding, against_delimiter, against_sheet: {
        "encoding": against_encoding,
        "delimiter": against_delimiter,
        "sheet": against_sheet,
    },
    against_encoding=click.option("--against-encoding", metavar="NAME", help="As --encoding, for KNOWN.csv."),
    against_delimiter=click.option("--against-delimiter", metavar="CHAR", help="As --delimiter, for KNOWN.csv."),
    against_sheet=click.option("--against-sheet", metavar="NAME", help="As --sheet, for KNOWN.csv."),
)
pair_options = together(
    "columns",
    dict,
    left=click.option("--left", metavar="COL", help="Column of the first question."),
    right=click.option("--right", metavar="COL", help="Column of the second question."),
    label=click.option("--label", metavar="COL", help="Column of the label (1 or 0, yes or no, ...)."),
)
criterion_options = together(
    "criterion",
    criterion_of,
    min_precision=click.option(
        "--min-precision", type=float, metavar="P", help="Threshold with certified precision of at least P."
    ),
    min_recall=click.option("--min-recall", type=float, metavar="R", help="Threshold with recall of at least R."),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it is there already.")
excel_option = click.option(
    "--excel-safe",
    is_flag=True,
    help="Write CSV that Excel opens rightly and safely: with a byte order mark, so that it is read as UTF-8, and a ' "
    "before cells that a spreadsheet would run as a formula (as is usual; afterwards '=1 and =1 look alike).",
)
csv_output_option = click.option(
    "-o",
    "--output",
    metavar="OUT.csv",
    callback=csv_name,
    help="Output file: CSV, UTF-8 with commas.  [default: standard output]",
)


def load_detector(model: str | None, cache: str | None = None, device: str | None = None) -> Detector:
    from dupdetect.detector import Detector

    if model == FAST:
        detector = Detector.from_pretrained(tier="fast", device=device)
    else:
        detector = Detector.from_pretrained(None if model in (None, SHIPPED) else model, device=device)
    return detector if cache is None else detector.cached(cache)


def say_cache_use(detector: Detector) -> None:
    """Say on stderr how many texts were encoded and how many came from the cache, if there is one."""
    from dupdetect.encoder.cache import CachedEncoder

    if isinstance(detector.encoder, CachedEncoder):
        click.echo(f"Note: {printable(detector.encoder.summary())}", err=True)
