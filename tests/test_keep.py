"""Keep policies: which of several stays, and what a policy cannot use."""

import pytest

from dupdetect.errors import ColumnNotFoundError, InputError


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("first", "1"),
        ("last", "4"),
        ("longest", "3"),
        ("max:votes", "2"),
        ("min:votes", "3"),
        ("max:made", "4"),
        ("min:made", "2"),
    ],
)
def test_keep_policies(detector, keep, kept):
    frame = {
        "id": ["1", "2", "3", "4"],
        "text": ["a b c d", "a b c d", "a b c d d", "a b c d"],
        "votes": ["5", "90", "-3", ""],
        "made": ["2024-02-01", "2023-12-31 10:00", "2024-01-15T00:00:00", "2024-06-30"],
    }
    result = detector.deduplicate(frame, text="text", id="id", keep=keep)
    assert [i for i, stays in zip(frame["id"], result.kept, strict=True) if stays] == [kept]


def ordered(detector, cells, *, order=1):
    """Return the cells of a column as `max:when` prefers them, and the notes, with the rows forth or back."""
    frame = {"text": ["a b"] * len(cells), "when": cells[::order]}
    found, notes = [], ()
    while frame["when"]:
        result = detector.deduplicate(frame, text="text", keep="max:when")
        (kept,) = result.kept.nonzero()[0]
        notes = notes or result.notes
        found.append(frame["when"].pop(kept))
        frame["text"].pop()
    return found, notes


@pytest.mark.parametrize(
    "cells",
    [
        ["7", "345", "1,015", "1,209", "1,200,000"],
        ["7", "12,5", "1.209,25", "1.000.000"],
        ["0,5", "3", "12,25"],
        ["-5", "1 209", "1\u202f209,5"],
        ["9'999", "10'000.5"],
        ["\u22127", "0.125", ".5", "5.", "1e3", "+2000"],
        ["1.209", "15.250", "345.000"],
        ["9007199254740992", "9007199254740993", "1" + "0" * 400],
        ["1" * 5000, "1e999999999"],
    ],
    ids=lambda cells: cells[-1][:20],
)
@pytest.mark.parametrize("order", [1, -1])
def test_numbers(detector, cells, order):
    assert ordered(detector, cells, order=order)[0] == cells[::-1]


@pytest.mark.parametrize(
    "cells",
    [
        ["2024-03-17", "2024-03-18 23:00:00", "2024-03-18T23:00:01", "2024/3/19"],
        ["2024-03-18T23:00:00+02:00", "2024-03-18 23:00:00Z", "2024-03-18 23:00:00 -0700", "2024-03-19 06:00:01 UTC"],
        ["31.12.2023", "1.2.2024", "02.01.2025 9:30"],
        ["31/12/2023", "12/01/2024", "01/02/2024 23:59"],
        ["12/31/2023", "1/12/2024", "2/1/2024, 9:05 AM", "2/1/2024, 12:00 PM", "2/1/2024, 1:00\u202fPM"],
        ["2022-07-01 10:00", "13/02/2023 22:18", "2024-01-01", "01.02.2024"],
        ["2024-01-01 00:00:00.1", "2024-01-01 00:00:00.123456788", "2024-01-01 00:00:00.123456789"],
        ["31/Dec/23 11:59 PM", "01/Jan/24 12:00 AM", "18/Mar/24 1:00 PM", "18/Sep/24 9:30 AM"],
        ["31 Dec 1968", "31-Jan-69", "18 March 2024 10:00", "Mar. 18, 2024 11:00", "Sept 1, 2024", "2024-09-02"],
        ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
        ["01/01/2024", "02/02/2024", "01/03/2025"],
    ],
    ids=lambda cells: cells[0],
)
@pytest.mark.parametrize("order", [1, -1])
def test_dates(detector, cells, order):
    assert ordered(detector, cells, order=order)[0] == cells[::-1]


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["345", "1.209", "7"], "'1.209' can be 1.209 or 1209, and no other cell tells which"),
        (["1,209", "1.209", "2,000"], "'1,209' can be 1209 or 1.209"),
        (["03/04/2024", "05/02/2024"], "'03/04/2024' can be 2024-04-03 or 2024-03-04"),
        (["2024-03-18", "03/04/2024", "04-03-2024"], "'03/04/2024' can be"),
        (["1/2/2024 00:30 +05:00", "3/1/2024 00:30 +05:00"], "+05:00' can be 2024-02-01 or 2024-01-02,"),
        (["1/2/0001 00:00 +23:00", "2/1/0001 00:00 +23:00"], "+23:00' can be 0001-02-01 or 0001-01-02,"),
        (["1", "two", "3"], "'two' is neither a number nor a date"),
        (["1", "nan", "3"], "'nan' is neither"),
        (["30.02.2024", "01.02.2024"], "'30.02.2024' is neither"),
        (["13:05 PM", "2024-01-01"], "'13:05 PM' is neither"),
        (["1/2/2024 13:05 PM"], "'1/2/2024 13:05 PM' is neither"),
        (["31.12.24"], "'31.12.24' is neither"),
        (["30/Feb/24", "01/Feb/24"], "'30/Feb/24' is neither"),
        (["18/Mai/24", "Marc 18, 2024"], "'18/Mai/24' is neither"),
        (["1,20", "1.20"], "'1,20' and '1.20' do not go together"),
        (["13/05/2024", "05/13/2024", "01/02/2024"], "'05/13/2024' and '13/05/2024' do not go together"),
        (["5", "2024-01-01"], "'2024-01-01' and '5' do not go together"),
        (["1,209", "1.209", "1 209"], "'1 209' and '1,209' and '1.209' do not go together"),
        (["x" * 600_000], "xxx...' is neither"),
    ],
)
def test_what_cannot_be_ordered_is_an_error_that_shows_it(detector, encoder, cells, found):
    encoder.encoded.clear()
    messages = set()
    for order in (1, -1):
        with pytest.raises(InputError, match="keep='max:when': column 'when' cannot put rows in order") as caught:
            detector.deduplicate({"text": ["a b"] * len(cells), "when": cells[::order]}, text="text", keep="max:when")
        messages.add(str(caught.value))
    (message,) = messages
    assert found in message
    assert len(message) < 400
    assert not encoder.encoded, "the column is looked at before any work is done"


def test_what_was_decided_is_said(detector):
    _, notes = ordered(detector, ["7", "1,209", "", " "])
    assert notes == (
        "Keep policy max:when: commas are read as thousands separators, as in '1,209'.",
        "Keep policy max:when: 2 cells are blank and come last.",
    )
    assert ordered(detector, ["7", "1,209.5"])[1] == ()
    _, notes = ordered(detector, ["2024-01-01 10:00 +0200", "2024-01-01 10:00"])
    assert notes == (
        "Keep policy max:when: dates without an offset from UTC, such as '2024-01-01 10:00', count as UTC.",
    )


@pytest.mark.parametrize("cells", [[], ["", " "]])
def test_a_column_without_a_value_orders_nothing(detector, cells):
    result = detector.deduplicate({"text": ["a b"] * len(cells), "votes": cells}, text="text", keep="max:votes")
    assert result.kept.sum() == min(len(cells), 1)
    assert len(result.notes) == min(len(cells), 1)


@pytest.mark.parametrize("keep", ["newest", "max", "max:", "first:votes", ""])
def test_unknown_policies(detector, keep):
    with pytest.raises(InputError, match="keep policy"):
        detector.deduplicate(["a"], keep=keep)


def test_a_column_that_is_not_there(detector):
    with pytest.raises(ColumnNotFoundError):
        detector.deduplicate({"text": ["a"]}, text="text", keep="max:votes")


@pytest.mark.parametrize("policy", ["longest", "medoid"])
def test_of_one_text_the_row_that_is_written_out_stays(detector, policy):
    texts = ["HOW DO I PAY", "how do i pay", "How do I pay??", "where is it"]
    assert detector.deduplicate(texts, keep=policy).kept.tolist() == [False, False, True, True]
    assert detector.deduplicate(texts[:2], keep=policy).kept.tolist() == [False, True]
