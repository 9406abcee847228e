"""Parquet and data frames in, text cells out."""

import contextlib
import datetime
import io
import json
from decimal import Decimal
from types import SimpleNamespace

import hypothesis
import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st
from table_files import read

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.tables import Source, Table, arrow, read_table, table_from_frame
from dupdetect.tables.parquet_footer import values_in


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
        assert table.rows[1] == ("",) * 9 + (r"\xff00", "")
        assert table.source.format == "parquet"

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1", b"a,b\n1,2\n"])
    def test_broken(self, content):
        with pytest.raises(InputError, match="no readable Parquet file"):
            read(content, "export.parquet")

    def test_cut_off_anywhere(self):
        file = io.BytesIO()
        pl.DataFrame({"text": ["a", "b"] * 100}).write_parquet(file)
        for size in range(0, len(file.getvalue()), 37):
            with pytest.raises(InputError):
                read(file.getvalue()[:size], "export.parquet")

    def test_by_another_name(self):
        with pytest.raises(InputError, match=r"ends in \.parquet"):
            read(b"PAR1" + bytes(100))

    def test_an_encoding_makes_no_sense(self):
        with pytest.raises(InputError, match="encoding="):
            read(b"", "export.parquet", encoding="utf-8")


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

    @pytest.mark.parametrize("group", [None, 1, 7])
    @pytest.mark.parametrize("writer", ["polars", "pyarrow"])
    def test_the_footer_says_how_many_values_there_are(self, writer, group):
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        lists = [list(range(row % 7)) for row in range(60)]
        columns = {"row": range(60), "of": lists, "in": [{"a": row, "b": [str(row)] * 2} for row in range(60)]}
        frame, file = pl.DataFrame(columns), io.BytesIO()
        if writer == "polars":
            frame.write_parquet(file, row_group_size=group)
        else:
            table = frame.to_arrow().replace_schema_metadata({f"k{n}": "v" * 50 for n in range(40)})
            parquet.write_table(pyarrow.table(table), file, row_group_size=group, store_schema=True)
        found = parquet.ParquetFile(io.BytesIO(file.getvalue())).metadata
        chunks = ((group, column) for group in range(found.num_row_groups) for column in range(found.num_columns))
        expected = sum(found.row_group(group).column(column).num_values for group, column in chunks)
        assert values_in(file.getvalue()) == expected
        rows = read(file.getvalue(), "export.parquet").rows
        assert [(row[0], row[1]) for row in rows] == [(str(row), json.dumps(of)) for row, of in enumerate(lists)]

    @hypothesis.given(st.binary(max_size=60), st.integers(0, 80))
    def test_a_damaged_footer_is_refused(self, noise, place):
        file = io.BytesIO()
        pl.DataFrame({"of": [[1, 2], [3]]}).write_parquet(file)
        content = bytearray(file.getvalue())
        content[-8 - place : -8 - place + len(noise)] = noise
        with contextlib.suppress(ValueError):
            assert isinstance(values_in(bytes(content)), int)
        with contextlib.suppress(InputError):
            read(bytes(content), "export.parquet")

    def test_lists_that_hold_too_much_are_refused_before_they_are_read(self, monkeypatch):
        file = io.BytesIO()
        pl.DataFrame({"of": [[0]] * 1000 + [[0] * 1_000_000] * 20}).write_parquet(file)
        assert len(file.getvalue()) < 100_000
        monkeypatch.setattr(arrow, "MOST_CELLS", 20_000_000)

        def refuse(*_, **__):
            raise AssertionError("it was read")

        monkeypatch.setattr(pl.LazyFrame, "slice", refuse)
        with pytest.raises(InputError, match="holds 20,001,000 values, those in lists each counted; 20,000,000 is"):
            read(file.getvalue(), "export.parquet")

    def test_short_floats_have_the_digits_that_they_had(self):
        pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
        short = np.array([0.1, np.nan], dtype=np.float32)
        frames = [
            pandas.DataFrame({"a": short}),
            pandas.DataFrame({"a": pandas.Categorical(short)}),
            pandas.DataFrame({"a": pandas.array(short, dtype="Float32")}),
            pandas.DataFrame({"a": pandas.array([0.1, None], dtype=pandas.ArrowDtype(pyarrow.float32()))}),
            {"a": pandas.Series(short)},
            {"a": pl.Series(short)},
            {"a": pyarrow.array(short)},
            {"a": short},
        ]
        for frame in frames:
            assert table_from_frame(frame).rows == (("0.1",), ("",)), frame

    def test_other_columns_of_dicts_stay_as_they_were(self):
        pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
        moment = datetime.datetime(2024, 5, 6)
        for values, cells in (
            (pandas.Index([1, "y"]), ("1", "y")),
            (pandas.DatetimeIndex([moment]), ("2024-05-06T00:00:00",)),
            (pyarrow.array([moment]), ("2024-05-06T00:00:00",)),
            (pl.Series([moment]), ("2024-05-06T00:00:00",)),
            (pyarrow.array([Decimal("1.50")], pyarrow.decimal256(40, 2)), ("1.50",)),
        ):
            assert table_from_frame({"a": values}).rows == tuple((cell,) for cell in cells)
        with pytest.raises(InputError, match="A dict of tables was handed in"):
            table_from_frame({"train": pandas.DataFrame({"a": ["b"]})})

    def test_blocks_of_several_types_keep_their_values(self):
        blocks = [
            pl.DataFrame({"id": [9007199254740993], "x": pl.Series([0.1], dtype=pl.Float32), "on": [True]}),
            pl.DataFrame({"x": [0.5], "id": [2.5], "on": ["yes"]}),
            pl.DataFrame({"id": [None], "x": [None], "on": [datetime.datetime(2024, 5, 6)]}),
        ]
        table = arrow.arrow_table_of_blocks(blocks, Source("blocks", "frame"))
        assert table.columns == ("id", "x", "on")
        assert table.rows == (
            ("9007199254740993", "0.1", "true"),
            ("2.5", "0.5", "yes"),
            ("", "", "2024-05-06T00:00:00.000000"),
        )
        with pytest.raises(InputError, match="has the columns id, x, on, and another id, x"):
            arrow.arrow_table_of_blocks([blocks[0], blocks[0].select("id", "x")], Source("blocks", "frame"))

    def test_pyarrow(self):
        pyarrow = pytest.importorskip("pyarrow")
        frame = pyarrow.table(DATA)
        assert table_from_frame(frame).rows == table_from_frame(frame.to_reader()).rows == (("1", "a"), ("2", ""))
        columns = {name: frame.column(name) for name in frame.column_names}
        assert table_from_frame(columns).rows == (("1", "a"), ("2", ""))
        assert table_from_frame({"text": pyarrow.array(["a", None])}).rows == (("a",), ("",))
        with pytest.raises(InputError, match="a dict of lists"):
            table_from_frame(frame.column("text"))

    @pytest.mark.parametrize(
        "kind",
        ["string", "large_string", "string_view", "binary", "large_binary", "binary_view"],
    )
    @pytest.mark.parametrize("dictionary", [False, True])
    def test_every_way_in_which_arrow_holds_text(self, kind, dictionary):
        pyarrow = pytest.importorskip("pyarrow")
        texts = ["how do I pay", None, "", "Où est le reçu — 5 €?", "how do I pay"]
        values = [text.encode() if text and "binary" in kind else text for text in texts]
        column = pyarrow.array(values, getattr(pyarrow, kind)())
        if dictionary:
            if kind.endswith("view"):
                pytest.skip("pyarrow makes no dictionary of views")
            column = column.dictionary_encode()
        frame = pyarrow.table({"text": pyarrow.chunked_array([column, column.slice(1, 0), column.slice(1, 3)])})
        expected = [text or "" for text in [*texts, *texts[1:4]]]
        stream = SimpleNamespace(__arrow_c_stream__=frame.__arrow_c_stream__)
        assert table_from_frame(frame).column("text") == table_from_frame(stream).column("text") == expected
        assert table_from_frame({"text": frame.column("text")}).column("text") == expected

    def test_other_columns_of_arrow_keep_their_values(self):
        pyarrow = pytest.importorskip("pyarrow")
        nested = {"user": {"name": "Zoë", "tags": ["a", None]}, "at": [datetime.date(2024, 5, 6)]}
        frame = pyarrow.table(
            {
                "text": ["a", "b"],
                "nested": [nested, None],
                "sizes": pyarrow.array([[1, 2], None], pyarrow.list_(pyarrow.int16(), 2)),
                "price": pyarrow.array([1, None], pyarrow.int64()).cast(pyarrow.decimal128(21, 2)),
                "number": pyarrow.array([2**64 - 1, None], pyarrow.uint64()),
                "nothing": pyarrow.nulls(2),
                "state": pyarrow.array([7, None]).dictionary_encode(),
            }
        )
        stream = SimpleNamespace(__arrow_c_stream__=frame.__arrow_c_stream__)
        for table in (table_from_frame(frame), table_from_frame(stream)):
            text, written, *others = table.rows[0]
            assert (text, others) == ("a", ["[1, 2]", "1.00", str(2**64 - 1), "", "7"])
            assert json.loads(written) == {**nested, "at": ["2024-05-06"]}
            assert table.rows[1] == ("b", *[""] * 6)

    @pytest.mark.parametrize("kind", ["run_end_encoded", "list_view", "decimal256", "uuid"])
    def test_what_polars_cannot_read_is_an_error_of_ours(self, kind):
        """Some of these are panics there, which no `except Exception` holds."""
        pyarrow = pytest.importorskip("pyarrow")
        columns = {
            "run_end_encoded": lambda: pyarrow.RunEndEncodedArray.from_arrays([1, 2], ["a", "b"]),
            "list_view": lambda: pyarrow.array([[1], None], pyarrow.list_view(pyarrow.int64())),
            "decimal256": lambda: pyarrow.array([1, None]).cast(pyarrow.decimal256(45, 2)),
            "uuid": lambda: pyarrow.array([bytes(16), None], pyarrow.uuid()),
        }
        frame = pyarrow.table({"text": columns[kind]()})
        for given in (frame, SimpleNamespace(__arrow_c_stream__=frame.__arrow_c_stream__)):
            with pytest.raises(InputError, match="Rename or convert its columns"):
                table_from_frame(given)

    @pytest.mark.parametrize("kind", ["category", "string", "string[pyarrow]", "object"])
    def test_every_way_in_which_pandas_holds_text(self, kind):
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        frame = pandas.DataFrame({"text": pandas.Series(["a", None, "a", ""]).astype(kind)})
        assert table_from_frame(frame).column("text") == ["a", "", "a", ""]

    def test_a_lazy_frame(self):
        with pytest.raises(InputError, match=r"\.collect\(\)"):
            table_from_frame(pl.LazyFrame(DATA))

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

    @pytest.mark.parametrize("value", [10**5000, [10**5000], {(1,): 2}], ids=["integer", "nested", "key"])
    def test_a_value_without_a_text_form(self, value):
        with pytest.raises(InputError, match="no text form"):
            table_from_frame({"a": [value]})

    def test_an_error_lists_thirty_columns_at_most(self):
        with pytest.raises(InputError, match="'29': 1, and 20 more") as caught:
            table_from_frame({str(number): ["x"] * (1 + number // 49) for number in range(50)})
        assert "'30'" not in str(caught.value)

    def test_all_splits_of_a_dataset_are_not_one_table(self):
        split = SimpleNamespace(column_names=["text"])
        with pytest.raises(InputError, match="one of them"):
            table_from_frame({"train": split, "test": split})

    @pytest.mark.parametrize("frame", [{}, [], pl.DataFrame()])
    def test_empty(self, frame):
        with pytest.raises(EmptyInputError):
            table_from_frame(frame)

    def test_same_text_forms_in_files_and_frames(self):
        values = {"n": 3, "f": 0.1, "b": False, "l": ["ä", 1], "d": {"k": None}, "s": " x "}
        assert table_from_frame([values]).rows == read(json.dumps(values), "export.jsonl").rows


@pytest.mark.parametrize(
    "frame",
    [
        lambda: pytest.importorskip("pandas").DataFrame({"x": np.array([4.3, 0.1, np.nan], dtype=np.float32)}),
        lambda: pytest.importorskip("pandas").DataFrame(
            {"x": pytest.importorskip("pandas").array([4.3, 0.1, None], dtype="Float32")}
        ),
        lambda: pytest.importorskip("pandas").DataFrame({"x": np.array([4.3, 0.1, np.nan], dtype=np.float16)}),
        lambda: pl.DataFrame({"x": pl.Series([4.3, 0.1, None], dtype=pl.Float32)}),
        lambda: pytest.importorskip("pyarrow").table(
            {"x": pytest.importorskip("pyarrow").array([4.3, 0.1, None], pytest.importorskip("pyarrow").float32())}
        ),
        lambda: {"x": np.array([4.3, 0.1, np.nan], dtype=np.float32)},
    ],
)
def test_short_numbers_have_the_digits_that_they_had(frame):
    assert [row[0] for row in table_from_frame(frame()).rows] == ["4.3", "0.1", ""]


def test_decimals_are_written_out():
    values = ["0.0000000", "19.9000000", "-3", "1E+5", "1E+5000"]
    frame = {"x": [Decimal(value) for value in values]}
    assert [row[0] for row in table_from_frame(frame).rows] == ["0.0000000", "19.9000000", "-3", "100000", "1E+5000"]
