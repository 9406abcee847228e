"""`dupdetect evaluate` on real files, with the encoder of the tests in the place of the shipped one."""

import csv
import json
from types import SimpleNamespace

import pytest
from conftest import labelled_pairs

from dupdetect import Detector, evaluate
from dupdetect.cli import cli, main
from dupdetect.evaluation import PLOTS, n_way_accuracy

TEXTS = [(f"{word}{i} {word} thing", word) for word in ("pay", "login", "parcel") for i in range(4)]


@pytest.fixture(autouse=True)
def model(monkeypatch, detector):
    monkeypatch.setattr("dupdetect.cli.models.load_detector", lambda _, **options: detector)
    return detector


def write(path, header, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.fixture
def pairs(tmp_path):
    return write(tmp_path / "pairs.csv", ["question1", "question2", "label"], labelled_pairs(90, seed=3).to_rows())


@pytest.fixture
def texts(tmp_path):
    return write(tmp_path / "texts.csv", ["question", "topic"], TEXTS)


@pytest.fixture
def run(capsys):
    """Run `dupdetect evaluate default ...`; give its exit code, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", "default", *map(str, arguments)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return SimpleNamespace(code=stop.value.code, out=captured.out, err=captured.err)

    return run


def test_pairs_give_what_the_function_gives(run, pairs, model):
    expected = evaluate(model, labelled_pairs(90, seed=3))
    assert run(pairs).out == f"{expected}\n"
    assert json.loads(run(pairs, "--json").out) == expected.to_dict()


def test_plots_go_to_a_folder_that_is_never_overwritten_unasked(run, pairs, tmp_path):
    folder = tmp_path / "plots"
    done = run(pairs, "--plots", folder)
    assert done.code == 0
    assert str(folder) in done.err
    assert sorted(path.name for path in folder.iterdir()) == sorted(PLOTS)
    (folder / "pr.svg").write_text("old")
    again = run(pairs, "--plots", folder)
    assert again.code == 1
    assert "--overwrite" in again.err
    assert (folder / "pr.svg").read_text() == "old"
    assert run(pairs, "--plots", folder, "--overwrite").code == 0
    assert (folder / "pr.svg").read_text().startswith("<svg")


def test_an_input_in_the_folder_of_the_plots_is_safe(run, pairs, tmp_path):
    done = run(pairs, "--plots", tmp_path, "--overwrite")
    assert done.code == 1
    assert "would be replaced" in done.err


def test_classes_give_n_way_accuracy(run, texts, model):
    expected = n_way_accuracy(model.encoder, [t for t, _ in TEXTS], [c for _, c in TEXTS], shots=2, draws=3)
    asked = (texts, "--classes", "topic", "--shots", 2, "--draws", 3)
    done = run(*asked)
    assert done.out == f"{expected}\n"
    assert "'question'" in done.err
    assert json.loads(run(*asked, "--json").out) == expected.to_dict()


def test_the_defaults_are_those_of_the_function(run, texts, model):
    expected = n_way_accuracy(model.encoder, [t for t, _ in TEXTS], [c for _, c in TEXTS])
    assert run(texts, "--classes", "topic", "--text", "question").out == f"{expected}\n"
    for name, value in (("shots", expected.shots), ("draws", expected.draws)):
        (option,) = (option for option in cli.commands["evaluate"].params if option.name == name)
        assert f"[default: {value}]" in option.help


def test_classes_need_no_threshold(run, texts, model, monkeypatch):
    monkeypatch.setattr("dupdetect.cli.models.load_detector", lambda _, **options: Detector(model.encoder))
    assert run(texts, "--classes", "topic").code == 0


def test_classes_that_are_not_there_or_are_the_text(run, texts):
    for arguments, help_given in (
        (["topics"], "Did you mean 'topic'"),
        (["question"], "--text"),
        (["topic", "--shots", 4], "--shots"),
    ):
        done = run(texts, "--classes", *arguments)
        assert done.code == 1
        assert help_given in done.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--classes", "topic", "--label", "x"], "--label"),
        (["--classes", "topic", "--threshold", "0"], "--threshold"),
        (["--classes", "topic", "--plots", "x"], "--plots"),
        (["--classes", "topic", "--min-precision", "0.9"], "--min-precision"),
        (["--classes", "topic", "--overwrite"], "--overwrite"),
        (["--shots", "2"], "--shots"),
        (["--text", "question"], "--text"),
        (["--overwrite"], "--overwrite"),
    ],
)
def test_options_that_would_do_nothing_are_wrong_usage(run, texts, arguments, named):
    done = run(texts, *arguments)
    assert done.code == 2
    assert named in done.err


def test_the_name_of_a_detector_cannot_steer_the_terminal(run, pairs, model, monkeypatch):
    named = Detector(model.encoder, model.calibration, "\x1b]0;title\x07")
    monkeypatch.setattr("dupdetect.cli.models.load_detector", lambda _, **options: named)
    assert "\x1b" not in run(pairs).out
