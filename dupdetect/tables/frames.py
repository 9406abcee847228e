"""Data frames, and plain lists and dicts, to tables."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dupdetect.errors import InputError
from dupdetect.tables.arrow import arrow_table, arrow_table_of_blocks
from dupdetect.tables.cells import table_of_columns, text_of, text_of_column
from dupdetect.tables.json_lines import cells_of_records
from dupdetect.tables.table import Source, Table

# By the names that pandas, polars and pyarrow give their types, for Python's own numbers have more digits.
_SHORT_FLOATS: dict[str, type[np.floating[Any]]] = {
    **dict.fromkeys(("float16", "halffloat[pyarrow]", "halffloat"), np.float16),
    **dict.fromkeys(("float32", "float[pyarrow]", "float"), np.float32),
}


def is_arrow_column(values: object) -> bool:
    """Tell whether `values` are an array or a chunked array of pyarrow: one column, without a name."""
    return hasattr(values, "to_pylist") and not hasattr(values, "column_names")


def is_ray_dataset(frame: object) -> bool:
    """Tell whether `frame` is a dataset of `ray.data`, without importing Ray."""
    return hasattr(frame, "to_arrow_refs") and hasattr(frame, "iter_batches")


def plain_values(values: Any) -> Any:
    """Return the values of an Arrow column as a list of Python's own, and anything else as it is."""
    return values.to_pylist() if is_arrow_column(values) else values


def table_from_frame(frame: object) -> Table:
    """Return the table in a data frame, its values as text in the way of `read_table`.

    Takes what pandas (a named index becomes a column), polars, pyarrow, `datasets` (one split) and `ray.data` (its rows
    in order) make, anything else with `__arrow_c_stream__`, a mapping of names to equally long sequences, a sequence of
    mappings, and a `Table`. NaN and its like are empty cells.

    Raises `InputError` for anything else, and `EmptyInputError` when there are no columns.
    """
    if isinstance(frame, Table):
        return frame
    source = Source(_kind(frame), "frame")
    if isinstance(frame, list | tuple) and all(isinstance(record, Mapping) for record in frame):
        columns, rows, notes = cells_of_records(frame, source.name)
        return Table(columns, rows, source, tuple(notes))
    if hasattr(frame, "to_frame") and not hasattr(frame, "columns"):
        # A Series of pandas or polars; the labels of the former's index are no cells.
        frame = (frame.reset_index(drop=True) if hasattr(frame, "reset_index") else frame).to_frame()
    if isinstance(frame, Mapping):
        return table_of_columns([str(key) for key in frame], [*map(_cells_of_sequence, frame.values())], source)
    if hasattr(frame, "iloc"):
        return _pandas_table(frame, source)
    if is_ray_dataset(frame):
        return _ray_table(frame, source)
    if hasattr(frame, "to_polars"):
        frame = frame.to_polars()  # for datasets.Dataset: its Arrow table ignores what select() and shuffle() did
    if hasattr(frame, "__arrow_c_stream__") and not is_arrow_column(frame):
        return arrow_table(frame, source)
    if hasattr(frame, "collect"):
        raise InputError(f"The {source.name} holds no rows yet. Hand in what its .collect() returns.")
    raise InputError(
        f"No table can be made of a {source.name}. Hand in a data frame (pandas, polars, pyarrow, one split of a "
        "dataset), a dict of lists, or a list of dicts."
    )


def _kind(frame: object) -> str:
    return f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}".removeprefix("builtins ")


def _ray_table(dataset: Any, source: Source) -> Table:
    options = dataset.context.execution_options
    asked = options.preserve_order
    options.preserve_order = True  # else blocks come as they are finished, and `keep="first"` would be a matter of luck
    try:
        blocks = list(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    finally:
        options.preserve_order = asked
    if not blocks:
        names = dataset.columns() or []
        return table_of_columns(names, [[] for _ in names], source)
    return arrow_table_of_blocks(blocks, source)


def _cells_of_sequence(values: Any) -> list[str]:
    if hasattr(values, "column_names") or hasattr(values, "columns") or isinstance(values, Mapping):
        raise InputError("A dict of tables was handed in, such as all splits of a dataset. Hand in one of them.")
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"Each column must be a list of values, not {reprlib.repr(values)}. Put it in a list.")
    if hasattr(values, "iloc"):
        return _cells_of_pandas(values)
    short = _SHORT_FLOATS.get(str(getattr(values, "dtype", getattr(values, "type", ""))).lower())
    if short is not None:
        return text_of_column(None if value is None else short(value) for value in plain_values(values))
    return text_of_column(plain_values(values))


def _cells_of_pandas(series: Any) -> list[str]:
    missing = series.isna().tolist()
    dtype = getattr(series.dtype, "categories", series).dtype  # of the categories, where there are any
    short = _SHORT_FLOATS.get(str(dtype).lower())
    if short is None:
        return ["" if gone else text_of(value) for value, gone in zip(series.tolist(), missing, strict=True)]
    return ["" if gone else text_of(short(value)) for value, gone in zip(series.array, missing, strict=True)]


def _pandas_table(frame: Any, source: Source) -> Table:
    # By position and without Arrow: names may repeat or be no strings, and pyarrow may not be installed.
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index(allow_duplicates=True)
    columns = [_cells_of_pandas(frame.iloc[:, position]) for position in range(frame.shape[1])]
    return table_of_columns([str(name) for name in frame.columns], columns, source)
