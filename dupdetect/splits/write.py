"""Splits to CSV files and a JSON report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from dupdetect.splits.split import SPLITS, Splits

SPLIT_FILES = (*(f"{name}.csv" for name in SPLITS), "report.json")


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
