"""Output that is there in full or not at all.

Both context managers yield a temporary path beside the final one. What stands there at the end is flushed to the disk
and takes the final name in one step; after any exception, an interrupt included, it is deleted, and whatever had the
final name before is untouched. (A process that is killed outright leaves the temporary path, whose name begins with a
dot and ends in `.partial`. An interrupt after that one step, while an earlier output is being deleted, is raised too:
the new output stands then, complete.)
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dupdetect.errors import InputError, OutputExistsError

__all__ = ["atomic_file", "atomic_folder", "check_output_file", "check_output_folder", "is_empty_folder"]

# What file managers put into any folder that someone has looked into.
_DEBRIS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})

# AT_FDCWD and RENAME_EXCHANGE, as Linux defines them for renameat2.
_CURRENT_FOLDER = -100
_EXCHANGE = 2


@contextmanager
def atomic_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield the path of an empty temporary file that becomes `path` when the block ends well.

    Raises, before the block runs, `OutputExistsError` when `path` exists and `overwrite` is not set, and `InputError`
    when it cannot be written: its folder is not there, or what would be overwritten is no regular file.
    """
    final = _final_file(path, overwrite=overwrite)
    temporary = _temporary(final)
    try:
        _made(path, temporary.touch)
        yield temporary
        _flush(temporary)
        if overwrite:
            temporary.replace(final)
        else:
            _take_free_name(path, temporary, final)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush_folder(final.parent)


@contextmanager
def atomic_folder(
    path: str | Path, *, marker: str, expected: Collection[str] = (), overwrite: bool = False
) -> Iterator[Path]:
    """Yield the path of an empty temporary folder that becomes `path` when the block ends well.

    `marker` is the name of a file that every run writes and that nobody else would; `expected` are the other names, at
    the top level, that an earlier run may have written. A folder with anything in it is only overwritten when it holds
    the marker and nothing but files and folders with such names: then it is an earlier output, and not a folder of
    someone's own that happens to hold a `questions.csv`. It is deleted after the new one has its place. An empty folder
    is taken as it is.

    Raises, before the block runs, `OutputExistsError` when `path` exists, is no empty folder and `overwrite` is not
    set, and `InputError` when it cannot be made or must not be overwritten.
    """
    there = is_empty_folder(path)
    final = _final_folder(path, marker=marker, expected=expected, overwrite=overwrite)
    temporary = _temporary(final)
    try:
        _made(path, temporary.mkdir)
        yield temporary
        _flush_tree(temporary)
        if not overwrite:
            _claim_free_name(path, temporary, final, empty=there)
        elif final.exists():
            # Once more: someone may have put a file there while the block ran.
            _refuse_foreign(path, final, expected, marker)
            _swap(temporary, final)
        else:
            temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _flush_folder(final.parent)


def check_output_file(path: str | Path, *, overwrite: bool = False) -> None:
    """Raise what `atomic_file` raises before its block runs: better before hours of work."""
    _check_place(path, _final_file(path, overwrite=overwrite))


def check_output_folder(
    path: str | Path, *, marker: str, expected: Collection[str] = (), overwrite: bool = False
) -> None:
    """Raise what `atomic_folder` raises before its block runs: better before hours of work."""
    _check_place(path, _final_folder(path, marker=marker, expected=expected, overwrite=overwrite))


def is_empty_folder(path: str | Path) -> bool:
    """Tell whether `path` is a folder, or a link to one, with nothing in it: an output may take its place."""
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except (OSError, ValueError):  # nothing there, a file, or a folder that may not be read
        return False


def _final(path: str | Path, *, overwrite: bool) -> Path:
    """Return where the output will stand, links followed, so that a link keeps pointing to it."""
    if os.path.lexists(path) and not overwrite:
        raise OutputExistsError(path)
    final = Path(os.path.realpath(path))
    try:
        if not final.parent.is_dir():
            raise InputError(f"{path} cannot be written: there is no folder {final.parent}. Make it first.")
        final.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long, say: better now than after the work
        raise InputError(f"{path} cannot be written: {error.strerror}. Name another output.") from error
    return final


def _final_file(path: str | Path, *, overwrite: bool) -> Path:
    final = _final(path, overwrite=overwrite)
    if final.exists() and not final.is_file():
        raise InputError(f"{path} is not a regular file, so it is not overwritten. Name another output.")
    return final


def _final_folder(path: str | Path, *, marker: str, expected: Collection[str], overwrite: bool) -> Path:
    final = _final(path, overwrite=overwrite or is_empty_folder(path))
    if final.exists():
        _refuse_foreign(path, final, expected, marker)
    return final


def _check_place(path: str | Path, final: Path) -> None:
    """Raise InputError where nothing can be made beside the final path."""
    temporary = _temporary(final)
    _made(path, temporary.touch)
    temporary.unlink()


def _temporary(final: Path) -> Path:
    # Beside the final path, since only within one file system is renaming a single step; short, since names have a
    # limit, in bytes or characters.
    return final.with_name(f".dupdetect-{secrets.token_hex(8)}.partial")


def _made(path: str | Path, make: Callable[[], None]) -> None:
    try:
        make()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}. Name another output.") from error


def _take_free_name(path: str | Path, temporary: Path, final: Path) -> None:
    """Give a file its final name, unless another process has put something there in the meantime."""
    try:
        os.link(temporary, final)  # unlike renaming, it never replaces
    except FileExistsError:
        raise OutputExistsError(path) from None
    except (OSError, AttributeError):  # no links on this file system, or none on this platform
        if os.path.lexists(final):
            raise OutputExistsError(path) from None
        temporary.replace(final)
    else:
        with suppress(OSError):
            temporary.unlink()


def _claim_free_name(path: str | Path, temporary: Path, final: Path, *, empty: bool) -> None:
    """Give a folder its final name, unless another process has put something there in the meantime.

    empty: an empty folder was there to begin with, and may be replaced while it is empty.
    """
    try:
        if os.name != "nt":
            # Renaming replaces an empty folder: it must be our own, or the one that we were given.
            final.mkdir(exist_ok=empty)
        elif empty:
            final.rmdir()  # on Windows renaming replaces nothing at all
        temporary.rename(final)
    except FileExistsError:
        raise OutputExistsError(path) from None
    except BaseException as error:
        if os.name != "nt" and not empty:
            with suppress(OSError):
                final.rmdir()  # does nothing when there is anything in it
        if isinstance(error, OSError) and error.errno == errno.ENOTEMPTY:
            raise OutputExistsError(path) from None
        raise


def _refuse_foreign(path: str | Path, final: Path, expected: Collection[str], marker: str) -> None:
    if not final.is_dir():
        raise InputError(f"{path} is not a folder, so it is not overwritten. Name another output folder.")
    home = Path("~").expanduser().resolve()
    if final in {home, Path.cwd(), *Path.cwd().parents} or final.is_mount():
        raise InputError(f"{path} is too important to be overwritten. Name another output folder.")
    found = _unlike_an_output(final, expected, marker)
    if found:
        raise InputError(
            f"{path} does not look like an earlier output ({found}), so it is not overwritten. "
            "Delete it yourself, or name another output folder."
        )


def _unlike_an_output(folder: Path, expected: Collection[str], marker: str) -> str | None:
    """Return what tells that a folder is no earlier output; None when it is one, or empty."""
    with os.scandir(folder) as entries:
        kinds = {entry.name: stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode) for entry in entries}
    files = {name for name, kind in kinds.items() if kind == stat.S_IFREG}
    folders = {name for name, kind in kinds.items() if kind == stat.S_IFDIR}
    names = set(kinds) - (_DEBRIS & files)
    if names and marker not in files:
        return f"there is no file {marker!r} in it"
    foreign = sorted(names - ({marker, *expected} & (files | folders)))
    return f"it holds {foreign[0]!r}" if foreign else None


def _swap(new: Path, final: Path) -> None:
    """Put `new` in the place of the folder `final`, which is deleted; should that fail, `final` is put back.

    Where the system cannot exchange two names, the name is free for a moment: a process that is killed just then leaves
    both folders complete, under hidden names.
    """
    if _exchanged(new, final):
        shutil.rmtree(new, ignore_errors=True)
        return
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


def _exchanged(a: Path, b: Path) -> bool:
    """Exchange the names of two folders in one step; return False where the system or the file system cannot."""
    try:
        import ctypes  # Python itself has no such call

        exchange = ctypes.CDLL(None).renameat2  # Linux
    except (ImportError, TypeError, OSError, AttributeError):
        return False
    exchange.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    exchange.restype = ctypes.c_int
    # Why it fails does not matter: the folders are then renamed one by one, and should that fail too, it says why.
    return bool(exchange(_CURRENT_FOLDER, os.fsencode(a), _CURRENT_FOLDER, os.fsencode(b), _EXCHANGE) == 0)


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
