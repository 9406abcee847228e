"""`dupdetect review --web`: the review page alone, on this machine, until Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from dupdetect.cli import main
from dupdetect.review import ReviewStore
from dupdetect.review.candidates import Candidates
from dupdetect.review.store import labels_beside


@pytest.fixture
def export(detector, tmp_path):
    words = [f"w{n}" for n in range(8)]
    texts = [" ".join(words[:n] + words[n + 1 :]) for n in range(8)]
    return detector.deduplicate(texts).write(tmp_path / "export.dupdetect")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_keeps_every_label(export, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "dupdetect", "review", str(export), "--web", "--reviewer", "ana b"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    try:
        line = process.stderr.readline()
        address = re.fullmatch(r"Review at (http://127\.0\.0\.1:\d+/review\?reviewer=ana\+b) \(Ctrl-C stops\)\n", line)[
            1
        ]
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - our own
            page = answer.read().decode()
        key = Candidates.read(export / "candidates.csv").key[0]
        assert key in page
        form = f"key={key}&label=duplicate&reviewer=ana+b".encode()
        urllib.request.urlopen(address.partition("?")[0] + "/label", data=form, timeout=30).close()  # noqa: S310
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert re.match(r"1 of \d+ pairs labelled by ana b: 1 duplicate, 0 different, 0 unsure\n", out)
    assert err == ""
    with ReviewStore(labels_beside(export)) as store:
        assert store.labels_by("ana b") == {key: "duplicate"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nothing", "--web"), 1, "candidates.csv is not there"),
        (("nothing", "--port", "8000"), 2, "--port goes with --web only."),
        (("nothing", "--model", "default"), 2, "--model goes with --web only."),
        (("nothing", "--web", "--port", "70000"), 2, "--port"),
    ],
)
def test_what_cannot_be_served_is_told(capsys, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    stopped, out, err = run(capsys, "review", *arguments)
    assert (stopped, out) == (code, "")
    assert message in " ".join(err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_told_before_anybody_is_asked(capsys, export):
    labels_beside(export).write_text("what is this")
    code, out, err = run(capsys, "review", export, "--web")
    assert (code, out) == (1, "")
    assert "is no file of review labels, or a damaged one." in err


def test_a_missing_extra_is_named(capsys, export, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    code, _, err = run(capsys, "review", export, "--web")
    assert code == 1
    assert 'pip install "dupdetect[serve]"' in err
