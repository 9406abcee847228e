"""Labelled pairs that need to be told how they are read: a sheet of a workbook, an encoding, a delimiter, bad rows."""

import csv
import json
from pathlib import Path

import pytest
from conftest import labelled_pairs
from table_files import workbook

from dupdetect.cli import main
from dupdetect.errors import InputError

HEADER = ("question1", "question2", "label")


@pytest.fixture
def pairs():
    """Enough for four splits, and texts that are not the same in every encoding."""
    return [(left, f"{right} café", str(label)) for left, right, label in labelled_pairs(600).to_rows()]


@pytest.fixture
def place(tmp_path, monkeypatch, pairs):
    """A workbook with two sheets, and a file in cp437 with a delimiter of its own and a row that is too short."""
    sheets = {"Read me": [["notes"], ["labelled in March"]], "Pairs": [list(HEADER), *map(list, pairs)]}
    (tmp_path / "book.xlsx").write_bytes(workbook(sheets))
    with (tmp_path / "odd.csv").open("w", encoding="cp437", newline="") as file:
        csv.writer(file, delimiter="#").writerows([(*HEADER, "note"), *((*row, "x") for row in pairs[:-1]), pairs[-1]])
    monkeypatch.chdir(tmp_path)
    return tmp_path


ODD = ("--encoding", "cp437", "--delimiter", "#", "--on-bad-rows", "keep")
READ = [("book.xlsx", "--sheet", "Pairs"), ("odd.csv", *ODD)]


def run(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


@pytest.mark.parametrize(("file", "how"), [(file, how) for file, *how in READ])
def test_split_reads_what_it_is_told(place, capsys, pairs, file, how):
    status, _, err = run(capsys, "split", file, *how, "-o", "splits")
    assert status == 0, err
    found = set()
    for path in place.glob("splits/*.csv"):
        with path.open(encoding="utf-8", newline="") as part:
            found |= {(row["question1"], row["question2"], row["label"]) for row in csv.DictReader(part)}
    assert found == set(pairs)


@pytest.mark.parametrize(("file", "how"), [(file, how) for file, *how in READ])
def test_the_record_of_a_run_says_how_its_input_was_read(place, capsys, file, how):
    status, _, err = run(capsys, "dedupe", file, *how, "--fast", "--text", "question1", "-o", "out")
    assert status == 0, err
    record = json.loads(Path("out/run.json").read_text("utf-8"))["input"]
    named = {option[2:].replace("-", "_"): value for option, value in zip(how[::2], how[1::2], strict=True)}
    assert record["options"] == named
    assert record["format"] == file[-4:].strip(".")
    assert record["delimiter"] == named.get("delimiter")


@pytest.mark.parametrize(("file", "how"), [(file, how) for file, *how in READ])
def test_calibrate_and_evaluate_read_what_they_are_told(place, capsys, pairs, file, how):
    status, _, err = run(capsys, "calibrate", "fast", file, *how, "-o", "mine")
    assert status == 0, err
    status, out, err = run(capsys, "evaluate", "mine", file, *how, "--json")
    assert status == 0, err
    assert json.loads(out)["pair"]["pairs"] == len(pairs)
    status, out, err = run(
        capsys, "evaluate", "fast", file, *how, "--classes", "label", "--text", "question1", "--json"
    )
    assert status == 0, err
    assert json.loads(out)["ways"] == 2


@pytest.mark.parametrize(
    "words", [("split", "-o", "x"), ("calibrate", "fast", "-o", "x"), ("evaluate", "fast"), ("train", "-o", "x")]
)
def test_a_workbook_with_several_sheets_is_asked_about(place, capsys, words):
    verb, *rest = words
    after = [word for word in rest if word == "fast"]
    options = [word for word in rest if word != "fast"]
    status, _, err = run(capsys, verb, *after, "book.xlsx", *options)
    assert (status, "Name the one to read (--sheet)" in err) == (1, True)
    status, _, err = run(capsys, verb, *after, "book.xlsx", *options, "--sheet", "Pears")
    assert (status, "'Pears'" in err, "'Read me', 'Pairs'" in err) == (1, True, True)
    assert not (place / "x").exists()


def test_train_reads_what_it_is_told(place, pairs):
    pytest.importorskip("torch")
    from dupdetect.training import load_splits

    contents = []
    for options in ({"sheet": "Pairs"}, {"encoding": "cp437", "delimiter": "#", "on_bad_rows": "keep"}):
        file = "book.xlsx" if "sheet" in options else "odd.csv"
        splits = load_splits(file, **options)
        contents.append(
            {row for part in ("train", "validation", "calibration", "test") for row in getattr(splits, part).to_rows()}
        )
    assert contents[0] == contents[1] == {(left, right, int(label)) for left, right, label in pairs}


def test_what_is_no_file_takes_no_options_of_reading(place, tmp_path):
    pytest.importorskip("torch")
    from dupdetect.training import load_pairs

    (tmp_path / "folder").mkdir()
    for source, what in (("folder", "The folder folder"), ("owner/name", "The hub data set owner/name")):
        with pytest.raises(InputError, match=f"{what} has no sheet 'Pairs' to choose"):
            load_pairs(source, sheet="Pairs", on_bad_rows="error")
    with pytest.raises(InputError, match="Data in memory has no encoding 'cp437' to choose"):
        load_pairs({"question1": ["a"], "question2": ["b"], "label": [1]}, encoding="cp437")


def test_labels_of_a_review_are_not_read_from_a_file(place, capsys):
    status, _, err = run(capsys, "calibrate", "--from-reviews", "out", "--sheet", "Pairs", "-o", "mine")
    assert (status, "does not go with --sheet" in err) == (2, True)
