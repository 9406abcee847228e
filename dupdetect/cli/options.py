"""Options that several verbs take, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dupdetect.calibration import Criterion
    from dupdetect.detector import Detector

__all__ = [
    "criterion_of",
    "excel_option",
    "json_option",
    "load_detector",
    "model_option",
    "operating_point",
    "overwrite_option",
    "pair_options",
    "point_options",
    "table_options",
]

F = TypeVar("F", bound=Callable[..., Any])

SHIPPED = "default"
"""What is said instead of a folder to mean the shipped detector."""


def options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


model_option = click.option("--model", metavar="M", help="A detector folder, instead of the shipped one.")
point_options = options(
    click.option("--min-precision", type=float, metavar="P", help="Certified precision of at least P (0 to 1)."),
    click.option("--min-recall", type=float, metavar="R", help="Recall of at least R (0 to 1)."),
    click.option("--threshold", type=float, metavar="T", help="This cosine similarity, as it is."),
    click.option(
        "--prevalence", type=float, metavar="Q", help="Expected share of duplicates among the pairs decided on."
    ),
)
table_options = options(
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
pair_options = options(
    click.option("--left", metavar="COL", help="Column of the first question."),
    click.option("--right", metavar="COL", help="Column of the second question."),
    click.option("--label", metavar="COL", help="Column of the label (1 or 0, yes or no, ...)."),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it is there already.")
excel_option = click.option(
    "--excel-safe", is_flag=True, help="Put a ' before cells that a spreadsheet would run as a formula."
)


def load_detector(model: str | None) -> Detector:
    from dupdetect.detector import Detector

    return Detector.from_pretrained(None if model in (None, SHIPPED) else model)


def operating_point(
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


def criterion_of(min_precision: float | None, min_recall: float | None) -> Criterion:
    from dupdetect.calibration import MaxF1, MinPrecision, MinRecall

    if min_precision is not None and min_recall is not None:
        raise click.UsageError("Give one of --min-precision and --min-recall, not both.")
    if min_precision is not None:
        return MinPrecision(min_precision)
    return MinRecall(min_recall) if min_recall is not None else MaxF1()
