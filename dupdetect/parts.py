"""An export to a table: a file here or behind a URL, or several parts of one.

read_export("export.csv")                              as `tables.read_table`
read_export("s3://bucket/export.csv")                  fetched first, see `remote`
read_export("parts/*.csv")                             all files that the pattern means, as if they were one
read_export("s3://bucket/day=2026-01-01/*.parquet")
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from dupdetect.errors import DupdetectError, InputError
from dupdetect.progress import Progress, silent
from dupdetect.remote import files_of, is_url, local_copy, shown
from dupdetect.tables import Reading, Source, Table, read_table
from dupdetect.tables.rows import Rows, RowsInTheMaking

__all__ = ["PartedSource", "input_record", "read_export"]


@dataclass(frozen=True, slots=True)
class PartedSource(Source):
    """Where a table came from that was read in several parts, whose name is their pattern."""

    parts: tuple[Source, ...] = ()


def read_export(path: str | Path, *, progress: Progress = silent, **reading: Unpack[Reading]) -> Table:
    """Return the table in a file, behind a URL, or in all the files that a pattern (*, ?, [...], **) means.

    A file that is called like a pattern is that file. Parts are read sorted by their names, character by character, and
    the rows follow one another; each part has a header, and its own encoding. They must be of one format and have the
    same columns in the same order. reading: the options of `read_table`, for each part.

    Raises what `read_table` and `remote.local_copy` do; InputError that names the part for one that is unlike the
    first, and where nothing matches.
    """
    files = files_of(path)
    if files is None:
        return _read(path, progress, reading)
    columns: tuple[str, ...] | None = None
    making = RowsInTheMaking()
    sources: list[Source] = []
    said: dict[str, list[str]] = {}
    for file in files:
        part = _read(file, progress, reading)
        if columns is None:
            columns = part.columns
        else:
            _check_alike(part, sources[0], columns)
        making.add(Rows.of(part.rows, len(columns)))
        sources.append(part.source)
        for note in part.notes:
            said.setdefault(note, []).append(part.source.name)
    assert columns is not None  # noqa: S101 - there is no list of parts without one
    first = sources[0]
    source = PartedSource(
        shown(path) if isinstance(path, str) and is_url(path) else str(path),
        first.format,
        encoding=_common([source.encoding for source in sources]),
        delimiter=_common([source.delimiter for source in sources]),
        given=first.given,
        parts=tuple(sources),
    )
    notes = (
        f"Read in {len(sources):,} {'part' if len(sources) == 1 else 'parts'}, {first.name} first.",
        *(f"{_several(names)}: {note}" for note, names in said.items()),
    )
    return Table(columns, making.finished(len(columns)), source, notes)


def input_record(source: Source) -> dict[str, Any]:
    """Return what run.json says about where the rows came from, and how they were read; of parts, of each."""
    record = {
        "name": source.name,
        "sha256": source.sha256,
        "format": source.format,
        "encoding": source.encoding,
        "delimiter": source.delimiter,
        "options": dict(source.given),
    }
    return record | {"parts": [*map(input_record, source.parts)]} if isinstance(source, PartedSource) else record


def _read(path: str | Path, progress: Progress, reading: Reading) -> Table:
    if not isinstance(path, str) or not is_url(path):
        return read_table(path, **reading)
    name = shown(path)
    with local_copy(path, progress) as file, _called(file, name):
        table = read_table(file, **reading)
    notes = tuple(note.replace(str(file), name) for note in table.notes)
    return replace(table, source=replace(table.source, name=name), notes=notes)


@contextmanager
def _called(file: Path, name: str) -> Iterator[None]:
    """Name in errors not the temporary file, but what it is a copy of."""
    try:
        yield
    except DupdetectError as error:
        error.args = tuple(arg.replace(str(file), name) if isinstance(arg, str) else arg for arg in error.args)
        raise


def _check_alike(part: Table, first: Source, columns: Sequence[str]) -> None:
    name = part.source.name
    if part.source.format != first.format:
        raise InputError(f"{name} is {part.source.format}, and {first.name} is {first.format}. Name parts of one kind.")
    if part.columns == columns:
        return
    missing = [column for column in columns if column not in part.columns]
    more = [column for column in part.columns if column not in columns]
    if missing:
        unlike = f"has no column {missing[0]!r}, and {first.name} has"
    elif more:
        unlike = f"has a column {more[0]!r}, and {first.name} has not"
    elif len(part.columns) != len(columns):
        unlike = f"has {len(part.columns)} columns, some of one name, and {first.name} has {len(columns)}"
    else:
        unlike = f"has its columns in another order than {first.name}"
    raise InputError(
        f"{name} {unlike}: parts must have the same columns in the same order. Correct it, or choose a pattern that "
        "leaves it out."
    )


def _common(values: Sequence[str | None]) -> str | None:
    """Return the value that all have, None where they differ."""
    return values[0] if len(set(values)) == 1 else None


def _several(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"
