"""Pairs to four splits that share no question."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.pairs import QuestionPairs, labelled
from dupdetect.splits.disjoint import canonical_texts, check_disjoint, shared_members
from dupdetect.splits.grouping import group_questions, hashes, position_of_groups
from dupdetect.splits.probe import leak_probe
from dupdetect.splits.report import SplitReport, share_of, warnings_on
from dupdetect.splits.sketch import sketch_key

SPLITS = ("train", "validation", "calibration", "test")
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.7, "validation": 0.1, "calibration": 0.1, "test": 0.1}

_NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Four sets of pairs. `groups[name]` is (n,) int64 beside the pairs of that split: the group of each pair, numbered
    by the smallest canonical text, for resampling whole groups (pairs of one group are not independent)."""

    train: QuestionPairs
    validation: QuestionPairs
    calibration: QuestionPairs
    test: QuestionPairs
    groups: Mapping[str, NDArray[np.int64]]
    report: SplitReport

    def items(self) -> Iterator[tuple[str, QuestionPairs]]:
        """Yield (name, pairs) for train, validation, calibration and test."""
        for name in SPLITS:
            yield name, getattr(self, name)

    def check(self) -> None:
        """Raise LeakageError when a canonical question text stands in two splits.

        Compares the texts themselves, with nothing taken over from the grouping.
        """
        check_disjoint({name: canonical_texts(pairs) for name, pairs in self.items()})


def split_pairs(pairs: QuestionPairs, *, seed: int = 0, fractions: Mapping[str, float] = DEFAULT_FRACTIONS) -> Splits:
    """Return all pairs in four splits that share no question.

    Questions are canonical texts. A group holds all questions connected by any pair, duplicate or not, or by equal
    `sketch_key`. Every question has two hashes of its text and the seed; the question with the smallest first hash
    speaks for its group, and its second hash decides the split. So when groups merge, the new group stays where one of
    them was, and a group that keeps its questions stays where it is whatever is added elsewhere. A new question is a
    group of its own until a pair connects it: a group of k questions that takes one in stays with probability of at
    least k / (k + 1).

    `fractions` maps split names to shares of the pairs that add up to 1; a name that is missing gets none. They are met
    on average, as whole groups go to one side: the report says what came out, and warns where it is far off.

    Raises EmptyInputError when there are no pairs, and InputError when the fractions are not shares of `SPLITS`, or a
    split that was asked for would be empty (too few groups).
    """
    asked = _checked(fractions)
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise InputError(f"The seed is {seed!r}, and must be a whole number.")
    seed = int(seed)  # not one of numpy's, which JSON cannot hold
    if not len(labelled(pairs)):
        raise EmptyInputError("There are no pairs to split. Pass pairs of two different questions with a label.")
    nodes = pairs.nodes()
    group_of_question, links, merges = group_questions(nodes)
    group = group_of_question[nodes.left]
    ranks, spread = hashes(nodes.texts, seed)
    position = position_of_groups(group_of_question, ranks, spread)[group]
    names = [name for name, share in asked.items() if share]
    split = np.searchsorted(np.cumsum([asked[name] for name in names])[:-1], position, side="right")
    rows = {name: np.flatnonzero(split == names.index(name)) if name in names else _NO_ROWS for name in SPLITS}
    empty = [name for name in names if not len(rows[name])]
    if empty:
        form = "1 pair forms" if len(pairs) == 1 else f"{len(pairs):,} pairs form"
        groups = "1 group" if group.max() == 0 else f"{group.max() + 1:,} groups"
        raise InputError(
            f"The {' and '.join(empty)} split would be empty: {form} only {groups} of connected questions, and a group "
            "cannot be divided without leaking. Add pairs of other questions, or leave that split out (its fraction 0)."
        )

    parts = {name: pairs.select(chosen) for name, chosen in rows.items()}
    forms = {name: canonical_texts(part) for name, part in parts.items()}
    sketches = {name: {key for key in map(sketch_key, texts) if key} for name, texts in forms.items()}
    shares = {name: share_of(parts[name], group[rows[name]], asked[name], len(pairs)) for name in SPLITS}
    largest = max(share.largest_group for share in shares.values())
    report = SplitReport(
        seed=seed,
        pairs=len(pairs),
        questions=len(nodes.texts),
        groups=int(group.max()) + 1,
        largest_group=largest,
        dropped=pairs.dropped,
        sketch_links=links,
        sketch_merges=merges,
        shared_questions=check_disjoint(forms),
        shared_sketches=len(shared_members(sketches)),
        splits=shares,
        probe=leak_probe(nodes, pairs.labels, rows, ranks) if asked["train"] and asked["test"] else None,
        warnings=warnings_on(shares, largest, len(pairs)),
    )
    return Splits(**parts, groups={name: group[chosen] for name, chosen in rows.items()}, report=report)


def _checked(fractions: Mapping[str, float]) -> dict[str, float]:
    given = fractions.values()
    numbers = fractions.keys() <= set(SPLITS) and all(isinstance(share, Real) and 0 <= share <= 1 for share in given)
    if not numbers or not math.isclose(sum(given), 1):
        raise InputError(
            f"Fractions are shares from 0 to 1 of {', '.join(SPLITS)} that add up to 1, not {dict(fractions)}."
        )
    return {name: float(fractions.get(name, 0)) for name in SPLITS}
