"""Parquet and whatever gives out Arrow data, by way of polars, which is imported when it is needed and not before."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables.cells import table_of_columns, text_of_column
from dupdetect.tables.table import Source, Table

if TYPE_CHECKING:
    import polars as pl


def read_parquet(content: bytes, name: str, sha256: str) -> Table:
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        reason = str(error).partition("\n")[0]
        raise InputError(f"{name} is no readable Parquet file ({reason}). Export it again.") from error
    if not frame.columns:
        raise EmptyInputError(f"{name} has no columns. Export it again.")
    return _polars_table(frame, Source(name, "parquet", sha256))


def arrow_table(frame: Any, source: Source) -> Table:
    import polars as pl

    try:
        return _polars_table(frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame), source)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"The {source.name} cannot be read ({error}). Rename or convert its columns.") from error


def _polars_table(frame: pl.DataFrame, source: Source) -> Table:
    return table_of_columns(frame.columns, [_text_of_series(series) for series in frame.iter_columns()], source)


def _text_of_series(series: pl.Series) -> list[str]:
    import polars as pl

    if series.dtype.is_temporal():
        # Keeps nanoseconds, and needs no time zone data, unlike Python's own datetime.
        series = series.dt.to_string("iso:strict")
    elif series.dtype in {pl.Categorical, pl.Enum}:
        series = series.cast(pl.String)
    return text_of_column(series.to_list())
