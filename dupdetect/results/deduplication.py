"""The outcome of `Detector.deduplicate`, by row."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dupdetect._version import __version__
from dupdetect.calibration import Calibration
from dupdetect.calibration.measures import percent
from dupdetect.frozen import Frozen
from dupdetect.parts import input_record
from dupdetect.questions import Questions
from dupdetect.remote import is_url, output_folder, shown
from dupdetect.results.cells import below_half, line_by_line
from dupdetect.results.files import RESULT_FILES, RUN, survivor_names, write_files
from dupdetect.results.listed_pairs import PossiblePairs, RuledOutPairs, TextPairs
from dupdetect.review.candidates import Candidates
from dupdetect.search import RecallCertificate

if TYPE_CHECKING:
    import polars

__all__ = ["Cluster", "Deduplication"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Rows that a chain of pairs holds together. More than one is kept where no single row matches all the others."""

    id: int
    rows: tuple[int, ...]
    kept: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Deduplication(Frozen):
    """The outcome for n questions. Every removed row names a kept row that it was measured against.

    questions: what was asked about.
    text_of: (n,) int64, equal for rows with equal canonical text; -1 for blank rows.
    pairs: the duplicates.  ruled_out: what guards and reviewers took from them; None where pairs are too many to list.
    possible: pairs that may be duplicates and are not taken for it, of too many those alone that are read in part; None
    where no precision was estimated, or not even the duplicates are all listed.
    candidates: pairs drawn at random for review; None where pairs are too many to list.
    cluster_id: (n,) int64 from 1, largest cluster first; a row without duplicates is a cluster of its own.
    duplicate_of: (n,) int64, the row that stays for this one; -1 for rows that are kept.
    similarity, probability: (n,) of the row and the one that it is a duplicate of; NaN for rows that are kept.
    calibration: what was decided with.  notes: what was detected, repaired or left out, a sentence each.
    run: the name of the model, the keep policy, the engine, how pairs were searched for, what was done about ends that
    texts share and about too many pairs, from which cosine on pairs are possible, how many of them lower precisions
    would take for duplicates, how many pairs reviewers have told apart and how many of those that they call duplicates
    count, the texts encoded and those taken from a cache, the rows truncated and those with unknown words, and the
    seconds of each stage.
    certificate: how much an approximate search has found; None where the search was exact.
    """

    questions: Questions
    text_of: NDArray[np.int64]
    pairs: TextPairs
    ruled_out: RuledOutPairs | None
    possible: PossiblePairs | None
    candidates: Candidates | None
    cluster_id: NDArray[np.int64]
    duplicate_of: NDArray[np.int64]
    similarity: NDArray[np.float32]
    probability: NDArray[np.float64]
    calibration: Calibration
    notes: tuple[str, ...]
    run: Mapping[str, Any]
    certificate: RecallCertificate | None = None

    @property
    def threshold(self) -> float:
        """The cosine similarity from which two texts count as duplicates."""
        return self.calibration.threshold

    def __len__(self) -> int:
        return len(self.questions)

    def __repr__(self) -> str:
        """Say how the rows add up, and show none of their texts."""
        counts = self.counts
        return (
            f"<Deduplication: {counts['rows']:,} rows = {counts['kept']:,} kept + {counts['removed']:,} duplicates, "
            f"threshold {self.threshold:.4f}>"
        )

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(n,) bool: the rows that stay."""
        return self.duplicate_of < 0

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """The clusters of two rows or more, largest first."""
        order = np.argsort(self.cluster_id, kind="stable")
        ids, starts, sizes = np.unique(self.cluster_id[order], return_index=True, return_counts=True)
        several = sizes > 1
        kept = self.kept
        found = []
        for cluster, start, size in line_by_line(ids[several], starts[several], sizes[several]):
            rows = order[start : start + size]
            found.append(Cluster(cluster, tuple(rows.tolist()), tuple(rows[kept[rows]].tolist())))
        return tuple(found)

    @property
    def counts(self) -> dict[str, int]:
        """How the rows add up: rows = kept + removed = blank + distinct_texts + repeats_of_a_text.

        A cluster has two rows or more; `removed_below_half` are removed rows with a probability below one half, as
        questions.csv writes it.
        """
        kept = int(self.kept.sum())
        distinct = len(np.unique(self.text_of[self.text_of >= 0]))
        blank = int((self.text_of < 0).sum())
        sizes = np.bincount(self.cluster_id)
        return {
            "rows": len(self),
            "kept": kept,
            "removed": len(self) - kept,
            "removed_below_half": below_half(self.probability),
            "blank": blank,
            "distinct_texts": distinct,
            "repeats_of_a_text": len(self) - blank - distinct,
            "pairs_of_different_texts": int((~self.pairs.same_text).sum()),
            "pairs_possible": 0 if self.possible is None else len(self.possible),
            "pairs_ruled_out": 0 if self.ruled_out is None else len(self.ruled_out),
            "ruled_out_in_one_cluster": 0 if self.ruled_out is None else self._ruled_out_in_one_cluster(self.ruled_out),
            "clusters": int((sizes > 1).sum()),
            "rows_in_clusters": int(sizes[sizes > 1].sum()),
            "largest_cluster": int(sizes[sizes > 1].max(initial=0)),
        }

    def _ruled_out_in_one_cluster(self, pairs: RuledOutPairs) -> int:
        return int((self.cluster_id[pairs.left] == self.cluster_id[pairs.right]).sum())

    def doubt(self) -> str:
        """Say how many removed rows are below one half in probability, and what that refers to; "" if none is.

        The best F1, for one, accepts pairs that are less likely duplicates than not, where that finds more than it
        spoils.
        """
        counts = self.counts
        if not counts["removed_below_half"]:
            return ""
        below, removed = counts["removed_below_half"], counts["removed"]
        have = "has" if below == 1 else "have"
        rows = "row" if below == removed == 1 else "rows"
        return (
            f"{below:,} of {removed:,} removed {rows} {have} a probability below one half, which is "
            f"the chance of being a duplicate {self.calibration.probability_basis()}."
        )

    def estimate(self) -> str:
        """Say how many of the pairs of different texts are duplicates, by their probabilities; "" if there are none,
        nor possible ones.

        The probabilities were fitted on labelled pairs from elsewhere, so this holds as far as this file is like those.
        """
        different = ~self.pairs.same_text
        found = int(different.sum())
        if not found:
            return "No pair of different texts is sure enough to be taken for duplicates." if self.possible else ""
        expected = round(float(self.pairs.probability[different].sum()))
        pairs = "1 pair of different texts is a" if found == 1 else f"{found:,} pairs of different texts are"
        return (
            f"Estimated: {expected:,} of the {pairs} duplicate{'' if found == 1 else 's'}, if this file is like the "
            "labelled pairs."
        )

    def missed(self) -> str:
        """Say which share of the duplicates among the labelled pairs reach the threshold, and the possible ones too."""
        found = self.calibration.share_found(self.threshold)
        # The labels of a review stand for all pairs of the export that they were drawn from.
        weighted = self.calibration.sample.labels is not None
        among = "in the export that was reviewed, by its labels," if weighted else "among the labelled pairs"
        said = f"Of the duplicates {among} {percent(found)} reach this threshold"
        least = self.run.get("possible_from")
        if least is not None:
            found = self.calibration.share_found(least)
            said += f", and {percent(found)} are at least possible"
        return f"{said}{'; the others, worded more differently, are not found' if found < 1 else ''}."

    def possible_pairs(self) -> str:
        """Say how many more pairs may be duplicates, and how many a lower precision takes; "" if there are none.

        Where they are too many to list, say that.
        """
        if self.run.get("too_many_pairs"):
            return str(self.run["too_many_pairs"])
        if self.possible is None or not len(self.possible):
            return ""
        asked = ", ".join(f"{count:,} at {p}" for p, count in self.run["more_at_lower_precision"].items() if count)
        count, right = len(self.possible), float(self.possible.probability.sum())
        pairs = f"{count:,} more pairs are possible duplicates, an estimated {round(right):,} of them right"
        if count == 1:
            pairs = f"1 more pair is a possible duplicate, with a probability of {right:.2f}"
        return f"{pairs}: see possible.csv." + (
            f" A lower --estimated-precision takes more of them for duplicates: {asked}." if asked else ""
        )

    def row_pairs(self) -> Iterator[tuple[int, int, float]]:
        """Yield (left row, right row, similarity), left < right, for *every* pair of rows with listed or equal texts.

        As many as there are: 10,000 repeats of one text give 49,995,000. They are made one by one.
        """
        members: dict[int, list[int]] = {}
        for row, text in enumerate(self.text_of.tolist()):
            if text >= 0:
                members.setdefault(text, []).append(row)
        for rows in members.values():
            for position, left in enumerate(rows):
                yield from ((left, right, 1.0) for right in rows[position + 1 :])
        for pair in self.pairs:
            if not pair.same_text:
                for left in members[int(self.text_of[pair.left])]:
                    for right in members[int(self.text_of[pair.right])]:
                        yield min(left, right), max(left, right), pair.similarity

    def to_frame(self) -> polars.DataFrame:
        """Return a polars frame: one line a row with `row, id, text` and the result columns."""
        import polars

        survivor = survivor_names(self)
        kept = self.kept
        return polars.DataFrame(
            {
                "row": np.arange(len(self)),
                "id": list(self.questions.ids),
                "text": list(self.questions.texts),
                "cluster_id": self.cluster_id,
                "kept": kept,
                "duplicate_of": [None if stays else name for stays, name in zip(kept, survivor, strict=True)],
                "similarity": polars.Series(self.similarity).fill_nan(None),
                "probability": polars.Series(self.probability).fill_nan(None),
            },
            schema_overrides={"duplicate_of": polars.String, "id": polars.String, "text": polars.String},
        )

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand `to_frame` over as Arrow data: `pyarrow.table(result)`, `polars.from_arrow(result)` and their like."""
        return self.to_frame().__arrow_c_stream__(requested_schema)

    def write(self, folder: str | Path, *, excel_safe: bool = False, overwrite: bool = False) -> str | Path:
        """Write the `OUTPUT_FILES` into a folder, or to a URL such as s3://bucket/out (see `remote`); return which.

        Where no column identifies the rows, questions.csv gets their numbers too, from 1, as the column `row`.
        excel_safe: see `tables.write_csv`.

        The folder appears under its name only when it is complete.
        Raises OutputExistsError when it exists, is not empty and `overwrite` is not set, InputError when it cannot be
        made, and for a URL what `remote.output_folder` does.
        """
        target = folder if isinstance(folder, str) and is_url(folder) else Path(folder)
        name = shown(target) if isinstance(target, str) else str(folder)
        with output_folder(target, overwrite=overwrite, expected=RESULT_FILES, marker=RUN) as place:
            write_files(self, place, name, excel_safe=excel_safe)
        return target

    def record(self) -> dict[str, Any]:
        """Return the contents of run.json, but for `excel_safe`, which `write` adds: all that is needed to understand
        this result, or to make it again."""
        source = self.questions.table.source
        return {
            "dupdetect": __version__,
            "input": input_record(source),
            "text_columns": list(self.questions.text_columns),
            "id_column": self.questions.id_column,
            **self.run,
            "calibration": self.calibration.summary(),
            "promise": self.calibration.promise(),
            "doubt": self.doubt(),
            "estimate": self.estimate(),
            "possible": self.possible_pairs(),
            "missed": self.missed(),
            "counts": self.counts,
            "ruled_out": None if self.ruled_out is None else self.ruled_out.counts(),
            "notes": list(self.notes),
            "packages": {name: metadata.version(name) for name in ("numpy", "onnxruntime", "tokenizers")},
            "python": platform.python_version(),
        }
