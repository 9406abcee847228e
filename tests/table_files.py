"""Tables written to a file and read again, for the tests of `dupdetect.tables`."""

import tempfile
from pathlib import Path

from dupdetect.tables import read_table

ROWS = [("1", "Wie lösche ich mein Konto?"), ("2", "Où est le reçu — 5 €?")]


def read(content, name="export.csv", **options):
    """Write bytes or text to a file and read it as a table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, **options)


def as_csv(rows=ROWS, delimiter=",", line_end="\n"):
    return "".join(delimiter.join(row) + line_end for row in [("id", "text"), *rows])
