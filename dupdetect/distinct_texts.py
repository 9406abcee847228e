"""Texts, each question text once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.text import canonical

__all__ = ["DistinctTexts"]


@dataclass(frozen=True, slots=True, eq=False)
class DistinctTexts:
    """The n different question texts among m.

    forms: n canonical forms, none blank, sorted, so that what follows does not depend on the order of the texts.
    written: of each the different ways that it is written, in the order of the texts.  position: (m,) int64, the form
    of each text, -1 for blank ones.
    """

    forms: tuple[str, ...]
    written: tuple[tuple[str, ...], ...]
    position: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> DistinctTexts:
        """Return them; time is linear in the length of all texts, but for the sorting."""
        forms = [canonical(text) for text in texts]
        unique = tuple(sorted(set(forms) - {""}))
        slot = {form: number for number, form in enumerate(unique)}
        slot[""] = -1
        position = np.fromiter(map(slot.__getitem__, forms), dtype=np.int64, count=len(forms))
        written: list[tuple[str, ...]] = [()] * len(unique)
        several: dict[int, dict[str, None]] = {}
        for text, number in zip(texts, position.tolist(), strict=True):
            if number < 0:
                continue
            if not written[number]:
                written[number] = (text,)
            else:
                several.setdefault(number, dict.fromkeys(written[number]))[text] = None
        for number, ways in several.items():
            written[number] = tuple(ways)
        return cls(unique, tuple(written), position)
