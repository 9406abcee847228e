"""The data that the shipped encoder is trained and judged on, read from ../shared/data or the folder in
DUPDETECT_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
from ledger import ROOT

from dupdetect import QuestionPairs, split_pairs
from dupdetect.graph import connected_components
from dupdetect.splits import Splits
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
    learn from and to choose by, the other to report on."""
    rows = rows_of("semeval16_forum")
    groups = rows["group"].unique().sort()
    first = pl.col("group").is_in(groups.gather_every(2).implode())
    return rows.filter(first), rows.filter(~first)


def thirds(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of pairs in two parts that share no text: about two thirds to learn from, and a third to choose by. Rows
    that are connected by texts, or by what their column `group` names, are in the same part."""
    ends = [[canonical(text) for text in rows[f"question{side}"]] for side in (1, 2)]
    ends += [[f"\0{name}" for name in rows["group"]]] if "group" in rows.columns else []
    names, numbers = np.unique(np.concatenate(ends), return_inverse=True)
    left, *others = numbers.reshape(len(ends), -1)
    component = connected_components(len(names), np.tile(left, len(others)), np.concatenate(others))[left]
    sizes = np.bincount(component, minlength=len(names))
    order = np.random.default_rng(SPLIT_SEED).permutation(np.flatnonzero(sizes))
    third = order[np.cumsum(sizes[order]) <= len(rows) // 3]
    chosen = np.isin(component, third)
    return rows.filter(~chosen), rows.filter(chosen)


def forum_thirds() -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first half of the forum's groups: two thirds to learn from, with labels, and a third to choose by. Groups
    share candidates, so of the two thirds those rows are left out that share a text with the third or the other half.
    """
    first, other = forum_halves()
    groups = first["group"].unique().sort()
    third = pl.col("group").is_in(groups.gather_every(3).implode())
    judged = pl.concat([first.filter(third), other])
    seen = {canonical(text) for side in (1, 2) for text in judged[f"question{side}"]}
    fresh = [
        canonical(left) not in seen and canonical(right) not in seen
        for left, right in first.select("question1", "question2").iter_rows()
    ]
    return first.filter(~third & pl.Series(fresh)), first.filter(third)


def parade_thirds() -> tuple[pl.DataFrame, pl.DataFrame]:
    return thirds(rows_of("parade").filter(pl.col("split") == "train"))


def sts_thirds() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pairs of STS with a score of 4 or 5, and of 0 to 3; what is between says neither."""
    scored = rows_of("sts12_16").filter((pl.col("score") >= 4) | (pl.col("score") <= 3))
    return thirds(scored.with_columns(label=pl.col("score") >= 4))


def with_body(rows: pl.DataFrame, side: int) -> pl.Series:
    return rows[f"question{side}"] + "\n" + rows[f"body{side}"].fill_null("")


def unlabelled_texts(seed: int = 0) -> list[str]:
    """Texts of several domains for a teacher to be asked about, a random sample of each source.

    None is reported on: of PARADE, BANKING77 and CLINC150 they are train rows, of the forum texts of the half to choose
    by that the other half has not. Of Quora there are none, since there the labels say what is alike, and the teacher
    would object. The forum is a twelfth of all, as its long informal posts are least like what the pairs show.
    """
    forum, reported = forum_halves()
    others = {canonical(text) for side in (1, 2) for text in (*reported[f"question{side}"], *with_body(reported, side))}
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
        unique = sorted({canonical(text) for text in texts} - {""} - others - found.keys())
        chosen = np.random.default_rng(seed).permutation(len(unique))[:count]
        found.update(dict.fromkeys(unique[row] for row in sorted(chosen.tolist())))
    return list(found)


def training_pairs(splits: Splits) -> QuestionPairs:
    """Quora's: the natural train split, and the extra duplicates that touch no question of any other split."""
    held_out = {text for name in ("validation", "calibration", "test") for text in getattr(splits, name).nodes().texts}
    rows = pl.read_parquet(QUORA).filter(~pl.col("natural") & ~pl.col("lower1") & ~pl.col("lower2"))
    extra = [
        (left, right)
        for left, right in rows.select("question1", "question2").iter_rows()
        if canonical(left) not in held_out and canonical(right) not in held_out
    ]
    train = splits.train
    return QuestionPairs.from_columns(
        [*train.left, *(left for left, _ in extra)],
        [*train.right, *(right for _, right in extra)],
        [*train.labels.tolist(), *([True] * len(extra))],
    )


def pairs_of_many_domains(splits: Splits) -> QuestionPairs:
    """`training_pairs`, and labelled pairs of other domains: definitions of PARADE, sentences of STS, and questions of
    a forum, which are few and count three times, as titles and with their bodies. Of the forum a question that is
    merely related is left out: it is no duplicate, and no good example of what is none."""
    forum = forum_thirds()[0].filter((pl.col("label") == 1) | (pl.col("label_relaxed") == 0))
    sources = [parade_thirds()[0], sts_thirds()[0]]
    sources += [forum, forum.with_columns(question1=with_body(forum, 1), question2=with_body(forum, 2))] * 3
    others = [
        (left, right, bool(label))
        for rows in sources
        for left, right, label in rows.select("question1", "question2", "label").iter_rows()
        if canonical(left) != canonical(right)
    ]
    quora = training_pairs(splits)
    left, right, labels = zip(*others, strict=True)
    return QuestionPairs((*quora.left, *left), (*quora.right, *right), np.append(quora.labels, labels))
