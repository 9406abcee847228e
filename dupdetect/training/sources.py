"""Labelled pairs from wherever they are: a file, a `datasets` folder, an object in memory, or the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Unpack

from dupdetect.errors import ColumnNotFoundError, DupdetectError, EmptyInputError, InputError, MissingExtraError
from dupdetect.pairs import ACCEPTED_LABELS, QuestionPairs, read_pairs
from dupdetect.tables import Reading, table_from_frame
from dupdetect.tables.read import given_options

__all__ = ["load_pairs", "require_both_labels"]

_HUB_ID = re.compile(r"(?P<path>[\w.-]+(/[\w.-]+)?)(:(?P<config>[\w.-]+))?", re.ASCII)
_FILE_SUFFIXES = {".csv", ".tsv", ".txt", ".gz", ".parquet", ".json", ".jsonl", ".ndjson", ".xlsx", ".xlsm"}
_CHUNK_ROWS = 10_000


def load_pairs(
    source: object,
    *,
    left: str | None = None,
    right: str | None = None,
    label: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    **reading: Unpack[Reading],
) -> QuestionPairs:
    """Return the usable pairs of a data set; blank, self, contradicting and repeated ones are counted in `.dropped`.

    `source` is one of:
    - the path of a CSV, Excel, Parquet or JSON Lines file, as `dupdetect.tables.read_table` reads them; `reading` are
      its options: `encoding`, `delimiter`, `sheet`, `on_bad_rows`;
    - a folder that `datasets` wrote with `save_to_disk`;
    - a `Dataset`, `IterableDataset` or dict of them in memory, or any data frame;
    - a hub id, `owner/name` or `owner/name:config`; `revision` is a branch, tag or commit. No code of it is run. A path
      that exists on this machine comes first.

    `left`, `right` and `label` name the columns; without them `QuestionPairs.from_table` finds them by usual names.
    Where a label column names its classes (`ClassLabel`), the names decide what 0 and 1 mean. `split` is needed where
    there are several. Data sets are read 10,000 rows at a time, three columns only; with `streaming` a hub data set is
    not stored on disk first, nor a Parquet file held whole. (Text files always are: all of it shows the encoding.)

    Raises InputError for what is not there, cannot be reached or read, or has several splits; ColumnNotFoundError;
    InvalidLabelError; EmptyInputError when no pair is usable; MissingExtraError without `datasets`.
    """
    wanted = {"left": left, "right": right, "label": label}
    if isinstance(source, str | Path):
        pairs = _from_name(source, wanted, split, revision, streaming, reading)
    else:
        _refuse("Data in memory", revision=revision, **given_options(**reading))
        pairs = _from_object(source, wanted, split)
    if not len(pairs):
        found = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in pairs.dropped.to_dict().items())
        raise EmptyInputError(
            f"{_shown(source)} has no usable pairs (dropped: {found}). Check which columns were read."
        )
    return pairs


def require_both_labels(pairs: QuestionPairs, needed_for: str) -> None:
    """Raise InputError unless `pairs` has duplicates and non-duplicates; `needed_for` begins the message.

    A check of its own, as not all work needs both: triplets can be mined from duplicates alone.
    """
    duplicates = int(pairs.labels.sum())
    if duplicates in (0, len(pairs)):
        lacking = "not duplicate (label 0)" if duplicates else "duplicate (label 1)"
        raise InputError(
            f"{needed_for} needs pairs of both labels, and none of the {len(pairs):,} pairs is {lacking}. "
            "Add some, or check that the right label column was read."
        )


def _from_name(
    source: str | Path,
    wanted: Mapping[str, str | None],
    split: str | None,
    revision: str | None,
    streaming: bool,
    reading: Reading,
) -> QuestionPairs:
    path = Path(source)
    hub = _HUB_ID.fullmatch(source) if isinstance(source, str) else None
    if path.is_dir():
        _refuse(f"The folder {source}", revision=revision, **given_options(**reading))
        return _from_object(_load_folder(path), wanted, split)
    # A file that is not there goes the same way: `read_table` says so.
    if path.exists() or str(source) == "-" or hub is None or path.suffix.lower() in _FILE_SUFFIXES:
        _refuse(f"The file {source}", split=split, revision=revision)
        if streaming and path.suffix.lower() == ".parquet" and path.exists():
            _refuse(f"The file {source}", **given_options(**reading))
            return _from_object(_stream_parquet(path), wanted, None)
        return read_pairs(source, **wanted, **reading)
    _refuse(f"The hub data set {source}", **given_options(**reading))
    datasets = _import_datasets(f"The hub data set {source}")
    with _explained(
        f"{source!r} is no file or folder here, and cannot be loaded from the Hugging Face hub",
        "Check the name, its config (name:config) and split, and the network; or download it where there is one, "
        "`save_to_disk(folder)`, and name the folder.",
    ):
        data = datasets.load_dataset(hub["path"], hub["config"], split=split, revision=revision, streaming=streaming)
        # Read inside: a stream meets the network only here.
        return _from_object(data, wanted, None)


def _from_object(source: Any, wanted: Mapping[str, str | None], split: str | None) -> QuestionPairs:
    if isinstance(source, Mapping) and any(map(_is_dataset, source.values())):
        return _from_dataset(_one_split(source, split), wanted)
    if split is not None and str(getattr(source, "split", None)) != split:
        raise InputError(f"{_shown(source)} has no split {split!r} to choose: it is one table. Leave the split out.")
    if _is_dataset(source):
        return _from_dataset(source, wanted)
    return QuestionPairs.from_table(table_from_frame(source), **wanted)


def _is_dataset(source: object) -> bool:
    """Tell the classes of `datasets` by what they do: importing it takes seconds. (Arrow tables have no `iter`.)"""
    return hasattr(source, "column_names") and hasattr(source, "iter")


def _one_split(splits: Mapping[str, Any], split: str | None) -> Any:
    names = ", ".join(map(repr, splits))
    if split is None and len(splits) > 1:
        raise InputError(f"The data set has several splits: {names}. Name one (split=...).")
    if split is not None and split not in splits:
        raise InputError(f"The data set has no split {split!r}. Splits: {names}.")
    return splits[split if split is not None else next(iter(splits))]


def _from_dataset(data: Any, wanted: Mapping[str, str | None]) -> QuestionPairs:
    # A stream made by a generator knows its columns only from a row.
    names = list(data.column_names or next(iter(data), {}))
    if not names:
        raise EmptyInputError(
            "The data set has no columns or no rows. Hand in one with pairs of questions and a label."
        )
    header = _Header(names)
    QuestionPairs.from_table(header, **wanted)
    left_name, right_name, label_name = header.asked
    classes = _class_names(data, label_name)
    left: list[str | None] = []
    right: list[str | None] = []
    labels: list[object] = []
    for chunk in data.select_columns(header.asked).with_format(None).iter(batch_size=_CHUNK_ROWS):
        left += chunk[left_name]
        right += chunk[right_name]
        labels += [_by_name(value, classes) for value in chunk[label_name]]
    return QuestionPairs.from_columns(left, right, labels)


class _Header:
    """A table without rows that notes which columns are asked of it: so `QuestionPairs.from_table` alone decides which
    columns count, and a stream is still read once."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self.asked: list[str] = []

    def column(self, name: str) -> list[str]:
        if name not in self.columns:
            raise ColumnNotFoundError(name, self.columns)
        self.asked.append(name)
        return []


def _class_names(data: Any, label: str) -> list[str] | None:
    """Return the names of the classes of a ClassLabel column, None for any other. Raises InputError for names that do
    not say duplicate or not: then what 0 means would be a guess."""
    names = getattr((getattr(data, "features", None) or {}).get(label), "names", None)
    if names is None:
        return None
    try:
        QuestionPairs.from_columns(["a"] * len(names), ["b"] * len(names), names)
    except InputError:
        raise InputError(
            f"The classes of the column {label!r} are named {', '.join(map(repr, names))}, which must be "
            f"{' / '.join(ACCEPTED_LABELS)}. Rename them: "
            f'data.cast_column({label!r}, ClassLabel(names=["not duplicate", "duplicate"])).'
        ) from None
    return list(names)


def _by_name(value: Any, names: list[str] | None) -> object:
    """Return the name of a class; what is no class, such as the -1 of a split without labels, stays for the error."""
    return names[value] if names is not None and isinstance(value, int) and 0 <= value < len(names) else value


def _load_folder(path: Path) -> Any:
    if not any((path / name).exists() for name in ("dataset_dict.json", "state.json", "dataset_info.json")):
        raise InputError(f"The folder {path} was not written by `save_to_disk` of `datasets`. Name the file to read.")
    datasets = _import_datasets(f"The data set folder {path}")
    with _explained(f"The data set folder {path} cannot be read", "Save it again."):
        return datasets.load_from_disk(path)


def _stream_parquet(path: Path) -> Any:
    datasets = _import_datasets("Streaming")
    with _explained(f"{path} is no readable Parquet file", "Export it again."):
        return datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)


def _import_datasets(needed_for: str) -> ModuleType:
    try:
        return import_module("datasets")
    except ImportError:
        raise MissingExtraError("train", needed_for, "datasets") from None


@contextmanager
def _explained(what: str, todo: str) -> Iterator[None]:
    """Turn whatever `datasets` and its HTTP, Arrow and JSON libraries raise into one InputError."""
    try:
        yield
    except DupdetectError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{what} ({reason}). {todo}") from error


def _refuse(what: str, **options: str | None) -> None:
    for name, value in options.items():
        if value is not None:
            raise InputError(f"{what} has no {name} {value!r} to choose. Leave the {name} out.")


def _shown(source: object) -> str:
    return str(source) if isinstance(source, str | Path) else f"The {type(source).__name__}"
