"""The distinct texts of a call: each encoded, and compared only where the encoder can tell them apart.

Of texts with an end that others share, such as a signature, what stands before it is encoded too: two texts with the
same end are compared by that, all others as wholes (`dupdetect.boilerplate`, `search.Vectors`).

Beside the similarity of two texts stands their score, which a threshold is compared with: the similarity, or less where
a guard fires (`dupdetect.guards`).

An encoder gives all words that it does not know one and the same vector. So words that it does not know must be the
same on both sides: texts are compared within groups, and a group holds the texts with the same unknown words.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoder import Encoder, LimitedVocabulary
from dupdetect.errors import InputError
from dupdetect.guards import GUARDS, GuardedTexts, Guards
from dupdetect.progress import Progress
from dupdetect.search import (
    Neighbours,
    RecallCertificate,
    SimilarPairs,
    Vectors,
    approximate_pairs,
    certify,
    nearest,
    similar_pairs,
    unit_rows,
    uses_index,
)

__all__ = ["EncodedTexts", "Unread", "encode_texts", "examples", "truncated_texts", "unread"]

_FEW_ROWS = 4096  # compared within a second: nothing to go on from
_EXAMPLES = 2
_EXAMPLE_CHARACTERS = 30


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTexts:
    """Each distinct, non-blank canonical text once: n forms, those of a group side by side.

    forms: n canonical texts, first those with every word known; sorted within a group.
    position: (m,) int64, the form of each of the m texts given, -1 for blank ones.
    vectors: what forms are compared by.  unknown: for each form the words that the encoder does not know, sorted.
    group: (n,) int64 from 0, never falling; forms of one group are compared. A form without a known word is alone.
    guards: what lowers the score of a pair; None for nothing.  guarded: what they look at: the forms, or for two with
    the same end (guarded_before) what stands before it.  encoded: how many different texts were encoded.
    """

    forms: tuple[str, ...]
    position: NDArray[np.int64]
    vectors: Vectors
    unknown: tuple[tuple[str, ...], ...]
    group: NDArray[np.int64]
    guards: Guards | None
    guarded: GuardedTexts
    guarded_before: GuardedTexts
    encoded: int

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(n, d) float32 unit rows, of the whole forms."""
        return self.vectors.whole

    def comparable(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (n,) bool: may these two be duplicates at all?

        left, right: (n,) numbers of forms, -1 for a blank text. Never where one is blank, or where the two hold
        different words that the encoder does not know. What is False here no threshold accepts.
        """
        group = np.append(self.group, -1)
        may: NDArray[np.bool_] = (left >= 0) & (right >= 0) & (group[left] == group[right])
        return may

    def fired(self, left: NDArray[np.integer[Any]], right: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Return (m, len(GUARDS)) bool: which guards fire for pairs of forms, whether `guards` heeds them or not.

        left, right: (m,) numbers of forms, -1 for a blank text, for which no guard fires.
        """
        fired = np.zeros((len(left), len(GUARDS)), dtype=np.bool_)
        written = (left >= 0) & (right >= 0)
        before = np.zeros(len(left), dtype=np.bool_)
        before[written] = self.vectors.same_end(left[written], right[written])
        for guarded, pairs in ((self.guarded, written & ~before), (self.guarded_before, before)):
            fired[pairs] = guarded.fired(left[pairs], right[pairs])
        return fired

    def score(
        self,
        left: NDArray[np.integer[Any]],
        right: NDArray[np.integer[Any]],
        similarity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return (m,) float32, what a threshold is compared with: the similarity, or less where a guard fires.

        left, right: (m,) numbers of forms that are comparable.  similarity: (m,) float32, the cosine of what they are
        compared by.
        """
        return similarity if self.guards is None else self.guards.score(similarity, self.fired(left, right))

    def score_of_others(
        self,
        threshold: float,
        left: NDArray[np.integer[Any]],
        right: NDArray[np.integer[Any]],
        similarity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return what `score` returns, for pairs that guards have not ruled out at this threshold.

        Where they rule pairs out, none fires for one of the others, and nothing has to be read again.
        """
        if self.guards is not None and self.guards.rule_out(threshold):
            return similarity
        return self.score(left, right, similarity)

    def similar(
        self,
        threshold: float,
        progress: Progress,
        *,
        search: Literal["exact", "ann"] = "exact",
        most: int | None = None,
        work: Path | None = None,
        join: Callable[..., SimilarPairs] | None = None,
    ) -> SimilarPairs:
        """Return every pair of forms in one group whose cosine is at or above `threshold`.

        search: "ann" for most of them; see `approximate_pairs`, and `certificate` for how many. All are compared as
        wholes then.
        work: a folder to go on from after an interruption; see `similar_pairs`. Raises TooManyPairsError where there
        are more than `most`, if that is given.
        join: takes the arguments of `similar_pairs`, or `approximate_pairs` for "ann", and returns the same, perhaps
        elsewhere.
        """
        sizes, starts = self._groups()
        empty = np.empty(0, dtype=np.int32)
        found = [(empty, empty, np.empty(0, dtype=np.float32))]
        with progress("Comparing", int((sizes * (sizes - 1) // 2).sum()), "pair") as advance:
            for group in np.flatnonzero(sizes > 1):
                start = np.int32(starts[group])
                rows = slice(int(start), int(start + sizes[group]))
                place = work / str(group) if work is not None and sizes[group] > _FEW_ROWS else None
                if search == "ann":
                    find = join or approximate_pairs
                    pairs = find(self.embeddings[rows], threshold, most=most, work=place, progress=advance)
                else:
                    find = join or similar_pairs
                    pairs = self.vectors.similar(rows, threshold, most=most, work=place, progress=advance, join=find)
                most = most and most - len(pairs)
                found.append((start + pairs.left, start + pairs.right, pairs.similarity))
        # Groups stand side by side, so what is found in one after the other is sorted as a whole.
        left, right, similarity = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return SimilarPairs(left, right, similarity)

    def certificate(self, pairs: SimilarPairs, threshold: float, progress: Progress) -> RecallCertificate | None:
        """Return how much `pairs` holds of what `similar` looks for by an index; None where it compares all pairs."""
        groups = [
            slice(start, start + size)
            for size, start in zip(*(column.tolist() for column in self._groups()), strict=True)
            if uses_index(size)
        ]
        if not groups:
            return None
        with progress("Certifying", sum(group.stop - group.start for group in groups), "text") as advance:
            return certify(self.embeddings, groups, pairs, threshold, progress=advance)

    def nearest(
        self,
        queries: NDArray[np.int64],
        corpus: NDArray[np.int64],
        k: int,
        progress: Progress,
        find: Callable[..., Neighbours] = nearest,
    ) -> list[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
        """Return for each query: its form, the k nearest forms of the corpus in its group, and their similarity.

        queries, corpus: numbers of forms, rising.  Nearest first, fewer than k where the group has fewer; queries with
        nothing of their group in the corpus are left out. A form that stands in the corpus itself comes first, with
        similarity 1, although others can have the same vector.
        find: takes the arguments of `search.nearest` and returns the same, perhaps elsewhere.
        """
        itself = np.isin(queries, corpus)
        query_group, corpus_group = self.group[queries], self.group[corpus]
        found: list[tuple[int, NDArray[np.int64], NDArray[np.float32]]] = []
        with progress("Matching", len(queries), "question") as advance:
            for group in np.unique(query_group):
                part = slice(*np.searchsorted(query_group, [group, group + 1]))
                asked = queries[part]
                known = corpus[slice(*np.searchsorted(corpus_group, [group, group + 1]))]
                if len(known):
                    near = find(self.embeddings[asked], self.embeddings[known], k, progress=advance)
                    rows = zip(asked.tolist(), itself[part].tolist(), known[near.rows], near.similarity, strict=True)
                    found += (
                        (query, *_itself_first(query, forms, similarity)) if there else (query, forms, similarity)
                        for query, there, forms, similarity in rows
                    )
                else:
                    advance(len(asked))
        return found

    def _groups(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the size of each group, and its first form."""
        sizes = np.bincount(self.group)
        return sizes, np.cumsum(sizes) - sizes


@dataclass(frozen=True, slots=True)
class Unread:
    """What of some rows the encoder did not read.

    truncated_rows: rows with a text that is longer than it reads.  unknown_rows: rows with words that it does not know.
    notes: a sentence on each kind of which there are any.
    """

    truncated_rows: int
    unknown_rows: int
    notes: tuple[str, ...]


def encode_texts(
    encoder: Encoder,
    given: DistinctTexts,
    progress: Progress,
    guards: Guards | None = None,
    before: Mapping[str, tuple[str, Hashable]] = MappingProxyType({}),
    encode: Callable[..., NDArray[np.float32]] | None = None,
) -> EncodedTexts:
    """Return distinct texts, encoded; raise InputError for vectors that are not unit rows.

    before: for some canonical forms another, not blank, which stands before their end, and the end. Where two have the
    same end, and the encoder knows the same words of what stands before it, they are compared by that.
    encode: takes the encoder and the arguments of its `encode`, and returns the same, perhaps elsewhere.
    """
    forms: Sequence[str] = given.forms
    if not forms:
        nothing = np.zeros((0, encoder.dimension), dtype=np.float32)
        none = GuardedTexts(())
        return EncodedTexts((), given.position, Vectors.of(nothing), (), given.position[:0], guards, none, none, 0)
    unknown = _unknown(encoder, forms)
    # No word is empty, so that a form without a known word has a key that no other form has.
    keys = [("", form) if words == (form,) else words for form, words in zip(forms, unknown, strict=True)]
    order = sorted(range(len(forms)), key=keys.__getitem__)
    place = np.empty(len(forms) + 1, dtype=np.int64)
    place[order], place[-1] = np.arange(len(forms)), -1
    forms = [forms[slot] for slot in order]
    group = np.cumsum([0, *(keys[slot] != keys[before] for before, slot in itertools.pairwise(order))])
    written = [given.written[slot] for slot in order]
    end = _ends(encoder, forms, group, before)
    shortened = {slot: before[forms[slot]][0] for slot in np.flatnonzero(end >= 0).tolist()}
    encoded = list(dict.fromkeys([*forms, *shortened.values()]))
    with progress("Encoding", len(encoded), "text") as advance:
        rows_of = encoder.encode if encode is None else partial(encode, encoder)
        embeddings = unit_rows(rows_of(encoded, progress=advance), "The encoder's vectors", rows=len(encoded))
    vectors = Vectors.of(embeddings)
    if shortened:
        row = {text: number for number, text in enumerate(encoded)}
        rows = [row[text] for text in shortened.values()]
        vectors = Vectors.of(embeddings[: len(forms)], end, embeddings[rows])
    guarded = guarded_before = GuardedTexts(forms, written)
    if shortened:
        guarded_before = GuardedTexts([shortened.get(slot, form) for slot, form in enumerate(forms)], written)
    return EncodedTexts(
        tuple(forms),
        place[given.position],
        vectors,
        tuple(unknown[slot] for slot in order),
        group,
        guards,
        guarded,
        guarded_before,
        len(encoded),
    )


def _unknown(encoder: Encoder, texts: Sequence[str]) -> Sequence[tuple[str, ...]]:
    """Return for each text the words that the encoder does not know."""
    unknown = encoder.unknown_words(texts) if isinstance(encoder, LimitedVocabulary) else [()] * len(texts)
    if len(unknown) != len(texts):
        raise InputError(f"The encoder's unknown words: there are {len(unknown)} rows for {len(texts)} texts.")
    return unknown


def _ends(
    encoder: Encoder,
    forms: Sequence[str],
    group: NDArray[np.int64],
    before: Mapping[str, tuple[str, Hashable]],
) -> NDArray[np.int64]:
    """Return (n,) int64, for `Vectors`: the end of each form; -1 for those without one, and where no other has it.

    Of what stands before the same end, only texts with the same unknown words are compared. Where two differ in them,
    their ends count as different, so that they are compared as wholes.
    """
    some = [slot for slot, form in enumerate(forms) if form in before]
    words = _unknown(encoder, [before[forms[slot]][0] for slot in some]) if some else ()
    ends = [(int(group[slot]), before[forms[slot]][1], known) for slot, known in zip(some, words, strict=True)]
    counts = Counter(ends)
    numbers: dict[Hashable, int] = {}
    end = np.full(len(forms), -1, dtype=np.int64)
    for slot, one in zip(some, ends, strict=True):
        if counts[one] > 1:
            end[slot] = numbers.setdefault(one, len(numbers))
    return end


def truncated_texts(encoder: Encoder, texts: EncodedTexts) -> NDArray[np.bool_]:
    """Return (n,) bool: which forms are longer than the encoder reads."""
    return encoder.truncated(texts.forms) if texts.forms else np.zeros(0, dtype=np.bool_)


def _itself_first(
    query: int, forms: NDArray[np.int64], similarity: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return as many neighbours, `query` before all others; where it is not among them, the farthest gives way."""
    others = np.flatnonzero(forms != query)[: len(forms) - 1]
    return np.append(query, forms[others]), np.append(np.float32(1.0), similarity[others])


def unread(texts: EncodedTexts, truncated: NDArray[np.bool_], position: NDArray[np.int64]) -> Unread:
    """Return what was not read of the rows whose forms are at `position`.

    truncated: (n,) bool, the forms that are longer than the encoder reads.
    """
    words = [texts.unknown[slot] if slot >= 0 else () for slot in position.tolist()]
    return unread_rows(int(np.append(truncated, False)[position].sum()), words)


def unread_rows(long_rows: int, unknown: Iterable[Sequence[str]]) -> Unread:
    """Return what was not read of some rows.

    long_rows: those with a text that is longer than the encoder reads.  unknown: of each row the words that it does not
    know.
    """
    some = [words for words in unknown if words]
    unknown_rows, notes = len(some), []
    if long_rows:
        have = "row has" if long_rows == 1 else "rows have"
        notes.append(f"{long_rows:,} {have} texts longer than the encoder reads: they are compared by their beginning.")
    if unknown_rows:
        hold = "row holds" if unknown_rows == 1 else "rows hold"
        words = set(itertools.chain.from_iterable(some))
        notes.append(
            f"{unknown_rows:,} {hold} words that the encoder does not know{examples(words)}. Such a row matches only "
            "rows with the same unknown words; without any word that is known, only the same text."
        )
    return Unread(long_rows, unknown_rows, tuple(notes))


def examples(words: Iterable[str]) -> str:
    """Return `, such as 'a' and 'b'` for the first one or two of the words in sorted order, cut where they are long."""
    first = sorted(set(words))[:_EXAMPLES]
    short = [word if len(word) <= _EXAMPLE_CHARACTERS else f"{word[:_EXAMPLE_CHARACTERS]}..." for word in first]
    return f", such as {' and '.join(map(repr, short))}"
