"""What a deduplication says about itself: its notes, and what run.json holds of the search."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import numpy as np

from dupdetect.calibration import Calibration, EstimatedPrecision
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import EncodedTexts
from dupdetect.ruled_out import blocks
from dupdetect.search import RECALL, RecallCertificate, SimilarPairs

__all__ = [
    "confirmed_note",
    "crowded_note",
    "half_read_note",
    "repeated_note",
    "search_record",
    "too_many_pairs",
    "unheeded_note",
]

_MANY_ROWS, _MANY_SHARE = 20, 0.02  # of one text, which may be no question
_SHOWN = 60  # characters of it


def too_many_pairs(asked: Calibration, least: Calibration, most: int) -> str:
    """Say from where on pairs count, where these are not all that reach the threshold asked for; "" where they are."""
    if least.threshold <= asked.threshold or not isinstance(least.criterion, EstimatedPrecision):
        return ""
    chance = f"{least.criterion.precision:g}"
    more = f"More than {most:,} pairs of texts reach the threshold of the detector, cosine {asked.threshold:.4f}"
    if least.threshold > 1:
        return f"{more}, too many to list, and no pair is a duplicate with a probability of {chance}: none counts."
    return (
        f"{more}, too many to list. They count from cosine {least.threshold:.4f} on, where each is a duplicate with a "
        f"probability of at least {chance}; possible duplicates below that are not listed."
    )


def crowded_note(most: int, listed: int, *, in_part: bool) -> str:
    """Say what is listed where there are too many pairs.

    in_part: whether there are texts that the encoder has not read to their end, and whose pairs do not count.
    """
    note = (
        f"More than {most:,} pairs of texts reach the threshold, too many to list: listed are {listed:,}, "
        "those of a text that is removed and one that stays. What stays, and what is a cluster, is as if all were "
        "listed. Pairs that are ruled out are not listed, and none are drawn for review."
    )
    if in_part:
        note += " Pairs with a text longer than the encoder reads do not count: nobody has compared how they end."
    return note


def unheeded_note(texts: EncodedTexts, pairs: SimilarPairs | None, threshold: float) -> tuple[str, ...]:
    """Say where the threshold is so low that pairs count although a guard fires for them."""
    if texts.guards is None or texts.guards.rule_out(threshold):
        return ()
    many = "A pair"
    if pairs is not None:
        parts = ((pairs.left[some], pairs.right[some]) for some in blocks(len(pairs)))
        count = sum(int(texts.fired(left, right).any(axis=1).sum()) for left, right in parts)
        if not count:
            return ()
        many = "1 pair" if count == 1 else f"{count:,} pairs"
    verb = "differ" if many.endswith("s") else "differs"
    return (
        f"{many} that {verb} in numbers, a negation, an opposite and the like only "
        f"{'counts' if verb == 'differs' else 'count'} as duplicates: what guards leave of their score, "
        f"{texts.guards.cap:.4f}, reaches the threshold.",
    )


def half_read_note(pairs: int) -> tuple[str, ...]:
    """Say of how many pairs nobody knows how they end."""
    if not pairs:
        return ()
    are = "1 pair that looks" if pairs == 1 else f"{pairs:,} pairs that look"
    return (
        f"{are} like duplicates, with a text longer than the encoder reads, "
        f"{'is' if pairs == 1 else 'are'} possible only: nobody has compared how they end.",
    )


def repeated_note(distinct: DistinctTexts) -> tuple[str, ...]:
    """Say which text many rows hold: a subject that a form fills in is not what each of them asks."""
    rows = np.bincount(distinct.position[distinct.position >= 0], minlength=1)
    many = int(rows.argmax())
    if rows[many] < max(_MANY_ROWS, _MANY_SHARE * len(distinct.position)):
        return ()
    form = distinct.forms[many]
    short = form if len(form) <= _SHOWN else f"{form[:_SHOWN]}..."
    return (
        f"{rows[many]:,} rows have the same text, {short!r}. If that is not what each of them asks, compare another "
        "column as well.",
    )


def confirmed_note(keys: Collection[str], certain: SimilarPairs | None, threshold: float) -> tuple[str, ...]:
    """Say how many of the pairs with these keys, which reviewers call duplicates, are found and count."""
    if certain is None:
        return ("There are too many pairs to list, so those that reviewers call duplicates do not count.",) * bool(keys)
    below = int((certain.similarity < threshold).sum())
    return (
        f"{len(certain):,} of the {len(keys):,} pairs that reviewers call duplicates are found here and count, "
        f"{below:,} of them below the threshold: their similarity is the measured one, and their probability is given "
        "as 1.",
    )


def search_record(certificate: RecallCertificate | None, library: str, *, every_pair: bool) -> dict[str, Any]:
    """Return what run.json says about the search, and where not all pairs are listed, which ones."""
    if certificate is None:
        return {"kind": "exact"} if every_pair else {"kind": "exact", "listed": "removed texts and those that stay"}
    asked = {"kind": "ann", "library": library, "recall_aimed_at": RECALL}
    return {**asked, **asdict(certificate), "certificate": str(certificate)}
