"""Results: what they hold, what they write, and that nothing of the input is lost on the way."""

import csv
import json

import polars as pl
import pytest

from dupdetect import Questions
from dupdetect.errors import OutputExistsError
from dupdetect.results import OUTPUT_FILES
from dupdetect.tables import read_table


def test_written_files_hold_every_row_and_cell(detector, tmp_path):
    source = tmp_path / "in.csv"
    rows = [["7", "Reset my password", "=1+1"], ["8", "reset MY password?", "x, y"], ["9", "", "line\nbreak"]]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "question", ""], *rows])
    result = detector.deduplicate(Questions.read(source))
    folder = result.write(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == set(OUTPUT_FILES)
    written = read_table(folder / "questions.csv")
    assert written.columns == ("id", "question", "", "cluster_id", "kept", "duplicate_of", "similarity", "probability")
    assert [list(row[:3]) for row in written.rows] == rows
    assert [row[3:] for row in written.rows] == [
        ("1", "true", "", "", ""),
        ("1", "false", "7", "1.0", "1.000000"),
        ("2", "true", "", "", ""),
    ]
    assert [list(row) for row in read_table(folder / "kept.csv").rows] == [rows[0], rows[2]]
    pairs = read_table(folder / "pairs.csv")
    assert [dict(zip(pairs.columns, row, strict=True))["same_text"] for row in pairs.rows] == ["true"]
    run = json.loads((folder / "run.json").read_text())
    assert run["counts"]["rows"] == 3
    assert run["input"]["sha256"]
    assert run["calibration"]["threshold"] == 0.7


def test_excel_safe_touches_formula_cells_only_on_request(detector, tmp_path):
    frame = {"text": ["=cmd()", "plain"]}
    result = detector.deduplicate(frame, text="text")
    plain = read_table(result.write(tmp_path / "plain") / "questions.csv").column("text")
    safe = read_table(result.write(tmp_path / "safe", excel_safe=True) / "questions.csv").column("text")
    assert plain == ["=cmd()", "plain"]
    assert safe == ["'=cmd()", "plain"]


def test_a_second_run_on_a_result_keeps_the_first_results(detector, tmp_path):
    first = detector.deduplicate({"text": ["a b", "a b"]}, text="text").write(tmp_path / "one")
    again = detector.deduplicate(Questions.read(first / "questions.csv", text="text")).write(tmp_path / "two")
    columns = read_table(again / "questions.csv").columns
    assert columns[1:6] == ("cluster_id", "kept", "duplicate_of", "similarity", "probability")
    assert columns[6:] == tuple(f"dupdetect_{name}" for name in columns[1:6])


def test_output_is_never_overwritten_unasked(detector, tmp_path):
    result = detector.deduplicate(["a"])
    result.write(tmp_path / "out")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        result.write(tmp_path / "out")
    result.write(tmp_path / "out", overwrite=True)


def test_a_write_that_fails_leaves_nothing(detector, tmp_path, monkeypatch):
    result = detector.deduplicate(["a b", "a b"])

    def full(report):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dupdetect.results.deduplication.render_report", full)
    with pytest.raises(OSError, match="No space left"):
        result.write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_to_frame(detector):
    frame = detector.deduplicate(pl.DataFrame({"q": ["a b", "A b", "c"]}), text="q").to_frame()
    assert frame.columns == ["row", "id", "text", "cluster_id", "kept", "duplicate_of", "similarity", "probability"]
    assert frame["duplicate_of"].to_list() == [None, "1", None]
    assert frame["similarity"].to_list() == [None, 1.0, None]


def test_the_report_escapes_what_users_wrote(detector, tmp_path):
    attack = "<script>alert(1)</script> a b c"
    folder = detector.deduplicate([attack, attack + "!"]).write(tmp_path / "out")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


# Matching


def test_match_finds_known_questions_or_none(detector):
    corpus = ["invoice is late", "reset my password", "RESET my password", ""]
    matches = detector.match(["Reset my password?", "camera offline", "", "invoice late is"], corpus)
    assert [found and found[0].row for found in matches] == [1, None, None, 0]
    assert matches[0][0].similarity == 1.0
    assert matches[0][0].probability == 1.0
    assert len(matches.best) == 4
    assert matches.best[1] is None


def test_match_lists_at_most_top_k_best_first(detector):
    detector = detector.at(threshold=0.1)
    corpus = [f"a b c d e{i}" + " x" * i for i in range(6)]
    found = detector.match(["a b c d"], corpus, top_k=3)[0]
    assert len(found) == 3
    similarity = [match.similarity for match in found]
    assert similarity == sorted(similarity, reverse=True)
    everything = detector.similarity([("a b c d", text) for text in corpus])
    assert similarity == sorted(everything.tolist(), reverse=True)[:3]


def test_matches_are_written_a_row_per_match(detector):
    matches = detector.match(["reset my password", "zzz"], ["reset my password"])
    rows = list(matches.rows())
    assert len(matches.columns()) == len(rows[0]) == 6
    assert rows[1] == ("zzz", "", "", "", "", "")
