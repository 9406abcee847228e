"""Which column is compared, what a row is called, and that the input stays as it was."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from dupdetect.errors import BadRowsError, ColumnNotFoundError, EmptyInputError, InputError
from dupdetect.questions import Question, Questions, questions
from dupdetect.tables import Source, Table, table_from_frame

PROSE = ["How do I pay?", "Where is my order?", "I cannot log in"]
CODES = ["A1", "B2", "C3"]


def table(**columns):
    """A table of the given columns; without cells, a few rows of codes."""
    return table_from_frame({name: cells or CODES for name, cells in columns.items()})


def named(*names, cells=("a", "b")):
    return Table(names, tuple((cell,) * len(names) for cell in cells), Source("export.csv", "csv"))


class TestText:
    def test_one_column_as_it_came(self):
        found = Questions.from_table(table(q=["  A?\n", "a?", ""], other=None), text="q")
        assert found.texts == ("  A?\n", "a?", "")
        assert found.text_columns == ("q",)

    def test_several_are_joined_in_the_order_asked_without_blank_ones(self):
        data = table(subject=["S", " ", "S"], body=["B", "B", ""], id=None)
        assert Questions.from_table(data, text=["body", "subject"]).texts == ("B\nS", "B", "S")

    def test_all_blank_is_blank(self):
        assert Questions.from_table(table(a=["", " "], b=["", ""]), text=["a", "b"]).texts == ("", "")

    def test_repeated_names_are_chosen_by_number(self):
        assert Questions.from_table(named("text", "text"), text="text#2").texts == ("a", "b")

    def test_unknown_column(self):
        with pytest.raises(ColumnNotFoundError, match="Did you mean 'body'"):
            Questions.from_table(named("subject", "body"), text="bdoy")

    def test_no_column(self):
        with pytest.raises(InputError, match="text="):
            Questions.from_table(named("a"), text=[])


class TestChoiceOfText:
    def test_the_only_column(self):
        assert Questions.from_table(named("whatever")).text_columns == ("whatever",)

    @pytest.mark.parametrize(
        "name", ["question", "Text", "BODY", "Ticket Description", "message_body", "question-text", "Query", "Title"]
    )
    def test_the_only_usual_name(self, name):
        found = Questions.from_table(named("created_at", name, "product"))
        assert found.text_columns == (name,)
        assert repr(name) in found.notes[0]

    @pytest.mark.parametrize(
        ("names", "chosen"),
        [
            (("id", "created_at", "channel", "product", "subject", "body", "votes"), ("subject", "body")),
            (("Description", "Ticket Subject", "Ticket id"), ("Ticket Subject", "Description")),
            (("Issue key", "Summary", "Description"), ("Summary", "Description")),
            (("title", "question", "answer"), ("title", "question")),
            (("Vorgangsnummer", "Betreff", "Beschreibung"), ("Betreff", "Beschreibung")),
            (("topic_id", "topic_title", "raw"), ("topic_title", "raw")),
            (("TicketSubject", "ticket-body"), ("TicketSubject", "ticket-body")),
            (("id", "source.subject", "source.body"), ("source.subject", "source.body")),
        ],
    )
    def test_a_title_and_a_body_mean_both(self, names, chosen):
        found = Questions.from_table(named(*names))
        assert found.text_columns == chosen
        assert all(repr(name) in found.notes[0] for name in chosen)

    def test_an_empty_column_with_a_usual_name_is_passed_over(self):
        found = Questions.from_table(table(description=["", " ", ""], message=PROSE))
        assert found.text_columns == ("message",)

    def test_the_only_column_of_several_words(self):
        times = ["Mon 06 May 2024, 10:30 AM"] * 3
        found = Questions.from_table(table(ref=None, at=times, was_gefragt_wurde=PROSE, url=["https://x.y/a-b-c"] * 3))
        assert found.text_columns == ("was_gefragt_wurde",)

    def test_json_is_no_column_of_several_words(self):
        nested = ['{"body": "How do I pay my invoice?"}', "", '["how to", "pay my invoice", "by card"]']
        with pytest.raises(InputError, match=r"none is obvious.*inside the JSON of 'source' cannot be named"):
            Questions.from_table(table(ref=None, source=nested))
        assert Questions.from_table(table(source=nested, q=PROSE)).text_columns == ("q",)
        brackets = ["[solved] how do I pay", "{name}, where is my parcel?", "[1, 2"]
        assert Questions.from_table(table(ref=None, q=brackets)).text_columns == ("q",)

    @pytest.mark.parametrize("text", ["如何注销我的账户？", "วิธีลบบัญชีของฉัน"])
    def test_scripts_without_spaces(self, text):
        assert Questions.from_table(table(ref=None, q=[text] * 3)).text_columns == ("q",)

    @pytest.mark.parametrize(
        "columns",
        [
            {"question1": PROSE, "question2": PROSE},
            {"question": PROSE, "description": PROSE},
            {"a": CODES, "b": CODES},
            {"subject": PROSE, "body": PROSE, "message": PROSE},
        ],
    )
    def test_otherwise_it_is_asked_for(self, columns):
        with pytest.raises(InputError, match="text=") as caught:
            Questions.from_table(table(**columns))
        assert all(repr(name) in str(caught.value) for name in columns)

    def test_without_rows_by_name_alone(self):
        assert Questions.from_table(named("id", "body", cells=())).text_columns == ("body",)


class TestIds:
    def test_a_named_column(self):
        found = Questions.from_table(table(ref=None, text=PROSE), id="ref")
        assert found.ids == tuple(CODES)
        assert found.id_column == "ref"

    @pytest.mark.parametrize(
        "name",
        ["id", "ID", "_id", "Ticket ID", "ticket_id", "question-id", "key", "uuid", "TicketId", "Ticket-Nr.",
         "Ticket Nr", "Ticket #", "ticket_no", "Case Number", "Issue key", "Vorgangsnummer", "Vorgangs-Nr.",
         "Ticketnummer"],
    )  # fmt: skip
    def test_a_usual_name(self, name):
        found = Questions.from_table(table(text=PROSE, **{name: CODES}))
        assert (found.ids, found.id_column) == (tuple(CODES), name)
        assert f"Rows are identified by column {name!r}." in found.notes

    @pytest.mark.parametrize(
        ("cells", "fault"),
        [
            (["7", "7", "2"], "2 rows share their value with another, such as '7' (2 times)"),
            (["1", "", "2"], "1 of its cells is blank"),
        ],
    )
    def test_a_usual_name_with_unusable_cells_is_passed_over_and_reported(self, cells, fault):
        found = Questions.from_table(table(id=cells, text=PROSE))
        assert (found.ids, found.id_column) == (("1", "2", "3"), None)
        assert found.notes[-2:] == (
            f"Column 'id' cannot identify rows: {fault}.",
            "Rows are identified by their numbers, from 1.",
        )
        found = Questions.from_table(table(id=cells, text=PROSE, key=CODES))
        assert (found.ids, found.id_column) == (tuple(CODES), "key")
        assert found.notes[-2:] == (
            f"Column 'id' cannot identify rows: {fault}.",
            "Rows are identified by column 'key'.",
        )

    def test_the_example_of_a_repeated_id_is_short_and_does_not_depend_on_the_order(self):
        cells = ["b", "b", "a" * 1000, "a" * 1000]
        forth, back = (Questions.from_table(table(id=cells[::step], text=["x y z"] * 4)).notes[-2] for step in (1, -1))
        assert forth == back
        assert "'aaa" in forth
        assert len(forth) < 200

    def test_row_numbers_count_from_one(self):
        assert Questions.from_table(named("text", cells=["a", "b", "c"])).ids == ("1", "2", "3")

    def test_a_named_column_with_blank_and_repeated_cells_is_refused(self):
        """What is said of row 2 must not be taken for the id 2."""
        said = (
            r"Column 'ref' cannot identify rows: 1 of its cells is blank and "
            r"2 rows share their value with another, such as 'x' \(2 times\)\. Name another"
        )
        with pytest.raises(InputError, match=said):
            Questions.from_table(table(ref=["x", " ", "x"], text=PROSE), id="ref")

    def test_a_column_that_looks_like_ids_is_named(self):
        note = "Rows are identified by their numbers, from 1. Column 'Ticket' holds another value in each row"
        found = Questions.from_table(table(Ticket=["#1", "#2", "#3"], text=PROSE), text="text")
        assert found.ids == ("1", "2", "3")
        assert found.notes[-1].startswith(note)
        assert Questions.from_table(table(when=["1", "2", "3"], text=PROSE), text="text").notes == ()
        for cells in (["#1", "#1", "#3"], ["#1", "", "#3"], ["a b", "c d", "e f"]):
            assert not any(
                "Rows are" in note for note in Questions.from_table(table(Ticket=cells, text=PROSE), text="text").notes
            )

    def test_unknown_column(self):
        with pytest.raises(ColumnNotFoundError):
            Questions.from_table(named("text"), id="id")


class TestQuestions:
    def test_iterates_rows(self):
        found = Questions.from_table(table(id=None, text=PROSE))
        assert len(found) == 3
        assert list(found)[1] == Question(row=1, id="B2", text=PROSE[1])

    def test_blank_texts_are_kept_and_marked(self):
        found = questions(["a", "", " \t", "\u200b\ufeff", "&nbsp;", "<br>", "?", "0"])
        assert len(found) == 8
        np.testing.assert_array_equal(found.blank, [False, True, True, True, True, True, False, False])

    def test_the_table_is_untouched(self):
        data = named("id", "", "text", "text")
        assert Questions.from_table(data, text="text#1").table is data

    def test_none_at_all(self):
        assert len(questions([])) == 0
        assert questions([]).blank.shape == (0,)


class TestReading:
    def test_a_help_desk_export(self, tmp_path):
        path = tmp_path / "export.csv"
        path.write_bytes(
            "id;created_at;channel;product;subject;body;votes\r\n"
            '17;2024-05-06;mail;Pro;Kündigung;"Hallo,\r\nwie kündige ich?";3\r\n'
            "18;2024-05-07;chat;Pro;;Rechnung fehlt;\r\n".encode("cp1252")
        )
        found = Questions.read(path)
        assert found.texts == ("Kündigung\nHallo,\r\nwie kündige ich?", "Rechnung fehlt")
        assert found.ids == ("17", "18")
        assert len(found.notes) == 4  # encoding, delimiter, text, id

    def test_options_are_passed_on(self, tmp_path):
        path = tmp_path / "export.csv"
        path.write_bytes("a/b\nпривет/1\n2\n".encode("koi8-r"))
        options = {"text": "a", "id": "b", "encoding": "koi8-r", "delimiter": "/"}
        with pytest.raises(BadRowsError):
            Questions.read(path, **options)
        del options["id"]  # the short row has none
        assert Questions.read(path, **options, on_bad_rows="keep").texts == ("привет", "2")


class TestWhateverHoldsTexts:
    def test_a_list(self):
        found = questions(["a", "b", "a"])
        assert (found.texts, found.ids) == (("a", "b", "a"), ("1", "2", "3"))
        assert found.table.columns == ("text",)

    def test_none_is_blank_and_counted(self):
        found = Questions.from_texts(["a", None, None])
        assert found.texts == ("a", "", "")
        assert found.notes == ("2 of the texts were missing (None, NaN or NA) and count as blank.",)

    @pytest.mark.parametrize("item", [5, 0.5, b"x", ["x"]])
    def test_anything_else_in_a_list_is_named_by_its_position(self, item):
        with pytest.raises(InputError, match="Item 2"):
            questions(["a", item])

    def test_half_a_surrogate_pair(self):
        assert questions(["a\ud800"]).texts == ("a\ufffd",)

    @pytest.mark.parametrize("data", ["How do I pay?", 5, None])
    def test_no_texts(self, data):
        with pytest.raises(InputError):
            questions(data)

    def test_a_single_text_for_a_list(self):
        with pytest.raises(InputError, match="Put it in a list"):
            Questions.from_texts("How do I pay?")

    @pytest.mark.parametrize("data", [iter(["a", "b"]), ("a", "b"), np.array(["a", "b"]), pl.Series(["a", "b"])])
    def test_other_sequences(self, data):
        assert questions(data).texts == ("a", "b")

    @pytest.mark.parametrize(
        "frame",
        [
            {"key": ["x", "y"], "q": ["a", None]},
            [{"key": "x", "q": "a"}, {"key": "y"}],
            pl.DataFrame({"key": ["x", "y"], "q": ["a", None]}),
            SimpleNamespace(to_polars=lambda: pl.DataFrame({"key": ["x", "y"], "q": ["a", None]})),
            table_from_frame({"key": ["x", "y"], "q": ["a", None]}),
        ],
        ids=lambda frame: type(frame).__name__,
    )
    def test_frames(self, frame):
        found = questions(frame, text="q", id="key")
        assert (found.texts, found.ids) == (("a", ""), ("x", "y"))
        assert Questions.from_frame(frame, text="q").texts == ("a", "")

    def test_pandas(self):
        pandas = pytest.importorskip("pandas")
        assert questions(pandas.DataFrame({"q": ["a", None]}), text="q").texts == ("a", "")
        assert questions(pandas.Series(["a", None])).texts == ("a", "")
        assert questions(pandas.Series(["a", None], dtype="string")).texts == ("a", "")

    def test_every_missing_value_of_pandas(self):
        pandas = pytest.importorskip("pandas")
        found = questions(pandas.array(["a", None], dtype="string"))
        assert (found.texts, len(found.notes)) == (("a", ""), 1)
        assert Questions.from_texts(["a", pandas.NA, pandas.NaT, float("nan")]).texts == ("a", "", "", "")

    def test_columns_of_pyarrow(self):
        pyarrow = pytest.importorskip("pyarrow")
        for column in (pyarrow.array(["a", None]), pyarrow.chunked_array([["a"], [None]])):
            assert questions(column).texts == Questions.from_texts(column).texts == ("a", "")
            with pytest.raises(InputError, match="text= and id="):
                questions(column, text="q")
        with pytest.raises(InputError, match="Item 1 of the texts is 5, of type int"):
            questions(pyarrow.array([5]))

    def test_a_frame_without_rows_yet(self):
        with pytest.raises(InputError, match=r"polars LazyFrame .*\.collect\(\)"):
            questions(pl.LazyFrame({"q": ["a"]}))

    def test_questions_stay_what_they_are(self):
        found = questions(["a"])
        assert questions(found) is found

    @pytest.mark.parametrize("data", [["a"], Questions.from_texts(["a"])], ids=["list", "questions"])
    def test_columns_of_nothing(self, data):
        with pytest.raises(InputError, match="text= and id="):
            questions(data, text="q")

    def test_a_frame_without_columns(self):
        with pytest.raises(EmptyInputError):
            questions({})


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("1,How do I pay?", True),
        ("1,please send it to me", True),
        ("1,my message", False),
        ("id,question", False),
    ],
)
def test_a_first_line_that_may_be_a_text_is_told(tmp_path, header, said):
    file = tmp_path / "export.csv"
    file.write_text(f"{header}\n2,how do i pay now\n3,where is my parcel\n", encoding="utf-8")
    notes = Questions.read(file).notes
    assert any(note.startswith("The first line is taken for the names of the columns") for note in notes) == said
    assert not any("first line" in note for note in Questions.read(file, text=header.partition(",")[2]).notes)
