"""Splits to CSV files and a JSON report."""

from __future__ import annotations

import json
from pathlib import Path

from dupdetect.splits.split import SPLITS, Splits
from dupdetect.tables import write_csv

SPLIT_FILES = (*(f"{name}.csv" for name in SPLITS), "report.json")


def write_splits(splits: Splits, folder: str | Path) -> None:
    """Write `SPLIT_FILES` into `folder`, which is there already: a CSV file per split (question1, question2, label,
    group; as `write_csv` writes them; a split that was not asked for gets a header), and the report as JSON.
    """
    folder = Path(folder)
    for name, pairs in splits.items():
        labelled = zip(pairs.to_rows(), splits.groups[name].tolist(), strict=True)
        rows = ((left, right, str(label), str(group)) for (left, right, label), group in labelled)
        write_csv(folder / f"{name}.csv", ("question1", "question2", "label", "group"), rows)
    text = json.dumps(splits.report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
