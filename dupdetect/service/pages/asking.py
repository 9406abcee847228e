"""The ask page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from dupdetect.errors import DupdetectError
from dupdetect.service.observing import log_trouble
from dupdetect.service.pages.answers import AnswerStore
from dupdetect.service.pages.forms import PageRoute, read_form
from dupdetect.service.pages.html import Places, page, redirect, wants_fragment
from dupdetect.service.problems import Problem
from dupdetect.service.running import Service

__all__ = ["asking_router"]

_SHOWN = 5


def asking_router(service: Service, answers: AnswerStore, places: Places) -> APIRouter:
    """Return the router of the ask page, and of what visitors answer there."""
    router = APIRouter(route_class=PageRoute)

    async def ask_page(**values: Any) -> Response:
        shown = {"text": "", "hits": None, "answer": None, "token": None} | values
        counts = None
        try:
            counts = await run_in_threadpool(answers.counts)
        except DupdetectError as error:  # of a file that what is found does not depend on
            log_trouble(error)
        questions = await service.read(len)
        return page("ask.html.jinja", places=places, here="/", questions=questions, counts=counts, **shown)

    @router.get("/")
    async def empty(answer: str | None = None) -> Response:
        if answer is None:
            return await ask_page()
        return await ask_page(answer=await run_in_threadpool(answers.get, answer), token=answer)

    @router.post("/")
    async def ask(request: Request) -> Response:
        text = (await read_form(request)).one("text")
        _check_length(text, service)
        hits = await service.similar(text, _SHOWN) if text.strip() else None
        if wants_fragment(request):
            return page("matches.html.jinja", text=text, hits=hits)
        return await ask_page(text=text, hits=hits)

    @router.post("/answers")
    async def answer(request: Request) -> Response:
        form = await read_form(request)
        text, shown, name = form.one("text"), form.all("shown"), form.one("id")
        _check_length(text, service)
        if not text.strip():
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Nothing was asked. Type a question first.")
        known = None
        if name:
            question = await service.read(lambda index: index[name])
            known = question.id, question.text
        token = await run_in_threadpool(answers.record, text, known, shown)
        return redirect(f"/?answer={quote(token)}")

    @router.post("/answers/back")
    async def take_back(request: Request) -> Response:
        token = (await read_form(request)).one("token")
        await run_in_threadpool(answers.take_back, token)
        return redirect(f"/?answer={quote(token, safe='')}")

    return router


def _check_length(text: str, service: Service) -> None:
    most = service.settings.text_length
    if len(text) > most:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The question has {len(text):,} characters, and at most {most:,} are compared. Shorten it.",
        )
