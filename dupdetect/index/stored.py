"""The texts of an index as what `dupdetect.deduplicating` works on: an encoder that has encoded them all."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoded_texts import EncodedTexts
from dupdetect.encoder import Progress
from dupdetect.index.checked import DamagedRowsError, numbers, slots_of, strings, words_of
from dupdetect.review.candidates import pair_key
from dupdetect.search import SimilarPairs, cosine

__all__ = ["MergedPairs", "StoredPairs", "StoredTexts", "company_of", "form_hash"]


class StoredTexts:
    """Gives the vectors and unknown words that an index has; it knows no other texts."""

    def __init__(self, connection: sqlite3.Connection, vectors: NDArray[np.float32], fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._vectors = vectors
        rows = connection.execute("SELECT form, slot FROM forms")
        self._slot = dict(rows.fetchall())
        strings(self._slot)
        slots_of(list(self._slot.values()), len(vectors))
        rows = connection.execute("SELECT form, unknown FROM forms WHERE company != ''")
        self._unknown = {form: words_of(words) for form, words in rows}
        rows = connection.execute("SELECT form FROM forms WHERE truncated")
        self._truncated = frozenset(form for (form,) in rows)

    @property
    def dimension(self) -> int:
        return int(self._vectors.shape[1])

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n, dimension) float32, the vectors of these forms."""
        if progress is not None:
            progress(len(texts))
        slots = [self._slot[text] for text in texts if text in self._slot]
        if len(slots) < len(texts):
            raise DamagedRowsError("a question has a text that is not among the texts")
        return self._vectors[slots]

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return np.array([text in self._truncated for text in texts], dtype=np.bool_)

    def unknown_words(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        return [self._unknown.get(text, ()) for text in texts]


class StoredPairs:
    """The pairs that an index has, at or above the threshold, whether they count or not."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read the pairs, and the forms of the texts in them."""
        found = connection.execute("SELECT smaller, larger, similarity FROM pairs").fetchall()
        columns: list[Sequence[float]] = list(zip(*found, strict=True)) or [(), (), ()]
        self._smaller, self._larger = (numbers(column, np.int64) for column in columns[:2])
        self._similarity = numbers(columns[2], np.float32)
        self._forms = dict(
            connection.execute(
                "SELECT number, form FROM forms "
                "WHERE number IN (SELECT smaller FROM pairs UNION SELECT larger FROM pairs)"
            ).fetchall()
        )
        strings(self._forms.values())
        ends = np.union1d(self._smaller, self._larger)
        if len(ends) != len(self._forms):
            raise DamagedRowsError("a pair is of a text that is not there")

    def of(self, texts: EncodedTexts) -> SimilarPairs:
        """Return them as pairs of the forms of `texts`, which are all of them that have a pair, and perhaps others."""
        place = {form: slot for slot, form in enumerate(texts.forms)}
        node = np.zeros(max(self._forms, default=0) + 1, dtype=np.int32)
        for number, form in self._forms.items():
            if form not in place:
                raise DamagedRowsError("a pair is of a text that no question has")
            node[number] = place[form]
        a, b = node[self._smaller], node[self._larger]
        left, right = np.minimum(a, b), np.maximum(a, b)
        order = np.lexsort((right, left))
        return SimilarPairs(left[order], right[order], self._similarity[order])


class MergedPairs:
    """The pairs of texts that people have put together, those that an index has at present."""

    def __init__(
        self, connection: sqlite3.Connection, vectors: NDArray[np.float32], told_apart: Collection[str] = ()
    ) -> None:
        """told_apart: `pair_key` of pairs that do not count all the same."""
        rows = connection.execute(
            "SELECT a.form, a.slot, b.form, b.slot "
            "FROM merged JOIN forms a ON a.hash = merged.first JOIN forms b ON b.hash = merged.second"
        ).fetchall()
        strings(form for row in rows for form in (row[0], row[2]))
        rows = [row for row in rows if pair_key(row[0], row[2]) not in told_apart]
        self.forms = [(form, other) for form, _, other, _ in rows]
        self.similarity = cosine(*(vectors[slots_of([row[column] for row in rows], len(vectors))] for column in (1, 3)))

    def of(self, texts: EncodedTexts) -> SimilarPairs:
        """Return them as pairs of the forms of `texts`, which are all of them."""
        place = {form: slot for slot, form in enumerate(texts.forms)}
        if not all(form in place for pair in self.forms for form in pair):
            raise DamagedRowsError("a merged pair is of a text that no question has")
        both = np.array([sorted((place[a], place[b])) for a, b in self.forms], dtype=np.int32).reshape(-1, 2)
        order = np.lexsort((both[:, 1], both[:, 0]))
        return SimilarPairs(both[order, 0], both[order, 1], self.similarity[order])


def company_of(form: str, unknown: tuple[str, ...]) -> str:
    """Return what is equal for texts that may be duplicates, as in `encode_texts`: "" where every word is known."""
    if not unknown:
        return ""
    return json.dumps(["", form] if unknown == (form,) else unknown, ensure_ascii=False)


def form_hash(form: str) -> bytes:
    """Return 16 bytes by which a canonical text is looked up."""
    return hashlib.blake2b(form.encode("utf-8"), digest_size=16).digest()
