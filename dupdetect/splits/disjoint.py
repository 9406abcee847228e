"""The check of finished splits: no question text in two of them."""

from __future__ import annotations

from collections.abc import Mapping

from dupdetect.errors import LeakageError
from dupdetect.pairs import QuestionPairs
from dupdetect.text import canonical


def canonical_texts(pairs: QuestionPairs) -> set[str]:
    """Canonical texts, computed from the texts as they stand."""
    return {canonical(text) for text in {*pairs.left, *pairs.right}}


def check_disjoint(forms: Mapping[str, set[str]]) -> int:
    """Return how many texts stand in two splits: 0, or else raise LeakageError."""
    shared = shared_members(forms)
    if shared:
        text, (first, second) = min(shared.items())
        raise LeakageError(
            f"{len(shared)} question text(s) stand in more than one split, for example {text!r} in {first} and "
            f"{second}. Split again with split_pairs, and do not move pairs between splits."
        )
    return 0


def shared_members(sets: Mapping[str, set[str]]) -> dict[str, tuple[str, str]]:
    """Return what stands in more than one set, with the first two that it stands in."""
    home: dict[str, str] = {}
    shared: dict[str, tuple[str, str]] = {}
    for name, members in sets.items():
        for member in members:
            first = home.setdefault(member, name)
            if first != name:
                shared.setdefault(member, (first, name))
    return shared
