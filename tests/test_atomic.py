"""Output is there in full or not at all, and nothing of the user's is ever deleted."""

import errno
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from dupdetect import atomic
from dupdetect.atomic import atomic_file, atomic_folder
from dupdetect.errors import InputError, OutputExistsError

EXPECTED = ("questions.csv", "kept.csv", "run.json")
MARKER = "run.json"
FAILURES = [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), RuntimeError("bug"), SystemExit(1)]


def tree(folder):
    """Everything in a folder, hidden things included, with the contents of files."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def fail(making, write, failure):
    """Run the block of `making`: write something, then fail."""
    with making as temporary:
        write(temporary)
        raise failure


def write_output(folder, content="old"):
    folder.mkdir(exist_ok=True)
    for name in EXPECTED:
        (folder / name).write_text(content)


class TestFile:
    def test_appears_only_at_the_end(self, tmp_path):
        with atomic_file(tmp_path / "out.csv") as temporary:
            temporary.write_text("new")
            assert not (tmp_path / "out.csv").exists()
        assert tree(tmp_path) == {"out.csv": b"new"}

    @pytest.mark.parametrize("failure", FAILURES, ids=repr)
    @pytest.mark.parametrize("before", [{}, {"out.csv": b"old"}], ids=["new", "overwrite"])
    def test_a_failure_leaves_what_was_there(self, tmp_path, failure, before):
        for name, content in before.items():
            (tmp_path / name).write_bytes(content)
        making = atomic_file(tmp_path / "out.csv", overwrite=True)
        with pytest.raises(type(failure)):
            fail(making, lambda temporary: temporary.write_text("half"), failure)
        assert tree(tmp_path) == before

    def test_an_existing_one_is_refused_before_any_work(self, tmp_path):
        (tmp_path / "out.csv").write_text("old")
        with pytest.raises(OutputExistsError), atomic_file(tmp_path / "out.csv"):
            pytest.fail("the block ran")
        assert tree(tmp_path) == {"out.csv": b"old"}

    def test_overwrite(self, tmp_path):
        (tmp_path / "out.csv").write_text("old")
        with atomic_file(tmp_path / "out.csv", overwrite=True) as temporary:
            temporary.write_text("new")
        assert tree(tmp_path) == {"out.csv": b"new"}

    def test_one_that_appears_meanwhile_is_not_replaced(self, tmp_path):
        with pytest.raises(OutputExistsError), atomic_file(tmp_path / "out.csv"):
            (tmp_path / "out.csv").write_text("theirs")
        assert tree(tmp_path) == {"out.csv": b"theirs"}

    @pytest.mark.parametrize("taken", [False, True])
    def test_without_hard_links(self, tmp_path, monkeypatch, taken):
        def refuse(*_, **__):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(atomic.os, "link", refuse)
        making = atomic_file(tmp_path / "out.csv")
        with pytest.raises(OutputExistsError) if taken else nullcontext(), making as temporary:
            temporary.write_text("new")
            if taken:
                (tmp_path / "out.csv").write_text("theirs")
        assert tree(tmp_path) == {"out.csv": b"theirs" if taken else b"new"}

    def test_a_link_keeps_pointing_to_the_file(self, tmp_path):
        (tmp_path / "real.csv").write_text("old")
        (tmp_path / "out.csv").symlink_to(tmp_path / "real.csv")
        with atomic_file(tmp_path / "out.csv", overwrite=True) as temporary:
            temporary.write_text("new")
        assert (tmp_path / "out.csv").is_symlink()
        assert (tmp_path / "real.csv").read_text() == "new"

    @pytest.mark.parametrize("path", ["", os.devnull])
    def test_what_is_no_file_is_not_overwritten(self, tmp_path, path):
        with pytest.raises(InputError, match="not a regular file"), atomic_file(tmp_path / path, overwrite=True):
            pytest.fail("the block ran")
        assert Path(os.devnull).exists()

    def test_a_long_name(self, tmp_path):
        with atomic_file(tmp_path / ("x" * 255)) as temporary:
            temporary.write_text("new")
        assert tree(tmp_path) == {"x" * 255: b"new"}


@pytest.mark.parametrize("make", [atomic_file, partial(atomic_folder, marker=MARKER)], ids=["file", "folder"])
class TestBoth:
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_name_of_many_bytes(self, tmp_path, make, overwrite):
        name = "重" * 80
        with make(tmp_path / name, overwrite=overwrite) as temporary:
            assert len(temporary.name) < 40
        assert list(tree(tmp_path)) == [name]

    def test_a_name_that_is_too_long(self, tmp_path, make):
        with pytest.raises(InputError, match="cannot be written"), make(tmp_path / ("x" * 300)):
            pytest.fail("the block ran")

    def test_a_parent_that_is_not_there(self, tmp_path, make):
        with pytest.raises(InputError, match="no folder"), make(tmp_path / "none" / "out"):
            pytest.fail("the block ran")
        assert tree(tmp_path) == {}

    def test_a_parent_that_is_a_file(self, tmp_path, make):
        (tmp_path / "file").write_text("x")
        with pytest.raises(InputError, match="no folder"), make(tmp_path / "file" / "out"):
            pytest.fail("the block ran")

    def test_a_name_that_cannot_be(self, tmp_path, monkeypatch, make):
        def refuse(*_, **__):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "touch", refuse)
        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(InputError, match="Permission denied"), make(tmp_path / "out"):
            pytest.fail("the block ran")

    def test_a_failing_flush_leaves_nothing(self, tmp_path, monkeypatch, make):
        def full(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(atomic.os, "fsync", full)
        with pytest.raises(OSError, match="No space"), make(tmp_path / "out") as temporary:
            (temporary if temporary.is_file() else temporary / "file").write_text("new")
        assert tree(tmp_path) == {}

    def test_a_dangling_link_counts_as_existing(self, tmp_path, make):
        (tmp_path / "out").symlink_to(tmp_path / "none")
        with pytest.raises(OutputExistsError), make(tmp_path / "out"):
            pytest.fail("the block ran")

    def test_a_relative_path(self, tmp_path, monkeypatch, make):
        monkeypatch.chdir(tmp_path)
        with make("out"):
            pass
        assert list(tree(tmp_path)) == ["out"]


class TestFolder:
    def test_appears_only_at_the_end(self, tmp_path):
        with atomic_folder(tmp_path / "out", marker=MARKER) as temporary:
            (temporary / "sub").mkdir()
            (temporary / "sub" / "a").write_text("new")
            assert not (tmp_path / "out").exists()
        assert tree(tmp_path) == {"out": None, "out/sub": None, "out/sub/a": b"new"}

    @pytest.mark.parametrize("failure", FAILURES, ids=repr)
    @pytest.mark.parametrize("there", [False, True], ids=["new", "overwrite"])
    def test_a_failure_leaves_what_was_there(self, tmp_path, failure, there):
        if there:
            write_output(tmp_path / "out")
        before = tree(tmp_path)
        making = atomic_folder(tmp_path / "out", overwrite=True, expected=EXPECTED, marker=MARKER)
        with pytest.raises(type(failure)):
            fail(making, lambda temporary: write_output(temporary, "half"), failure)
        assert tree(tmp_path) == before

    @pytest.mark.parametrize("target", ["folder", "file"])
    def test_an_existing_one_is_refused_before_any_work(self, tmp_path, target):
        write_output(tmp_path / "folder")
        (tmp_path / "file").write_text("x")
        before = tree(tmp_path)
        with pytest.raises(OutputExistsError), atomic_folder(tmp_path / target, expected=EXPECTED, marker=MARKER):
            pytest.fail("the block ran")
        assert tree(tmp_path) == before

    def test_overwrite_leaves_nothing_of_the_old(self, tmp_path):
        write_output(tmp_path / "out")
        (tmp_path / "out" / ".DS_Store").write_text("x")
        with atomic_folder(tmp_path / "out", overwrite=True, expected=EXPECTED, marker=MARKER) as temporary:
            (temporary / "run.json").write_text("new")
            assert (tmp_path / "out" / "run.json").read_text() == "old"
        assert tree(tmp_path) == {"out": None, "out/run.json": b"new"}

    @pytest.mark.parametrize("linked", [False, True])
    def test_an_empty_one_is_taken_as_it_is(self, tmp_path, linked):
        (tmp_path / "empty").mkdir()
        if linked:
            (tmp_path / "out").symlink_to("empty")
        with atomic_folder(tmp_path / ("out" if linked else "empty"), marker=MARKER) as temporary:
            (temporary / "a").write_text("new")
        assert (tmp_path / "empty" / "a").read_text() == "new"
        assert sorted(path.name for path in tmp_path.iterdir()) == (["empty", "out"] if linked else ["empty"])

    def test_an_empty_one_that_is_filled_meanwhile_stays_as_it_is(self, tmp_path):
        (tmp_path / "out").mkdir()
        making = atomic_folder(tmp_path / "out", marker=MARKER)
        with pytest.raises(OutputExistsError), making:
            (tmp_path / "out" / "thesis.odt").write_text("theirs")
        assert tree(tmp_path) == {"out": None, "out/thesis.odt": b"theirs"}

    @pytest.mark.parametrize("failure", FAILURES, ids=repr)
    def test_an_empty_one_is_there_after_a_failure(self, tmp_path, failure):
        (tmp_path / "out").mkdir()
        making = atomic_folder(tmp_path / "out", marker=MARKER)
        with pytest.raises(type(failure)):
            fail(making, write_output, failure)
        assert tree(tmp_path) == {"out": None}

    def test_overwrite_of_an_empty_folder_and_of_none(self, tmp_path):
        (tmp_path / "empty").mkdir()
        for name in ("empty", "none"):
            with atomic_folder(tmp_path / name, overwrite=True, marker=MARKER) as temporary:
                (temporary / "a").write_text("new")
        assert tree(tmp_path) == {"empty": None, "empty/a": b"new", "none": None, "none/a": b"new"}

    def refused(self, path, match):
        before = tree(path) if path.is_dir() and len(path.parts) > 3 else None
        making = atomic_folder(path, overwrite=True, expected=EXPECTED, marker=MARKER)
        with pytest.raises(InputError, match=match), making:
            pytest.fail("the block ran")
        assert before is None or tree(path) == before

    def test_a_folder_with_anything_else_is_never_overwritten(self, tmp_path):
        write_output(tmp_path / "Documents")
        (tmp_path / "Documents" / "thesis.odt").write_text("three years of work")
        self.refused(tmp_path / "Documents", "thesis.odt")

    def test_a_folder_whose_only_file_has_one_of_our_names_is_not_ours(self, tmp_path):
        (tmp_path / "questions.csv").write_text("the export itself")
        self.refused(tmp_path, "no file 'run.json'")

    @pytest.mark.parametrize("theirs", [{}, {"thesis.odt": b"x"}], ids=["empty", "full"])
    def test_one_that_appears_meanwhile_is_not_replaced(self, tmp_path, theirs):
        def write(temporary):
            write_output(temporary)
            (tmp_path / "out").mkdir()
            for name, content in theirs.items():
                (tmp_path / "out" / name).write_bytes(content)

        with pytest.raises(OutputExistsError), atomic_folder(tmp_path / "out", marker=MARKER) as temporary:
            write(temporary)
        assert list(tmp_path.iterdir()) == [tmp_path / "out"]
        assert tree(tmp_path / "out") == theirs

    def test_a_marker_tells_an_earlier_output(self, tmp_path):
        out = tmp_path / "out"
        (out / "encoder").mkdir(parents=True)
        (out / "run.json").write_text("old")
        (out / ".DS_Store").write_text("x")
        expected = (*EXPECTED, "encoder", "a", "b", "c")
        with atomic_folder(out, overwrite=True, expected=expected, marker=MARKER) as temporary:
            (temporary / "run.json").write_text("new")
        assert tree(tmp_path) == {"out": None, "out/run.json": b"new"}

    @pytest.mark.parametrize(
        ("folders", "files", "match"),
        [
            ([], ["questions.csv", "kept.csv"], "no file 'run.json'"),
            (["run.json"], ["questions.csv"], "no file 'run.json'"),
            ([], [".DS_Store", "kept.csv"], "no file 'run.json'"),
            (["photos"], EXPECTED, "it holds 'photos'"),
            ([".DS_Store"], EXPECTED, "it holds '.DS_Store'"),
            ([], [*EXPECTED, "thesis.odt"], "it holds 'thesis.odt'"),
        ],
    )
    def test_without_the_marker_or_with_more_it_is_none(self, tmp_path, folders, files, match):
        for name in folders:
            (tmp_path / name).mkdir()
        for name in files:
            (tmp_path / name).write_text("theirs")
        before = tree(tmp_path)
        making = atomic_folder(tmp_path, overwrite=True, expected=EXPECTED, marker=MARKER)
        with pytest.raises(InputError, match=match), making:
            pytest.fail("the block ran")
        assert tree(tmp_path) == before

    def test_a_link_is_no_file_of_an_earlier_output(self, tmp_path):
        write_output(tmp_path / "out")
        (tmp_path / "out" / "kept.csv").unlink()
        (tmp_path / "out" / "kept.csv").symlink_to(tmp_path / "elsewhere")
        self.refused(tmp_path / "out", "it holds 'kept.csv'")

    def test_a_file_is_never_overwritten(self, tmp_path):
        (tmp_path / "out").write_text("x")
        self.refused(tmp_path / "out", "not a folder")

    @pytest.mark.parametrize("where", [".", ".."])
    def test_the_current_folder_and_those_above_are_never_overwritten(self, tmp_path, monkeypatch, where):
        (tmp_path / "a").mkdir()
        monkeypatch.chdir(tmp_path / "a")
        self.refused(Path(where), "too important")

    def test_home_and_root_are_never_overwritten(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        self.refused(tmp_path, "too important")
        self.refused(Path(tmp_path.anchor), "too important")

    def test_what_is_put_there_meanwhile_stays(self, tmp_path):
        write_output(tmp_path / "out")
        making = atomic_folder(tmp_path / "out", overwrite=True, expected=EXPECTED, marker=MARKER)
        with pytest.raises(InputError, match=r"notes\.txt"), making:
            (tmp_path / "out" / "notes.txt").write_text("theirs")
        assert set(tree(tmp_path)) == {"out", *(f"out/{name}" for name in (*EXPECTED, "notes.txt"))}

    def test_while_it_is_overwritten_the_name_is_never_free(self, tmp_path, monkeypatch):
        write_output(tmp_path / "out")
        (tmp_path / "other").mkdir()
        if not atomic._exchanged(tmp_path / "out", tmp_path / "other"):
            pytest.skip("names cannot be exchanged here")
        atomic._exchanged(tmp_path / "out", tmp_path / "other")

        def refuse(*_):
            pytest.fail("the folder was moved away")

        monkeypatch.setattr(Path, "rename", refuse)
        making = atomic_folder(tmp_path / "out", overwrite=True, expected=EXPECTED, marker=MARKER)
        with making as temporary:
            (temporary / "run.json").write_text("new")
        assert tree(tmp_path) == {"other": None, "out": None, "out/run.json": b"new"}

    def test_where_names_cannot_be_exchanged(self, tmp_path, monkeypatch):
        write_output(tmp_path / "out")
        monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
        making = atomic_folder(tmp_path / "out", overwrite=True, expected=EXPECTED, marker=MARKER)
        with making as temporary:
            (temporary / "run.json").write_text("new")
        assert tree(tmp_path) == {"out": None, "out/run.json": b"new"}

    def test_a_failing_swap_puts_the_old_back(self, tmp_path, monkeypatch):
        monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
        write_output(tmp_path / "out")
        before = tree(tmp_path)
        rename, calls = Path.rename, []

        def fail_the_second_time(path, target):
            calls.append(path)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", fail_the_second_time)
        making = atomic_folder(tmp_path / "out", overwrite=True, expected=EXPECTED, marker=MARKER)
        with pytest.raises(KeyboardInterrupt), making as temporary:
            write_output(temporary, "new")
        assert tree(tmp_path) == before

    @pytest.mark.parametrize("exchanged", [True, False])
    def test_an_interrupt_while_the_old_is_deleted_leaves_the_new(self, tmp_path, monkeypatch, exchanged):
        write_output(tmp_path / "out")
        if not exchanged:
            monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)

        def interrupt(*_, **__):
            monkeypatch.undo()
            raise KeyboardInterrupt

        monkeypatch.setattr(atomic.shutil, "rmtree", interrupt)
        making = atomic_folder(tmp_path / "out", overwrite=True, expected=EXPECTED, marker=MARKER)
        with pytest.raises(KeyboardInterrupt), making as temporary:
            write_output(temporary, "new")
        assert {(tmp_path / "out" / name).read_text() for name in EXPECTED} == {"new"}

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
    def test_a_real_interrupt(self, tmp_path):
        code = (
            "import sys, time\nfrom dupdetect.atomic import atomic_folder\n"
            "with atomic_folder('out', marker='x') as place:\n"
            "    (place / 'half').write_text('x'); print('ready', flush=True); time.sleep(60)"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(atomic.__file__).parents[1])}
        with subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=180) != 0
        assert tree(tmp_path) == {}
