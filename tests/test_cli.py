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
from dupdetect.cli import _with_options, cli, main
from dupdetect.results import OUTPUT_FILES
from dupdetect.review.candidates import pair_key
from dupdetect.review.store import ReviewStore, labels_beside
from dupdetect.tables import read_table
from dupdetect.text import canonical

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
    code, out, err = run(capsys, "dedupe", export, "--estimated-precision", "0")
    assert code == 0
    assert "5 rows = 3 kept + 2 duplicates of a kept row" in out
    assert "5 rows = 3 different texts + 1 repeat + 1 blank (kept)" in out
    assert "1 pair of different texts and 1 repeat join 3 rows, 1 of them kept, into 1 cluster;" in out
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


def test_what_is_not_sure_enough_is_possible(capsys, tmp_path):
    rows = [["1", "how do i reset my password"], ["2", "how can i reset the password"], ["3", "reset password how"]]
    export = write(tmp_path / "export.csv", ["id", "text"], [*rows, ["4", "where is my parcel now"]])
    out = tmp_path / "export.dupdetect"
    every = run(capsys, "dedupe", export, "--estimated-precision", "0", "-o", tmp_path / "every")[1]
    assert "best F1" in every
    assert read_table(tmp_path / "every" / "possible.csv").rows == ()
    found = read_table(tmp_path / "every" / "pairs.csv")
    _, said, _ = run(capsys, "dedupe", export)
    sure, possible = read_table(out / "pairs.csv"), read_table(out / "possible.csv")
    assert sorted([*sure.column("similarity"), *possible.column("similarity")]) == sorted(found.column("similarity"))
    chances = [float(cell) for cell in possible.column("probability")]
    assert chances == sorted(chances, reverse=True)
    assert f"{len(chances)} more pairs are possible duplicates" in said
    assert f", an estimated {round(sum(chances))} of them right: see possible.csv" in said
    assert "estimated precision of at least 0.95 in this file" in said
    record = json.loads((out / "run.json").read_text())
    assert record["counts"]["pairs_possible"] == len(chances) > 1
    assert all(float(cell) < record["calibration"]["threshold"] for cell in possible.column("similarity"))
    lower = run(capsys, "dedupe", export, "--estimated-precision", str(min(chances)), "--overwrite")[1]
    assert "possible duplicate" not in lower
    assert read_table(out / "pairs.csv").rows == found.rows


@pytest.mark.parametrize("point", ["--threshold", "--min-precision", "--min-recall"])
def test_a_point_that_was_asked_for_is_not_moved(capsys, export, tmp_path, point):
    _, out, _ = run(capsys, "dedupe", export, point, "0.72", "-o", tmp_path / "out")
    assert "possible" not in out
    assert "estimated precision" not in out
    said = run(capsys, "dedupe", export, point, "0.72", "--estimated-precision", "0.9", "-o", tmp_path / "other")
    assert said[0] == 2
    assert "Give --estimated-precision, or one of" in said[2]


def test_dedupe_json_is_data_on_stdout(capsys, export, tmp_path):
    code, out, _ = run(
        capsys,
        "dedupe",
        export,
        "-o",
        tmp_path / "out",
        "--json",
        "--keep",
        "max:votes",
        "--estimated-precision",
        "0.9",
    )
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
    assert run(capsys, "dedupe", export)[0] == 0, "an empty folder is used as it is"
    assert f"exists already (made from {export}). Pass --overwrite" in fails(capsys, "dedupe", export)
    assert run(capsys, "dedupe", export, "--overwrite")[0] == 0


def test_exports_that_share_a_default_output_do_not_replace_each_other_unsaid(capsys, export, tmp_path):
    packed = tmp_path / "export.csv.gz"
    packed.write_bytes(gzip.compress(export.read_bytes()))
    assert run(capsys, "dedupe", export)[0] == 0
    assert f"(made from {export})" in fails(capsys, "dedupe", packed)
    code, _, err = run(capsys, "dedupe", packed, "--overwrite")
    assert code == 0
    assert f"held the result of {export}, which is replaced" in err
    assert "is replaced" not in run(capsys, "dedupe", packed, "--overwrite")[2]
    for content in ("{", "[]", '{"input": {"name": 1}}'):
        (tmp_path / "export.dupdetect" / "run.json").write_text(content)
        assert "exists already. Pass" in fails(capsys, "dedupe", packed)


def test_ids_that_identify_nothing_are_said_and_replaced_by_row_numbers(capsys, tmp_path):
    rows = [["7", *ROWS[0][1:]], ["7", *ROWS[1][1:]], ["8", *ROWS[2][1:]]]
    path = write(tmp_path / "e.csv", HEADER, rows)
    said = "Column 'id' cannot identify rows: 2 rows share their value with another, such as '7' (2 times)."
    code, out, err = run(capsys, "dedupe", path, "--keep", "max:votes", "--json", "--estimated-precision", "0.9")
    assert code == 0
    assert f"Note: {said}" in err
    assert said in json.loads(out)["notes"]
    table = read_table(tmp_path / "e.dupdetect" / "questions.csv")
    assert table.column("row") == ["1", "2", "3"]
    assert table.column("duplicate_of") == ["2", "", ""]
    queries = write(tmp_path / "q.csv", ["text"], [["where is my parcel"]])
    code, out, err = run(capsys, "match", queries, "--against", path, "--top-k", "1")
    assert f"Note: {path}: {said}" in err
    assert next(csv.DictReader(out.splitlines()))["match_id"] == "3"


def test_excel_safe_files_are_read_back(capsys, tmp_path):
    path = write(tmp_path / "e.csv", ["id", "question"], [["1", "Wie lösche ich mein Konto?"], ["2", "=HYPERLINK()"]])
    assert run(capsys, "dedupe", path, "--excel-safe", "-o", tmp_path / "out")[0] == 0
    assert (tmp_path / "out" / "kept.csv").read_bytes().startswith(b"\xef\xbb\xbfid,question\n")
    assert run(capsys, "dedupe", tmp_path / "out" / "kept.csv", "-o", tmp_path / "again")[0] == 0
    assert read_table(tmp_path / "again" / "kept.csv").rows == (
        ("1", "Wie lösche ich mein Konto?"),
        ("2", "'=HYPERLINK()"),
    )
    done = subprocess.run(
        [sys.executable, "-m", "dupdetect", "match", path, "--against", path, "--excel-safe"],
        capture_output=True,
        check=False,
    )
    assert done.stdout.startswith(b"\xef\xbb\xbfid,question,match_rank")


def test_keep_stops_before_any_work_at_a_column_that_could_mean_two_things(capsys, tmp_path):
    path = write(tmp_path / "e.csv", ["text", "on"], [["a b", "03/04/2024"], ["a b", "05/02/2024"]])
    line = fails(capsys, "dedupe", path, "--text", "text", "--keep", "max:on")
    assert "--keep max:on: column 'on' cannot put rows in order: '03/04/2024' can be 2024-04-03 or 2024-03-04" in line
    assert not (tmp_path / "e.dupdetect").exists()


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


@pytest.mark.parametrize("verb", ["dedupe", "match", "split", "calibrate", "evaluate", "index"])
def test_where_nothing_can_be_written_nothing_is_read_or_encoded(capsys, export, tmp_path, monkeypatch, verb):
    foreign, file = tmp_path / "foreign", tmp_path / "file"
    foreign.mkdir()
    (foreign / "mine.txt").touch()
    file.touch()
    pairs = labelled(tmp_path / "pairs.csv")
    if verb == "index":
        assert run(capsys, "index", "add", tmp_path / "faq", export)[0] == 0

    def refuse(*_, **__):
        raise AssertionError("there was work")

    monkeypatch.setattr("dupdetect.tables.read.read_table", refuse)
    monkeypatch.setattr(Detector, "from_pretrained", refuse)
    arguments = {
        "dedupe": ("dedupe", export, "-o"),
        "match": ("match", export, "--against", export, "-o"),
        "split": ("split", pairs, "-o"),
        "calibrate": ("calibrate", "default", pairs, "-o"),
        "evaluate": ("evaluate", "default", pairs, "--plots"),
        "index": ("index", "duplicates", tmp_path / "faq", "-o"),
    }[verb]
    said = fails(capsys, *arguments, tmp_path / "nowhere" / "out")
    assert "there is no folder" in said
    assert "Make it first" in said
    if verb == "match":  # which writes a file
        return
    assert "does not look like an earlier output" in fails(capsys, *arguments, foreign, "--overwrite")
    assert "is not a folder" in fails(capsys, *arguments, file, "--overwrite")


def test_commands_name_the_detector_by_its_folder(capsys, export, tmp_path, monkeypatch):
    """Copied from the report, they use the detector that made it, whatever it is called."""
    monkeypatch.chdir(tmp_path)
    labelled(tmp_path / "pairs.csv")
    (tmp_path / "models").mkdir()
    for place in ("fast", "models/mine", "models/dupdetect-fast"):
        assert run(capsys, "calibrate", "default", "pairs.csv", "-o", place)[0] == 0
    named = {"./fast": "./fast", "models/mine": "models/mine", "models/dupdetect-fast": "models/dupdetect-fast"}
    for given, printed in (*named.items(), ("fast", None), ("default", None)):
        assert run(capsys, "dedupe", "export.csv", "--model", given, "-o", "out", "--overwrite")[0] == 0
        lines = re.findall(r"dupdetect (?:dedupe|calibrate) [^<]*", (tmp_path / "out" / "report.html").read_text())
        assert len(lines) > 3
        again = [line for line in lines if "--model out.detector" not in line]
        if printed is not None:
            assert all(f"--model {printed}" in line for line in again), lines
            assert not any("--fast" in line for line in lines)
            refused = fails(capsys, "calibrate", "--from-reviews", "out", "-o", "x")
            assert "nobody has labelled a pair. Run: dupdetect review out" in refused
        else:
            assert not any("--model" in line for line in again)
            assert all(("--fast" in line) == (given == "fast") for line in again if " dedupe " in line)


def test_a_threshold_that_lets_guarded_pairs_count_says_so(capsys, tmp_path):
    texts = [[f"error {number} when I open the page"] for number in (403, 404)]
    file = write(tmp_path / "errors.csv", ["question"], texts)
    code, out, err = run(capsys, "dedupe", file, "--threshold", "0.3")
    assert code == 0
    assert "Note: 1 pair that differs in numbers, a negation, an opposite and the like only counts as duplicates" in err
    assert " 1 duplicate of a kept row" in out
    _, out, err = run(capsys, "dedupe", file, "--threshold", "0.7", "--overwrite")
    assert "differs in numbers" not in err
    assert " 0 duplicates of a kept row" in out
    assert "1 pair as similar as these is ruled out" in out


def test_names_of_results_are_quoted_in_what_to_do_next(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "export.csv", HEADER, ROWS)
    for name, quoted in (("./-out", "./-out"), ("my result", "'my result'")):
        _, out, _ = run(capsys, "dedupe", "export.csv", "--estimated-precision", "0.999", "-o", name)
        assert f"To find out: dupdetect review {quoted}\n" in out
        assert f"dupdetect review {quoted} --possible; then dedupe again" in out
        assert f"Run: dupdetect review {quoted}" in fails(capsys, "calibrate", "--from-reviews", name, "-o", "x")


def test_one_possible_pair_has_its_probability(capsys, export):
    _, out, _ = run(capsys, "dedupe", export, "--estimated-precision", "0.999")
    assert "1 more pair is a possible duplicate, with a probability of 0." in out


def test_dedupe_at_a_threshold(capsys, export, tmp_path):
    code, out, _ = run(capsys, "dedupe", export, "--threshold", "0.999", "-o", tmp_path / "out")
    assert code == 0
    assert "1 duplicate of a kept row" in out
    assert "set by hand" in out


def test_a_file_without_duplicates_has_no_clusters(capsys, tmp_path):
    path = write(tmp_path / "one.csv", ["question"], [["How do I pay?"]])
    code, out, _ = run(capsys, "dedupe", path)
    assert code == 0
    assert "1 row = 1 kept + 0 duplicates of a kept row" in out
    assert "0 pairs of different texts and 0 repeats: no clusters" in out
    assert "probability" not in out
    assert json.loads((tmp_path / "one.dupdetect" / "run.json").read_text())["counts"]["largest_cluster"] == 0


def test_the_summary_says_how_many_are_less_likely_than_not_and_what_that_means(capsys, export, tmp_path):
    share = re.compile(r"probability below one half, .* among pairs of which (\S+) % are duplicates, as (.*)\.")
    point = ("--estimated-precision", "0")
    _, out, _ = run(capsys, "dedupe", export, *point, "-o", tmp_path / "plain")
    assert "below one half" not in out
    _, out, _ = run(capsys, "dedupe", export, "-o", tmp_path / "rare", "--prevalence", "0.01", *point)
    table = read_table(tmp_path / "rare" / "questions.csv")
    below = sum(float(cell) < 0.5 for cell in table.column("probability") if cell)
    assert f"{below} of 2 removed rows ha" in out
    assert share.search(out).groups() == ("1", "was asked for")
    assert "weighted as if 1 % of them were duplicates (38.4 % are)" in out
    page = (tmp_path / "rare" / "report.html").read_text(encoding="utf-8")
    for sentence in (
        "weighted as if 1 % of them",
        "probability below one half",
        "A cluster is the rows that pairs hold",
    ):
        assert sentence in page


def test_several_text_columns(capsys, tmp_path):
    path = write(tmp_path / "t.csv", ["a", "b"], [["reset", "password"], ["Reset", "PASSWORD"], ["reset", "camera"]])
    assert run(capsys, "dedupe", path, "--text", "a", "--text", "b", "-o", tmp_path / "out")[0] == 0
    assert read_table(tmp_path / "out" / "questions.csv").column("kept") == ["true", "false", "true"]


@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_under_the_final_name(tmp_path, request_to_stop):
    rows = [[str(i), f"question number {i} about thing {i * 7} " * 12] for i in range(20_000)]
    path = write(tmp_path / "long.csv", ["id", "text"], rows)
    process = subprocess.Popen([sys.executable, "-m", "dupdetect", "dedupe", str(path)], stderr=subprocess.PIPE)
    time.sleep(4)
    process.send_signal(request_to_stop)
    _, err = process.communicate(timeout=180)
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


def test_match_asks_for_no_ids_of_the_queries(capsys, tmp_path):
    queries, known = tmp_path / "q.csv", tmp_path / "k.csv"
    for path in (queries, known):
        path.write_text("ticket,question\nA1,How do I pay?\nA2,Where is my parcel?\n")
    _, _, err = run(capsys, "match", queries, "--against", known, "--fast")
    (note,) = [line for line in err.splitlines() if "identified by their numbers" in line]
    assert note.startswith(f"Note: {known}: ")
    assert note.endswith("if these are their ids, name it (--against-id).")


def test_match_to_a_file(capsys, export, tmp_path):
    arguments = ("match", export, "--against", export, "-o", tmp_path / "m.csv", "--top-k", "1")
    assert run(capsys, *arguments)[0] == 0
    assert len(read_table(tmp_path / "m.csv")) == 5
    assert "--overwrite" in fails(capsys, *arguments)


def test_match_errors_name_the_file_and_its_option(capsys, export, tmp_path):
    queries = write(tmp_path / "q.csv", ["ticket", "text"], [["a", "i want to reset my password"]])
    neither = write(tmp_path / "k.csv", ["a", "b"], [["1", "2"]])
    line = fails(capsys, "match", queries, "--against", neither)
    assert f"{neither}" in line
    assert "(--against-text)" in line
    line = fails(capsys, "match", queries, "--text", "text", "--against", export)
    assert f"{export}: There is no column 'text'." in line
    assert "(--against-text)" in line
    line = fails(capsys, "match", queries, "--against", export, "--against-id", "nr")
    assert f"{export}: There is no column 'nr'." in line
    assert "(--against-id)" in line
    line = fails(capsys, "match", queries, "--text", "q", "--against", export)
    assert f"{queries}: There is no column 'q'." in line
    assert "(--text)" in line
    assert "(--text)" in fails(capsys, "match", neither, "--against", export)


def test_match_reads_each_file_in_its_own_encoding_and_delimiter(capsys, tmp_path):
    (tmp_path / "q.csv").write_bytes("ticket/text\n1/как оплатить счёт, и где\n".encode("koi8-r"))
    known = tmp_path / "k.csv"
    known.write_bytes("id,text\nü,как оплатить счёт и где\n".encode())
    queries = (tmp_path / "q.csv", "--encoding", "koi8-r", "--delimiter", "/", "--threshold", "0.5")
    code, out, _ = run(capsys, "match", *queries, "--against", known)
    assert code == 0
    assert next(csv.DictReader(out.splitlines()))["match_id"] == "ü"
    known.write_bytes("id|text\nü|как оплатить счёт, и где\n".encode("cp866", "replace"))
    options = ("--against-encoding", "cp866", "--against-delimiter", "|")
    code, out, _ = run(capsys, "match", *queries, "--against", known, *options)
    assert next(csv.DictReader(out.splitlines()))["match_text"] == "как оплатить счёт, и где"
    line = fails(capsys, "match", *queries, "--against", known, "--against-encoding", "utf-8")
    assert "--against-encoding cp1252" in line


@pytest.mark.parametrize("verb", ["match", "score"])
@pytest.mark.parametrize("name", ["m.xlsx", "m.json", "m.parquet", "m.csv.gz", "m.tsv", ""])
def test_outputs_that_cannot_be_written_are_refused(capsys, export, tmp_path, verb, name):
    against = ["--against", export] if verb == "match" else []
    line = fails(capsys, verb, export, *against, "-o", tmp_path / name, "--overwrite", status=2)
    assert ("End the name in .csv" if name else "is a folder") in line
    assert list(tmp_path.iterdir()) == [export]


@pytest.mark.parametrize("name", ["m.CSV", "m.txt", "m"])
def test_other_names_for_csv(capsys, export, tmp_path, name):
    assert run(capsys, "match", export, "--against", export, "-o", tmp_path / name)[0] == 0
    assert len(read_table(tmp_path / name)) > 0


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


def test_score_knows_the_pairs_that_dedupe_writes(capsys, export, tmp_path):
    assert run(capsys, "dedupe", export, "-o", tmp_path / "out")[0] == 0
    written = read_table(tmp_path / "out" / "pairs.csv")
    code, _, _ = run(capsys, "score", tmp_path / "out" / "pairs.csv", "-o", tmp_path / "scored.csv")
    assert code == 0
    scored = read_table(tmp_path / "scored.csv")
    assert scored.columns[: len(written.columns)] == written.columns
    assert scored.column(scored.columns[-4]) == written.column("similarity")
    assert set(scored.column(scored.columns[-2])) == {"true"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["-o", "out.csv"], "--output"),
        (["--left", "x", "--right", "y"], "--left and --right"),
        (["--sheet", "x"], "--sheet"),
        (["--cache", "vectors.sqlite"], "--cache"),
        (["--encoding", "utf-8"], "--encoding"),
        (["--on-bad-rows", "error"], "--on-bad-rows"),
        (["--overwrite", "--excel-safe"], "--excel-safe and --overwrite"),
    ],
)
def test_score_refuses_for_two_texts_what_goes_with_a_file(capsys, tmp_path, monkeypatch, options, named):
    monkeypatch.chdir(tmp_path)
    assert f"{named}: only with a file of pairs" in fails(capsys, "score", "a", "b", *options, status=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [("one.csv", "two.csv"), ("one.csv", "How do I pay?"), ("How do I pay?", "one.csv")])
def test_score_refuses_names_of_files_as_texts(capsys, tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    for name in ("one.csv", "two.csv"):
        write(Path(name), ["question"], [["How do I pay?"]])
    line = fails(capsys, "score", *names, status=2)
    assert "one.csv is a file" in line
    assert "dupdetect match" in line
    assert run(capsys, "score", " one.csv", "How do I pay?")[0] == 0


@pytest.mark.parametrize("text", ["How do I pay?", "How do I pay? " * 1000])
def test_score_of_one_text_asks_for_two(capsys, text):
    assert "Give two texts (in quotes), or one file of pairs" in fails(capsys, "score", text)


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
    assert header[3:] == [f"dupdetect_{name}" for name in ("similarity", "probability", "duplicate", "guards")]


def test_a_text_of_one_enormous_character_number(capsys):
    assert run(capsys, "score", "&#" + "1" * 5000 + ";", "a")[0] == 0


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
    line = fails(capsys, "dedupe", path)
    assert "line 3" in line
    assert "--on-bad-rows keep: then short rows are filled with empty cells" in line
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
    assert "not a detector folder: it has no dupdetect.json" in fails(capsys, "info", tmp_path)
    assert "not a detector folder: it is a file" in fails(capsys, "info", export)
    assert "not a detector folder: it is not there" in fails(capsys, "info", "./nope")
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
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    line = fails(capsys, "info", "some-org/some-model")
    assert 'pip install "dupdetect[hub]"' in line
    assert "There is no folder some-org/some-model" in line
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert 'pip install "dupdetect[train]"' in fails(capsys, "info", "some-model")


def test_a_wrong_model_is_named_before_the_pairs_are_read(capsys, tmp_path):
    for verb, more in (("evaluate", []), ("calibrate", ["-o", tmp_path / "out"])):
        assert "not a detector folder" in fails(capsys, verb, tmp_path, tmp_path / "nope.csv", *more)


def test_pairs_without_labels_are_told_what_a_label_is(capsys, export, tmp_path):
    assert run(capsys, "dedupe", export, "-o", tmp_path / "out")[0] == 0
    line = fails(capsys, "evaluate", "default", tmp_path / "out" / "pairs.csv")
    assert "column of labels (1 or 0, yes or no" in line
    assert "--label" in line


def test_the_precision_that_a_refusal_offers_is_granted(capsys, export):
    line = fails(capsys, "dedupe", export, "--min-precision", "0.99999")
    (offered,) = re.findall(r"best available is (0\.\d{4})\.", line)
    assert run(capsys, "dedupe", export, "--min-precision", offered)[0] == 0


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


# What is read, and how much of it


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_up_to_its_limit(capsys, export, tmp_path, monkeypatch):
    monkeypatch.setattr("dupdetect.tables.limits.LARGEST_CONTENT", 1000)
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with subprocess.Popen(["dd", f"if={export}", f"of={pipe}"], stderr=subprocess.DEVNULL):
        code, out, _ = run(capsys, "dedupe", pipe)
    assert code == 0
    assert "5 rows" in out
    with subprocess.Popen(["dd", "if=/dev/zero", f"of={pipe}", "bs=100", "count=50"], stderr=subprocess.DEVNULL):
        line = fails(capsys, "dedupe", pipe, "-o", tmp_path / "out")
    assert "sends more than 1,000 bytes" in line
    assert "write it to a file" in line


def test_standard_input_is_read_up_to_its_limit_and_a_file_in_full(export, tmp_path):
    code = (
        "import sys, dupdetect.tables.limits as limits; limits.LARGEST_CONTENT = 20;"
        "from dupdetect.tables import read_table; print(len(read_table('-')))"
    )
    command = [sys.executable, "-c", code]
    with export.open("rb") as file:
        assert subprocess.run(command, stdin=file, capture_output=True, check=True).stdout == b"5\n"
    piped = subprocess.run(command, input=export.read_bytes(), capture_output=True, check=False)
    assert b"Standard input sends more than 20 bytes" in piped.stderr


@pytest.mark.parametrize("path", ["/dev/null", "/dev/tty"])
def test_a_device_is_no_export(capsys, path):
    if not Path(path).is_char_device():
        pytest.skip("needs such a device")
    assert "device or a socket" in fails(capsys, "dedupe", path)


def test_names_that_are_empty_or_too_long(capsys, export, tmp_path):
    assert "name of the file is empty" in fails(capsys, "dedupe", "")
    for arguments in (
        ("dedupe", export, "-o", ""),
        ("dedupe", export, "--cache", ""),
        ("score", export, "-o", ""),
        ("split", export, "-o", " "),
        ("calibrate", "default", export, "-o", ""),
        ("train", export, "-o", ""),
        ("evaluate", "default", export, "--plots", ""),
    ):
        assert "the name is empty" in fails(capsys, *arguments, status=2)
    assert not export.with_name("export.dupdetect").exists()
    for arguments in (("dedupe", export), ("match", export, "--against", export)):
        line = fails(capsys, *arguments, "-o", tmp_path / ("x" * 300))
        assert "cannot be written: File name too long. Name another output." in line


@pytest.mark.parametrize(("name", "why"), [("-", "write ./-"), ("a\nb", "has a control character")])
def test_an_output_is_named(capsys, export, name, why):
    assert why in fails(capsys, "dedupe", export, "-o", name, status=2)


def test_a_text_column_is_named_once(capsys, export, tmp_path):
    line = fails(capsys, "dedupe", export, "--text", "question", "--text", "question")
    assert "'question' is named twice" in line
    assert "(--text)" in line
    line = fails(
        capsys, "match", export, "--against", export, "--text", "votes", "--against-text", "id", "--against-text", "id"
    )
    assert "(--against-text)" in line
    same = write(tmp_path / "same.csv", ["q", "q"], [["How do I pay?", "Now"]])
    assert "named twice" in fails(capsys, "dedupe", same, "--text", "q#1", "--text", "q#1")
    assert run(capsys, "dedupe", same, "--text", "q#1", "--text", "q#2")[0] == 0


def test_standard_input_is_there_once(capsys):
    assert "Only one of QUERIES and --against can be -" in fails(capsys, "match", "-", "--against", "-", status=2)


@pytest.mark.parametrize("delimiter", ['"', "\n"])
def test_a_delimiter_that_csv_has_other_uses_for(capsys, export, delimiter):
    line = fails(capsys, "dedupe", export, "--delimiter", delimiter)
    assert "A quotation mark or a line end cannot be the delimiter" in line
    assert "(--delimiter)" in line


def test_one_cell_is_not_called_cells(capsys, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,question\n1\n")
    assert "line 2: 1 cell where the header has 2" in fails(capsys, "dedupe", path)


def test_a_closed_pipe_takes_nothing_from_what_is_said(tmp_path):
    rows = [[str(i), f"How do I pay bill {i}? {'x' * 2000}"] for i in range(60)]
    path = write(tmp_path / "long.csv", ["id", "question"], rows)
    command = f"{sys.executable} -m dupdetect match {path} --against {path} --threshold 1 | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"60 of 60 queries match" in done.stderr
    assert b"Note: " in done.stderr


def test_the_help_says_what_excel_safe_cannot_tell_apart(capsys):
    assert "'=1 and =1 look alike" in " ".join(run(capsys, "dedupe", "--help")[1].split())


def test_pairs_that_were_told_apart_stay_apart_when_the_result_is_written_anew(capsys, tmp_path):
    export = write(
        tmp_path / "export.csv",
        ["id", "text"],
        [["1", "how do i reset my password"], ["2", "how can i reset the password"], ["3", "where is my parcel now"]],
    )
    out = tmp_path / "export.dupdetect"
    point = ("--estimated-precision", "0")
    assert run(capsys, "dedupe", export, *point)[0] == 0
    assert read_table(out / "pairs.csv").column("left_id") == ["1"]
    (key,) = [row[0] for row in read_table(out / "candidates.csv").rows if set(row[1:3]) == {"1", "2"}]
    with ReviewStore(labels_beside(out)) as store:
        store.record(key, "different")
    code, said, notes = run(capsys, "dedupe", export, "--overwrite", *point)
    assert code == 0
    assert "do not count: 1 (export.dupdetect.reviews.sqlite)" in notes
    assert "1 pair as similar as these is ruled out (review 1)" in said
    assert read_table(out / "pairs.csv").column("left_id") == []
    assert read_table(out / "ruled_out.csv").column("reasons") == ["review"]
    with ReviewStore(labels_beside(out)) as store:
        store.record(key, "duplicate")
    assert "told apart" not in run(capsys, "dedupe", export, "--overwrite", *point)[2]
    assert read_table(out / "pairs.csv").column("left_id") == ["1"]
    with ReviewStore(labels_beside(out)) as store:
        store.record(key, "different", "somebody else")
    notes = run(capsys, "dedupe", export, "--overwrite", *point)[2]
    assert "pairs that reviewers disagree on, and that do not count: 1 (export.dupdetect.reviews.sqlite)" in notes
    assert read_table(out / "ruled_out.csv").column("reasons") == ["review"]


def test_pairs_that_reviewers_call_duplicates_count_when_the_result_is_written_anew(capsys, tmp_path):
    texts = ["how do i reset my password", "how can i reset the password", "where is my parcel now"]
    texts += [f"why does the invoice of march show a total of {n} dollars" for n in (120, 140)]
    export = write(tmp_path / "export.csv", ["id", "text"], [[str(n), text] for n, text in enumerate(texts, 1)])
    out = tmp_path / "export.dupdetect"
    strict = ("dedupe", export, "--overwrite", "--estimated-precision", "0.99")
    assert run(capsys, *strict)[0] == 0
    assert read_table(out / "possible.csv").column("left_id") == ["1"]
    assert read_table(out / "ruled_out.csv").column("left_id") == ["4"]
    assert len(read_table(out / "kept.csv").rows) == 5
    with ReviewStore(labels_beside(out)) as store:
        for pair in ((texts[0], texts[1]), (texts[3], texts[4]), (texts[0], texts[2])):
            store.record(pair_key(*map(canonical, pair)), "duplicate")
    code, _, notes = run(capsys, *strict)
    assert code == 0
    assert "2 of the 3 pairs that reviewers call duplicates are found here and count, 2 of them below" in notes
    pairs = read_table(out / "pairs.csv")
    assert (pairs.column("left_id"), pairs.column("right_id")) == (["1", "4"], ["2", "5"])
    assert pairs.column("probability") == ["1.000000", "1.000000"]
    rows = read_table(out / "questions.csv")
    assert rows.column("duplicate_of") == ["", "1", "", "", "4"]
    assert rows.column("probability") == ["", "1.000000", "", "", "1.000000"]
    assert read_table(out / "possible.csv").rows == read_table(out / "ruled_out.csv").rows == ()
    record = json.loads((out / "run.json").read_text())
    assert record["confirmed_by_reviewers"] == 2
    assert record["counts"]["removed"] == 2
    assert record["counts"]["removed_below_half"] == 0


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("for a recall (min_recall=0.9), for", "for a recall (--min-recall 0.9), for"),
        ("pass on_bad_rows='keep' or overwrite=True", "pass --on-bad-rows keep or --overwrite"),
        ("There is no file id=5/x.csv.", "There is no file id=5/x.csv."),
        ("Columns: 'id=5', 'text=2'.", "Columns: 'id=5', 'text=2'."),
    ],
)
def test_errors_name_options_and_leave_names_alone(message, printed):
    assert _with_options(message) == printed
