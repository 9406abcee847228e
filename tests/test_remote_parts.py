"""An export in several parts is the same as all of it in one file."""

import csv
import io
import json
import zipfile

import fsspec
import polars as pl
import pytest

from dupdetect import Questions, remote
from dupdetect.cli import main
from dupdetect.errors import InputError
from dupdetect.parts import read_export
from dupdetect.tables import read_table

ROWS = [[f"a{n}", f"{n:03d}", f"how do i open account {n % 7}\nplease" if n % 3 else ""] for n in range(40)]
COLUMNS = ["name", "zip", "question"]


def as_csv(rows, columns=COLUMNS):
    file = io.StringIO()
    csv.writer(file).writerows([columns, *rows])
    return file.getvalue()


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code, *capsys.readouterr()


@pytest.fixture
def parts(tmp_path):
    """Ten parts, the last of them without rows; and the whole beside them."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(9):
        (folder / f"part-{number}.csv").write_text(as_csv(ROWS[5 * number : 5 * number + 5]), "utf-8")
    (folder / "part-9.csv").write_text(as_csv([]), "utf-8")
    (tmp_path / "whole.csv").write_text(as_csv(ROWS), "utf-8")
    return folder


def test_parts_are_the_whole(parts, tmp_path):
    whole = read_table(tmp_path / "whole.csv")
    pattern = str(parts / "*.csv")
    table = read_export(pattern)
    assert (table.columns, table.rows) == (whole.columns, whole.rows)
    assert (table.source.name, table.source.format, table.source.encoding) == (pattern, "csv", "utf-8")
    assert [source.sha256 for source in table.source.parts] == [
        read_table(path).source.sha256 for path in sorted(parts.iterdir())
    ]
    assert Questions.read(pattern, text="question").ids == Questions.read(tmp_path / "whole.csv", text="question").ids


def test_parts_behind_a_url_are_the_whole(parts, tmp_path):
    files = fsspec.filesystem("memory")
    for path in parts.iterdir():
        files.pipe_file(f"/day=2026-01-01/{path.name}", path.read_bytes())
    try:
        table = read_export("memory://day=2026-01-01/*.csv")
    finally:
        files.store.clear()
    assert table.rows == read_table(tmp_path / "whole.csv").rows
    assert [part.name for part in table.source.parts][:2] == [
        "memory://day=2026-01-01/part-0.csv",
        "memory://day=2026-01-01/part-1.csv",
    ]


def test_parts_in_parquet(tmp_path):
    frame = pl.DataFrame(ROWS, schema=COLUMNS, orient="row")
    frame.write_parquet(tmp_path / "whole.parquet")
    for number in range(4):
        frame[10 * number : 10 * number + 10].write_parquet(tmp_path / f"p{number}.parquet")
    assert read_export(str(tmp_path / "p[0-9].parquet")).rows == read_table(tmp_path / "whole.parquet").rows


def test_the_files_of_the_result_are_the_same(parts, tmp_path, capsys):
    whole, several = tmp_path / "a", tmp_path / "b"
    for export, output in ((tmp_path / "whole.csv", whole), (parts / "*.csv", several)):
        assert run(capsys, "dedupe", export, "--text", "question", "--fast", "-o", output)[0] == 0
    for name in {path.name for path in whole.iterdir()} - {"run.json", "report.html"}:
        assert (several / name).read_bytes() == (whole / name).read_bytes(), name
    record = json.loads((several / "run.json").read_text("utf-8"))["input"]
    assert record["name"] == str(parts / "*.csv")
    assert [part["name"] for part in record["parts"]] == [str(path) for path in sorted(parts.iterdir())]
    assert record["parts"][0]["sha256"] == read_table(parts / "part-0.csv").source.sha256


def test_the_default_output_is_beside_the_folder_of_the_parts(parts, tmp_path, capsys, monkeypatch):
    assert run(capsys, "dedupe", parts / "*.csv", "--text", "question", "--fast")[0] == 0
    assert (tmp_path / "parts.dupdetect" / "run.json").exists()
    monkeypatch.chdir(parts)
    assert run(capsys, "dedupe", "*.csv", "--text", "question", "--fast")[0] == 0
    assert (parts / "parts.dupdetect" / "run.json").exists()
    (parts / "deeper").mkdir()
    monkeypatch.chdir(parts / "deeper")
    assert run(capsys, "dedupe", "../*.csv", "--text", "question", "--fast")[0] == 0
    assert (parts / "deeper" / "parts.dupdetect" / "run.json").exists()


def test_an_output_that_holds_a_part_is_refused(parts, capsys):
    (parts / "run.json").touch()
    given = ("dedupe", parts / "*.csv", "--text", "question", "--fast", "-o", parts, "--overwrite")
    status, _, told = run(capsys, *given)
    assert status == 1
    assert "part-0.csv lies in the output" in told


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["name", "zip"], "part-4.csv has no column 'question', and .*part-0.csv has"),
        ([*COLUMNS, "more"], "part-4.csv has a column 'more', and .*part-0.csv has not"),
        ([*COLUMNS, "zip"], "part-4.csv has 4 columns, some of one name, and .*part-0.csv has 3"),
        (["zip", "name", "question"], "part-4.csv has its columns in another order than .*part-0.csv"),
    ],
)
def test_a_part_unlike_the_others_is_named(parts, columns, said):
    (parts / "part-4.csv").write_text(as_csv([], columns), "utf-8")
    with pytest.raises(InputError, match=said):
        read_export(str(parts / "*.csv"))


def test_parts_of_two_kinds_are_refused(parts):
    (parts / "part-4.jsonl").write_text('{"name": "a", "zip": "b", "question": "c"}\n', "utf-8")
    with pytest.raises(InputError, match=r"part-4.jsonl is jsonl, and .*part-0.csv is csv"):
        read_export(str(parts / "part*"))


def test_each_part_has_its_own_encoding(tmp_path):
    (tmp_path / "1.csv").write_bytes("question\nCafé?\n".encode())
    (tmp_path / "2.csv").write_bytes("question\nCafé?\n".encode("cp1252"))
    table = read_export(str(tmp_path / "?.csv"))
    assert table.rows == (("Café?",), ("Café?",))
    assert table.source.encoding is None
    assert [part.encoding for part in table.source.parts] == ["utf-8", "cp1252"]
    assert any(note.startswith(f"{tmp_path / '2.csv'}: ") for note in table.notes)


def test_nothing_matches(tmp_path):
    with pytest.raises(InputError, match="No file matches"):
        read_export(str(tmp_path / "*.csv"))
    with pytest.raises(InputError, match=r"No file matches memory://nowhere/\*\.csv"):
        read_export("memory://nowhere/*.csv")


def test_a_file_is_read_once_however_often_the_pattern_finds_it(tmp_path):
    for name in ("a/a/z.csv", "a/b/x.csv", "a/y.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"question\n{name}\n", "utf-8")
    for pattern in ("**/a/**/*.csv", "**/**/*.csv"):
        assert sorted(read_export(str(tmp_path / pattern)).rows) == [("a/a/z.csv",), ("a/b/x.csv",), ("a/y.csv",)]


def test_what_stands_before_and_behind_a_pattern_in_a_url_is_kept(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for name in ("b1.csv", "b2.csv", "c.csv"):
            packed.writestr(name, f"question\n{name}\n")
    table = read_export(f"zip://b*.csv::{tmp_path / 'x.zip'}")
    assert table.rows == (("b1.csv",), ("b2.csv",))
    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "_strip_protocol", lambda path: "/without/the/account/*")
    with pytest.raises(InputError, match="patterns are not read there"):
        read_export("memory://me@account/*.csv")


def test_a_file_that_is_called_like_a_pattern(tmp_path):
    (tmp_path / "a[1].csv").write_text("question\nthis one\n", "utf-8")
    (tmp_path / "a1.csv").write_text("question\nnot this one\n", "utf-8")
    table = read_export(tmp_path / "a[1].csv")
    assert table.rows == (("this one",),)
    assert table.source.sha256


def test_in_urls_of_the_web_there_are_no_patterns():
    assert remote.files_of("https://host/export.csv?day=*") is None
