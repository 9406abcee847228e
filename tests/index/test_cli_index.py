"""The verb index, as it is used at a terminal."""

import json
import re
import subprocess
import sys

import pytest

from dupdetect import Detector
from dupdetect.cli import main

FAQ = """number,question,topic
1,How do I reset my password?,account
2,how do I reset my password,account
3,Where is my parcel?,delivery
4,How do I pay with a credit card?,payment
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faq.csv").write_text(FAQ)
    return tmp_path


@pytest.fixture
def call(capsys):
    def call(*arguments, status=0):
        with pytest.raises(SystemExit) as stopped:
            main(["index", *arguments])
        captured = capsys.readouterr()
        assert stopped.value.code == status, captured.err
        assert "Traceback" not in captured.err
        return captured.out, captured.err

    return call


@pytest.fixture
def faq(folder, call):
    call("add", "faq", "faq.csv", "--text", "question", "--id", "number", "--label", "topic", "--fast")
    return "faq"


def test_add_says_what_became_of_the_rows(folder, call):
    arguments = ("add", "faq", "faq.csv", "--text", "question", "--id", "number", "--label", "topic")
    out, _ = call(*arguments, "--fast")
    assert out.splitlines() == [
        "4 questions = 4 added + 0 there already",
        "4 added = 3 new texts + 1 repeats + 0 blank",
        "0 more pairs of texts at or above the threshold, before guards rule any out",
        "faq holds 4 questions",
    ]
    (folder / "faq.csv").write_text(FAQ + "5,Where's my parcel?,delivery\n")
    out, _ = call(*arguments, "--json")
    said = json.loads(out)
    assert (said["added"], said["unchanged"], said["counts"]["questions"]) == (1, 4, 5)
    assert said["ids"] == ["1", "2", "3", "4", "5"]


def test_rows_without_ids_are_said_to_get_numbers(folder, call):
    (folder / "plain.csv").write_text("question\na\nb\nc\nd\n")
    _, err = call("add", "faq", "plain.csv", "--fast")
    assert "so they get new numbers" in err
    (folder / "ids.csv").write_text("id,question\nx,a b\nx,c d\n")
    _, err = call("add", "faq", "ids.csv", "--text", "question")
    assert "Column 'id' cannot identify rows" in err
    out, _ = call("info", "faq", "--json")
    assert json.loads(out)["counts"]["questions"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("faq.csv", "--text", "nonsense"), "no column 'nonsense'"),
        (("faq.csv", "--text", "question", "--label", "kind"), "no column 'kind'"),
        (("faq.csv", "--text", "question", "--id", "topic"), "Column 'topic' cannot identify rows"),
        (("missing.csv",), "missing.csv"),
        (("faq.csv", "--text", "question", "--model", "nowhere/to/be/found"), "nowhere"),
        (("faq.csv", "--text", "question", "--cache", "faq.csv"), "is no cache of vectors"),
    ],
)
def test_an_index_is_made_only_if_something_can_be_added(folder, call, arguments, message):
    _, err = call("add", "new", *arguments, "--json", status=1)
    assert message in err
    assert sorted(path.name for path in folder.iterdir()) == ["faq.csv"]


def test_a_folder_of_ones_own_is_left_alone(folder, call):
    (folder / "mine").mkdir()
    (folder / "mine" / "letter.txt").write_text("dear")
    _, err = call("add", "mine", "faq.csv", "--text", "question", status=1)
    assert "mine is not an index: it has no index.json" in err
    assert (folder / "mine" / "letter.txt").read_text() == "dear"


def test_search_shows_the_best(faq, call):
    out, _ = call("search", faq, "how do I reset my PASSWORD!", "-k", "1")
    assert out == "1.0000  1.000  duplicate  1  How do I reset my password?  (2 questions)\n"
    hits = json.loads(call("search", faq, "parcel", "--json")[0])
    assert hits[0]["id"] == "3"
    assert len(hits) == 3
    assert call("search", faq, " ") == ("", "Nothing in the index can be compared with this text.\n")
    call("search", faq, "x", "-k", "0", status=2)


def test_classify_names_a_class_or_none(faq, call):
    out, err = call("classify", faq, "Where is my parcel??")
    assert out == "delivery\n"
    assert "1.0000  1.000  delivery: Where is my parcel?" in err
    assert call("classify", faq, "is the earth flat")[0] == "none of these\n"
    assert json.loads(call("classify", faq, "is the earth flat", "--json")[0])["label"] is None
    note = "classes are too few to tell what outsiders reach, so only a duplicate gets a class. There must be"
    assert f"{note} 9" in err
    assert f"{note} 4" in call("classify", faq, "is the earth flat", "--outsiders", "0.2")[1]
    call("classify", faq, "x", "--outsiders", "1", status=2)


def test_remove_takes_ids_from_a_pipe_too(faq, folder):
    command = [sys.executable, "-m", "dupdetect", "index", "remove", faq, "-"]
    done = subprocess.run(command, input=b"1\n3\n\n", capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == [
        "removed 2 questions and 1 texts that no other question has",
        "faq holds 2 questions",
    ]


def test_a_line_of_the_pipe_is_an_id_whatever_it_holds(folder, call):
    odd = "c\u2028d", "x\fy"
    rows = "".join(f"{name},Question number {number} is this\n" for number, name in enumerate([*odd, *"cdxy"]))
    (folder / "odd.csv").write_text(f"id,question\n{rows}", encoding="utf-8")
    call("add", "odd", "odd.csv", "--fast")
    command = [sys.executable, "-m", "dupdetect", "index", "remove", "odd", "-"]
    done = subprocess.run(command, input="\r\n".join(odd).encode(), capture_output=True, check=True)
    assert b"removed 2 questions" in done.stdout
    assert call("remove", "odd", *"cdxy")[0].endswith("odd holds 0 questions\n")


def test_columns_that_the_index_does_not_keep_are_named(folder, call):
    (folder / "more.csv").write_text("number,question,answer,votes\n9,Where is my parcel now?,Here,3\n")
    _, err = call("add", "faq", "more.csv", "--text", "question", "--id", "number", "--fast")
    assert "Note: The index keeps texts, ids and labels, and no other columns (answer, votes).\n" in err
    _, err = call("add", "faq2", "more.csv", "--text", "question", "--id", "number", "--label", "answer", "--fast")
    assert "no other columns (votes).\n" in err


def test_remove_of_what_is_not_there_changes_nothing(faq, call):
    _, err = call("remove", faq, "1", "17", status=1)
    assert err == "Error: The index faq has no question with the id '17'. Nothing was changed.\n"
    assert json.loads(call("info", faq, "--json")[0])["counts"]["questions"] == 4


def test_duplicates_are_listed_or_written_as_dedupe_writes_them(faq, folder, call, capsys):
    out, err = call("duplicates", faq)
    assert out.splitlines()[1:] == [
        "   1 (kept): How do I reset my password?",
        "   2 (of 1, 1.000): how do I reset my password",
    ]
    assert err == "1 cluster of 2 questions\n"
    (cluster,) = json.loads(call("duplicates", faq, "--json")[0])
    assert [member["id"] for member in cluster["members"]] == ["1", "2"]
    out, _ = call("duplicates", faq, "-o", "out")
    assert out.startswith("4 rows = 3 kept + 1 duplicate of a kept row")
    with pytest.raises(SystemExit):
        main(
            [
                "dedupe",
                "faq.csv",
                "--text",
                "question",
                "--id",
                "number",
                "--fast",
                "--estimated-precision",
                "0",
                "-o",
                "dedupe",
            ]
        )
    capsys.readouterr()
    columns = [line.split(",")[-5:] for line in (folder / "dedupe" / "questions.csv").read_text().splitlines()]
    assert [line.split(",")[-5:] for line in (folder / "out" / "questions.csv").read_text().splitlines()] == columns
    call("duplicates", faq, "-o", "out", status=1)
    call("duplicates", faq, "-o", "out", "--overwrite")
    call("duplicates", faq, "--overwrite", status=2)


def test_unmerge_and_its_undoing(faq, folder, call):
    (folder / "more.csv").write_text("number,question\n9,Where is my parcel now?\n")
    call("add", faq, "more.csv", "--text", "question", "--id", "number")
    assert len(json.loads(call("duplicates", faq, "--json")[0])) == 2
    assert call("unmerge", faq, "3", "9") == ("3 and 9 are told apart\n", "")
    assert len(json.loads(call("duplicates", faq, "--json")[0])) == 1
    assert call("unmerge", faq, "9", "3", "--undo") == ("9 and 3 are not told apart any more\n", "")
    assert len(json.loads(call("duplicates", faq, "--json")[0])) == 2
    assert "had not been told apart" in call("unmerge", faq, "9", "3", "--undo")[1]
    assert "same text" in call("unmerge", faq, "1", "2", status=1)[1]


def test_merge_and_survivor_and_their_undoing(faq, call):
    assert call("merge", faq, "1", "3") == ("1 and 3 are merged\n", "")
    assert call("survivor", faq, "2") == ("2 stays wherever it is a duplicate\n", "")
    out = call("duplicates", faq)[0].splitlines()
    assert out[1:3] == [
        "   1 (of 2, 1.000): How do I reset my password?",
        "   2 (kept, as chosen): how do I reset my password",
    ]
    assert re.fullmatch(r"   3 \(of 2, merged by a person, similarity 0\.\d{3}\): Where is my parcel\?", out[3])
    assert re.fullmatch(r"merged by a person: 2 with 3, similarity 0\.\d{3}", out[4].strip())
    assert json.loads(call("duplicates", faq, "--json")[0])[0]["merged"][0][:2] == ["2", "3"]
    assert "0 pairs told apart, 1 merged, 1 texts chosen to stay" in call("info", faq)[0]
    assert "cannot be told apart too" in call("unmerge", faq, "3", "2", status=1)[1]
    assert call("merge", faq, "3", "2", "--undo") == ("3 and 2 are not merged any more\n", "")
    assert "had not been merged" in call("merge", faq, "3", "2", "--undo")[1]
    assert call("survivor", faq, "1", "--undo") == ("1 is not chosen any more\n", "")
    assert "had not been chosen" in call("survivor", faq, "2", "--undo")[1]
    assert "no question with the id '17'" in call("survivor", faq, "17", status=1)[1]
    assert "1 (kept)" in call("duplicates", faq)[0]


def test_another_detector_is_refused_until_the_index_is_made_anew(faq, folder, call):
    add = ("add", faq, "faq.csv", "--text", "question", "--id", "number", "--fast")
    assert "4 there already" in call(*add)[0]
    _, err = call(*add, "--threshold", "0.95", status=1)
    assert "dupdetect index rebuild" in err
    assert call("rebuild", faq, "faq-2", "--threshold", "0.95")[0] == "faq-2 holds 4 questions, by dupdetect-fast\n"
    assert "4 there already" in call("add", "faq-2", *add[2:], "--threshold", "0.95")[0]
    assert "threshold 0.9500" in call("info", "faq-2")[0]
    taken = call("rebuild", faq, "faq-2", "--fast", status=1)[1]
    assert taken == "Error: faq-2 exists already. Name another.\n"
    call("rebuild", "faq-2", "faq-3", "--model", "faq-2/detector")
    assert (folder / "faq-3" / "index.json").read_text() == (folder / "faq-2" / "index.json").read_text()


def test_an_index_keeps_its_detector(faq, folder):
    kept, shipped = Detector.from_pretrained(folder / faq / "detector"), Detector.from_pretrained(tier="fast")
    assert kept.encoder.fingerprint == shipped.encoder.fingerprint
    assert kept.calibration.to_dict() == shipped.calibration.to_dict()
    assert kept.guards == shipped.guards


def test_a_cache_spares_encoding(folder, call):
    arguments = ("faq.csv", "--text", "question", "--id", "number", "--fast", "--cache", "vectors.sqlite")
    call("add", "one", *arguments)
    assert "Texts from the cache vectors.sqlite: 3 of 3" in call("add", "two", *arguments)[1]


def test_what_is_in_a_text_does_not_steer_the_terminal(folder, call):
    (folder / "bad.csv").write_text('id,question\n1,"evil \x1b[2J\nsecond line"\n')
    call("add", "faq", "bad.csv", "--text", "question", "--fast")
    out, _ = call("search", "faq", "evil")
    assert "\x1b" not in out
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(
    "verb",
    ["add", "remove", "search", "classify", "duplicates", "unmerge", "merge", "survivor", "rebuild", "info"],
)
def test_each_verb_has_help_with_examples(call, verb):
    assert f"dupdetect index {verb}" in call(verb, "--help")[0]


def test_the_help_of_remove_names_the_file_that_keeps_what_visitors_confirmed(call):
    said = " ".join(call("remove", "--help")[0].split())
    assert "INDEX.answers.sqlite beside it has what they typed, and id and text of each question" in said


def test_what_contradicts_an_earlier_decision_says_how_to_take_that_back(faq, folder, call):
    call("unmerge", faq, "1", "3")
    _, err = call("merge", faq, "1", "3", status=1)
    assert "take that back first: forget('1', '3'), or `dupdetect index unmerge faq 1 3 --undo`." in err
    call("unmerge", faq, "1", "3", "--undo")
    call("merge", faq, "1", "3")
    _, err = call("unmerge", faq, "3", "1", status=1)
    assert "or `dupdetect index merge faq 3 1 --undo`." in err
    (folder / "dashes.csv").write_text("id,question\n-5,Where is my parcel?\n--undo,How can I pay by card?\n")
    call("add", "dashes", "dashes.csv", "--fast")
    call("merge", "dashes", "--", "-5", "--undo")
    _, err = call("unmerge", "dashes", "--", "-5", "--undo", status=1)
    assert "or `dupdetect index merge dashes --undo -- -5 --undo`." in err
    assert call("merge", "dashes", "--undo", "--", "-5", "--undo")[0] == "-5 and --undo are not merged any more\n"


def test_an_index_is_on_this_machine(folder, call):
    assert "is a URL, and must be on this machine" in call("add", "s3://bucket/faq", "faq.csv", status=2)[1]
    assert not (folder / "s3:").exists()
