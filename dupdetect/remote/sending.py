"""Files here to files behind a URL, by the rule that `dupdetect.remote` states."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dupdetect.atomic import atomic_folder
from dupdetect.errors import DupdetectError, InputError, OutputExistsError
from dupdetect.remote.files import explained, opened
from dupdetect.remote.urls import BUCKETS, WEB, is_url, local_name, protocol_of, shown

__all__ = ["UNFINISHED", "check_file", "check_output", "output_folder", "sent_file"]

UNFINISHED = "dupdetect.unfinished"


def check_output(url: str, *, marker: str, expected: Collection[str] = (), overwrite: bool = False) -> None:
    """Refuse a URL that no result can be written to, by the rules of `atomic.atomic_folder`.

    An unfinished result is taken for an earlier one. Raises OutputExistsError, InputError, MissingExtraError.
    """
    files, root = opened(url, "Writing")
    if protocol_of(url) in WEB:
        raise InputError(f"{shown(url)} can be read only. Name a folder here, or a URL of a store such as s3://.")
    with explained(url, "written"):
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

    See `dupdetect.remote` for what a URL promises. Raises what `atomic_folder` or `check_output` do, and
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
    files, path = opened(url, "Writing")
    check_file(url, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="dupdetect-") as folder:
        file = Path(folder) / local_name(url)
        yield file
        with explained(url, "written"):
            _make_folder(files, path.rpartition("/")[0], url)
            files.put_file(str(file), path)


def check_file(url: str, *, overwrite: bool = False) -> None:
    """Refuse a URL that `sent_file` cannot write to."""
    files, path = opened(url, "Writing")
    if protocol_of(url) in WEB:
        raise InputError(f"{shown(url)} can be read only. Name a file here, or a URL of a store such as s3://.")
    with explained(url, "written"):
        _check_bucket(files, path, url)
        if not overwrite and files.exists(path):
            raise OutputExistsError(shown(url))


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
    if protocol_of(url) in BUCKETS and not files.exists(bucket):
        raise InputError(
            f"There is no bucket {bucket}, or it may not be looked at, so {shown(url)} cannot be written. Check the "
            "name, the endpoint (AWS_ENDPOINT_URL) and the credentials, or make the bucket."
        )


def _make_folder(files: Any, folder: str, url: str) -> None:
    if protocol_of(url) not in BUCKETS:
        files.makedirs(folder, exist_ok=True)


def _send(url: str, place: Path, marker: str) -> None:
    """Send a complete result, in the order that `dupdetect.remote` gives."""
    files, root = opened(url, "Writing")
    root = root.rstrip("/")
    names = sorted(file.name for file in place.iterdir())
    with explained(url, "written"):
        earlier = _names(files, root, url)
        _make_folder(files, root, url)
        sent: list[str] = []
        try:
            files.pipe_file(f"{root}/{UNFINISHED}", b"The result in this folder is not complete.\n")
            if marker in earlier:
                files.rm_file(f"{root}/{marker}")
            for name in names:
                if name != marker:
                    sent.append(name)
                    files.put_file(str(place / name), f"{root}/{name}")
            for name in sorted(earlier.difference(names, {marker, UNFINISHED})):
                files.rm_file(f"{root}/{name}")  # not `rm`, to which * ? [ in the name of a folder are a pattern
            files.invalidate_cache()
            for name in names:
                if name != marker and files.info(f"{root}/{name}")["size"] != (place / name).stat().st_size:
                    raise DupdetectError(f"{shown(url)}: {name} did not arrive as it was sent.")
            sent.append(marker)  # before it is sent: it may arrive, and the answer not
            files.put_file(str(place / marker), f"{root}/{marker}")
        except BaseException:
            if not earlier:
                _take_back(files, root, sent)
            raise
        files.rm_file(f"{root}/{UNFINISHED}")


def _take_back(files: Any, root: str, sent: Collection[str]) -> None:
    """Delete what was sent, and last of all, if nothing of it is left, the mark that it is not complete."""
    left = False
    for name in sent:
        try:
            files.rm_file(f"{root}/{name}")
        except FileNotFoundError:
            pass
        except Exception:
            left = True
    if not left:
        with suppress(Exception):
            files.rm_file(f"{root}/{UNFINISHED}")
