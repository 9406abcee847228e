"""The duplicates among the questions of an index, by the pairs that it keeps and by what people have decided."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dupdetect.deduplicating import deduplicated
from dupdetect.detector import Detector
from dupdetect.index import decisions
from dupdetect.index.checked import strings
from dupdetect.index.results import ClusterMember, KnownCluster
from dupdetect.index.snapshot import Snapshot
from dupdetect.index.stored import MergedPairs, StoredPairs, StoredTexts, form_hash
from dupdetect.keep import parse_keep
from dupdetect.progress import Progress
from dupdetect.questions import Questions
from dupdetect.results import Deduplication
from dupdetect.tables import Source, Table
from dupdetect.text import canonical

__all__ = ["KnownDuplicates", "StoredQuestions", "clusters_of", "known_duplicates"]


@dataclass(frozen=True, slots=True, eq=False)
class StoredQuestions:
    """Questions of an index, and what it knows of their duplicates.

    told_apart: `pair_key` of pairs that do not count.  chosen: ids of the questions that people have chosen to stay.
    """

    asked: Questions
    texts: StoredTexts
    pairs: StoredPairs
    merged: MergedPairs
    told_apart: frozenset[str]
    chosen: tuple[str, ...]

    @classmethod
    def read(
        cls,
        connection: sqlite3.Connection,
        snapshot: Snapshot,
        folder: Path,
        fingerprint: str,
        told_apart: Collection[str],
        *,
        joined_alone: bool,
    ) -> StoredQuestions:
        """Read, within one transaction, all questions or, which have the same clusters, those that are like another.

        told_apart: more keys of pairs that do not count.
        """
        where = (
            "WHERE form IN (SELECT smaller FROM pairs UNION SELECT larger FROM pairs "
            "UNION SELECT a.number FROM merged JOIN forms a ON a.hash = first JOIN forms b ON b.hash = second "
            "UNION SELECT b.number FROM merged JOIN forms a ON a.hash = first JOIN forms b ON b.hash = second "
            "UNION SELECT form FROM questions GROUP BY form HAVING count(*) > 1) AND form IS NOT NULL "
        )
        rows = connection.execute(
            f"SELECT id, text, coalesce(label, '') FROM questions {where if joined_alone else ''}ORDER BY number"  # noqa: S608
        ).fetchall()
        for row in rows:
            strings(row)
        table = Table(("id", "text", "label"), tuple(rows), Source(str(folder), "index"))
        asked = Questions(
            tuple(text for _, text, _ in rows), tuple(name for name, _, _ in rows), table, ("text",), "id"
        )
        apart = snapshot.told_apart.union(told_apart)
        vectors = snapshot.vectors.rows
        return cls(
            asked,
            StoredTexts(connection, vectors, fingerprint),
            StoredPairs(connection),
            MergedPairs(connection, vectors, apart),
            apart,
            tuple(decisions.chosen(connection)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class KnownDuplicates:
    """merged: the pairs of texts, by their numbers in `result.text_of`, that somebody has put together.  chosen: the
    rows that somebody has chosen to stay."""

    result: Deduplication
    merged: frozenset[tuple[int, int]]
    chosen: frozenset[int]


def known_duplicates(
    stored: StoredQuestions,
    detector: Detector,
    estimated_precision: float | None,
    progress: Progress,
    confirmed: Collection[str] = (),
) -> KnownDuplicates:
    """Return the duplicates among these questions; DamagedRowsError where what the index knows does not fit together.

    detector: the one that the index was made with.  confirmed: `pair_key` of pairs that reviewers call duplicates.
    """
    row_of = {name: row for row, name in enumerate(stored.asked.ids)} if stored.chosen else {}
    stays = [row_of[name] for name in stored.chosen if name in row_of]
    result = deduplicated(
        stored.asked,
        stored.texts,
        detector.require_calibration(),
        detector.guards,
        parse_keep("first"),
        model=detector.name,
        search="exact",
        work=None,
        told_apart=stored.told_apart,
        without_boilerplate=False,
        estimated_precision=estimated_precision,
        progress=progress,
        find=stored.pairs.of,
        merged=stored.merged.of,
        stays=stays,
        confirmed=confirmed,
    )
    count = result.run["encoded_texts"]
    result = replace(result, run={**result.run, "encoded_texts": 0, "cached_texts": count})
    result, both = _with_merged(result, stored.merged)
    return KnownDuplicates(result, both, frozenset(stays))


def clusters_of(known: KnownDuplicates) -> tuple[KnownCluster, ...]:
    """Return the clusters of two questions or more, largest first."""
    result, merged, chosen = known.result, known.merged, known.chosen
    text_of = result.text_of.tolist()
    put_together: dict[int, list[tuple[str, str, float]]] = {}
    row_of = {name: row for row, name in enumerate(result.questions.ids)} if merged else {}
    for pair in result.run.get("merged", ()):
        at = int(result.cluster_id[row_of[pair["left"]]])
        put_together.setdefault(at, []).append((pair["left"], pair["right"], pair["similarity"]))
    labels = result.questions.table.column("label")
    found = []
    for cluster in result.clusters:
        members = []
        for row in cluster.rows:
            survivor = int(result.duplicate_of[row])
            stays = survivor < 0
            members.append(
                ClusterMember(
                    id=result.questions.ids[row],
                    text=result.questions.texts[row],
                    label=labels[row] or None,
                    duplicate_of=None if stays else result.questions.ids[survivor],
                    similarity=None if stays else float(result.similarity[row]),
                    probability=None if stays else float(result.probability[row]),
                    merged=not stays and _both(text_of[row], text_of[survivor]) in merged,
                    chosen=stays and row in chosen,
                )
            )
        found.append(
            KnownCluster(
                form_hash(canonical(members[0].text)).hex(), tuple(members), tuple(put_together.get(cluster.id, ()))
            )
        )
    return tuple(found)


def _with_merged(result: Deduplication, merged: MergedPairs) -> tuple[Deduplication, frozenset[tuple[int, int]]]:
    """Return a result that tells which of its pairs somebody has merged; and these, by their numbers in `text_of`."""
    if not merged.forms:
        return result, frozenset()
    number = {canonical(text): slot for text, slot in zip(result.questions.texts, result.text_of.tolist(), strict=True)}
    both = frozenset(_both(number[form], number[other]) for form, other in merged.forms)
    texts, pairs = result.text_of.tolist(), result.pairs
    of_pair = [
        _both(texts[a], texts[b]) in both for a, b in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    ]
    of_row = [
        survivor >= 0 and _both(texts[row], texts[survivor]) in both
        for row, survivor in enumerate(result.duplicate_of.tolist())
    ]
    ids = result.questions.ids
    listed = [
        {"left": ids[pairs.left[place]], "right": ids[pairs.right[place]], "similarity": float(pairs.similarity[place])}
        for place in np.flatnonzero(of_pair).tolist()
    ]
    below = sum(pair["similarity"] < result.threshold for pair in listed)
    note = (
        f"{len(listed):,} of the pairs count because somebody has merged them, {below:,} of them below the threshold: "
        "their similarity is the measured one, and their probability is given as 1. run.json lists them."
    )
    return (
        replace(
            result,
            pairs=replace(pairs, probability=np.where(of_pair, 1.0, pairs.probability)),
            probability=np.where(of_row, 1.0, result.probability),
            notes=(*result.notes, note),
            run={**result.run, "merged": listed},
        ),
        both,
    )


def _both(text: int, other: int) -> tuple[int, int]:
    return min(text, other), max(text, other)
