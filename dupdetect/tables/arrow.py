"""Parquet and whatever gives out Arrow data, by way of polars, which is imported when it is needed and not before."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.cells import table_of_columns, table_of_parts, text_of_column
from dupdetect.tables.limits import MOST_CELLS, check_unpacked
from dupdetect.tables.parquet_footer import values_in
from dupdetect.tables.table import Source, Table

if TYPE_CHECKING:
    import polars as pl

_ROWS_AT_ONCE = 100_000  # each time, the pages before these rows are gone through again
_OBJECTS_AT_ONCE = 10_000


def read_parquet(content: bytes, name: str, sha256: str) -> Table:
    import polars as pl

    try:
        lazy = pl.scan_parquet(io.BytesIO(content))
        names = lazy.collect_schema().names()
        if not names:
            raise EmptyInputError(f"{name} has no columns. Export it again.")
        return table_of_parts(names, _parquet_parts(lazy, names, name, content), Source(name, "parquet", sha256))
    except InputError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        reason = str(error).partition("\n")[0]
        raise InputError(f"{name} is no readable Parquet file ({reason}). Export it again.") from error


def _parquet_parts(lazy: pl.LazyFrame, names: Sequence[str], name: str, content: bytes) -> Iterator[list[list[str]]]:
    """Yield the cells of all columns, part by part, so that a bomb is found before it has gone off."""
    import polars as pl

    rows = lazy.select(pl.len()).collect().item()
    if rows * len(names) > MOST_CELLS:
        raise InputError(
            f"{name} has {rows:,} rows of {len(names):,} columns; {MOST_CELLS:,} cells is the limit for Parquet. "
            "Write only the columns that are needed, or part of the rows."
        )
    _check_values(content, name)
    size = 0
    for start in range(0, rows, _ROWS_AT_ONCE):
        part = lazy.slice(start, _ROWS_AT_ONCE).collect()
        size += int(part.estimated_size())  # a text that is stored once for many rows counts for each of them
        check_unpacked(name, size)
        yield from _parts(part)


def _check_values(content: bytes, name: str) -> None:
    values = values_in(content)
    if values > MOST_CELLS:
        raise InputError(
            f"{name} holds {values:,} values, those in lists each counted; {MOST_CELLS:,} is the limit for Parquet. "
            "Write only the columns that are needed, or part of the rows."
        )


def arrow_table(frame: Any, source: Source) -> Table:
    return arrow_table_of_blocks([frame], source)


def arrow_table_of_blocks(blocks: Sequence[Any], source: Source) -> Table:
    """Return the table of rows that follow one another, each value as text as its own block has it.

    blocks: at least one; all with the same columns, in whatever order and of whatever types.
    """
    import polars as pl

    try:
        frames = [block if isinstance(block, pl.DataFrame) else pl.DataFrame(block) for block in blocks]
        names = frames[0].columns
        if other := next((frame.columns for frame in frames if sorted(frame.columns) != sorted(names)), None):
            raise InputError(
                f"One part of the {source.name} has the columns {', '.join(names)}, and another "
                f"{', '.join(other)}. Give all the same."
            )
        if not names:
            return table_of_columns([], [], source)
        return table_of_parts(names, chain.from_iterable(_parts(frame.select(names)) for frame in frames), source)
    except InputError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        reason = str(error).partition("\n")[0]
        raise InputError(f"The {source.name} cannot be read ({reason}). Rename or convert its columns.") from error


def _parts(frame: pl.DataFrame) -> Iterator[list[list[str]]]:
    for part in frame.iter_slices(_OBJECTS_AT_ONCE):
        yield [_text_of_series(series) for series in part.iter_columns()]


def _text_of_series(series: pl.Series) -> list[str]:
    import polars as pl

    if series.dtype.is_temporal():
        # Keeps nanoseconds, and needs no time zone data, unlike Python's own datetime.
        series = series.dt.to_string("iso:strict")
    elif series.dtype in {pl.Categorical, pl.Enum}:
        series = series.cast(pl.String)
    if series.dtype == pl.Float32:
        return text_of_column(None if value is None else np.float32(value) for value in series.to_list())
    return text_of_column(series.to_list())
