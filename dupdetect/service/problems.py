"""What goes wrong in a service, and how callers are told: problem details in JSON (RFC 9457)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from dupdetect.errors import DupdetectError, IndexLockedError, InputError
from dupdetect.service.observing import log_trouble, log_unexpected

__all__ = ["MEDIA_TYPE", "Problem", "ServiceBusyError", "ServiceStoppedError", "invalid", "problem_of"]

MEDIA_TYPE = "application/problem+json"
_MOST_LISTED = 20


class ServiceBusyError(DupdetectError):
    """So much waits for its turn that more would wait too long."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting:,} requests wait for their turn already. Try again in a second.")


class ServiceStoppedError(DupdetectError):
    """The service has not started, or is stopping."""

    def __init__(self) -> None:
        super().__init__("The service is starting or stopping. Try again in a few seconds.")


class Problem(Exception):  # noqa: N818 - what the standard calls it
    """A request that is not answered as it was meant to be.

    detail: what is wrong, and what to do next.  headers: of the response.  more: members of the JSON object beside
    those of the standard.
    """

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {} if headers is None else headers
        self.more = more

    def body(self) -> bytes:
        """Return the JSON object, in ASCII."""
        about = {"type": "about:blank", "title": self.status.phrase, "status": self.status, "detail": self.detail}
        return json.dumps(about | self.more).encode("ascii")


def problem_of(error: Exception) -> Problem:
    """Return what a caller is told of an error. What the operator of the service has to look into is logged."""
    match error:
        case Problem():
            return error
        case ServiceBusyError():
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), {"retry-after": "1"})
        case ServiceStoppedError():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"retry-after": "5"})
        case IndexLockedError():
            return Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Another process is changing the index, and one at a time may. Nothing was changed; try again.",
                {"retry-after": "5"},
            )
        case InputError() if not isinstance(error.__context__, sqlite3.Error | OSError):
            # Where the index lies is none of the caller's business.
            return Problem(HTTPStatus.CONFLICT, re.sub(r"\bThe index .*? has ", "The index has ", str(error)))
        case DupdetectError():  # of its files, not of the request
            log_trouble(error)
        case _:
            log_unexpected(error)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong in the service. Its log says what.")


def invalid(faults: Sequence[tuple[str, str]]) -> Problem:
    """Return the problem of a body with faults: each where it is, `pairs.3.0` say, and what is wrong there."""
    first = [{"where": where, "what": what} for where, what in faults[:_MOST_LISTED]]
    where, what = faults[0]
    more = f" More is wrong, in {len(faults):,} places in all." if len(faults) > 1 else ""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {what}.{more}", faults=first, fault_count=len(faults))
