"""The service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from dupdetect._version import __version__
from dupdetect.index import QuestionIndex
from dupdetect.service.admission import Admission
from dupdetect.service.documentation import documentation
from dupdetect.service.endpoints import endpoints
from dupdetect.service.observing import Metrics
from dupdetect.service.pages import pages_router
from dupdetect.service.problems import Problem, invalid
from dupdetect.service.running import Service
from dupdetect.service.settings import Settings
from dupdetect.tables.cells import shown

__all__ = ["create_app"]

_ABOUT = """Asks and changes an index of known questions.

Errors are problem details (RFC 9457): JSON with `status`, `title` and `detail`."""
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def create_app(service: Service | str | Path, settings: Settings | None = None) -> FastAPI:
    """Return the application of a service, or of one for the index in a folder.

    settings: of the service that is made for a folder.  The service starts and stops with the application.
    """
    running = service if isinstance(service, Service) else Service(QuestionIndex.open(service), settings)
    metrics = Metrics()
    running.observe_batch = metrics.observe_batch

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await running.start()
        yield
        await running.stop()

    app = FastAPI(
        title="dupdetect",
        description=_ABOUT,
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # `documentation` has it, and a page for it: FastAPI's pages load scripts from elsewhere
        telemetry={"tracing": False, "metrics": False, "logs": False},  # texts of users would be in it
        exception_handlers={RequestValidationError: _refuse_body, HTTPException: _refuse},
    )
    app.state.service = running
    app.include_router(endpoints(running, metrics))
    app.include_router(pages_router(running))
    app.include_router(documentation(_document(app, running.settings)))
    app.add_middleware(Admission, settings=running.settings, metrics=metrics)
    return app


async def _refuse_body(request: Request, error: RequestValidationError) -> NoReturn:
    """Raise the Problem of a body that cannot be read, or is not what it should be; no text of it is repeated."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and any(fault["loc"][0] == "body" for fault in error.errors()):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body as JSON, with `Content-Type: application/json`."
        )
    for fault in error.errors():
        if fault["type"] == "json_invalid":
            where = f"{fault['ctx']['error']}, at character {fault['loc'][-1]}"
            raise Problem(HTTPStatus.BAD_REQUEST, f"The body is no JSON: {where}.")
    raise invalid([(_where(fault["loc"]), fault["msg"]) for fault in error.errors()])


async def _refuse(_: Request, error: HTTPException) -> NoReturn:
    """Raise the Problem of what FastAPI refuses."""
    details = {
        400: "The body cannot be read as JSON: it is not in UTF-8, or nested too deeply.",
        404: "There is nothing here. /docs lists what there is.",
        405: "This path has no such method. /docs lists what there is.",
    }
    detail = details.get(error.status_code, error.detail)
    raise Problem(HTTPStatus(error.status_code), detail, {k.lower(): v for k, v in (error.headers or {}).items()})


def _where(place: tuple[str | int, ...]) -> str:
    """Return where in a body a fault is; a name that the caller chose by its beginning."""
    names = [str(part) if isinstance(part, int) or part.isidentifier() else shown(part) for part in place[1:]]
    return ".".join(names) or "the body"


def _document(app: FastAPI, settings: Settings) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    if settings.api_key is not None:
        document["components"]["securitySchemes"] = _SCHEMES
        document["security"] = [{name: []} for name in _SCHEMES]
    return document
