"""From the distinct texts, which are compared, back to the rows that hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration import Calibration
from dupdetect.clustering import Resolution
from dupdetect.encoded_texts import EncodedTexts
from dupdetect.graph import bridges
from dupdetect.possible import as_far_as_read, read_in_part
from dupdetect.questions import Questions
from dupdetect.results import Deduplication, PossiblePairs, RuledOutPairs, TextPairs
from dupdetect.review.candidates import Candidates, DrawnPairs
from dupdetect.search import SimilarPairs

__all__ = ["among", "by_row", "first_rows"]


def by_row(
    asked: Questions,
    texts: EncodedTexts,
    ranks: NDArray[np.int64],
    first: NDArray[np.int64],
    pairs: SimilarPairs,
    resolution: Resolution,
    calibration: Calibration,
    *,
    ruled_out: tuple[SimilarPairs, NDArray[np.bool_]] | None,
    possible: SimilarPairs | None,
    possible_from: float,
    truncated: NDArray[np.bool_],
    drawn: DrawnPairs | None,
    certain: SimilarPairs | None,
    notes: tuple[str, ...],
    run: dict[str, Any],
) -> Deduplication:
    """Carry what was decided for the distinct texts over to the rows that hold them.

    ranks: (rows,) `row_ranks`.  first: `first_rows` of these and `texts.position`.  pairs: of texts.
    ruled_out: pairs of texts that guards or reviewers rule out, and which; None where they are not listed.
    possible: pairs of texts that may be duplicates, and are not taken for it; None where none were looked for.
    possible_from: the threshold that they reach.
    truncated: (n,) bool, the texts that the encoder has not read to their end.
    drawn: pairs of texts to be reviewed.  certain: those of `pairs` that a person calls duplicates, if any.
    """
    slot = texts.position
    blank = slot < 0
    rows = np.arange(len(slot))
    survivor = np.where(blank, rows, np.append(first[resolution.survivor], -1)[slot])
    duplicate_of = np.where(survivor == rows, -1, survivor)
    similarity = np.append(resolution.similarity, np.nan).astype(np.float32)[slot]
    score = resolution.similarity.copy()
    removed = np.flatnonzero(~resolution.kept)
    score[removed] = texts.score_of_others(calibration.threshold, removed, resolution.survivor[removed], score[removed])
    probability = calibration.probability(np.nan_to_num(np.append(score, np.nan)[slot]))
    # A row that repeats its survivor's own text has no pair of its own: equal texts are equal by definition.
    same_text = (duplicate_of >= 0) & np.isnan(similarity)
    similarity[same_text], probability[same_text] = 1.0, 1.0
    probability[duplicate_of < 0] = np.nan
    if certain is not None:
        ends = np.sort(np.stack([removed, resolution.survivor[removed]]), axis=0).astype(np.int32)
        sure = np.zeros(len(resolution.survivor) + 1, dtype=np.bool_)
        sure[removed] = among(SimilarPairs(ends[0], ends[1], score[removed]), certain)
        probability[sure[slot] & (duplicate_of >= 0)] = 1.0
    return Deduplication(
        questions=asked,
        text_of=slot,
        pairs=_text_pairs(texts, first, pairs, calibration, certain, complete=ruled_out is not None),
        ruled_out=None if ruled_out is None else _ruled_out_pairs(texts, first, *ruled_out, calibration),
        possible=None
        if possible is None
        else _possible_pairs(texts, first, possible, truncated, possible_from, calibration),
        candidates=None if drawn is None else _candidates(asked, first, drawn),
        cluster_id=_cluster_ids(slot, ranks, resolution),
        duplicate_of=duplicate_of,
        similarity=similarity,
        probability=probability,
        calibration=calibration,
        notes=notes,
        run=run,
    )


def first_rows(slot: NDArray[np.int64], ranks: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return (n,): for each distinct text the row that represents it, the first in the order of `ranks`."""
    first = np.empty(n, dtype=np.int64)
    latest_first = np.argsort(-ranks)
    latest_first = latest_first[slot[latest_first] >= 0]
    first[slot[latest_first]] = latest_first  # the last write, of the lowest rank, stays
    return first


def among(pairs: SimilarPairs, others: SimilarPairs) -> NDArray[np.bool_]:
    """Return (m,) bool: which of the pairs are among the others."""
    mine, theirs = (some.left.astype(np.int64) << 32 | some.right for some in (pairs, others))
    return np.isin(mine, theirs)


def _text_pairs(
    texts: EncodedTexts,
    first: NDArray[np.int64],
    pairs: SimilarPairs,
    calibration: Calibration,
    certain: SimilarPairs | None,
    *,
    complete: bool,
) -> TextPairs:
    """Return the pairs of different texts and the repeats of each text, by row, sorted by (left, right).

    complete: whether these are all pairs; of some of them nobody can say what holds a cluster together.
    """
    slot = texts.position
    row_first = np.append(first, -1)[slot]
    repeats = np.flatnonzero((slot >= 0) & (row_first != np.arange(len(slot))))
    a = np.concatenate([first[pairs.left], row_first[repeats]])
    b = np.concatenate([first[pairs.right], repeats])
    left, right = np.minimum(a, b), np.maximum(a, b)
    similarity = np.concatenate([pairs.similarity, np.ones(len(repeats), dtype=np.float32)])
    same_text = np.arange(len(left)) >= len(pairs)
    score = texts.score_of_others(calibration.threshold, pairs.left, pairs.right, pairs.similarity)
    score = np.append(score, similarity[same_text])
    probability = np.where(same_text, 1.0, calibration.probability(score))
    if certain is not None:
        probability[: len(pairs)][among(pairs, certain)] = 1.0
    alone = np.zeros(len(left), dtype=np.int64)
    if complete:
        alone[: len(pairs)] = bridges(len(first), pairs.left, pairs.right)
    order = np.lexsort((right, left))
    return TextPairs(left[order], right[order], similarity[order], probability[order], same_text[order], alone[order])


def _ruled_out_pairs(
    texts: EncodedTexts,
    first: NDArray[np.int64],
    pairs: SimilarPairs,
    fired: NDArray[np.bool_],
    calibration: Calibration,
) -> RuledOutPairs:
    """Return the pairs that guards or reviewers rule out, by row, sorted by (left, right)."""
    a, b = first[pairs.left], first[pairs.right]
    left, right = np.minimum(a, b), np.maximum(a, b)
    probability = calibration.probability(texts.score(pairs.left, pairs.right, pairs.similarity))
    order = np.lexsort((right, left))
    return RuledOutPairs(left[order], right[order], pairs.similarity[order], probability[order], fired[order])


def _possible_pairs(
    texts: EncodedTexts,
    first: NDArray[np.int64],
    pairs: SimilarPairs,
    truncated: NDArray[np.bool_],
    possible_from: float,
    calibration: Calibration,
) -> PossiblePairs:
    """Return pairs that may be duplicates, by row, the likeliest first."""
    a, b = first[pairs.left], first[pairs.right]
    left, right = np.minimum(a, b), np.maximum(a, b)
    score = texts.score_of_others(possible_from, pairs.left, pairs.right, pairs.similarity)
    score = as_far_as_read(score, read_in_part(truncated, pairs), possible_from)
    probability = calibration.probability(score)
    order = np.lexsort((right, left, -score, -probability))
    return PossiblePairs(left[order], right[order], pairs.similarity[order], probability[order])


def _candidates(asked: Questions, first: NDArray[np.int64], drawn: DrawnPairs) -> Candidates:
    """Return the pairs to be reviewed, by row."""
    a, b = first[drawn.left], first[drawn.right]
    left, right = np.minimum(a, b), np.maximum(a, b)
    return Candidates(
        key=drawn.key,
        left_id=tuple(asked.ids[row] for row in left.tolist()),
        right_id=tuple(asked.ids[row] for row in right.tolist()),
        left_row=left,
        right_row=right,
        score=drawn.score,
        kind=drawn.kind,
        band=drawn.band,
        band_pairs=drawn.band_pairs,
        counted=drawn.counted,
        left_text=tuple(asked.texts[row] for row in left.tolist()),
        right_text=tuple(asked.texts[row] for row in right.tolist()),
    )


def _cluster_ids(slot: NDArray[np.int64], ranks: NDArray[np.int64], resolution: Resolution) -> NDArray[np.int64]:
    """Number the clusters from 1: most rows first, then by their first text; blank rows last, one by one, by rank.

    The order of the rows matters only where the keep policy is about that order.
    """
    blank = slot < 0
    # A cluster is labelled with its smallest node, and nodes are numbered by their texts, not by their rows.
    label = np.append(resolution.cluster, -1)[slot]
    labels, sizes = np.unique(label[~blank], return_counts=True)
    number = np.zeros(len(resolution.cluster) + 1, dtype=np.int64)
    number[labels[np.lexsort((labels, -sizes))]] = np.arange(1, len(labels) + 1)
    ids: NDArray[np.int64] = number[label]
    blank_rows = np.flatnonzero(blank)
    ids[blank_rows[np.argsort(ranks[blank_rows])]] = len(labels) + 1 + np.arange(len(blank_rows))
    return ids
