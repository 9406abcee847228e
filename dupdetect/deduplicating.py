"""One deduplication, from questions to what stays: encode, compare, cluster, and carry it over to the rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dupdetect.boilerplate import find_boilerplate
from dupdetect.calibration import Calibration
from dupdetect.clustering import Resolution, connection_strength, resolve
from dupdetect.crowded import crowded
from dupdetect.encoded_texts import EncodedTexts, encode_texts, truncated_texts, unread
from dupdetect.encoder import Encoder
from dupdetect.encoder.cache import cached_texts
from dupdetect.errors import InputError
from dupdetect.guards import GUARDS, Guards
from dupdetect.keep import Keep, row_ranks
from dupdetect.progress import Progress
from dupdetect.questions import Questions
from dupdetect.results import Deduplication
from dupdetect.review.candidates import draw_candidates
from dupdetect.row_results import by_row, first_rows
from dupdetect.ruled_out import REASONS, reasons
from dupdetect.search import RecallCertificate, SimilarPairs, TooManyPairsError, index_library

__all__ = ["deduplicated"]

# Listing them takes about 200 bytes of memory each while clusters are made, and 200 bytes in pairs.csv.
_MOST_PAIRS = 10_000_000
_BLOCK = 1_000_000  # pairs that guards look at together
_FLOOR = 0.05  # probability of a duplicate below which no pairs are drawn for review
_PAIRS_PER_TEXT = 20  # where there is no other way; they take about as much memory as two vectors

Search = Literal["exact", "ann"]
Why = Callable[[NDArray[np.integer[Any]], NDArray[np.integer[Any]]], NDArray[np.bool_]]


def deduplicated(
    asked: Questions,
    encoder: Encoder,
    calibration: Calibration,
    guards: Guards | None,
    policy: Keep,
    *,
    model: str,
    search: Search,
    work: Path | None,
    told_apart: Collection[str],
    without_boilerplate: bool,
    estimated_precision: float | None,
    progress: Progress,
    find: Callable[[EncodedTexts], SimilarPairs] | None = None,
) -> Deduplication:
    """Return what `Detector.deduplicate` says of these questions.

    policy: has been checked against them.  model: the name of the detector, for the record.  find: returns all pairs of
    texts at or above the threshold, where they are known and need not be searched for.
    """
    library = index_library() if search == "ann" else ""
    seconds: dict[str, float] = {}
    cached_before = cached_texts(encoder)
    with _timed(seconds, "boilerplate"):
        boilerplate = find_boilerplate(asked.texts)
    with _timed(seconds, "encode"):
        rest = boilerplate.rest if without_boilerplate else {}
        texts = encode_texts(encoder, asked.texts, progress, guards, rest)
        missed = unread(texts, truncated_texts(encoder, texts), texts.position)
    cached = cached_texts(encoder) - cached_before
    with _timed(seconds, "search"):
        pairs = find(texts) if find else _listed(texts, calibration.threshold, progress, search, work)
    certificate = None
    search_notes: tuple[str, ...] = ()
    if search == "ann" and pairs is not None:
        with _timed(seconds, "certify"):
            certificate = texts.certificate(pairs, calibration.threshold, progress)
        if certificate is None:
            search_notes = ("So few texts were all compared with each other: the search was exact.",)
    why = partial(reasons, texts, calibration.threshold, told_apart)
    ruled_out = None
    if pairs is not None:
        with _timed(seconds, "rule out"):
            pairs, ruled_out = _without_ruled_out(pairs, why)
    possible = None
    if pairs is not None and ruled_out is not None and estimated_precision is not None:
        scores = texts.score(pairs.left, pairs.right, pairs.similarity)
        calibration = calibration.estimated(scores, estimated_precision)
        sure = scores >= calibration.threshold
        pairs, possible = _some(pairs, sure), _some(pairs, ~sure)
    drawn = None
    if pairs is not None and ruled_out is not None:
        reached = ruled_out[0].similarity >= calibration.threshold
        alike = _by_guards_alone(pairs, _some(ruled_out[0], reached), ruled_out[1][reached])
        with _timed(seconds, "draw"):
            drawn = draw_candidates(texts, *alike, calibration.threshold, _review_floor(calibration), progress)
    with _timed(seconds, "cluster"):
        decided = _decided(asked, texts, pairs, calibration.threshold, policy, why, progress)
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
        drawn=drawn,
        notes=(
            *asked.notes,
            *decided.notes,
            *boilerplate.notes(left_out=without_boilerplate),
            *missed.notes,
            *search_notes,
        ),
        run={
            "model": model,
            "keep": str(policy),
            "guards": None if guards is None else guards.to_dict(),
            "told_apart_by_reviewers": len(told_apart),
            "search": _search_record(certificate, library, every_pair=pairs is not None),
            "truncated_rows": missed.truncated_rows,
            "unknown_word_rows": missed.unknown_rows,
            "without_boilerplate": without_boilerplate,
            "boilerplate": [{"sentence": sentence, "texts": count} for sentence, count in boilerplate.sentences],
            "encoded_texts": len(set(texts.read)) - cached,
            "cached_texts": cached,
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
    threshold: float,
    policy: Keep,
    why: Why,
    progress: Progress,
) -> _Decided:
    """Choose what stays. `pairs`: all that count, or None where there are too many to list.  why: some do not."""
    n = len(texts.forms)
    weight = np.bincount(texts.position[texts.position >= 0], minlength=n)
    strength = weight - 1.0
    if pairs is not None:
        strength += connection_strength(n, pairs, weight)
    elif policy.name == "medoid":
        raise InputError(
            f"More than {_MOST_PAIRS:,} pairs of texts reach the threshold, and keep='medoid' needs them all. "
            "Choose another policy, such as 'first' or 'longest', or a higher threshold."
        )
    row_strength = np.where(texts.position >= 0, np.append(strength, 0.0)[texts.position], 0.0)
    forms = [texts.forms[slot] if slot >= 0 else "" for slot in texts.position.tolist()]
    ranks, notes = row_ranks(policy, asked, forms, row_strength)
    first = first_rows(texts.position, ranks, n)
    if pairs is not None:
        return _Decided(ranks, first, pairs, resolve(n, pairs, ranks[first]), tuple(notes))
    pairs, cluster = crowded(
        texts.embeddings,
        texts.group,
        threshold,
        ranks[first],
        _room(n),
        progress,
        lambda left, right: np.logical_or.reduce(why(left, right), axis=1),
    )
    note = (
        f"More than {_MOST_PAIRS:,} pairs of texts reach the threshold, too many to list: listed are {len(pairs):,}, "
        "those of a text that is removed and one that stays. What stays, and what is a cluster, is as if all were "
        "listed. Pairs that are ruled out are not listed, none are drawn for review, and no precision is estimated."
    )
    return _Decided(ranks, first, pairs, replace(resolve(n, pairs, ranks[first]), cluster=cluster), (*notes, note))


def _without_ruled_out(pairs: SimilarPairs, why: Why) -> tuple[SimilarPairs, tuple[SimilarPairs, NDArray[np.bool_]]]:
    """Return the pairs that count; and those that do not, with (m, len(REASONS)) bool, why."""
    found = np.concatenate(
        [
            np.zeros((0, len(REASONS)), dtype=np.bool_),
            *(
                why(pairs.left[start : start + _BLOCK], pairs.right[start : start + _BLOCK])
                for start in range(0, len(pairs), _BLOCK)
            ),
        ]
    )
    out: NDArray[np.bool_] = np.logical_or.reduce(found, axis=1)
    return _some(pairs, ~out), (_some(pairs, out), found[out])


def _some(pairs: SimilarPairs, rows: NDArray[np.bool_]) -> SimilarPairs:
    return SimilarPairs(pairs.left[rows], pairs.right[rows], pairs.similarity[rows])


def _by_guards_alone(
    pairs: SimilarPairs, ruled_out: SimilarPairs, why: NDArray[np.bool_]
) -> tuple[SimilarPairs, SimilarPairs]:
    """Return the pairs that count, and those that do not, as if there were no reviewers.

    Labels speak for all pairs that were drawn from. Without the pairs that labels have told apart, what is left would
    seem to be right nearly always.
    """
    guards: NDArray[np.bool_] = np.logical_or.reduce(why[:, : len(GUARDS)], axis=1)
    told_apart = _some(ruled_out, np.logical_not(guards))
    return (
        SimilarPairs(
            np.concatenate([pairs.left, told_apart.left]),
            np.concatenate([pairs.right, told_apart.right]),
            np.concatenate([pairs.similarity, told_apart.similarity]),
        ),
        _some(ruled_out, guards),
    )


def _review_floor(calibration: Calibration) -> float:
    """Return the cosine, in steps of 0.001, from which a pair is worth a look; above 1 where no pair is."""
    steps = np.linspace(-1, 1.001, 2002)
    return float(steps[np.searchsorted(calibration.probability(steps[:-1]), _FLOOR)])


def _room(texts: int) -> int:
    """Return how many pairs are listed where it cannot be done with fewer."""
    return max(_MOST_PAIRS, _PAIRS_PER_TEXT * texts)


def _listed(
    texts: EncodedTexts, threshold: float, progress: Progress, search: Search, work: Path | None
) -> SimilarPairs | None:
    """Return all pairs at or above the threshold that the search finds, or None where there are too many.

    Raises InputError instead where the search is not exact: survivors without a list are found by comparing all texts.
    """
    most = _MOST_PAIRS if search == "exact" else _room(len(texts.forms))
    try:
        return texts.similar(threshold, progress, search=search, most=most, work=work)
    except TooManyPairsError:
        if search == "exact":
            return None
    raise InputError(
        f"More than {most:,} pairs of texts reach the threshold, too many to list, and only the exact search does "
        "without a list. Choose a higher threshold, or search='exact'."
    )


def _search_record(certificate: RecallCertificate | None, library: str, *, every_pair: bool) -> dict[str, Any]:
    """Return what run.json says about the search, and where not all pairs are listed, which ones."""
    if certificate is None:
        return {"kind": "exact"} if every_pair else {"kind": "exact", "listed": "removed texts and those that stay"}
    return {"kind": "ann", "library": library, **asdict(certificate), "certificate": str(certificate)}


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - start, 3)
