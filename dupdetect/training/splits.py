"""Labelled pairs from wherever they are, in the four splits that a training needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Unpack

from dupdetect.errors import EmptyInputError, InputError
from dupdetect.pairs import DroppedPairs, QuestionPairs, read_pairs
from dupdetect.splits import SPLITS, split_pairs
from dupdetect.splits.disjoint import canonical_texts, check_disjoint
from dupdetect.tables import Reading
from dupdetect.training.sources import load_pairs, require_both_labels

__all__ = ["FourSplits", "LoadedSplits", "check_splits", "load_splits"]

_NEEDED_FOR = {
    "train": "Training",
    "validation": "Choosing the best checkpoint",
    "calibration": "Calibration",
    "test": "Measuring on the test pairs",
}


class FourSplits(Protocol):
    """Pairs to train on, to choose the checkpoint, to choose the threshold and to measure: as `split_pairs` returns
    them, or `load_splits`."""

    @property
    def train(self) -> QuestionPairs: ...
    @property
    def validation(self) -> QuestionPairs: ...
    @property
    def calibration(self) -> QuestionPairs: ...
    @property
    def test(self) -> QuestionPairs: ...


@dataclass(frozen=True, slots=True, eq=False)
class LoadedSplits:
    """Four splits. `data`: where they come from, in a few words. `notes`: what a reader should know, a sentence each:
    rows that were left out, splits of another size than was asked for."""

    train: QuestionPairs
    validation: QuestionPairs
    calibration: QuestionPairs
    test: QuestionPairs
    data: str
    notes: tuple[str, ...]


def load_splits(
    source: str | Path,
    *,
    left: str | None = None,
    right: str | None = None,
    label: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    seed: int = 0,
    **reading: Unpack[Reading],
) -> LoadedSplits:
    """Return the pairs of a data set in four splits that share no question.

    `source` is whatever `load_pairs` reads, and is then split by `split_pairs` with `seed`; or a folder that `dupdetect
    split` wrote (train.csv, validation.csv, calibration.csv, test.csv), whose splits are taken as they are. `reading`:
    the options of `dupdetect.tables.read_table`, for files.

    Raises what `load_pairs` and `split_pairs` raise, InputError for a folder with some of the four files only, and
    LeakageError when a question stands in two of them.
    """
    folder = Path(source)
    if any((folder / f"{name}.csv").exists() for name in SPLITS):
        for option, value in (("split", split), ("revision", revision)):
            if value is not None:
                raise InputError(f"The splits in {source} have no {option} {value!r} to choose. Leave it out.")
        parts = dict(_read(folder, left, right, label, reading))
        check_splits(LoadedSplits(**parts, data="", notes=()))
        notes = [note for name, pairs in parts.items() for note in _left_out(f"{name}.csv: left out", pairs.dropped)]
        return LoadedSplits(**parts, data=f"the splits in {folder.resolve().name}", notes=tuple(notes))
    pairs = load_pairs(source, left=left, right=right, label=label, split=split, revision=revision, **reading)
    made = split_pairs(pairs, seed=seed)
    which = f", {split}" if split is not None else ""
    return LoadedSplits(
        **dict(made.items()),
        data=f"{folder.name if folder.exists() else source}{which}, split by question with seed {seed}",
        notes=(*_left_out("Left out", pairs.dropped), *made.report.warnings),
    )


def check_splits(splits: FourSplits) -> None:
    """Raise EmptyInputError or InputError for a split without pairs of both labels, and LeakageError when a question
    stands in two."""
    parts = {name: getattr(splits, name) for name in SPLITS}
    for name, pairs in parts.items():
        if not len(pairs):
            raise EmptyInputError(f"There are no {name} pairs. Split again, with more pairs.")
        require_both_labels(pairs, _NEEDED_FOR[name])
    check_disjoint({name: canonical_texts(pairs) for name, pairs in parts.items()})


def _read(
    folder: Path, left: str | None, right: str | None, label: str | None, reading: Reading
) -> Iterator[tuple[str, QuestionPairs]]:
    for name in SPLITS:
        path = folder / f"{name}.csv"
        if not path.is_file():
            raise InputError(
                f"{folder} holds splits, but lacks {path.name}. Split all pairs again (dupdetect split), or name the "
                "file of all pairs, which is then split."
            )
        yield name, read_pairs(path, left=left, right=right, label=label, **reading)


def _left_out(what: str, dropped: DroppedPairs) -> Iterator[str]:
    for reason, count in dropped.to_dict().items():
        if count:
            yield f"{what} {count:,} {'row' if count == 1 else 'rows'}: {reason.replace('_', ' ')}."
