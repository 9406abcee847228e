"""What was split, what came out, and what was checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.pairs import DroppedPairs, QuestionPairs
from dupdetect.splits.probe import LeakProbe


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


def share_of(part: QuestionPairs, group: NDArray[np.int64], asked: float, total: int) -> SplitShare:
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


def warnings_on(shares: Mapping[str, SplitShare], largest: int, total: int) -> tuple[str, ...]:
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


def _report_lines(report: SplitReport) -> Iterator[str]:
    largest = "1 pair" if report.largest_group == 1 else f"{report.largest_group:,} pairs"
    yield (
        f"{report.pairs:,} pairs of {report.questions:,} questions in {report.groups:,} groups "
        f"(the largest holds {largest}), seed {report.seed}"
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
