"""What browsers send. `dupdetect.service.admission` has refused what is too large, and what a page of another site
sends."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from dupdetect.errors import DupdetectError
from dupdetect.service.pages.html import page, wants_fragment
from dupdetect.service.problems import Problem, problem_of

__all__ = ["Form", "PageRoute", "read_form"]

_FIELDS = 1_000


class PageRoute(APIRoute):
    """A page, or a form that is sent to it; what goes wrong is told in words."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except (Problem, DupdetectError) as error:
                problem = self.problem(error)
                # What we refuse ourselves is refused before anything is written.
                unchanged = request.method == "POST" and isinstance(error, Problem)
                template = "wrong.html.jinja" if wants_fragment(request) else "error.html.jinja"
                response = page(template, status=problem.status, message=problem.detail, unchanged=unchanged)
                response.headers.update(problem.headers)
                return response

        return handler

    @staticmethod
    def problem(error: Problem | DupdetectError) -> Problem:
        """Return what is told of an error."""
        return problem_of(error)


class Form:
    """The fields of a form."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str:
        """Return the value of a field, its lines ending in a line feed; a Problem where there is not exactly one."""
        values = self.all(name)
        if len(values) != 1:
            raise Problem(HTTPStatus.BAD_REQUEST, f"The form must have one field {name!r}. Load its page again.")
        return values[0].replace("\r\n", "\n")

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(self._fields.get(name, ()))


async def read_form(request: Request) -> Form:
    """Return what was sent; a Problem for what no form of ours sends."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A form must be sent as application/x-www-form-urlencoded.")
    try:
        body = (await request.body()).decode("ascii")
        return Form(parse_qs(body, keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "The form cannot be read. Load its page again.") from None
