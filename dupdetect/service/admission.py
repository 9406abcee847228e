"""Who may ask, and how much: what is looked at before a request reaches its endpoint."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dupdetect.service.observing import Metrics
from dupdetect.service.problems import MEDIA_TYPE, Problem, problem_of
from dupdetect.service.settings import OPEN_PATHS, Settings, is_loopback

__all__ = ["Admission"]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    b"content-security-policy": b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
# With "no-referrer" a browser keeps the origin of a form that is sent from the page to itself.
_PAGE_HEADERS = {b"referrer-policy": b"same-origin"}
_GONE = 499  # in metrics, of a request that was never complete
_DIGITS = 20
# Browsers built on Chromium look at the first one of a header only.
_CHALLENGE = 'Basic realm="dupdetect", charset="UTF-8", Bearer realm="dupdetect"'


class _GoneError(Exception):
    """The caller left before the request was complete."""


class Admission:
    """ASGI middleware: refuses what the settings refuse, reads the body, and answers whatever goes wrong.

    Without a key the service can only be reached from this machine; then a web page from elsewhere must not reach it
    either, through the browser of someone who works here. So the host must be this machine (an attacker's name can be
    made to mean 127.0.0.1), and what changes something must come from a page of the service itself.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._requests = 0
        self._untaken = 0  # bytes of answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = held = 0

        async def secured(message: Message) -> None:
            nonlocal status, held
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                there = {name.lower(): value for name, value in headers}
                is_page = there.get(b"content-type", b"").startswith(b"text/html")
                added = {**_HEADERS, **_PAGE_HEADERS} if is_page else _HEADERS
                message["headers"] = headers + [(name, value) for name, value in added.items() if name not in there]
            size = len(message.get("body", b""))
            held += size
            self._untaken += size
            if not size or message.get("more_body", False):
                await send(message)
                return
            await send({**message, "more_body": True})
            # The server hands this on when the caller has taken what came before it, and the answer counts until then.
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            await self._admit(scope, receive, secured)
        except _GoneError:
            status = _GONE
        except Exception as error:
            if status:  # part of the answer is on its way: it must not look whole
                raise
            await _answer(problem_of(error), secured)
        finally:
            self._untaken -= held
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.observe_request(route, status, time.perf_counter() - start)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, value)
        is_open = scope["path"] in OPEN_PATHS
        try:
            self._check(scope, headers, is_open=is_open)
        except Problem as problem:
            if _has_body(headers):  # nobody reads it, and whoever sends it slowly would hold the connection
                problem.headers["connection"] = "close"
            raise
        if is_open:  # strangers may ask, so what they hold open is not counted, and they cannot hold much
            await self._app(scope, _replayed(b"", receive), send)
            return
        self._requests += 1
        try:
            body = await _read_body(headers, receive, self._settings)
            await self._app(scope, _replayed(body, receive), send)
        finally:
            self._requests -= 1

    def _check(self, scope: Scope, headers: Mapping[bytes, bytes], *, is_open: bool) -> None:
        """Raise Problem for a request that is refused before its body is read."""
        settings = self._settings
        if settings.api_key is None:
            _check_host(headers)
        elif not is_open:
            _check_key(headers, settings.api_key)
        if scope["method"] not in _SAFE:
            _check_origin(headers)
        if is_open:
            _check_no_body(headers)
            return
        if self._requests >= settings.requests:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{self._requests:,} requests are being answered already. Try again in a second.",
                {"retry-after": "1"},
            )
        if self._untaken > settings.answer_bytes:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "Answers to earlier requests have not been taken yet. Read them, and try again in a few seconds.",
                {"retry-after": "5"},
            )


def _check_host(headers: Mapping[bytes, bytes]) -> None:
    host = headers.get(b"host", b"").decode("latin-1")
    name, _, port = host.rpartition(":")
    if not is_loopback(name if name and port.isdigit() else host):
        raise Problem(
            HTTPStatus.MISDIRECTED_REQUEST,
            "Without an API key this service answers to localhost only, and the request names another host. Use "
            "http://127.0.0.1 or http://localhost, or start the service with an API key.",
        )


def _check_key(headers: Mapping[bytes, bytes], key: str) -> None:
    scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
    shown = [headers.get(b"x-api-key", b"")]
    if scheme.lower() == b"bearer":
        shown.append(given.strip())
    if scheme.lower() == b"basic":  # what a browser asks its user for
        shown.append(_password(given))
    if not any([hmac.compare_digest(one, key.encode("ascii")) for one in shown]):  # noqa: C419 - no early end
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "This service needs its API key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`, or in a "
            "browser as the password, with any user name.",
            {"www-authenticate": _CHALLENGE},
        )


def _password(given: bytes) -> bytes:
    try:
        return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _check_origin(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what a page of another site sends. Programs that are no browsers send neither of the two headers."""
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        same = site in (b"same-origin", b"none")
    else:
        same = origin is None or origin.partition(b"://")[2].lower() == headers.get(b"host", b"").lower()
    if not same:
        raise Problem(HTTPStatus.FORBIDDEN, "A page of another site sent this request. Only pages of this service may.")


def _check_no_body(headers: Mapping[bytes, bytes]) -> None:
    if _has_body(headers):
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "This path takes no body. Send the request without one.")


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or bool(headers.get(b"content-length", b"").strip(b"0"))


async def _read_body(headers: Mapping[bytes, bytes], receive: Receive, settings: Settings) -> bytes:
    most = settings.body_bytes
    too_large = Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body of a request may have {most:,} bytes. Send less at a time.",
        {"connection": "close"},
    )
    length = headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > _DIGITS or int(length) > most):
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _GoneError
                body += message.get("body", b"")
                if len(body) > most:
                    raise too_large
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The body of the request did not come within {settings.body_seconds:g} seconds. Send it again.",
            {"connection": "close"},
        ) from None
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body, and then what comes after it."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _answer(problem: Problem, send: Send) -> None:
    body = problem.body()
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **problem.headers}
    await send(
        {
            "type": "http.response.start",
            "status": int(problem.status),
            "headers": [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
