"""The review page without an index, for `dupdetect review --web`."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from dupdetect._version import __version__
from dupdetect.detector import Detector
from dupdetect.service.admission import Admission
from dupdetect.service.observing import Metrics
from dupdetect.service.pages.html import Places, assets_router, redirect
from dupdetect.service.pages.reviewing import Review, review_router
from dupdetect.service.problems import Problem
from dupdetect.service.settings import Settings

__all__ = ["review_app"]


def review_app(folder: Path, made_by: Detector | None = None) -> FastAPI:
    """Return an application with the review page of an output folder of `dupdetect dedupe`. It answers to this machine
    only.

    made_by: the detector that made the folder, where it was not a shipped one.
    """
    app = FastAPI(
        title="dupdetect review",
        version=__version__,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # texts of users would be in it
        exception_handlers={HTTPException: _refuse},
    )
    app.include_router(assets_router())
    app.include_router(review_router(Review(folder, made_by), Places(index=False, review=True)))

    @app.get("/")
    def begin() -> Response:
        return redirect("/review")

    app.add_middleware(Admission, settings=Settings(), metrics=Metrics())
    return app


async def _refuse(_: Request, error: Exception) -> NoReturn:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    raise Problem(HTTPStatus(error.status_code), "There is nothing here but /review.")
