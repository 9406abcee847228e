"""The page that shows a result: one self-contained HTML file, every text escaped, no script, no network."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["render_report"]


def render_report(report: dict[str, Any]) -> str:
    """Return the HTML page for the values that `results.Deduplication` hands over."""
    environment = Environment(
        loader=PackageLoader("dupdetect", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(report)
