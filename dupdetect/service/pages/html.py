"""Pages out of templates, and the headers under which a browser loads and sends nothing from or to elsewhere."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from dupdetect.report.words import only_in, shown_text
from dupdetect.results.cells import counted
from dupdetect.service.problems import Problem
from dupdetect.text import readable

__all__ = ["Places", "assets_router", "page", "redirect", "wants_fragment"]

# The first is that of report.html: one look for all pages.
_ASSETS = {
    "report.css": ("dupdetect.report", "page.css", "text/css"),
    "pages.css": ("dupdetect.service.pages", "assets/pages.css", "text/css"),
    "ask.js": ("dupdetect.service.pages", "assets/ask.js", "text/javascript"),
    "review.js": ("dupdetect.service.pages", "assets/review.js", "text/javascript"),
    "icon.svg": ("dupdetect.service.pages", "assets/icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Under no-referrer a browser says Origin: null of our own forms too.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # texts of users
}
_TITLE = 90  # characters


@dataclass(frozen=True, slots=True)
class Places:
    """Which pages there are: those of an index, and the review of an export."""

    index: bool
    review: bool


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page, or part of one. All values are escaped."""
    return HTMLResponse(_environment().get_template(template).render(values), status, _HEADERS)


def redirect(path: str) -> Response:
    """Return the answer to a form that was sent: go and look here."""
    return RedirectResponse(path, 303, {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"})


def wants_fragment(request: Request) -> bool:
    """Tell whether a script of ours asks, which needs a part of the page only."""
    return "x-fragment" in request.headers


def assets_router() -> APIRouter:
    """Return the router of what pages load."""
    router = APIRouter(include_in_schema=False)

    @router.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            raise Problem(HTTPStatus.NOT_FOUND, "There is no such file.")
        content, kind, _ = _asset(name)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(content, headers=headers, media_type=kind)

    return router


@functools.cache
def _asset(name: str) -> tuple[bytes, str, str]:
    """Return a file, its kind, and an address that changes when it does."""
    package, path, kind = _ASSETS[name]
    content = files(package).joinpath(path).read_bytes()
    return content, kind, f"/assets/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dupdetect.service.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"asset": lambda name: _asset(name)[2]}
    filters: dict[str, Callable[..., Any]] = {
        "beside": shown_text,
        "only_in": only_in,
        "counted": counted,
        "thousands": lambda number: f"{number:,}",
        "likelihood": likelihood,
        "title": title,
    }
    environment.filters |= filters
    return environment


def likelihood(probability: float, *, same_text: bool = False) -> str:
    """Say a calibrated probability in words."""
    if same_text:
        return "The same text"
    for least, words in ((0.9, "Very likely"), (0.5, "Probably"), (0.2, "Perhaps")):
        if round(probability, 2) >= least:  # as it is shown
            return f"{words} the same question"
    return "Probably another question"


def title(text: str) -> str:
    """Return the beginning of a text without its markup, in one line."""
    line = " ".join(readable(text).split())
    return f"{line[: _TITLE - 1]}…" if len(line) > _TITLE else line or "(no text)"
