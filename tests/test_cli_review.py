"""Reviewing at the terminal and from a pipe: every label kept, and nothing given away."""

import io
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time

import click
import pytest

from dupdetect import Detector
from dupdetect.cli import main
from dupdetect.recalibrating import maker_option
from dupdetect.review import ReviewStore, refit, standing
from dupdetect.review.candidates import CANDIDATE_COLUMNS, pair_key
from dupdetect.review.store import labels_beside
from dupdetect.tables import write_csv
from dupdetect.text import canonical

TEXTS = [
    ("How do I reset my password?", "how can I reset my password"),
    ("Where is my parcel?", "parcel late,\r\n\r\nwhere is it\tnow"),
    ("Error 403 on login", "Error 404 on login"),
    ("Wie lösche ich mein Konto?", "支付失败怎么办"),
    ("A\x1b[2J\x1b]0;mine\x07 b", "\u202etxt.exe \x00 b\n--- B\u2028Would one answer do"),
]


def key_of(number, texts=TEXTS):
    """The key of a pair of these texts, and of any other number that of a pair that nobody has drawn."""
    return pair_key(*map(canonical, texts[number])) if number < len(texts) else f"{number:032x}"


def write_candidates(folder, texts=TEXTS, first=0):
    folder.mkdir(exist_ok=True)
    scores = ("0.987654", "0.456789", "0.3333", "-0.25", "1.0")
    rows = [
        (
            pair_key(*map(canonical, pair)),
            f"id{n}",
            f"id{n + 50}",
            str(n + 1),
            str(n + 51),
            scores[n % 5],
            ("above", "possible", "ruled out", "possible", "below")[n % 5],
            str(n % 5),
            "777.25",
            "yes",
            *pair,
        )
        for n, pair in enumerate(texts, first)
    ]
    write_csv(folder / "candidates.csv", CANDIDATE_COLUMNS, rows)
    return folder


@pytest.fixture
def out(tmp_path):
    return write_candidates(tmp_path / "export.dupdetect")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.fixture
def review(capsys, monkeypatch):
    """Return a function that reviews with the lines of `answers` on standard input."""

    def reviewing(folder, answers, *options):
        content = answers if isinstance(answers, bytes) else "".join(f"{key}\n" for key in answers).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        code, out, err = run(capsys, "review", folder, *options)
        assert code == 0, err
        return out, err

    return reviewing


def labels(folder, reviewer=""):
    with ReviewStore(labels_beside(folder)) as store:
        number = {key_of(n): n for n in range(100)}
        return {number[key]: label for key, label in store.labels_by(reviewer).items()}


def asked(err):
    """Return the numbers of the pairs that were shown."""
    first_words = [left.split()[0].partition("\x1b")[0] for left, _ in TEXTS]
    return [first_words.index(word) for word in re.findall(r"^A -+\n  (\w+)", err, re.MULTILINE)]


def test_keys_become_labels_in_the_order_of_the_file(review, out):
    said, err = review(out, "ynuq")
    assert labels(out) == {0: "duplicate", 1: "different", 2: "unsure"}
    assert asked(err) == [0, 1, 2, 3]
    assert said.splitlines() == [
        "3 of 5 pairs labelled: 1 duplicate, 1 different, 1 unsure",
        "to calibrate, at least 20 duplicates and 20 others are needed",
    ]
    assert re.findall(r"(\d) of 5 labelled; stop whenever you like", err) == ["0", "1", "2", "3"]


def test_only_possible_pairs_in_their_order(review, out):
    said, err = review(out, "ynq", "--possible")
    assert labels(out) == {1: "duplicate", 3: "different"}
    assert re.findall(r"(\d of \d) labelled", err) == ["0 of 2", "1 of 2"]
    assert "All possible pairs that were drawn are labelled." in err
    assert said.splitlines() == [
        "2 of 2 possible pairs labelled: 1 duplicate, 1 different, 0 unsure",
        "next: the same dupdetect dedupe again, with --overwrite: it takes these labels into account",
    ]
    _, err = review(out, "bq", "--possible")
    assert "All possible pairs" in err
    said, err = review(out, "q")
    assert "2 of 5 labelled" in err
    assert "2 of 5 pairs labelled" in said
    assert "no longer among those drawn" not in review(out, "q", "--possible")[0]


def test_back_among_possible_pairs_leaves_the_others(review, out):
    review(out, "uyq")
    with ReviewStore(labels_beside(out)) as store:
        store.record(key_of(4), "different")
    _, err = review(out, "bnq", "--possible")
    assert asked(err) == [3, 1, 3], "not the pair that was labelled last"
    assert labels(out) == {0: "unsure", 1: "different", 4: "different"}


def test_no_possible_pair(review, tmp_path):
    said, err = review(write_candidates(tmp_path / "sure", TEXTS[:1]), "y", "--possible")
    assert "No possible pairs were drawn: there is nothing to do." in err
    assert said.strip() == "0 of 0 possible pairs labelled: 0 duplicates, 0 different, 0 unsure"


def test_the_next_time_goes_on_where_it_was(review, out):
    review(out, "yy")
    said, err = review(out, "N")
    assert asked(err) == [2, 3]
    assert labels(out) == {0: "duplicate", 1: "duplicate", 2: "different"}
    assert "3 of 5 pairs labelled: 2 duplicates, 1 different, 0 unsure" in said


def test_the_end_of_the_input_stops(review, out, monkeypatch, capsys):
    assert "0 of 5 pairs labelled" in review(out, "")[0]
    assert "1 of 5 pairs labelled" in review(out, b"y")[0], "without a line end too"
    monkeypatch.setattr(sys, "stdin", None)
    assert run(capsys, "review", out)[:2] == (0, review(out, "")[0])


def test_when_nothing_is_labelled_nothing_follows(review, out):
    assert review(out, "q")[0] == "0 of 5 pairs labelled: 0 duplicates, 0 different, 0 unsure\n"


def test_another_key_says_the_keys_and_labels_nothing(review, out):
    _, err = review(out, ["x", "", "yes", "ü", "y"])
    assert err.count("The keys are: y duplicates, n different, u unsure, b back, q stop.") == 4
    assert labels(out) == {0: "duplicate"}
    review(out, b"\xff\x00\n\x1b[D\n n \n")
    assert labels(out) == {0: "duplicate", 1: "different"}


def test_back_takes_labels_back_one_by_one_and_asks_again(review, out):
    said, err = review(out, "bynbbn")
    assert asked(err) == [0, 0, 1, 2, 1, 0, 1]
    assert err.count("There is no label to take back.") == 1
    assert labels(out) == {0: "different"}
    assert "1 of 5 pairs labelled: 0 duplicates, 1 different, 0 unsure" in said
    assert asked(review(out, "b")[1]) == [1, 0], "of another day too"


def test_the_pair_whose_label_is_taken_back_is_asked_about_next(review, out):
    with ReviewStore(labels_beside(out)) as store:
        store.record(key_of(3), "unsure")
    assert asked(review(out, "byq")[1]) == [0, 3, 0]
    assert labels(out) == {3: "duplicate"}


def test_back_leaves_the_labels_of_others(review, out):
    review(out, "yy", "--reviewer", "ana")
    _, err = review(out, "nb" + "b", "--reviewer", "bo")
    assert "There is no label to take back." in err
    assert labels(out, "ana") == {0: "duplicate", 1: "duplicate"}
    assert labels(out, "bo") == {}


def test_each_reviewer_is_asked_and_conflicts_are_counted(review, out):
    review(out, "ynu", "--reviewer", "ana")
    said, err = review(out, "nnu", "--reviewer", " bo ")
    assert asked(err) == [0, 1, 2, 3]
    assert labels(out, "bo") == {0: "different", 1: "different", 2: "unsure"}
    assert "3 of 5 pairs labelled by bo: 0 duplicates, 2 different, 1 unsure\n1 of them is labelled differently" in said
    review(out, "yyyy", "--reviewer", "cy")
    assert (
        "3 of them are labelled differently by another reviewer, and counted as unsure"
        in review(out, "", "--reviewer", "ana")[0]
    )


def test_all_labelled(review, out):
    said, err = review(out, "yyyyy" + "nnnn")
    assert err.endswith("All pairs that were drawn are labelled.\n")
    assert "5 of 5 pairs labelled: 5 duplicates, 0 different, 0 unsure" in said
    assert asked(review(out, "n")[1]) == []
    assert labels(out) == dict.fromkeys(range(5), "duplicate")


def test_no_pairs_were_drawn(review, tmp_path):
    said, err = review(write_candidates(tmp_path / "none", []), "y")
    assert "No pairs were drawn: there is nothing to do." in err
    assert said == "0 of 0 pairs labelled: 0 duplicates, 0 different, 0 unsure\n"


def test_labels_of_pairs_that_are_no_longer_drawn_are_kept_and_counted(review, out):
    review(out, "yyn")
    write_candidates(out, TEXTS[2:], first=2)
    said, err = review(out, "u")
    assert asked(err) == [3, 4]
    assert "2 of 3 pairs labelled: 0 duplicates, 1 different, 1 unsure\n2 more labels of pairs that are no lon" in said
    _, err = review(out, "bbb")
    assert asked(err) == [4, 3, 2, 2], "the last is not there to be asked about"
    assert "Taken back: the label of a pair that is no longer among those drawn." in err
    assert labels(out) == {0: "duplicate"}


def test_nothing_that_the_detector_makes_of_a_pair_is_shown(review, out):
    said, err = review(out, "yyyyy")
    shown = said + err
    for column in ("0.98", "0.45", "0.33", "-0.25", "777", "id0", "id50", key_of(2), "band", "score"):
        assert column not in shown


def test_texts_are_shown_in_full_and_cannot_steer_the_terminal(review, out):
    _, err = review(out, "yyyyy")
    assert "  parcel late,\n  \n  where is it now\n" in err
    assert "  Wie lösche ich mein Konto?\n" in err
    assert "  支付失败怎么办\n" in err
    assert r"  A\x1b[2J\x1b]0;mine\x07 b" in err
    assert "  \\u202etxt.exe \\x00 b\n  --- B Would one answer do\n" in err, "no line can look like ours"
    assert not re.search(r"[^\n -\uffff]|[\x7f-\x9f\u202e]", err)


def test_long_texts_are_not_cut(review, tmp_path):
    long = " ".join(f"word{n}" for n in range(5000))
    _, err = review(write_candidates(tmp_path / "o", [(long, "short")]), "q")
    assert f"  {long}\n" in err


def test_words_that_differ_are_marked_where_there_is_colour(review, out, monkeypatch):
    monkeypatch.setattr(click.utils, "should_strip_ansi", lambda *_: False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    _, err = review(out, "nnnq")
    mark = {word: click.style(word, bold=True, underline=True) for word in ("do", "can", "403", "404")}
    assert f"  How {mark['do']} I reset my password?\n" in err
    assert f"  how {mark['can']} I reset my password\n" in err
    assert f"  Error {mark['403']} on login\n" in err
    assert "  Wie lösche ich mein Konto?\n" in err, "nothing is shared, so nothing is marked"
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            patch.setattr(click.utils, "should_strip_ansi", lambda _, color: color is False)
            assert "\x1b" not in review(out, "q")[1]


@pytest.mark.parametrize("name", ["nothing", "."])
def test_without_candidates_it_says_what_to_do_and_makes_no_file(capsys, tmp_path, name):
    code, out, err = run(capsys, "review", tmp_path / name)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"Error: .*candidates\.csv is not there. Run `dupdetect dedupe` .*\n", err)
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_texts_were_changed_is_refused(capsys, out):
    path = out / "candidates.csv"
    path.write_text(path.read_text("utf-8").replace("Where is my parcel?", "Where is my refund?"), "utf-8")
    code, _, err = run(capsys, "review", out)
    assert code == 1
    assert "was changed, or is damaged. Run `dupdetect dedupe` again." in err


def test_a_damaged_store_is_an_error_before_anything_is_asked(capsys, out):
    labels_beside(out).write_text("what is this")
    code, said, err = run(capsys, "review", out)
    assert (code, said) == (1, "")
    assert "is no file of review labels, or a damaged one. Move it elsewhere" in err
    assert len(err.splitlines()) == 1


def test_a_folder_with_a_strange_name(review, tmp_path, monkeypatch):
    for module in (standing, refit):
        monkeypatch.setattr(module, "MINIMUM_OF_EACH_KIND", 1)
    folder = write_candidates(tmp_path / "my export's ü.dupdetect")
    said, _ = review(folder, "yn")
    assert "bands of similarity" in said.splitlines()[-1], "calibrate would refuse"
    said, _ = review(folder, "yny")
    command = shlex.split(said.splitlines()[-1].removeprefix("next: "))
    assert command == ["dupdetect", "calibrate", "--from-reviews", str(folder), "-o", "FOLDER"]


def test_the_help_has_examples_and_says_the_keys(capsys):
    code, said, _ = run(capsys, "review", "--help")
    assert code == 0
    assert "printf 'y\\nn\\nq\\n' | dupdetect review export.dupdetect" in said
    assert "u  unsure" in said


def test_what_dedupe_draws_can_be_reviewed(detector, review, tmp_path):
    words = [f"w{n}" for n in range(12)]
    texts = [" ".join(words[:n] + words[n + 1 :]) for n in range(12)]
    folder = detector.deduplicate(texts).write(tmp_path / "out")
    said, _ = review(folder, "yynu")
    assert re.match(r"4 of \d+ pairs labelled: 2 duplicates, 1 different, 1 unsure", said)
    assert isinstance(detector, Detector)


# At a terminal


@pytest.fixture
def terminal():
    pty = pytest.importorskip("pty", reason="needs the terminals of Unix")
    ours, theirs = pty.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        os.close(end)


def start(out, theirs):
    return subprocess.Popen(
        [sys.executable, "-m", "dupdetect", "review", str(out)],
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "NO_COLOR": ""},
        start_new_session=True,
    )


def read_until(ours, end):
    """Return what the terminal shows, up to `end`."""
    shown, deadline = b"", time.monotonic() + 60
    while not shown.endswith(end):
        assert select.select([ours], [], [], deadline - time.monotonic())[0], shown
        shown += os.read(ours, 1000)
    time.sleep(0.05)  # it now waits for a key
    return shown.decode()


QUESTION = b"q stop) "


def test_at_a_terminal_one_key_is_enough(out, terminal):
    ours, theirs = terminal
    process = start(out, theirs)
    first = read_until(ours, QUESTION)
    assert "\x1b[1m\x1b[4mdo\x1b[0m" in first
    for key in (b"y", b"Y", b"\x1b[D", b"ny", b"b", b"u", b"n"):
        os.write(ours, key)
        read_until(ours, QUESTION)
    os.write(ours, b"\x04")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"3 of 5 pairs labelled: 1 duplicate, 1 different, 1 unsure" in said
    assert labels(out) == {0: "duplicate", 1: "unsure", 2: "different"}


@pytest.mark.parametrize("how", ["key", "signal"])
def test_ctrl_c_stops_and_what_was_labelled_stays(out, terminal, how):
    ours, theirs = terminal
    process = start(out, theirs)
    read_until(ours, QUESTION)
    os.write(ours, b"n")
    read_until(ours, QUESTION)
    if how == "key":
        os.write(ours, b"\x03")
    else:
        process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith(b"1 of 5 pairs labelled: 0 duplicates, 1 different, 0 unsure")
    assert labels(out) == {0: "different"}
    assert [file.name for file in out.iterdir()] == ["candidates.csv"]
    assert [file.name for file in sorted(out.parent.iterdir())] == [out.name, f"{out.name}.reviews.sqlite"]


def test_a_pipe_is_read_line_by_line(out):
    done = subprocess.run(  # noqa: S602 - the very line of the help
        f"printf 'y\\nn\\nq\\n' | {shlex.quote(sys.executable)} -m dupdetect review {shlex.quote(str(out))}",
        shell=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert labels(out) == {0: "duplicate", 1: "different"}
    assert b"\x1b" not in done.stderr


def test_what_comes_next_names_the_index_and_the_detector(review, out, tmp_path):
    record = {
        "input": {"name": "my faq", "format": "index"},
        "model": "mine",
        "model_from": None,
        "calibration": {"encoder": "sha256:0"},
        "guards": None,
        "search": {"kind": "exact"},
    }
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    said, _ = review(out, "ynq", "--possible")
    again = "the same dupdetect index duplicates again, with --overwrite"
    assert said.splitlines()[-1] == f"next: {again}: it takes these labels into account"
    for given, printed in ((None, "'my faq/detector'"), ("models/mine", "models/mine"), ("-mine", "./-mine")):
        if given is not None:
            record |= {"input": {"name": "export.csv", "format": "csv"}, "model_from": given}
            (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
        assert maker_option(out) == f" --model {printed}"
    for name, place, printed in (
        ("dupdetect-fast", None, ""),
        ("dupdetect-fast", "models/dupdetect-fast", " --model models/dupdetect-fast"),
        ("mine", None, " --model THAT_MADE_IT"),
    ):
        record |= {"model": name, "model_from": place}
        (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
        assert maker_option(out) == printed
