"""The library Ray, and what it changes in a process that uses it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dupdetect.errors import MissingExtraError

__all__ = ["host_and_port", "own_signals", "ray_library"]

# Read by Ray when it is imported. Despite the name of the last it holds everywhere: 0 means that a cluster is one of
# this machine only, and listens on its loopback address. What one worker raised is an error here; what others raised
# besides need not be printed.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def ray_library(*, alone: bool) -> Any:
    """Return the module; `alone` for a cluster of this machine only. Raises MissingExtraError without the extra."""
    for name, value in {**_SETTINGS, **(_ALONE if alone else {})}.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise MissingExtraError("cluster", "engine='ray'", "ray") from None
    return ray


def host_and_port(address: str | None) -> tuple[str, int | None]:
    """Return the two parts of HOST:PORT; no port for anything else, such as "auto"."""
    host, _, port = (address or "").rpartition(":")
    return (host.strip("[]"), int(port)) if host and "/" not in host and port.isdecimal() else ("", None)


@contextmanager
def own_signals() -> Iterator[None]:
    """Keep what a request to end does in this process: Ray would set its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
