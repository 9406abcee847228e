"""Parquet and whatever gives out Arrow data, by way of polars, which is imported when it is needed and not before."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.cells import table_of_columns, table_of_parts, text_of_column
from dupdetect.tables.limits import MOST_CELLS, check_unpacked
from dupdetect.tables.table import Source, Table

if TYPE_CHECKING:
    import polars as pl

_ROWS_AT_ONCE = 100_000  # each time, the pages before these rows are gone through again
_BYTES_AT_ONCE = 64_000_000  # of rows with lists in them, of which one alone can hold millions of values
_OBJECTS_AT_ONCE = 10_000


def read_parquet(content: bytes, name: str, sha256: str) -> Table:
    import polars as pl

    try:
        lazy = pl.scan_parquet(io.BytesIO(content))
        names = lazy.collect_schema().names()
        if not names:
            raise EmptyInputError(f"{name} has no columns. Export it again.")
        return table_of_parts(names, _parquet_parts(lazy, names, name), Source(name, "parquet", sha256))
    except InputError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        reason = str(error).partition("\n")[0]
        raise InputError(f"{name} is no readable Parquet file ({reason}). Export it again.") from error


def _parquet_parts(lazy: pl.LazyFrame, names: Sequence[str], name: str) -> Iterator[list[list[str]]]:
    """Yield the cells of all columns, part by part, so that a bomb is found before it has gone off."""
    import polars as pl

    rows = lazy.select(pl.len()).collect().item()
    if rows * len(names) > MOST_CELLS:
        raise InputError(
            f"{name} has {rows:,} rows of {len(names):,} columns; {MOST_CELLS:,} cells is the limit for Parquet. "
            "Write only the columns that are needed, or part of the rows."
        )
    nested = any(kind.is_nested() for kind in lazy.collect_schema().dtypes())
    size = start = 0
    count = 1 if nested else _ROWS_AT_ONCE
    while start < rows:
        part = lazy.slice(start, count).collect()
        start += count
        read = int(part.estimated_size())  # a text that is stored once for many rows counts for each of them
        size += read
        check_unpacked(name, size)
        yield from _parts(part)
        if nested:
            count = max(1, min(2 * count, _ROWS_AT_ONCE, count * _BYTES_AT_ONCE // max(read, 1)))


def arrow_table(frame: Any, source: Source) -> Table:
    return arrow_table_of_blocks([frame], source)


def arrow_table_of_blocks(blocks: Sequence[Any], source: Source) -> Table:
    """Return the table of rows that follow one another. blocks: at least one, of the same columns, whose types may
    differ as far as one of them holds what the others do, such as whole numbers and fractions."""
    import polars as pl

    try:
        frames = [block if isinstance(block, pl.DataFrame) else pl.DataFrame(block) for block in blocks]
        frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed")
        if not frame.width:
            return table_of_columns([], [], source)
        return table_of_parts(frame.columns, _parts(frame), source)
    except InputError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        reason = str(error).partition("\n")[0]
        raise InputError(f"The {source.name} cannot be read ({reason}). Rename or convert its columns.") from error


def arrow_cells(values: Any, source: Source) -> list[str]:
    """Return the cells of one column, a series of polars or an array of pyarrow."""
    return [row[0] for row in arrow_table({"": values}, source).rows]


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
