"""The files of a deduplication: their names, their columns and rows, and the writing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dupdetect.artifacts import CERTIFICATE
from dupdetect.report import render_report
from dupdetect.results.cells import exact, free_names, line_by_line, rounded, slices
from dupdetect.results.listed_pairs import PossiblePairs, RuledOutPairs, TextPairs
from dupdetect.review.candidates import CANDIDATE_COLUMNS, CANDIDATES
from dupdetect.tables import write_csv

if TYPE_CHECKING:
    from dupdetect.results.deduplication import Deduplication

__all__ = ["OUTPUT_FILES", "RESULT_FILES", "RUN", "survivor_names", "write_files"]

QUESTIONS, KEPT, PAIRS = "questions.csv", "kept.csv", "pairs.csv"
POSSIBLE, RULED_OUT = "possible.csv", "ruled_out.csv"
REPORT, RUN = "report.html", "run.json"
OUTPUT_FILES = (QUESTIONS, KEPT, PAIRS, POSSIBLE, RULED_OUT, CANDIDATES, REPORT, RUN)
RESULT_FILES = (*OUTPUT_FILES, CERTIFICATE)
"""What may be in the folder of a result: the labels of a review add a certificate."""

RESULT_COLUMNS = ("cluster_id", "kept", "duplicate_of", "similarity", "probability")
PAIR_COLUMNS = (
    *("left_id", "right_id", "left_row", "right_row", "similarity", "probability", "same_text", "bridge"),
    *("left_rows", "right_rows", "left_text", "right_text"),
)
POSSIBLE_COLUMNS = (
    *("left_id", "right_id", "left_row", "right_row", "similarity", "probability"),
    *("left_rows", "right_rows", "left_text", "right_text"),
)
RULED_OUT_COLUMNS = (
    *("left_id", "right_id", "left_row", "right_row", "similarity", "probability", "reasons"),
    *("left_rows", "right_rows", "left_text", "right_text"),
)


def write_files(result: Deduplication, place: Path, folder: str, *, excel_safe: bool) -> None:
    """Write the `OUTPUT_FILES` into the empty folder `place`, which will be called `folder`."""
    for name, columns, rows in _tables(result):
        with (place / name).open("w", encoding="utf-8", newline="") as file:
            write_csv(file, columns, rows, excel_safe=excel_safe)
    record = result.record() | {"excel_safe": excel_safe}
    (place / REPORT).write_text(render_report(result, record, folder), encoding="utf-8")
    (place / RUN).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")


def survivor_names(result: Deduplication) -> Iterator[str]:
    """Yield n ids of the rows that stay; a row that is kept names itself."""
    survivor = np.where(result.duplicate_of < 0, np.arange(len(result)), result.duplicate_of)
    ids = result.questions.ids
    return (ids[row] for (row,) in line_by_line(survivor))


def _tables(result: Deduplication) -> Iterator[tuple[str, Sequence[str], Iterable[Sequence[str]]]]:
    """Yield the name, the header and the rows of each CSV file, one after the other."""
    table, drawn = result.questions.table, result.candidates
    yield QUESTIONS, (*table.columns, *free_names(table.columns, _added_columns(result))), _result_rows(result)
    yield KEPT, table.columns, itertools.compress(table.rows, result.kept)
    yield PAIRS, PAIR_COLUMNS, _pair_rows(result)
    yield POSSIBLE, POSSIBLE_COLUMNS, _possible_rows(result)
    yield RULED_OUT, RULED_OUT_COLUMNS, _ruled_out_rows(result)
    yield CANDIDATES, CANDIDATE_COLUMNS, () if drawn is None else drawn.rows()


def _added_columns(result: Deduplication) -> tuple[str, ...]:
    # Where rows go by their numbers, the reader of questions.csv needs these to find what `duplicate_of` names.
    return ("row", *RESULT_COLUMNS) if result.questions.id_column is None else RESULT_COLUMNS


def _result_rows(result: Deduplication) -> Iterator[Sequence[str]]:
    table = result.questions.table
    numbered = ((*cells, str(number)) for number, cells in enumerate(table.rows, 1))
    columns = zip(
        numbered if result.questions.id_column is None else table.rows,
        line_by_line(result.cluster_id, result.kept, result.probability),
        survivor_names(result),
        result.similarity,
        strict=True,
    )
    for cells, (cluster, kept, probability), survivor, similarity in columns:
        if kept:
            yield (*cells, str(cluster), "true", "", "", "")
        else:
            yield (*cells, str(cluster), "false", survivor, exact(similarity), rounded(probability))


def _pair_rows(result: Deduplication) -> Iterator[Sequence[str]]:
    some = result.pairs

    def more(part: slice) -> tuple[Iterable[str], ...]:
        same = ("true" if same else "false" for same in some.same_text[part].tolist())
        return same, map(str, some.bridge[part].tolist())

    return _rows_of(result, some, more, same_text=some.same_text)


def _possible_rows(result: Deduplication) -> Iterator[Sequence[str]]:
    return iter(()) if result.possible is None else _rows_of(result, result.possible, lambda _: ())


def _ruled_out_rows(result: Deduplication) -> Iterator[Sequence[str]]:
    if result.ruled_out is None:
        return iter(())
    names = result.ruled_out.names
    return _rows_of(result, result.ruled_out, lambda part: (map("; ".join, names[part]),))


def _rows_of(
    result: Deduplication,
    pairs: TextPairs | PossiblePairs | RuledOutPairs,
    more: Callable[[slice], tuple[Iterable[str], ...]],
    *,
    same_text: NDArray[np.bool_] | None = None,
) -> Iterator[Sequence[str]]:
    """Yield the cells of each pair.

    more: the columns, for some of the pairs, before the numbers of rows with the two texts.  same_text: where these
    numbers are 1, since each row with that text has a pair of its own.
    """
    ids, texts = result.questions.ids.__getitem__, result.questions.texts.__getitem__
    repeats = np.bincount(result.text_of[result.text_of >= 0], minlength=1)
    for part in slices(len(pairs)):
        once = False if same_text is None else same_text[part]
        left, right = pairs.left[part], pairs.right[part]
        sides = left.tolist(), right.tolist()
        yield from zip(
            *(map(ids, side) for side in sides),
            *(map(str, (side + 1).tolist()) for side in (left, right)),
            *(map(exact, pairs.similarity[part]), map(rounded, pairs.probability[part].tolist())),
            *more(part),
            *(map(str, np.where(once, 1, repeats[result.text_of[side]]).tolist()) for side in (left, right)),
            *(map(texts, side) for side in sides),
            strict=True,
        )
