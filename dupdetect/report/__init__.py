"""The page that shows a result: one self-contained HTML file, every text escaped, no script, no network."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dupdetect.text import readable

__all__ = ["render_report"]


# A page is for looking, and about as much of a text is compared.
LONGEST_TEXT = 1000


def render_report(report: dict[str, Any]) -> str:
    """Return the HTML page for the values that `results.Deduplication` hands over.

    The title of a cluster is its first text without markup; its rows have theirs as they are. Of texts longer than
    `LONGEST_TEXT` characters it shows the beginning, and says how many more there are.
    """
    environment = Environment(
        loader=PackageLoader("dupdetect", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["title_of"] = lambda text: " ".join(readable(text).split())
    return environment.get_template("report.html.jinja").render({**report, "longest_text": LONGEST_TEXT})
