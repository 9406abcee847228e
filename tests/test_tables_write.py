"""CSV that reads back the same."""

import csv
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from table_files import read

from dupdetect.tables import read_table, write, write_csv

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
            " =1",
            "\xa0=1",
            "\ufeff@x",
            "\u200b\u2060 +A1",
            "\0-A1",
            " \xad＝1",
        ],
    )
    def test_excel_safe_defuses_formulas(self, cell):
        file = io.StringIO(newline="")
        write_csv(file, [cell, "b"], [["x", cell]], excel_safe=True)
        table = read(file.getvalue())
        assert table.columns == ("'" + cell, "b")
        assert table.rows == (("x", "'" + cell),)

    @pytest.mark.parametrize(
        "cell", ["-5", "+3.2", "-1,234.5", "-1e-5", "text", "a=b", " -5", "\xa0text", "", "'=1", "5%"]
    )
    def test_excel_safe_leaves_the_rest(self, cell):
        file = io.StringIO(newline="")
        write_csv(file, ["a", "b"], [["x", cell]], excel_safe=True)
        assert read(file.getvalue()).rows == (("x", cell),)

    def test_excel_safe_begins_with_a_mark_that_is_read_back(self, tmp_path):
        path = tmp_path / "out.csv"
        write_csv(path, ["id", "frage"], [["1", "Wie lösche ich das?"]], excel_safe=True)
        assert path.read_bytes() == "\ufeffid,frage\n1,Wie lösche ich das?\n".encode()
        back = read_table(path)
        assert (back.columns, back.rows) == (("id", "frage"), (("1", "Wie lösche ich das?"),))
        write_csv(path, ["id"], [])
        assert path.read_bytes() == b"id\n"

    def test_formulas_stay_unless_asked(self):
        file = io.StringIO(newline="")
        write_csv(file, ["a", "b"], [["=1+1", "@x"]])
        assert read(file.getvalue()).rows == (("=1+1", "@x"),)

    def test_halves_of_surrogate_pairs_are_replaced(self, tmp_path):
        write_csv(tmp_path / "out.csv", ["a\ud800"], [["\udcff b"]])
        back = read_table(tmp_path / "out.csv")
        assert (back.columns, back.rows) == (("a\ufffd",), (("\ufffd b",),))

    def test_rows_of_another_width_are_refused(self):
        with pytest.raises(ValueError, match="2 cells where the header has 1"):
            write_csv(io.StringIO(), ["a"], [["1", "2"]])
        with pytest.raises(ValueError, match="at least one column"):
            write_csv(io.StringIO(), [], [])

    def test_rows_are_written_as_they_come(self, tmp_path):
        path = tmp_path / "out.csv"

        def rows():
            for number in range(5000):
                yield [f"{number:03}", "x" * 100]
            # All but a few parts are there by now: rows are not gathered first.
            assert path.stat().st_size > 400_000

        write_csv(path, ["id", "text"], rows())
        assert len(read_table(path)) == 5000

    @given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), excel_safe=st.booleans())
    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_rows_at_once_change_nothing(self, monkeypatch, rows, excel_safe):
        together, one_by_one = io.StringIO(newline=""), io.StringIO(newline="")
        monkeypatch.setattr(write, "_ROWS_AT_ONCE", 1000)
        write_csv(together, *rows[:1], rows, excel_safe=excel_safe)
        monkeypatch.setattr(write, "_ROWS_AT_ONCE", 1)
        write_csv(one_by_one, *rows[:1], rows, excel_safe=excel_safe)
        assert together.getvalue() == one_by_one.getvalue()
