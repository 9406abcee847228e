"""Files behind a URL: fetched before they are read, sent after they were written (extra `remote`).

Whatever fsspec knows can be named: s3://bucket/export.csv (with AWS_ENDPOINT_URL, of any S3-compatible store), gs://,
az://, https:// for reading, memory://. Credentials are found where the package of the protocol looks for them, such as
AWS_ACCESS_KEY_ID or ~/.aws. They appear in no message and no record, nor does what a URL has behind a question mark.

A file is fetched, in portions, to a temporary one (in TMPDIR), and read by `dupdetect.tables` like any other, so that
its cells stay what they are. The readers of Ray Data would not do: read_csv of ray 2.60 makes 7.0 of 007, 1000.0 of
1e3, dates of what looks like them, and null of an empty cell and of NA.

A result is written to a temporary folder and sent when it is complete. The rule, by which no reader takes half a
result for a whole one: **a result is complete where its run.json is there and no dupdetect.unfinished**.

    1. dupdetect.unfinished is written, and the run.json of an earlier result, if it is to be replaced, deleted;
    2. the files are written, what an earlier result had beyond them is deleted, and their sizes are compared;
    3. run.json is written, and dupdetect.unfinished deleted.

If that fails, the local folder stays, and the message names it. Two programs that write to one URL at a time are not
kept apart.
"""

from __future__ import annotations

import errno
import glob
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from dupdetect.atomic import atomic_folder
from dupdetect.errors import DupdetectError, InputError, MissingExtraError, OutputExistsError
from dupdetect.progress import Progress, silent

__all__ = [
    "check_file",
    "check_output",
    "files_of",
    "is_url",
    "local_copy",
    "output_folder",
    "sent_file",
    "shown",
    "there",
]

UNFINISHED = "dupdetect.unfinished"
"""The name of the file beside a result that is being written, or that could not be written to its end."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:\ is a drive
_USER = re.compile(r"(?:[^/@:]*:(?!\d+/)[^@]*|[^/@]*)@")  # a password may hold slashes; a port is digits
_QUERY = re.compile(r"[?#][^/?#&=]+=.*", re.DOTALL)
_OF_EXTRA = {"s3": "s3fs", "s3a": "s3fs", "http": "aiohttp", "https": "aiohttp"}
_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs"})  # no folders, so none are made; no user in the URL
_CONTAINERS = frozenset({"abfs", "abfss", "az", "wasb", "wasbs"})  # container@account is no user
_WEB = frozenset({"http", "https"})
_SECONDS = 60  # without any answer

_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
                             "DefaultCredentialsError", "TokenRetrievalError", "NoAuthTokenError"})  # fmt: skip
_NO_ANSWER = frozenset({"TimeoutError", "ConnectionError", "FSTimeoutError", "EndpointConnectionError", "gaierror",
                        "ConnectTimeoutError", "ReadTimeoutError", "ClientConnectionError", "ServerTimeoutError",
                        "ConnectionClosedError", "ClientPayloadError", "HTTPClientError"})  # fmt: skip
_LOGIN = "Set its credentials, for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile in ~/.aws."


def is_url(path: object) -> bool:
    """Tell whether this is a text such as s3://bucket/export.csv, and not the path of a file here."""
    return isinstance(path, str) and _URL.match(path) is not None


def shown(url: str) -> str:
    """Return a URL as it may be told to anyone: without user and password, and without its query."""
    protocol = _protocol(url)
    rest = url[len(protocol) + 3 :]
    if protocol not in _CONTAINERS:
        rest = _USER.sub("", rest, count=1) if _USER.match(rest) else rest
    return f"{protocol}://{_QUERY.sub('', rest)}"


@contextmanager
def local_copy(url: str, progress: Progress = silent) -> Iterator[Path]:
    """Yield a temporary file with the content behind a URL, whose name ends as the URL does.

    Raises InputError for what is not there, is a folder, or cannot be fetched; MissingExtraError.
    """
    files, path = _files(url, "Reading")
    with tempfile.TemporaryDirectory(prefix="dupdetect-") as folder:
        file = Path(folder) / _file_name(url)
        with _explained(url, "read"):
            about = files.info(path)
            if about.get("type") == "directory":
                raise InputError(
                    f"{shown(url)} is a folder. Name one file in it, or several of one kind: "
                    f"'{shown(url).rstrip('/')}/*.csv'."
                )
            size = about.get("size")
            with progress("Fetching", size or 0, "B") as advance:
                counting = _counting(advance)
                files.get_file(path, str(file), callback=counting)
                fetched = file.stat().st_size
                advance(fetched - counting.value)  # some file systems tell nothing on the way
        if size is not None and fetched < size:  # more where the store unpacks what it sends
            raise InputError(
                f"{shown(url)} has {size:,} bytes, and {fetched:,} were fetched: it changed, or the connection broke. "
                "Try again."
            )
        yield file


def files_of(path: str | Path) -> list[str] | None:
    """Return the files or URLs that a pattern means, sorted; None for what is no pattern.

    Raises InputError where nothing matches.
    """
    text = str(path)
    if not re.search(r"[*?[]", text):
        return None
    if isinstance(path, str) and is_url(path):
        found = _matching(path)
        if found == [path]:
            return None
    elif _is_there(text):
        return None
    else:
        found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not found:
        name = shown(text) if is_url(text) else text
        raise InputError(f"No file matches {name}. Check the pattern, and write it in quotes.")
    return found


def there(url: str) -> bool:
    """Tell whether there is a file behind a URL; InputError where that cannot be found out."""
    files, path = _files(url, "Reading")
    with _explained(url, "read"):
        return bool(files.isfile(path))


def check_output(url: str, *, marker: str, expected: Collection[str] = (), overwrite: bool = False) -> None:
    """Refuse a URL that no result can be written to, by the rules of `atomic.atomic_folder`.

    An unfinished result is taken for an earlier one. Raises OutputExistsError, InputError, MissingExtraError.
    """
    files, root = _files(url, "Writing")
    if _protocol(url) in _WEB:
        raise InputError(f"{shown(url)} can be read only. Name a folder here, or a URL of a store such as s3://.")
    with _explained(url, "written"):
        names = _names(files, root, url)
    if not names:
        return
    if not overwrite:
        raise OutputExistsError(shown(url))
    foreign = sorted(names - {marker, UNFINISHED, *expected})
    if foreign or not names & {marker, UNFINISHED}:
        found = f"it holds {foreign[0]!r}" if foreign else f"there is no file {marker!r} in it"
        raise InputError(
            f"{shown(url)} does not look like an earlier output ({found}), so it is not overwritten. Delete it "
            "yourself, or name another output folder."
        )


@contextmanager
def output_folder(
    folder: str | Path, *, marker: str, expected: Collection[str] = (), overwrite: bool = False
) -> Iterator[Path]:
    """Yield an empty folder that becomes `folder` when the block ends well: `atomic_folder`, or its like for a URL.

    See the top of this module for what a URL promises. Raises what `atomic_folder` or `check_output` do, and
    DupdetectError, which names the local folder, when a complete result cannot be sent.
    """
    if not isinstance(folder, str) or not is_url(folder):
        with atomic_folder(folder, marker=marker, expected=expected, overwrite=overwrite) as place:
            yield place
        return
    check_output(folder, marker=marker, expected=expected, overwrite=overwrite)
    place = Path(tempfile.mkdtemp(prefix="dupdetect-"))
    try:
        yield place
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    try:
        # Once more: someone may have put a file there while the block ran.
        check_output(folder, marker=marker, expected=expected, overwrite=overwrite)
        _send(folder, place, marker)
    except DupdetectError as error:
        raise DupdetectError(
            f"{error} The result is complete in {place}: copy it from there, its {marker} last."
        ) from error
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    shutil.rmtree(place, ignore_errors=True)


@contextmanager
def sent_file(url: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield the path of a temporary file that is sent to a URL when the block ends well.

    Raises OutputExistsError when something is there and `overwrite` is not set; InputError; MissingExtraError.
    """
    files, path = _files(url, "Writing")
    check_file(url, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="dupdetect-") as folder:
        file = Path(folder) / _file_name(url)
        yield file
        with _explained(url, "written"):
            _make_folder(files, path.rpartition("/")[0], url)
            files.put_file(str(file), path)


def check_file(url: str, *, overwrite: bool = False) -> None:
    """Refuse a URL that `sent_file` cannot write to."""
    files, path = _files(url, "Writing")
    if _protocol(url) in _WEB:
        raise InputError(f"{shown(url)} can be read only. Name a file here, or a URL of a store such as s3://.")
    with _explained(url, "written"):
        _check_bucket(files, path, url)
        if not overwrite and files.exists(path):
            raise OutputExistsError(shown(url))


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that is too long: reading says so
        return True


def _matching(pattern: str) -> list[str]:
    """Return the URLs that a pattern means, sorted, or itself where it is there as it stands. The web has no lists of
    files, and in its URLs ? is no wildcard."""
    if _protocol(pattern) in _WEB:
        return [pattern]
    files, path = _files(pattern, "Reading")
    with _explained(pattern, "read"):
        if files.exists(path):
            return [pattern]
        return sorted(files.unstrip_protocol(name) for name in files.glob(path))


def _protocol(url: str) -> str:
    found = _URL.match(url)
    return found[1].lower() if found else ""


def _file_name(url: str) -> str:
    """Return a name that ends as that of the URL, which tells the format."""
    name = shown(url).rstrip("/").rpartition("/")[2]
    return f"export{''.join(re.findall(r'[.][A-Za-z0-9]{1,10}', name)[-2:])}"


def _files(url: str, doing: str) -> tuple[Any, str]:
    """Return the file system behind a URL, and the path there."""
    protocol = _protocol(url)
    if protocol in _BUCKETS and shown(url) != f"{protocol}://{url[len(protocol) + 3 :]}":
        raise InputError(f"{shown(url)} came with a user, a password or a query, which a bucket has not. {_LOGIN}")
    try:
        fsspec = import_module("fsspec.core")
        options = _web_options() if protocol in _WEB else {}
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
        with _explained(url, "read" if doing == "Reading" else "written"):
            raise
    files.invalidate_cache()  # lists of files that an earlier call was given
    return files, path


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


def _counting(advance: Any) -> Any:
    base = import_module("fsspec.callbacks").Callback

    class Counting(base):  # type: ignore[misc, valid-type]
        def relative_update(self, inc: int = 1) -> None:
            self.value += inc
            advance(inc)

    return Counting()


def _names(files: Any, root: str, url: str) -> set[str]:
    """Return the names in a folder, none where there is no such folder; InputError where it is a file."""
    try:
        entries = files.ls(root, detail=True)
    except FileNotFoundError:
        _check_bucket(files, root, url)
        return set()
    own = root.strip("/")
    for entry in entries:
        if entry["name"].strip("/") == own and entry["type"] == "file" and entry["size"]:
            raise InputError(f"{shown(url)} is a file, so no folder can be written there. Name another output.")
    return {name.rpartition("/")[2] for entry in entries if (name := entry["name"].strip("/")) != own}


def _check_bucket(files: Any, path: str, url: str) -> None:
    bucket = path.partition("/")[0]
    if _protocol(url) in _BUCKETS and not files.exists(bucket):
        raise InputError(
            f"There is no bucket {bucket}, or it may not be looked at, so {shown(url)} cannot be written. Check the "
            "name, the endpoint (AWS_ENDPOINT_URL) and the credentials, or make the bucket."
        )


def _make_folder(files: Any, folder: str, url: str) -> None:
    if _protocol(url) not in _BUCKETS:
        files.makedirs(folder, exist_ok=True)


def _send(url: str, place: Path, marker: str) -> None:
    """Send a complete result, in the order that the top of this module gives."""
    files, root = _files(url, "Writing")
    root = root.rstrip("/")
    names = sorted(file.name for file in place.iterdir())
    with _explained(url, "written"):
        earlier = _names(files, root, url)
        _make_folder(files, root, url)
        sent = [UNFINISHED]
        try:
            files.pipe_file(f"{root}/{UNFINISHED}", b"The result in this folder is not complete.\n")
            if marker in earlier:
                files.rm_file(f"{root}/{marker}")
            for name in names:
                if name != marker:
                    sent.append(name)
                    files.put_file(str(place / name), f"{root}/{name}")
            for name in sorted(earlier.difference(names, {marker, UNFINISHED})):
                files.rm(f"{root}/{name}", recursive=True)
            files.invalidate_cache()
            for name in names:
                if name != marker and files.info(f"{root}/{name}")["size"] != (place / name).stat().st_size:
                    raise DupdetectError(f"{shown(url)}: {name} did not arrive as it was sent.")
            files.put_file(str(place / marker), f"{root}/{marker}")
        except BaseException:
            if not earlier:
                for name in reversed(sent):
                    with suppress(Exception):
                        files.rm_file(f"{root}/{name}")
            raise
        files.rm_file(f"{root}/{UNFINISHED}")


@contextmanager
def _explained(url: str, done: str) -> Iterator[None]:
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
            todo = f"{cannot}: no credentials were found. {_LOGIN}"
        elif isinstance(error, PermissionError) or statuses & {401, 403}:
            todo = f"{cannot}: access is denied. {_LOGIN} Or ask its owner for access."
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
