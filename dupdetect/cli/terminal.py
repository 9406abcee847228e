"""What goes in and out: files, standard output, and the progress bar."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from dupdetect.atomic import check_output_file, check_output_folder
from dupdetect.errors import InputError
from dupdetect.remote import is_url, lies_in, shown

if TYPE_CHECKING:
    from dupdetect.pairs import QuestionPairs
    from dupdetect.tables import Reading

__all__ = [
    "as_json_text",
    "check_free",
    "check_here",
    "check_inputs",
    "printable",
    "read_labelled",
    "show",
    "write_table",
]

_SECONDS = 10.0  # between two lines where there is no terminal


def write_table(
    output: str | None, columns: Sequence[str], rows: Iterator[Sequence[str]], *, excel_safe: bool, overwrite: bool
) -> None:
    from dupdetect.atomic import atomic_file
    from dupdetect.tables import write_csv

    if output is None and sys.stdout is None:
        raise InputError("Standard output is closed. Name a file with -o.")
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # cells go out as they are, whatever the console's habits
            sys.stdout.reconfigure(encoding="utf-8", newline="")
        write_csv(sys.stdout, columns, rows, excel_safe=excel_safe)
        return
    with atomic_file(Path(output), overwrite=overwrite) as place, place.open("w", encoding="utf-8", newline="") as file:
        write_csv(file, columns, rows, excel_safe=excel_safe)


def check_free(
    output: str | Path | None,
    overwrite: bool,
    *inputs: str,
    marker: str | None = None,
    expected: Collection[str] = (),
) -> None:
    """Refuse, before an hour is spent on it, an output that holds one of the inputs, or that cannot be written.

    marker, expected: as for `atomic_folder`, where the output is a folder.
    """
    if output is None:
        return
    if os.path.lexists(output) and overwrite:
        check_inputs(str(output), *inputs)
    if marker is None:
        check_output_file(output, overwrite=overwrite)
    else:
        check_output_folder(output, marker=marker, expected=expected, overwrite=overwrite)


def check_inputs(output: str, *inputs: str) -> None:
    """Refuse an output, a path or a URL, that is one of the inputs or lies around it."""
    for given in inputs:
        if given != "-" and lies_in(given, output):
            name, place = (shown(some) if is_url(some) else some for some in (given, output))
            raise InputError(f"{name} lies in the output {place}, which would be replaced. Name another output.")


def check_here(folder: str) -> None:
    """Refuse a result behind a URL, where pairs of it are to be reviewed: labels are kept in a file beside it."""
    if is_url(folder):
        raise InputError(
            f"{shown(folder)} is not on this machine, and labels are kept in a file beside the folder. Copy it to this "
            "machine, and name the copy."
        )


@contextlib.contextmanager
def show(stage: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar with rate and remaining time on stderr; where that is no terminal, a line every ten seconds."""
    if not sys.stderr.isatty():
        yield _lines(stage, total, unit)
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=stage, unit=f" {unit}", unit_scale=True, delay=1.0, file=sys.stderr) as bar:
        yield bar.update


def _lines(stage: str, total: int, unit: str) -> Callable[[int], None]:
    """Return a function that counts, and now and then writes a line for a log; none for what is soon finished."""
    begun = said = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, said
        done += count
        now = time.monotonic()
        # The last one, too, if there were others.
        if done and (now - said >= _SECONDS or (said > begun and done == total)):
            said = now
            rate = done / (now - begun)
            left = timedelta(seconds=round(max(0, total - done) / rate))
            share = f"{done / total:.0%}, " if total else ""
            speed = f"{rate:,.0f} a second" if rate >= 10 else f"{60 * rate:,.0f} a minute"
            units = f"{done:,} of {total:,} {unit}s, {speed}"
            click.echo(f"{stage}: {share}{units}, {left} left", err=True)

    return advance


def read_labelled(
    path: str, left: str | None, right: str | None, label: str | None, **reading: Unpack[Reading]
) -> QuestionPairs:
    from dupdetect.pairs import read_pairs

    pairs = read_pairs(path, left=left, right=right, label=label, **reading)
    for reason, count in pairs.dropped.to_dict().items():
        if count:
            rows = "row" if count == 1 else "rows"
            click.echo(f"Note: left out {count:,} {rows}: {reason.replace('_', ' ')}.", err=True)
    return pairs


def as_json_text(value: Any) -> str:
    """Return JSON in ASCII: readable by any program, and without control characters for a terminal to obey."""
    return json.dumps(value, indent=2)


def printable(text: str) -> str:
    """Return `text` with control characters as escapes: what came from a file must not steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
