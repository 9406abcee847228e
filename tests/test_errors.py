"""Errors say what was found, what was wanted and what to do; the tree is as drawn."""

import re

import pytest

from dupdetect import Detector, Questions, errors
from dupdetect.cli import main
from dupdetect.pairs import read_pairs


def test_every_error_is_exported_and_descends_from_the_base():
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert classes == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.DupdetectError) for name in classes)


def test_kinds_that_callers_may_catch_as_builtins():
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.MissingExtraError, ImportError)


@pytest.mark.parametrize(("wanted", "nearest"), [("Subjct", "subject"), ("BODY ", "Body"), ("zzz", None)])
def test_a_missing_column_names_the_nearest(wanted, nearest):
    error = errors.ColumnNotFoundError(wanted, ["subject", "Body", "id"])
    assert error.nearest == nearest
    assert "'subject'" in str(error)
    assert ("Did you mean" in str(error)) == (nearest is not None)


def test_a_missing_extra_names_the_pip_line():
    assert 'pip install "dupdetect[train]"' in str(errors.MissingExtraError("train", "X", "torch"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with tables that something is wrong with, and an output that exists."""
    monkeypatch.chdir(tmp_path)
    tables = {
        "unnamed.csv": b"a,b\n1,2\n",
        "latin.csv": b"question\nf\xe4llig\n",
        "ragged.csv": b"id,question\n1,Hello there you\n2,a,b\n",
        "good.csv": b"id,question\n1,Hello there you\n",
        "lines.jsonl": b'{"question": "a"}\n',
    }
    for name, content in tables.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("call", "arguments", "argument", "option"),
    [
        (lambda: Questions.read("unnamed.csv"), ["dedupe", "unnamed.csv"], "(text=...)", "(--text)"),
        (
            lambda: Questions.read("latin.csv", encoding="utf-8"),
            ["dedupe", "latin.csv", "--encoding", "utf-8"],
            "encoding='cp1252'",
            "--encoding cp1252",
        ),
        (lambda: Questions.read("ragged.csv"), ["dedupe", "ragged.csv"], "on_bad_rows='keep'", "--on-bad-rows keep"),
        (
            lambda: Questions.read("lines.jsonl", delimiter=";"),
            ["dedupe", "lines.jsonl", "--delimiter", ";"],
            "Leave delimiter=... away",
            "Leave --delimiter away",
        ),
        (
            lambda: Detector.from_pretrained().deduplicate(["a"]).write("out"),
            ["dedupe", "good.csv", "-o", "out"],
            "Pass overwrite=True to",
            "Pass --overwrite to",
        ),
        (
            lambda: Detector.from_pretrained().deduplicate(Questions.read("good.csv"), keep="max:question"),
            ["dedupe", "good.csv", "--keep", "max:question"],
            "keep='max:question'",
            "--keep max:question",
        ),
        (
            lambda: read_pairs("good.csv"),
            ["split", "good.csv", "-o", "splits"],
            "Name both (left=..., right=...).",
            "Name both (--left, --right).",
        ),
        (
            lambda: read_pairs("good.csv", left="id", right="id", label="id"),
            ["split", "good.csv", "-o", "splits", "--left", "id", "--right", "id", "--label", "id"],
            "left='id', right='id' and label='id'",
            "--left id, --right id and --label id",
        ),
    ],
)
def test_arguments_are_options_on_the_command_line(folder, capsys, call, arguments, argument, option):
    (folder / "out").mkdir()
    (folder / "out" / "run.json").write_text("{}")
    with pytest.raises(errors.DupdetectError) as caught:
        call()
    assert argument in str(caught.value)
    assert "--" not in str(caught.value)
    with pytest.raises(SystemExit):
        main(arguments)
    line = capsys.readouterr().err.splitlines()[-1]
    assert option in line
    assert not re.search(r"\w=(True|\.\.\.|')", line)


def test_what_is_no_option_stays_as_it_is(capsys, tmp_path):
    path = tmp_path / "no_such=True.csv"
    with pytest.raises(SystemExit):
        main(["dedupe", str(path)])
    assert "no_such=True.csv" in capsys.readouterr().err
