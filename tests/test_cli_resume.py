"""`dedupe --resume`: what was finished before an interruption is not done again, and nothing stays behind."""

import csv
import json

import pytest

from dupdetect import encoded_texts
from dupdetect.cli import main
from dupdetect.engines import local
from dupdetect.search import exact


@pytest.fixture
def export(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_texts, "_FEW_ROWS", 10)
    path = tmp_path / "export.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question"], *([f"how do i pay bill {n % 25} in shop {n}"] for n in range(60))])
    return path


def dedupe(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["dedupe", *map(str, arguments)])
    return stop.value.code


def test_it_goes_on_after_an_interruption(capsys, export, tmp_path, monkeypatch):
    plain, output, partial = tmp_path / "plain", tmp_path / "out", tmp_path / "out.partial"
    assert dedupe(export, "-o", plain) == 0

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(local, "resolve", interrupted)
        assert dedupe(export, "-o", output, "--resume") == 130
    assert (partial / "vectors.sqlite").exists()
    assert len(list((partial / "pairs").rglob("*.npy"))) == 1
    assert not output.exists()
    with monkeypatch.context() as patch:
        patch.setattr(exact._Join, "pairs", interrupted)
        assert dedupe(export, "-o", output, "--resume") == 0
    assert not partial.exists()
    for name in ("questions.csv", "kept.csv", "pairs.csv"):
        assert (output / name).read_bytes() == (plain / name).read_bytes()
    assert json.loads((output / "run.json").read_text())["encoded_texts"] == 0


def test_another_export_begins_anew(capsys, export, tmp_path, monkeypatch):
    output, other = tmp_path / "out", tmp_path / "other.csv"
    with monkeypatch.context() as patch:
        patch.setattr(local, "resolve", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert dedupe(export, "-o", output, "--resume") == 130
    other.write_text(export.read_text(encoding="utf-8").replace("pay", "return"), encoding="utf-8")
    assert dedupe(other, "-o", output, "--resume") == 0
    assert dedupe(other, "-o", tmp_path / "plain") == 0
    assert (output / "pairs.csv").read_bytes() == (tmp_path / "plain" / "pairs.csv").read_bytes()


def test_a_cache_of_the_users_own_is_kept(export, tmp_path):
    assert dedupe(export, "-o", tmp_path / "out", "--resume", "--cache", tmp_path / "mine.sqlite") == 0
    assert (tmp_path / "mine.sqlite").exists()
    assert not (tmp_path / "out.partial").exists()


def test_a_folder_of_someone_else_is_refused(capsys, export, tmp_path):
    (tmp_path / "out.partial" / "pairs").mkdir(parents=True)
    (tmp_path / "out.partial" / "pairs" / "mine.npy").write_text("mine")
    assert dedupe(export, "-o", tmp_path / "out", "--resume") == 1
    assert "out.partial is needed for --resume, and holds pairs" in capsys.readouterr().err
    assert (tmp_path / "out.partial" / "pairs" / "mine.npy").exists()


def test_what_someone_puts_beside_it_stays(export, tmp_path):
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "dupdetect.partial").touch()
    (partial / "notes.txt").write_text("mine")
    cache = partial / "vectors.sqlite"
    assert dedupe(export, "-o", tmp_path / "out", "--resume", "--cache", cache) == 0
    assert sorted(file.name for file in partial.iterdir()) == ["notes.txt", "vectors.sqlite"]


def test_the_current_folder_is_refused_in_a_line(capsys, export, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert dedupe(export, "-o", ".", "--resume") == 1
    assert "Name another output folder" in capsys.readouterr().err


def test_a_place_that_cannot_be_had_is_named(capsys, export, tmp_path):
    (tmp_path / "out.partial").write_text("a file")
    assert dedupe(export, "-o", tmp_path / "out", "--resume") == 1
    assert "out.partial is needed for --resume" in capsys.readouterr().err
