"""`dupdetect calibrate --from-reviews`: the labels of a review become a detector and a certificate."""

import csv
import json

import pytest

from dupdetect import Detector
from dupdetect.cli import main
from dupdetect.review.candidates import Candidates
from dupdetect.review.store import ReviewStore, labels_beside


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


WAYS = ("how do i {}", "how can i {}", "{} how does that work", "please help me {}", "where do i {}", "i want to {}")
WHAT = (
    *("reset my password", "cancel my order", "change my address", "delete the account", "pay by invoice"),
    *("track a parcel", "return a jacket", "update the card", "download a receipt", "contact the support"),
)


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """An export that the fast tier went through, with a label for each pair that was drawn."""
    folder = tmp_path_factory.mktemp("reviews")
    with (folder / "export.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question"], *([way.format(what)] for what in WHAT for way in WAYS)])
    with pytest.raises(SystemExit):
        main(["dedupe", str(folder / "export.csv"), "--fast", "-o", str(folder / "out")])
    drawn = Candidates.read(folder / "out" / "candidates.csv")
    with ReviewStore(labels_beside(folder / "out")) as store:
        for key, left, right in zip(drawn.key, drawn.left_row.tolist(), drawn.right_row.tolist(), strict=True):
            store.record(key, "duplicate" if left // len(WAYS) == right // len(WAYS) else "different")
    return folder / "out"


def test_it_saves_a_detector_and_a_certificate_without_encoding(capsys, monkeypatch, reviewed, tmp_path):
    from dupdetect.encoder.static import StaticEncoder

    def refuse(*_, **__):
        raise AssertionError("nothing is to be encoded")

    monkeypatch.setattr(StaticEncoder, "encode", refuse)
    arguments = ("calibrate", "--from-reviews", reviewed, "-o", tmp_path / "own", "--min-precision", "0.6")
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    found = json.loads((reviewed / "certificate.json").read_text())
    assert json.loads((tmp_path / "own" / "certificate.json").read_text()) == found
    fast, own = Detector.from_pretrained(tier="fast"), Detector.from_pretrained(tmp_path / "own")
    assert own.encoder.fingerprint == fast.encoder.fingerprint == found["encoder"]
    assert own.guards == fast.guards
    assert own.calibration.threshold == found["threshold"]
    assert out.startswith(f"at threshold {found['threshold']:.4f}: precision at least 0.6 with 95 % confidence among ")
    assert f"all pairs of export.csv, from {found['labels']} labels\n" in out
    assert run(capsys, *arguments)[0] == 1  # the folder is there
    code, out, _ = run(capsys, *arguments, "--overwrite", "--json")
    assert code == 0
    assert json.loads(out) == found


def test_requests_for_certificates_are_counted(capsys, reviewed, tmp_path):
    def asked(precision):
        arguments = ("calibrate", "--from-reviews", reviewed, "-o", tmp_path / "own", "--overwrite")
        code, out, _ = run(capsys, *arguments, "--min-precision", precision)
        return code, out, json.loads((reviewed / "certificate.json").read_text())["request"]

    first = asked("0.55")[2]
    assert asked("0.55")[2] == first
    assert asked("0.999")[0] == 1  # the answer is no, and counts
    code, out, number = asked("0.5")
    assert (code, number) == (0, first + 2)
    assert f"request {number} for a certificate on these labels: all of them share the allowed error\n" in out


def test_a_request_that_cannot_be_written_does_not_count(capsys, reviewed, tmp_path):
    with ReviewStore(labels_beside(reviewed)) as store:
        before = store.request_number("another")
    asked = ("calibrate", "--from-reviews", reviewed, "--min-precision", "0.57", "-o")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.txt").write_text("a file")
    assert run(capsys, *asked, tmp_path / "own")[0] == 1
    certificate = reviewed / "certificate.json"
    kept = certificate.read_bytes() if certificate.exists() else None
    certificate.unlink(missing_ok=True)
    certificate.mkdir()
    try:
        assert run(capsys, *asked, tmp_path / "new")[0] == 1
    finally:
        certificate.rmdir()
        if kept is not None:
            certificate.write_bytes(kept)
    assert not (tmp_path / "new").exists()
    with ReviewStore(labels_beside(reviewed)) as store:
        assert store.request_number("another") == before


def test_a_recall_can_be_asked_for(capsys, reviewed, tmp_path):
    code, out, err = run(capsys, "calibrate", "--from-reviews", reviewed, "-o", tmp_path / "own", "--min-recall", "0.5")
    assert code == 0, err
    assert "no precision is certified" in out


def test_what_cannot_be_certified_is_refused_and_nothing_is_written(capsys, reviewed, tmp_path):
    arguments = ("calibrate", "--from-reviews", reviewed, "-o", tmp_path / "own", "--min-precision", "0.9999")
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert "Cannot reach precision of at least 0.9999" in err
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("default", "pairs.csv", "--from-reviews", "out"), "MODEL and PAIRS"),
        (("--from-reviews", "out", "--left", "a"), "--left"),
        (("default",), "Give MODEL and PAIRS, or --from-reviews"),
        (("default", "pairs.csv", "--model", "m"), "--model goes with --from-reviews"),
    ],
)
def test_one_source_of_labels(capsys, arguments, message):
    code, _, err = run(capsys, "calibrate", *arguments, "-o", "own")
    assert code == 2
    assert message in " ".join(err.split())


def test_another_detector_is_refused(capsys, reviewed, tmp_path):
    arguments = ("calibrate", "--from-reviews", reviewed, "-o", tmp_path / "own", "--model", "default")
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert "would give the pairs other scores" in err


def test_a_folder_without_what_is_needed_is_refused(capsys, reviewed, tmp_path):
    def refusal():
        code, _, err = run(capsys, "calibrate", "--from-reviews", tmp_path, "-o", tmp_path / "own")
        assert code == 1
        return err

    assert "it has no run.json" in refusal()
    (tmp_path / "run.json").write_text("{}")
    assert "lacks something" in refusal()
    record = json.loads((reviewed / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "candidates.csv").write_bytes((reviewed / "candidates.csv").read_bytes())
    assert "nobody has labelled a pair" in refusal()
    with ReviewStore(labels_beside(tmp_path)):
        (tmp_path / "run.json").write_text(json.dumps({**record, "model": "mine"}))
    assert "Name its folder with --model" in refusal()


def test_the_certified_detector_decides_the_export_that_it_was_made_for(capsys, reviewed, tmp_path):
    own = tmp_path / "own"
    assert run(capsys, "calibrate", "--from-reviews", reviewed, "-o", own, "--min-precision", "0.6")[0] == 0
    export = reviewed.parent / "export.csv"
    code, out, err = run(capsys, "dedupe", export, "--model", own, "-o", tmp_path / "again")
    assert code == 0, err
    assert "(a review of export.csv), among all pairs of that export" in out
    run_json = json.loads((tmp_path / "again" / "run.json").read_text())
    assert run_json["calibration"]["threshold"] == Detector.from_pretrained(own).calibration.threshold
    assert run(capsys, "dedupe", export, "--model", own, "-o", tmp_path / "recall", "--min-recall", "0.5")[0] == 0
    code, _, err = run(capsys, "dedupe", export, "--model", own, "-o", tmp_path / "other", "--min-precision", "0.7")
    assert code == 1
    assert "calibrate --from-reviews OUT_DIR --min-precision" in err
