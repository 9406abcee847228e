"""From a result to the page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dupdetect.calibration import FixedThreshold, MinPrecision
from dupdetect.report.commands import commands
from dupdetect.report.plots import calibration_figures, similarity_figure
from dupdetect.report.result import Result
from dupdetect.report.shown import clusters_in_turn, possible_pairs, ruled_out, shown_cluster, weak_links, weakest_pairs
from dupdetect.report.words import LONGEST_TEXT

__all__ = ["render_report"]

LARGEST_PAGE = 4_900_000
"""Bytes: browsers open this at once, and mail programs send it. Clusters have what the rest leaves."""


def render_report(result: Result, record: Mapping[str, Any], folder: str) -> str:
    """Return the HTML page.

    record: what run.json holds.  folder: where the page and the other files go, for the commands to copy.

    Of a file whose clusters do not fit the page shows the largest and the most doubtful, and says how many.
    """
    environment = Environment(
        loader=PackageLoader("dupdetect", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["counted"] = lambda number: f"{number:,}"
    style, script = (files("dupdetect.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    links_total, links = weak_links(result)
    possible_total, possible = possible_pairs(result)
    guards = record["guards"]
    name = PurePath(record["input"]["name"]).name or record["input"]["name"]
    certified = isinstance(result.calibration.criterion, MinPrecision)
    by_review = result.calibration.sample.labels is not None
    template = environment.get_template("page.html.jinja")
    values = {
        "record": record,
        "counts": record["counts"],
        "style": Markup(style),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "style_hash": _checksum(style),
        "script_hash": _checksum(script),
        "name": name,
        "certified": certified,
        "by_review": by_review,
        "certified_here": certified and by_review and _reviewed(result.calibration.data) == name,
        "confirmed": bool((result.pairs.similarity < result.calibration.threshold).any()),
        "by_hand": isinstance(result.calibration.criterion, FixedThreshold),
        "similarities": similarity_figure(result, None if guards is None else guards["cap"]),
        "calibration_figures": calibration_figures(result.calibration),
        "commands": commands(result.questions, result.calibration, record, folder),
        "in_memory": result.questions.table.source.format in ("frame", "list"),
        "all_listed": "listed" not in record["search"],
        "longest_text": LONGEST_TEXT,
        "weak_links": links,
        "weak_links_total": links_total,
        "possible": possible,
        "possible_total": possible_total,
        "made_by": "dupdetect index duplicates"
        if result.questions.table.source.format == "index"
        else "dupdetect dedupe",
        "reasons": ruled_out(result),
        "clusters_total": len(result.clusters),
    }
    rest = template.render(values, clusters=(), largest_shown=0, doubtful_shown=0)
    return template.render(values, **_clusters(result, environment, LARGEST_PAGE - len(rest.encode("utf-8"))))


def _reviewed(data: str) -> str:
    """Return the name of the export that a calibration on reviews names (`recalibrating`)."""
    return data.removeprefix("a review of ").removesuffix(" that the approximate search finds")


def _clusters(result: Result, environment: Environment, room: int) -> dict[str, Any]:
    """Return the clusters for which there is room, in bytes, as HTML, the most doubtful first; and which they are."""
    template = environment.get_template("cluster.html.jinja")
    everything, weakest = result.clusters, weakest_pairs(result)
    largest = doubtful = 0
    shown: list[tuple[float, int, str]] = []
    for place, of_largest, of_doubtful in clusters_in_turn(everything, weakest):
        cluster = everything[place]
        least = float(weakest[cluster.id])
        html = template.render(cluster=shown_cluster(result, cluster, place + 1, least))
        room -= len(html.encode("utf-8"))
        if room < 0:
            break
        shown.append((least, place, html))
        largest, doubtful = of_largest, of_doubtful
    return {
        "clusters": [Markup(html) for _, _, html in sorted(shown)],  # noqa: S704 - escaped by its template
        "largest_shown": largest,
        "doubtful_shown": doubtful,
    }


def _checksum(text: str) -> str:
    """Return what a Content-Security-Policy calls an element with this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
