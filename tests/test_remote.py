"""Exports behind URLs are read cell by cell as files are, and results that are sent are whole or not taken for it."""

import errno
import json
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from dupdetect import DupdetectError, Questions
from dupdetect.artifacts import CERTIFICATE
from dupdetect.cli import main
from dupdetect.errors import InputError, MissingExtraError, OutputExistsError
from dupdetect.remote import UNFINISHED, is_url, lies_in, output_folder, shown
from dupdetect.remote import files as file_systems
from dupdetect.results import OUTPUT_FILES

EXPORT = (
    "id,zip,question\n1,007,How do I pay my bill?\n2,,how do i pay my bill\n"
    "3,1e3,Where is my parcel?\n4,NA,Café open?\n"
).encode()
SECRET = "AKIAVERYSECRET"  # noqa: S105 - of no service


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch):
    """Where results stay that could not be sent."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


@pytest.fixture
def memory():
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://bucket/day=2026/a.csv", "s3://bucket/day=2026/a.csv"),
        ("s3://bucket/part-?.csv", "s3://bucket/part-?.csv"),
        (f"https://me:{SECRET}@host/a.csv?X-Amz-Signature={SECRET}&b=1", "https://host/a.csv"),
        (f"https://{SECRET}@host/a.csv#token={SECRET}", "https://host/a.csv"),
        (f"s3://key:{SECRET}/with/slashes@bucket/a.csv", "s3://bucket/a.csv"),
        ("https://host:9000/me@home.csv", "https://host:9000/me@home.csv"),
        (f"https://host/a.csv?{SECRET}", "https://host/a.csv"),
        (f"https://host/a.csv?download&sig={SECRET}", "https://host/a.csv"),
        (f"https://host/get?/b/a.csv&token={SECRET}", "https://host/get"),
        (f"https://host/a.csv#{SECRET}", "https://host/a.csv"),
        (f"ftp://me:and@{SECRET}@host/a.csv", "ftp://host/a.csv"),
        (f"ftp://me:{SECRET}/and@{SECRET}@host/a.csv", "ftp://host/a.csv"),
        (f"s3://bucket/a.csv?download&sig={SECRET}", "s3://bucket/a.csv"),
        ("s3://bucket/part-?/day=1/a#1.csv", "s3://bucket/part-?/day=1/a#1.csv"),
        (f"zip://a.csv::https://me:{SECRET}@host/x.zip?{SECRET}", "zip://a.csv::https://host/x.zip"),
        ("zip://a.csv::/folder/x#1.zip", "zip://a.csv::/folder/x#1.zip"),
        ("abfs://container@account/a.csv", "abfs://container@account/a.csv"),
    ],
)
def test_what_is_told_of_a_url(url, told):
    assert is_url(url)
    assert shown(url) == told


@pytest.mark.parametrize(
    "path", ["export.csv", "C:\\export.csv", "c://export.csv", "-", "", Path("s3://b/a.csv"), None]
)
def test_paths_are_no_urls(path):
    assert not is_url(path)


@pytest.mark.parametrize("where", ["memory", "file"])
def test_cells_are_those_of_the_file(where, memory, tmp_path):
    path = tmp_path / "export.csv"
    path.write_bytes(EXPORT)
    memory.pipe_file("/in/export.csv", EXPORT)
    url = "memory://in/export.csv" if where == "memory" else path.as_uri()
    told = []

    @contextmanager
    def progress(stage, total, unit):
        yield lambda done: told.append((stage, total, unit, done))

    found, expected = Questions.read(url, progress=progress), Questions.read(path)
    assert found.table.rows == expected.table.rows
    assert [row[1] for row in found.table.rows] == ["007", "", "1e3", "NA"]
    assert found.table.source.sha256 == expected.table.source.sha256
    assert (found.table.source.name, found.notes) == (url, expected.notes)
    assert told[0][:3] == ("Fetching", len(EXPORT), "byte")
    assert sum(done for *_, done in told) == len(EXPORT)


def test_the_ending_of_the_url_tells_the_format(memory):
    import gzip

    memory.pipe_file("/a.csv.gz", gzip.compress(EXPORT))
    memory.pipe_file("/a.jsonl", b'{"question": "How do I pay?", "n": 1.10}\n')
    assert len(Questions.read("memory://a.csv.gz")) == 4
    assert Questions.read("memory://a.jsonl").table.rows == (("How do I pay?", "1.10"),)


def test_errors_name_the_url(memory):
    memory.pipe_file("/a.csv", b"id,question\n1,a,b\n")
    with pytest.raises(InputError, match=r"memory://a\.csv, line 2: 3 cells"):
        Questions.read("memory://a.csv")
    with pytest.raises(InputError, match=r"There is no memory://b\.csv"):
        Questions.read("memory://b.csv")
    memory.pipe_file("/folder/a.csv", EXPORT)
    with pytest.raises(InputError, match=r"is a folder.*'memory://folder/\*\.csv'"):
        Questions.read("memory://folder")
    with pytest.raises(InputError, match="nonsense:// is no protocol"):
        Questions.read("nonsense://a.csv")


def test_what_is_missing_is_named(monkeypatch):
    def without(*packages):
        def import_module(name):
            if name.partition(".")[0] in packages:
                raise ImportError(name)
            return original(name)

        monkeypatch.setattr(file_systems, "import_module", import_module)

    original = file_systems.import_module
    without("fsspec")
    with pytest.raises(MissingExtraError, match=r'fsspec.*pip install "dupdetect\[remote\]"'):
        Questions.read("memory://a.csv")
    without("aiohttp")
    with pytest.raises(MissingExtraError, match=r'aiohttp.*pip install "dupdetect\[remote\]"'):
        Questions.read("https://host/a.csv")
    without()
    with pytest.raises(InputError, match=r"adlfs"):
        Questions.read("abfs://container@account/a.csv")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(f"key {SECRET}"), "access is denied"),
        (type("NoCredentialsError", (Exception,), {})(), "no credentials were found"),
        (TimeoutError(), "no answer"),
        (ConnectionRefusedError(), "no answer"),
        (OSError(errno.ENOSPC, "full"), "TMPDIR"),
        (RuntimeError(f"at https://me:{SECRET}@host/x?sig={SECRET}: 500, secret_key={SECRET}\nmore"), "500"),
    ],
)
def test_errors_are_one_line_without_secrets(error, said, memory, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    memory.pipe_file("/a.csv", EXPORT)
    monkeypatch.setattr(type(memory), "get_file", fail)
    status, out, told = run(capsys, "plan", "memory://a.csv")
    assert (status, out) == (1, "")
    assert told.startswith("Error: memory://a.csv cannot be read: ")
    assert said in told
    assert SECRET not in told
    assert len(told.splitlines()) == 1


def test_credentials_do_not_belong_into_the_url_of_a_bucket():
    with pytest.raises(InputError, match="AWS_ACCESS_KEY_ID") as error:
        Questions.read(f"s3://key:{SECRET}@bucket/a.csv")
    assert SECRET not in str(error.value)


def test_an_object_that_changes_while_it_is_fetched(memory, monkeypatch):
    memory.pipe_file("/a.csv", EXPORT)
    monkeypatch.setattr(type(memory), "get_file", lambda _, path, local, **__: Path(local).write_bytes(EXPORT[:-3]))
    with pytest.raises(InputError, match=f"has {len(EXPORT)} bytes, and {len(EXPORT) - 3} were fetched"):
        Questions.read("memory://a.csv")


def test_the_web_is_read_without_its_query_in_the_record(capsys):
    pytest.importorskip("aiohttp", reason="the extra `remote` is not installed")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.send_response(200 if SECRET in self.path else 403)
            self.send_header("Content-Length", str(len(EXPORT)))
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            if SECRET in self.path:
                self.wfile.write(EXPORT)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/a.csv"
            found = Questions.read(f"{url}?sig={SECRET}")
            with pytest.raises(InputError, match="access is denied") as error:
                Questions.read(f"{url}?sig=wrong")
        finally:
            server.shutdown()
            thread.join()
    assert found.table.source.name == url
    assert [row[1] for row in found.table.rows] == ["007", "", "1e3", "NA"]
    assert "wrong" not in str(error.value)
    with pytest.raises(InputError, match="read only"), output_folder(url, marker="run.json"):
        pass


def written(files, root="/out"):
    return {name.rpartition("/")[2]: files.cat_file(name) for name in files.find(root)}


def dedupe(capsys, *arguments):
    return run(capsys, "dedupe", *arguments, "--fast")


def test_the_command_writes_what_it_writes_here(memory, tmp_path, capsys):
    memory.pipe_file("/in/export.csv", EXPORT)
    (tmp_path / "export.csv").write_bytes(EXPORT)
    assert dedupe(capsys, tmp_path / "export.csv", "-o", tmp_path / "out")[0] == 0
    status, out, _ = dedupe(capsys, "memory://in/export.csv", "-o", "memory://out")
    assert status == 0
    assert "written to memory://out" in out
    here = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    sent = written(memory)
    assert set(sent) == set(here)
    for name in set(here) - {"run.json", "report.html"}:
        assert sent[name] == here[name], name
    record, mine = json.loads(sent["run.json"]), json.loads(here["run.json"])
    assert record["input"] == mine["input"] | {"name": "memory://in/export.csv"}
    assert record["counts"] == mine["counts"]
    assert "memory://out" in sent["report.html"].decode()


def test_a_result_is_replaced_on_request_and_nothing_else(memory, tmp_path, capsys):
    memory.pipe_file("/in/export.csv", EXPORT)
    given = ("memory://in/export.csv", "-o", "memory://out")
    assert dedupe(capsys, *given)[0] == 0
    memory.pipe_file(f"/out/{CERTIFICATE}", b"of an earlier search")
    status, _, told = dedupe(capsys, *given)
    assert status == 1
    assert "memory://out exists already (made from memory://in/export.csv)" in told
    assert "--overwrite" in told
    memory.pipe_file("/out/mine.txt", b"mine")
    status, _, told = dedupe(capsys, *given, "--overwrite")
    assert status == 1
    assert "it holds 'mine.txt'" in told
    assert memory.cat_file("/out/mine.txt") == b"mine"
    memory.rm_file("/out/mine.txt")
    assert dedupe(capsys, *given, "--overwrite")[0] == 0
    assert set(written(memory)) == set(OUTPUT_FILES)
    status, _, told = dedupe(capsys, "memory://out/kept.csv", *given[1:], "--overwrite")
    assert status == 1
    assert "memory://out/kept.csv lies in the output memory://out" in told


def test_what_reviewers_told_apart_is_found_beside_the_url(memory, tmp_path, capsys):
    from dupdetect.review import ReviewStore
    from dupdetect.review.candidates import Candidates

    memory.pipe_file("/in/export.csv", EXPORT)
    words = "alpha beta gamma delta epsilon zeta eta theta"
    lines = [f"{words} {number}" if number % 2 else f"{words} {number} now" for number in range(30)]
    memory.pipe_file("/in/export.csv", ("question\n" + "\n".join(lines) + "\n").encode())
    given = ("memory://in/export.csv", "-o", "memory://out", "--estimated-precision", "0")
    assert dedupe(capsys, *given)[0] == 0
    (tmp_path / "candidates.csv").write_bytes(memory.cat_file("/out/candidates.csv"))
    candidates = Candidates.read(tmp_path / "candidates.csv")
    with ReviewStore(tmp_path / "labels.sqlite") as store:
        store.record(candidates.key[0], "different", "ana")
    memory.pipe_file("/out.reviews.sqlite", (tmp_path / "labels.sqlite").read_bytes())
    status, _, told = dedupe(capsys, *given, "--overwrite")
    assert status == 0
    assert "do not count: 1 (out.reviews.sqlite)" in told


def test_run_json_comes_last_and_goes_first(memory, monkeypatch):
    for name in ("a.csv", "run.json", "old.csv"):
        memory.pipe_file(f"/out/{name}", b"old")
    seen = []
    original = type(memory).put_file

    def put_file(self, local, path, **options):
        there = {name.rpartition("/")[2] for name in self.find("/out")}
        seen.append((Path(path).name, "run.json" in there, UNFINISHED in there))
        return original(self, local, path, **options)

    monkeypatch.setattr(type(memory), "put_file", put_file)
    with output_folder(
        "memory://out", marker="run.json", expected=("a.csv", "b.csv", "old.csv"), overwrite=True
    ) as place:
        for name in ("run.json", "a.csv", "b.csv"):
            (place / name).write_text("new", encoding="utf-8")
    assert seen == [("a.csv", False, True), ("b.csv", False, True), ("run.json", False, True)]
    assert written(memory) == {"a.csv": b"new", "b.csv": b"new", "run.json": b"new"}
    assert not place.exists()


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("broken", ["a.csv", "b.csv", "run.json"])
def test_a_result_that_cannot_be_sent_stays_here(broken, earlier, memory, monkeypatch):
    if earlier:
        memory.pipe_file("/out/run.json", b"old")
    original = type(memory).put_file

    def put_file(self, local, path, **options):
        if path.endswith(broken):
            raise ConnectionResetError
        return original(self, local, path, **options)

    def write():
        expected = ("a.csv", "b.csv")
        with output_folder("memory://out", marker="run.json", expected=expected, overwrite=earlier) as place:
            for name in ("a.csv", "b.csv", "run.json"):
                (place / name).write_text("new", encoding="utf-8")
        return place

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", put_file)
        with pytest.raises(DupdetectError, match=r"no answer.*complete in") as error:
            write()
    place = Path(str(error.value).partition("complete in ")[2].partition(":")[0])
    assert {file.name for file in place.iterdir()} == {"a.csv", "b.csv", "run.json"}
    there = written(memory)
    assert "run.json" not in there
    assert (UNFINISHED in there) == earlier
    if not earlier:
        assert not there
    write()
    assert set(written(memory)) == {"a.csv", "b.csv", "run.json"}


@pytest.mark.parametrize("stuck", [False, True])
def test_what_arrived_without_an_answer_is_taken_back_or_marked(stuck, memory, monkeypatch):
    original, delete = type(memory).put_file, type(memory).rm_file

    def put_file(self, local, path, **options):
        original(self, local, path, **options)
        if path.endswith("run.json"):
            raise ConnectionResetError

    def rm_file(self, path):
        if stuck and not path.endswith(UNFINISHED):
            raise ConnectionResetError
        delete(self, path)

    monkeypatch.setattr(type(memory), "put_file", put_file)
    monkeypatch.setattr(type(memory), "rm_file", rm_file)

    def write():
        with output_folder("memory://out", marker="run.json", expected=("a.csv",)) as place:
            for name in ("a.csv", "run.json"):
                (place / name).write_text("new", encoding="utf-8")

    with pytest.raises(DupdetectError, match="no answer"):
        write()
    assert set(written(memory)) == ({"a.csv", "run.json", UNFINISHED} if stuck else set())


def test_the_name_of_a_folder_is_no_pattern(memory):
    for folder in ("out[1]", "out1"):
        for name in ("run.json", "old.csv"):
            memory.pipe_file(f"/{folder}/{name}", b"old")
    with output_folder("memory://out[1]", marker="run.json", expected=("old.csv",), overwrite=True) as place:
        (place / "run.json").write_text("new", encoding="utf-8")
    assert sorted(memory.find("/")) == ["/out1/old.csv", "/out1/run.json", "/out[1]/run.json"]
    assert memory.cat_file("/out[1]/run.json") == b"new"


def test_nothing_is_left_here_when_the_work_fails(memory):
    with pytest.raises(ZeroDivisionError), output_folder("memory://out", marker="run.json") as place:
        raise ZeroDivisionError
    assert not place.exists()
    assert not written(memory)


def test_finished_work_stays_in_the_current_folder(memory, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    memory.pipe_file("/in/export.csv", EXPORT)
    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", lambda *_, **__: 1 / 0)
        status, _, told = dedupe(capsys, "memory://in/export.csv", "-o", "memory://results/out", "--resume")
    assert status == 1
    assert "Traceback" not in told
    assert (tmp_path / "out.partial" / "vectors.sqlite").exists()
    assert dedupe(capsys, "memory://in/export.csv", "-o", "memory://results/out", "--resume")[0] == 0
    assert not [*tmp_path.iterdir()]


def test_the_default_output_is_here(memory, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    memory.pipe_file("/in/export.csv", EXPORT)
    assert dedupe(capsys, "memory://in/export.csv")[0] == 0
    assert (tmp_path / "export.dupdetect" / "run.json").exists()


def test_match_reads_and_writes_urls(memory, tmp_path, capsys):
    memory.pipe_file("/new.csv", b"question\nhow do I pay my bill??\n")
    memory.pipe_file("/known.csv", EXPORT)
    given = ("match", "memory://new.csv", "--against", "memory://known.csv", "--against-text", "question", "--fast")
    status, out, _ = run(capsys, *given)
    assert status == 0
    assert run(capsys, *given, "-o", "memory://found/matched.csv")[0] == 0
    assert memory.cat_file("/found/matched.csv").decode() == out
    status, _, told = run(capsys, *given, "-o", "memory://found/matched.csv")
    assert status == 1
    assert "exists already" in told
    assert run(capsys, *given, "-o", "memory://found/matched.csv", "--overwrite")[0] == 0


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_an_output_that_is_an_input_is_refused(form, memory, tmp_path, capsys):
    path = tmp_path / "faq.csv"
    path.write_bytes(EXPORT)
    memory.pipe_file("/in/faq.csv", EXPORT)
    command = ("match", form.format(path), "--against", "memory://in/faq.csv", "--fast", "--overwrite", "-o")
    for output in (path, path.as_uri(), "memory://in/faq.csv"):
        status, _, err = run(capsys, *command, output)
        assert (status, "which would be replaced" in err) == (1, True), err
    for output in (tmp_path, tmp_path.as_uri()):
        status, _, err = run(capsys, "dedupe", form.format(path), "--fast", "--overwrite", "-o", output)
        assert (status, "lies in the output" in err) == (1, True), err
    assert path.read_bytes() == memory.cat_file("/in/faq.csv") == EXPORT


def test_names_of_one_place_are_known_as_such(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lies_in("a/b.csv", "a")
    assert lies_in((tmp_path / "a" / "b.csv").as_uri(), "a")
    assert lies_in("s3://bucket/a/b.csv", "s3a://bucket/a/")
    assert lies_in("s3://bucket/a", "s3://bucket/a")
    assert not lies_in("s3://bucket/ab.csv", "s3://bucket/a")
    assert not lies_in("gs://bucket/a/b.csv", "s3://bucket/a")
    assert not lies_in("a", "a/b.csv")


def test_reviews_are_made_on_a_copy_and_the_report_says_so(memory, tmp_path, capsys):
    memory.pipe_file("/in/export.csv", EXPORT)
    assert run(capsys, "dedupe", "memory://in/export.csv", "--fast", "-o", "memory://b/out")[0] == 0
    page = memory.cat_file("/b/out/report.html").decode()
    assert "Copy memory://b/out to the folder out on this machine." in page
    assert "dupdetect review out<" in page
    for command in (("review", "memory://b/out"), ("calibrate", "--from-reviews", "memory://b/out", "-o", tmp_path)):
        status, _, err = run(capsys, *command)
        assert (status, "Copy it to this machine" in err) == (1, True), err


def test_a_result_is_written_to_a_url_in_python(memory, detector):
    result = detector.deduplicate(["how do i pay", "How do I pay", "where is it"])
    assert result.write("memory://out") == "memory://out"
    assert "run.json" in written(memory)
    with pytest.raises(OutputExistsError):
        result.write("memory://out")
    result.write("memory://out", overwrite=True)
