"""Every cell of a CSV file as it came, and an error for rows that do not fit."""

import codecs
import csv
import io
import time

import pytest
from table_files import ROWS, as_csv, read

from dupdetect.errors import BadRowsError, EmptyInputError, InputError


class TestDelimiter:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_is_detected_and_said(self, delimiter):
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
    def test_quotes_and_text_do_not_mislead(self, content, expected):
        assert read(content, on_bad_rows="keep").source.delimiter == expected

    def test_quoted_text_of_a_single_column_keeps_its_commas(self):
        table = read('question\n"How, when, why?"\n"a;b"\nplain\n')
        assert table.column("question") == ["How, when, why?", "a;b", "plain"]
        assert table.source.delimiter is None

    def test_unquoted_text_of_a_single_column_keeps_its_commas_too(self):
        table = read("question\nHow, when, why?\nplain\nYes, no\n")
        assert table.column("question") == ["How, when, why?", "plain", "Yes, no"]
        assert "One column" in table.notes[0]

    def test_text_of_a_single_column_may_hold_as_many_commas_in_every_row(self):
        texts = ["Hi, how do I pay?", "Hi, where is my order?", "Hi, can I cancel?"]
        table = read("\n".join(["question", *texts]))
        assert (table.columns, table.column("question")) == (("question",), texts)
        assert table.source.delimiter is None
        assert "the same number of commas" in table.notes[0]
        with pytest.raises(BadRowsError):
            read("\n".join(["question", *texts]), delimiter=",")

    def test_the_line_that_excel_writes(self):
        table = read("sep=;\r\na,b;c\r\n1;2\r\n")
        assert (table.columns, table.rows) == (("a,b", "c"), (("1", "2"),))

    @pytest.mark.parametrize("delimiter", ["tab", "\\t", "\t"])
    def test_can_be_named(self, delimiter):
        assert read("a,b\tc\n1,2\t3\n", delimiter=delimiter).columns == ("a,b", "c")

    def test_tsv_prefers_tabs(self):
        assert read("a,b,c\td\n1,2,3\t4\n", "export.tsv").columns == ("a,b,c", "d")
        assert read("a,b\n1,2\n", "export.tsv").columns == ("a", "b")

    @pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
    def test_impossible(self, delimiter):
        with pytest.raises(InputError, match=r"(one|another) character, or the word tab \(delimiter=\.\.\.\)"):
            read("a,b\n", delimiter=delimiter)

    def test_beyond_the_sample(self):
        body = "".join(f'{number};"a, b"\n' for number in range(40_000))
        assert read("id;text\n" + body).source.delimiter == ";"


class TestCells:
    @pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
    def test_line_ends(self, line_end):
        assert read(as_csv(line_end=line_end)).rows == tuple(ROWS)

    @pytest.mark.parametrize("line_end", ["\n", "\r\n"])
    def test_quoted_line_ends_stay_as_they_are(self, line_end):
        text = f"Hello,{line_end}\nit says no\r."
        content = f'id,text{line_end}1,"{text.replace(chr(34), chr(34) * 2)}"{line_end}'
        assert read(content).rows == (("1", text),)

    def test_quotes(self):
        assert read('a,b\n"say ""hi""",mid"quote\n').rows == (('say "hi"', 'mid"quote'),)

    def test_no_line_end_at_the_end(self):
        assert read("a,b\n1,2").rows == (("1", "2"),)

    def test_nul_bytes(self):
        assert read(b"a,b\n1,x\x00y\n").rows == (("1", "x\0y"),)

    def test_odd_characters(self):
        cells = ("👩‍👩‍👧", "مرحبا", "a\u200bb", "e\u0301", "&amp; <b>", "\u2028", "\x0b\x0c\x1c\x85")
        assert read("a,b,c,d,e,f,g\n" + ",".join(cells) + "\n").rows == (cells,)

    def test_a_cell_longer_than_the_limit_of_the_csv_module(self):
        long = "x" * (csv.field_size_limit() + 1)
        assert read(f"a,b\n{long},1\n").rows == ((long, "1"),)

    def test_equal_csv_module(self):
        content = '\ufeffa, b ,"c"\n 1 ,"2"x,\n"","""",\'q\'\n'
        assert [*map(list, read(content).rows)] == list(csv.reader(io.StringIO(content[1:])))[1:]

    def test_ten_thousand_identical_rows(self):
        assert read("a,b\n" + "same,row\n" * 10_000).rows == (("same", "row"),) * 10_000

    def test_a_hundred_thousand_rows_take_seconds(self):
        content = "id,subject,body\n" + "".join(f'{n},Help {n},"Hello,\nplease ""help"""\n' for n in range(100_000))
        start = time.perf_counter()
        assert len(read(content)) == 100_000
        assert time.perf_counter() - start < 8


class TestRows:
    def test_header_only(self):
        table = read("id,text\n")
        assert (table.columns, table.rows, len(table)) == (("id", "text"), (), 0)

    def test_one_row(self):
        assert read("id,text\n1,a\n").rows == (("1", "a"),)

    @pytest.mark.parametrize("content", [b"", b"\n\n", b" \r\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, b"sep=,\n"])
    def test_empty_file(self, content):
        with pytest.raises(EmptyInputError):
            read(content)

    def test_blank_lines_are_no_rows(self):
        table = read("\n\nid,text\n\n1,a\n   \n2,b\n\n")
        assert table.rows == (("1", "a"), ("2", "b"))
        assert table.notes == ("3 blank lines were skipped.",)

    def test_empty_cells_are_a_row(self):
        assert read("id,text\n,\n").rows == (("", ""),)

    def test_blank_lines_of_a_single_column_are_empty_cells(self):
        table = read('text\na\n\n""\n  \nb\n')
        assert table.column("text") == ["a", "", "", "  ", "b"]
        assert "1 blank line was read as empty cells." in table.notes

    def test_ragged_rows_name_the_line_and_the_count(self):
        with pytest.raises(BadRowsError, match="line 5") as caught:
            read('id,text\n1,"two\nlines"\n\n3\n4,a,b\n')
        error = caught.value
        assert (error.line, error.cells, error.expected, error.count) == (5, 1, 2, 2)

    def test_a_delimiter_that_was_named_and_is_another_one_is_told(self):
        text = "id;question\n1;hello, you\n2;a, b, c\n"
        with pytest.raises(
            BadRowsError, match=r"',' was named as the delimiter, but the cells .* separated by semicolons"
        ):
            read(text, delimiter=",")
        table = read(text, delimiter="|")
        assert table.columns == ("id;question",)
        assert table.notes == ("'|' was named as the delimiter, but the cells seem to be separated by semicolons.",)
        assert read(text, delimiter=";").notes == ()

    def test_ragged_rows_can_be_kept(self):
        table = read("id,text\n1\n2,b\n3,c,d,e\n", on_bad_rows="keep")
        assert table.columns == ("id", "text", "", "")
        assert table.rows == (("1", "", "", ""), ("2", "b", "", ""), ("3", "c", "d", "e"))
        assert table.notes == (
            "1 row with too few cells got empty ones at the end.",
            "1 row had too many cells; the header got 2 columns without a name.",
        )

    def test_the_choice_is_checked(self):
        with pytest.raises(InputError, match="'error' or 'keep'"):
            read("a\n", on_bad_rows="skip")

    @pytest.mark.parametrize("on_bad_rows", ["error", "keep"])
    @pytest.mark.parametrize("rest", ["", "3,b\n4,c\n", '3,"b"\n4,c\n5,"d', '3,"b, ""quoted"""\n4,"c\n'])
    def test_a_quote_that_never_closes_names_its_line(self, rest, on_bad_rows):
        with pytest.raises(InputError, match="line 3: a quote opens"):
            read('id,text\n1,a\n2,"b\n' + rest, on_bad_rows=on_bad_rows)

    def test_a_quote_that_swallows_a_row_names_its_line(self):
        content = 'id,text\n1,a\n2,"b\n3,"c"\n4,d\n'
        with pytest.raises(InputError, match="line 3: a quote opens"):
            read(content)
        assert len(read(content, on_bad_rows="keep")) == 3

    def test_text_after_a_closing_quote_is_said(self):
        table = read('id,text\n1,"Foo" is broken\n2,"two\nlines"\n')
        assert table.rows == (("1", "Foo is broken"), ("2", "two\nlines"))
        assert "line 2" in table.notes[0]
