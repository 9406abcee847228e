"""`dupdetect serve` as its users have it: a process with a socket, which is interrupted, killed and misused."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from shutil import copytree

import pytest
import uvicorn
from fastapi.testclient import TestClient
from served import KEY, LOCAL

from dupdetect import Detector, QuestionIndex
from dupdetect.cli import main
from dupdetect.service import Settings, create_app, listening

posix = pytest.mark.skipif(os.name != "posix", reason="sends signals as POSIX has them")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "faq"
    with QuestionIndex.create(folder, Detector.from_pretrained(tier="fast")) as index:
        index.add(["How do I pay?", "Where is my parcel?"], ids=["pay", "parcel"])
    return folder


@pytest.fixture
def faq(made, tmp_path):
    return copytree(made, tmp_path / "faq")


@contextmanager
def served(folder, *options, **environment):
    """A service in a process of its own, and its address."""
    command = [sys.executable, "-m", "dupdetect", "serve", str(folder), "--port", "0", *options]
    variables = {name: value for name, value in os.environ.items() if name != "DUPDETECT_API_KEY"} | environment
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=variables) as process:
        try:
            line = process.stderr.readline()
            yield process, re.search(r"http://\S+", line)[0]
        finally:
            if process.poll() is None:
                process.kill()


def post(address, body, **headers):
    """Return the status and the JSON of an answer; None where the connection ended without one."""
    given = {"content-type": "application/json"} | headers
    request = urllib.request.Request(address, json.dumps(body).encode(), given)  # noqa: S310 - of this machine
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return None


def adding(address, name, acknowledged):
    """Add questions one after the other until the service does not answer; collect the ids that it said to have."""
    place = 0
    while True:
        given = f"{name}-{place}"
        answer = post(f"{address}/v1/questions", {"questions": [{"id": given, "text": f"question {given}"}]})
        if answer is None or answer[0] == 503:
            return
        assert answer[0] == 200
        acknowledged.append(given)
        place += 1


@contextmanager
def many_adding(address, at_least):
    """While several add, once so many questions are there; the block ends the service."""
    acknowledged = []
    adders = [threading.Thread(target=adding, args=(address, name, acknowledged)) for name in "abcd"]
    for adder in adders:
        adder.start()
    while len(acknowledged) < at_least and any(adder.is_alive() for adder in adders):
        threading.Event().wait(0.005)
    yield acknowledged
    for adder in adders:
        adder.join()


def check_sound(folder, acknowledged):
    """Everything that was acknowledged is there, and what is there is an index in which all adds up."""
    with QuestionIndex.open(folder) as index:
        there = {one.id: one.text for one in index}
        assert set(acknowledged) <= set(there)
        assert len(there) <= 2 + len(acknowledged) + 4  # beside what each had under way
        counts = index.counts
        assert counts["questions"] == counts["texts"] + counts["repeats"] + counts["blank"] == len(there)
        assert all(index.search(text, 1)[0].same_text for text in there.values())
        index.add(["and it goes on"], ids=["more"])
        assert index.search("and it goes on", 1)[0].id == "more"


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_service_loses_nothing_that_it_accepted(faq, name):
    with served(faq) as (process, address):
        with many_adding(address, 20) as acknowledged:
            process.send_signal(getattr(signal, name))
            assert process.wait(30) == 0
        assert process.stderr.read() == "Stopped. Everything that was accepted is finished.\n"
    assert len(acknowledged) >= 20
    check_sound(faq, acknowledged)


@posix
def test_a_killed_service_leaves_a_sound_index(faq):
    with served(faq) as (process, address), many_adding(address, 20) as acknowledged:
        process.kill()
        process.wait(30)
    assert len(acknowledged) >= 20
    check_sound(faq, acknowledged)


def test_a_service_with_a_key_from_a_file_answers_whoever_shows_it(faq, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    with served(faq, "--host", "0.0.0.0", "--api-key-file", str(tmp_path / "key")) as (process, address):  # noqa: S104
        there = f"http://127.0.0.1:{address.rpartition(':')[2]}/v1/check"
        assert post(there, {"text": "how do i pay"})[0] == 401
        status, found = post(there, {"text": "how do i pay"}, authorization=f"Bearer {KEY}")
        assert (status, found["best"]["id"]) == (200, "pay")
        process.send_signal(signal.SIGINT)
        assert KEY not in process.stderr.read()


def test_a_socket_is_read_as_http_says(faq):
    """What clients send that no library would: rubbish, a head without end, two lengths, a path with a text in it."""
    with served(faq) as (process, address):
        port = int(address.rpartition(":")[2])

        def answer(sent):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                received = b""
                with suppress(ConnectionError):  # closed before all of it was sent
                    connection.sendall(sent)
                    while part := connection.recv(65536):
                        received += part
            return received

        host = b"host: 127.0.0.1\r\n"
        for rubbish in (
            b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
            b"GET / HTTP/9\r\n\r\n",
            b"POST /v1/check HTTP/1.1\r\n" + host + b"content-length: 1\r\ncontent-length: 2\r\n\r\n{}",
            b"POST /v1/check HTTP/1.1\r\n" + host + b"content-length: -1\r\n\r\n",
            b"POST /v1/check HTTP/1.1\r\n" + host + b"host: evil.example\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + host + b"a: b\x00c\r\n\r\n",
        ):
            assert answer(rubbish).startswith(b"HTTP/1.1 400 "), rubbish[:80]
        assert answer(b"GET / HTTP/1.1\r\n" + host + b"a: " + b"x" * 500_000)[:13] in (b"HTTP/1.1 400 ", b"")
        body = b'{"text": "how do i pay"}'
        chunked = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body) + b"0\r\n\r\n"
        head = b"POST /v1/check HTTP/1.1\r\n" + host + b"content-type: application/json\r\nconnection: close\r\n"
        assert b'"duplicate":true' in answer(head + b"transfer-encoding: chunked\r\n\r\n" + chunked)
        assert answer(head + b"content-length: 99999999999\r\n\r\n").startswith(b"HTTP/1.1 413 ")
        health = b"GET /healthz HTTP/1.1\r\n" + host + b"content-length: 9\r\n\r\n"
        assert answer(health).startswith(b"HTTP/1.1 413 "), "and the body is not waited for"
        answer(b"GET /mysecret?q=mysecret HTTP/1.1\r\nconnection: close\r\n" + host + b"\r\n")
        process.send_signal(signal.SIGINT)
        assert "mysecret" not in process.stderr.read()


def test_a_connection_without_a_whole_head_is_closed_in_time_and_others_are_not(made, monkeypatch):
    monkeypatch.setattr(listening, "_HEAD_SECONDS", 0.2)

    async def run():
        app = create_app(made)
        config = uvicorn.Config(app, http=listening._Impatient, lifespan="on", log_config=None, timeout_keep_alive=20)
        server = uvicorn.Server(config)
        bound = listening.bind("127.0.0.1", 0)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started:
            await asyncio.sleep(0.01)
        address = bound.getsockname()[:2]
        silent, trickling, asking = [await asyncio.open_connection(*address) for _ in range(3)]
        head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"

        async def trickle():
            for byte in head:
                trickling[1].write(bytes([byte]))
                await asyncio.sleep(0.05)

        async def received(reader):
            try:
                return await reader.read()
            except ConnectionError:
                return b""

        task = asyncio.create_task(trickle())
        for _ in range(3):
            asking[1].write(head)
            assert (await asking[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await asking[0].readexactly(15) == b'{"status":"ok"}'
            await asyncio.sleep(0.3)  # a connection that has been used may rest for longer
        assert await received(silent[0]) == b""
        assert await received(trickling[0]) == b""
        task.cancel()
        server.should_exit = True
        await serving
        for _, writer in (silent, trickling, asking):
            writer.close()

    asyncio.run(run())


def test_an_answer_that_is_not_taken_is_given_up_and_one_that_is_taken_slowly_is_not(made, monkeypatch):
    monkeypatch.setattr(listening, "_TAKE_SECONDS", 0.4)
    size = 8_000_000
    ended = []

    async def run():
        async def large(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
            await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            ended.append(scope["path"])

        config = uvicorn.Config(large, http=listening._Impatient, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        bound = listening.bind("127.0.0.1", 0)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started:
            await asyncio.sleep(0.01)
        (_, deaf), (reader, slow) = [
            await asyncio.open_connection(*bound.getsockname()[:2], limit=2**16) for _ in range(2)
        ]
        deaf.transport.pause_reading()
        deaf.write(b"GET /deaf HTTP/1.1\r\nhost: localhost\r\n\r\n")
        slow.write(b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        received = 0
        while part := await reader.read(400_000):
            received += len(part)
            if received < size // 2:
                await asyncio.sleep(0.05)
        assert received > size
        async with asyncio.timeout(20):
            while len(ended) < 2:
                await asyncio.sleep(0.01)
        assert not any(one.transport.get_write_buffer_size() for one in server.server_state.connections)
        server.should_exit = True
        await serving
        for writer in (deaf, slow):
            writer.close()

    asyncio.run(run())
    assert set(ended) == {"/deaf", "/slow"}


def test_an_application_can_be_made_of_a_folder(made):
    with TestClient(create_app(made, Settings(most_hits=1)), base_url=LOCAL) as client:
        assert client.post("/v1/check", json={"text": "how do i pay"}).json()["best"]["id"] == "pay"
        assert client.post("/v1/similar", json={"text": "a", "k": 2}).status_code == 422


# Misused ---------------------------------------------------------------------------------------------------------


def failed(capsys, *words):
    """Return the message that a command ends with."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", *map(str, words)])
    assert ended.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith("Error: ")
    return message


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("DUPDETECT_API_KEY", raising=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_others_are_answered_with_a_key_only(made, capsys, host):
    if host == "::" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    message = failed(capsys, made, "--host", host, "--port", 0)
    assert "needs an API key: set DUPDETECT_API_KEY" in message or "Nothing can listen on ::" in message


def test_a_port_that_is_taken_is_an_error(made, capsys):
    with listening.bind("127.0.0.1", 0) as other:
        other.listen()
        port = other.getsockname()[1]
        message = failed(capsys, made, "--port", port)
    assert f"Nothing can listen on 127.0.0.1, port {port}" in message
    assert "another --port" in message


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("no.such.host.invalid", "Nothing can listen"),
        ("999.1.1.1", "Nothing can listen"),
        ("a" * 300, "Nothing can listen"),
        ("", "(Nothing can listen|needs an API key)"),  # all addresses, where the system takes it so
    ],
    ids=["unknown", "no address", "long", "blank"],
)
def test_a_host_that_is_none_is_an_error(made, capsys, host, why, monkeypatch):
    def unknown(*given, **named):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if host in {"no.such.host.invalid", "999.1.1.1"}:  # a name server is not to be asked
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert re.search(why, failed(capsys, made, "--host", host, "--port", 0))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"", "is empty"), (b"\xff", "cannot be read"), (b"short", "at least 16")],
)
def test_a_key_file_that_holds_none_is_an_error_that_does_not_show_it(made, tmp_path, capsys, content, message):
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    found = failed(capsys, made, "--api-key-file", tmp_path / "key")
    assert message in found
    assert "short" not in found


def test_a_key_in_the_environment_that_is_none_is_an_error(made, capsys, monkeypatch):
    monkeypatch.setenv("DUPDETECT_API_KEY", "too short")
    assert "at least 16" in failed(capsys, made)


def test_folders_that_are_not_what_they_should_be_are_errors(made, tmp_path, capsys):
    assert str(tmp_path) in failed(capsys, tmp_path)
    assert "candidates.csv" in failed(capsys, made, "--reviews", tmp_path)


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "prometheus_client"])
def test_without_the_extra_the_error_says_what_to_install(made, capsys, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert 'pip install "dupdetect[serve]"' in failed(capsys, made)


def test_the_help_says_how_a_key_is_given_and_what_is_kept_of_visitors(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "environment variable DUPDETECT_API_KEY, or name a file that holds the key with --api-key-file" in said
    assert "kept in the file INDEX.answers.sqlite beside INDEX" in said
    assert "-H 'Content-Type: application/json' -d '{" in said
