"""Files as help desks and forums export them, small and made up, and the commands that work on them."""

import csv
import json
import re
import shlex

import pytest
from readme_page import README, blocks
from table_files import workbook

from dupdetect import Detector
from dupdetect.cli import main

ZENDESK = [  # the JSON export of an account, a ticket a line
    {
        "url": f"https://example.zendesk.com/api/v2/tickets/{number}.json",
        "id": number,
        "via": {"channel": "email", "source": {"from": {"address": "ann@example.com"}, "rel": None}},
        "created_at": f"2024-03-{day}T09:14:02Z",
        "type": None,
        "subject": subject,
        "raw_subject": subject,
        "description": description,
        "status": "closed",
        "tags": ["login"],
        "custom_fields": [{"id": 360001, "value": None}, {"id": 360002, "value": "b"}],
        "satisfaction_rating": {"score": "offered"},
    }
    for number, day, subject, description in (
        (35436, 18, "Password", "How do I reset my password?"),
        (35437, 19, "PASSWORD", "how do I reset my   password"),
        (35438, 20, "Where is my parcel?", "It was sent a week ago and has not arrived."),
    )
]
ZENDESK_VIEW = [  # the CSV export of a view
    ["Id", "Subject", "Requester", "Requested", "Type", "Priority", "Status", "Group"],
    ["35436", "How do I reset my password?", "Ann", "2024-03-18 09:14", "Question", "Normal", "Closed", "Support"],
    ["35437", "how do I reset my password", "Bo", "2024-03-19 09:14", "", "", "Open", "Support"],
    ["35438", "Where is my parcel?", "Ann", "2024-03-20 09:14", "Incident", "High", "New", "Support"],
]
ZENDESK_CSV = [  # the CSV export of an account: no text but the subject, and ids of people beside that of the ticket
    ["Summation column", "Id", "Requester", "Requester id", "Requester external id", "Requester email", "Subject",
     "Tags", "Status", "Priority", "Via", "Ticket type", "Created at", "Replies", "First reply time in minutes"],
    ["1", "35436", "Ann", "901", "", "ann@example.com", "How do I reset my password?", "login", "Closed", "Normal",
     "Mail", "Question", "2024-03-18 09:14", "2", "12"],
    ["1", "35437", "Ann", "901", "", "ann@example.com", "how do I reset my password", "login web", "Open", "",
     "Web form", "", "2024-03-19 09:14", "0", ""],
    ["1", "35438", "Bo", "902", "", "bo@example.com", "Where is my parcel?", "", "New", "High",
     "Mail", "Incident", "2024-03-20 09:14", "1", "44"],
]  # fmt: skip
INTERCOM = [  # conversations of the API, one a line: what was asked is HTML, inside `source`
    {
        "type": "conversation",
        "id": number,
        "created_at": 1710752042,
        "title": None,
        "state": "closed",
        "source": {"type": kind, "subject": subject, "body": body, "author": {"type": "user", "name": "Ann"}},
        "tags": {"type": "tag.list", "tags": []},
    }
    for number, kind, subject, body in (
        ("101", "conversation", "", "<p>How do I cancel my subscription?</p>"),
        ("102", "email", "", '<p class="no-margin">How do I <b>cancel</b> my&nbsp;subscription</p>'),
        ("103", "email", "Invoice", "<p>Where can I find the invoice for March?</p>"),
    )
]
INTERCOM_MESSAGES = [  # a table of the first messages of conversations, as exporters for Intercom write it
    ["message_id", "message_body", "message_type", "message_author_id", "conversation_id", "conversation_state"],
    ["9001", "How do I cancel my subscription?", "conversation_message", "u1", "101", "closed"],
    ["9002", "how do i cancel my subscription", "conversation_message", "u1", "102", "open"],
    ["9003", "Where can I find the invoice for March?", "conversation_message", "u2", "103", "closed"],
]
DISCOURSE_QUERY = [  # a query of the data explorer: first posts with the titles of their topics
    ["id", "topic_id", "title", "raw", "views"],
    ["71", "40", "Export my data", "How do I get a copy of all my posts?", "3"],
    ["75", "44", "export my data", "how do I get a copy of all my posts", "7"],
    ["79", "46", "Dark theme", "Is there a dark theme?", "0"],
]
DISCOURSE = [  # the archive of a user's posts
    ["topic_title", "categories", "is_pm", "post_raw", "post_cooked", "like_count", "reply_count", "url", "created_at"],
    *(
        [
            title,
            "Support",
            "No",
            raw,
            f"<p>{raw}</p>",
            likes,
            "0",
            f"https://example.org/t/{likes}",
            f"{day} 23:00:00 UTC",
        ]
        for title, raw, likes, day in (
            ("Export my data", "How do I get a copy of all my posts?", "3", "2024-03-18"),
            ("export my data", "how do I get a copy of all my posts", "7", "2024-03-19"),
            ("Dark theme", "Is there a dark theme?", "0", "2024-03-20"),
        )
    ),
]


def as_lines(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.fixture
def exports(tmp_path, monkeypatch):
    (tmp_path / "zendesk.jsonl").write_bytes(as_lines(ZENDESK))
    (tmp_path / "intercom.jsonl").write_bytes(as_lines(INTERCOM))
    (tmp_path / "view.xlsx").write_bytes(
        workbook({"Tickets": ZENDESK_VIEW, "FAQ": [["question"], ["Reset a password"]]})
    )
    tables = {"view": ZENDESK_VIEW, "zendesk": ZENDESK_CSV, "messages": INTERCOM_MESSAGES}
    tables |= {"user_archive": DISCOURSE, "query": DISCOURSE_QUERY}
    for name, rows in tables.items():
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, line):
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line)[1:])
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


@pytest.mark.parametrize(
    ("command", "compared", "duplicate_of"),
    [
        ("dupdetect dedupe view.csv -o out", ["Subject"], ["", "35436", ""]),
        ("dupdetect dedupe view.xlsx --sheet Tickets -o out", ["Subject"], ["", "35436", ""]),
        ("dupdetect dedupe messages.csv -o out", ["message_body"], ["", "9001", ""]),
        (
            "dupdetect dedupe user_archive.csv --text post_cooked --keep min:created_at -o out",
            ["post_cooked"],
            ["", "1", ""],
        ),
    ],
)
def test_commands(exports, capsys, command, compared, duplicate_of):
    status, _, err = run(capsys, command)
    assert status == 0, err
    assert json.loads((exports / "out" / "run.json").read_text())["text_columns"] == compared
    with (exports / "out" / "questions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["duplicate_of"] for row in rows] == duplicate_of


def test_the_commands_of_the_readme(exports, capsys):
    """Each line of its table: the columns that it names are those that are compared, and that name the rows."""
    pandas = pytest.importorskip("pandas")
    names = {"detector": Detector.from_pretrained()}
    (flatten,) = (code for code in blocks("python") if "json_normalize" in code)
    exec(compile(flatten, "README.md", "exec"), names)  # noqa: S102 - our own page
    assert names["result"].to_frame()["duplicate_of"].to_list() == [None, "101", None]
    assert pandas.DataFrame.from_arrow(names["result"])["kept"].tolist() == [True, False, True]

    table = re.findall(r"^\| .+ \| `(dupdetect dedupe .+?)` \| (.+?) \| (.+?) \|$", README, re.MULTILINE)
    assert len(table) == 5
    for command, compared, named_by in table:
        status, _, err = run(capsys, f"{command} -o out --overwrite")
        assert status == 0, err
        record = json.loads((exports / "out" / "run.json").read_text())
        assert record["text_columns"] == compared.split(", "), command
        assert (record["id_column"] or "their numbers") == named_by, command
        with (exports / "out" / "questions.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        name = record["id_column"] or "row"
        first, second, _ = (row[name] for row in rows)
        expected = [second, "", ""] if "max:" in command else ["", first, ""]
        assert [row["duplicate_of"] for row in rows] == expected, command
        if "jsonl" in command:
            assert [json.loads(row["custom_fields"]) for row in rows] == [ticket["custom_fields"] for ticket in ZENDESK]


def test_conversations_as_they_are_leave_the_choice_to_the_user(exports, capsys):
    status, _, err = run(capsys, "dupdetect dedupe intercom.jsonl")
    assert (status, err.count("\n")) == (1, 1)
    assert "--text" in err
    assert "inside the JSON of 'source', 'tags' cannot be named" in err
    assert "pandas.json_normalize" in err


def test_sheets_are_named_on_both_sides(exports, capsys):
    status, _, err = run(capsys, "dupdetect dedupe view.xlsx")
    assert (status, "'Tickets', 'FAQ'. Name the one to read (--sheet)" in err) == (1, True)
    status, _, err = run(capsys, "dupdetect match view.xlsx --sheet Tickets --against view.xlsx")
    assert (status, "(--against-sheet)" in err) == (1, True)
    match = "dupdetect match view.xlsx --sheet Tickets --against view.xlsx --against-sheet FAQ --threshold 0.5"
    status, out, err = run(capsys, match)
    assert status == 0, err
    assert [row["match_text"] for row in csv.DictReader(out.splitlines())] == ["Reset a password"] * 2 + [""]
    status, _, err = run(capsys, "dupdetect dedupe view.csv --sheet Tickets")
    assert (status, "Leave --sheet away" in err) == (1, True)
