"""Labelled data as columns: `QuestionPairs` (two questions and whether they ask the same thing) and `Triplets`.

`QuestionPairs.from_columns` is the one place where labelled rows are cleaned; it counts what it drops, by reason:

    rows in = pairs kept + blank + self pairs + contradictions + repeats
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dupdetect.errors import InputError, InvalidLabelError
from dupdetect.text import canonical, is_missing

if TYPE_CHECKING:
    from dupdetect.tables import Reading

__all__ = ["ACCEPTED_LABELS", "DroppedPairs", "PairNodes", "QuestionPairs", "Triplets", "pair_columns", "read_pairs"]

_LABELS = {
    "1": True, "true": True, "yes": True, "duplicate": True, "1.0": True,
    "0": False, "false": False, "no": False, "not duplicate": False, "not_duplicate": False, "distinct": False,
    "0.0": False,
}  # fmt: skip
ACCEPTED_LABELS = ("1 or 0", "true or false", "yes or no", "duplicate or not duplicate", "duplicate or distinct")

# Compared without case, white space, hyphens and underscores: "Question 1" and "question_1" are "question1".
_TEXT_COLUMNS = (
    ("question1", "question2"),
    ("text1", "text2"),
    ("sentence1", "sentence2"),
    ("questiona", "questionb"),
    ("texta", "textb"),
    ("left", "right"),
    ("lefttext", "righttext"),  # the pairs.csv that `dedupe` writes
    ("anchor", "positive"),
)
_LABEL_COLUMNS = ("label", "labels", "isduplicate", "duplicate")


class Table(Protocol):
    """What is needed of a table: the names of its columns, and the cells of one as text (or ColumnNotFoundError)."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def column(self, name: str) -> list[str]: ...


class PairNodes(NamedTuple):
    """Pairs as edges between questions: `texts` (k distinct canonical forms, sorted), `left` and `right` (n,) int64
    positions in `texts`."""

    texts: tuple[str, ...]
    left: NDArray[np.int64]
    right: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DroppedPairs:
    """Rows that were left out, counted by reason; each row counts under the first reason that holds.

    `blank`: a side has nothing to read. `self_pairs`: both sides are the same question text. `contradictions`: the same
    two questions, in either order, carry both labels (all rows of such a pair go, as nothing says which is right).
    `repeats`: the same two questions with the same label again (the first row stays).
    """

    blank: int = 0
    self_pairs: int = 0
    contradictions: int = 0
    repeats: int = 0

    @property
    def total(self) -> int:
        return self.blank + self.self_pairs + self.contradictions + self.repeats

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class QuestionPairs:
    """Pairs of questions with labels: True where both ask the same thing. Built with `from_columns` or `from_table`.

    The constructor takes clean columns as they are, and raises InputError when they differ in length or the labels are
    not bool. `labels` is (n,) bool and read-only.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    labels: NDArray[np.bool_]
    dropped: DroppedPairs = DroppedPairs()
    _nodes: PairNodes | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        labels = np.array(self.labels)
        if labels.ndim != 1 or (labels.size and labels.dtype != np.bool_):
            raise InputError("Labels are one column of True and False. Use QuestionPairs.from_columns to read others.")
        labels = labels.astype(np.bool_)  # an empty list arrives as float
        _check_lengths(left=len(self.left), right=len(self.right), labels=len(labels))
        labels.setflags(write=False)
        object.__setattr__(self, "left", tuple(self.left))
        object.__setattr__(self, "right", tuple(self.right))
        object.__setattr__(self, "labels", labels)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Copy by the constructor, so that the labels of a copy are read-only too."""
        return type(self), (self.left, self.right, self.labels, self.dropped)

    @classmethod
    def from_columns(
        cls, left: Sequence[str | None], right: Sequence[str | None], labels: Sequence[object] | NDArray[np.generic]
    ) -> QuestionPairs:
        """Return the usable pairs of three columns, in their order, with the rest counted in `.dropped`.

        A label is a bool, 0 or 1, or one of `ACCEPTED_LABELS` in any case. None, NaN and NA are blank questions. The
        texts stay as they were written; only the comparison uses their canonical form.

        Raises InvalidLabelError for any other label, and InputError when the columns differ in length or a question is
        not text.

        >>> pairs = QuestionPairs.from_columns(["a", "b", "a"], ["b", "A", "A?"], [1, "yes", 0])
        >>> len(pairs), pairs.dropped
        (1, DroppedPairs(blank=0, self_pairs=1, contradictions=0, repeats=1))
        """
        _check_lengths(left=len(left), right=len(right), labels=len(labels))
        label = _parse_labels(labels)
        written_left, written_right = _texts(left, "left"), _texts(right, "right")
        nodes = _nodes_of(written_left, written_right)

        blank = np.zeros(len(label), dtype=np.bool_)
        if nodes.texts and nodes.texts[0] == "":  # sorted, so the blank form stands first
            blank = (nodes.left == 0) | (nodes.right == 0)
        self_pair = ~blank & (nodes.left == nodes.right)
        rows = np.flatnonzero(~blank & ~self_pair)
        low, high = np.minimum(nodes.left, nodes.right)[rows], np.maximum(nodes.left, nodes.right)[rows]
        _, first, pair, times = np.unique(
            low * len(nodes.texts) + high, return_index=True, return_inverse=True, return_counts=True
        )
        positive = np.bincount(pair, weights=label[rows], minlength=len(first))
        agreed = (positive == 0) | (positive == times)
        kept = np.sort(rows[first[agreed]])

        contradictions = int(times[~agreed].sum())
        dropped = DroppedPairs(
            blank=int(blank.sum()),
            self_pairs=int(self_pair.sum()),
            contradictions=contradictions,
            repeats=len(rows) - contradictions - len(kept),
        )
        everything = cls(tuple(written_left), tuple(written_right), label)
        object.__setattr__(everything, "_nodes", nodes)
        return everything._subset(kept, dropped)

    @classmethod
    def from_table(
        cls, table: Table, *, left: str | None = None, right: str | None = None, label: str | None = None
    ) -> QuestionPairs:
        """Return the usable pairs of a table. Columns that are not named are found by usual names: question1 and
        question2, text1 and text2, sentence1 and sentence2, left and right, ...; label, is_duplicate, duplicate.

        Raises ColumnNotFoundError for a name that is not there, InputError when no column, or more than one, goes by a
        usual name, and whatever `from_columns` raises.
        """
        left, right = pair_columns(table.columns, left, right)
        if label is None:
            (label,) = _one_of(
                table.columns,
                tuple((name,) for name in _LABEL_COLUMNS),
                "the column of labels (1 or 0, yes or no: is it a duplicate?)",
                "it (label=...)",
            )
        if len({left, right, label}) < 3:
            raise InputError(
                f"left={left!r}, right={right!r} and label={label!r} must be three different columns. "
                + _listed(table.columns)
            )
        return cls.from_columns(table.column(left), table.column(right), table.column(label))

    @classmethod
    def from_frame(
        cls, frame: object, *, left: str | None = None, right: str | None = None, label: str | None = None
    ) -> QuestionPairs:
        """Return the usable pairs of anything that `table_from_frame` takes (pandas, polars, Arrow, `datasets`, ...);
        see `from_table` for the columns."""
        from dupdetect.tables import table_from_frame

        return cls.from_table(table_from_frame(frame), left=left, right=right, label=label)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def prevalence(self) -> float:
        """Share of duplicates in [0, 1]; NaN when there are no pairs."""
        return float(self.labels.mean()) if len(self) else math.nan

    def nodes(self) -> PairNodes:
        """Return the pairs as edges between distinct questions; computed once."""
        nodes = self._nodes
        if nodes is None:
            nodes = _nodes_of(self.left, self.right)
            object.__setattr__(self, "_nodes", nodes)
        return nodes

    def select(self, indices: ArrayLike) -> QuestionPairs:
        """Return the pairs at `indices` (integer positions in any order, or an (n,) bool mask), with nothing counted as
        dropped. Raises IndexError when a position is outside the pairs."""
        wanted = np.asarray(indices)
        if wanted.dtype == np.bool_ and len(wanted) != len(self):
            raise IndexError(f"The mask has {len(wanted)} entries for {len(self)} pairs.")
        if wanted.size == 0:
            wanted = wanted.astype(np.int64)  # an empty list arrives as float
        return self._subset(np.arange(len(self))[wanted], DroppedPairs())

    def to_rows(self) -> Iterator[tuple[str, str, int]]:
        """Yield (question1, question2, label) per pair, with the label as 1 or 0, ready for a CSV writer."""
        yield from zip(self.left, self.right, map(int, self.labels), strict=True)

    def _subset(self, rows: NDArray[np.int64], dropped: DroppedPairs) -> QuestionPairs:
        chosen = rows.tolist()
        subset = QuestionPairs(
            tuple(self.left[row] for row in chosen),
            tuple(self.right[row] for row in chosen),
            self.labels[rows],
            dropped,
        )
        if self._nodes is not None:  # canonical forms cost far more than renumbering
            texts, left, right = self._nodes
            used, slots = np.unique(np.concatenate([left[rows], right[rows]]), return_inverse=True)
            slots = slots.astype(np.int64)
            nodes = PairNodes(tuple(texts[slot] for slot in used.tolist()), slots[: len(rows)], slots[len(rows) :])
            object.__setattr__(subset, "_nodes", nodes)
        return subset


@dataclass(frozen=True, slots=True)
class Triplets:
    """Anchors, each with a question that asks the same thing and one that does not.

    Raises InputError when columns differ in length, and for the first row where a text is blank or two of the three are
    the same question text: a triplet that contradicts itself is a fault of whoever mined it, not noise to be counted.
    """

    anchor: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_lengths(anchor=len(self.anchor), positive=len(self.positive), negative=len(self.negative))
        for name in ("anchor", "positive", "negative"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for row, texts in enumerate(zip(self.anchor, self.positive, self.negative, strict=True), start=1):
            forms = [canonical(text) for text in texts]
            if "" in forms:
                raise InputError(f"Triplet {row}: the {('anchor', 'positive', 'negative')[forms.index('')]} is blank.")
            if len(set(forms)) < 3:
                raise InputError(
                    f"Triplet {row}: anchor {texts[0]!r}, positive {texts[1]!r} and negative {texts[2]!r} are not "
                    "three different questions. Remove the row."
                )

    def __len__(self) -> int:
        return len(self.anchor)


def pair_columns(columns: Sequence[str], left: str | None, right: str | None) -> tuple[str, str]:
    """Return the names of the two question columns: those that were named, else the only ones with usual names.

    Raises InputError when one of the two was named, or neither and the choice is not obvious. That a named column is
    there is for the table to say.
    """
    if left is not None and right is not None:
        return left, right
    if left is not None or right is not None:
        raise InputError(
            f"Only one of the two question columns was named ({left or right!r}). Name both (left=..., right=...). "
            + _listed(columns)
        )
    left, right = _one_of(columns, _TEXT_COLUMNS, "the two question columns", "both (left=..., right=...)")
    return left, right


def labelled(pairs: object) -> QuestionPairs:
    """Return `pairs` if they are labelled pairs; InputError that says how to make them otherwise."""
    if isinstance(pairs, QuestionPairs):
        return pairs
    raise InputError(
        f"Labelled pairs are wanted, not {type(pairs).__name__}: QuestionPairs.from_columns(left, right, labels), "
        "or dupdetect.pairs.read_pairs(file)."
    )


def read_pairs(
    path: str | Path,
    *,
    left: str | None = None,
    right: str | None = None,
    label: str | None = None,
    **reading: Unpack[Reading],
) -> QuestionPairs:
    """Return the usable pairs of a CSV, Excel, Parquet or JSON Lines file; see `QuestionPairs.from_table` for the
    columns, and `dupdetect.tables.read_table` for the options of reading (`encoding`, `delimiter`, `sheet`,
    `on_bad_rows`)."""
    from dupdetect.tables import read_table

    return QuestionPairs.from_table(read_table(path, **reading), left=left, right=right, label=label)


def _parse_labels(labels: Sequence[object] | NDArray[np.generic]) -> NDArray[np.bool_]:
    if isinstance(labels, np.ndarray):
        if labels.dtype == np.bool_:
            return labels.astype(np.bool_)
        labels = labels.tolist()
    parsed = np.empty(len(labels), dtype=np.bool_)
    for position, value in enumerate(labels):
        # str() makes 1, 1.0, True, numpy scalars and "1" one case; 0.5, 2 and -1 find no entry.
        known = _LABELS.get(str(value).casefold().strip())
        if known is None:
            raise InvalidLabelError(position + 1, value, ACCEPTED_LABELS)
        parsed[position] = known
    return parsed


def _texts(column: Sequence[str | None], side: str) -> list[str]:
    texts = []
    for row, value in enumerate(column, start=1):
        if isinstance(value, str):
            texts.append(value)
        elif is_missing(value):
            texts.append("")
        else:
            raise InputError(f"Row {row}: the {side} question is {value!r}, not text. Convert the column to text.")
    return texts


def _nodes_of(left: Sequence[str], right: Sequence[str]) -> PairNodes:
    forms = {text: canonical(text) for text in {*left, *right}}  # each spelling once
    texts = tuple(sorted(set(forms.values())))
    slot = {form: position for position, form in enumerate(texts)}
    return PairNodes(
        texts,
        np.fromiter((slot[forms[text]] for text in left), dtype=np.int64, count=len(left)),
        np.fromiter((slot[forms[text]] for text in right), dtype=np.int64, count=len(right)),
    )


def _check_lengths(**lengths: int) -> None:
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise InputError(f"The columns differ in length: {found}. Pass one value per row in each.")


def _one_of(columns: Sequence[str], choices: tuple[tuple[str, ...], ...], what: str, flags: str) -> tuple[str, ...]:
    """Return the columns of the only choice that the table has; a name that two columns share is no choice."""
    folded = ["".join(name.casefold().replace("_", " ").replace("-", " ").split()) for name in columns]
    found = [choice for choice in choices if all(name in folded for name in choice)]
    if len(found) == 1 and all(folded.count(name) == 1 for name in found[0]):
        return tuple(columns[folded.index(name)] for name in found[0])
    problem = "There is more than one choice for" if found else "No usual name was found for"
    raise InputError(f"{problem} {what}. Name {flags}. {_listed(columns)}")


def _listed(columns: Sequence[str]) -> str:
    return f"Columns: {', '.join(map(repr, columns)) or 'none'}."
