"""Files that are read piece by piece are what they are as a whole."""

import codecs
import csv
import io
import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from table_files import read

from dupdetect.errors import DupdetectError, EncodingError, InputError
from dupdetect.tables import csv_text, encoding, files, json_lines, rows, stream
from dupdetect.tables.encoding import first_fault
from dupdetect.tables.stream import Stream, decoded

TEXTS = st.text(st.sampled_from('ab",;\t \r\n\0éß漢😀\ufeff\u2028'), max_size=40)
BYTES = st.one_of(
    st.binary(max_size=30),
    st.lists(st.sampled_from([b"a", b"\n", b"\0", "é漢".encode(), "😀".encode(), b"\xf0\x9f", b"\x80", b"\xff"])).map(
        b"".join
    ),
)
CODECS = sorted(encoding._IN_PIECES)


@pytest.fixture
def pieces(monkeypatch):
    """Have everything read in pieces of so many bytes or rows."""

    def read_in(size):
        def lines(text, newline=""):
            opened = whole_lines(text, newline)
            opened._CHUNK_SIZE = size
            return opened

        monkeypatch.setattr(Stream, "lines", lines)
        monkeypatch.setattr(stream, "_PIECE", size)
        monkeypatch.setattr(encoding, "_PIECE", 2 * size)
        monkeypatch.setattr(rows, "_ROWS_AT_ONCE", size)
        monkeypatch.setattr(json_lines, "_RECORDS_AT_ONCE", size)

    whole_lines = Stream.lines
    return read_in


def outcome(content, name="export.csv", **options):
    """Return what a file is read as, or the error."""
    try:
        table = read(content, name, **options)
    except DupdetectError as error:
        return type(error), str(error).rpartition("export.csv")[2], getattr(error, "offset", None)
    return table.columns, tuple(table.rows), table.notes, table.source.encoding, table.source.delimiter


any_size = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


class TestPieces:
    @given(text=TEXTS, size=st.integers(1, 4))
    @example(text="a\r\nb\rc\n", size=2)
    @any_size
    def test_lines(self, pieces, text, size):
        pieces(size)
        found = Stream(b"xyz" + text.encode(), 3)
        assert list(found.lines()) == list(io.StringIO(text, newline=""))
        assert list(found.lines("\n")) == list(io.StringIO(text, newline="\n"))
        assert found.first_ink() == text.lstrip()[:1]
        assert found.beginning(5) == text[:5]
        assert ("é" in found) == ("é" in text)

    @given(content=BYTES, size=st.integers(1, 4), codec=st.sampled_from(CODECS))
    @any_size
    def test_decoding(self, pieces, content, size, codec):
        pieces(size)
        try:
            whole = content.decode(codec)
        except UnicodeError:
            whole = None
        try:
            found = "".join(decoded(content, codec))
        except UnicodeError:
            found = None
        if codec == "utf-16" and found is None:
            whole = None  # without a mark, pieces leave it to the whole
        assert found == whole

    @given(content=BYTES, size=st.integers(1, 4))
    @example(content="😀".encode() + b"\x80", size=2)
    @any_size
    def test_the_first_fault(self, pieces, content, size):
        pieces(size)
        try:
            content.decode()
            expected = None
        except UnicodeDecodeError as error:
            expected = error.start
        assert first_fault(content) == expected
        text = content.decode(errors="replace")
        beyond = sum(character > "\x7f" for character in text)
        assert encoding._is_damaged_utf8(content) == (2 * text.count("\ufffd") < beyond)


class TestReading:
    @given(
        text=TEXTS,
        size=st.integers(1, 4),
        codec=st.sampled_from(
            ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "gb18030"]
        ),
        named=st.booleans(),
        on_bad_rows=st.sampled_from(["error", "keep"]),
    )
    @example(text='a,b\n"x\r\ny",é\r\n1,2\n', size=1, codec="utf-16-le", named=False, on_bad_rows="error")
    @any_size
    def test_pieces_of_any_size_give_the_same_table_notes_and_errors(
        self, pieces, text, size, codec, named, on_bad_rows
    ):
        content = text.encode(codec, "ignore")
        options = {"on_bad_rows": on_bad_rows} | ({"encoding": codec} if named else {})
        pieces(1 << 20)
        whole = outcome(content, **options)
        pieces(size)
        assert outcome(content, **options) == whole

    @given(content=BYTES, size=st.integers(1, 4))
    @any_size
    def test_and_so_do_any_bytes(self, pieces, content, size):
        pieces(1 << 20)
        whole = outcome(content)
        pieces(size)
        assert outcome(content) == whole

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    def test_rows_are_those_of_the_csv_module(self, pieces, size):
        content = 'id,text\n1,"é, ""x""\r\n漢"\r\n2,\U0001f600\n\n3,"\r"\n'
        pieces(size)
        expected = [*map(tuple, csv.reader(io.StringIO(content, newline="")))]
        for codec in ("utf-8", "utf-8-sig", "utf-16"):
            assert list(read(content.encode(codec)).rows) == [row for row in expected[1:] if row]

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_keys_that_come_late(self, pieces, size):
        pieces(size)
        table = read('{"b": 1}\n{}\n{"a": "x", "b": 2}\n{"c": "\\ud800"}\n', "export.jsonl")
        assert table.columns == ("b", "a", "c")
        assert table.rows == (("1", "", ""), ("", "", ""), ("2", "x", ""), ("", "", "\ufffd"))
        assert table.notes[0].startswith("4 rows lack")

    def test_the_offset_of_a_fault_behind_many_pieces(self, pieces):
        pieces(8)
        content = b"text\n" + "ä".encode() * 50 + b"\xff\n" + "ä\n".encode() * 50
        with pytest.raises(EncodingError) as caught:
            read(content)
        assert caught.value.offset == content.index(b"\xff")


class TestOrderOfErrors:
    """The first error to be told is that which was told when files were read as a whole."""

    @pytest.mark.parametrize("on_bad_rows", ["error", "keep"])
    def test_broken_quotes_come_before_rows_that_do_not_fit(self, on_bad_rows):
        with pytest.raises(InputError, match="line 4: a quote opens"):
            read('a,b\n1\n2,x\n3,"y\n', on_bad_rows=on_bad_rows)

    def test_a_quote_that_swallows_the_header(self):
        with pytest.raises(InputError, match="line 2: a quote opens"):
            read('\n"a,b\n1,x\n')

    def test_broken_json_comes_before_what_is_no_object(self):
        with pytest.raises(InputError, match="line 3: broken JSON"):
            read('{"a": 1}\n[2]\n{"a"\n', "export.jsonl")


@pytest.mark.parametrize("name", ["export.csv", "export.jsonl"])
def test_what_is_read_never_takes_an_object_a_cell(name, monkeypatch):
    for module in (encoding, files, stream):
        monkeypatch.setattr(module, "_PIECE", 1 << 16)
    if name == "export.csv":
        content = "id,state,kind,text\n" + "".join(f"{n:06},open,é{n % 7},t{n % 9}\n" for n in range(50_000))
    else:
        content = "".join(f'{{"id": "{n:06}", "state": "open", "é": "{n % 7}"}}\n' for n in range(50_000))
    raw = content.encode()
    del content
    tracemalloc.start()
    try:
        table = read(raw, name)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == 50_000
    assert held < len(raw) * 1.2
    assert peak < len(raw) * 2.5 + 2_000_000  # the file and the table; as objects, the cells alone are 8 MB and more


def test_one_column_is_read_with_a_delimiter_that_is_nowhere_in_the_text():
    text = "".join(map(chr, (*range(0x1F, 0xD8), *range(0xE0, 0x120))))
    assert csv_text.absent_delimiter(Stream(text.encode())) == "\xd8"
    assert "\ud800" not in Stream(text.encode())


def test_a_mark_stands_at_the_beginning_only():
    found = Stream(codecs.BOM_UTF8 * 2 + b"a").without_mark()
    assert found.beginning(9) == "\ufeffa"
    assert found.without_mark().without_mark().beginning(9) == "a"
