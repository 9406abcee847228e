"""Train, validation, calibration and test pairs that share no question, and a report that says what was checked.

    questions (canonical texts) -> groups (connected by any pair, or by the same words) -> a split for each, by hash

The hash looks at the texts of a group alone, so neither the order of the rows nor other groups have a say, and nothing
is dropped. Four splits, because the checkpoint, the threshold and the reported number must not share questions.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import EmptyInputError, InputError, LeakageError
from dupdetect.graph import connected_components
from dupdetect.metrics import average_precision, curve
from dupdetect.pairs import DroppedPairs, PairNodes, QuestionPairs
from dupdetect.text import canonical

__all__ = [
    "DEFAULT_FRACTIONS",
    "SPLITS",
    "SPLIT_FILES",
    "LeakProbe",
    "ProbeScore",
    "SplitReport",
    "SplitShare",
    "Splits",
    "sketch_key",
    "split_pairs",
    "write_splits",
]

SPLITS = ("train", "validation", "calibration", "test")
SPLIT_FILES = (*(f"{name}.csv" for name in SPLITS), "report.json")
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.7, "validation": 0.1, "calibration": 0.1, "test": 0.1}

_NO_ROWS = np.empty(0, dtype=np.int64)
_PROBE_PAIRS = 50_000
_SKETCH_CHARACTERS = 5
_ASCII_WORD = re.compile(r"[a-z0-9]+")


# Results


@dataclass(frozen=True, slots=True)
class SplitShare:
    """What one split holds. `asked` and `got` are shares of all pairs in [0, 1]; `largest_group` counts pairs."""

    pairs: int
    duplicates: int
    questions: int
    groups: int
    largest_group: int
    asked: float
    got: float

    @property
    def prevalence(self) -> float:
        """Share of duplicates in [0, 1]; NaN in an empty split."""
        return self.duplicates / self.pairs if self.pairs else math.nan


@dataclass(frozen=True, slots=True)
class ProbeScore:
    """How well the labels of test pairs can be guessed without reading a word.

    `seen`: share of test pairs with a question that also stands in train. `majority`: accuracy of always giving the
    label that is more frequent in train; `prevalence`: average precision of guessing at random. `history_*`: guessed
    from the train pairs that either question stands in, and their labels. What is above the majority and the prevalence
    is leakage; where no question was seen, all pairs get one guess, and its accuracy may be below the majority's.
    `structure_*`: guessed from how often each question stands in any pair, and with which others; that is how the data
    were chosen, and no split removes it. All in [0, 1].
    """

    seen: float
    majority: float
    prevalence: float
    history_accuracy: float
    history_average_precision: float
    structure_accuracy: float
    structure_average_precision: float


@dataclass(frozen=True, slots=True)
class LeakProbe:
    """The probe on these splits (`grouped`), and on a random split of the same pairs into the same sizes (`random`):
    the difference is what leakage can add to a model's score. Fitted on `train_pairs` pairs, measured on `test_pairs`,
    50,000 of each at most; `seen` is of all."""

    grouped: ProbeScore
    random: ProbeScore
    train_pairs: int
    test_pairs: int


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What was split, what came out, and what was checked. `str()` gives a table, `to_dict()` JSON.

    `largest_group` counts pairs. `sketch_links` are questions of the same words in another order or punctuation that
    were kept together, and `sketch_merges` the groups that became one by them. `shared_questions` and `shared_sketches`
    are counted again from the finished splits: canonical texts, and sets of words, that stand in more than one. `probe`
    is None when train or test was not asked for.
    """

    seed: int
    pairs: int
    questions: int
    groups: int
    largest_group: int
    dropped: DroppedPairs
    sketch_links: int
    sketch_merges: int
    shared_questions: int
    shared_sketches: int
    splits: Mapping[str, SplitShare]
    probe: LeakProbe | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, numbers and text; a prevalence of nothing is None."""
        record = asdict(self) | {"warnings": list(self.warnings)}
        for name, share in self.splits.items():
            record["splits"][name]["prevalence"] = share.prevalence if share.pairs else None
        return record

    def __str__(self) -> str:
        return "\n".join(_report_lines(self))


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Four sets of pairs. `groups[name]` is (n,) int64 beside the pairs of that split: the group of each pair, numbered
    by the smallest canonical text, for resampling whole groups (pairs of one group are not independent)."""

    train: QuestionPairs
    validation: QuestionPairs
    calibration: QuestionPairs
    test: QuestionPairs
    groups: Mapping[str, NDArray[np.int64]]
    report: SplitReport

    def items(self) -> Iterator[tuple[str, QuestionPairs]]:
        """Yield (name, pairs) for train, validation, calibration and test."""
        for name in SPLITS:
            yield name, getattr(self, name)

    def check(self) -> None:
        """Raise LeakageError when a canonical question text stands in two splits.

        Compares the texts themselves, with nothing taken over from the grouping.
        """
        _check_disjoint({name: _forms(pairs) for name, pairs in self.items()})


# Splitting


def split_pairs(pairs: QuestionPairs, *, seed: int = 0, fractions: Mapping[str, float] = DEFAULT_FRACTIONS) -> Splits:
    """Return all pairs in four splits that share no question.

    Questions are canonical texts. A group holds all questions connected by any pair, duplicate or not, or by equal
    `sketch_key`. Every question has two hashes of its text and the seed; the question with the smallest first hash
    speaks for its group, and its second hash decides the split. So when groups merge, the new group stays where one of
    them was, and a group that keeps its questions stays where it is whatever is added elsewhere. A new question is a
    group of its own until a pair connects it: a group of k questions that takes one in stays with probability of at
    least k / (k + 1).

    `fractions` maps split names to shares of the pairs that add up to 1; a name that is missing gets none. They are met
    on average, as whole groups go to one side: the report says what came out, and warns where it is far off.

    Raises EmptyInputError when there are no pairs, and InputError when the fractions are not shares of `SPLITS`, or a
    split that was asked for would be empty (too few groups).
    """
    asked = _checked(fractions)
    if not len(pairs):
        raise EmptyInputError("There are no pairs to split. Pass pairs of two different questions with a label.")
    nodes = pairs.nodes()
    group_of_question, links, merges = _group_questions(nodes)
    group = group_of_question[nodes.left]
    ranks, spread = _hashes(nodes.texts, seed)
    position = _position_of_groups(group_of_question, ranks, spread)[group]
    names = [name for name, share in asked.items() if share]
    split = np.searchsorted(np.cumsum([asked[name] for name in names])[:-1], position, side="right")
    rows = {name: np.flatnonzero(split == names.index(name)) if name in names else _NO_ROWS for name in SPLITS}
    empty = [name for name in names if not len(rows[name])]
    if empty:
        raise InputError(
            f"The {' and '.join(empty)} split would be empty: {len(pairs):,} pairs form only {group.max() + 1:,} "
            "group(s) of connected questions, and a group cannot be divided without leaking. Add pairs of other "
            "questions, or leave that split out (its fraction 0)."
        )

    parts = {name: pairs.select(chosen) for name, chosen in rows.items()}
    forms = {name: _forms(part) for name, part in parts.items()}
    sketches = {name: {key for key in map(sketch_key, texts) if key} for name, texts in forms.items()}
    shares = {name: _share(parts[name], group[rows[name]], asked[name], len(pairs)) for name in SPLITS}
    largest = max(share.largest_group for share in shares.values())
    report = SplitReport(
        seed=seed,
        pairs=len(pairs),
        questions=len(nodes.texts),
        groups=int(group.max()) + 1,
        largest_group=largest,
        dropped=pairs.dropped,
        sketch_links=links,
        sketch_merges=merges,
        shared_questions=_check_disjoint(forms),
        shared_sketches=len(_shared(sketches)),
        splits=shares,
        probe=_leak_probe(nodes, pairs.labels, rows, ranks) if asked["train"] and asked["test"] else None,
        warnings=_warnings(shares, largest, len(pairs)),
    )
    return Splits(**parts, groups={name: group[chosen] for name, chosen in rows.items()}, report=report)


def sketch_key(form: str) -> str:
    """Return the distinct words of a canonical text, sorted; "" when they are too few to mean anything.

    Texts with equal keys differ in word order, repetition or punctuation only, and are kept on one side. Words are runs
    of letters, digits and their combining marks. Keys of fewer than 5 characters are none: `c`, `c++` and `c#`, or all
    emoji, would otherwise become one group.

    >>> sketch_key("is red, or is blue, better")
    'better blue is or red'
    """
    if form.isascii():
        words = set(_ASCII_WORD.findall(form))
    else:
        words = set("".join(c if _in_word(c) else " " for c in form).split())
    return " ".join(sorted(words)) if sum(map(len, words)) >= _SKETCH_CHARACTERS else ""


def write_splits(splits: Splits, folder: str | Path) -> None:
    """Write `SPLIT_FILES` into `folder`, which is there already: a CSV file per split (question1, question2, label,
    group; UTF-8, commas; a split that was not asked for gets a header), and the report as JSON.
    """
    folder = Path(folder)
    for name, pairs in splits.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("question1", "question2", "label", "group"))
            for row, group in zip(pairs.to_rows(), splits.groups[name].tolist(), strict=True):
                writer.writerow((*row, group))
    text = json.dumps(splits.report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")


def _checked(fractions: Mapping[str, float]) -> dict[str, float]:
    unknown = sorted(set(fractions) - set(SPLITS))
    shares = {name: float(fractions.get(name, 0)) for name in SPLITS}
    if unknown or not all(0 <= share <= 1 for share in shares.values()) or not math.isclose(sum(shares.values()), 1):
        raise InputError(
            f"Fractions are shares from 0 to 1 of {', '.join(SPLITS)} that add up to 1, not {dict(fractions)}."
        )
    return shares


def _group_questions(nodes: PairNodes) -> tuple[NDArray[np.int64], int, int]:
    """Return each question's group (k,), numbered 0, 1, ... by smallest text; the sketch links; the merges by them."""
    first_with: dict[str, int] = {}
    links = [
        (first, number)
        for number, key in enumerate(map(sketch_key, nodes.texts))
        if key and (first := first_with.setdefault(key, number)) != number
    ]
    linked = np.array(links, dtype=np.int64).reshape(-1, 2)
    by_pairs = connected_components(len(nodes.texts), nodes.left, nodes.right)
    # Texts are sorted, so the smallest node number is the smallest text.
    labels = connected_components(
        len(nodes.texts), np.concatenate([nodes.left, linked[:, 0]]), np.concatenate([nodes.right, linked[:, 1]])
    )
    distinct, group = np.unique(labels, return_inverse=True)
    return group.astype(np.int64), len(links), len(np.unique(by_pairs)) - len(distinct)


def _hashes(texts: Sequence[str], seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return two independent hashes per text, (k,) uint64 each."""
    key = hashlib.blake2b(str(seed).encode(), digest_size=32).digest()
    digests = b"".join(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key).digest() for text in texts
    )
    columns = np.frombuffer(digests, dtype="<u8").reshape(-1, 2).astype(np.uint64)
    return columns[:, 0], columns[:, 1]


def _position_of_groups(
    group_of_question: NDArray[np.int64], ranks: NDArray[np.uint64], spread: NDArray[np.uint64]
) -> NDArray[np.float64]:
    """Return a position in [0, 1) per group: the second hash of the question whose first hash is smallest."""
    order = np.lexsort((spread, ranks, group_of_question))
    speaker = order[np.unique(group_of_question[order], return_index=True)[1]]
    # The top 53 bits: a float64 holds them exactly, so the position can never round up to 1.
    return (spread[speaker] >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _in_word(character: str) -> bool:
    # Vowel signs of Hindi or Thai are marks, which isalnum() and \w leave out.
    return character.isalnum() or unicodedata.category(character)[0] == "M"


# Checking


def _forms(pairs: QuestionPairs) -> set[str]:
    """Canonical texts, computed from the texts as they stand."""
    return {canonical(text) for text in {*pairs.left, *pairs.right}}


def _check_disjoint(forms: Mapping[str, set[str]]) -> int:
    """Return how many texts stand in two splits: 0, or else raise LeakageError."""
    shared = _shared(forms)
    if shared:
        text, (first, second) = min(shared.items())
        raise LeakageError(
            f"{len(shared)} question text(s) stand in more than one split, for example {text!r} in {first} and "
            f"{second}. Split again with split_pairs, and do not move pairs between splits."
        )
    return 0


def _shared(sets: Mapping[str, set[str]]) -> dict[str, tuple[str, str]]:
    """Return what stands in more than one set, with the first two that it stands in."""
    home: dict[str, str] = {}
    shared: dict[str, tuple[str, str]] = {}
    for name, members in sets.items():
        for member in members:
            first = home.setdefault(member, name)
            if first != name:
                shared.setdefault(member, (first, name))
    return shared


def _share(part: QuestionPairs, group: NDArray[np.int64], asked: float, total: int) -> SplitShare:
    sizes = np.unique(group, return_counts=True)[1]
    return SplitShare(
        pairs=len(part),
        duplicates=int(part.labels.sum()),
        questions=len(part.nodes().texts),
        groups=len(sizes),
        largest_group=int(sizes.max(initial=0)),
        asked=asked,
        got=len(part) / total,
    )


def _warnings(shares: Mapping[str, SplitShare], largest: int, total: int) -> tuple[str, ...]:
    found = [
        f"{name} was asked for {share.asked:.1%} of the pairs and got {share.got:.1%}."
        for name, share in shares.items()
        if abs(share.got - share.asked) > 0.2 * share.asked
    ]
    found += [
        f"All {share.pairs:,} pairs of {name} have the same label."
        for name, share in shares.items()
        if share.pairs and share.duplicates in (0, share.pairs)
    ]
    smallest = min(share.asked for share in shares.values() if share.asked)
    if largest > smallest * total:
        found.append(
            f"One group of connected questions holds {largest:,} pairs, more than the smallest split was to hold "
            f"({smallest * total:,.0f}); whichever split it is in, it decides that split's numbers."
        )
    return tuple(found)


# The leak probe


def _leak_probe(
    nodes: PairNodes, labels: NDArray[np.bool_], rows: Mapping[str, NDArray[np.int64]], ranks: NDArray[np.uint64]
) -> LeakProbe:
    """Guess test labels without reading a word, here and in a random split of the same sizes.

    The idea is the "magic features" of the Quora Question Pairs contest: how often a question stands in the data, and
    with which others, tells much about the label (Zhang et al., "Selection Bias Explorations and Debias Methods for
    Natural Language Sentence Matching Datasets", ACL 2019).
    """
    low, high = np.minimum(nodes.left, nodes.right), np.maximum(nodes.left, nodes.right)
    # A hash of the two questions, not of the row: shuffling rows must not change the report.
    shuffled = np.lexsort((high, low, _mix(ranks[low], ranks[high])))
    number_train, number_test = len(rows["train"]), len(rows["test"])
    in_order = np.empty(len(labels), dtype=np.int64)
    in_order[shuffled] = np.arange(len(labels))
    grouped = tuple(rows[name][np.argsort(in_order[rows[name]])] for name in ("train", "test"))
    random = shuffled[:number_train], shuffled[number_train : number_train + number_test]
    edges = np.column_stack([low, high])
    return LeakProbe(
        grouped=_probe(len(nodes.texts), edges, labels, *grouped),
        random=_probe(len(nodes.texts), edges, labels, *random),
        train_pairs=min(number_train, _PROBE_PAIRS),
        test_pairs=min(number_test, _PROBE_PAIRS),
    )


def _probe(
    k: int, edges: NDArray[np.int64], labels: NDArray[np.bool_], train: NDArray[np.int64], test: NDArray[np.int64]
) -> ProbeScore:
    in_train = np.zeros(k, dtype=np.bool_)
    in_train[edges[train]] = True
    seen = float(in_train[edges[test]].any(axis=1).mean())
    fit, held_out = train[:_PROBE_PAIRS], test[:_PROBE_PAIRS]
    truth = labels[held_out]

    positives = train[labels[train]]
    history = [
        np.hstack(
            [
                # Without the pair itself: a test pair is not in train either.
                _degrees(k, edges[train], edges[chosen], known),
                _degrees(k, edges[positives], edges[chosen], known & labels[chosen]),
                _common(k, edges[train], edges[chosen])[:, None],
                _common(k, edges[positives], edges[chosen])[:, None],
            ]
        )
        for chosen, known in ((fit, np.True_), (held_out, np.False_))
    ]
    structure = [
        np.hstack([_degrees(k, edges, edges[chosen], np.True_), _common(k, edges, edges[chosen])[:, None]])
        for chosen in (fit, held_out)
    ]
    by_history = _logistic_guess(np.log1p(history[0]), labels[fit], np.log1p(history[1]))
    by_structure = _logistic_guess(np.log1p(structure[0]), labels[fit], np.log1p(structure[1]))
    return ProbeScore(
        seen=seen,
        majority=float((truth == (labels[train].mean() >= 0.5)).mean()),
        prevalence=float(truth.mean()),
        history_accuracy=float(((by_history >= 0.5) == truth).mean()),
        history_average_precision=_average_precision(truth, by_history),
        structure_accuracy=float(((by_structure >= 0.5) == truth).mean()),
        structure_average_precision=_average_precision(truth, by_structure),
    )


def _degrees(
    k: int, edges: NDArray[np.int64], pairs: NDArray[np.int64], itself: NDArray[np.bool_] | np.bool_
) -> NDArray[np.float64]:
    """Return (n, 2): the smaller and the larger number of `edges` at the ends of each pair, less the pair itself."""
    degree = np.bincount(edges.ravel(), minlength=k)
    ends = np.sort(degree[pairs], axis=1) - np.broadcast_to(itself, len(pairs))[:, None]
    return ends.astype(np.float64)


def _common(k: int, edges: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n,): how many nodes have an edge to both ends of each pair."""
    common = np.zeros(len(pairs))
    if not len(edges):
        return common
    both_ways = np.vstack([edges, edges[:, ::-1]])
    links = np.unique(both_ways[:, 0] * k + both_ways[:, 1])  # sorted: the neighbours of each node, one after another
    neighbours = links % k
    start = np.searchsorted(links, np.arange(k + 1) * k)
    degree = np.diff(start)
    # Walking the shorter list keeps a question that stands in every pair cheap.
    swap = degree[pairs[:, 0]] > degree[pairs[:, 1]]
    short, long = np.where(swap, pairs[:, 1], pairs[:, 0]), np.where(swap, pairs[:, 0], pairs[:, 1])
    walked = np.cumsum(degree[short])
    # At most about two million steps at a time (or one pair), to bound the memory.
    steps = np.arange(0, walked[-1] if len(walked) else 0, 2_000_000)
    bounds = np.append(np.unique(np.searchsorted(walked, steps)), len(pairs)).tolist()
    for first, last in itertools.pairwise(bounds):
        times = degree[short[first:last]]
        pair = np.repeat(np.arange(first, last), times)
        offset = np.arange(len(pair)) - np.repeat(np.cumsum(times) - times, times)
        wanted = long[pair] * k + neighbours[start[short[pair]] + offset]
        place = np.searchsorted(links, wanted)
        found = links[np.minimum(place, len(links) - 1)] == wanted
        common += np.bincount(pair[found], minlength=len(pairs))
    return common


def _logistic_guess(
    features: NDArray[np.float64], labels: NDArray[np.bool_], new: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit a logistic regression by iteratively reweighted least squares, and return the probabilities (m,) of `new`."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1  # constant in train, so without weight
    x = np.column_stack([np.ones(len(features)), (features - mean) / scale])
    weights = np.zeros(x.shape[1])
    # A light pull to zero, as a feature may separate the labels, or repeat another. About ten steps settle it.
    pull = len(x) * np.diag([1e-6] + [1e-3] * features.shape[1])
    for _ in range(25):
        probability = _sigmoid(x @ weights)
        spread = probability * (1 - probability)
        step = np.linalg.solve(x.T @ (x * spread[:, None]) + pull, x.T @ (labels - probability) - pull @ weights)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return _sigmoid(np.column_stack([np.ones(len(new)), (new - mean) / scale]) @ weights)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _average_precision(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Average precision in [0, 1]; with one label only there is nothing to rank, and it is the share of that label."""
    prevalence = float(truth.mean())
    return average_precision(curve(score, truth)) if 0 < prevalence < 1 else prevalence


def _mix(low: NDArray[np.uint64], high: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash two hashes into one (k,) uint64: the finaliser of splitmix64 (Steele et al., OOPSLA 2014)."""
    x = low + high * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


# The text of the report


def _report_lines(report: SplitReport) -> Iterator[str]:
    yield (
        f"{report.pairs:,} pairs of {report.questions:,} questions in {report.groups:,} groups "
        f"(the largest holds {report.largest_group:,} pairs), seed {report.seed}"
    )
    dropped = report.dropped
    yield (
        f"Dropped before: {dropped.blank:,} blank, {dropped.self_pairs:,} self pairs, "
        f"{dropped.contradictions:,} contradictions, {dropped.repeats:,} repeats"
    )
    yield ""
    yield "split           asked    got      pairs  duplicates  questions    groups  largest group"
    for name, share in report.splits.items():
        duplicates = f"{share.prevalence:.1%}" if share.pairs else "-"
        yield (
            f"{name:<13}{share.asked:>8.1%}{share.got:>7.1%}{share.pairs:>11,}{duplicates:>12}{share.questions:>11,}"
            f"{share.groups:>10,}{share.largest_group:>15,}"
        )
    yield ""
    yield (
        f"Questions in two splits: {report.shared_questions:,}. Same words in two splits: {report.shared_sketches:,} "
        f"({report.sketch_links:,} links by same words, {report.sketch_merges:,} of them joined two groups)."
    )
    if report.probe:
        grouped, random = report.probe.grouped, report.probe.random
        rows = (
            ("test pairs with a question seen in train", grouped.seen, random.seen),
            ("accuracy of the more frequent label", grouped.majority, random.majority),
            ("  guessed from the train pairs of both", grouped.history_accuracy, random.history_accuracy),
            ("  guessed from the unlabelled graph", grouped.structure_accuracy, random.structure_accuracy),
            ("average precision at random", grouped.prevalence, random.prevalence),
            (
                "  guessed from the train pairs of both",
                grouped.history_average_precision,
                random.history_average_precision,
            ),
            (
                "  guessed from the unlabelled graph",
                grouped.structure_average_precision,
                random.structure_average_precision,
            ),
        )
        yield ""
        yield "Test labels guessed without reading a word    this split   a random split"
        for what, here, there in rows:
            yield f"{what:<44}{here:>12.1%}{there:>17.1%}"
    for warning in report.warnings:
        yield f"Warning: {warning}"
