"""Who may ask, and how much: keys, hosts, origins, bodies and numbers of requests."""

import asyncio
import base64
import json

import pytest
from served import KEY, SlowEncoder, make_client, make_index, until

from dupdetect.errors import InputError
from dupdetect.service import Service, Settings, create_app
from dupdetect.service.settings import is_loopback

ASK = {"text": "where is my parcel"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with make_client(tmp_path_factory.mktemp("open")) as client:
        yield client


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A client of a service that needs a key, and shows none."""
    with make_client(tmp_path_factory.mktemp("keyed"), api_key=KEY) as client:
        yield client


def test_every_answer_has_the_security_headers(tmp_path):
    with make_client(tmp_path, body_bytes=1000) as client:
        answers = [
            client.get("/healthz"),
            client.get("/docs"),
            client.get("/nothing"),
            client.post("/v1/check", json=ASK),
            client.post("/v1/check", json={}),
            client.post("/v1/check", json={"text": "a" * 2000}),
            client.get("/healthz", headers={"host": "evil.example"}),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 200, 422, 413, 421]
    for answer in answers:
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        is_page = answer.headers["content-type"].startswith("text/html")
        assert answer.headers["referrer-policy"] == ("same-origin" if is_page else "no-referrer")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("127.8.9.1:9", 200),
        ("localhost", 200),
        ("LocalHost:1234", 200),
        ("[::1]", 200),
        ("[::1]:8080", 200),
        ("", 421),
        ("evil.example", 421),
        ("evil.example:8080", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost:evil.example", 421),
        ("::1", 421),
        ("evil.example@127.0.0.1.x", 421),
        ("192.168.1.10:8080", 421),
        ("0.0.0.0:8080", 421),
        ("[::]:8080", 421),
        ("127.1", 421),
        ("2130706433", 421),
    ],
)
def test_without_a_key_only_requests_to_this_machine_are_answered(client, host, status):
    assert client.get("/v1/nothing", headers={"host": host}).status_code == {200: 404}.get(status, status)
    assert client.get("/healthz", headers={"host": host}).status_code == status


def test_with_a_key_the_host_may_be_any(keyed):
    headers = {"host": "ask.example", "authorization": f"Bearer {KEY}"}
    assert keyed.post("/v1/check", json=ASK, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8080"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8080.evil.example"}, 403),
        ({"origin": "http://evil.example", "sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_pages_of_other_sites_may_not_post(client, keyed, headers, status):
    for asking, shown in ((client, headers), (keyed, {"x-api-key": KEY, **headers})):
        assert asking.post("/v1/check", json=ASK, headers=shown).status_code == status
        assert asking.delete("/v1/questions/none", headers=shown).status_code == {200: 404}.get(status, status)
        assert asking.get("/v1/nothing", headers=shown).status_code == 404


def basic(password):
    return {"authorization": "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer  {KEY} "}, 200),
        ({"x-api-key": KEY}, 200),
        ({"x-api-key": KEY, "authorization": "Bearer wrong"}, 200),
        (basic(KEY), 200),
        ({}, 401),
        ({"x-api-key": ""}, 401),
        ({"x-api-key": KEY[:-1]}, 401),
        ({"x-api-key": KEY + "x"}, 401),
        ({"x-api-key": KEY.upper()}, 401),
        ({"authorization": KEY}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": f"Token {KEY}"}, 401),
        ({"authorization": "Basic %%%"}, 401),
        ({"authorization": "Basic " + base64.b64encode(KEY.encode()).decode()}, 401),
        (basic("wrong"), 401),
        ({"x-api-key": "\xff\xfe"}, 401),
    ],
)
def test_with_a_key_nothing_is_answered_without_it(keyed, headers, status):
    headers = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in ("/v1/check", "/docs", "/metrics", "/openapi.json", "/v1/questions/none", "/", "/nothing"):
        answer = keyed.post(path, json=ASK, headers=headers)
        assert (answer.status_code == 401) == (status == 401)
        if status == 401:
            assert answer.headers["www-authenticate"].startswith("Basic "), "or not every browser asks for it"
            assert KEY not in answer.text
    assert keyed.get("/healthz").status_code == keyed.get("/readyz").status_code == 200


def test_the_key_is_compared_as_a_whole_and_in_constant_time(keyed, monkeypatch):
    compared = []

    def digest(a, b):
        compared.append((a, b))
        return a == b

    monkeypatch.setattr("dupdetect.service.admission.hmac.compare_digest", digest)
    keyed.get("/docs", headers={"x-api-key": "c", "authorization": f"Bearer {KEY}x"})
    assert compared == [(b"c", KEY.encode()), (f"{KEY}x".encode(), KEY.encode())]


def test_the_key_is_not_shown(tmp_path):
    assert KEY not in repr(Settings(api_key=KEY))


@pytest.mark.parametrize(
    "key", ["", "short", "with space in it!!", "é" * 20, "tab\tin the key.....", "line\nin-the-key"]
)
def test_keys_that_are_none_are_errors_that_do_not_show_them(key):
    with pytest.raises(InputError, match="at least 16") as raised:
        Settings(api_key=key)
    assert not key or key not in str(raised.value)


@pytest.mark.parametrize("limit", ["body_bytes", "texts", "text_length", "most_hits", "batch", "waiting", "requests"])
def test_limits_are_above_0(limit):
    with pytest.raises(InputError, match=f"{limit} must be above 0, not 0"):
        Settings(**{limit: 0})


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.0.0.1", False),
        ("", False),
        ("example.org", False),
        ("127.1", False),
        ("localhost.", False),
        ("::ffff:1.2.3.4", False),
    ],
)
def test_loopback(host, here):
    assert is_loopback(host) is here


# Bodies, by ASGI itself: no client sends them like this ----------------------------------------------------------


async def call(app, messages, *, method="POST", path="/v1/check", headers=(), taken=None):
    """Return status, headers and JSON of an answer to a body that comes in these messages; None where none came.

    taken: an awaitable function that waits, when the first part of the answer has come, until it is taken.
    """
    left, sent = list(messages), []

    async def receive():
        if not left:
            await asyncio.sleep(60)
        return left.pop(0)

    async def send(message):
        sent.append(message)
        if taken is not None and len(sent) > 2:
            await taken()

    named = {name for name, _ in headers}
    given = [(b"host", b"localhost")] if b"host" not in named else []
    given += [(b"content-type", b"application/json"), *headers]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": given, "http_version": "1.1", "scheme": "http", "root_path": "", "asgi": {"version": "3.0"}}
    scope |= {"server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 1)}
    await app(scope, receive, send)
    if not sent:
        return None
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(body), left


def answer_to(folder, messages, headers=(), **settings):
    async def run():
        service = Service(make_index(folder), Settings(**settings))
        app = create_app(service)
        await service.start()
        try:
            return await call(app, messages, headers=headers)
        finally:
            await service.stop()

    return asyncio.run(run())


def parts(*bodies):
    last = len(bodies) - 1
    return [{"type": "http.request", "body": body, "more_body": place < last} for place, body in enumerate(bodies)]


def test_a_body_may_come_in_parts(tmp_path):
    body = json.dumps(ASK).encode()
    status, _, found, _ = answer_to(tmp_path, parts(*(body[n : n + 1] for n in range(len(body))), b""))
    assert (status, found["duplicate"]) == (200, True)


def test_a_body_that_is_said_to_be_too_large_is_not_read(tmp_path):
    messages = parts(b"x")
    status, headers, problem, left = answer_to(tmp_path, messages, [(b"content-length", b"101")], body_bytes=100)
    assert (status, headers[b"connection"]) == (413, b"close")
    assert "100 bytes" in problem["detail"]
    assert left == messages


@pytest.mark.parametrize("length", [b"9" * 19, b"9" * 400, b"0" * 5000 + b"1"])
def test_lengths_that_no_body_has_are_too_large(tmp_path, length):
    assert answer_to(tmp_path, parts(b"x"), [(b"content-length", length)])[0] == 413


@pytest.mark.parametrize(
    ("headers", "settings", "status"),
    [
        ([], {"api_key": KEY}, 401),
        ([(b"sec-fetch-site", b"cross-site")], {}, 403),
        ([(b"host", b"elsewhere.example")], {}, 421),
    ],
)
def test_a_refused_caller_with_a_body_is_closed_and_without_one_is_not(tmp_path, headers, settings, status):
    """Else one who sends it slowly holds the connection."""
    messages = parts(b"x", b"")[:1]
    for number, (length, connection) in enumerate(((b"1000000", b"close"), (b"0", None), (None, None))):
        given = [*headers, *([] if length is None else [(b"content-length", length)])]
        place = tmp_path / str(number)
        place.mkdir()
        found = answer_to(place, messages, given, **settings)
        assert (found[0], found[1].get(b"connection"), found[3]) == (status, connection, messages)


def test_a_body_of_unknown_length_is_read_up_to_the_limit(tmp_path):
    status, headers, _, left = answer_to(tmp_path, parts(*[b"x" * 60] * 50), body_bytes=100)
    assert (status, headers[b"connection"]) == (413, b"close")
    assert len(left) == 48


def test_a_body_of_the_largest_size_is_read(tmp_path):
    body = json.dumps(ASK).encode()
    assert answer_to(tmp_path, parts(body), body_bytes=len(body))[0] == 200
    (tmp_path / "other").mkdir()
    assert answer_to(tmp_path / "other", parts(body), body_bytes=len(body) - 1)[0] == 413


def test_a_body_that_does_not_come_in_time_is_given_up(tmp_path):
    status, headers, problem, _ = answer_to(tmp_path, parts(b'{"text":', b"")[:1], body_seconds=0.05)
    assert (status, headers[b"connection"]) == (408, b"close")
    assert "0.05 seconds" in problem["detail"]


def test_half_a_body_is_no_request(tmp_path):
    """A list that is cut off where a whole one could end must not be taken for a whole one."""
    body = json.dumps({"questions": [{"id": "a", "text": "a"}]}).encode()
    assert answer_to(tmp_path, [*parts(body, b"")[:1], {"type": "http.disconnect"}]) is None


def test_more_requests_at_once_than_allowed_are_refused_and_health_is_not(tmp_path):
    encoder = SlowEncoder()

    async def run():
        service = Service(make_index(tmp_path, encoder=encoder), Settings(requests=3))
        app = create_app(service)
        await service.start()
        encoder.hold()
        body = parts(json.dumps(ASK).encode())
        begun = [asyncio.create_task(call(app, body)) for _ in range(3)]
        await until(lambda: encoder.calls)
        status, headers, problem, _ = await call(app, body)
        assert (status, headers[b"retry-after"], problem["title"]) == (429, b"1", "Too Many Requests")
        status, headers, _, left = await call(app, body, headers=[(b"content-length", b"9")])
        assert (status, headers[b"connection"], left) == (429, b"close", body)
        assert (await call(app, parts(b""), method="GET", path="/readyz"))[0] == 200
        encoder.may_go_on.set()
        assert [(await one)[0] for one in begun] == [200] * 3
        assert (await call(app, body))[0] == 200
        await service.stop()
        status, headers, *_ = await call(app, body)
        assert (status, headers[b"retry-after"]) == (503, b"5")
        assert (await call(app, parts(b""), method="GET", path="/readyz"))[0] == 503
        assert (await call(app, parts(b""), method="GET", path="/healthz"))[0] == 200

    asyncio.run(run())


def test_strangers_who_hold_health_requests_open_keep_nobody_out(tmp_path):
    """They need no key: neither their number is counted, nor is a body waited for, or an answer to be taken."""

    async def run():
        service = Service(make_index(tmp_path), Settings(requests=3, api_key=KEY))
        app = create_app(service)
        await service.start()
        may_go_on, slow = asyncio.Event(), parts(b"x", b"")[:1]
        begun = [
            asyncio.create_task(call(app, slow, method="GET", path=path, headers=headers, taken=may_go_on.wait))
            for path in ("/healthz", "/readyz")
            for headers in ([], [(b"content-length", b"4000000")], [(b"transfer-encoding", b"chunked")])
        ]
        await asyncio.sleep(0.02)
        body = parts(json.dumps(ASK).encode())
        assert (await call(app, body, headers=[(b"x-api-key", KEY.encode())]))[0] == 200
        assert not any(one.done() for one in begun)
        may_go_on.set()
        answers = [await one for one in begun]
        assert [answer[0] for answer in answers] == [200, 413, 413] * 2
        assert [answer[1].get(b"connection") for answer in answers] == [None, b"close", b"close"] * 2
        assert all(answer[3] == slow for answer in answers), "nothing of a body was read"
        nothing = [(b"content-length", b"0")]
        assert (await call(app, parts(b""), method="GET", path="/healthz", headers=nothing))[0] == 200
        await service.stop()

    asyncio.run(run())


def test_while_answers_are_not_taken_no_more_are_made_and_health_is_answered(tmp_path):
    async def run():
        service = Service(make_index(tmp_path), Settings(answer_bytes=100))
        app = create_app(service)
        await service.start()
        body = parts(json.dumps({"text": "how do i open my account", "k": 5}).encode())
        waiting, may_go_on = asyncio.Event(), asyncio.Event()

        async def taken():
            waiting.set()
            await may_go_on.wait()

        one = asyncio.create_task(call(app, body, path="/v1/similar", taken=taken))
        await until(waiting.is_set)
        status, headers, problem, _ = await call(app, body, path="/v1/similar")
        assert (status, headers[b"retry-after"]) == (429, b"5")
        assert "not been taken" in problem["detail"]
        assert (await call(app, parts(b""), method="GET", path="/readyz"))[0] == 200
        may_go_on.set()
        assert len((await one)[2]["hits"]) == 5
        assert (await call(app, body, path="/v1/similar"))[0] == 200
        await service.stop()

    asyncio.run(run())


def test_more_searches_waiting_than_allowed_are_refused(tmp_path):
    encoder = SlowEncoder()

    async def run():
        service = Service(make_index(tmp_path, encoder=encoder), Settings(waiting=2))
        app = create_app(service)
        await service.start()
        encoder.hold()
        body = parts(json.dumps(ASK).encode())
        begun = [asyncio.create_task(call(app, body))]
        await until(lambda: encoder.calls)
        begun += [asyncio.create_task(call(app, body)) for _ in range(4)]
        await until(lambda: sum(one.done() for one in begun) == 2)
        encoder.may_go_on.set()
        answers = [await one for one in begun]
        assert sorted(answer[0] for answer in answers) == [200, 200, 200, 429, 429]
        assert {answer[1].get(b"retry-after") for answer in answers if answer[0] == 429} == {b"1"}
        await service.stop()

    asyncio.run(run())
