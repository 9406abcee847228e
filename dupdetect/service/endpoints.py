"""The endpoints."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from dupdetect.index import Added, Check, QuestionIndex, Removed
from dupdetect.service.bodies import (
    AddBody,
    CheckBody,
    Health,
    ScoreBody,
    Scored,
    Scores,
    Similar,
    SimilarBody,
    check_limits,
)
from dupdetect.service.observing import Metrics
from dupdetect.service.problems import MEDIA_TYPE, Problem, ServiceStoppedError
from dupdetect.service.running import Service

__all__ = ["endpoints"]

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do next."},
    },
    "required": ["type", "title", "status", "detail"],
}
_REFUSED = {
    404: "There is no such question.",
    409: "It contradicts what is in the index. Nothing was changed.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    422: "The body is not what it should be. `faults` says where, and what is wrong there.",
    429: "Too much is waiting. Try again; Retry-After says when.",
    503: "Starting, stopping, or another process is changing the index. Try again; Retry-After says when.",
}
_ASKING = (413, 415, 422, 429, 503)


def endpoints(service: Service, metrics: Metrics) -> APIRouter:
    """Return the endpoints of a service."""
    router = APIRouter()
    settings = service.settings

    @router.post(
        "/v1/similar", tags=["asking"], summary="Which known questions are like this one?", **_answers(*_ASKING)
    )
    async def similar(body: SimilarBody) -> Similar:
        """The `k` known texts that are most likely to ask the same, best first, duplicates or not. Fast enough to be
        asked while someone types; a blank text finds nothing."""
        check_limits(body, settings)
        return Similar(await service.similar(body.text, body.k))

    @router.post("/v1/check", tags=["asking"], summary="Was this asked before?", **_answers(*_ASKING))
    async def check(body: CheckBody) -> Check:
        """Whether a text is a duplicate of a known question, of which (`best`), how sure that is (`probability`), and
        why (`explanation`): the words that both have, and the guards that fired."""
        check_limits(body, settings)
        return await service.check(body.text)

    @router.post("/v1/score", tags=["asking"], summary="Do these two ask the same?", **_answers(*_ASKING))
    async def score(body: ScoreBody) -> Scores:
        """Similarity, probability and decision of each pair of texts. The index takes no part in it."""
        check_limits(body, settings)
        found = await service.score(body.pairs)
        rows = zip(
            found.similarity.tolist(), found.probability.tolist(), found.duplicate.tolist(), found.guards, strict=True
        )
        return Scores(tuple(Scored(*row) for row in rows))

    @router.post("/v1/questions", tags=["changing"], summary="Add questions.", **_answers(409, *_ASKING))
    async def add(body: AddBody) -> Added:
        """Add questions, all of them or none. What is there already, with the same text and label, is left as it is, so
        that a request can be sent again; an id that is there with another text is a conflict."""
        check_limits(body, settings)
        return await service.add(body.new())

    @router.delete(
        "/v1/questions/{id:path}", tags=["changing"], summary="Remove a question.", **_answers(404, 422, 429, 503)
    )
    async def remove(id: Annotated[str, Path(examples=["T-1017"])]) -> Removed:  # noqa: A002 - its name in the path
        """Remove a question. `texts` is 1 where no other question has its text."""

        def found(index: QuestionIndex) -> Removed:
            if id not in index:
                raise Problem(HTTPStatus.NOT_FOUND, "The index has no question with this id.")
            return index.remove([id])

        return await service.write(found)

    @router.get("/healthz", tags=["watching"], summary="Is it alive?")
    async def healthz() -> Health:
        """Needs no key, and takes no body."""
        return Health("ok")

    @router.get("/readyz", tags=["watching"], summary="Does it accept requests?", **_answers(503))
    async def readyz() -> Health:
        """Needs no key, and takes no body."""
        if not service.ready:
            raise ServiceStoppedError
        return Health("ok")

    @router.get("/metrics", tags=["watching"], summary="Counts, for Prometheus.", response_class=Response)
    async def all_metrics() -> Response:
        return Response(metrics.text(await service.read(len)), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _answers(*statuses: int) -> dict[str, Any]:
    """Return what the OpenAPI document says of the statuses, beside 200."""
    content = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {"responses": {status: {"description": _REFUSED[status], "content": content} for status in statuses}}
