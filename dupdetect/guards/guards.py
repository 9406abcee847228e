"""Which guards fire for pairs of texts, and what that does to their score."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import ArtifactError, InputError
from dupdetect.guards.names import names_differ
from dupdetect.guards.reading import read
from dupdetect.guards.rules import alternatives_differ, changes_places, numbers_differ, opposites_differ

__all__ = ["GUARDS", "GuardedTexts", "Guards"]

GUARDS = ("numbers", "negation", "opposites", "alternatives", "word order", "names")
"""The names of the guards, in the order of the columns of `GuardedTexts.fired`."""

_SETS = ("numbers", "listed", "names")
_COLUMNS = ("frame", "bag", "tokens", "unnamed", *_SETS)
_ODD = np.int64(-7046029254386353131)  # 2^64 / the golden ratio: products with it, modulo 2^64, spread evenly


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
        return float(np.float32(self.cap)) < threshold

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values that `from_dict` reads."""
        return {"cap": self.cap}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Guards:
        """Return what `to_dict` wrote. Raises ArtifactError for anything else."""
        try:
            return cls(**values)
        except (TypeError, InputError):
            raise ArtifactError(f"The guards are {values!r}, and must be their cap alone.") from None


class GuardedTexts:
    """Some texts, each read once, when a pair with it is asked about."""

    def __init__(self, forms: Sequence[str], written: Sequence[Collection[str]] | None = None) -> None:
        """Keep n canonical texts.

        written: (n) of each the ways that it is written, with capital letters, by which names are told; they may have
        more words. None where they are not known, so that nothing is a name.
        """
        self._forms = forms
        self._written = [()] * len(forms) if written is None else written
        self._known = np.zeros(len(forms), dtype=np.bool_)
        # Of all that was read there stay 64-bit hashes, by which nearly every pair is decided: what a text holds as
        # objects takes fifty times the memory. Two different values of a pair have one hash once in 10^19 pairs.
        self._columns = {name: np.zeros(len(forms), dtype=np.int64) for name in _COLUMNS}
        self._sets: dict[int, tuple[str, ...]] = {}  # by its hash, each set that a rule may ask for
        self._words: dict[int, tuple[str, ...]] = {}  # of the few texts that have the words of another in another order
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
        hashes = self._columns[column]
        both = hashes[left[rows]] * _ODD + hashes[right[rows]]  # one hash of the two
        _, first, place = np.unique(both, return_index=True, return_inverse=True)
        value = self._words_of if column == "tokens" else self._set_of
        decided = [differ(value(column, left[row]), value(column, right[row])) for row in rows[first].tolist()]
        result[rows] = np.array(decided, dtype=np.bool_)[place]
        return result

    def _set_of(self, column: str, text: int) -> frozenset[str]:
        return frozenset(self._sets[int(self._columns[column][text])])

    def _words_of(self, _: str, text: int) -> tuple[str, ...]:
        if text not in self._words:
            self._words[text] = read(self._forms[text], self._written[text]).tokens
        return self._words[text]

    def _read(self, texts: NDArray[np.integer[Any]]) -> None:
        new = texts[~self._known[texts]]
        for text in new.tolist():
            reading = read(self._forms[text], self._written[text])
            for name in _SETS:
                words: frozenset[str] = getattr(reading, name)
                self._columns[name][text] = number = hash(words)
                if number not in self._sets:
                    self._sets[number] = tuple(words)
            self._columns["frame"][text] = hash(reading.frame)
            self._columns["unnamed"][text] = hash(reading.unnamed)
            self._columns["tokens"][text] = hash(reading.tokens)
            self._columns["bag"][text] = hash(tuple(sorted(reading.tokens)))
            self._negated[text], self._count[text] = reading.negated, len(reading.numbers)
        self._known[new] = True
