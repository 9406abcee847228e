"""The pages without a browser: what they say, what they keep, and what they refuse."""

import json
import re
import shlex
import shutil
import sqlite3
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import HashingEncoder
from fastapi.testclient import TestClient

from dupdetect import Detector, QuestionIndex
from dupdetect.cli import cli
from dupdetect.errors import ArtifactError
from dupdetect.review import ReviewStore
from dupdetect.review.candidates import Candidates, pair_key
from dupdetect.review.store import labels_beside
from dupdetect.service import Service, Settings, create_app
from dupdetect.service.pages.alone import review_app
from dupdetect.service.pages.answers import AnswerStore, Counts, answers_beside
from dupdetect.service.pages.html import likelihood, title
from dupdetect.text import canonical

LOCAL = "http://127.0.0.1:8080"
SHARED = "how do i get the money for my parcel back from"
QUESTIONS = {
    "a": f"{SHARED} you",
    "b": f"{SHARED} them",
    "c": f"{SHARED} them please",
    "d": "error 403 on the login page today",
    "e": "<script>alert(1)</script> \"quoted' & <b>bold</b> {{ 7 * 7 }}",
    "odd <id>&?/": "where is the invoice of last month",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory, calibration):
    """An index, and what `dedupe` writes of twelve texts that differ in a word."""
    place, detector = tmp_path_factory.mktemp("made"), make_detector(calibration)
    with QuestionIndex.create(place / "known", detector) as index:
        index.add(list(QUESTIONS.values()), ids=list(QUESTIONS))
    words = [f"w{n}" for n in range(12)]
    detector.deduplicate([" ".join(words[:n] + words[n + 1 :]) for n in range(12)]).write(place / "export.dupdetect")
    return place


def make_detector(calibration):
    return Detector(HashingEncoder(), calibration, "hashing").at(threshold=0.7)


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made / "known", tmp_path / "known")


@pytest.fixture
def export(made, tmp_path):
    return shutil.copytree(made / "export.dupdetect", tmp_path / "export.dupdetect")


@pytest.fixture
def client(folder, detector, export):
    index = QuestionIndex.open(folder, detector)
    with TestClient(create_app(Service(index, Settings(text_length=500), reviews=export)), base_url=LOCAL) as found:
        yield found


def text_of(response):
    """What a reader sees, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.text)).split())


def fields(response, action):
    """The fields of each form on a page with this action."""
    forms = re.findall(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', response.text, re.DOTALL)
    return [
        [(unescape(name), unescape(value)) for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', form)]
        for form in forms
    ]


def send(client, action, *given, **named):
    data = {}
    for name, value in (*given, *named.items()):
        data.setdefault(name, []).append(value)
    return client.post(action, data=data)


# Ask


def test_the_ask_page_finds_and_says_why(client):
    page = client.get("/")
    assert "The nearest of 6 known questions appear below." in text_of(page)
    found = send(client, "/", text=f"{SHARED} you")
    said = text_of(found)
    assert "3 known questions seem to ask the same" in said
    assert re.search(r"The same text a ", said)
    assert re.search(r"Very likely the same question , \d+ % Similarity 0\.\d\d\. Only in yours: you\. b ", said)
    assert found.text.index(">b<") < found.text.index(">c<"), "best first"
    assert "<mark>them please</mark>" in found.text


def test_what_is_found_is_what_the_index_finds(client, folder, detector):
    found = send(client, "/", text="the money for my parcel")
    with QuestionIndex.open(folder, detector) as index:
        hits = index.search("the money for my parcel", 5)
    assert [dict(form)["id"] for form in fields(found, "/answers")] == [*(hit.id for hit in hits), ""]
    for hit in hits:
        assert f"{likelihood(hit.probability)} , {100 * hit.probability:.0f} %" in text_of(found)


def test_a_script_gets_the_matches_alone(client):
    found = client.post("/", data={"text": "parcel"}, headers={"X-Fragment": "matches"})
    assert "<html" not in found.text
    assert 'class="status"' in found.text
    assert client.post("/", data={"text": "  "}, headers={"X-Fragment": "matches"}).text.strip() == ""
    long = client.post("/", data={"text": "x" * 501}, headers={"X-Fragment": "matches"})
    assert (long.status_code, "<html" in long.text) == (422, False)
    assert "The question has 501 characters, and at most 500 are compared. Shorten it." in long.text


def test_texts_of_users_are_escaped_everywhere(client):
    hostile = QUESTIONS["e"]
    found = send(client, "/", text=hostile)
    assert "<script>alert" not in found.text
    assert "<b>bold" not in found.text
    assert "{{ 7 * 7 }}" in unescape(found.text)
    assert f'<textarea id="text" name="text" rows="2" autocomplete="off" required>\n{hostile}</textarea>' in (
        unescape(found.text)
    )
    (answered,) = [form for form in fields(found, "/answers") if dict(form)["id"] == "e"]
    assert dict(answered)["text"] == hostile
    recorded = send(client, "/answers", *answered)
    assert "<script>alert" not in recorded.text
    odd = send(client, "/clusters/split", cluster="", first="<i>x", second="y")
    assert (odd.status_code, "<i>x" in odd.text, "<i>x" in text_of(odd)) == (409, False, True)
    name = client.get("/review", params={"reviewer": "<i>ana"})
    assert ("<i>ana" in name.text, "by <bdi>&lt;i&gt;ana</bdi>" in name.text) == (False, True)


def test_answers_are_recorded_counted_and_taken_back(client, folder):
    store = AnswerStore(answers_beside(folder))
    assert "Nobody has answered yet." in text_of(client.get("/"))
    assert not store.path.exists(), "looking makes no file"
    found = send(client, "/", text="where is the invoice")
    odd = "odd <id>&?/"
    (yes,) = [form for form in fields(found, "/answers") if dict(form)["id"] == odd]
    page = send(client, "/answers", *yes)
    assert f"Your question is the known question {odd} : {QUESTIONS[odd]}" in text_of(page)
    assert "Visitors have answered 1 time: 1 found their question, 0 found none." in text_of(page)
    send(client, "/answers", *fields(found, "/answers")[-1])
    assert store.counts() == Counts(found=1, none=1)

    (token,) = parse_qs(urlsplit(str(page.url)).query)["answer"]
    assert "Taken back" in text_of(send(client, "/answers/back", token=token))
    assert "Taken back" in text_of(send(client, "/answers/back", token=token))
    assert store.counts() == Counts(found=0, none=1)
    with sqlite3.connect(store.path) as file:
        rows = file.execute("SELECT asked, id, text, shown, taken_back IS NULL FROM answers ORDER BY time").fetchall()
    file.close()
    shown = [value for name, value in yes if name == "shown"]
    assert [row[:3] for row in rows] == [("where is the invoice", odd, QUESTIONS[odd]), (rows[0][0], None, None)]
    assert [row[4] for row in rows] == [0, 1]
    assert all(name in rows[0][3] for name in shown)


def test_an_answer_must_name_a_question_that_is_there(client, folder):
    assert send(client, "/answers", text="x", id="gone").status_code == 409
    assert send(client, "/answers", text=" ", id="a").status_code == 422
    assert send(client, "/answers", text="x").status_code == 400
    assert not answers_beside(folder).exists()
    assert "There is no such answer." in text_of(client.get("/?answer=nothing"))
    assert "There is no such answer." in text_of(send(client, "/answers/back", ("token", "&x=1")))


def test_a_file_that_is_no_store_of_answers_is_left_alone(client, folder):
    path = answers_beside(folder)
    path.write_text("what is this")
    page = send(client, "/", text="where is the invoice")
    assert "Answers cannot be counted at present" in text_of(page)
    assert "1 known question seems to ask the same" in text_of(page), "nothing that is found depends on it"
    assert send(client, "/answers", text="x", id="a").status_code == 500
    assert path.read_text() == "what is this"


# Clusters


def test_clusters_are_those_of_the_index(client, folder, detector):
    page = client.get("/clusters")
    assert "1 cluster 3 of 6 questions are in a cluster" in text_of(page)
    with QuestionIndex.open(folder, detector) as index:
        (cluster,) = index.clusters()
    (key,) = re.findall(r'href="/clusters/([0-9a-f]{32})"', page.text)
    assert key == cluster.key
    one = client.get(f"/clusters/{key}")
    assert "3 questions, 1 stays, the least sure at" in text_of(one)
    for member in cluster.members:
        if member.duplicate_of is not None:
            assert f"{100 * member.probability:.0f} %, similarity {member.similarity:.2f}) as" in text_of(one)


def test_a_split_holds_and_can_be_undone(client, folder, detector):
    def clusters():
        with QuestionIndex.open(folder, detector) as index:
            return [[(one.id, one.duplicate_of) for one in cluster.members] for cluster in index.clusters()]

    before = clusters()
    key = re.search(r"/clusters/([0-9a-f]{32})", client.get("/clusters").text)[1]
    forms = fields(client.get(f"/clusters/{key}"), "/clusters/split")
    assert {(dict(form)["first"], dict(form)["second"]) for form in forms if "first" in dict(form)} == {
        ("a", "b"),
        ("a", "c"),
    }
    page = send(client, "/clusters/split", *forms[0])
    assert "Told apart These two will never again count as duplicates of each other: a" in text_of(page)
    assert str(page.url) == f"{LOCAL}/clusters/{key}?apart=a&apart=b"
    after = clusters()
    assert after != before
    assert ("b", "a") not in after[0]
    for first, second in (("a", "c"), ("b", "c")):
        page = send(client, "/clusters/split", cluster=key, first=first, second=second)
    assert str(page.url) == f"{LOCAL}/clusters?apart=b&apart=c", "the cluster is no more"
    assert clusters() == []
    assert "No clusters No two of 6 questions seem to ask the same." in text_of(page)
    assert client.get(f"/clusters/{key}").status_code == 404
    for first, second in (("b", "c"), ("a", "c"), ("b", "a")):
        page = send(client, "/clusters/undo", cluster=key, first=first, second=second)
        assert page.status_code == 200
    assert clusters() == before
    assert send(client, "/clusters/undo", cluster="", first="a", second="b").status_code == 409


def test_a_merge_holds_is_told_as_such_and_can_be_undone(client, folder, detector):
    def members():
        with QuestionIndex.open(folder, detector) as index:
            return [(one.id, one.duplicate_of, one.merged) for cluster in index.clusters() for one in cluster.members]

    before = members()
    key = re.search(r"/clusters/([0-9a-f]{32})", client.get("/clusters").text)[1]
    page = send(client, "/clusters/merge", cluster="", first="d", second="a")
    assert str(page.url) == f"{LOCAL}/clusters/{key}?merged=d&merged=a", "the cluster that they are in now"
    said = text_of(page)
    assert "Merged These two count as the same question from now on, whatever their similarity: d" in said
    measured = detector.decide([(QUESTIONS["a"], QUESTIONS["d"])]).similarity[0]
    assert measured < 0.7
    assert f"merged by a person (measured similarity {measured:.2f}) with a" in said
    assert f"a with d , whatever their similarity, which is {measured:.2f} Take the merge back" in said
    assert ", 1 pair merged by a person." in said
    assert ("d", "a", True) in members()
    assert "1 pair is merged" in text_of(client.get("/clusters"))
    refused = send(client, "/clusters/split", cluster=key, first="a", second="d")
    assert refused.status_code == 409
    assert "have been merged, and cannot be told apart too" in text_of(refused)
    assert "take that back first: Undo either." in text_of(refused)
    assert "forget_merge" not in text_of(refused)
    (form,) = [form for form in fields(page, "/clusters/undo") if ("second", "d") in form]
    assert send(client, "/clusters/undo", *form).status_code == 200
    assert members() == before
    assert send(client, "/clusters/merge", cluster="", first="a", second="nothing").status_code == 409


def test_the_survivor_can_be_chosen(client, folder, detector):
    def kept():
        with QuestionIndex.open(folder, detector) as index:
            return index.clusters()[0].kept

    key = re.search(r"/clusters/([0-9a-f]{32})", client.get("/clusters").text)[1]
    page = client.get(f"/clusters/{key}")
    assert kept() == ("a",)
    (form,) = [form for form in fields(page, "/clusters/survivor") if ("id", "b") in form]
    page = send(client, "/clusters/survivor", *form)
    assert str(page.url) == f"{LOCAL}/clusters/{key}?chosen=b"
    assert "Chosen to stay This one stays wherever it is a duplicate, and those that are a pair with it go: b" in text_of(page)  # fmt: skip  # noqa: E501
    assert "stays, as chosen b" in text_of(page)
    assert kept() == ("b",)
    assert send(client, "/clusters/survivor/undo", cluster=key, id="b").status_code == 200
    assert kept() == ("a",)
    assert send(client, "/clusters/survivor/undo", cluster=key, id="b").status_code == 409
    assert send(client, "/clusters/survivor", cluster=key, id="nothing").status_code == 409


def test_an_id_with_white_space_is_no_other(client, folder, detector):
    """The page sends ids as they are; what is typed is looked for without white space too."""
    with QuestionIndex.open(folder, detector) as index:
        index.add([f"{SHARED} her"], ids=["d "])
    send(client, "/clusters/split", cluster="", first="d ", second=" a ")
    with QuestionIndex.open(folder, detector) as index:
        assert index.forget("d ", "a")
        assert not index.forget("d", "a")


def test_what_cannot_be_told_apart_is_refused_in_words(client):
    said = text_of(send(client, "/clusters/split", cluster="", first="a", second="nothing"))
    assert "has no question with the id 'nothing'" in said
    assert "Two questions are needed" in text_of(send(client, "/clusters/split", cluster="", first="a", second=" "))
    assert send(client, "/clusters/split", cluster="", first="a", second="a").status_code == 409
    for asked in ("0", "2", "-1", "x", "²", "9" * 30, ""):
        assert client.get("/clusters", params={"page": asked}).status_code == 404


def test_what_was_decided_is_kept_and_told_where_the_clusters_cannot_be_worked_out(
    client, folder, detector, monkeypatch
):
    def fail(index):
        raise ArtifactError("The index is damaged. Copy it again.")

    monkeypatch.setattr(QuestionIndex, "clusters", fail)
    for decision, data, place in (
        ("split", {"first": "a", "second": "b"}, "?apart=a&apart=b"),
        ("undo", {"first": "a", "second": "b"}, ""),
        ("merge", {"first": "d", "second": "a"}, "?merged=d&merged=a"),
        ("survivor", {"id": "b"}, "?chosen=b"),
        ("survivor/undo", {"id": "b"}, ""),
        ("split", {"first": "a", "second": "c"}, "?apart=a&apart=c"),
    ):
        answer = client.post(f"/clusters/{decision}", data={"cluster": "0" * 32, **data}, follow_redirects=False)
        assert (answer.status_code, answer.headers.get("location")) == (303, f"/clusters{place}")
    page = client.get(answer.headers["location"])
    assert (page.status_code, "Nothing was changed" in text_of(page)) == (500, False)
    with QuestionIndex.open(folder, detector) as index:
        assert [index.counts[name] for name in ("told_apart", "merged", "survivors")] == [1, 1, 0]


@pytest.mark.parametrize("decision", ["split", "merge", "undo", "survivor", "survivor/undo"])
def test_a_form_that_lacks_a_field_changes_nothing_and_is_told_so(client, folder, detector, decision):
    page = send(client, f"/clusters/{decision}", first="a", second="d", id="b")
    assert page.status_code == 400
    assert "The form must have one field 'cluster'. Load its page again. Nothing was changed. Go back" in text_of(page)
    with QuestionIndex.open(folder, detector) as index:
        assert [index.counts[name] for name in ("told_apart", "merged", "survivors")] == [0, 0, 0]


def test_long_lists_are_paged_and_each_member_is_there_once(tmp_path, detector):
    texts = {f"q{n}-{k}": f"{' '.join(f'w{n}x{word}' for word in range(9))} end{k}" for n in range(60) for k in (0, 1)}
    texts |= {f"long{n}": f"{' '.join(f'l{word}' for word in range(12))} o{n}" for n in range(110)}
    index = QuestionIndex.create(tmp_path / "many", detector)
    index.add(list(texts.values()), ids=list(texts))
    sizes = [len(cluster.members) for cluster in index.clusters()]
    assert sizes == [110] + [2] * 60
    with TestClient(create_app(Service(index)), base_url=LOCAL) as client:
        pages = [client.get("/clusters", params={"page": number}) for number in (1, 2, 3)]
        keys = [key for page in pages for key in re.findall(r'href="/clusters/([0-9a-f]{32})"', page.text)]
        assert len(keys) == len(set(keys)) == 61
        assert "Page 2 of 3" in text_of(pages[1])
        shown = [client.get(f"/clusters/{keys[0]}", params={"page": number}).text for number in (1, 2, 3)]
        members = re.findall(
            r"<p class=\"tag\">(?:<span class=\"keep\">stays</span> )?<bdi>(long\d+)</bdi>", "".join(shown)
        )
        assert sorted(members) == sorted(name for name in texts if name.startswith("long"))


# Review


def labels(export, reviewer=""):
    with ReviewStore(labels_beside(export)) as store:
        return store.labels_by(reviewer)


def label_next(client, label, **reviewer):
    page = client.get("/review", params=reviewer)
    (form,) = fields(page, "/review/label")
    given = {name: value for name, value in form if name != "label"}
    return send(client, "/review/label", *given.items(), label=label)


def test_labels_go_to_the_store_of_the_terminal_in_its_order(client, export):
    drawn = Candidates.read(export / "candidates.csv")
    for label in ("duplicate", "different", "unsure"):
        page = label_next(client, label)
    assert list(labels(export).items()) == sorted(zip(drawn.key, ("duplicate", "different", "unsure"), strict=False))
    assert f"3 of {len(drawn)} pairs labelled" in text_of(page)
    assert dict(fields(page, "/review/label")[0])["key"] == drawn.key[3]


def test_only_possible_pairs(client, export):
    path = export / "candidates.csv"
    path.write_text(path.read_text("utf-8").replace(",above,0,", ",possible,0,"), "utf-8")
    drawn = Candidates.read(export / "candidates.csv")
    possible = [key for key, kind in zip(drawn.key, drawn.kind, strict=True) if kind == "possible"]
    assert 1 < len(possible) < len(drawn)
    for label in ("duplicate", "different"):
        page = label_next(client, label, only="possible")
    assert list(labels(export)) == sorted(possible[:2])
    assert f"2 of {len(possible)} possible pairs labelled" in text_of(page)
    assert dict(fields(page, "/review/label")[0])["only"] == "possible"
    undone = send(client, "/review/undo", reviewer="", only="possible")
    assert dict(fields(undone, "/review/label")[0])["key"] == possible[1]
    assert f"1 of {len(possible)} possible pairs" in text_of(undone)
    calibrated = send(client, "/review/calibrate", reviewer="", only="possible", precision="0.9")
    assert f"1 of {len(possible)} possible pairs" in text_of(calibrated)
    assert client.get("/review", params={"only": "sure"}).status_code == 422
    assert send(client, "/review/undo", ("only", ""), ("only", "possible"), reviewer="").status_code == 422


def test_undo_goes_back_one_by_one_and_asks_again(client, export):
    drawn = Candidates.read(export / "candidates.csv")
    nothing = send(client, "/review/undo", reviewer="")
    assert "There is no label to take back." in text_of(nothing)
    label_next(client, "duplicate")
    label_next(client, "different")
    for place in (1, 0):
        page = send(client, "/review/undo", reviewer="")
        assert dict(fields(page, "/review/label")[0])["key"] == drawn.key[place]
    assert labels(export) == {}
    with ReviewStore(labels_beside(export)) as store:
        store.record("f" * 32, "unsure")
    assert "no longer among those to review" in text_of(send(client, "/review/undo", reviewer=""))


def test_each_reviewer_has_labels_of_their_own(client, export):
    label_next(client, "duplicate", reviewer="ana")
    page = label_next(client, "different", reviewer=" bo ")
    assert f"1 of {len(Candidates.read(export / 'candidates.csv'))} pairs labelled by bo" in text_of(page)
    assert "1 pair of them is labelled differently by another reviewer" in text_of(page)
    assert list(labels(export, "ana").values()) == ["duplicate"]
    assert list(labels(export, "bo").values()) == ["different"]
    assert labels(export) == {}
    assert client.get("/review", params={"reviewer": "x" * 81}).status_code == 422


def test_nothing_that_the_detector_makes_of_a_pair_is_shown(client, export):
    drawn = Candidates.read(export / "candidates.csv")
    for place in range(20):
        page = label_next(client, "unsure") if place else client.get("/review")
        pair = page.text[page.text.index('id="pair"') : page.text.index('id="worth"')]
        forms = [dict(form).keys() for form in fields(page, "/review/label")]
        assert forms in ([{"key", "reviewer", "only", "label"}], [])
        for column in (
            "score",
            "band",
            "similar",
            "probab",
            str(drawn.score[place])[:6],
            f"{drawn.band_pairs[place]:g}.",
        ):
            assert column not in pair


def test_a_text_is_shown_in_full(client, export):
    long = " ".join(f"word{n}" for n in range(2000))
    drawn = Candidates.read(export / "candidates.csv")
    path = export / "candidates.csv"
    content = (
        path.read_text("utf-8")
        .replace(drawn.left_text[0], long)
        .replace(drawn.key[0], pair_key(*map(canonical, (long, drawn.right_text[0]))))
    )
    path.write_text(
        content.splitlines()[0] + "\n" + next(line for line in content.splitlines() if long in line), "utf-8"
    )
    assert long in text_of(client.get("/review")), "and a file that was written anew is read anew"


def test_a_pair_that_is_not_there_and_a_label_that_is_none_are_refused(client, export):
    key = Candidates.read(export / "candidates.csv").key[0]
    assert send(client, "/review/label", key="0" * 32, label="duplicate", reviewer="").status_code == 409
    assert send(client, "/review/label", key=key, label="maybe", reviewer="").status_code == 409
    assert send(client, "/review/label", key=key, label="duplicate").status_code == 400
    assert labels(export) == {}


def test_what_is_refused_has_changed_no_label(client, export):
    label_next(client, "duplicate")
    before = labels(export)
    key = Candidates.read(export / "candidates.csv").key[1]
    page = send(client, "/review/label", key=key, label="different", reviewer="", only="sure")
    assert (page.status_code, "Nothing was changed." in text_of(page)) == (422, True)
    (export / "candidates.csv").write_text("nothing\n")
    assert send(client, "/review/undo", reviewer="").status_code == 409
    assert labels(export) == before
    assert "Nothing was changed" not in text_of(client.get("/review"))


def command_in(page, verb):
    """Return the words of a command on a page, which the command line understands."""
    words = shlex.split(unescape(re.search(rf"<code[^>]*>dupdetect ({verb} [^<]*)</code>", page.text)[1]))
    cli.commands[verb].make_context(verb, words[1:])
    return words


@pytest.mark.parametrize(("member", "value"), [("model", "another"), ("guards", {"cap": 0.25})])
def test_the_result_of_another_detector_is_said_to_need_it(client, export, member, value):
    label_next(client, "duplicate")
    record = json.loads((export / "run.json").read_text("utf-8"))
    (export / "run.json").write_text(json.dumps({**record, member: value}), "utf-8")
    page = send(client, "/review/calibrate", reviewer="", precision="0.9")
    said = text_of(page)
    assert f"was made by the detector '{value if member == 'model' else 'hashing'}'" in said
    assert "Stop this service, and start the page with" in said
    assert command_in(page, "review") == ["review", str(export), "--web", "--model", "FOLDER"]
    assert said.count("--model") == 1


@pytest.mark.parametrize(
    ("counted", "why"),
    [
        ("yes", r"Cannot reach precision of at least 0\.9 with .*, or for a recall"),
        ("no", r"No labelled pair reaches the threshold .* and review that, or ask for a recall"),
    ],
)
def test_a_certificate_that_is_refused_says_what_can_be_done_here_or_by_a_command(client, export, counted, why):
    path = export / "candidates.csv"
    path.write_text(path.read_text("utf-8").replace(",yes,", f",{counted},"), "utf-8")
    with ReviewStore(labels_beside(export)) as store:
        for place, key in enumerate(Candidates.read(path).key):
            store.record(key, ("duplicate", "different")[place % 2])
    page = send(client, "/review/calibrate", reviewer="", precision="0.9")
    said = text_of(page)
    assert re.search(rf"Nothing was certified {why} on the command line \(", said)
    assert ("sk for less precision, or for" in said) == (counted == "yes")
    assert "min_" not in said
    words = [
        "calibrate",
        "--from-reviews",
        str(export),
        "--model",
        "THAT_MADE_IT",
        "--min-recall",
        "0.9",
        "-o",
        "FOLDER",
    ]
    assert command_in(page, "calibrate") == words


def test_a_damaged_export_is_told_in_words(client, export):
    (export / "candidates.csv").write_text("nothing\n")
    page = client.get("/review")
    assert (page.status_code, "Run `dupdetect dedupe` again." in text_of(page)) == (409, True)
    (export / "candidates.csv").unlink()
    assert "candidates.csv is not there. Run `dupdetect dedupe` (again)" in text_of(client.get("/review"))


def test_without_an_export_the_page_says_how_to_have_one(folder, detector):
    with TestClient(create_app(Service(QuestionIndex.open(folder, detector))), base_url=LOCAL) as client:
        assert "dupdetect serve INDEX --reviews export.dupdetect" in text_of(client.get("/review"))
        assert send(client, "/review/undo", reviewer="").status_code in (404, 405)


@pytest.mark.parametrize("precision", ["", "x", "0", "1.5", "nan", "-1", "inf"])
def test_a_precision_that_is_none_is_refused_in_words(client, precision):
    page = send(client, "/review/calibrate", reviewer="", precision=precision)
    assert page.status_code == 200
    assert "Nothing was certified The precision must be a number between 0 and 1, 0.95 say, not" in text_of(page)


# Who may


FORMS = [
    ("/", {"text": "x"}),
    ("/answers", {"text": "x", "id": "a"}),
    ("/clusters/split", {"cluster": "", "first": "a", "second": "b"}),
    ("/clusters/undo", {"cluster": "", "first": "a", "second": "b"}),
    ("/clusters/merge", {"cluster": "", "first": "a", "second": "d"}),
    ("/clusters/survivor", {"cluster": "", "id": "b"}),
    ("/clusters/survivor/undo", {"cluster": "", "id": "b"}),
    ("/review/label", {"key": "0", "label": "unsure", "reviewer": ""}),
    ("/review/undo", {"reviewer": ""}),
    ("/review/calibrate", {"reviewer": "", "precision": "0.9"}),
]


@pytest.mark.parametrize(("path", "data"), FORMS)
def test_pages_of_other_sites_cannot_send_a_form(client, folder, detector, path, data):
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(path, data=data, headers=headers).status_code == 403
    assert client.post(path, data=data, headers={"Host": "evil.example"}).status_code == 421
    if path != "/":
        assert client.get(path, params=data).status_code in (404, 405), "nothing is changed by a link"
    with QuestionIndex.open(folder, detector) as index:
        assert index.counts["told_apart"] == 0
    assert not answers_beside(folder).exists()


@pytest.mark.parametrize("path", ["/", "/clusters", "/review", "/clusters/nothing"])
def test_pages_load_and_send_nothing_from_or_to_elsewhere(client, path):
    page = client.get(path)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "same-origin", "or forms would come from nowhere"
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?://", page.text)
    for asset in re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text):
        found = client.get(asset)
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]
    assert client.get("/assets/../html.py").status_code == 404
    assert client.get("/assets/html.py").status_code == 404


def test_other_bodies_are_refused(client):
    assert client.post("/", json={"text": "x"}).status_code == 415
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/", content=b"text=\xff", headers=kind).status_code == 400
    assert client.post("/", content="&".join(f"a{n}=1" for n in range(2000)), headers=kind).status_code == 400
    assert client.post("/", content="text=a&text=b", headers=kind).status_code == 400
    assert client.post("/", content="text=%ff%00%ed%a0%80", headers=kind).status_code == 200


def test_the_review_page_alone_answers_to_this_machine_only(export):
    with TestClient(review_app(export), base_url="http://127.0.0.1:9") as client:
        assert str(client.get("/").url) == "http://127.0.0.1:9/review"
        assert "Would one answer do for both?" in text_of(label_next(client, "unsure"))
        assert "Clusters" not in client.get("/review").text
        assert client.get("/clusters").status_code == 404
        assert client.get("/review", headers={"Host": "evil.example"}).status_code == 421
        data = {"reviewer": ""}
        assert client.post("/review/undo", data=data, headers={"Origin": "https://evil.example"}).status_code == 403
    assert list(labels(export).values()) == ["unsure"]


# Words


def test_probabilities_in_words_and_titles():
    assert likelihood(1.0, same_text=True) == "The same text"
    words = [likelihood(value / 100) for value in range(101)]
    assert list(dict.fromkeys(words)) == [
        "Probably another question",
        "Perhaps the same question",
        "Probably the same question",
        "Very likely the same question",
    ]
    assert title("<p>a\n b</p>") == "a b"
    assert title("w" * 91) == "w" * 89 + "…"
    assert title(" ") == "(no text)"
