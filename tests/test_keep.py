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


def test_cells_that_a_policy_cannot_use_are_said(detector):
    frame = {"text": ["a b", "a b", "a b"], "votes": ["1", "two", "3"]}
    result = detector.deduplicate(frame, text="text", keep="max:votes")
    assert result.kept.tolist() == [False, False, True]
    assert any("1 cells of 'votes'" in note for note in result.notes)


@pytest.mark.parametrize("keep", ["newest", "max", "max:", "first:votes", ""])
def test_unknown_policies(detector, keep):
    with pytest.raises(InputError, match="keep policy"):
        detector.deduplicate(["a"], keep=keep)


def test_policies_on_unusable_columns(detector):
    with pytest.raises(ColumnNotFoundError):
        detector.deduplicate({"text": ["a"]}, text="text", keep="max:votes")
    with pytest.raises(InputError, match="neither numbers nor ISO dates"):
        detector.deduplicate({"text": ["a"], "votes": ["many"]}, text="text", keep="max:votes")


def test_long_whole_numbers_are_compared_exactly(detector):
    frame = {"text": ["a b", "a b"], "votes": ["9007199254740992", "9007199254740993"]}
    assert detector.deduplicate(frame, text="text", keep="max:votes").kept.tolist() == [False, True]
