"""One example of a class, or five: how often a text finds its class, and whether it is seen to belong to none.

    python scripts/measure_one_shot.py --base FOLDER

For the base that the shipped encoder was fine-tuned from (all-MiniLM-L6-v2, in 8 bits too), for the shipped encoder and
for the fast one, on the test split of BANKING77 and of CLINC150 and on HWU64, all classes at once:

- accuracy with 1 and with 5 examples of each class (`n_way_accuracy`, 20 draws);
- open set: the area under the ROC curve of the similarity to the nearest example, for texts of known classes against
  texts of none. Of CLINC150 these are its out-of-scope questions; of the others, a random half of the classes is known
  and the rest are not, drawn anew for each of 20 draws;
- as `QuestionIndex.classify` decides, by what the examples themselves say that outsiders reach (one in ten), or by the
  threshold of duplicates where that is lower: the share of the texts of known classes that get their own class, another
  or none, and the share of the others that get one;
- the same by the threshold of duplicates alone, which was fitted on Quora pairs.

Of BANKING77 and CLINC150 other texts were used in training, without their classes. Writes
scripts/results/one_shot.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl
from domains import as_encoder
from ledger import RESULTS, checksum, machine, revision, versions
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from training_data import DATA, rows_of

from dupdetect import Detector
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoder import Encoder
from dupdetect.evaluation import n_way_accuracy
from dupdetect.index.classes import nearest_of_others, outsiders_limit

OUTPUT = RESULTS / "one_shot.json"
SHOTS, DRAWS, SEED = (1, 5), 20, 0
OUTSIDERS = 0.1  # as `QuestionIndex.classify` by default
FILES = ("banking77", "clinc150", "hwu64")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    base = as_encoder(parser.parse_args().base)
    default, fast = Detector.from_pretrained(), Detector.from_pretrained(tier="fast")
    encoders: dict[str, tuple[Encoder, float | None]] = {
        "base": (base, None),
        "default": (default.encoder, default.require_calibration().threshold),
        "fast": (fast.encoder, fast.require_calibration().threshold),
    }
    found = {
        name: {
            data: measured(encoder, known, unknown, threshold)
            for data, (known, unknown) in sets().items()
        }
        for name, (encoder, threshold) in encoders.items()
    }  # fmt: skip
    ledger = {
        "what": "N-way matching by one or five examples, and open set, on all classes at once",
        "draws": DRAWS,
        "seed": SEED,
        "outsiders": OUTSIDERS,
        "data": {f"{name}.parquet": checksum(DATA / f"{name}.parquet") for name in FILES},
        "encoders": {name: encoder.fingerprint for name, (encoder, _) in encoders.items()},
        "thresholds": {name: threshold for name, (_, threshold) in encoders.items()},
        "machine": machine(),
        "versions": versions(),
        "revision": revision(),
        "results": found,
    }
    OUTPUT.write_text(json.dumps(ledger, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=2))


def sets() -> dict[str, tuple[pl.DataFrame, pl.DataFrame | None]]:
    """Return by name the texts of known classes, and those of none; None where classes are to be held out."""
    clinc = rows_of("clinc150")
    return {
        "BANKING77": (rows_of("banking77").filter(pl.col("split") == "test"), None),
        "CLINC150": (clinc.filter(pl.col("split") == "test"), clinc.filter(pl.col("split") == "oos_test")),
        "HWU64": (rows_of("hwu64"), None),
    }


def measured(
    encoder: Encoder, known: pl.DataFrame, unknown: pl.DataFrame | None, threshold: float | None
) -> dict[str, dict[str, float]]:
    """Return the measures by the number of shots."""
    texts, groups = known["text"].to_list(), known["group"].to_numpy()
    others = [] if unknown is None else unknown["text"].to_list()
    distinct = DistinctTexts.of([*texts, *others])
    rows = encoder.encode(distinct.forms)[distinct.position]
    codes = np.unique(groups, return_inverse=True)[1]
    found = {}
    for shots in SHOTS:
        accuracy = n_way_accuracy(encoder, texts, groups, shots=shots, draws=DRAWS, seed=SEED)
        generator = np.random.default_rng(SEED)
        draws = [
            open_set(rows[: len(texts)], rows[len(texts) :], codes, shots, threshold, generator) for _ in range(DRAWS)
        ]
        found[f"{shots} shot"] = {
            "ways": accuracy.ways,
            "accuracy": accuracy.accuracy,
            "deviation": accuracy.deviation,
            **{name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]},
        }
    return found


def open_set(
    rows: NDArray[np.float32],
    unknown: NDArray[np.float32],
    codes: NDArray[np.int64],
    shots: int,
    threshold: float | None,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Return the area under the ROC curve, and what becomes of the texts, for one draw of examples."""
    classes = generator.permutation(codes.max() + 1)
    if not len(unknown):
        classes, held_out = np.split(classes, [len(classes) // 2])
        unknown = rows[np.isin(codes, held_out)]
    members = [generator.permutation(np.flatnonzero(codes == label)) for label in classes.tolist()]
    references = np.concatenate([rows_of_class[:shots] for rows_of_class in members])
    queries = np.concatenate([rows_of_class[shots:] for rows_of_class in members])
    near, best = nearest(rows[queries], rows[references])
    right = codes[references][near] == codes[queries]
    others = nearest(unknown, rows[references])[1]
    found = {"auroc": float(roc_auc_score(np.arange(len(best) + len(others)) < len(best), np.append(best, others)))}
    if threshold is not None:
        places = np.arange(len(references))
        of_others = nearest_of_others(rows[references], codes[references], places)
        limit = outsiders_limit(of_others, codes[references], OUTSIDERS)
        assert limit is not None
        found |= decided(best, right, others, min(limit, threshold))
        found |= {f"{name}_by_duplicates": value for name, value in decided(best, right, others, threshold).items()}
    return found


def decided(
    best: NDArray[np.float32], right: NDArray[np.bool_], others: NDArray[np.float32], limit: float
) -> dict[str, float]:
    accepted = best >= limit
    return {
        "threshold": float(limit),
        "own_class": float((accepted & right).mean()),
        "another_class": float((accepted & ~right).mean()),
        "none": float((~accepted).mean()),
        "unknown_that_get_a_class": float((others >= limit).mean()),
    }


def nearest(
    queries: NDArray[np.float32], references: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return (n,) the most similar reference of each query, and their cosine."""
    product = queries @ references.T
    near: NDArray[np.int64] = product.argmax(axis=1)
    return near, np.take_along_axis(product, near[:, None], axis=1)[:, 0]


if __name__ == "__main__":
    main()
