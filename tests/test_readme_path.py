"""The README's path from an export to answers: its blocks, run as they stand there, one after the other."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from readme_page import PATH, ROOT, assert_printed, blocks, section

PAGE = section(PATH)
DEDUPE, REVIEW, RECALIBRATE, ADD, SERVE, ASK = blocks("bash", PAGE)
REVIEWED, CERTIFIED, SERVED = blocks("text", PAGE)
(ANSWERED,) = blocks("json", PAGE)
RESULT = "data/support_questions.dupdetect"

pytestmark = pytest.mark.skipif(
    os.name != "posix" or shutil.which("bash") is None, reason="needs bash, and signals as POSIX has them"
)


class Shell:
    """bash in a folder of its own, with this installation of dupdetect as the command, and a browser that prints."""

    def __init__(self, folder):
        self.folder = folder
        self.browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        commands = folder / "commands"
        commands.mkdir()
        for name, call in (("dupdetect", "-m dupdetect "), ("python", "")):
            script = commands / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {call}"$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        show = f"{self.browser} --headless --no-sandbox --user-data-dir={folder / 'profile'} --dump-dom %s"
        self.environment = {name: value for name, value in os.environ.items() if name != "DUPDETECT_API_KEY"} | {
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "BROWSER": show if self.browser else "true",
        }

    def run(self, block, answers="", status=0):
        """Return what a block printed, of an error what it said; `answers` are keys. The first failure ends it."""
        done = subprocess.run(
            ["bash", "-euc", block],
            cwd=self.folder,
            env=self.environment,
            input="".join(f"{key}\n" for key in answers),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == status, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stderr

    @contextmanager
    def serving(self, block):
        """The line that a service prints once it listens on a free port; at the end of the block it is interrupted."""
        command = ["bash", "-euc", f"exec {block.strip()} --port 0"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process.stderr.readline()
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 0
                assert process.stderr.read() == "Stopped. Everything that was accepted is finished.\n"
            finally:
                process.kill()

    def ask(self, block, address):
        """Return the JSON that the block's `curl` gets, or what Python gets for the same where there is no `curl`."""
        block = block.replace("http://127.0.0.1:8080", address)
        if shutil.which("curl"):
            return json.loads(self.run(block))
        words = shlex.split(block)
        kind, _, value = words[words.index("-H") + 1].partition(": ")
        (url,) = (word for word in words if word.startswith("http://"))
        request = urllib.request.Request(url, words[words.index("-d") + 1].encode(), {kind: value})  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - of this machine
            return json.load(answer)


def test_the_path_leads_from_an_export_to_answers(tmp_path):
    for package in ("fastapi", "prometheus_client", "uvicorn"):
        pytest.importorskip(package)
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.dupdetect*"))
    shell = Shell(tmp_path)

    page = shell.run(DEDUPE)
    if shell.browser:
        assert "<title>Duplicates in support_questions.csv</title>" in page
        assert "</html>" in page

    keys = keys_of_the_gold_file(tmp_path)
    assert_printed(REVIEWED, shell.run(REVIEW, keys[:20]))
    assert "Too few labels" in shell.run(RECALIBRATE, status=1)
    enough = int(re.search(r"here (\d+) pairs have enough of both", PAGE)[1])
    assert "next: dupdetect calibrate" in shell.run(REVIEW, keys[20:enough])

    certified = RECALIBRATE.splitlines()[0].replace("--min-recall 0.9", "--min-precision 0.9")
    assert "Cannot reach precision of at least 0.9" in shell.run(certified, status=1)
    lines = len(CERTIFIED.splitlines())
    printed = shell.run(RECALIBRATE).splitlines()
    assert_printed(CERTIFIED, "\n".join(printed[:lines]))
    assert printed[-1] == f"written to {RESULT}/ (start with report.html)"
    record = json.loads((tmp_path / RESULT / "run.json").read_text())
    assert record["model"] == "mine"
    assert record["counts"]["kept"] + record["counts"]["removed"] == record["counts"]["rows"]

    kept = record["counts"]["kept"]
    said, served = re.search(r"([\d,]+) rows are kept, where", PAGE)[1], re.search(r"([\d,]+) questions", SERVED)[1]
    assert said == served
    assert f"faq holds {kept:,} questions" in shell.run(ADD)
    with shell.serving(SERVE) as line:
        address = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        assert_printed(SERVED.replace("http://127.0.0.1:8080", ""), line.replace(address, ""))
        assert_within(json.loads(ANSWERED), shell.ask(ASK, address))

    if not shell.browser:
        pytest.skip("everything else ran; that the report opens needs a browser: apt-get install chromium")


def test_all_possible_pairs_decided_by_hand(tmp_path):
    command, kept = re.search(
        r"`(dupdetect review \S+ --possible)`.*?\) ([\d,]+) rows are kept", PAGE, re.DOTALL
    ).groups()
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.dupdetect*"))
    shell = Shell(tmp_path)
    dedupe = DEDUPE.splitlines()[0]
    shell.run(dedupe)
    reviewed = shell.run(command, keys_of_the_gold_file(tmp_path, "possible"))
    pairs, duplicates, others = re.search(r"all (\d+) of them \((\d+)\s+duplicates, (\d+) different\)", PAGE).groups()
    assert f"{pairs} of {pairs} possible pairs labelled: {duplicates} duplicates, {others} different" in reviewed
    said = shell.run(dedupe)
    assert f" = {kept} kept + " in said
    group = gold(tmp_path)
    with (tmp_path / RESULT / "questions.csv").open(encoding="utf-8", newline="") as file:
        removed = {row["id"]: row["duplicate_of"] for row in csv.DictReader(file) if row["duplicate_of"]}
    assert len(removed) > int(duplicates)
    assert all(group[one] == group[other] for one, other in removed.items())


def gold(folder):
    """Return the group of each question's id: those of one group ask the same."""
    with (folder / "data" / "support_questions_gold.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["group"] for row in csv.DictReader(file)}


def keys_of_the_gold_file(folder, only=None):
    """Return the keys that a reviewer presses who knows the answers, one for each pair (of a kind) that was drawn."""
    group = gold(folder)
    with (folder / RESULT / "candidates.csv").open(encoding="utf-8", newline="") as file:
        pairs = [(row["left_id"], row["right_id"]) for row in csv.DictReader(file) if only in (None, row["kind"])]
    return "".join("y" if group[left] == group[right] else "n" for left, right in pairs)


def assert_within(shown, answered):
    """What is shown is part of the answer; numbers within 0.03, as another processor rounds differently."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            assert_within(value, answered[name])
    elif isinstance(shown, float):
        assert answered == pytest.approx(shown, abs=0.03)
    else:
        assert answered == shown
