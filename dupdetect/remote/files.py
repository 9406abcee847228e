"""The file system behind a URL, and what may go wrong there in words."""

from __future__ import annotations

import errno
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from dupdetect.errors import DupdetectError, InputError, MissingExtraError
from dupdetect.remote.urls import BUCKETS, WEB, protocol_of, shown

__all__ = ["explained", "opened"]

_OF_EXTRA = {"s3": "s3fs", "s3a": "s3fs", "http": "aiohttp", "https": "aiohttp"}
_SECONDS = 60  # without any answer

_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
                             "DefaultCredentialsError", "TokenRetrievalError", "NoAuthTokenError"})  # fmt: skip
_NO_ANSWER = frozenset({"TimeoutError", "ConnectionError", "FSTimeoutError", "EndpointConnectionError", "gaierror",
                        "ConnectTimeoutError", "ReadTimeoutError", "ClientConnectionError", "ServerTimeoutError",
                        "ConnectionClosedError", "ClientPayloadError", "HTTPClientError"})  # fmt: skip
LOGIN = "Set its credentials, for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile in ~/.aws."


def opened(url: str, doing: str) -> tuple[Any, str]:
    """Return the file system behind a URL, and the path there."""
    protocol = protocol_of(url)
    if protocol in BUCKETS and shown(url) != f"{protocol}://{url[len(protocol) + 3 :]}":
        raise InputError(f"{shown(url)} came with a user, a password or a query, which a bucket has not. {LOGIN}")
    try:
        fsspec = import_module("fsspec.core")
        options = _web_options() if protocol in WEB else {}
        files, path = fsspec.url_to_fs(url, **options)
    except ImportError as error:
        name = f"{doing} {shown(url)}"
        if protocol in _OF_EXTRA or _missing("fsspec"):
            package = "fsspec" if _missing("fsspec") else _OF_EXTRA[protocol]
            raise MissingExtraError("remote", name, package) from None
        said = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{name} needs a package that is not installed. {said}.") from None
    except Exception as error:
        if "not known" in str(error):
            raise InputError(
                f"{shown(url)}: {protocol}:// is no protocol that fsspec knows. Check the URL, or name a file here."
            ) from None
        with explained(url, "read" if doing == "Reading" else "written"):
            raise
    files.invalidate_cache()  # lists of files that an earlier call was given
    return files, path


@contextmanager
def explained(url: str, done: str) -> Iterator[None]:
    """Turn whatever fsspec and what it talks to raise into one InputError, without anything secret."""
    try:
        yield
    except DupdetectError:
        raise
    except Exception as error:
        name = shown(url)
        kinds = {kind.__name__ for known in _chain(error) for kind in type(known).__mro__}
        statuses = {getattr(known, "status", None) for known in _chain(error)}
        cannot = f"{name} cannot be {done}"
        if kinds & _NO_CREDENTIALS:
            todo = f"{cannot}: no credentials were found. {LOGIN}"
        elif isinstance(error, PermissionError) or statuses & {401, 403}:
            todo = f"{cannot}: access is denied. {LOGIN} Or ask its owner for access."
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            todo = f"{cannot}: no space is left in {tempfile.gettempdir()}. Set TMPDIR to a folder with more."
        elif kinds & _NO_ANSWER:
            todo = (
                f"{cannot}: no answer, or it broke off. Check the network and the address (for S3-compatible stores "
                "AWS_ENDPOINT_URL), and try again."
            )
        elif isinstance(error, FileNotFoundError):  # fsspec says so, too, where a web server does not answer
            todo = f"There is no {name}. Check the name, that of the bucket or server included."
        else:
            todo = f"{cannot}: {_said(error, url)}. Check the URL, the network and the credentials."
        raise InputError(todo) from None


def _missing(package: str) -> bool:
    try:
        import_module(package)
    except ImportError:
        return True
    return False


def _web_options() -> dict[str, Any]:
    """Return options with which a file may take its time, as long as something comes: by default all has 5 minutes."""
    timeout = import_module("aiohttp").ClientTimeout(total=None, sock_connect=_SECONDS, sock_read=_SECONDS)
    return {"client_kwargs": {"timeout": timeout}}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _said(error: Exception, url: str) -> str:
    """Return the first line of what an error says; of all URLs in it what `shown` leaves."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0].replace(url, shown(url))
    line = re.sub(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"]+", lambda found: shown(found[0]), line)
    return re.sub(r"(?i)\b([\w-]*(?:signature|token|secret|key|credential|password)[\w-]*)=\S+", r"\1=...", line)[
        :300
    ].rstrip(".")
