"""Pairs to four splits: from a file that is split, or from a folder that was."""

import csv

import pytest

from dupdetect import split_pairs
from dupdetect.errors import EmptyInputError, InputError, LeakageError
from dupdetect.pairs import QuestionPairs
from dupdetect.splits import SPLITS, write_splits
from dupdetect.training import load_splits

HEADER = ("question1", "question2", "label")


def rows(n):
    return [(f"how is thing {k} of {7 * k}", f"what about item {k} or {7 * k}", k % 2) for k in range(n)]


def write(path, lines):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *lines])
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "splits").mkdir()
    write_splits(split_pairs(QuestionPairs.from_columns(*zip(*rows(200), strict=True)), seed=4), tmp_path / "splits")
    return tmp_path / "splits"


def contents(splits):
    return {name: list(getattr(splits, name).to_rows()) for name in SPLITS}


def test_a_folder_of_splits_is_taken_as_it_is_and_a_file_is_split_the_same_way(folder, tmp_path):
    from_file = load_splits(write(tmp_path / "pairs.csv", rows(200)), seed=4)
    from_folder = load_splits(folder, seed=99)
    assert contents(from_file) == contents(from_folder)
    assert sum(map(len, contents(from_folder).values())) == 200
    assert from_file.data == "pairs.csv, split by question with seed 4"
    assert from_folder.data == "the splits in splits"
    assert contents(load_splits(tmp_path / "pairs.csv", seed=5)) != contents(from_file)


def test_rows_that_are_left_out_are_told(folder, tmp_path):
    assert load_splits(folder).notes == ()
    broken = write(tmp_path / "pairs.csv", [("", "x", 1), ("a", "A", 1), ("b", "", 0), *rows(200)])
    assert load_splits(broken, seed=4).notes[:2] == ("Left out 2 rows: blank.", "Left out 1 row: self pairs.")
    with (folder / "test.csv").open("a", encoding="utf-8") as file:
        file.write(",nothing,1,0\n")
    assert load_splits(folder).notes == ("test.csv: left out 1 row: blank.",)


def test_splits_that_leak(folder):
    with (folder / "test.csv").open("a", encoding="utf-8") as file:
        file.write(f"{load_splits(folder).train.left[0].upper()},something else,0,0\n")
    with pytest.raises(LeakageError, match="train and test"):
        load_splits(folder)


def test_splits_that_lack_something(folder):
    (folder / "calibration.csv").rename(folder / "x.csv")
    with pytest.raises(InputError, match=r"lacks calibration\.csv"):
        load_splits(folder)
    write(folder / "calibration.csv", [])
    with pytest.raises(EmptyInputError, match="no calibration pairs"):
        load_splits(folder)
    write(folder / "calibration.csv", [("a b", "c d", 1), ("e f", "g h", 1)])
    with pytest.raises(InputError, match="Calibration needs pairs of both labels"):
        load_splits(folder)


def test_there_is_nothing_to_choose_in_a_folder_of_splits(folder):
    with pytest.raises(InputError, match="no split 'train' to choose"):
        load_splits(folder, split="train")
    with pytest.raises(InputError, match="no revision 'main'"):
        load_splits(folder, revision="main")


def test_columns_by_other_names(folder, tmp_path):
    with (tmp_path / "p.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("a", "b", "same"), *rows(200)])
    assert contents(load_splits(tmp_path / "p.csv", left="a", right="b", label="same", seed=4)) == contents(
        load_splits(folder)
    )
