"""Train, validation, calibration and test pairs that share no question, and a report that says what was checked.

    questions (canonical texts) -> groups (connected by any pair, or by the same words) -> a split for each, by hash

The hash looks at the texts of a group alone, so neither the order of the rows nor other groups have a say, and nothing
is dropped. Four splits, because the checkpoint, the threshold and the reported number must not share questions.
"""

from __future__ import annotations

from dupdetect.splits.probe import LeakProbe, ProbeScore
from dupdetect.splits.report import SplitReport, SplitShare
from dupdetect.splits.sketch import sketch_key
from dupdetect.splits.split import DEFAULT_FRACTIONS, SPLITS, Splits, split_pairs
from dupdetect.splits.write import SPLIT_FILES, write_splits

__all__ = [
    "DEFAULT_FRACTIONS",
    "SPLITS",
    "SPLIT_FILES",
    "LeakProbe",
    "ProbeScore",
    "SplitReport",
    "SplitShare",
    "Splits",
    "sketch_key",
    "split_pairs",
    "write_splits",
]
