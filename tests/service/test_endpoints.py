"""What is answered, and what is refused, by each endpoint."""

import argparse
import json
import logging
import re
import shlex
import sqlite3
from dataclasses import asdict
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from served import KEY, LOCAL, TEXTS, make_client, make_detector, make_index

from dupdetect import QuestionIndex
from dupdetect.errors import ArtifactError
from dupdetect.service import Service, create_app
from dupdetect.service.problems import MEDIA_TYPE

JSON = {"content-type": "application/json"}


@pytest.fixture
def client(tmp_path):
    with make_client(tmp_path, texts=20, text_length=200, most_hits=10) as client:
        yield client


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A client that changes nothing."""
    with make_client(tmp_path_factory.mktemp("asked"), texts=20, text_length=200, most_hits=10) as client:
        yield client


def index_of(client):
    return client.app.state.service.index


def as_json(value):
    return json.loads(json.dumps(value))


def problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    found = answer.json()
    assert found["type"] == "about:blank"
    assert found["status"] == status
    assert found["title"]
    assert found["detail"].endswith(".")
    assert "Traceback" not in answer.text
    return found


@pytest.mark.parametrize("text", [*TEXTS, "how do i open account", "🎉 <b>&amp;</b> \u0000", ""])
def test_similar_is_the_search_of_the_index(asked, text):
    for k in (1, 5, 10):
        answer = asked.post("/v1/similar", json={"text": text, "k": k})
        assert answer.status_code == 200
        assert answer.json() == {"hits": as_json([asdict(hit) for hit in index_of(asked).search(text, k)])}
    assert asked.post("/v1/similar", json={"text": text}).json() == asked.post(
        "/v1/similar", json={"text": text, "k": 5}
    ).json()  # fmt: skip


@pytest.mark.parametrize(
    "text", ["error 403 on login page", "error 405 on login page", "where is my parcel please", " "]
)
def test_check_says_of_what_and_why(asked, text):
    found = asked.post("/v1/check", json={"text": text}).json()
    alone = index_of(asked).check(text)
    assert found["duplicate"] == alone.duplicate
    assert found["best"] == (None if alone.best is None else as_json(asdict(alone.best)))
    assert found["explanation"] == (None if alone.best is None else as_json(asdict(alone.explanation)))


def test_check_names_the_guard_that_fired(asked):
    found = asked.post("/v1/check", json={"text": "error 405 on login page"}).json()
    assert (found["duplicate"], found["best"]["guards"], found["explanation"]["guards"]) == (
        False,
        ["numbers"],
        ["numbers"],
    )


def test_score_is_what_the_detector_decides(asked):
    pairs = [["a b c", "a b d"], ["error 403", "error 404"], ["", "a"], ["same text", "Same text?"]]
    found = asked.post("/v1/score", json={"pairs": pairs}).json()["scores"]
    alone = make_detector().decide([tuple(pair) for pair in pairs])
    assert [one["similarity"] for one in found] == alone.similarity.tolist()
    assert [one["probability"] for one in found] == alone.probability.tolist()
    assert [one["duplicate"] for one in found] == alone.duplicate.tolist()
    assert [tuple(one["guards"]) for one in found] == list(alone.guards)


def test_questions_are_added_found_and_removed(client):
    questions = [{"id": "new/1?#%", "text": "do you ship to oslo", "label": "ways"}, {"id": "new 2", "text": "zip"}]
    added = client.post("/v1/questions", json={"questions": questions}).json()
    assert (added["ids"], added["new_texts"], added["unchanged"]) == (["new/1?#%", "new 2"], 2, 0)
    (hit,) = client.post("/v1/similar", json={"text": "Do you ship to Oslo?", "k": 1}).json()["hits"]
    assert (hit["id"], hit["label"], hit["same_text"]) == ("new/1?#%", "ways", True)
    again = client.post("/v1/questions", json={"questions": questions}).json()
    assert (again["ids"], again["new_texts"], again["unchanged"]) == (added["ids"], 0, 2)
    assert client.delete("/v1/questions/new%2F1%3F%23%25").json() == {"questions": 1, "texts": 1}
    problem(client.delete("/v1/questions/new%2F1%3F%23%25"), 404)
    assert client.delete("/v1/questions/new%202").status_code == 200
    assert len(index_of(client)) == len(TEXTS)


@pytest.mark.parametrize("name", ["...", ".a", "a/../b", "/", "//a", "a b", "é\u00a0🎉", "?#[]@", "\\"])
def test_whatever_is_added_can_be_removed(client, name):
    added = client.post("/v1/questions", json={"questions": [{"id": name, "text": "a text of its own"}]})
    assert added.json()["ids"] == [name]
    assert client.delete(f"/v1/questions/{quote(name, safe='')}").json() == {"questions": 1, "texts": 1}
    assert name not in index_of(client)


def test_an_id_that_is_there_with_another_text_or_label_is_a_conflict_and_nothing_is_added(client, tmp_path):
    for other in ({"id": "q0", "text": "another text"}, {"id": "q0", "text": TEXTS[0], "label": "a class"}):
        new = {"id": "new", "text": "new"}
        found = problem(client.post("/v1/questions", json={"questions": [new, other]}), 409)
        assert "'q0'" in found["detail"]
        assert str(tmp_path) not in found["detail"]
    assert len(index_of(client)) == len(TEXTS)


@pytest.mark.parametrize(
    ("path", "body", "where", "what"),
    [
        ("similar", {}, "text", "required"),
        ("similar", {"text": 5}, "text", "string"),
        ("similar", {"text": None}, "text", "string"),
        ("similar", {"text": "a", "K": 3}, "K", "not permitted"),
        ("similar", {"text": "a", "k": 0}, "k", "greater than or equal to 1"),
        ("similar", {"text": "a", "k": True}, "k", "integer"),
        ("similar", {"text": "a", "k": 2.0}, "k", "integer"),
        ("similar", {"text": "a", "k": "2"}, "k", "integer"),
        ("similar", {"text": "a", "k": 10**30}, "k", ""),
        ("similar", {"text": "a", "k": 11}, "k", "at most 10 hits"),
        ("similar", {"text": "a" * 201}, "text", "201 characters, and 200 are allowed"),
        ("similar", {"text": "\ud83d half"}, "text", "surrogate"),
        ("check", {"text": "half \udc00"}, "text", "surrogate"),
        ("similar", [], "the body", "dictionary"),
        ("similar", "text", "the body", "dictionary"),
        ("score", {"pairs": []}, "pairs", "at least 1"),
        ("score", {"pairs": [["a"]]}, "pairs.0.1", "required"),
        ("score", {"pairs": [["a", "b", "c"]]}, "pairs.0", "at most 2"),
        ("score", {"pairs": [["a", "b"], ["a", "b" * 201]]}, "pairs.1.1", "201 characters"),
        ("score", {"pairs": [["a", "b"]] * 11}, "pairs", "11 pairs, and 10 are allowed"),
        ("questions", {"questions": []}, "questions", "at least 1"),
        ("questions", {"questions": [{"id": "a"}]}, "questions.0.text", "required"),
        ("questions", {"questions": [{"id": "", "text": "a"}]}, "questions.0.id", "match"),
        ("questions", {"questions": [{"id": " ", "text": "a"}]}, "questions.0.id", "match"),
        ("questions", {"questions": [{"id": ".", "text": "a"}]}, "questions.0.id", "something else in an address"),
        ("questions", {"questions": [{"id": "..", "text": "a"}]}, "questions.0.id", "something else in an address"),
        *(
            ("questions", {"questions": [{"id": f"a{sign}b", "text": "a"}]}, "questions.0.id", "control characters")
            for sign in "\n\r\x00\x7f\x85\u2028"
        ),
        ("questions", {"questions": [{"id": 1, "text": "a"}]}, "questions.0.id", "string"),
        ("questions", {"questions": [{"id": "a" * 201, "text": "a"}]}, "questions.0.id", "201 characters"),
        ("questions", {"questions": [{"id": "a", "text": "a", "label": "b" * 201}]}, "questions.0.label", "201"),
        ("questions", {"questions": [{"id": "a", "text": "a"}, {"id": "a", "text": "b"}]}, "questions.1.id", "another"),
        (
            "questions",
            {"questions": [{"id": f"n{n}", "text": "a"} for n in range(21)]},
            "questions",
            "21 questions, and 20",
        ),
    ],
)
def test_bodies_that_are_wrong_are_refused_and_say_where(asked, path, body, where, what):
    found = problem(asked.post(f"/v1/{path}", content=json.dumps(body), headers=JSON), 422)
    assert found["fault_count"] == len(found["faults"]) == 1
    assert found["faults"][0]["where"] == where
    assert what.lower() in found["faults"][0]["what"].lower()
    assert len(index_of(asked)) == len(TEXTS)


def test_as_many_texts_as_the_settings_allow_are_accepted(client):
    assert len(client.post("/v1/score", json={"pairs": [["a", "b"]] * 10}).json()["scores"]) == 10
    questions = [{"id": f"n{n}", "text": "a" * 200} for n in range(20)]
    assert client.post("/v1/questions", json={"questions": questions}).json()["repeats"] == 19
    assert len(client.post("/v1/similar", json={"text": "a", "k": 10}).json()["hits"]) == len(
        index_of(client).search("a", 10)
    )


def test_many_faults_are_counted_and_the_first_are_listed(asked):
    found = problem(asked.post("/v1/score", json={"pairs": [[1, 2]] * 500}), 422)
    assert found["fault_count"] == 1000
    assert len(found["faults"]) == 20
    assert "1,000 places" in found["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 422),
        (b'{"text": "a"} trailing', "application/json", 400),
        (b"\xff\xfe\x00", "application/json", 400),
        (b'{"text": "\xe9"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"text": ' + b'{"text": ' * 50_000, "application/json", 400),
        (b"[" * 900 + b"]" * 900, "application/json", 422),
        (b'{"text": NaN}', "application/json", 422),
        (b'{"text": "a", "k": NaN}', "application/json", 422),
        (b'{"text": "a", "k": Infinity}', "application/json", 422),
        (b'{"text": "a", "k": 1e400}', "application/json", 422),
        (b'{"text": "a", "k": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b'{"text": "a"}', "application/json; charset=utf-8", 200),
        (b'{"text": "a"}', "Application/JSON", 200),
        (b'{"text": "a"}', "text/plain", 415),
        (b'{"text": "a"}', "application/x-www-form-urlencoded", 415),
        (b"text=a", "multipart/form-data; boundary=x", 415),
        (b'{"text": "a"}', "", 415),
        (b"<text>a</text>", "application/xml", 415),
    ],
)
def test_bodies_that_are_no_json(asked, content, kind, status):
    answer = asked.post("/v1/similar", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    if status != 200:
        problem(answer, status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/v1/similar", 405),
        ("PUT", "/v1/check", 405),
        ("GET", "/v1/questions/q0", 405),
        ("DELETE", "/v1/questions", 405),
        ("DELETE", "/v1/questions/nothing", 404),
        ("DELETE", "/v1/questions/../../etc/passwd", 404),
        ("DELETE", "/v1/questions/%2e%2e%2fdetector", 404),
        ("DELETE", "/v1/questions/%00", 404),
        ("DELETE", "/v1/questions/%ff", 404),
        ("GET", "/docs.css/../../index.json", 404),
        ("GET", "/%2e%2e/index.json", 404),
        ("GET", "/redoc", 404),
        ("POST", "/healthz", 405),
        ("PROPFIND", "/v1/check", 405),
    ],
)
def test_paths_and_methods_that_there_are_not(asked, method, path, status):
    problem(asked.request(method, path), status)


def test_a_header_of_an_answer_cannot_be_written_by_a_caller(asked):
    answer = asked.post("/v1/check", json={"text": "a\r\nset-cookie: a=b"}, headers={"x-api-key": "a: b"})
    assert "set-cookie" not in answer.headers
    assert "set-cookie" not in asked.get("/nothing%0d%0aset-cookie:%20a=b").headers


# Trouble --------------------------------------------------------------------------------------------------------


def test_while_another_process_changes_the_index_changes_are_refused_and_searches_are_not(client):
    folder = index_of(client).folder
    index_of(client)._store._writer.execute("PRAGMA busy_timeout = 50")  # ms, instead of seconds
    with sqlite3.connect(folder / "questions.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = client.post("/v1/questions", json={"questions": [{"id": "new", "text": "new"}]})
        assert "Another process" in problem(answer, 503)["detail"]
        assert answer.headers["retry-after"] == "5"
        assert str(folder) not in answer.text
        assert problem(client.delete("/v1/questions/q0"), 503)
        assert client.post("/v1/check", json={"text": "where is my parcel"}).json()["duplicate"]
        other.execute("ROLLBACK")
    other.close()
    assert client.delete("/v1/questions/q0").status_code == 200


def test_what_another_process_adds_is_found(client):
    with QuestionIndex.open(index_of(client).folder, make_detector()) as other:
        other.add(["a very new question"], ids=["theirs"])
    assert client.post("/v1/check", json={"text": "a very new question?"}).json()["best"]["id"] == "theirs"
    assert "dupdetect_index_questions 10.0" in client.get("/metrics").text


@pytest.mark.parametrize("error", [RuntimeError("the secret text"), ValueError("the secret text"), RecursionError()])
def test_what_should_not_happen_is_logged_without_a_text_and_answered_without_a_traceback(client, caplog, error):
    def fail(texts, k):
        raise error

    client.app.state.service._searches._search = fail
    found = problem(client.post("/v1/similar", json={"text": "the secret text"}), 500)
    assert "secret" not in json.dumps(found)
    assert type(error).__name__ in caplog.text
    assert "test_endpoints.py" in caplog.text
    assert "secret" not in caplog.text


def test_a_damaged_index_is_told_to_the_operator_not_to_the_caller(client, caplog):
    def fail(texts, k):
        raise ArtifactError("/srv/index/vectors-1.f32 is damaged. Copy it again.")

    client.app.state.service._searches._search = fail
    assert "/srv" not in problem(client.post("/v1/similar", json={"text": "a"}), 500)["detail"]
    assert "/srv/index/vectors-1.f32 is damaged" in caplog.text


def test_no_text_is_in_the_log_in_the_metrics_or_in_a_problem(client, caplog):
    caplog.set_level(logging.DEBUG)
    text = "mysecret"
    bodies = [
        ("similar", {"text": text}),
        ("similar", {"text": text * 100}),
        ("similar", {"text": [text]}),
        ("similar", {"text": "a", "k": text}),
        ("check", {"text": text}),
        ("score", {"pairs": [[text, text, text]]}),
        ("questions", {"questions": [{"id": "a", "text": text, "label": [text]}]}),
        ("questions", {"questions": [{"id": 5, "text": text}]}),
    ]
    answers = [client.post(f"/v1/{path}", json=body) for path, body in bodies]
    answers.append(client.post("/v1/check", content=f'{{"text": "{text}', headers=JSON))
    answers.append(client.post(f"/v1/{text}?q={text}"))
    assert {answer.status_code for answer in answers} == {200, 400, 404, 422}
    assert not [answer.text for answer in answers if answer.status_code != 200 and text in answer.text]
    assert text not in client.get("/metrics").text
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [record for record in ours if text in record.getMessage()]


# Watching, and what is said of it all ----------------------------------------------------------------------------


def test_metrics_count_requests_by_path_and_status_and_texts_by_batch(client):
    for _ in range(3):
        client.post("/v1/similar", json={"text": "a"})
    client.post("/v1/similar", json={})
    client.delete("/v1/questions/q0")
    for place in range(5):
        client.get(f"/nothing/{place}")
    lines = client.get("/metrics").text.splitlines()
    assert 'dupdetect_requests_total{path="/v1/similar",status="200"} 3.0' in lines
    assert 'dupdetect_requests_total{path="/v1/similar",status="422"} 1.0' in lines
    assert 'dupdetect_requests_total{path="/v1/questions/{id:path}",status="200"} 1.0' in lines
    assert 'dupdetect_requests_total{path="other",status="404"} 5.0' in lines
    assert 'dupdetect_request_seconds_count{path="/v1/similar"} 4.0' in lines
    assert "dupdetect_batch_texts_sum 3.0" in lines
    assert f"dupdetect_index_questions {len(TEXTS) - 1}.0" in lines


def test_every_example_of_the_document_is_answered(client):
    document = client.get("/openapi.json").json()
    tried = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = None
            if "requestBody" in operation:
                name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                (body,) = document["components"]["schemas"][name]["examples"]
            answer = client.request(method, path.replace("{id}", "q0"), json=body)
            assert answer.status_code == 200, (method, path, answer.text)
            tried.append(path)
    assert {"/v1/score", "/v1/similar", "/v1/check", "/v1/questions", "/v1/questions/{id}", "/metrics"} <= set(tried)


def test_the_document_says_what_can_go_wrong(asked):
    document = asked.get("/openapi.json").json()
    for path in ("/v1/score", "/v1/similar", "/v1/check", "/v1/questions"):
        answers = document["paths"][path]["post"]["responses"]
        assert {"200", "413", "415", "422", "429", "503"} <= set(answers)
        assert all(set(answer["content"]) == {MEDIA_TYPE} for status, answer in answers.items() if status != "200")
    assert "securitySchemes" not in document["components"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_document_of_a_service_with_a_key_says_so(tmp_path):
    key = "0123456789abcdef"
    with make_client(tmp_path, api_key=key) as client:
        document = client.get("/openapi.json", headers={"x-api-key": key}).json()
        assert "API key" in client.get("/docs", headers={"x-api-key": key}).text
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    assert key not in json.dumps(document)


def test_the_page_of_the_document_loads_nothing_from_elsewhere(asked):
    links, tags = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            tags.append(tag)
            links.extend(value for name, value in attributes if name in ("href", "src"))

    answer = asked.get("/docs")
    Reader().feed(answer.text)
    assert answer.headers["content-type"].startswith("text/html")
    assert links == ["docs.css", "openapi.json"]
    assert not {"script", "style", "iframe"} & set(tags)
    assert asked.get("/docs.css").headers["content-type"].startswith("text/css")
    for path in asked.get("/openapi.json").json()["paths"]:
        assert path in answer.text


def commands(page):
    """The commands on the page of the document, each in the words that a shell makes of it."""
    found = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page.text, re.DOTALL)
    return [shlex.split(unescape(command)) for command in found]


@pytest.mark.parametrize("key", [None, KEY])
def test_the_commands_on_the_page_make_the_calls(tmp_path, key):
    curl = argparse.ArgumentParser("curl")
    curl.add_argument("url")
    curl.add_argument("-X", dest="method")
    curl.add_argument("-H", dest="headers", action="append", default=[])
    curl.add_argument("-d", dest="body")
    with make_client(tmp_path, base_url="http://localhost:9000", api_key=key) as client:
        found = commands(client.get("/docs", headers={"x-api-key": KEY}))
        for program, *words in found:
            call = curl.parse_args(words)
            assert (program, call.url.startswith("http://localhost:9000/")) == ("curl", True)
            headers = dict(header.replace("$KEY", KEY).split(": ") for header in call.headers)
            assert ("X-API-Key" in headers) == (key is not None and not call.url.endswith("z"))
            method = call.method or ("GET" if call.body is None else "POST")
            answer = client.request(method, call.url, headers=headers, content=call.body)
            assert answer.status_code == 200, words
    assert len(found) == 8


def test_whatever_host_a_request_names_is_part_of_an_address_only(tmp_path):
    host = "evil'; rm -rf ~ $(x) <script>"
    with make_client(tmp_path, api_key=KEY) as client:
        page = client.get("/docs", headers={"x-api-key": KEY, "host": host})
        assert "<script>" not in page.text
        assert all(any(word.startswith(f"http://{host}/") for word in words) for words in commands(page))
        given = {"x-api-key": KEY, "host": "ask.example", "x-forwarded-proto": "https"}
        found = commands(client.get("/docs", headers=given))
        assert all(any(word.startswith("https://ask.example/") for word in words) for words in found)


def test_before_it_has_started_a_service_is_alive_and_not_ready(tmp_path):
    index = make_index(tmp_path)
    client = TestClient(create_app(Service(index)), base_url=LOCAL)
    assert client.get("/healthz").status_code == 200
    problem(client.get("/readyz"), 503)
    problem(client.post("/v1/check", json={"text": "a"}), 503)
    index.close()
