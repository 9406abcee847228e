"""An index as an HTTP service (extra `serve`).

    settings        what is accepted, and from whom
    running         Service: the open index, used by many at once;  batching, threads: how it is shared
    admission       key, host, origin, limits: what is looked at before an endpoint;  problems: what callers are told
    bodies          what requests hold;  endpoints;  documentation: the page /docs;  observing: metrics and the log
    app             create_app();  listening: the socket and the server

The index is searched in one thread: searches that come while one runs become the next one, all together. Changes are
made in another, one after the other, and whatever was accepted is finished before the service stops. No text of a user
is ever in the log, in the metrics or in an error.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dupdetect.errors import MissingExtraError

if TYPE_CHECKING:
    from dupdetect.service.app import create_app
    from dupdetect.service.running import Service
    from dupdetect.service.settings import Settings

__all__ = ["Service", "Settings", "create_app"]

_HOME = {"Service": "running", "Settings": "settings", "create_app": "app"}
_PACKAGES = {
    "fastapi": "fastapi",
    "starlette": "fastapi",
    "uvicorn": "uvicorn",
    "prometheus_client": "prometheus-client",
}


def require_packages() -> None:
    """Raise MissingExtraError where a package of the extra is not installed."""
    for module, package in _PACKAGES.items():
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise MissingExtraError("serve", "The service", package) from None


if not TYPE_CHECKING:  # a type checker would take it to mean that every name is there

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'dupdetect.service' has no attribute {name!r}")
        require_packages()
        return getattr(import_module(f"dupdetect.service.{_HOME[name]}"), name)
