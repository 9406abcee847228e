"""What a deduplication of many rows will take, from a few seconds of work on some of them.

Measured here, on a sample of the rows: how fast texts are encoded and compared, how fast all the rest goes, and what of
it is distinct or similar. Speed is by seconds of processor time, so that other programs beside this one do not count.
Then, for N rows and W workers of one core like those here,

    n = N x distinct                                      different texts
    encoding  = n / (W encoded)                           seconds; encoded: texts a second and core, each with what
                                                          stands before its end, where many texts end like it
    comparing = n (n - 1) / 2 x comparable / (W compared) comparable: the share of all pairs that are compared, those
                                                          with the same unknown words; compared: pairs a second and core
    pairs     = n (n - 1) / 2 x similar                   similar: the share of all pairs that reach the threshold;
                                                          10 million are listed at most, L
    rest      = N / rest + L / listed                     in one process: canonical forms, guards, clusters, files;
                                                          rest: rows a second; listed: pairs a second beyond these

    memory    = 300 MB + N (300 + row + 2 text)           of this process: row, text: bytes of a row, and of its text;
              + 6 n d + 24 L                              d: numbers of a vector, 4 bytes each, once and a half
    store     = 4 n (d + e)                               of Ray, on every node if it is to have all: e: numbers of the
                                                          shorter vector that candidates are found by
    disk      = n (4 d + 120) + 12 L                      with --resume, until it is done,
              + 3 N row + 300 L                           and the files that are written
    network   = N text + 4 n d + 4 n (d + e)              to and from a node, if its store holds all vectors

An approximate search (`--search ann`) sorts the rows into k = 4 sqrt(n) cells, and compares each with the middles of
all and with the rows of some, 16 here (chosen by what is met; 3 to 33 were seen). This is done by the workers; before,
in one process, k-means goes five times over 32 rows a cell, and 2,000 rows are compared with all, once to choose how
many cells, and once for the certificate:

    comparing = 8 n sqrt(n) / (W products)                products: float32 products of two vectors a second and core
              + (160 k k + 4,000 n) / products
    memory    = + 4 n d

What it leaves out: the time to start, to send vectors over a slow network, and to choose what stays where there are
more pairs than are listed (`crowded`). The share of distinct texts usually falls as rows are added, so there will
rather be fewer. The two 300 were fitted to runs of 200,000 and 500,000 short texts; all that is about time is
measured.
"""

from __future__ import annotations

import itertools
import math
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.boilerplate import find_boilerplate
from dupdetect.cores import usable_cores
from dupdetect.detector import Detector
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import EncodedTexts, encode_texts
from dupdetect.encoder import Encoder, LimitedVocabulary
from dupdetect.engines import LocalEngine
from dupdetect.errors import EmptyInputError, InputError
from dupdetect.listing import MOST_PAIRS
from dupdetect.progress import silent
from dupdetect.questions import Questions
from dupdetect.search import SimilarPairs, TooManyPairsError
from dupdetect.search.between import compared_between, pairs_between, shards_of
from dupdetect.search.integers import IntegerProducts
from dupdetect.tables import Table

__all__ = ["Plan", "Rates", "measure", "plan"]

_SEED = 0
_SAMPLED = 20_000  # rows at most
_PORTION = 256  # texts, encoded before the first look at the clock
_SHARD_ROWS = 4096  # so many that what is done once for a row hardly counts
_FEWEST = 600  # different texts; what fewer take is drowned by what any deduplication takes
_ENOUGH_PAIRS = 5_000  # to find out how long a pair takes; else so many texts, and pairs for each, do:
_LISTED_TEXTS, _LISTED_OF_EACH = 2_000, 25
_SHORTEST = 0.01  # seconds that mean something
_PRECISION = 0.95  # as `dupdetect dedupe` estimates it; the pairs that are not sure enough are written all the same


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured of a sample of rows. Bytes and shares are means over it.

    encoded: texts a second and core.  comparable: the share of pairs of different texts that are compared, those with
    the same unknown words.  compared: pairs a second and core.  products: float32 products of two vectors a second and
    core.  rest: rows a second.  listed: pairs a second.  similar: the share of pairs of different texts that reach the
    threshold.  dimension, short: numbers of a vector, and of the shorter one that candidates are found by.
    """

    rows: int
    texts: int
    cores: int
    distinct: float
    row_bytes: float
    text_bytes: float
    dimension: int
    short: int
    encoded: float
    comparable: float
    compared: float
    products: float
    rest: float
    listed: float
    similar: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A prediction for N rows and W workers. Seconds and bytes; see the top of this module.

    exact, approximate: seconds of encoding, comparing, the rest, and all; memory of this process in bytes.
    """

    rows: int
    workers: int
    texts: float
    pairs: float
    exact: dict[str, float]
    approximate: dict[str, float]
    store: float
    disk: float
    network: float


def measure(detector: Detector, questions: Questions, *, seconds: float = 6.0) -> Rates:
    """Return the rates of this machine for such rows. Takes about `seconds` of processor time, and a few more.

    Raises EmptyInputError where there are too few different texts to say anything, NotCalibratedError.
    """
    if seconds <= 0:
        raise InputError(f"seconds must be more than 0, not {seconds:g}.")
    threshold = detector.require_calibration().threshold
    sample = _sample(questions)
    distinct = DistinctTexts.of(sample.texts)
    before = find_boilerplate(distinct).before
    forms = list(distinct.forms)
    if len(forms) < _FEWEST:
        raise EmptyInputError(
            f"There are {len(forms):,} different texts, from which the time for many cannot be told. Give {_FEWEST} or "
            "more, of the kind that is to be deduplicated."
        )
    cores = usable_cores()
    random.Random(_SEED).shuffle(forms)  # noqa: S311 - a sample, no secret
    # Of each text the whole, and where many end like it also what stands before that.
    wanted = [[form, before[form][0]] if form in before else [form] for form in forms]
    row = {text: number for number, text in enumerate(dict.fromkeys(itertools.chain.from_iterable(wanted)))}
    vectors, encoding = _encoded(detector.encoder, list(row), seconds / 2)
    forms = [form for form, parts in zip(forms, wanted, strict=True) if all(row[part] < len(vectors) for part in parts)]
    known = _Known(detector.encoder, list(row)[: len(vectors)], vectors)
    texts = encode_texts(known, DistinctTexts.of(forms), silent, before=before)
    whole = vectors[[row[form] for form in forms]]
    groups = np.bincount(texts.group)
    compared_by = vectors[[row[before[form][0] if form in before else form] for form in texts.forms]]
    alike = compared_by[texts.group == groups.argmax()]
    if len(alike) < _FEWEST:  # hardly any two are compared; any vectors do
        alike = np.random.default_rng(_SEED).standard_normal((_FEWEST, vectors.shape[1])).astype(np.float32)
        alike /= np.linalg.norm(alike, axis=1)[:, None]
    rest, listed = _rest_of(detector, forms, whole)
    # Two shards of different texts, each of them as often as it takes to fill a shard.
    half = min(len(alike) // 2, _SHARD_ROWS)
    halves = [np.resize(part, (_SHARD_ROWS, alike.shape[1])) for part in (alike[:half], alike[-half:])]
    first, second = shards_of(np.concatenate(halves), threshold, _SHARD_ROWS)
    products = IntegerProducts()
    compared, comparing = _repeated(lambda: pairs_between(first, second, threshold, products), seconds / 3)
    multiplied, multiplying = _repeated(lambda: first.rows @ second.rows.T, seconds / 12)
    pairs = compared_between(_SHARD_ROWS, _SHARD_ROWS)
    return Rates(
        rows=len(sample),
        texts=len(forms),
        cores=cores,
        distinct=len(distinct.forms) / len(sample),
        row_bytes=sum(len(cell.encode("utf-8", "replace")) + 1 for row in sample.table.rows for cell in row)
        / len(sample),
        text_bytes=sum(len(text.encode("utf-8", "replace")) for text in sample.texts) / len(sample),
        dimension=vectors.shape[1],
        short=first.short.shape[1],
        encoded=len(forms) / encoding,
        comparable=float((groups * (groups - 1)).sum()) / (len(forms) * (len(forms) - 1)),
        compared=pairs * compared / comparing,
        products=pairs * multiplied / multiplying,
        rest=rest,
        listed=listed,
        similar=_similar(texts, threshold),
    )


def plan(rates: Rates, rows: int, workers: int) -> Plan:
    """Return what so many rows will take; raise InputError for less than one row or worker."""
    for name, number in (("rows", rows), ("workers", workers)):
        if number < 1:
            raise InputError(f"{name} must be at least 1, not {number}.")
    n = rows * rates.distinct
    d, e = rates.dimension, rates.short
    among = n * max(n - 1, 0) / 2
    pairs = among * rates.similar
    listed = min(pairs, MOST_PAIRS)
    cells = 4 * math.sqrt(n)
    memory = 300e6 + rows * (300 + rates.row_bytes + 2 * rates.text_bytes) + 6 * n * d + 24 * listed
    rest = rows / rates.rest + listed / rates.listed
    return Plan(
        rows=rows,
        workers=workers,
        texts=n,
        pairs=pairs,
        exact=_summed(
            n / (workers * rates.encoded), among * rates.comparable / (workers * rates.compared), rest, memory
        ),
        approximate=_summed(
            n / (workers * rates.encoded),
            8 * n * math.sqrt(n) / (workers * rates.products) + (160 * cells**2 + 4_000 * n) / rates.products,
            rest,
            memory + 4 * n * d,
        ),
        store=4 * n * (d + e),
        disk=n * (4 * d + 120) + 12 * listed + 3 * rows * rates.row_bytes + 300 * listed,
        network=rows * rates.text_bytes + 4 * n * d + 4 * n * (d + e),
    )


def _summed(encoding: float, comparing: float, rest: float, memory: float) -> dict[str, float]:
    return {
        "encoding": encoding,
        "comparing": comparing,
        "rest": rest,
        "seconds": encoding + comparing + rest,
        "memory": memory,
    }


def _sample(questions: Questions) -> Questions:
    """Return `_SAMPLED` rows at most, drawn by a generator with a seed, in their order."""
    if len(questions) <= _SAMPLED:
        return questions
    drawn = sorted(random.Random(_SEED).sample(range(len(questions)), _SAMPLED))  # noqa: S311
    table = questions.table
    return Questions(
        tuple(questions.texts[row] for row in drawn),
        tuple(questions.ids[row] for row in drawn),
        Table(table.columns, tuple(table.rows[row] for row in drawn), table.source),
        questions.text_columns,
        questions.id_column,
    )


def _encoded(encoder: Encoder, forms: Sequence[str], seconds: float) -> tuple[NDArray[np.float32], float]:
    """Return the vectors of the texts that were encoded in about so many seconds of processor time, `_FEWEST` at least,
    and these seconds."""
    encoder.encode(list(forms[:_PORTION]))  # what is slow only once
    parts: list[NDArray[np.float32]] = []
    begun, done, size = time.process_time(), 0, _PORTION
    while done < len(forms) and (done < _FEWEST or time.process_time() - begun < seconds):
        parts.append(encoder.encode(list(forms[done : done + size])))
        done += len(parts[-1])
        size *= 2
    return np.concatenate(parts), time.process_time() - begun


def _similar(texts: EncodedTexts, threshold: float) -> float:
    """Return which share of all pairs of the texts reach the threshold, of some of the texts where these are many."""
    n = len(texts.forms)
    try:
        return len(texts.similar(threshold, silent, most=MOST_PAIRS)) / (n * (n - 1) / 2)
    except TooManyPairsError:
        some = np.sort(np.random.default_rng(_SEED).permutation(n)[:_SHARD_ROWS])
        group, close = texts.group[some], texts.vectors.products(some, some) >= np.float32(threshold)
        close &= group[:, None] == group
        return float(close.sum() - len(some)) / (len(some) * (len(some) - 1))


def _repeated(work: Callable[[], object], seconds: float) -> tuple[int, float]:
    """Return how often this was done in about so many seconds of processor time, and these."""
    work()  # what is slow only once
    begun, times = time.process_time(), 0
    while not times or time.process_time() - begun < seconds:
        work()
        times += 1
    return times, time.process_time() - begun


def _rest_of(detector: Detector, texts: Sequence[str], vectors: NDArray[np.float32]) -> tuple[float, float]:
    """Return rows a second, and pairs a second, of what is neither encoding nor comparing: what more rows take longer
    than fewer, without pairs; and what these take longer with their pairs.

    Where they have too few to tell, it is what many pairs of some of them take, the most similar ones.
    """
    none, fewer = detector.at(threshold=1.0), len(texts) // 4
    few, _ = _rest(none, texts[:fewer], vectors[:fewer])
    many, _ = _rest(none, texts, vectors)
    rows = (len(texts) - fewer) / (many - few) if many > few else len(texts) / many
    paired, pairs = _rest(detector, texts, vectors)
    if pairs < _ENOUGH_PAIRS:
        texts, vectors = texts[:_LISTED_TEXTS], vectors[:_LISTED_TEXTS]
        products = (vectors @ vectors.T)[np.triu_indices(len(texts), 1)]
        place = max(0, len(products) - _LISTED_OF_EACH * len(texts))
        cut = float(np.clip(np.partition(products, place)[place], -1.0, 1.0))
        (paired, pairs), (many, _) = (_rest(detector.at(threshold=at), texts, vectors) for at in (cut, 1.0))
    return rows, max(pairs, 1) / max(paired - many, _SHORTEST)


def _rest(detector: Detector, texts: Sequence[str], vectors: NDArray[np.float32]) -> tuple[float, int]:
    """Return the seconds of processor time of a deduplication, files and all, whose texts are encoded already, and how
    many pairs it lists."""
    known = Detector(_Known(detector.encoder, texts, vectors), detector.calibration, detector.name, detector.guards)
    join = _TimedJoin()
    with tempfile.TemporaryDirectory() as place:
        used = time.process_time()
        result = known.deduplicate(list(texts), without_boilerplate=False, estimated_precision=_PRECISION, engine=join)
        result.write(Path(place) / "out")
        seconds = time.process_time() - used - join.used
    lists = (result.pairs, result.possible, result.ruled_out)
    return seconds, sum(len(pairs) for pairs in lists if pairs is not None)


class _TimedJoin(LocalEngine):
    """The local engine; it knows how much processor time its comparing took."""

    used = 0.0

    def join(self, *given: Any, **options: Any) -> SimilarPairs:
        before = time.process_time()
        try:
            return super().join(*given, **options)
        finally:
            self.used += time.process_time() - before


class _Known:
    """An encoder that has the vectors of some texts already."""

    def __init__(self, encoder: Encoder, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self._encoder, self._vectors = encoder, vectors
        self._row = {text: row for row, text in enumerate(texts)}
        self.fingerprint, self.dimension = encoder.fingerprint, encoder.dimension
        if isinstance(encoder, LimitedVocabulary):
            self.unknown_words = encoder.unknown_words

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        if progress is not None:
            progress(len(texts))
        return self._vectors[[self._row[text] for text in texts]]

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return self._encoder.truncated(texts)
