"""Any table in, every cell as it came; and CSV that reads back the same."""

import codecs
import csv
import datetime
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import dupdetect.tables
from dupdetect.errors import BadRowsError, ColumnNotFoundError, EmptyInputError, EncodingError, InputError
from dupdetect.tables import Source, Table, read_table, table_from_frame, write_csv

ROWS = [("1", "Wie lösche ich mein Konto?"), ("2", "Où est le reçu — 5 €?")]


@pytest.fixture
def read(tmp_path):
    """Write bytes or text to a file and read it as a table."""

    def read(content, name="export.csv", **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, **options)

    return read


def as_csv(rows=ROWS, delimiter=",", line_end="\n"):
    return "".join(delimiter.join(row) + line_end for row in [("id", "text"), *rows])


class TestEncoding:
    @pytest.mark.parametrize(
        ("mark", "codec"),
        [
            (b"", "utf-8"),
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (codecs.BOM_UTF32_LE, "utf-32-le"),
            (codecs.BOM_UTF32_BE, "utf-32-be"),
            (b"", "utf-16-le"),
            (b"", "utf-16-be"),
            (b"", "cp1252"),
        ],
    )
    def test_is_detected_and_said(self, read, mark, codec):
        table = read(mark + as_csv().encode(codec))
        assert table.columns == ("id", "text")
        assert table.rows == tuple(ROWS)
        assert len(table.notes) == (0 if codec == "utf-8" and not mark else 1)

    def test_the_note_on_cp1252_says_what_to_do(self, read):
        table = read(as_csv().encode("cp1252"))
        assert table.source.encoding == "cp1252"
        assert "cp1252" in table.notes[0]
        assert "--encoding" in table.notes[0]

    @pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("text", ["一个账户怎么注销？", "Как удалить аккаунт?", "上传失败", "plain"])
    def test_utf16_without_a_mark_in_other_scripts(self, read, codec, text):
        table = read(as_csv([("1", text), ("2", text)]).encode(codec))
        assert table.column("text") == [text, text]

    @pytest.mark.parametrize(
        "content",
        [b"id,text\n1,a\0b\n", b"id,text\n1,\0\n", b"id,text\n1,a\0b", b"id,text\n\0,\0", b"id,text\n\0,\0\n1,\0\n"],
    )
    def test_utf8_with_nul_characters_is_not_utf16(self, read, content):
        table = read(content)
        assert table.columns == ("id", "text")
        assert "\0" in table.rows[0][1]

    def test_can_be_named(self, read):
        table = read("text\nпривет\n".encode("koi8-r"), encoding="koi8-r")
        assert table.rows == (("привет",),)
        assert table.source.encoding == "koi8-r"

    def test_named_utf8_still_drops_the_mark(self, read):
        assert read(codecs.BOM_UTF8 + b"text\na\n", encoding="utf-8").columns == ("text",)

    def test_a_named_one_that_fails_gives_the_offset(self, read):
        with pytest.raises(EncodingError, match="offset 6") as caught:
            read(b"text\na\xff\n", encoding="utf-8")
        assert caught.value.offset == 6

    def test_neither_utf8_nor_cp1252(self, read):
        with pytest.raises(EncodingError, match="offset 6"):
            read(b"text\na\x81\n")

    def test_damaged_utf8_is_refused_instead_of_garbled(self, read):
        content = "text\nÜber ä ö ü\n".encode() + b"one bad byte: \xe9\n"
        with pytest.raises(EncodingError) as caught:
            read(content)
        assert (caught.value.encoding, caught.value.offset) == ("utf-8", content.index(b"\xe9\n"))

    @pytest.mark.parametrize("name", ["no-such", "base64", "a\0b"])
    def test_unknown_name(self, read, name):
        with pytest.raises(InputError, match="There is no encoding"):
            read("text\na\n", encoding=name)


class TestDelimiter:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_is_detected_and_said(self, read, delimiter):
        table = read(as_csv(delimiter=delimiter))
        assert table.rows == tuple(ROWS)
        assert table.source.delimiter == delimiter
        assert len(table.notes) == (delimiter != ",")

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("id;price,eur;text\n1;2,50;a\n2;3,50;b\n", ";"),
            ('id;text\n1;"a, b, c"\n2;"d, e, f"\n', ";"),
            ('id,text\n1,"a;b;c;d"\n2,"e;f;g;h"\n', ","),
            ("id,a,b,kind|sort\n1,x,y,p|q\n2,x,y,p|q\n3,x\n", ","),
            ("a;b;c\n", ";"),
            ('"a;b","c;d"\n"1;2","3;4"\n', ","),
            ('id\ttext\n1\t"two\nlines; with, many"\n', "\t"),
            ('id,text\n1,"says ""a;b;c"", ok"\n', ","),
        ],
    )
    def test_quotes_and_text_do_not_mislead(self, read, content, expected):
        assert read(content, on_bad_rows="keep").source.delimiter == expected

    def test_quoted_text_of_a_single_column_keeps_its_commas(self, read):
        table = read('question\n"How, when, why?"\n"a;b"\nplain\n')
        assert table.column("question") == ["How, when, why?", "a;b", "plain"]
        assert table.source.delimiter is None

    def test_unquoted_text_of_a_single_column_keeps_its_commas_too(self, read):
        table = read("question\nHow, when, why?\nplain\nYes, no\n")
        assert table.column("question") == ["How, when, why?", "plain", "Yes, no"]
        assert "One column" in table.notes[0]

    def test_a_header_that_lacks_names_is_not_a_single_column(self, read):
        with pytest.raises(BadRowsError):
            read("question\n1,a\n2,b\n3,c\n")

    def test_the_line_that_excel_writes(self, read):
        table = read("sep=;\r\na,b;c\r\n1;2\r\n")
        assert (table.columns, table.rows) == (("a,b", "c"), (("1", "2"),))

    @pytest.mark.parametrize("delimiter", ["tab", "\\t", "\t"])
    def test_can_be_named(self, read, delimiter):
        assert read("a,b\tc\n1,2\t3\n", delimiter=delimiter).columns == ("a,b", "c")

    def test_tsv_prefers_tabs(self, read):
        assert read("a,b,c\td\n1,2,3\t4\n", "export.tsv").columns == ("a,b,c", "d")
        assert read("a,b\n1,2\n", "export.tsv").columns == ("a", "b")

    @pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
    def test_impossible(self, read, delimiter):
        with pytest.raises(InputError, match="one character"):
            read("a,b\n", delimiter=delimiter)

    def test_beyond_the_sample(self, read):
        body = "".join(f'{number};"a, b"\n' for number in range(40_000))
        assert read("id;text\n" + body).source.delimiter == ";"


class TestCells:
    @pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
    def test_line_ends(self, read, line_end):
        assert read(as_csv(line_end=line_end)).rows == tuple(ROWS)

    @pytest.mark.parametrize("line_end", ["\n", "\r\n"])
    def test_quoted_line_ends_stay_as_they_are(self, read, line_end):
        text = f"Hello,{line_end}\nit says no\r."
        content = f'id,text{line_end}1,"{text.replace(chr(34), chr(34) * 2)}"{line_end}'
        assert read(content).rows == (("1", text),)

    def test_quotes(self, read):
        assert read('a,b\n"say ""hi""",mid"quote\n').rows == (('say "hi"', 'mid"quote'),)

    def test_no_line_end_at_the_end(self, read):
        assert read("a,b\n1,2").rows == (("1", "2"),)

    def test_nul_bytes(self, read):
        assert read(b"a,b\n1,x\x00y\n").rows == (("1", "x\0y"),)

    def test_odd_characters(self, read):
        cells = ("👩‍👩‍👧", "مرحبا", "a\u200bb", "e\u0301", "&amp; <b>", "\u2028", "\x0b\x0c\x1c\x85")
        assert read("a,b,c,d,e,f,g\n" + ",".join(cells) + "\n").rows == (cells,)

    def test_a_cell_longer_than_the_limit_of_the_csv_module(self, read):
        long = "x" * (csv.field_size_limit() + 1)
        assert read(f"a,b\n{long},1\n").rows == ((long, "1"),)

    def test_equal_csv_module(self, read):
        content = '\ufeffa, b ,"c"\n 1 ,"2"x,\n"","""",\'q\'\n'
        assert [*map(list, read(content).rows)] == list(csv.reader(io.StringIO(content[1:])))[1:]

    def test_ten_thousand_identical_rows(self, read):
        assert read("a,b\n" + "same,row\n" * 10_000).rows == (("same", "row"),) * 10_000

    def test_a_hundred_thousand_rows_take_seconds(self, read):
        content = "id,subject,body\n" + "".join(f'{n},Help {n},"Hello,\nplease ""help"""\n' for n in range(100_000))
        start = time.perf_counter()
        assert len(read(content)) == 100_000
        assert time.perf_counter() - start < 8


class TestRows:
    def test_header_only(self, read):
        table = read("id,text\n")
        assert (table.columns, table.rows, len(table)) == (("id", "text"), (), 0)

    def test_one_row(self, read):
        assert read("id,text\n1,a\n").rows == (("1", "a"),)

    @pytest.mark.parametrize("content", [b"", b"\n\n", b" \r\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, b"sep=,\n"])
    def test_empty_file(self, read, content):
        with pytest.raises(EmptyInputError):
            read(content)

    def test_blank_lines_are_no_rows(self, read):
        table = read("\n\nid,text\n\n1,a\n   \n2,b\n\n")
        assert table.rows == (("1", "a"), ("2", "b"))
        assert table.notes == ("3 blank lines were skipped.",)

    def test_empty_cells_are_a_row(self, read):
        assert read("id,text\n,\n").rows == (("", ""),)

    def test_blank_lines_of_a_single_column_are_empty_cells(self, read):
        table = read('text\na\n\n""\n  \nb\n')
        assert table.column("text") == ["a", "", "", "  ", "b"]
        assert "1 blank line was read as empty cells." in table.notes

    def test_ragged_rows_name_the_line_and_the_count(self, read):
        with pytest.raises(BadRowsError, match="line 5") as caught:
            read('id,text\n1,"two\nlines"\n\n3\n4,a,b\n')
        error = caught.value
        assert (error.line, error.cells, error.expected, error.count) == (5, 1, 2, 2)

    def test_ragged_rows_can_be_kept(self, read):
        table = read("id,text\n1\n2,b\n3,c,d,e\n", on_bad_rows="keep")
        assert table.columns == ("id", "text", "", "")
        assert table.rows == (("1", "", "", ""), ("2", "b", "", ""), ("3", "c", "d", "e"))
        assert table.notes == (
            "1 row with too few cells got empty ones at the end.",
            "1 row had too many cells; the header got 2 columns without a name.",
        )

    def test_the_choice_is_checked(self, read):
        with pytest.raises(InputError, match="'error' or 'keep'"):
            read("a\n", on_bad_rows="skip")

    @pytest.mark.parametrize("on_bad_rows", ["error", "keep"])
    @pytest.mark.parametrize("rest", ["", "3,b\n4,c\n", '3,"b"\n4,c\n5,"d', '3,"b, ""quoted"""\n4,"c\n'])
    def test_a_quote_that_never_closes_names_its_line(self, read, rest, on_bad_rows):
        with pytest.raises(InputError, match="line 3: a quote opens"):
            read('id,text\n1,a\n2,"b\n' + rest, on_bad_rows=on_bad_rows)

    def test_a_quote_that_swallows_a_row_names_its_line(self, read):
        content = 'id,text\n1,a\n2,"b\n3,"c"\n4,d\n'
        with pytest.raises(InputError, match="line 3: a quote opens"):
            read(content)
        assert len(read(content, on_bad_rows="keep")) == 3

    def test_text_after_a_closing_quote_is_said(self, read):
        table = read('id,text\n1,"Foo" is broken\n2,"two\nlines"\n')
        assert table.rows == (("1", "Foo is broken"), ("2", "two\nlines"))
        assert "line 2" in table.notes[0]


class TestColumns:
    def test_names_may_be_empty_or_repeated(self, read):
        table = read("id,,text,text,\n1,a,b,c,d\n")
        assert table.columns == ("id", "", "text", "text", "")
        assert table.selectors == ("id", "#1", "text#1", "text#2", "#2")
        assert [table.column(name) for name in table.selectors] == [["1"], ["a"], ["b"], ["c"], ["d"]]

    def test_an_ambiguous_name_says_how_to_choose(self, read):
        with pytest.raises(InputError, match="'text#1' is the first, 'text#2' the second"):
            read("text,text\na,b\n").column("text")

    def test_an_exact_name_wins(self, read):
        assert read("a,a,a#2\n1,2,3\n").column("a#2") == ["3"]

    @pytest.mark.parametrize("name", ["txet", "text#3", "text#0", "text#", "#1", "text#²"])
    def test_unknown(self, read, name):
        with pytest.raises(ColumnNotFoundError):
            read("text,text\na,b\n").column(name)


class TestFiles:
    def test_the_source_is_recorded(self, read, tmp_path):
        source = read("a;b\n").source
        digest = hashlib.sha256(b"a;b\n").hexdigest()
        assert source == Source(str(tmp_path / "export.csv"), "csv", digest, "utf-8", ";")

    @pytest.mark.parametrize("name", ["export.csv.gz", "export.CSV.GZ", "export.csv"])
    def test_gzip(self, read, name):
        assert read(gzip.compress(as_csv().encode()), name).rows == tuple(ROWS)

    def test_gzip_tsv(self, read):
        assert read(gzip.compress(b"a,b\tc\n"), "export.tsv.gz").columns == ("a,b", "c")

    @pytest.mark.parametrize("damage", [lambda raw: raw[:-6], lambda raw: raw[:20], lambda raw: raw[:30] + b"?" * 40])
    def test_broken_gzip(self, read, damage):
        with pytest.raises(InputError, match="damaged or cut off"):
            read(damage(gzip.compress(as_csv(ROWS * 50).encode())), "export.csv.gz")

    def test_not_gzip(self, read):
        with pytest.raises(InputError, match="not gzip"):
            read("a,b\n", "export.csv.gz")

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match="There is no file"):
            read_table(tmp_path / "none.csv")

    def test_folder(self, tmp_path):
        with pytest.raises(InputError, match="is a folder"):
            read_table(tmp_path)

    def test_name_that_no_file_can_have(self):
        with pytest.raises(InputError, match="cannot be read"):
            read_table("a\0b.csv")

    @pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
    def test_excel_workbook(self, read, start):
        with pytest.raises(InputError, match="CSV UTF-8"):
            read(start + bytes(100), "export.xlsx")

    @pytest.mark.parametrize(
        ("content", "rows"),
        [
            (as_csv().encode(), ROWS),
            (b'\n {"id": "1", "text": "a"}\n', [("1", "a")]),
            (gzip.compress(b"id,text\n", mtime=0), []),
        ],
    )
    def test_standard_input(self, monkeypatch, content, rows):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        table = read_table("-")
        assert table.rows == tuple(rows)
        assert table.source.name == "standard input"

    def test_polars_is_not_imported_for_csv(self, tmp_path):
        (tmp_path / "export.csv").write_text("a,b\n")
        environment = {**os.environ, "PYTHONPATH": str(Path(dupdetect.tables.__file__).parents[1])}
        code = "import sys, dupdetect.tables as t; t.read_table('export.csv'); assert 'polars' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


class TestJsonLines:
    def test_keys_in_the_order_first_seen(self, read):
        content = (
            '{"id": 1, "text": "a"}\n\n{"text": "b\\u2028c", "tags": ["x", 2], "ok": true}\r\n{"id": null, "n": 1.5}\n'
        )
        table = read(content, "export.jsonl")
        assert table.columns == ("id", "text", "tags", "ok", "n")
        assert table.rows == (
            ("1", "a", "", "", ""),
            ("", "b\u2028c", '["x", 2]', "true", ""),
            ("", "", "", "", "1.5"),
        )
        assert table.notes == ("3 rows lack some of the keys; these cells are empty.",)

    @pytest.mark.parametrize("name", ["export.ndjson", "export.json", "export.jsonl.gz"])
    def test_other_names(self, read, name):
        content = b'{"text": "\xc3\xa4"}\n'
        assert read(gzip.compress(content) if name.endswith(".gz") else content, name).rows == (("ä",),)

    def test_a_list_of_objects(self, read):
        assert read('[\n{"a": 1},\n{"a": {"b": "ü"}}]', "export.json").rows == (("1",), ('{"b": "ü"}',))

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            ('{"a": 1}\n{"a": \n', "line 2"),
            ('{"a": 1}\n\n[1]\n', "line 3"),
            ('{"a": 1}\n"b"\n', "line 2"),
            ('[\n{"a": 1},\n{"a" 2}]', "line 3"),
            ("[" * 100_000, "line 1"),
            ('{"a": ' + "9" * 5000 + "}", "line 1"),
        ],
        ids=["syntax", "list", "text", "in a list", "depth", "number"],
    )
    def test_broken(self, read, content, line):
        with pytest.raises(InputError, match=line):
            read(content, "export.json")

    @pytest.mark.parametrize("content", ["", "{}\n", "[]"])
    def test_empty(self, read, content):
        with pytest.raises(EmptyInputError):
            read(content, "export.json")

    def test_half_a_surrogate_pair_is_replaced_and_said(self, read):
        table = read('{"a": "x\\ud800y"}\n{"a": "\\ud83d\\ude00"}\n', "export.jsonl")
        assert table.rows == (("x\ufffdy",), ("😀",))
        assert "1 cell held half of a surrogate pair" in table.notes[0]

    def test_a_delimiter_makes_no_sense(self, read):
        with pytest.raises(InputError, match="--delimiter"):
            read('{"a": 1}', "export.jsonl", delimiter=";")


class TestParquet:
    def test_values_as_text(self, tmp_path):
        frame = pl.DataFrame(
            {
                "text": ["a", None],
                "number": [1, None],
                "share": [0.5, float("nan")],
                "ok": [True, None],
                "at": [datetime.datetime(2024, 5, 6, 7, 8), None],
                "zoned": [datetime.datetime(2024, 5, 6, 7, 8, tzinfo=datetime.UTC), None],
                "day": [datetime.date(2024, 5, 6), None],
                "tags": [["x", None], None],
                "nested": [{"k": datetime.date(2024, 5, 6)}, None],
                "raw": [b"caf\xc3\xa9", b"\xff\x00"],
                "kind": pl.Series(["k", None], dtype=pl.Categorical),
            }
        )
        frame.write_parquet(tmp_path / "export.parquet")
        table = read_table(tmp_path / "export.parquet")
        assert table.columns == tuple(frame.columns)
        assert table.rows[0] == (
            "a",
            "1",
            "0.5",
            "true",
            "2024-05-06T07:08:00.000000",
            "2024-05-06T07:08:00.000000+00:00",
            "2024-05-06",
            '["x", null]',
            '{"k": "2024-05-06"}',
            "café",
            "k",
        )
        assert table.rows[1] == ("",) * 9 + ("ff00", "")
        assert table.source.format == "parquet"

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1", b"a,b\n1,2\n"])
    def test_broken(self, read, content):
        with pytest.raises(InputError, match="no readable Parquet file"):
            read(content, "export.parquet")

    def test_cut_off_anywhere(self, read):
        file = io.BytesIO()
        pl.DataFrame({"text": ["a", "b"] * 100}).write_parquet(file)
        for size in range(0, len(file.getvalue()), 37):
            with pytest.raises(InputError):
                read(file.getvalue()[:size], "export.parquet")

    def test_by_another_name(self, read):
        with pytest.raises(InputError, match=r"ends in \.parquet"):
            read(b"PAR1" + bytes(100))

    def test_an_encoding_makes_no_sense(self, read):
        with pytest.raises(InputError, match="--encoding"):
            read(b"", "export.parquet", encoding="utf-8")


CELLS = st.text(
    alphabet=st.one_of(st.sampled_from('",;\t|\r\n \0=\ufeffaé{'), st.characters(codec="utf-8")), max_size=8
)


@st.composite
def headers_and_rows(draw):
    width = draw(st.integers(1, 4))
    row = st.lists(CELLS, min_size=width, max_size=width).map(tuple)
    return draw(row), draw(st.lists(row, max_size=5))


class TestWriting:
    @given(table=headers_and_rows())
    @example(table=(("",), [("",), ("",)]))
    @example(table=((" ",), []))
    @example(table=(("\ufeffid", "a"), [("\0", "\0")]))
    @example(table=(("\0",), [("\0",), ("\n\0\n\0\n\0",)]))
    @example(table=(("sep=;",), [("a;b",), ("c;d",)]))
    @example(table=(("PK\x03\x04", "b"), [("\r", " x ")]))
    @settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_reads_back_the_same_whatever_the_cells(self, tmp_path, table):
        columns, rows = table
        path = tmp_path / "out.csv"
        write_csv(path, columns, rows)
        back = read_table(path)
        assert (back.columns, back.rows) == (columns, tuple(rows))
        assert back.source.encoding == "utf-8"

    @given(table=headers_and_rows())
    @settings(max_examples=100)
    def test_any_csv_reader_agrees(self, table):
        columns, rows = table
        file = io.StringIO(newline="")
        write_csv(file, columns, rows)
        file.seek(0)
        assert list(map(tuple, csv.reader(file, strict=True))) == [columns, *rows]

    def test_is_plain_where_it_can_be(self, tmp_path):
        write_csv(tmp_path / "out.csv", ["id", "text"], [["1", "Wie geht’s?"], ["2", 'a, "b"\r\nc']])
        assert (tmp_path / "out.csv").read_bytes().decode() == 'id,text\n1,Wie geht’s?\n2,"a, ""b""\r\nc"\n'

    @pytest.mark.parametrize(
        "cell",
        [
            "=1+1",
            "+A1",
            "-A1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "-5+cmd|' /C calc'!A0",
            "-",
            "＝1+1",
            "+49 30 1234",
            "--5",
        ],
    )
    def test_excel_safe_defuses_formulas(self, read, cell):
        file = io.StringIO(newline="")
        write_csv(file, [cell, "b"], [["x", cell]], excel_safe=True)
        table = read(file.getvalue())
        assert table.columns == ("'" + cell, "b")
        assert table.rows == (("x", "'" + cell),)

    @pytest.mark.parametrize("cell", ["-5", "+3.2", "-1,234.5", "-1e-5", "text", "a=b", " =1", "", "'=1", "5%"])
    def test_excel_safe_leaves_the_rest(self, read, cell):
        file = io.StringIO(newline="")
        write_csv(file, ["a", "b"], [["x", cell]], excel_safe=True)
        assert read(file.getvalue()).rows == (("x", cell),)

    def test_formulas_stay_unless_asked(self, read):
        file = io.StringIO(newline="")
        write_csv(file, ["a", "b"], [["=1+1", "@x"]])
        assert read(file.getvalue()).rows == (("=1+1", "@x"),)

    def test_rows_of_another_width_are_refused(self):
        with pytest.raises(ValueError, match="2 cells where the header has 1"):
            write_csv(io.StringIO(), ["a"], [["1", "2"]])
        with pytest.raises(ValueError, match="at least one column"):
            write_csv(io.StringIO(), [], [])


DATA = {"id": [1, 2], "text": ["a", None]}


class TestFrames:
    @pytest.mark.parametrize(
        "frame",
        [
            DATA,
            pl.DataFrame(DATA),
            [{"id": 1, "text": "a"}, {"id": 2, "text": None}],
            SimpleNamespace(to_polars=lambda: pl.DataFrame(DATA)),
            SimpleNamespace(__arrow_c_stream__=pl.DataFrame(DATA).__arrow_c_stream__),
            Table(("id", "text"), (("1", "a"), ("2", "")), Source("x", "csv")),
        ],
        ids=lambda frame: type(frame).__name__,
    )
    def test_of_every_kind(self, frame):
        table = table_from_frame(frame)
        assert table.columns == ("id", "text")
        assert table.rows == (("1", "a"), ("2", ""))

    def test_pyarrow(self):
        pyarrow = pytest.importorskip("pyarrow")
        frame = pyarrow.table(DATA)
        assert table_from_frame(frame).rows == table_from_frame(frame.to_reader()).rows == (("1", "a"), ("2", ""))

    def test_pandas(self):
        pandas = pytest.importorskip("pandas")
        assert table_from_frame(pandas.DataFrame(DATA)).rows == (("1", "a"), ("2", ""))

    def test_pandas_with_repeated_and_numeric_names_and_every_missing_value(self):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(
            [["a", float("nan"), pandas.NaT], [None, pandas.NA, pandas.Timestamp("2024-05-06")]], columns=["x", "x", 7]
        )
        table = table_from_frame(frame)
        assert table.columns == ("x", "x", "7")
        assert table.rows == (("a", "", ""), ("", "", "2024-05-06T00:00:00"))

    def test_a_named_pandas_index_becomes_a_column(self):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"id": ["x"], "t": ["a"]}).set_index("id")
        assert table_from_frame(frame).columns == ("id", "t")

    def test_series(self):
        assert table_from_frame(pl.Series("t", ["a", None])).column("t") == ["a", ""]
        pandas = pytest.importorskip("pandas")
        assert table_from_frame(pandas.Series(["a", None], name="t")).column("t") == ["a", ""]

    def test_numpy_values(self):
        frame = {"a": np.array([1.5, np.nan], dtype=np.float32), "b": np.array([True, False]), "c": [np.arange(2), "x"]}
        assert table_from_frame(frame).rows == (("1.5", "true", "[0, 1]"), ("", "false", "x"))

    def test_one_split_of_a_dataset(self):
        datasets = pytest.importorskip("datasets")
        rows = datasets.Dataset.from_dict({"text": ["a", "b", "c"]}).select([2, 0])
        assert table_from_frame(rows).column("text") == ["c", "a"]

    @pytest.mark.parametrize("frame", [{"a": ["x"], "b": []}, {"a": "text"}, {"a": 5}, 5, object(), ["a", {"b": 1}]])
    def test_impossible(self, frame):
        with pytest.raises(InputError):
            table_from_frame(frame)

    def test_all_splits_of_a_dataset_are_not_one_table(self):
        split = SimpleNamespace(column_names=["text"])
        with pytest.raises(InputError, match="one of them"):
            table_from_frame({"train": split, "test": split})

    @pytest.mark.parametrize("frame", [{}, [], pl.DataFrame()])
    def test_empty(self, frame):
        with pytest.raises(EmptyInputError):
            table_from_frame(frame)

    def test_same_text_forms_in_files_and_frames(self, read):
        values = {"n": 3, "f": 0.1, "b": False, "l": ["ä", 1], "d": {"k": None}, "s": " x "}
        assert table_from_frame([values]).rows == read(json.dumps(values), "export.jsonl").rows
