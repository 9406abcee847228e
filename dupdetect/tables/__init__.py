"""Tabular files and data frames in, text cells out; and CSV back.

`read_table` reads CSV, JSON Lines, Parquet and Excel workbooks; `table_from_frame` takes anything that holds columns.
Both give a `Table` whose cells are strings as they came, and whose notes say in plain sentences what was detected or
repaired on the way. `write_csv` writes what `read_table` reads back cell by cell.
"""

from __future__ import annotations

from dupdetect.tables.frames import table_from_frame
from dupdetect.tables.read import Reading, read_table
from dupdetect.tables.table import Source, Table
from dupdetect.tables.write import write_csv

__all__ = ["Reading", "Source", "Table", "read_table", "table_from_frame", "write_csv"]
