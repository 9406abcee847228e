"""Which guards fire for pairs of texts, and what that does to their score."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import InputError
from dupdetect.guards.names import names_differ
from dupdetect.guards.reading import Reading, read
from dupdetect.guards.rules import alternatives_differ, changes_places, numbers_differ, opposites_differ

__all__ = ["GUARDS", "GuardedTexts", "Guards"]

GUARDS = ("numbers", "negation", "opposites", "alternatives", "word order", "names")
"""The names of the guards, in the order of the columns of `GuardedTexts.fired`."""


@dataclass(frozen=True, slots=True)
class Guards:
    """What guards do to the similarity of a pair: where one fires, the score is at most `cap`, a cosine in [-1, 1]."""

    cap: float

    def __post_init__(self) -> None:
        if isinstance(self.cap, bool) or not isinstance(self.cap, int | float) or not -1 <= self.cap <= 1:
            raise InputError(f"The cap of the guards is {self.cap!r}, and must be a cosine, between -1 and 1.")

    def score(self, similarity: NDArray[np.float32], fired: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return (n,) float32, what a threshold is compared with: never more than the similarity.

        similarity: (n,) float32 cosines.  fired: (n, len(GUARDS)) of `GuardedTexts.fired`.
        """
        capped: NDArray[np.float32] = np.where(
            fired.any(axis=1), np.minimum(similarity, np.float32(self.cap)), similarity
        )
        return capped

    def rule_out(self, threshold: float) -> bool:
        """Tell whether a pair for which a guard fires stays below the threshold, however similar its texts are."""
        return bool(np.float32(self.cap) < threshold)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values that `from_dict` reads."""
        return {"cap": self.cap}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Guards:
        """Return what `to_dict` wrote. Raises InputError for anything else."""
        if not isinstance(values, dict) or set(values) != {"cap"}:
            raise InputError(f"The guards are {values!r}, and must be their cap alone.")
        return cls(values["cap"])


class GuardedTexts:
    """Some texts, each read once, when a pair with it is asked about."""

    def __init__(self, forms: Sequence[str], written: Sequence[Collection[str]] | None = None) -> None:
        """Keep n canonical texts.

        written: (n) of each the ways that it is written, with capital letters, by which names are told; they may have
        more words. None where they are not known, so that nothing is a name.
        """
        self._forms = forms
        self._written = [()] * len(forms) if written is None else written
        self._readings: list[Reading | None] = [None] * len(forms)
        # Equal values have equal numbers, so that most pairs are decided by comparing numbers.
        self._codes: dict[tuple[str, Hashable], int] = {}
        self._columns = {
            name: np.full(len(forms), -1, dtype=np.int64)
            for name in ("frame", "numbers", "listed", "bag", "tokens", "names", "unnamed")
        }
        self._negated = np.zeros(len(forms), dtype=np.bool_)
        self._count = np.zeros(len(forms), dtype=np.int64)  # of numbers

    def fired(self, left: NDArray[np.integer[Any]], right: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Return (m, len(GUARDS)) bool: which guards fire for each pair. Symmetric, and equal texts fire none.

        left, right: (m,) numbers of texts.
        """
        self._read(np.union1d(left, right))
        equal = {name: column[left] == column[right] for name, column in self._columns.items()}
        fired = np.zeros((len(left), len(GUARDS)), dtype=np.bool_)
        alike = equal["frame"]
        fired[:, 0] = self._numbers_differ(left, right, alike & ~equal["numbers"])
        fired[:, 1] = alike & (self._negated[left] != self._negated[right])
        fired[:, 2] = self._rule(opposites_differ, "listed", left, right, alike & ~equal["listed"])
        fired[:, 3] = self._rule(alternatives_differ, "listed", left, right, alike & ~equal["listed"])
        fired[:, 4] = self._rule(changes_places, "tokens", left, right, equal["bag"] & ~equal["tokens"])
        unlike = equal["unnamed"] & ~equal["names"] & ~fired[:, 3]  # names of a known kind have a guard already
        fired[:, 5] = self._rule(names_differ, "names", left, right, unlike)
        return fired

    def _numbers_differ(
        self, left: NDArray[np.integer[Any]], right: NDArray[np.integer[Any]], asked: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return (m,) bool, as `numbers_differ` of two different sets: of one size, each has what the other has not."""
        one, other = self._count[left], self._count[right]
        asked = asked & (one > 0) & (other > 0)
        differ: NDArray[np.bool_] = asked & (one == other)
        return differ | self._rule(numbers_differ, "numbers", left, right, asked & (one != other))

    def _rule(
        self,
        differ: Callable[[Any, Any], bool],
        column: str,
        left: NDArray[np.integer[Any]],
        right: NDArray[np.integer[Any]],
        asked: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Return (m,) bool: does `differ` hold of the two values of a column? False where it is not asked."""
        result = np.zeros(len(asked), dtype=np.bool_)
        rows = np.flatnonzero(asked)
        if not len(rows):
            return result
        codes = self._columns[column]
        both = codes[left[rows]] * len(self._codes) + codes[right[rows]]
        values, first, place = np.unique(both, return_index=True, return_inverse=True)
        decided = np.zeros(len(values), dtype=np.bool_)
        for number, row in enumerate(rows[first].tolist()):
            one, other = self._readings[left[row]], self._readings[right[row]]
            decided[number] = differ(getattr(one, column), getattr(other, column))
        result[rows] = decided[place]
        return result

    def _read(self, texts: NDArray[np.integer[Any]]) -> None:
        for text in texts[self._columns["frame"][texts] < 0].tolist():
            reading = self._readings[text] = read(self._forms[text], self._written[text])
            bag = tuple(sorted(reading.tokens))
            values: dict[str, Hashable] = {
                "frame": reading.frame,
                "numbers": reading.numbers,
                "listed": reading.listed,
                "bag": bag,
                "tokens": reading.tokens,
                "names": reading.names,
                "unnamed": reading.unnamed,
            }
            for name, value in values.items():
                self._columns[name][text] = self._codes.setdefault((name, value), len(self._codes))
            self._negated[text], self._count[text] = reading.negated, len(reading.numbers)
