"""What a trained detector is, in words for who finds its folder."""

from __future__ import annotations

from pathlib import Path

from dupdetect.detector import Detector
from dupdetect.splits import SPLITS
from dupdetect.training.comparison import Comparison
from dupdetect.training.config import TrainingConfig
from dupdetect.training.splits import FourSplits

__all__ = ["base_name", "model_card"]


def base_name(config: TrainingConfig) -> str:
    """Return the base's name on the hub, or that of its folder without the way to it, which is nobody's business."""
    return Path(config.base).resolve().name if Path(config.base).is_dir() else config.base


def model_card(
    detector: Detector, config: TrainingConfig, splits: FourSplits, comparison: Comparison, *, data: str
) -> str:
    """Return the README.md of a detector folder that `train_detector` writes, as Markdown."""
    base, found = base_name(config), detector.require_calibration().summary()
    objective = " + ".join(f"{weight:g} x {part}" for part, weight in config.parts.items())
    if "triplet" in config.parts:
        objective += f"; {config.negatives} negatives from the {config.mining}"
    on_hub = "" if Path(config.base).is_dir() else f"base_model: {base}\n"
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
{on_hub}---
# {detector.name}

Says which short texts ask the same thing: {base}, fine-tuned on labelled pairs, and a calibrated threshold.

```python
from dupdetect import Detector, canonical
from sentence_transformers import SentenceTransformer

detector = Detector.from_pretrained("{detector.name}")  # the encoder in 8 bits, with the threshold
detector.predict([("How do I pay?", "Where can I pay?")])

model = SentenceTransformer("{detector.name}")  # the encoder alone, in 32 bits
model.encode([canonical("How do I pay?")])  # the form in which it saw the texts
```

## Training

- Base: {base}.
- Data: {data}. No question stands in two splits.
- Objective: {objective}.
- Every option: `training.json`. How it went: `metrics.jsonl`, `learning_curve.svg`.

| split | pairs | duplicates | questions | for |
|---|---|---|---|---|
{_splits_table(splits)}

## Calibration

- Criterion: {found["criterion"]}. Threshold: cosine {found["threshold"]:.4f}.
- {found["pairs"]:,} pairs in {found["groups"]:,} groups that share no question, {found["prevalence"]:.1%} duplicates.

## Measured once, on the test split

{_measures_table(comparison)}

{comparison.verdict}

The base was exported and calibrated in the same way. More measures, with intervals: `evaluation.json`.

Among all pairs of a file duplicates are far rarer than among labelled pairs, and a larger share of what is found is
wrong: ask for `--min-precision`, or look before deleting.

## Licence

None is stated here. The licences of the base and of the training data decide; add yours before you share this folder.
"""


def _splits_table(splits: FourSplits) -> str:
    uses = ("the weights", "the choice of the checkpoint", "the threshold", "the numbers below")
    rows = []
    for name, use in zip(SPLITS, uses, strict=True):
        pairs = getattr(splits, name)
        rows.append(f"| {name} | {len(pairs):,} | {pairs.prevalence:.1%} | {len(pairs.nodes().texts):,} | {use} |")
    return "\n".join(rows)


def _measures_table(comparison: Comparison) -> str:
    rows = [f"| {name} | {trained:.4f} | {base:.4f} |" for name, trained, base in comparison.measures()]
    return "\n".join([f"| on {comparison.trained.pair.pairs:,} pairs | trained | base |", "|---|---|---|", *rows])
