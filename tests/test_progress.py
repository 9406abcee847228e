"""What a long run says on standard error where that is no terminal: a log, say."""

import pytest

from dupdetect.cli import terminal


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_a_log_has_a_line_every_ten_seconds_and_a_last_one(capsys, clock):
    with terminal.show("Comparing", 5_000, "pair") as advance:
        for _ in range(50):
            clock[0] += 0.5
            advance(100)
    assert capsys.readouterr() == (
        "",
        "Comparing: 40%, 2,000 of 5,000 pairs, 200 a second, 0:00:15 left\n"
        "Comparing: 80%, 4,000 of 5,000 pairs, 200 a second, 0:00:05 left\n"
        "Comparing: 100%, 5,000 of 5,000 pairs, 200 a second, 0:00:00 left\n",
    )


def test_what_is_slow_is_counted_by_the_minute(capsys, clock):
    with terminal.show("Training", 30, "step") as advance:
        for _ in range(30):
            clock[0] += 1.5
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Training: 23%, 7 of 30 steps, 40 a minute, 0:00:34 left"
    assert all("40 a minute" in line for line in lines)


def test_what_is_soon_finished_is_not_mentioned(capsys, clock):
    with terminal.show("Encoding", 10, "text") as advance:
        clock[0] += 9
        advance(10)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_bar_instead(monkeypatch):
    said = []

    class Bar:
        def __init__(self, *, total, desc, **_):
            said.append((desc, total))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            said.append("closed")

        def update(self, count):
            said.append(count)

    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("tqdm.tqdm", Bar)
    with terminal.show("Encoding", 10, "text") as advance:
        advance(4)
        advance(6)
    assert said == [("Encoding", 10), 4, 6, "closed"]
