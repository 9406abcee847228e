"""Calibrate the exported encoder, measure the detector on test questions once, and write it into the package.

    python scripts/export_encoder.py --model FOLDER     first: makes model.onnx and tokenizer.json
    python scripts/build_detector.py                    then this

Reads the natural rows of `qqp_pairs.parquet` from ../shared/data, or from the folder in DUPDETECT_DATA. Writes
dupdetect/pretrained/ (manifest, calibration, model card, and modules.json, by which sentence-transformers reads the
weights out of model.onnx; with --weights FOLDER instead the model that was exported, in 16 bits, 45 MB, so that
`SentenceTransformer(folder)` loads it as it is) and scripts/results/shipped_detector.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from ledger import RESULTS as FOLDER
from ledger import ROOT, checksum, machine, versions
from measures import calibrated, link_of
from sentence_transformers import SentenceTransformer
from training_data import QUORA, SPLIT_SEED, natural_splits

from dupdetect import Detector, evaluate
from dupdetect.artifacts import read_manifest, write_manifest
from dupdetect.cli import show
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.evaluation import Evaluation, Interval
from dupdetect.guards import GUARDS
from dupdetect.model_card import for_sentence_transformers
from dupdetect.splits import Splits

PRETRAINED = ROOT / "dupdetect" / "pretrained"
RESULTS = FOLDER / "shipped_detector.json"
NAME = "dupdetect-default"
WEIGHTS = "model.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="add the exported model for sentence-transformers"
    )
    model = parser.parse_args().weights
    exported = json.loads((FOLDER / "export_encoder.json").read_text("utf-8"))["model"]["weights_sha256"]
    if model is not None and checksum(model / WEIGHTS) != exported:
        parser.error(f"{model} is not what was exported last. Run scripts/export_encoder.py --model {model} first.")
    splits = natural_splits()
    splits.check()
    print(splits.report)
    encoder = OnnxEncoder.load(PRETRAINED)
    detector = calibrated(encoder, splits, NAME)
    evaluation = evaluate(detector, splits.test, seed=SPLIT_SEED, progress=show)
    print(evaluation)
    shutil.rmtree(PRETRAINED)  # the encoder is in memory; a bare export is no detector that could be overwritten
    card = model_card(detector, evaluation, weights=model is not None)
    detector.save_pretrained(PRETRAINED, model_card=card)
    if model is not None:
        add_weights(PRETRAINED, model)
    RESULTS.write_text(json.dumps(record(detector, evaluation, splits), indent=2, ensure_ascii=False) + "\n", "utf-8")


def add_weights(folder: Path, model: Path) -> None:
    """Add the model in 16 bits, so that `SentenceTransformer(folder)` loads it. The wheel goes without these weights,
    which are twice as large as all the rest, so they are optional."""
    manifest = read_manifest(folder)
    with tempfile.TemporaryDirectory() as place:
        SentenceTransformer(str(model), device="cpu").half().save(place, create_model_card=False)
        config = Path(place, "config.json")
        # What is stored in 16 bits is computed in 32.
        config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | {"dtype": "float32"}, indent=2) + "\n")
        Path(place, "tokenizer.json").unlink()  # the detector's does for both
        shutil.copytree(place, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    write_manifest(folder, manifest, optional={WEIGHTS})


def record(detector: Detector, evaluation: Evaluation, splits: Splits) -> dict[str, object]:
    return {
        "what": "the shipped detector: threshold from the calibration split, numbers from the test split",
        "data": {"file": QUORA.name, "sha256": checksum(QUORA), "rows": "natural"},
        "seed": SPLIT_SEED,
        "machine": machine(),
        "versions": versions(),
        "calibration": detector.require_calibration().summary(),
        "test": evaluation.to_dict(),
        "splits": splits.report.to_dict(),
    }


def cells(measured: Interval) -> str:
    return f"{measured.value:.4f} | {measured.low:.4f} to {measured.high:.4f}"


def training_section() -> str:
    """How the exported weights were trained, by the ledger of `train_default.py`; nothing where they are the base's."""
    exported = json.loads((FOLDER / "export_encoder.json").read_text("utf-8"))["model"]["weights_sha256"]
    ledger = FOLDER / "training.json"
    training = json.loads(ledger.read_text("utf-8")) if ledger.exists() else {"models": {}}
    models, config = training["models"], training.get("config")
    tuned = next((model for model in models.values() if model.get("weights_sha256") == exported), None)
    if tuned is None:
        return ""
    base, other = models["base"]["other_domains"], tuned["other_domains"]
    rows = "\n".join(f"| {name} | {base[name]:.3f} | {other[name]:.3f} |" for name in base)
    share, pairs = tuned["share"], tuned["pairs"]
    steps = {
        name: f"{found['config']['steps']:,} steps of {found['config']['batch_size']} pairs"
        for name, found in config.items()
    }
    return f"""## Training

Made by `scripts/train_default.py` with `scripts/default_training.json`: a sum of weights. To the base was added what
several trainings of it had changed, each as far as a share:

- {share["earlier"]:.1%} of what the encoder that shipped before had changed: a sum of the same kind, of a joint
  training on the pairs of Quora below, a triplet and a ranking one, with another sample of texts for the teacher.
- {share["quora"]:.1%} of {steps["quora"]}: contrastive (logistic), ranking within each batch, and distillation from
  all-mpnet-base-v2 (Apache-2.0) on unlabelled texts of other domains, which `scripts/training_data.py` lists. The
  vectors of the tokens stayed. Pairs: the train split of the natural rows of Quora Question Pairs, and further Quora
  duplicates that touch no question of another split, nor one of the same words in another order: {pairs["quora"]:,}.
- {share["domains"]:.1%} of the same with labelled pairs of other domains besides, definitions of PARADE, sentences of
  STS and questions of a forum (SemEval 2016), none of which shares a text with what is reported below:
  {pairs["many domains"]:,}.
- {share["triplet"]:.1%} of {steps["triplet"]}: triplets with the hardest negative of the batch, of the natural rows
  alone ({pairs["natural"]:,} pairs).
- {share["ranking"]:.1%} of {steps["ranking"]}: ranking within each batch, of the same rows.
- The shares were chosen on validation pairs and on development sets of other domains, of which the new trainings have
  seen no text; the earlier encoder's teacher had been asked about those of the forum and of PARADE. The test sets had
  been looked at for earlier recipes, and for this one when the shares were chosen.
- Other domains (average precision, or accuracy with one example per class), from `scripts/results/training.json`:

| | base | this model |
|---|---|---|
{rows}

"""


WEIGHTS_SECTION = """- `model.safetensors` and the small files beside it: the same model in 16 bits, for
  `SentenceTransformer(folder)`. It is in the repository only; an installed copy of dupdetect goes without.
"""


MODULES_SECTION = f"""- `modules.json`, `1_Pooling/`: how sentence-transformers reads the weights out of `model.onnx`.

{for_sentence_transformers("dupdetect/pretrained")}"""


def model_card(detector: Detector, evaluation: Evaluation, *, weights: bool) -> str:
    found = detector.require_calibration().summary()
    pair, mining, guards = evaluation.pair, evaluation.mining, detector.guards
    assert guards is not None
    training = training_section()
    state = "fine-tuned on question pairs" if training else "not fine-tuned yet"
    return f"""---
license: apache-2.0
language: en
base_model: sentence-transformers/all-MiniLM-L6-v2
---
# {NAME}

The detector that dupdetect ships: all-MiniLM-L6-v2 ({state}) as an int8 ONNX file, its tokenizer,
and a calibration. It says which short English texts ask the same thing.

## Parts

- `model.onnx`, `tokenizer.json`: made from sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), mean pooling, unit
  length, weights in 8 bits, {detector.encoder.dimension} dimensions, texts of up to 256 tokens. Made by
  `scripts/export_encoder.py`, which also measures what the 8 bits cost (`scripts/results/export_encoder.json`).
- `dupdetect.json`, `evidence.npz`: the threshold, and the similarities and labels (no texts) it was chosen from.
{WEIGHTS_SECTION if weights else MODULES_SECTION}
{training}## Calibration

- Data: {found["data"]}; {found["pairs"]:,} pairs in {found["groups"]:,} groups that share no question,
  {found["prevalence"]:.1%} duplicates.
- Criterion: {found["criterion"]}. Threshold: cosine {found["threshold"]:.4f}.
- Probabilities: {link_of(detector)} curve through these pairs, the likelier of two on the validation split.
- Guards ({", ".join(GUARDS)}): a pair that differs in nothing else scores at most {guards.cap:.4f}.

## Measured on the test split (questions that the calibration has not seen)

| on {pair.pairs:,} labelled pairs | value | 95 % interval, resampling question groups |
|---|---|---|
| average precision | {cells(pair.average_precision)} |
| F1 at the threshold | {cells(pair.f1)} |
| precision at the threshold | {cells(pair.precision)} |
| recall at the threshold | {cells(pair.recall)} |

Mining all pairs of the {mining.pool:,} test questions, as `dedupe` does: precision {mining.precision:.4f}, recall
{mining.recall:.4f} (unlabelled true duplicates count as errors). Duplicates are rare among all pairs, so the threshold
that suits labelled pairs is far too generous there: ask for `--min-precision`, or review before deleting.

## Limits

- **Contamination.** The base model was itself trained on Quora duplicates among a billion pairs, so these numbers are
  optimistic. Judge it on your own pairs: `dupdetect evaluate default PAIRS.csv`.
- Quora's labels are noisy and incomplete. Quora Question Pairs is under Quora's terms of service, for non-commercial
  use; no text of it is in this folder.
- English. Other languages share some subwords, and that is all.
- Guards see that *enable* and *disable* are opposites, or *error 403* and *error 404* different things, only where two
  texts differ in nothing else; one cosine does not see it at all.
"""


if __name__ == "__main__":
    main()
