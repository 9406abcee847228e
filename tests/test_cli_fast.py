"""The fast tier on the command line and in Python."""

import csv
import json

import pytest

from dupdetect import Detector
from dupdetect.cli import main
from dupdetect.encoder.static import StaticEncoder
from dupdetect.errors import InputError


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.fixture(scope="module")
def fast():
    return Detector.from_pretrained(tier="fast")


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "export.csv"
    rows = ["how do i reset my password", "how can i reset my password", "where is my parcel", "cancel my plan today"]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question"], *([row] for row in rows)])
    return path


def test_it_is_a_detector_of_its_own(fast):
    assert isinstance(fast.encoder, StaticEncoder)
    assert fast.name == "dupdetect-fast"
    default = Detector.from_pretrained()
    assert fast.require_calibration().threshold != default.require_calibration().threshold
    assert fast.predict([("how do i reset my password", "how can i reset my password"), ("where is rome", "pay now")])[
        0
    ]
    with pytest.raises(InputError, match="no tier"):
        Detector.from_pretrained(tier="slow")


def test_dedupe_match_and_score_take_it(capsys, export, tmp_path, fast):
    assert run(capsys, "dedupe", export, "--fast", "--estimated-precision", "0", "-o", tmp_path / "out")[0] == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["model"] == "dupdetect-fast"
    assert record["calibration"]["threshold"] == fast.require_calibration().threshold
    assert record["counts"]["kept"] == 3
    assert run(capsys, "match", export, "--against", export, "--fast", "-o", tmp_path / "matched.csv")[0] == 0
    code, out, _ = run(capsys, "score", "how do i pay", "how can i pay", "--fast", "--json")
    assert code == 0
    assert json.loads(out)["threshold"] == fast.require_calibration().threshold


def test_it_goes_by_its_name_where_a_model_does(capsys, fast):
    code, out, _ = run(capsys, "info", "fast", "--json")
    assert code == 0
    assert json.loads(out)["encoder"]["fingerprint"] == fast.encoder.fingerprint


@pytest.mark.parametrize("model", ["default", "somewhere"])
def test_it_does_not_go_with_another_model(capsys, export, model):
    code, _, err = run(capsys, "dedupe", export, "--fast", "--model", model)
    assert code == 2
    assert "Give one of --model and --fast" in err
