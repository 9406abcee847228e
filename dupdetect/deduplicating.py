"""One deduplication, from questions to what stays: encode, compare, cluster, and carry it over to the rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.boilerplate import NO_BOILERPLATE, find_boilerplate
from dupdetect.calibration import Calibration
from dupdetect.clustering import Resolution, connection_strength
from dupdetect.crowded import crowded
from dupdetect.deduplication_notes import (
    confirmed_note,
    crowded_note,
    half_read_note,
    repeated_note,
    search_record,
    too_many_pairs,
    unheeded_note,
)
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import EncodedTexts, encode_texts, truncated_texts, unread
from dupdetect.encoder import Encoder
from dupdetect.encoder.cache import cached_texts
from dupdetect.engines import Engine, LocalEngine
from dupdetect.errors import InputError
from dupdetect.guards import GUARDS, Guards
from dupdetect.keep import Keep, row_ranks
from dupdetect.listing import Search, list_pairs, most_pairs, room
from dupdetect.possible import Divided, read_in_part
from dupdetect.progress import Progress
from dupdetect.questions import Questions
from dupdetect.results import Deduplication
from dupdetect.review.candidates import draw_candidates, pair_key
from dupdetect.row_results import among, by_row, first_rows
from dupdetect.ruled_out import REASONS, blocks, reasons
from dupdetect.search import SimilarPairs, index_library

__all__ = ["deduplicated"]

_FLOOR = 0.05  # probability of a duplicate below which no pairs are drawn for review

Why = Callable[[NDArray[np.integer[Any]], NDArray[np.integer[Any]]], NDArray[np.bool_]]


def deduplicated(
    asked: Questions,
    encoder: Encoder,
    calibration: Calibration,
    guards: Guards | None,
    policy: Keep,
    *,
    model: str,
    model_from: str | None = None,
    search: Search,
    work: Path | None,
    told_apart: Collection[str],
    without_boilerplate: bool,
    estimated_precision: float | None,
    progress: Progress,
    engine: Engine | None = None,
    find: Callable[[EncodedTexts], SimilarPairs] | None = None,
    merged: Callable[[EncodedTexts], SimilarPairs] | None = None,
    stays: Sequence[int] = (),
    confirmed: Collection[str] = (),
) -> Deduplication:
    """Return what `Detector.deduplicate` says of these questions.

    policy: has been checked against them.  model: the name of the detector, for the record, and the
    folder or hub name that it was loaded from, None for a shipped one.  engine: has been entered;
    a local one where none is given.  find: returns all pairs of texts at or above the threshold, where they are known
    and need not be searched for.  merged: returns pairs that people have put together; they count whatever their
    similarity and the guards, where pairs are listed.  stays: rows that are asked before all others, in this order.
    confirmed: `pair_key` of pairs that reviewers call duplicates; those that are listed, ruled out or possible, count.
    """
    engine = engine or LocalEngine()
    library = index_library() if search == "ann" else ""
    seconds: dict[str, float] = {}
    cached_before = cached_texts(encoder)
    with _timed(seconds, "distinct"):
        distinct = DistinctTexts.of(asked.texts)
    with _timed(seconds, "boilerplate"):
        boilerplate = find_boilerplate(distinct) if find is None else NO_BOILERPLATE
    with _timed(seconds, "encode"):
        without_boilerplate &= search == "exact"
        before = boilerplate.before if without_boilerplate else {}
        texts = encode_texts(encoder, distinct, progress, guards, before, engine.encode)
        truncated = truncated_texts(encoder, texts)
        missed = unread(texts, truncated, texts.position)
    cached = cached_texts(encoder) - cached_before
    with _timed(seconds, "search"):
        least = calibration
        if find:
            pairs: SimilarPairs | None = find(texts)
        else:
            pairs, least = list_pairs(texts, calibration, estimated_precision, progress, search, work, engine)
    most = most_pairs(search, len(texts.forms))
    too_many = too_many_pairs(calibration, least, most)
    calibration = least
    certificate = None
    search_notes: tuple[str, ...] = ()
    if search == "ann" and pairs is not None and least.threshold <= 1:
        with _timed(seconds, "certify"):
            certificate = texts.certificate(pairs, calibration.threshold, progress)
        if certificate is None:
            search_notes = ("So few texts were all compared with each other: the search was exact.",)
    why = partial(reasons, texts, calibration.threshold, told_apart)
    ruled_out = None
    if pairs is not None:
        with _timed(seconds, "rule out"):
            pairs, ruled_out = _without_ruled_out(pairs, why)
    found, listed_from = pairs, calibration.threshold
    possible, divided = None, None
    if pairs is not None and ruled_out is not None and estimated_precision is not None:
        alike = texts.score_of_others(listed_from, pairs.left, pairs.right, pairs.similarity)
        part = read_in_part(truncated, pairs)
        if too_many:
            divided = Divided.at(calibration, alike, part)
        else:
            divided = Divided.of(calibration, alike, part, estimated_precision)
        calibration = divided.calibration
        pairs, possible = pairs.where(divided.sure), pairs.where(~divided.sure)
    unheeded = unheeded_note(texts, pairs, calibration.threshold)
    drawn = None
    if found is not None and ruled_out is not None:
        listed, by_guards = _by_guards_alone(found, *ruled_out)
        sure = np.ones(len(listed), dtype=np.bool_)
        if divided is not None:
            alike = texts.score_of_others(listed_from, listed.left, listed.right, listed.similarity)
            sure = Divided.at(calibration, alike, read_in_part(truncated, listed)).sure
        with _timed(seconds, "draw"):
            drawn = draw_candidates(
                texts,
                listed.where(sure),
                listed.where(~sure),
                by_guards,
                listed_from,
                _review_floor(calibration),
                progress,
            )
    certain = None
    if pairs is not None and ruled_out is not None:
        if merged is not None:
            pairs, ruled_out, possible = _counting(merged(texts), pairs, ruled_out, possible)
        if confirmed:
            parts = [pairs, ruled_out[0], *([] if possible is None else [possible])]
            certain = _in_order([some.where(_of_keys(texts, some, confirmed)) for some in parts])
            pairs, ruled_out, possible = _counting(certain, pairs, ruled_out, possible)
    with _timed(seconds, "cluster"):
        unsure = None if estimated_precision is None else truncated
        decided = _decided(
            asked, texts, pairs, most, calibration.threshold, policy, why, unsure, progress, engine, stays
        )
    more: dict[str, int] = {}
    if possible is not None and divided is not None:
        alike = texts.score_of_others(listed_from, possible.left, possible.right, possible.similarity)
        more = divided.more(alike, read_in_part(truncated, possible))
    result = by_row(
        asked,
        texts,
        decided.ranks,
        decided.first,
        decided.pairs,
        decided.resolution,
        calibration,
        ruled_out=ruled_out,
        possible=possible,
        possible_from=listed_from,
        truncated=truncated,
        drawn=drawn,
        certain=certain,
        notes=(
            *asked.notes,
            *repeated_note(distinct),
            *confirmed_note(confirmed, certain, calibration.threshold),
            *decided.notes,
            *boilerplate.notes(left_out=without_boilerplate),
            *missed.notes,
            *unheeded,
            *half_read_note(0 if divided is None else divided.read_in_part),
            *search_notes,
        ),
        run={
            "model": model,
            "model_from": model_from,
            "keep": str(policy),
            "guards": None if guards is None else guards.to_dict(),
            "told_apart_by_reviewers": len(told_apart),
            "confirmed_by_reviewers": 0 if certain is None else len(certain),
            "engine": engine.record(),
            "search": search_record(certificate, library, every_pair=pairs is not None),
            "truncated_rows": missed.truncated_rows,
            "pairs_read_in_part": 0 if divided is None else divided.read_in_part,
            "unknown_word_rows": missed.unknown_rows,
            "without_boilerplate": without_boilerplate,
            "boilerplate": [{"sentence": sentence, "texts": count} for sentence, count in boilerplate.sentences],
            "encoded_texts": texts.encoded - cached,
            "cached_texts": cached,
            "too_many_pairs": too_many,
            "possible_from": None if divided is None or too_many else listed_from,
            "more_at_lower_precision": more,
            "seconds": seconds,
        },
    )
    return replace(result, certificate=certificate)


@dataclass(frozen=True, slots=True, eq=False)
class _Decided:
    """ranks, first: see `keep.row_ranks` and `first_rows`.  pairs: those that are listed."""

    ranks: NDArray[np.int64]
    first: NDArray[np.int64]
    pairs: SimilarPairs
    resolution: Resolution
    notes: tuple[str, ...]


def _decided(
    asked: Questions,
    texts: EncodedTexts,
    pairs: SimilarPairs | None,
    most: int,
    threshold: float,
    policy: Keep,
    why: Why,
    unsure: NDArray[np.bool_] | None,
    progress: Progress,
    engine: Engine,
    stays: Sequence[int],
) -> _Decided:
    """Choose what stays. `pairs`: all that count, or None where there are more than `most`.  why: some do not.
    unsure: nor do, where there are too many, those with one of these texts.  stays: rows that are asked first."""
    n = len(texts.forms)
    weight = np.bincount(texts.position[texts.position >= 0], minlength=n)
    strength = weight - 1.0
    if pairs is not None:
        strength += connection_strength(n, pairs, weight)
    elif policy.name == "medoid":
        raise InputError(
            f"More than {most:,} pairs of texts reach the threshold, and keep='medoid' needs them all. "
            "Choose another policy, such as 'first' or 'longest', or a higher threshold."
        )
    row_strength = np.where(texts.position >= 0, np.append(strength, 0.0)[texts.position], 0.0)
    forms = [texts.forms[slot] if slot >= 0 else "" for slot in texts.position.tolist()]
    ranks, notes = row_ranks(policy, asked, forms, row_strength)
    ranks[list(stays)] = np.arange(-len(stays), 0)
    ranks = np.argsort(np.argsort(ranks))
    first = first_rows(texts.position, ranks, n)
    if pairs is not None:
        return _Decided(ranks, first, pairs, engine.resolve(n, pairs, ranks[first]), tuple(notes))

    def out(left: NDArray[np.integer[Any]], right: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        ruled_out: NDArray[np.bool_] = np.logical_or.reduce(why(left, right), axis=1)
        return ruled_out if unsure is None else ruled_out | unsure[left] | unsure[right]

    pairs, cluster = crowded(texts.vectors, texts.group, threshold, ranks[first], room(n), progress, out)
    note = crowded_note(most, len(pairs), in_part=unsure is not None and bool(unsure.any()))
    resolution = replace(engine.resolve(n, pairs, ranks[first]), cluster=cluster)
    return _Decided(ranks, first, pairs, resolution, (*notes, note))


def _without_ruled_out(pairs: SimilarPairs, why: Why) -> tuple[SimilarPairs, tuple[SimilarPairs, NDArray[np.bool_]]]:
    """Return the pairs that count; and those that do not, with (m, len(REASONS)) bool, why."""
    found = np.concatenate(
        [
            np.zeros((0, len(REASONS)), dtype=np.bool_),
            *(why(pairs.left[some], pairs.right[some]) for some in blocks(len(pairs))),
        ]
    )
    out: NDArray[np.bool_] = np.logical_or.reduce(found, axis=1)
    return pairs.where(~out), (pairs.where(out), found[out])


def _counting(
    these: SimilarPairs,
    pairs: SimilarPairs,
    ruled_out: tuple[SimilarPairs, NDArray[np.bool_]],
    possible: SimilarPairs | None,
) -> tuple[SimilarPairs, tuple[SimilarPairs, NDArray[np.bool_]], SimilarPairs | None]:
    """Return the pairs that count, these among them, those that are ruled out, and the possible ones."""
    left = ~among(ruled_out[0], these)
    return (
        _in_order([pairs.where(~among(pairs, these)), these]),
        (ruled_out[0].where(left), ruled_out[1][left]),
        None if possible is None else possible.where(~among(possible, these)),
    )


def _of_keys(texts: EncodedTexts, pairs: SimilarPairs, keys: Collection[str]) -> NDArray[np.bool_]:
    """Return (m,) bool: which of the pairs of forms have a `pair_key` among these."""
    both = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    found = (pair_key(texts.forms[left], texts.forms[right]) in keys for left, right in both)
    return np.fromiter(found, dtype=np.bool_, count=len(pairs))


def _in_order(parts: Sequence[SimilarPairs]) -> SimilarPairs:
    """Return pairs that no two parts have as one, sorted by (left, right)."""
    left, right, similarity = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("left", "right", "similarity")
    )
    order = np.lexsort((right, left))
    return SimilarPairs(left[order], right[order], similarity[order])


def _by_guards_alone(
    pairs: SimilarPairs, ruled_out: SimilarPairs, why: NDArray[np.bool_]
) -> tuple[SimilarPairs, SimilarPairs]:
    """Return the pairs that count, and those that do not, as if there were no reviewers.

    Labels speak for all pairs that were drawn from. Without the pairs that labels have told apart, what is left would
    seem to be right nearly always.
    """
    guards: NDArray[np.bool_] = np.logical_or.reduce(why[:, : len(GUARDS)], axis=1)
    told_apart = ruled_out.where(np.logical_not(guards))
    return (
        SimilarPairs(
            np.concatenate([pairs.left, told_apart.left]),
            np.concatenate([pairs.right, told_apart.right]),
            np.concatenate([pairs.similarity, told_apart.similarity]),
        ),
        ruled_out.where(guards),
    )


def _review_floor(calibration: Calibration) -> float:
    """Return the cosine, in steps of 0.001, from which a pair is worth a look; above 1 where no pair is."""
    steps = np.linspace(-1, 1.001, 2002)
    return float(steps[np.searchsorted(calibration.probability(steps[:-1]), _FLOOR)])


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - start, 3)
