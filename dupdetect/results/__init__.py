"""What the detector gives back: frozen, columnar, and able to write itself.

Rows are counted from 0 here; files that people read count data rows from 1.
"""

from __future__ import annotations

from dupdetect.results.deduplication import Cluster, Deduplication
from dupdetect.results.files import OUTPUT_FILES
from dupdetect.results.listed_pairs import (
    Pair,
    PossiblePair,
    PossiblePairs,
    RuledOutPair,
    RuledOutPairs,
    TextPairs,
)
from dupdetect.results.matches import Match, Matches
from dupdetect.results.pair_decisions import Decisions, Explanation

__all__ = [
    "OUTPUT_FILES",
    "Cluster",
    "Decisions",
    "Deduplication",
    "Explanation",
    "Match",
    "Matches",
    "Pair",
    "PossiblePair",
    "PossiblePairs",
    "RuledOutPair",
    "RuledOutPairs",
    "TextPairs",
]
