"""The OpenAPI document, and `/docs`: the same as a page, without a script and without anything from elsewhere."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dupdetect.service.settings import OPEN_PATHS

__all__ = ["documentation"]

_FOLDER = Path(__file__).parent


def documentation(document: dict[str, Any]) -> APIRouter:
    """Return the endpoints that show an OpenAPI document."""
    router = APIRouter(include_in_schema=False)
    pages = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["code"] = _code
    template = pages.get_template("docs.html.jinja")
    style = (_FOLDER / "docs.css").read_bytes()

    @router.get("/openapi.json")
    async def openapi() -> JSONResponse:
        return JSONResponse(document)

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        operations = _operations(document, _address(request))
        return Response(template.render(document=document, operations=operations), media_type="text/html")

    @router.get("/docs.css")
    async def docs_css() -> Response:
        return Response(style, media_type="text/css")

    return router


def _address(request: Request) -> str:
    """Return where the caller reaches the service: by TLS where a proxy in front says so."""
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{request.headers.get('host') or 'HOST'}"


def _operations(document: dict[str, Any], address: str) -> list[dict[str, Any]]:
    """Return for each operation what the page shows."""
    found, keyed = [], "security" in document
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            example = _example(document, operation)
            found.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation["summary"],
                    "description": operation.get("description", ""),
                    "call": _call(method.upper(), address, path, example, keyed=keyed and path not in OPEN_PATHS),
                    "problems": {key: value for key, value in operation["responses"].items() if key != "200"},
                }
            )
    return found


def _example(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    body = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    return body["examples"][0]


def _code(text: str) -> Markup:
    """Return a text as HTML, with what stands between ` and ` as code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def _call(method: str, address: str, path: str, example: Any, *, keyed: bool) -> str:
    """Return a command that makes the call, with the key, where it needs one, from the variable KEY of the shell."""
    words = ["curl"]
    if method not in ("GET", "POST"):
        words += ["-X", method]
    words.append(f"{address}{path.replace('{id}', 'T-1017')}")
    call = shlex.join(words)
    if keyed:
        call += ' -H "X-API-Key: $KEY"'
    if example is not None:
        call += " " + shlex.join(["-H", "Content-Type: application/json", "-d", json.dumps(example)])
    return call
