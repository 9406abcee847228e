"""Matching, from queries and known questions to what each query asks: encode, compare, and name the rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dupdetect.best_matches import as_asked, best_matches, scores_of
from dupdetect.calibration import Calibration
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import encode_texts, truncated_texts, unread
from dupdetect.encoder import Encoder
from dupdetect.guards import Guards
from dupdetect.progress import Progress, silent
from dupdetect.questions import Questions
from dupdetect.results import Match, Matches
from dupdetect.search import Neighbours, nearest
from dupdetect.search.on_device import nearest_on

__all__ = ["matched"]


def matched(
    asked: Questions,
    known: Questions,
    encoder: Encoder,
    calibration: Calibration,
    guards: Guards | None,
    *,
    top_k: int,
    device: str,
    progress: Progress,
) -> Matches:
    """Return what `Detector.match` says of these questions.

    device: where vectors are compared, "cpu" or a graphics card.
    """
    texts = encode_texts(encoder, DistinctTexts.of([*asked.texts, *known.texts]), progress, guards)
    query_slot, corpus_slot = texts.position[: len(asked)], texts.position[len(asked) :]
    slots, rows = np.unique(corpus_slot, return_index=True)
    first_row = dict(zip(slots.tolist(), rows.tolist(), strict=True))
    find, distinct = _nearest(device), DistinctTexts.of(known.texts)
    round_of, rounds = as_asked(query_slot.tolist(), asked.texts)
    found_by: dict[tuple[int, int], tuple[Match, ...]] = {}
    for number, score_by in enumerate(scores_of(texts, distinct, rounds)):
        forms = np.array(sorted(rounds[number]), dtype=np.int64)
        reached = (slots[slots >= 0], top_k, calibration.threshold, score_by, progress if number == 0 else silent)
        for query, near, similarity, score in best_matches(texts, forms, *reached, find):
            probability = np.where(near == query, 1.0, calibration.probability(score))
            found_by[query, number] = tuple(
                Match(row, known.ids[row], known.texts[row], value, chance)
                for row, value, chance in zip(
                    (first_row[slot] for slot in near.tolist()),
                    similarity.tolist(),
                    probability.tolist(),
                    strict=True,
                )
            )
    found = tuple(found_by.get(key) or None for key in zip(query_slot.tolist(), round_of, strict=True))
    truncated = truncated_texts(encoder, texts)
    notes = (
        *(f"Queries: {note}" for note in unread(texts, truncated, query_slot).notes),
        *(f"Known questions: {note}" for note in unread(texts, truncated, corpus_slot).notes),
        *_repeats_note(corpus_slot),
    )
    return Matches(asked, found, calibration.threshold, top_k, notes)


def _nearest(device: str) -> Callable[..., Neighbours]:
    """Return what finds the nearest vectors: the processor, or a graphics card."""
    return nearest if device == "cpu" else partial(nearest_on, device)


def _repeats_note(corpus_slot: NDArray[np.int64]) -> tuple[str, ...]:
    """Say how many known questions no match can name."""
    written = corpus_slot[corpus_slot >= 0]
    repeats = len(written) - len(np.unique(written))
    if not repeats:
        return ()
    rows = "1 row has" if repeats == 1 else f"{repeats:,} rows have"
    return (f"Known questions: {rows} the text of an earlier row; a match names the first row with its text.",)
