"""Parquet and whatever gives out Arrow data, by way of polars, which is imported when it is needed and not before."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.cells import table_of_columns, text_of_column
from dupdetect.tables.limits import MOST_CELLS, check_unpacked
from dupdetect.tables.table import Source, Table

if TYPE_CHECKING:
    import polars as pl

_ROWS_AT_ONCE = 100_000


def read_parquet(content: bytes, name: str, sha256: str) -> Table:
    import polars as pl

    try:
        names, columns = _parquet_columns(pl.scan_parquet(io.BytesIO(content)), name)
    except InputError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        reason = str(error).partition("\n")[0]
        raise InputError(f"{name} is no readable Parquet file ({reason}). Export it again.") from error
    if not names:
        raise EmptyInputError(f"{name} has no columns. Export it again.")
    return table_of_columns(names, columns, Source(name, "parquet", sha256))


def _parquet_columns(lazy: pl.LazyFrame, name: str) -> tuple[list[str], list[list[str]]]:
    """Return the names and the cells of all columns, read in parts, so that a bomb is found before it has gone off."""
    import polars as pl

    names = lazy.collect_schema().names()
    rows = lazy.select(pl.len()).collect().item() if names else 0
    if rows * len(names) > MOST_CELLS:
        raise InputError(
            f"{name} has {rows:,} rows of {len(names):,} columns; {MOST_CELLS:,} cells is the limit for Parquet. "
            "Write only the columns that are needed, or part of the rows."
        )
    columns: list[list[str]] = [[] for _ in names]
    size = 0
    for start in range(0, rows, _ROWS_AT_ONCE):
        part = lazy.slice(start, _ROWS_AT_ONCE).collect()
        size += int(part.estimated_size())  # a text that is stored once for many rows counts for each of them
        check_unpacked(name, size)
        for cells, series in zip(columns, part.iter_columns(), strict=True):
            cells += _text_of_series(series)
    return names, columns


def arrow_table(frame: Any, source: Source) -> Table:
    import polars as pl

    try:
        frame = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
        return table_of_columns(frame.columns, [_text_of_series(series) for series in frame.iter_columns()], source)
    except InputError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        reason = str(error).partition("\n")[0]
        raise InputError(f"The {source.name} cannot be read ({reason}). Rename or convert its columns.") from error


def _text_of_series(series: pl.Series) -> list[str]:
    import polars as pl

    if series.dtype.is_temporal():
        # Keeps nanoseconds, and needs no time zone data, unlike Python's own datetime.
        series = series.dt.to_string("iso:strict")
    elif series.dtype in {pl.Categorical, pl.Enum}:
        series = series.cast(pl.String)
    return text_of_column(series.to_list())
