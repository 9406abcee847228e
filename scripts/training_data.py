"""The data that the shipped encoder is trained and judged on, read from ../shared/data or the folder in
DUPDETECT_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
from ledger import ROOT

from dupdetect import QuestionPairs, split_pairs
from dupdetect.splits import Splits
from dupdetect.splits.sketch import sketch_key
from dupdetect.text import canonical

DATA = Path(os.environ.get("DUPDETECT_DATA", ROOT.parent / "shared" / "data"))
QUORA = DATA / "qqp_pairs.parquet"
SPLIT_SEED = 0


def quora_pairs(*, natural: bool) -> QuestionPairs:
    """The two random samples of Quora's pairs, or (`natural` False) the extra duplicates."""
    rows = pl.read_parquet(QUORA).filter(pl.col("natural") == natural)
    return QuestionPairs.from_columns(rows["question1"].to_list(), rows["question2"].to_list(), rows["label"].to_list())


def natural_splits() -> Splits:
    return split_pairs(quora_pairs(natural=True), seed=SPLIT_SEED)


def rows_of(name: str) -> pl.DataFrame:
    return pl.read_parquet(DATA / f"{name}.parquet")


def banking_train() -> tuple[pl.DataFrame, pl.DataFrame]:
    """BANKING77's train rows: two thirds whose texts, without their classes, the teacher is asked about, and the third
    to choose by."""
    rows = rows_of("banking77").filter(pl.col("split") == "train").with_row_index()
    return rows.filter(pl.col("index") % 3 != 0), rows.filter(pl.col("index") % 3 == 0)


def forum_halves() -> tuple[pl.DataFrame, pl.DataFrame]:
    """The forum questions of SemEval 2016 in two halves that share no original question, but some candidates: one to
    learn the style of a forum from, without its labels, and to choose by; the other to report on."""
    rows = rows_of("semeval16_forum")
    groups = rows["group"].unique().sort()
    first = pl.col("group").is_in(groups.gather_every(2).implode())
    return rows.filter(first), rows.filter(~first)


def with_body(rows: pl.DataFrame, side: int) -> pl.Series:
    return rows[f"question{side}"] + "\n" + rows[f"body{side}"].fill_null("")


def unlabelled_texts(seed: int = 0) -> list[str]:
    """Texts of several domains for a teacher to be asked about, a random sample of each source.

    Of PARADE, BANKING77 and CLINC150 they are train rows, of the forum the half to choose by: nothing that is reported
    on is among them, but 299 candidates that the other half of the forum has too. Of Quora there are none, since there
    the labels say what is alike, and the teacher would object. The forum is a seventh of all, as its long informal
    posts are least like what the pairs show.
    """
    forum = forum_halves()[0]
    sources = (
        (rows_of("query_wellformedness")["text"], 4_000),
        (rows_of("stackoverflow_titles")["text"], 3_000),
        (pl.concat([rows_of("sts12_16")["question1"], rows_of("sts12_16")["question2"]]), 3_000),
        (rows_of("parade").filter(pl.col("split") == "train")["question1"], 2_000),
        (banking_train()[0]["text"], 3_000),
        (rows_of("clinc150").filter(pl.col("split") == "train")["text"], 3_000),
        (pl.concat([forum["question1"], forum["question2"]]), 2_000),
        (pl.concat([with_body(forum, 1), with_body(forum, 2)]), 2_000),
    )
    found: dict[str, None] = {}
    for texts, count in sources:
        unique = sorted({canonical(text) for text in texts} - {""} - found.keys())
        chosen = np.random.default_rng(seed).permutation(len(unique))[:count]
        found.update(dict.fromkeys(unique[row] for row in sorted(chosen.tolist())))
    return list(found)


def training_pairs(splits: Splits) -> QuestionPairs:
    """The natural train split, and the extra duplicates that touch no question of any other split, nor one of the same
    words in another order."""
    held_out = {text for name in ("validation", "calibration", "test") for text in getattr(splits, name).nodes().texts}
    held_out_words = {sketch_key(text) for text in held_out} - {""}

    def free(question: str) -> bool:
        form = canonical(question)
        return form not in held_out and sketch_key(form) not in held_out_words

    rows = pl.read_parquet(QUORA).filter(~pl.col("natural") & ~pl.col("lower1") & ~pl.col("lower2"))
    extra = [pair for pair in rows.select("question1", "question2").iter_rows() if all(map(free, pair))]
    train = splits.train
    return QuestionPairs.from_columns(
        [*train.left, *(left for left, _ in extra)],
        [*train.right, *(right for _, right in extra)],
        [*train.labels.tolist(), *([True] * len(extra))],
    )
