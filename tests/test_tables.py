"""Files of every kind in, columns by name out."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from table_files import ROWS, as_csv, read

import dupdetect.tables
from dupdetect.errors import ColumnNotFoundError, InputError
from dupdetect.tables import Source, arrow, limits, read_table, table_from_frame


def parquet(columns):
    """The bytes of a Parquet file."""
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file, compression="zstd")
    return file.getvalue()


class TestColumns:
    def test_names_may_be_empty_or_repeated(self):
        table = read("id,,text,text,\n1,a,b,c,d\n")
        assert table.columns == ("id", "", "text", "text", "")
        assert table.selectors == ("id", "#1", "text#1", "text#2", "#2")
        assert [table.column(name) for name in table.selectors] == [["1"], ["a"], ["b"], ["c"], ["d"]]

    def test_an_ambiguous_name_says_how_to_choose(self):
        with pytest.raises(InputError, match="'text#1' is the first, 'text#2' the second"):
            read("text,text\na,b\n").column("text")

    def test_an_exact_name_wins(self):
        assert read("a,a,a#2\n1,2,3\n").column("a#2") == ["3"]

    def test_twenty_thousand(self):
        start = time.perf_counter()
        for names in ([f"n{number}" for number in range(20_000)], ["n"] * 20_000):
            table = read(f"{','.join(names)}\n{',' * 19_999}\n")
            assert [table.position(name) for name in table.selectors] == list(range(20_000))
        assert time.perf_counter() - start < 4

    def test_a_bare_number_is_no_column_without_a_name(self):
        with pytest.raises(ColumnNotFoundError):
            read("a,\nx,y\n").position("1")

    @pytest.mark.parametrize(
        "name", ["txet", "text#3", "text#0", "text#", "#1", "text#²", "text#01", "text#" + "9" * 5000]
    )
    def test_unknown(self, name):
        with pytest.raises(ColumnNotFoundError):
            read("text,text\na,b\n").column(name)


class TestFiles:
    def test_the_source_is_recorded(self, tmp_path):
        (tmp_path / "export.csv").write_bytes(b"a;b\n")
        source = read_table(tmp_path / "export.csv").source
        digest = hashlib.sha256(b"a;b\n").hexdigest()
        assert source == Source(str(tmp_path / "export.csv"), "csv", digest, "utf-8", ";")

    @pytest.mark.parametrize("name", ["export.csv.gz", "export.CSV.GZ", "export.csv"])
    def test_gzip(self, name):
        assert read(gzip.compress(as_csv().encode()), name).rows == tuple(ROWS)

    def test_gzip_tsv(self):
        assert read(gzip.compress(b"a,b\tc\n"), "export.tsv.gz").columns == ("a,b", "c")

    @pytest.mark.parametrize("damage", [lambda raw: raw[:-6], lambda raw: raw[:20], lambda raw: raw[:30] + b"?" * 40])
    def test_broken_gzip(self, damage):
        with pytest.raises(InputError, match="damaged or cut off"):
            read(damage(gzip.compress(as_csv(ROWS * 50).encode())), "export.csv.gz")

    def test_not_gzip(self):
        with pytest.raises(InputError, match="not gzip"):
            read("a,b\n", "export.csv.gz")

    @pytest.mark.parametrize("start", [b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"])
    def test_other_packed_files(self, start):
        with pytest.raises(InputError, match="Unpack it"):
            read(start + bytes(100), "export.csv")

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match="There is no file"):
            read_table(tmp_path / "none.csv")

    def test_folder(self, tmp_path):
        with pytest.raises(InputError, match="is a folder"):
            read_table(tmp_path)

    def test_name_that_no_file_can_have(self):
        with pytest.raises(InputError, match="cannot be read"):
            read_table("a\0b.csv")

    @pytest.mark.parametrize("name", ["export.xlsx", "export.xls", "export.csv"])
    def test_excel_workbook_that_is_old_or_locked(self, name):
        with pytest.raises(InputError, match="or one with a password"):
            read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), name)

    @pytest.mark.parametrize(
        ("start", "kind"),
        [(b"%PDF-1.7\n1 0 obj", "a PDF"), (b"\x89PNG\r\n\x1a\n", "a picture"), (b"\xff\xd8\xff\xe0", "a picture")],
    )
    @pytest.mark.parametrize("encoding", [None, "latin-1"])
    def test_documents_and_pictures(self, start, kind, encoding):
        with pytest.raises(InputError, match=f"export.csv is {kind}, not a table"):
            read(start + b"\nid,text\n1,a\n", "export.csv", encoding=encoding)

    def test_excel_workbook_by_another_name(self):
        with pytest.raises(InputError, match=r"a name that ends in \.xlsx"):
            read(b"PK\x03\x04" + bytes(100), "export.csv")

    @pytest.mark.parametrize(
        ("content", "rows"),
        [
            (as_csv().encode(), ROWS),
            (b'\n {"id": "1", "text": "a"}\n', [("1", "a")]),
            (gzip.compress(b"id,text\n", mtime=0), []),
            (parquet({"id": ["1"], "text": ["a"]}), [("1", "a")]),
            (gzip.compress(parquet({"id": ["1"], "text": ["a"]})), [("1", "a")]),
        ],
        ids=["csv", "json lines", "gzip", "parquet", "parquet in gzip"],
    )
    def test_standard_input(self, monkeypatch, content, rows):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        table = read_table("-")
        assert table.rows == tuple(rows)
        assert table.source.name == "standard input"

    def test_broken_parquet_on_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"PAR1,text\n1,a\n")))
        with pytest.raises(InputError, match="standard input is no readable Parquet file"):
            read_table("-")

    def test_closed_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(InputError, match="no standard input"):
            read_table("-")
        closed = io.TextIOWrapper(io.BytesIO())
        closed.close()
        monkeypatch.setattr(sys, "stdin", closed)
        with pytest.raises(InputError, match="cannot be read"):
            read_table("-")

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems want Unicode names")
    def test_a_name_that_is_not_utf8(self, tmp_path):
        path = tmp_path / os.fsdecode(b"\xff.csv")
        with pytest.raises(InputError, match=r"no file .*\ufffd\.csv"):
            read_table(path)
        path.write_text("a,b\n")
        assert read_table(path).source.name == str(tmp_path / "\ufffd.csv")

    def test_polars_is_not_imported_for_csv(self, tmp_path):
        (tmp_path / "export.csv").write_text("a,b\n")
        environment = {**os.environ, "PYTHONPATH": str(Path(dupdetect.tables.__file__).parents[2])}
        code = "import sys, dupdetect.tables as t; t.read_table('export.csv'); assert 'polars' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


class TestBombs:
    """What is small in the file and huge in memory is refused, with the limit, before it is there."""

    @pytest.mark.parametrize("members", [1, 20])
    def test_gzip(self, monkeypatch, members):
        monkeypatch.setattr(limits, "LARGEST_CONTENT", 100_000)
        packed = gzip.compress(b"text\n" + b"a" * (100_000 // members - 5)) * members
        assert len(read(packed, "export.csv.gz").columns) == 1
        with pytest.raises(InputError, match=r"unpacks to more than 100,000 bytes.*unpack it"):
            read(packed + gzip.compress(b"b"), "export.csv.gz")

    def test_parquet_that_stores_a_text_once(self, monkeypatch):
        content = parquet({"text": ["a" * 1000] * 5000})
        assert len(content) < 10_000
        assert len(read(content, "export.parquet")) == 5000
        monkeypatch.setattr(limits, "LARGEST_CONTENT", 1_000_000)
        with pytest.raises(InputError, match=r"unpacks to more than 1,000,000 bytes"):
            read(content, "export.parquet")

    def test_parquet_of_empty_cells(self):
        content = parquet({"a": [None] * 100_000, **{f"n{number}": [None] * 100_000 for number in range(1000)}})
        with pytest.raises(InputError, match=r"100,000 rows of 1,001 columns; 100,000,000 cells is the limit"):
            read(content, "export.parquet")

    def test_parquet_is_read_in_parts(self, monkeypatch):
        monkeypatch.setattr(arrow, "_ROWS_AT_ONCE", 3)
        columns = {"id": list(range(10)), "text": [None, *"abcdefghi"]}
        assert read(parquet(columns), "export.parquet").rows == table_from_frame(columns).rows

    def test_json_lines_of_ever_other_keys(self):
        content = "".join(f'{{"key{number}": 1}}\n' for number in range(20_000))
        with pytest.raises(InputError, match=r"20,000 columns.*399,980,000 empty cells.*100,000,000 is the limit"):
            read(content, "export.jsonl")
        with pytest.raises(InputError, match="100,000,000 is the limit"):
            table_from_frame([{str(number): 1} for number in range(20_000)])

    def test_one_long_row_among_many_short_ones(self):
        content = "a,b\n" + "x\n" * 10_000 + "," * 20_000 + "\n"
        with pytest.raises(InputError, match="100,000,000 is the limit"):
            read(content, on_bad_rows="keep")
