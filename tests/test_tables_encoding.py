"""Characters come out as they were written, whatever the encoding."""

import codecs

import pytest
from table_files import ROWS, as_csv, read

from dupdetect.errors import EncodingError, InputError


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
    def test_is_detected_and_said(self, mark, codec):
        table = read(mark + as_csv().encode(codec))
        assert table.columns == ("id", "text")
        assert table.rows == tuple(ROWS)
        assert len(table.notes) == (0 if codec == "utf-8" and not mark else 1)

    def test_the_note_on_cp1252_says_what_to_do(self):
        table = read(as_csv().encode("cp1252"))
        assert table.source.encoding == "cp1252"
        assert "cp1252" in table.notes[0]
        assert "name the encoding" in table.notes[0]

    @pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("text", ["一个账户怎么注销？", "Как удалить аккаунт?", "上传失败", "plain"])
    def test_utf16_without_a_mark_in_other_scripts(self, codec, text):
        table = read(as_csv([("1", text), ("2", text)]).encode(codec))
        assert table.column("text") == [text, text]

    @pytest.mark.parametrize(
        "content",
        [b"id,text\n1,a\0b\n", b"id,text\n1,\0\n", b"id,text\n1,a\0b", b"id,text\n\0,\0", b"id,text\n\0,\0\n1,\0\n"],
    )
    def test_utf8_with_nul_characters_is_not_utf16(self, content):
        table = read(content)
        assert table.columns == ("id", "text")
        assert "\0" in table.rows[0][1]

    def test_can_be_named(self):
        table = read("text\nпривет\n".encode("koi8-r"), encoding="koi8-r")
        assert table.rows == (("привет",),)
        assert table.source.encoding == "koi8-r"

    def test_named_utf8_still_drops_the_mark(self):
        assert read(codecs.BOM_UTF8 + b"text\na\n", encoding="utf-8").columns == ("text",)

    def test_a_named_one_that_fails_gives_the_offset(self):
        with pytest.raises(EncodingError, match="offset 6") as caught:
            read(b"text\na\xff\n", encoding="utf-8")
        assert caught.value.offset == 6

    def test_neither_utf8_nor_cp1252(self):
        with pytest.raises(EncodingError, match="offset 6"):
            read(b"text\na\x81\n")

    def test_damaged_utf8_is_refused_instead_of_garbled(self):
        content = "text\nÜber ä ö ü\n".encode() + b"one bad byte: \xe9\n"
        with pytest.raises(EncodingError) as caught:
            read(content)
        assert (caught.value.encoding, caught.value.offset) == ("utf-8", content.index(b"\xe9\n"))

    @pytest.mark.parametrize(
        ("encoding", "content"),
        [("unicode_escape", b"text\na\\ud800b\\udfff \\ud83d\\ude00\n"), ("utf-7", b"text\na+2AA-b+3/8- +2D3eAA-\n")],
    )
    def test_halves_of_surrogate_pairs_are_replaced_and_said(self, encoding, content):
        table = read(content, encoding=encoding)
        assert table.rows == (("a\ufffdb\ufffd 😀",),)
        assert "2 halves of surrogate pairs" in table.notes[0]

    @pytest.mark.parametrize("name", ["no-such", "base64", "a\0b"])
    def test_unknown_name(self, name):
        with pytest.raises(InputError, match="There is no encoding"):
            read("text\na\n", encoding=name)

    @pytest.mark.parametrize(
        ("content", "named", "family"),
        [
            (as_csv().encode("utf-16")[:-1], None, "UTF-16"),
            (as_csv().encode("utf-16")[:-1], "utf-16", "UTF-16"),
            (codecs.BOM_UTF16_LE + "id,text\n1,a".encode("utf-16-le") + b"\x00\xd8\n\x00", None, "UTF-16"),
            (codecs.BOM_UTF8 + as_csv().encode() + b"\xff\n", None, "UTF-8"),
            ("text\nGröße Übung äöü\n".encode()[:-2] + b"\xc3", None, "UTF-8"),
            ("text\nGröße Übung äöü\n".encode()[:-2] + b"\xc3", "utf-8", "UTF-8"),
        ],
        ids=["cut", "cut, named", "half a surrogate pair", "marked", "unmarked", "unmarked, named"],
    )
    def test_what_is_damaged_is_not_told_to_try_another_encoding(self, content, named, family):
        with pytest.raises(EncodingError, match=f"is {family}, and damaged or cut off.*copy it again") as caught:
            read(content, encoding=named)
        assert caught.value.damaged
        assert "encoding=" not in str(caught.value)

    def test_another_encoding_than_the_named_one_is_not_called_damaged(self):
        with pytest.raises(EncodingError, match="encoding='cp1252'") as caught:
            read("text\nfällig\n".encode("cp1252"), encoding="utf-8")
        assert not caught.value.damaged
