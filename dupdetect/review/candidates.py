"""Which pairs of an export to show to a reviewer: drawn at random, with known chances.

Labels of pairs that were drawn at random speak for all pairs of the export, and so can certify a precision *there*,
which labelled pairs from elsewhere cannot. Pairs near the top are few and matter most, pairs far below the threshold
are many and nearly all different, so they are drawn in bands, as many in each (stratified sampling): a labelled pair
weighs the number of pairs in its band over the number of labels in it.

- Pairs at or above the threshold: five bands of equally many pairs. All that the search finds are known.
- Possible pairs, below it and at or above the threshold of the detector, and those with a text that was not read to its
  end: three such bands. All are known too.
- Pairs that guards rule out: a band of their own. All are known.
- Pairs below the threshold of the detector, down to where few are duplicates: three bands of equal width. Of large
  exports only those of 2,000 texts drawn at random are looked at; a pair is among them with the chance 1 - (1 - f)^2,
  where f is the share of the texts drawn, so their number in all is estimated as the number seen divided by this
  chance. The estimate is right on average, but pairs that share texts are seen or missed together (a family of texts
  that differ in one word), which no label tells. So these bands are not `counted`, and certify nothing.

Everything is drawn by hashes of the texts: the same pairs, whatever the order of the rows.

Possible pairs are also what a person can decide one by one, so more of them are drawn. Whoever labels nothing else
still takes them in the order in which they were drawn, so these labels are worth as much as any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoded_texts import EncodedTexts
from dupdetect.errors import ArtifactError, DupdetectError, InputError
from dupdetect.frozen import Frozen
from dupdetect.progress import Progress
from dupdetect.search import SimilarPairs, float32_error
from dupdetect.search.marked import marked_places
from dupdetect.tables import read_table
from dupdetect.text import canonical

__all__ = ["CANDIDATES", "CANDIDATE_COLUMNS", "Candidates", "DrawnPairs", "Kind", "draw_candidates", "pair_key"]

Kind = Literal["above", "possible", "ruled out", "below"]
"""Of a band: pairs from the threshold on, which count; possible ones; ruled out by guards; below all of these."""

CANDIDATES = "candidates.csv"
CANDIDATE_COLUMNS = (
    *("key", "left_id", "right_id", "left_row", "right_row"),
    *("score", "kind", "band", "band_pairs", "counted", "left_text", "right_text"),
)
_DRAWN = 100  # pairs of a band: more than anyone labels at a sitting
_DRAWN_POSSIBLE = 500
_BANDS_ABOVE, _BANDS_POSSIBLE, _BANDS_BELOW = 5, 3, 3
_TEXTS = 2_000
_ROWS, _COLUMNS = 256, 16_384  # compared in one go


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPairs:
    """m pairs of texts in the order in which they should be asked about.

    left, right: (m,) int64 numbers of forms.  key: 32 hexadecimal digits for the two texts of each.
    score: (m,) float32.  band: (m,) int64 from 0.  kind: of the band of each.  band_pairs: (m,) float64, how many pairs
    of the export are in it.  counted: (m,) bool, whether all of these were looked at; else their number is an estimate.
    """

    key: tuple[str, ...]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    score: NDArray[np.float32]
    kind: tuple[Kind, ...]
    band: NDArray[np.int64]
    band_pairs: NDArray[np.float64]
    counted: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates(Frozen):
    """n pairs of rows to be labelled, in the order in which they should be asked about.

    The bands take turns, and within a band the order is random, so that what is labelled of a band is a simple random
    sample of it wherever the reviewer stops. A labelled pair weighs `band_pairs` over the labels in its band.

    key: 32 hexadecimal digits for the two canonical texts of each.  left_id, right_id: ids of rows with these texts.
    left_row, right_row: (n,) int64 row numbers from 0.  score: (n,) float32 in [-1, 1], what a threshold is compared
    with.  band: (n,) int64 from 0.  kind: of the band of each.  band_pairs: (n,) float64, how many pairs of the export
    are in the band.
    counted: (n,) bool, whether all of these were looked at; else their number is an estimate.
    left_text, right_text: as they came.
    """

    key: tuple[str, ...]
    left_id: tuple[str, ...]
    right_id: tuple[str, ...]
    left_row: NDArray[np.int64]
    right_row: NDArray[np.int64]
    score: NDArray[np.float32]
    kind: tuple[Kind, ...]
    band: NDArray[np.int64]
    band_pairs: NDArray[np.float64]
    counted: NDArray[np.bool_]
    left_text: tuple[str, ...]
    right_text: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.key)

    def rows(self) -> Iterator[Sequence[str]]:
        """Yield the cells of candidates.csv, under `CANDIDATE_COLUMNS`; rows are numbered from 1 there."""
        columns = (
            *(self.key, self.left_id, self.right_id, (self.left_row + 1).tolist(), (self.right_row + 1).tolist()),
            *(map(str, self.score), self.kind, self.band.tolist(), self.band_pairs.tolist()),
            *(np.where(self.counted, "yes", "no").tolist(), self.left_text, self.right_text),
        )
        for cells in zip(*columns, strict=True):
            yield tuple(str(cell) for cell in cells)

    @classmethod
    def read(cls, path: Path) -> Candidates:
        """Read candidates.csv.

        Raises InputError where there is none, ArtifactError where it is damaged or was changed.
        """
        if not path.is_file():
            raise InputError(f"{path} is not there. Run `dupdetect dedupe` (again): it draws the pairs to review.")
        try:
            table = read_table(path)
            if table.columns != CANDIDATE_COLUMNS:
                raise InputError(f"its columns are {', '.join(table.columns)}")
            column = {name: table.column(name) for name in CANDIDATE_COLUMNS}
            found = cls(
                key=tuple(column["key"]),
                left_id=tuple(column["left_id"]),
                right_id=tuple(column["right_id"]),
                left_row=np.array(column["left_row"], dtype=np.int64) - 1,
                right_row=np.array(column["right_row"], dtype=np.int64) - 1,
                score=np.array(column["score"], dtype=np.float32),
                kind=tuple(map(_kind, column["kind"])),
                band=np.array(column["band"], dtype=np.int64),
                band_pairs=np.array(column["band_pairs"], dtype=np.float64),
                counted=np.array([cell == "yes" for cell in column["counted"]], dtype=np.bool_),
                left_text=tuple(column["left_text"]),
                right_text=tuple(column["right_text"]),
            )
        except (DupdetectError, ValueError, OverflowError) as error:
            raise ArtifactError(f"{path} cannot be read ({error}). Run `dupdetect dedupe` again.") from None
        sound = (
            np.all(np.abs(found.score) <= 1)
            and np.all(found.band >= 0)
            and np.all(np.isfinite(found.band_pairs) & (found.band_pairs >= 1))
            and set(column["counted"]) <= {"yes", "no"}
            and len(set(found.key)) == len(found.key)
            and all(map(_is_key, found.key, found.left_text, found.right_text))
        )
        if not sound:
            raise ArtifactError(f"{path} was changed, or is damaged. Run `dupdetect dedupe` again.")
        return found


def draw_candidates(
    texts: EncodedTexts,
    sure: SimilarPairs,
    possible: SimilarPairs,
    ruled_out: SimilarPairs,
    least: float,
    floor: float,
    progress: Progress,
) -> DrawnPairs:
    """Draw the pairs of forms to be labelled.

    sure, possible: all pairs from the cosine `least` on that no guard rules out, those that count and the others.
    ruled_out: all that guards rule out there.  floor: the cosine below which no pairs are drawn.
    """
    hashes = _hashes(texts.forms)
    bands = _known_bands("above", sure, _BANDS_ABOVE, hashes)
    bands += _known_bands("possible", possible, _BANDS_POSSIBLE, hashes)
    if len(ruled_out):
        bands.append(_Band("ruled out", len(ruled_out)).with_pairs(ruled_out.left, ruled_out.right, hashes))
    bands += [band for band in _bands_below(texts, least, floor, hashes, progress) if len(band.left)]
    left, right = (np.concatenate([getattr(band, side) for band in bands] or [_NONE]) for side in ("left", "right"))
    number = np.repeat(np.arange(len(bands)), [len(band.left) for band in bands])
    turn = np.concatenate([np.arange(len(band.left)) for band in bands] or [_NONE])
    pairs = np.array([band.pairs for band in bands], dtype=np.float64)
    counted = np.array([band.counted for band in bands], dtype=np.bool_)
    key = [pair_key(texts.forms[i], texts.forms[j]) for i, j in zip(left.tolist(), right.tolist(), strict=True)]
    # In each round every band has its turn, in an order that does not tell which is which. The hashes would: of a large
    # band the smallest are smaller than of a small one.
    asked = np.lexsort((np.array(key, dtype=np.str_), turn))
    left, right, number = left[asked].astype(np.int64), right[asked].astype(np.int64), number[asked]
    similarity = texts.vectors.similarity(left, right)
    return DrawnPairs(
        key=tuple(key[place] for place in asked.tolist()),
        left=left,
        right=right,
        score=texts.score(left, right, similarity),
        kind=tuple(bands[band].kind for band in number.tolist()),
        band=number.astype(np.int64),
        band_pairs=pairs[number],
        counted=counted[number],
    )


_NONE = np.zeros(0, dtype=np.int64)


class _Band:
    """Some pairs, of which those with the smallest hashes are drawn; their number, counted or estimated."""

    def __init__(self, kind: Kind, pairs: float, *, counted: bool = True) -> None:
        self.kind = kind
        self.pairs = pairs
        self.counted = counted
        self.left: NDArray[np.integer[Any]] = _NONE
        self.right: NDArray[np.integer[Any]] = _NONE
        self.order = np.zeros(0, dtype=np.uint64)

    def with_pairs(
        self, left: NDArray[np.integer[Any]], right: NDArray[np.integer[Any]], hashes: NDArray[np.uint64]
    ) -> _Band:
        """Draw from these pairs too; return the band."""
        order = np.concatenate([self.order, _mixed(hashes[left], hashes[right])])
        left, right = np.concatenate([self.left, left]), np.concatenate([self.right, right])
        most = _DRAWN_POSSIBLE if self.kind == "possible" else _DRAWN
        if len(order) > most:
            some = np.argpartition(order, most)[:most]
            left, right, order = left[some], right[some], order[some]
        first = np.argsort(order)
        self.left, self.right, self.order = left[first], right[first], order[first]
        return self


def _known_bands(kind: Kind, found: SimilarPairs, count: int, hashes: NDArray[np.uint64]) -> list[_Band]:
    """Return at most `count` bands of equally many pairs, the most similar first; pairs of one similarity are in one
    band."""
    if not len(found):
        return []
    ranks = np.linspace(0, len(found), count + 1)[1:-1].astype(np.int64)
    edges = np.unique(np.sort(found.similarity)[ranks])  # each is the lowest similarity of a band
    number = len(edges) - np.searchsorted(edges, found.similarity, side="right")
    bands = []
    for which in range(len(edges) + 1):
        rows = np.flatnonzero(number == which)
        if len(rows):
            bands.append(_Band(kind, len(rows)).with_pairs(found.left[rows], found.right[rows], hashes))
    return bands


def _bands_below(
    texts: EncodedTexts, least: float, floor: float, hashes: NDArray[np.uint64], progress: Progress
) -> list[_Band]:
    """Return bands of equal width from the cosine `least` down to the floor, the most similar first."""
    n = len(texts.forms)
    if not floor < least or not n:
        return []
    edges = np.linspace(least, floor, _BANDS_BELOW + 1)
    bands = [_Band("below", 0.0, counted=n <= _TEXTS) for _ in range(_BANDS_BELOW)]
    drawn = np.sort(np.argsort(hashes, kind="stable")[:_TEXTS])
    is_drawn = np.zeros(n, dtype=np.bool_)
    is_drawn[drawn] = True
    seen = np.zeros(_BANDS_BELOW, dtype=np.int64)
    error = float32_error(texts.embeddings.shape[1])
    starts = np.searchsorted(texts.group, texts.group[drawn], side="left")
    stops = np.searchsorted(texts.group, texts.group[drawn], side="right")
    with progress("Drawing pairs to review", len(drawn), "text") as advance:
        for first in range(0, len(drawn), _ROWS):
            rows = drawn[first : first + _ROWS]
            low, high = starts[first], stops[first : first + _ROWS].max()
            for start in range(low, high, _COLUMNS):
                columns = np.arange(start, min(start + _COLUMNS, high))
                product = texts.vectors.products(rows, columns)
                i, j = np.divmod(marked_places(product >= np.float32(floor - error)), len(columns))
                left, right, similarity = rows[i], columns[j], product[i, j].astype(np.float64)
                # Each pair once, from the drawn text with the lower number where both are drawn.
                once = (left < right) | ((left > right) & ~is_drawn[right])
                once &= texts.group[left] == texts.group[right]
                left, right, similarity = left[once], right[once], similarity[once]
                doubtful = np.abs(similarity[:, None] - edges).min(axis=1) <= error
                similarity[doubtful] = texts.vectors.similarity(left[doubtful], right[doubtful])
                band = np.searchsorted(-edges, -similarity, side="right") - 1
                band[similarity >= least] = -1
                for which in range(_BANDS_BELOW):
                    there = band == which
                    seen[which] += there.sum()
                    bands[which].with_pairs(
                        np.minimum(left[there], right[there]), np.maximum(left[there], right[there]), hashes
                    )
            advance(len(rows))
    share = len(drawn) / n
    for which, count in enumerate(seen.tolist()):
        bands[which].pairs = count / (1 - (1 - share) ** 2)
    return bands


def _hashes(forms: Sequence[str]) -> NDArray[np.uint64]:
    """Return (n,) uint64: a number for each text that depends on nothing but the text."""
    digests = b"".join(hashlib.blake2b(form.encode("utf-8"), digest_size=8).digest() for form in forms)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _kind(cell: str) -> Kind:
    for kind in get_args(Kind):
        if cell == kind:
            found: Kind = kind
            return found
    raise ValueError(f"{cell!r} is no kind of band")


def _is_key(key: str, left: str, right: str) -> bool:
    """Tell whether the key is that of the two texts, one or both of which may have been defused for a spreadsheet."""
    sides = [{canonical(text), canonical(text.removeprefix("'"))} for text in (left, right)]
    return any(pair_key(one, other) == key for one in sides[0] for other in sides[1])


def _mixed(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a number for each pair, the same for both orders, and as if drawn at random (the mixer of SplitMix64)."""
    mixed = (left + right) ^ (left * right)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def pair_key(first: str, second: str) -> str:
    """Return 32 hexadecimal digits for two canonical texts, the same for both orders: labels are kept under them."""
    return hashlib.blake2b("\0".join(sorted((first, second))).encode("utf-8"), digest_size=16).hexdigest()
