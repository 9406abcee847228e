"""Output that is there in full or not at all.

Both context managers yield a temporary path beside the final one. What stands there at the end is flushed to the disk
and takes the final name in one step; after any exception, an interrupt included, it is deleted, and whatever had the
final name before is untouched. (A process that is killed outright leaves the temporary path, whose name begins with a
dot and ends in `.partial`.)
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dupdetect.errors import InputError, OutputExistsError

__all__ = ["atomic_file", "atomic_folder"]

# What file managers put into any folder that someone has looked into.
_DEBRIS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


@contextmanager
def atomic_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield the path of an empty temporary file that becomes `path` when the block ends well.

    Raises, before the block runs, `OutputExistsError` when `path` exists and `overwrite` is not set, and `InputError`
    when it cannot be written: its folder is not there, or what would be overwritten is no regular file.
    """
    final = _final(path, overwrite=overwrite)
    if final.exists() and not final.is_file():
        raise InputError(f"{path} is not a regular file, so it is not overwritten. Name another output.")
    temporary = _temporary(final)
    try:
        _made(path, temporary.touch)
        yield temporary
        _flush(temporary)
        _still_free(path, final, overwrite=overwrite)
        temporary.replace(final)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush_folder(final.parent)


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False, expected: Collection[str] = ()) -> Iterator[Path]:
    """Yield the path of an empty temporary folder that becomes `path` when the block ends well.

    `expected` are the names, at the top level, that an earlier run may have written. A folder is only overwritten when
    it is empty, or holds nothing but such names and at least half of them: then it is an earlier output, and not a
    folder of someone's own that happens to hold a `questions.csv`. It is deleted after the new one has its place.

    Raises, before the block runs, `OutputExistsError` when `path` exists and `overwrite` is not set, and `InputError`
    when it cannot be made or must not be overwritten.
    """
    final = _final(path, overwrite=overwrite)
    if final.exists():
        _refuse_foreign(path, final, expected)
    temporary = _temporary(final)
    try:
        _made(path, temporary.mkdir)
        yield temporary
        _flush_tree(temporary)
        _still_free(path, final, overwrite=overwrite)
        if final.exists():
            # Once more: someone may have put a file there while the block ran.
            _refuse_foreign(path, final, expected)
            _swap(temporary, final)
        else:
            temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _flush_folder(final.parent)


def _final(path: str | Path, *, overwrite: bool) -> Path:
    """Return where the output will stand, links followed, so that a link keeps pointing to it."""
    if os.path.lexists(path) and not overwrite:
        raise OutputExistsError(path)
    final = Path(os.path.realpath(path))
    if not final.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {final.parent}. Make it first.")
    return final


def _temporary(final: Path) -> Path:
    # Beside the final path, since only within one file system is renaming a single step; cut, since names have a limit.
    return final.with_name(f".{final.name[:100]}.{secrets.token_hex(6)}.partial")


def _made(path: str | Path, make: Callable[[], None]) -> None:
    try:
        make()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}. Name another output.") from error


def _still_free(path: str | Path, final: Path, *, overwrite: bool) -> None:
    """Renaming would silently replace what another process has written there in the meantime."""
    if not overwrite and os.path.lexists(final):
        raise OutputExistsError(path)


def _refuse_foreign(path: str | Path, final: Path, expected: Collection[str]) -> None:
    if not final.is_dir():
        raise InputError(f"{path} is not a folder, so it is not overwritten. Name another output folder.")
    home = Path("~").expanduser().resolve()
    if final in {home, Path.cwd(), *Path.cwd().parents} or final.is_mount():
        raise InputError(f"{path} is too important to be overwritten. Name another output folder.")
    names = {entry.name for entry in final.iterdir()} - _DEBRIS
    foreign = sorted(names.difference(expected))
    if foreign or (names and 2 * len(names) < len(set(expected))):
        found = f"it holds {foreign[0]!r}" if foreign else "most files of an earlier output are missing in it"
        raise InputError(
            f"{path} does not look like an earlier output ({found}), so it is not overwritten. "
            "Delete it yourself, or name another output folder."
        )


def _swap(new: Path, final: Path) -> None:
    """Put `new` in the place of the folder `final`; should that fail, `final` is put back."""
    old = _temporary(final)
    try:
        final.rename(old)
        new.rename(final)
    except BaseException:
        if old.exists() and not final.exists():
            old.rename(final)
        raise
    # What cannot be deleted stays under its hidden name: the output is complete, and that is what was asked for.
    shutil.rmtree(old, ignore_errors=True)


def _flush_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            _flush(Path(parent, name))
        _flush_folder(Path(parent))


def _flush(file: Path) -> None:
    # Windows flushes only what is open for writing; elsewhere a copied file may well be read-only.
    descriptor = os.open(file, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    # The names themselves; some file systems refuse it, and then there is nothing to be done.
    with suppress(OSError):
        _flush(folder)
