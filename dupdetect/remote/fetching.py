"""Files behind a URL to files here."""

from __future__ import annotations

import glob
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from dupdetect.errors import InputError
from dupdetect.progress import Progress, silent
from dupdetect.remote.files import explained, opened
from dupdetect.remote.urls import WEB, is_url, local_name, protocol_of, shown

__all__ = ["files_of", "local_copy", "there"]


@contextmanager
def local_copy(url: str, progress: Progress = silent) -> Iterator[Path]:
    """Yield a temporary file with the content behind a URL, whose name ends as the URL does.

    Raises InputError for what is not there, is a folder, or cannot be fetched; MissingExtraError.
    """
    files, path = opened(url, "Reading")
    with tempfile.TemporaryDirectory(prefix="dupdetect-") as folder:
        file = Path(folder) / local_name(url)
        with explained(url, "read"):
            about = files.info(path)
            if about.get("type") == "directory":
                raise InputError(
                    f"{shown(url)} is a folder. Name one file in it, or several of one kind: "
                    f"'{shown(url).rstrip('/')}/*.csv'."
                )
            size = about.get("size")
            with progress("Fetching", size or 0, "byte") as advance:
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
        # Path.glob takes no absolute pattern. Where ** stands twice a file is found in several ways.
        found = sorted(set(glob.glob(text, recursive=True)))  # noqa: PTH207
    if not found:
        name = shown(text) if is_url(text) else text
        raise InputError(f"No file matches {name}. Check the pattern, and write it in quotes.")
    return found


def there(url: str) -> bool:
    """Tell whether there is a file behind a URL; InputError where that cannot be found out."""
    files, path = opened(url, "Reading")
    with explained(url, "read"):
        return bool(files.isfile(path))


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that is too long: reading says so
        return True


def _matching(pattern: str) -> list[str]:
    """Return the URLs that a pattern means, sorted, or itself where it is there as it stands. The web has no lists of
    files, and in its URLs ? is no wildcard."""
    if protocol_of(pattern) in WEB:
        return [pattern]
    files, path = opened(pattern, "Reading")
    with explained(pattern, "read"):
        if files.exists(path):
            return [pattern]
        link, chain, behind = pattern.partition("::")
        if not link.endswith(path):  # something before the path is needed to find it again
            raise InputError(f"{shown(pattern)}: patterns are not read there. Name one file.")
        before = link.removesuffix(path)
        return sorted({f"{before}{name}{chain}{behind}" for name in files.glob(path)})


def _counting(advance: Any) -> Any:
    base = import_module("fsspec.callbacks").Callback

    class Counting(base):  # type: ignore[misc, valid-type]
        def relative_update(self, inc: int = 1) -> None:
            self.value += inc
            advance(inc)

    return Counting()
