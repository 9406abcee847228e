"""What a service accepts, and from whom."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, fields

from dupdetect.errors import InputError

__all__ = ["OPEN_PATHS", "Settings", "is_loopback"]

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""For whoever watches over the service: they need no key, take no body, and no limit is on them."""
_SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of a service, and its key.

    api_key: what callers must show; None for a service that only this machine can reach.
    body_bytes: of a request; more is 413.  texts: in a request, a pair being two; more is 422.
    text_length: characters of a text, an id or a label; more is 422.  most_hits: the largest k.
    batch: texts that are searched for together.  waiting: searches, and each other kind of work, that may wait for
    their turn; more is 429.  requests: that are read and answered at once; more is 429.
    answer_bytes: of answers that their callers have not taken yet; while there are more, a request is 429.
    body_seconds: in which the body of a request must be there; else 408.
    """

    api_key: str | None = field(default=None, repr=False)
    body_bytes: int = 4_000_000
    texts: int = 1_000
    text_length: int = 20_000
    most_hits: int = 100
    batch: int = 64
    waiting: int = 256
    requests: int = 512
    answer_bytes: int = 64_000_000
    body_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Raise InputError for limits below 1, and for a key that can be guessed or cannot stand in a header."""
        for limit in fields(self):
            value = getattr(self, limit.name)
            if limit.name != "api_key" and not value > 0:
                raise InputError(f"{limit.name} must be above 0, not {value!r}.")
        key = self.api_key
        if key is None:
            return
        if len(key) < _SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise InputError(
                f"The API key must be at least {_SHORTEST_KEY} letters, digits and signs of ASCII, without spaces. "
                'Make one: python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address, without a port, can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
