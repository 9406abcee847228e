"""The data that the shipped encoder is trained and judged on, read from ../shared/data or the folder in
DUPDETECT_DATA."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import polars as pl
from ledger import ROOT

from dupdetect import QuestionPairs, split_pairs
from dupdetect.graph import connected_components
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
    learn from and to choose by, the other to report on."""
    return halves(rows_of("semeval16_forum"))


def halves(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    groups = rows["group"].unique().sort()
    first = pl.col("group").is_in(groups.gather_every(2).implode())
    return rows.filter(first), rows.filter(~first)


def forum_quarters(*, bodies: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first half of the forum in two, of titles or of titles and bodies: rows to learn from, and rows to choose by.
    Groups share candidates, so those rows are left out of the former that share a text with the latter, or with the
    half that is reported on."""
    first, reported = (with_bodies(rows) if bodies else rows for rows in forum_halves())
    learnt, judged = halves(first)
    return without(learnt, pl.concat([judged, reported])), judged


def with_bodies(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(question1=with_body(rows, 1), question2=with_body(rows, 2))


def without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """The rows that share no text with the others."""
    seen = texts_of(others)
    return rows.filter(pl.Series([not seen & {canonical(left), canonical(right)} for left, right in questions(rows)]))


def texts_of(rows: pl.DataFrame) -> set[str]:
    return {canonical(text) for pair in questions(rows) for text in pair}


def questions(rows: pl.DataFrame) -> list[tuple[str, str]]:
    return list(rows.select("question1", "question2").iter_rows())


def thirds(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of pairs in two parts that share no text: about two thirds to learn from, and a third to choose by."""
    names, numbers = np.unique([canonical(text) for pair in questions(rows) for text in pair], return_inverse=True)
    left, right = numbers.reshape(-1, 2).T
    component = connected_components(len(names), left, right)[left]
    sizes = np.bincount(component, minlength=len(names))
    order = np.random.default_rng(SPLIT_SEED).permutation(np.flatnonzero(sizes))
    third = np.isin(component, order[np.cumsum(sizes[order]) <= len(rows) // 3])
    return rows.filter(~third), rows.filter(third)


def parade_thirds() -> tuple[pl.DataFrame, pl.DataFrame]:
    """PARADE's train rows that share no definition with those that are reported on."""
    rows = rows_of("parade")
    train, reported = (rows.filter(pl.col("split") == name) for name in ("train", "validation"))
    return thirds(without(train, reported))


def sts_thirds() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pairs of STS with a score of 4 or 5, and of 0 to 3; what is between says neither."""
    scored = rows_of("sts12_16").filter((pl.col("score") >= 4) | (pl.col("score") <= 3))
    return thirds(scored.with_columns(label=pl.col("score") >= 4))


def with_body(rows: pl.DataFrame, side: int) -> pl.Series:
    return rows[f"question{side}"] + "\n" + rows[f"body{side}"].fill_null("")


def unlabelled_texts(seed: int = 0) -> list[str]:
    """Texts of several domains for a teacher to be asked about, a random sample of each source.

    A teacher flatters what it is asked about, so no row that is chosen by or reported on is among them; but some 50 of
    the texts, mostly utterances such as "tell me a joke", stand in two sources. Of Quora there are none, since there
    the labels say what is alike, and the teacher would object. All of the forum that there is to learn from is among
    them, its sentences too, as its long informal posts are least like what the pairs show.
    """
    parade, sts = parade_thirds()[0], sts_thirds()[0]
    titles, posts = (forum_quarters(bodies=bodies)[0] for bodies in (False, True))
    sources = (
        (rows_of("query_wellformedness")["text"], 6_000),
        (rows_of("stackoverflow_titles")["text"], 4_000),
        (both_sides(sts), 5_000),
        (both_sides(parade), 3_000),
        (banking_train()[0]["text"], 4_000),
        (rows_of("clinc150").filter(pl.col("split") == "train")["text"], 5_000),
        (both_sides(titles), 2_000),
        (both_sides(posts), 2_000),
        (sentences(both_sides(posts)), 3_000),
    )
    found: dict[str, None] = {}
    for texts, count in sources:
        unique = sorted({canonical(text) for text in texts} - {""} - found.keys())
        chosen = np.random.default_rng(seed).permutation(len(unique))[:count]
        found.update(dict.fromkeys(unique[row] for row in sorted(chosen.tolist())))
    return list(found)


def both_sides(rows: pl.DataFrame) -> pl.Series:
    return pl.concat([rows["question1"], rows["question2"]])


def sentences(texts: pl.Series) -> pl.Series:
    """The sentences of at least four words."""
    found = (part for text in texts for part in re.split(r"(?<=[.!?])\s+|\n", text))
    return pl.Series([part for part in found if len(part.split()) >= 4])


def training_pairs(splits: Splits) -> QuestionPairs:
    """Quora's: the natural train split, and the extra duplicates that touch no question of any other split, nor one of
    the same words in another order."""
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


def pairs_of_many_domains(splits: Splits) -> QuestionPairs:
    """`training_pairs`, and labelled pairs of other domains: definitions of PARADE, sentences of STS, and questions of
    a forum, which are few and count three times, as titles and with their bodies. Of the forum a question that is
    merely related is left out: it is no duplicate, and no good example of what is none."""
    forum = [forum_quarters(bodies=bodies)[0] for bodies in (False, True)]
    clear = [rows.filter((pl.col("label") == 1) | (pl.col("label_relaxed") == 0)) for rows in forum]
    sources = [parade_thirds()[0], sts_thirds()[0], *clear * 3]
    others = [
        (left, right, bool(label))
        for rows in sources
        for (left, right), label in zip(questions(rows), rows["label"], strict=True)
        if canonical(left) != canonical(right)
    ]
    quora = training_pairs(splits)
    left, right, labels = zip(*others, strict=True)
    return QuestionPairs((*quora.left, *left), (*quora.right, *right), np.append(quora.labels, labels))
