"""Excel workbooks in, text cells out."""

import datetime
import gzip
import io
import sys
import zipfile
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_files import read, sheet_xml, workbook

from dupdetect.errors import BadRowsError, EmptyInputError, InputError
from dupdetect.tables import limits, read_table

ROWS = [("id", "text"), ("1", "Wie lösche ich mein Konto?"), ("2", "a <b> & c\nd")]


def number(value, style=0):
    return f'<c s="{style}"><v>{value}</v></c>'


def column(cells, **options):
    """Return the cells of a sheet of one column, below its header."""
    return read(workbook({"S": [("text",), *((cell,) for cell in cells)]}, **options), "export.xlsx").column("text")


class TestCells:
    def test_texts_of_every_kind(self):
        texts = [
            "<t>shared</t>",
            "<r><rPr><b/></rPr><t>in two </t></r><r><t xml:space='preserve'>runs </t></r>",
            "<t>東京</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh>",
            "<t>a_x000D_b_x005F_x000D_</t>",
            "",
        ]
        shared = [f'<c t="s"><v>{position}</v></c>' for position in range(len(texts))]
        formula = '<c t="str"><f>A1&amp;B1</f><v>joined &lt; here</v></c>'
        here = '<c t="inlineStr"><is><r><t>in </t></r><r><t>place</t></r><rPh><t>no</t></rPh></is></c>'
        found = column([*shared, formula, here, '<c t="e"><v>#N/A</v></c>'], texts=texts)
        assert found == [
            *("shared", "in two runs ", "東京", "a\rb_x000D_", "", "joined < here", "in place", "#N/A"),
        ]

    @pytest.mark.parametrize(
        ("written", "shown"),
        [
            ("3", "3"),
            ("3.0", "3"),
            ("-12.50", "-12.5"),
            ("0.30000000000000004", "0.3"),
            ("12345678901234567890", "12345678901234567890"),
            ("1.5E+3", "1500"),
            ("1E-7", "1e-07"),
            ("1E+300", "1e+300"),
        ],
    )
    def test_numbers(self, written, shown):
        assert column([number(written)]) == [shown]

    def test_booleans(self):
        assert column(['<c t="b"><v>1</v></c>', '<c t="b"><v>0</v></c>']) == ["TRUE", "FALSE"]

    @pytest.mark.parametrize(
        ("days", "code", "shown"),
        [
            ("45369", "yyyy-mm-dd", "2024-03-18"),
            ("45369", 'd" de "mmm', "2024-03-18"),
            ("45369", "[$-409]mmmm;@", "2024-03-18"),
            ("45369", "dd.mm.yyyy hh:mm", "2024-03-18"),
            ("45369.961875", "m/d/yy h:mm AM/PM", "2024-03-18T23:05:06"),
            ("45369.961875", "yyyy-mm-dd", "2024-03-18T23:05:06"),
            ("45369.5000000116", "yyyy-mm-dd", "2024-03-18T12:00:00.001"),
            ("0.5", "h:mm:ss", "12:00:00"),
            ("1.5", "[h]:mm:ss", "36:00:00"),
            ("1", "yyyy-mm-dd", "1900-01-01"),
            ("61", "yyyy-mm-dd", "1900-03-01"),
            ("-1", "yyyy-mm-dd", "-1"),
            ("1E+9", "yyyy-mm-dd", "1000000000"),
            ("5", '0 "days"', "5"),
            ("5", "[Red]0.00;@", "5"),
            ("5", "General", "5"),
            ("0.5", "0%", "0.5"),
            ("123", "00000", "00123"),
            ("1.5", "00000", "1.5"),
            ("-5", "000", "-005"),
            ("7", "0" * 255, "7".zfill(255)),
            ("7", "0" * 256, "7"),  # longer than spreadsheets write
            ("45369", "yyyy-mm-dd" + "[" * 1_000_000, "45369"),
        ],
    )
    def test_number_formats(self, days, code, shown):
        assert column([number(days, 1)], formats=[code]) == [shown]

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(st.datetimes(datetime.datetime(1900, 3, 1), datetime.datetime(9999, 12, 31)), min_size=1, max_size=20),
        st.booleans(),
    )
    def test_moments_to_the_second(self, moments, from_1904):
        moments = [moment.replace(microsecond=0) for moment in moments if not from_1904 or moment.year > 1904]
        start = datetime.datetime(1904, 1, 1) if from_1904 else datetime.datetime(1899, 12, 30)
        cells = [number(repr((moment - start) / datetime.timedelta(days=1)), 1) for moment in moments]
        properties = '<workbookPr date1904="1"/>' if from_1904 else ""
        found = column(cells, formats=["yyyy-mm-dd hh:mm:ss"], properties=properties)
        midnight = datetime.time()
        assert found == [str(at.date()) if at.time() == midnight else at.isoformat() for at in moments]

    def test_built_in_formats_go_by_their_number(self):
        styles = '<styleSheet><cellXfs><xf numFmtId="14"/><xf numFmtId="21"/><xf numFmtId="22"/></cellXfs></styleSheet>'
        cells = [number("45369", 0), number("0.5", 1), number("45369.5", 2), number("7", 99)]
        found = column(cells, parts={"xl/styles.xml": styles})
        assert found == ["2024-03-18", "12:00:00", "2024-03-18T12:00:00", "7"]

    def test_formulas_that_were_never_computed_are_counted(self):
        rows = [
            ("text", "n"),
            ("a", "<c><f>1+2</f></c>"),
            ("b", "<c><f>1+2</f><v>3</v></c>"),
            ("c", '<c t="str"><f>A</f><v/></c>'),
        ]
        table = read(workbook({"S": rows}), "export.xlsx")
        assert table.column("n") == ["", "3", ""]
        assert table.notes == (
            "1 formula was never computed, and read as empty cells. Open the file in a spreadsheet and save it to have "
            "them computed.",
        )

    @pytest.mark.parametrize(
        "cell",
        [
            *('<c t="s"><v>7</v></c>', '<c t="s"><v>-1</v></c>', "<c><v>x</v></c>", "<c><v>nan</v></c>"),
            *(
                '<c r="XFE1"><v>1</v></c>',
                '<c r="1"><v>1</v></c>',
                '<c r="A1"/><c r="A1"><v>1</v></c><c r="A1"><v>1</v></c>',
            ),
        ],
    )
    def test_what_means_nothing_is_refused(self, cell):
        with pytest.raises(InputError, match="no readable Excel workbook"):
            column([cell], texts=["<t>a</t>"])


class TestRows:
    def test_cells_stand_where_their_references_say(self):
        xml = (
            '<x:worksheet xmlns:x="urn:main"><x:sheetData><x:row r="3"><x:c r="B3" t="str"><x:v>a</x:v></x:c>'
            '<x:c t="str"><x:v>b</x:v></x:c></x:row><x:row><x:c r="C4"><x:v>1</x:v></x:c><x:c r="XFD4" s="1"/></x:row>'
            "</x:sheetData></x:worksheet>"
        )
        table = read(workbook({"S": xml}), "export.xlsx")
        assert (table.columns, table.rows) == (("", "a", "b"), (("", "", "1"),))

    def test_rows_may_come_in_any_order(self):
        rows = "".join(f'<row r="{row}"><c><v>{row}</v></c></row>' for row in (3, 1, 2))
        table = read(workbook({"S": f"<worksheet><sheetData>{rows}</sheetData></worksheet>"}), "export.xlsx")
        assert (table.columns, table.rows) == (("1",), (("2",), ("3",)))
        with pytest.raises(InputError, match="row 2 is there twice"):
            read(workbook({"S": f"<worksheet>{rows}<row r='2'><c><v>5</v></c></row></worksheet>"}), "export.xlsx")

    def test_blank_rows_are_no_rows(self):
        table = read(workbook({"S": [(), ("id", "text"), (), ("1", "a"), ("", ""), ("2", "b"), ()]}), "export.xlsx")
        assert table.rows == (("1", "a"), ("2", "b"))
        assert table.notes == ("2 blank rows were skipped.",)

    def test_blank_rows_of_one_column_are_cells(self):
        table = read(workbook({"S": [("text",), ("a",), (), ("b",), ()]}), "export.xlsx")
        assert table.rows == (("a",), ("",), ("b",))
        assert table.notes == ("1 blank row was read as empty cells.",)

    def test_cells_beyond_the_header(self):
        content = workbook({"S": [("id", "text"), ("1",), ("2", "b", "", "seen?")]})
        with pytest.raises(BadRowsError, match=r"export\.xlsx, line 3: 4 cells where the header has 2 \(1 such row"):
            read(content, "export.xlsx")
        table = read(content, "export.xlsx", on_bad_rows="keep")
        assert table.columns == ("id", "text", "", "")
        assert table.rows == (("1", "", "", ""), ("2", "b", "", "seen?"))
        assert table.notes == ("1 row had too many cells; the header got 2 columns without a name.",)

    def test_a_header_alone(self):
        table = read(workbook({"S": ROWS[:1]}), "export.xlsx")
        assert (table.columns, table.rows) == (("id", "text"), ())


class TestSheets:
    def test_the_only_one(self):
        table = read(workbook({"Tickets": ROWS}), "export.xlsx")
        assert (table.columns, table.rows, table.notes) == (ROWS[0], tuple(ROWS[1:]), ())
        assert (table.source.format, len(table.source.sha256)) == ("xlsx", 64)

    def test_the_only_one_with_anything_in_it(self):
        table = read(workbook({"Cover": [("",)], "Tickets": ROWS}), "export.xlsm")
        assert table.rows == tuple(ROWS[1:])
        assert table.notes == ("Read is the sheet 'Tickets', the only one that holds anything.",)

    def test_hidden_ones_are_left_out_unless_they_are_named(self):
        content = workbook({"Tickets": ROWS, "lists": [("state",), ("open",)]}, hidden=["lists"])
        table = read(content, "export.xlsx")
        assert (table.rows, table.notes) == (
            tuple(ROWS[1:]),
            ("Read is the sheet 'Tickets'; 1 hidden one is left out.",),
        )
        assert read(content, "export.xlsx", sheet="lists").rows == (("open",),)

    def test_several(self):
        content = workbook({"Tickets": ROWS, 'F&A "Q"': [("question",), ("a",)]})
        with pytest.raises(
            InputError, match=r"""2 sheets that hold something: 'Tickets', 'F&A "Q"'\. Name .*sheet=\.\.\."""
        ):
            read(content, "export.xlsx")
        assert read(content, "export.xlsx", sheet='F&A "Q"').rows == (("a",),)
        with pytest.raises(InputError, match=r"no sheet 'tickets'\. Name one of 'Tickets'"):
            read(content, "export.xlsx", sheet="tickets")

    @pytest.mark.parametrize("sheets", [{}, {"S": []}, {"S": [], "T": [("", "")]}])
    def test_nothing_in_any(self, sheets):
        with pytest.raises(EmptyInputError):
            read(workbook(sheets), "export.xlsx")

    def test_all_hidden(self):
        with pytest.raises(EmptyInputError, match="Hidden are 'S': name one"):
            read(workbook({"S": ROWS}, hidden=["S"]), "export.xlsx")

    def test_charts_are_no_sheets(self):
        relations = workbook({"S": ROWS, "Chart": "<chartsheet/>"})
        with zipfile.ZipFile(io.BytesIO(relations)) as archive:
            path = "xl/_rels/workbook.xml.rels"
            changed = (
                archive.read(path).decode().replace('worksheet" Target="worksheets/sheet2', 'chartsheet" Target="x')
            )
        content = workbook({"S": ROWS, "Chart": "<chartsheet/>"}, parts={path: changed})
        assert read(content, "export.xlsx").notes == ()

    def test_other_files_have_none(self):
        with pytest.raises(InputError, match=r"no Excel workbook, so it has no sheet 'S'"):
            read("a,b\n1,2\n", sheet="S")
        with pytest.raises(InputError, match="Parquet, which has no sheet"):
            read(b"", "export.parquet", sheet="S")

    @pytest.mark.parametrize("option", [{"encoding": "utf-8"}, {"delimiter": ","}])
    def test_options_of_text_make_no_sense(self, option):
        with pytest.raises(InputError, match=f"Excel workbook, which has no {next(iter(option))}"):
            read(workbook({"S": ROWS}), "export.xlsx", **option)


class TestFiles:
    @pytest.mark.parametrize("packed", [False, True])
    def test_standard_input(self, monkeypatch, packed):
        content = workbook({"S": ROWS})
        content = gzip.compress(content) if packed else content
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        assert read_table("-").rows == tuple(ROWS[1:])

    def test_utf16(self):
        xml = '<?xml version="1.0" encoding="UTF-16"?>' + sheet_xml(ROWS)
        assert read(workbook({"S": xml.encode("utf-16")}), "export.xlsx").rows == tuple(ROWS[1:])

    @pytest.mark.parametrize(
        "content", [b"id,text\n1,a\n", b"PK\x03\x04", b"PK\x03\x04" + bytes(100), b"<html></html>"]
    )
    def test_no_workbook_at_all(self, content):
        with pytest.raises(InputError, match=r"export\.xlsx is no readable Excel workbook"):
            read(content, "export.xlsx")

    @pytest.mark.parametrize(
        "parts",
        [
            {"_rels/.rels": None},
            {"xl/workbook.xml": None, "content.xml": "<office/>"},
            {"xl/worksheets/sheet1.xml": None},
            {"xl/worksheets/sheet1.xml": sheet_xml(ROWS)[:-5]},
            {"xl/sharedStrings.xml": "no xml"},
        ],
    )
    def test_parts_that_are_missing_or_broken(self, parts):
        with pytest.raises(InputError, match="no readable Excel workbook"):
            read(workbook({"S": ROWS}, parts=parts), "export.xlsx")

    def test_damaged_anywhere(self):
        """Either noticed, or where it does not matter."""
        content = workbook({"S": ROWS})
        whole = read(content, "export.xlsx").rows
        for size in range(4, len(content), 61):
            with pytest.raises(InputError):
                read(content[:size], "export.xlsx")
        for place in range(4, len(content), 17):
            damaged = content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]
            try:
                assert read(damaged, "export.xlsx").rows == whole
            except InputError:
                continue


class TestBombs:
    def test_entities(self):
        doctype = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        for part in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/sharedStrings.xml", "_rels/.rels"):
            with pytest.raises(InputError, match="document type"):
                read(workbook({"S": ROWS}, parts={part: f"{doctype}<x>&b;</x>"}), "export.xlsx")

    def test_what_unpacks_to_too_much(self, monkeypatch):
        content = workbook({"S": [("text",), ("a" * 2_000_000,)]})
        assert len(content) < 10_000
        assert len(read(content, "export.xlsx").rows[0][0]) == 2_000_000
        monkeypatch.setattr(limits, "LARGEST_CONTENT", 1_000_000)
        with pytest.raises(InputError, match=r"unpacks to more than 1,000,000 bytes"):
            read(content, "export.xlsx")

    def test_an_archive_that_says_that_it_is_small(self, monkeypatch):
        """The sizes in its directory are lies, and the checksum is that of what they would cut off."""
        content = workbook({"S": [("text",), ("a" * 2_000_000,)]})
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sheet = archive.getinfo("xl/worksheets/sheet1.xml")
            beginning = archive.read(sheet)[:1000]
        true, false = sheet.file_size.to_bytes(4, "little"), (1000).to_bytes(4, "little")
        checksums = [value.to_bytes(4, "little") for value in (sheet.CRC, zlib.crc32(beginning))]
        assert content.count(true) == content.count(checksums[0]) == 2
        content = content.replace(true, false).replace(*checksums)
        monkeypatch.setattr(limits, "LARGEST_CONTENT", 1_000_000)
        with pytest.raises(InputError, match="no readable Excel workbook"):
            read(content, "export.xlsx")

    def test_one_text_for_many_cells(self, monkeypatch):
        cell = '<c t="s"><v>0</v></c>'
        content = workbook({"S": [("text",), *[(cell,)] * 500]}, texts=[f"<t>{'a' * 30_000}</t>"])
        monkeypatch.setattr(limits, "LARGEST_CONTENT", 10_000_000)
        with pytest.raises(InputError, match=r"unpacks to more than 10,000,000 bytes"):
            read(content, "export.xlsx")

    def test_cells_that_are_far_apart(self, monkeypatch):
        rows = [("a",), *[('<c r="XFD1"><v>1</v></c>',)] * 70]
        monkeypatch.setattr(limits, "MOST_CELLS", 1_000_000)
        with pytest.raises(InputError, match="1,000,000 is the limit"):
            read(workbook({"S": rows}), "export.xlsx", on_bad_rows="keep")

    def test_a_far_cell_costs_nothing(self):
        first, last = '<row r="1"><c t="str"><v>a</v></c></row>', '<row r="1048576"><c r="A1"><v>1</v></c></row>'
        xml = f"<worksheet>{first}{last}</worksheet>"
        table = read(workbook({"S": xml}), "export.xlsx")
        assert len(table) == 1_048_575

    @pytest.mark.parametrize("row", ["0", "1048577", "-1", "9999999999999", "x", "²"])
    def test_rows_that_no_sheet_has(self, row):
        with pytest.raises(InputError, match="a row or column has the number"):
            read(workbook({"S": f'<worksheet><row r="{row}"><c><v>1</v></c></row></worksheet>'}), "export.xlsx")


def test_halves_of_surrogate_pairs_are_joined_or_replaced():
    rows = [["id_xD800_", "text"], ["1", "pay _xD83D__xDE00_ now"], ["_xDBFF_", "pay _xD83D_ now"]]
    table = read(workbook({"A": rows}), "a.xlsx")
    assert table.columns == ("id\ufffd", "text")
    assert table.rows == (("1", "pay \U0001f600 now"), ("\ufffd", "pay \ufffd now"))
    assert any("3 cells held half of a surrogate pair" in note for note in table.notes)
