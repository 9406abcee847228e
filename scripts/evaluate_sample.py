"""How well `dupdetect dedupe` finds the true groups of data/support_questions.csv.

    python scripts/evaluate_sample.py

Prints pair precision, recall and F1 against data/support_questions_gold.csv, for the default of the command line, an
estimated precision of 0.95; for lower ones and for none, the shipped threshold; for certified operating points; and for
what everyone starts with: the same encoder cut at cosine 0.8, without guards. Also counts planted near-misses that were
merged. The last four lines are the shipped threshold with one made-up signature below all texts, and with one of three,
or none, below each: compared as dedupe does, and as wholes. No number was fitted on this file; that the word-order
guard knows arrows and words that change places several times comes from a look at its errors. Writes
scripts/results/sample.json.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import itertools
import json
from collections import defaultdict
from typing import Any

import numpy as np
from ledger import RESULTS as FOLDER
from ledger import ROOT, checksum, machine, versions

from dupdetect import Deduplication, Detector, Questions
from dupdetect.errors import UnreachableCriterionError
from dupdetect.guards import GUARDS
from dupdetect.metrics import pair_counts

EXPORT = ROOT / "data" / "support_questions.csv"
GOLD = ROOT / "data" / "support_questions_gold.csv"
RESULTS = FOLDER / "sample.json"
SIGNATURES = (
    "Best regards,\nJane Doe\nCustomer Care, Northgate Partners\nPhone 555 0100, Monday to Friday, nine to five",
    "Many thanks in advance!\nSent from my phone, please excuse any typing errors.",
    "This e-mail and its attachments are confidential and meant for the addressee alone. If you are not the addressee, "
    "please tell us and delete it. Please consider the environment before printing this message.",
    "",
)


def main() -> None:
    questions = Questions.read(EXPORT)
    group, family = gold(questions)
    detector = Detector.from_pretrained()
    points: dict[str, dict[str, Any]] = {
        "default": {"estimated_precision": 0.95},
        "--estimated-precision 0.8": {"estimated_precision": 0.8},
        "--estimated-precision 0.6": {"estimated_precision": 0.6},
        "--estimated-precision 0": {},
        "--min-precision 0.8": {"min_precision": 0.8},
        "--min-precision 0.9": {"min_precision": 0.9},
        "plain cosine 0.8": {"threshold": 0.8},
    }
    rows = {}
    for name, point in points.items():
        try:
            with_guards = detector if "plain" not in name else dataclasses.replace(detector, guards=None)
            estimated = point.pop("estimated_precision", None)
            result = with_guards.at(**point).deduplicate(questions, estimated_precision=estimated)
            rows[name] = measure(result, group, family)
        except UnreachableCriterionError as error:
            rows[name] = {"refused": str(error)}
    for added, signatures in (("one signature added", SIGNATURES[:1]), ("signatures added", SIGNATURES)):
        texts = tuple(with_signature(*row, signatures) for row in zip(questions.ids, questions.texts, strict=True))
        signed = dataclasses.replace(questions, texts=texts)
        for option, without in (("", True), (", --with-boilerplate", False)):
            result = detector.deduplicate(signed, without_boilerplate=without)
            rows[f"{added}{option}"] = measure(result, group, family)
    show(rows)
    RESULTS.write_text(json.dumps(record(detector, rows), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def with_signature(identifier: str, text: str, signatures: tuple[str, ...]) -> str:
    """Return the text with one of the signatures below, drawn by the id; a blank one as it is."""
    drawn = hashlib.sha256(identifier.encode()).digest()[0] % len(signatures)
    return f"{text}\n\n{signatures[drawn]}" if text.strip() else text


def gold(questions: Questions) -> tuple[list[str], list[str]]:
    """Return (n,) group and near-miss family of each row, by id."""
    with GOLD.open(encoding="utf-8", newline="") as file:
        by_id = {row["id"]: row for row in csv.DictReader(file)}
    return [by_id[i]["group"] for i in questions.ids], [by_id[i]["near_miss_family"] for i in questions.ids]


def measure(result: Deduplication, group: list[str], family: list[str]) -> dict[str, Any]:
    """Return the agreement with the gold groups.

    ruled_out: by each guard, pairs of texts, and how many of them are duplicates.
    pairs: of rows that were found directly.  clusters: of rows that ended in one cluster, so chains count.
    estimated_precision: of the pairs of different texts, by their probabilities.
    removed_wrongly: removed rows whose survivor is of another group, which is what a user loses.
    """
    names = np.array(group)
    different = ~result.pairs.same_text
    found = [(left, right) for left, right, _ in result.row_pairs()]
    right = sum(group[a] == group[b] for a, b in found)
    sizes = np.unique(names, return_counts=True)[1]
    true = int((sizes * (sizes - 1) // 2).sum())
    removed = np.flatnonzero(~result.kept)
    families = defaultdict(list)
    for row, trap in enumerate(family):
        if trap:
            families[trap].append(row)
    traps = {
        frozenset(pair)
        for rows in families.values()
        for pair in itertools.combinations(rows, 2)
        if group[pair[0]] != group[pair[1]]
    }
    out = result.ruled_out
    assert out is not None
    same = names[out.left] == names[out.right]
    sprung = sum(frozenset(pair) in traps for pair in found)
    return {
        "threshold": result.threshold,
        "pairs": scores(right, len(found) - right, true - right),
        "estimated_precision": float(result.pairs.probability[different].mean()) if different.any() else None,
        "clusters": scores(*_counts(result.cluster_id, names)),
        "removed": len(removed),
        "removed_wrongly": int((names[removed] != names[result.duplicate_of[removed]]).sum()),
        "ruled_out": {
            guard: {"pairs": int(rows.sum()), "duplicates": int((rows & same).sum())}
            for guard, rows in zip(GUARDS, out.reasons.T, strict=False)
        },
        "near_miss_pairs_merged": sprung,
        "near_miss_pairs": len(traps),
    }


def _counts(cluster: Any, names: Any) -> tuple[int, int, int]:
    counts = pair_counts(cluster, names)
    return counts.true_positives, counts.false_positives, counts.false_negatives


def scores(true_positives: int, false_positives: int, false_negatives: int) -> dict[str, float | int | None]:
    found, true = true_positives + false_positives, true_positives + false_negatives
    return {
        "found": found,
        "true": true,
        "precision": true_positives / found if found else None,
        "recall": true_positives / true,
        "f1": 2 * true_positives / (found + true),
    }


def show(rows: dict[str, dict[str, Any]]) -> None:
    print(
        f"{'':<42}{'cosine':>8}{'precision':>11}{'recall':>8}{'F1':>8}{'removed':>9}{'wrongly':>9}{'near-misses':>13}"
    )
    for name, row in rows.items():
        if "refused" in row:
            print(f"{name:<42}refused: {row['refused']}")
            continue
        pairs = row["pairs"]
        print(
            f"{name:<42}{row['threshold']:>8.4f}{pairs['precision']:>11.3f}{pairs['recall']:>8.3f}{pairs['f1']:>8.3f}"
            f"{row['removed']:>9}{row['removed_wrongly']:>9}"
            f"{row['near_miss_pairs_merged']:>7} of {row['near_miss_pairs']}"
        )


def record(detector: Detector, rows: dict[str, Any]) -> dict[str, Any]:
    files = {path.name: checksum(path) for path in (EXPORT, GOLD)}
    return {
        "what": "dedupe on the sample export against its gold groups, over pairs of rows",
        "data": files,
        "seed": "none: nothing is random",
        "encoder": detector.encoder.fingerprint,
        "machine": machine(),
        "versions": versions(),
        "results": rows,
    }


if __name__ == "__main__":
    main()
