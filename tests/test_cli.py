"""The command line: every verb on real files with the shipped detector; every failure one line that helps."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dupdetect import Detector
from dupdetect.cli import cli, main
from dupdetect.results import OUTPUT_FILES
from dupdetect.tables import read_table

HEADER = ["id", "question", "votes"]
ROWS = [
    ["1", "How do I reset my password?", "3"],
    ["2", "how can I reset my password", "9"],
    ["3", "Where is my parcel?", "1"],
    ["4", "", "0"],
    ["5", "How do I reset my password?", "2"],
]


@pytest.fixture(scope="session")
def shipped():
    return Detector.from_pretrained()


@pytest.fixture
def export(tmp_path):
    return write(tmp_path / "export.csv", HEADER, ROWS)


def write(path, header, rows, **how):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, **how).writerows([header, *rows])
    return path


def labelled(path, n=60):
    rows = []
    for i in range(n):
        rows.append((f"How do I close account number {i}?", f"How can I close the account number {i}", "1"))
        rows.append((f"How do I close account number {i}?", f"Is the weather nice in town {i}?", "0"))
    return write(path, ["question1", "question2", "label"], rows)


def run(capsys, *arguments):
    """Return (status, stdout, stderr) of the command."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


def fails(capsys, *arguments, status=1):
    """Run a command that must fail: one line on stderr, nothing on stdout, no traceback. Return that line."""
    code, out, err = run(capsys, *arguments)
    assert code == status
    assert out == ""
    assert "Traceback" not in err
    if status == 1:
        assert err.startswith("Error: ")
        assert len(err.strip().splitlines()) == 1
    return err


# dedupe


def test_dedupe_writes_its_folder_beside_the_export(capsys, export):
    code, out, err = run(capsys, "dedupe", export)
    assert code == 0
    assert "5 rows = 3 kept + 2 duplicates of a kept row" in out
    assert "5 rows = 3 different texts + 1 repeats + 1 blank (kept)" in out
    assert "promises no precision" in out
    assert "far rarer" in out
    assert "question" in err, "the run says which column it chose"
    folder = export.with_name("export.dupdetect")
    assert sorted(path.name for path in folder.iterdir()) == sorted(OUTPUT_FILES)
    table = read_table(folder / "questions.csv")
    assert [list(row[:3]) for row in table.rows] == ROWS
    assert table.column("duplicate_of") == ["", "1", "", "", "1"]
    threshold = json.loads((folder / "run.json").read_text())["calibration"]["threshold"]
    assert all(float(cell) >= threshold for cell in table.column("similarity") if cell)


def test_dedupe_json_is_data_on_stdout(capsys, export, tmp_path):
    code, out, _ = run(capsys, "dedupe", export, "-o", tmp_path / "out", "--json", "--keep", "max:votes")
    assert code == 0
    record = json.loads(out)
    assert record["counts"]["removed"] == 2
    assert record["keep"] == "max:votes"
    assert read_table(tmp_path / "out" / "kept.csv").column("id") == ["2", "3", "4"]


def test_dedupe_reads_standard_input(export, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dupdetect", "dedupe", "-", "-o", "out"],
        input=export.read_bytes(),
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(read_table(tmp_path / "out" / "questions.csv")) == 5


def test_dedupe_reads_gzip_and_names_the_output_after_the_export(capsys, export, tmp_path):
    (tmp_path / "big.csv.gz").write_bytes(gzip.compress(export.read_bytes()))
    assert run(capsys, "dedupe", tmp_path / "big.csv.gz")[0] == 0
    assert (tmp_path / "big.dupdetect" / "questions.csv").exists()


def test_dedupe_refuses_to_overwrite_before_it_works(capsys, export, tmp_path):
    (tmp_path / "export.dupdetect").mkdir()
    assert "--overwrite" in fails(capsys, "dedupe", export)
    assert run(capsys, "dedupe", export, "--overwrite")[0] == 0
    assert run(capsys, "dedupe", export, "--overwrite")[0] == 0


def test_overwrite_never_deletes_a_folder_of_other_things(capsys, export, tmp_path):
    mine = tmp_path / "documents"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    fails(capsys, "dedupe", export, "-o", mine, "--overwrite")
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_an_output_that_holds_the_input_is_refused(capsys, tmp_path):
    folder = tmp_path / "kag"
    folder.mkdir()
    labelled(folder / "train.csv")
    before = (folder / "train.csv").read_bytes()
    assert "lies in the output" in fails(capsys, "split", folder / "train.csv", "-o", folder, "--overwrite")
    assert (folder / "train.csv").read_bytes() == before


def test_folders_that_only_look_like_an_output_are_not_replaced(capsys, export, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("questions.csv", "kept.csv", "pairs.csv"):
        (mine / name).write_text("mine")
    fails(capsys, "dedupe", export, "-o", mine, "--overwrite")
    assert (mine / "kept.csv").read_text() == "mine"


def test_dedupe_at_a_threshold(capsys, export, tmp_path):
    code, out, _ = run(capsys, "dedupe", export, "--threshold", "0.999", "-o", tmp_path / "out")
    assert code == 0
    assert "1 duplicates" in out
    assert "set by hand" in out


def test_several_text_columns(capsys, tmp_path):
    path = write(tmp_path / "t.csv", ["a", "b"], [["reset", "password"], ["Reset", "PASSWORD"], ["reset", "camera"]])
    assert run(capsys, "dedupe", path, "--text", "a", "--text", "b", "-o", tmp_path / "out")[0] == 0
    assert read_table(tmp_path / "out" / "questions.csv").column("kept") == ["true", "false", "true"]


def test_an_interrupt_leaves_nothing_under_the_final_name(tmp_path):
    rows = [[str(i), f"question number {i} about thing {i * 7} " * 12] for i in range(20_000)]
    path = write(tmp_path / "long.csv", ["id", "text"], rows)
    process = subprocess.Popen([sys.executable, "-m", "dupdetect", "dedupe", str(path)], stderr=subprocess.PIPE)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"Interrupted" in err
    assert [child.name for child in tmp_path.iterdir()] == ["long.csv"]


# The other verbs


def test_match(capsys, export, tmp_path):
    queries = write(tmp_path / "q.csv", ["ticket", "text"], [["a", "i want to reset my password"], ["b", "Bananas"]])
    code, out, err = run(capsys, "match", queries, "--against", export, "--against-text", "question", "--text", "text")
    assert code == 0
    table = list(csv.reader(out.splitlines()))
    assert table[0] == ["ticket", "text", "match_rank", "match_id", "match_text", "similarity", "probability"]
    assert {row[0] for row in table[1:]} == {"a", "b"}
    assert table[1][3] in {"1", "2"}
    assert table[-1] == ["b", "Bananas", "", "", "", "", ""]
    assert "1 of 2 queries match" in err


def test_match_to_a_file(capsys, export, tmp_path):
    arguments = ("match", export, "--against", export, "-o", tmp_path / "m.csv", "--top-k", "1")
    assert run(capsys, *arguments)[0] == 0
    assert len(read_table(tmp_path / "m.csv")) == 5
    assert "--overwrite" in fails(capsys, *arguments)


def test_score_two_texts(capsys):
    code, out, _ = run(capsys, "score", "How do I reset my password?", "how can i reset my password")
    assert code == 0
    assert out.startswith("duplicates: similarity 0.")
    code, out, _ = run(capsys, "score", "How do I pay?", "Where is Rome?", "--json")
    assert json.loads(out)["duplicate"] is False


def test_score_a_file(capsys, tmp_path):
    path = write(tmp_path / "p.csv", ["text1", "text2", "x"], [["a b", "A b?", "=1"], ["pay", "Rome", ""]])
    code, out, _ = run(capsys, "score", path)
    assert code == 0
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["duplicate"] for row in rows] == ["true", "false"]
    assert [row["x"] for row in rows] == ["=1", ""]


def test_split(capsys, tmp_path):
    code, out, _ = run(capsys, "split", labelled(tmp_path / "p.csv"), "-o", tmp_path / "s", "--seed", "3")
    assert code == 0
    assert "calibration" in out
    names = [f"{name}.csv" for name in ("train", "validation", "calibration", "test")]
    assert sum(len(read_table(tmp_path / "s" / name)) for name in names) == 120
    assert json.loads((tmp_path / "s" / "report.json").read_text())


def test_calibrate_evaluate_info_and_use(capsys, tmp_path, export):
    pairs = labelled(tmp_path / "p.csv")
    code, out, _ = run(capsys, "calibrate", "default", pairs, "-o", tmp_path / "mine")
    assert code == 0
    assert "best F1" in out
    code, out, _ = run(capsys, "info", tmp_path / "mine", "--json")
    described = json.loads(out)
    assert described["name"] == "mine"
    assert described["calibration"]["pairs"] == 120
    code, out, _ = run(capsys, "evaluate", tmp_path / "mine", pairs, "--json")
    assert code == 0
    assert json.loads(out)["pair"]["average_precision"]["value"] > 0.9
    code, out, _ = run(capsys, "evaluate", tmp_path / "mine", pairs)
    assert "Recall@1" in out
    assert run(capsys, "dedupe", export, "--model", tmp_path / "mine")[0] == 0


def test_info_says_where_the_shipped_threshold_comes_from(capsys, shipped):
    code, out, _ = run(capsys, "info")
    assert code == 0
    assert "Quora Question Pairs" in out
    assert "best F1 on the labelled pairs" in out
    assert re.search(r"duplicates \(\d+\.\d %\)", out)
    assert shipped.encoder.fingerprint in out


# Failures: one line, what to do next


def test_control_characters_do_not_reach_the_terminal(capsys, tmp_path):
    line = fails(capsys, "dedupe", tmp_path / "\x1b]0;title\x07.csv")
    assert "\x1b" not in line
    _, out, _ = run(capsys, "score", "a \x9b b", "a b", "--json")
    assert out.isascii()


def test_added_columns_never_repeat_a_name(capsys, tmp_path):
    path = write(tmp_path / "p.csv", ["text1", "text2", "similarity"], [["a b", "A b?", "x"]])
    _, out, _ = run(capsys, "score", path)
    header = out.splitlines()[0].split(",")
    assert header[3:] == ["dupdetect_similarity", "dupdetect_probability", "dupdetect_duplicate"]


def test_a_text_of_one_enormous_character_number(capsys):
    assert run(capsys, "score", "&#" + "1" * 5000 + ";", "a")[0] == 0


def test_a_termination_request_cleans_up(tmp_path):
    rows = [[str(i), f"question number {i} about thing {i * 7} " * 12] for i in range(20_000)]
    path = write(tmp_path / "long.csv", ["id", "text"], rows)
    process = subprocess.Popen([sys.executable, "-m", "dupdetect", "dedupe", str(path)], stderr=subprocess.PIPE)
    time.sleep(4)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_closed_streams(export):
    for redirection, status in (("- <&-", 1), (f"{export} --overwrite >&-", 0)):
        command = f"{sys.executable} -m dupdetect dedupe {redirection}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, cwd=export.parent)
        assert b"Traceback" not in done.stderr
        assert done.returncode == status, done.stderr


def test_wrong_column(capsys, export):
    assert "Did you mean 'question'" in fails(capsys, "dedupe", export, "--text", "questoin")


def test_no_obvious_text_column(capsys, tmp_path):
    line = fails(capsys, "dedupe", write(tmp_path / "x.csv", ["a", "b"], [["1", "2"]]))
    assert "--text" in line
    assert "'a'" in line


def test_wrong_encoding(capsys, tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("question\nfällig\n".encode("cp1252"))
    assert "--encoding cp1252" in fails(capsys, "dedupe", path, "--encoding", "utf-8")
    assert run(capsys, "dedupe", path)[0] == 0


def test_ragged_rows(capsys, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,question\n1,Hello there you\n2,a,b\n")
    assert "line 3" in fails(capsys, "dedupe", path)
    assert run(capsys, "dedupe", path, "--on-bad-rows", "keep")[0] == 0


@pytest.mark.parametrize("content", [None, b""])
def test_missing_and_empty_files(capsys, tmp_path, content):
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_bytes(content)
    fails(capsys, "dedupe", path)


@pytest.mark.parametrize("path", [".", "/", ""])
def test_a_folder_is_no_export(capsys, path):
    fails(capsys, "dedupe", path)


def test_header_only_is_no_error(capsys, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,question\n")
    code, out, _ = run(capsys, "dedupe", path)
    assert code == 0
    assert "0 rows = 0 kept" in out


def test_unreadable_model_folders(capsys, export, tmp_path):
    assert "not a detector folder" in fails(capsys, "info", tmp_path)
    fails(capsys, "info", tmp_path / "nowhere")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "dupdetect.json").write_text("{")
    assert "cannot be read" in fails(capsys, "dedupe", export, "--model", broken)


def test_too_few_labels_to_calibrate(capsys, tmp_path):
    line = fails(capsys, "calibrate", "default", labelled(tmp_path / "p.csv", n=5), "-o", tmp_path / "m")
    assert "Too few" in line
    assert not (tmp_path / "m").exists()


def test_a_precision_that_cannot_be_certified(capsys, tmp_path, export):
    assert "best available" in fails(capsys, "dedupe", export, "--min-precision", "0.99999")


def test_a_missing_extra_names_the_pip_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert 'pip install "dupdetect[train]"' in fails(capsys, "info", "some-org/some-model")


def test_labels_that_are_none(capsys, tmp_path):
    path = write(tmp_path / "p.csv", ["question1", "question2", "label"], [["a", "b", "maybe"]])
    assert "'maybe'" in fails(capsys, "split", path, "-o", tmp_path / "s")


@pytest.mark.parametrize(
    "arguments",
    [
        ["dedupe"],
        ["nonsense"],
        ["dedupe", "x.csv", "--no-such-option"],
        ["dedupe", "x.csv", "--threshold", "high"],
        ["dedupe", "x.csv", "--threshold", "0.8", "--min-recall", "0.9"],
        ["score", "a", "b", "c"],
    ],
)
def test_wrong_usage_is_status_2(capsys, arguments):
    fails(capsys, *arguments, status=2)


@pytest.mark.parametrize("value", ["1.5", "0", "-1", "nan"])
def test_impossible_operating_points(capsys, export, value):
    fails(capsys, "dedupe", export, "--min-precision", value)


def test_a_closed_pipe_is_no_error(export):
    command = f"{sys.executable} -m dupdetect score {export} --left question --right question | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


# What a newcomer meets first


def test_every_verb_has_help_with_an_example(capsys):
    for name in cli.commands:
        code, out, _ = run(capsys, name, "--help")
        assert code == 0
        assert f"dupdetect {name}" in out


def test_help_and_import_are_light():
    """No torch, no onnxruntime, no polars: `import dupdetect` and `--help` must be instant."""
    script = (
        "import sys, dupdetect\n"
        "from dupdetect.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'onnxruntime', 'polars', 'numpy', 'sklearn', 'tokenizers', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_detectors_load_without_torch():
    script = (
        "import sys\nfrom dupdetect import Detector\n"
        "Detector.from_pretrained().predict([('a', 'b')])\n"
        "heavy = {'torch', 'transformers', 'polars', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr


def test_the_same_answer_from_another_folder(capsys, tmp_path, monkeypatch):
    """Paths are taken as they are given; nothing depends on the current folder."""
    monkeypatch.chdir(tmp_path)
    write(Path("e.csv"), HEADER, ROWS)
    assert run(capsys, "dedupe", "e.csv")[0] == 0
    assert Path("e.dupdetect").is_dir()
