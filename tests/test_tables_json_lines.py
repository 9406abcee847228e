"""Records in, text cells out."""

import gzip
import json

import pytest
from table_files import read

from dupdetect.errors import EmptyInputError, InputError


class TestJsonLines:
    def test_keys_in_the_order_first_seen(self):
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
    def test_other_names(self, name):
        content = b'{"text": "\xc3\xa4"}\n'
        assert read(gzip.compress(content) if name.endswith(".gz") else content, name).rows == (("ä",),)

    def test_a_list_of_objects(self):
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
    def test_broken(self, content, line):
        with pytest.raises(InputError, match=line):
            read(content, "export.json")

    @pytest.mark.parametrize("content", ["", "{}\n", "[]"])
    def test_empty(self, content):
        with pytest.raises(EmptyInputError):
            read(content, "export.json")

    def test_half_a_surrogate_pair_is_replaced_and_said(self):
        table = read('{"a": "x\\ud800y"}\n{"a": "\\ud83d\\ude00"}\n', "export.jsonl")
        assert table.rows == (("x\ufffdy",), ("😀",))
        assert "1 cell held half of a surrogate pair" in table.notes[0]

    @pytest.mark.parametrize("number", ["1.10", "12345678901234567890.123", "1e999", "-0.0", "-0", "0", "1E5"])
    def test_numbers_stay_as_written(self, number):
        assert read(f'{{"a": {number}}}\n', "export.jsonl").rows == ((number,),)

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            ('{"a": 1}\n\n{"b": 1, "id": 2, "id": 2}\n', 3),
            ('{"a": {"id": 1, "id": 2}}', 1),
            ('[\n{"a": 1},\n\n {"b": 1, "id": 2,\n "id": 3}]', 4),
            ('\n[{"id": 1, "id": 2}]', 2),
        ],
    )
    def test_a_repeated_key_names_line_and_key(self, content, line):
        with pytest.raises(InputError, match=f"line {line}: the key 'id' stands twice"):
            read(content, "export.json")

    def test_a_delimiter_makes_no_sense(self):
        with pytest.raises(InputError, match="delimiter="):
            read('{"a": 1}', "export.jsonl", delimiter=";")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('[{"a": "x"}, 3]', "item 2: an object is wanted, not a number"),
            ('["a"]', "item 1: an object is wanted, not a text"),
            ("[[1], null]", "item 1: an object is wanted, not a list"),
            ('{"a": 1}\nnull\n', "line 2: an object is wanted, not null"),
            ('{"a": 1}\ntrue\n', "line 2: an object is wanted, not true"),
        ],
    )
    def test_what_is_no_object_is_told_how_json_lines_look(self, content, message):
        with pytest.raises(InputError, match=message + ". Write JSON Lines: one object a line, such as"):
            read(content, "export.json")

    def test_deep_nesting_and_huge_numbers_are_named(self):
        with pytest.raises(InputError, match=r"line 1: lists or objects are nested too deeply. Write fewer levels\.$"):
            read('{"a": ' + "[" * 200_000 + "]" * 200_000 + "}", "export.jsonl")
        with pytest.raises(InputError, match="line 2: a whole number has too many digits to be read"):
            read('{"a": 1}\n{"a": ' + "9" * 10_000 + "}", "export.jsonl")


def test_an_answer_of_an_api_is_one_row_with_a_note():
    page = {"tickets": [{"id": 1}, {"id": 2}], "next_page": None}
    table = read(json.dumps(page), "export.json")
    assert len(table) == 1
    assert table.notes == (
        "The file is one object, and so one row. 'tickets' in it is a list of 2 objects: if these are the rows, write "
        "that list alone to a file.",
    )
    assert read(json.dumps([page, page]), "export.json").notes == ()
    assert read(json.dumps({"text": "a", "tags": ["x", "y"], "custom_fields": [{"id": 1}]}), "export.json").notes == ()
