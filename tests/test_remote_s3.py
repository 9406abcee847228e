"""Against a small store of our own that talks as S3 does, as far as reading, writing, listing and deleting go."""

import hashlib
import json
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from dupdetect import Questions
from dupdetect.cli import main
from dupdetect.errors import InputError

s3fs = pytest.importorskip("s3fs", reason="the extra `remote` is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries below

KEY, SECRET = "AKIDEXAMPLE", "verysecretindeed"
EXPORT = b"id,zip,question\n1,007,How do I pay my bill?\n2,,how do i pay my bill\n3,1e3,Where is my parcel?\n"


class SmallStore:
    """buckets: by name, the content by key."""

    def __init__(self):
        self.buckets = {"bucket": {}}

    @contextmanager
    def serving(self):
        class Handler(_Handler):
            buckets = self.buckets

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = self.body()
        bucket, key, query = self.asked()
        if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            return self.error(403, "InvalidAccessKeyId")
        if bucket not in self.buckets:
            return self.error(404, "NoSuchBucket")
        objects = self.buckets[bucket]
        if self.command == "POST" and "delete" in query:
            for part in body.decode().split("<Key>")[1:]:
                objects.pop(part.partition("</Key>")[0], None)
            return self.answer(200, b"<DeleteResult></DeleteResult>")
        if self.command == "PUT":
            objects[key] = body
            return self.answer(200)
        if self.command == "DELETE":
            objects.pop(key, None)
            return self.answer(204)
        if not key:
            return self.answer(200, b"" if self.command == "HEAD" else self.listed(objects, query))
        if key not in objects:
            return self.error(404, "NoSuchKey")
        return self.answer(200, objects[key])

    do_HEAD = do_PUT = do_DELETE = do_POST = do_GET

    def body(self):
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return content
        plain = b""
        while content:
            size, _, content = content.partition(b"\r\n")
            count = int(size.partition(b";")[0], 16)
            if not count:
                break
            plain, content = plain + content[:count], content[count + 2 :]
        return plain

    def asked(self):
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        return bucket, key, parse_qs(url.query, keep_blank_values=True)

    def listed(self, objects, query):
        prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
        keys, folders = [], set()
        for key in sorted(objects):
            if key.startswith(prefix):
                head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
                folders.add(prefix + head + delimiter) if found else keys.append(key)
        contents = "".join(
            f'<Contents><Key>{escape(key)}</Key><Size>{len(objects[key])}</Size><ETag>"{etag(objects[key])}"</ETag>'
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            for key in keys
        )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)
        )
        count = f"<KeyCount>{len(keys) + len(folders)}</KeyCount><IsTruncated>false</IsTruncated>"
        return f"<ListBucketResult>{count}{contents}{common}</ListBucketResult>".encode()

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{etag(body)}"')
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code} of {KEY}</Message></Error>".encode())


def etag(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def store(monkeypatch, tmp_path):
    store = SmallStore()
    with store.serving() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        s3fs.S3FileSystem.clear_instance_cache()
        yield store
        s3fs.S3FileSystem.clear_instance_cache()


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code, *capsys.readouterr()


def test_an_export_is_read_and_its_result_written(store, tmp_path, capsys):
    objects = store.buckets["bucket"]
    objects["in/export.csv"] = EXPORT
    (tmp_path / "export.csv").write_bytes(EXPORT)
    assert run(capsys, "dedupe", tmp_path / "export.csv", "--fast", "-o", tmp_path / "out")[0] == 0
    given = ("dedupe", "s3://bucket/in/export.csv", "--fast", "-o", "s3://bucket/out")
    status, _, told = run(capsys, *given)
    assert status == 0, told
    sent = {key.removeprefix("out/"): content for key, content in objects.items() if key.startswith("out/")}
    assert set(sent) == {path.name for path in (tmp_path / "out").iterdir()}
    for name in ("questions.csv", "kept.csv", "pairs.csv"):
        assert sent[name] == (tmp_path / "out" / name).read_bytes()
    assert json.loads(sent["run.json"])["input"]["name"] == "s3://bucket/in/export.csv"
    status, _, told = run(capsys, *given)
    assert (status, "exists already" in told) == (1, True)
    status, _, told = run(capsys, *given, "--overwrite")
    assert status == 0, told
    assert {key for key in objects if key.startswith("out/")} == {f"out/{name}" for name in sent}


def test_parts(store):
    store.buckets["bucket"]["day=1/b.csv"] = b"question\nsecond\n"
    store.buckets["bucket"]["day=1/a.csv"] = b"question\nfirst\n"
    store.buckets["bucket"]["day=1/deeper/a.csv"] = b"question\nnot this\n"
    assert Questions.read("s3://bucket/day=1/*.csv").texts == ("first", "second")


def test_what_is_not_there(store, capsys):
    with pytest.raises(InputError, match=r"There is no s3://bucket/none\.csv"):
        Questions.read("s3://bucket/none.csv")
    with pytest.raises(InputError, match=r"There is no s3://nobucket/none\.csv"):
        Questions.read("s3://nobucket/none.csv")
    status, _, told = run(capsys, "dedupe", "s3://bucket/none.csv", "-o", "s3://nobucket/out")
    assert status == 1
    assert told.startswith("Error: There is no bucket nobucket")


def test_wrong_credentials(store, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDWRONG")
    status, _, told = run(capsys, "plan", "s3://bucket/in/export.csv")
    assert (status, len(told.splitlines())) == (1, 1)
    assert "access is denied" in told
    assert "AWS_ACCESS_KEY_ID" in told
    assert SECRET not in told
    assert KEY not in told


def test_no_answer(store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    with pytest.raises(InputError, match="no answer"):
        Questions.read("s3://bucket/in/export.csv")
