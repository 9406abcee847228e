"""The exact join, shard by shard: for workers that each hold a few shards of the rows, and not all of them.

`similar_pairs` in parts: integer products find the candidates, a float64 product decides. A pair's similarity, and the
decision on it, depend on its two rows alone, so the pairs of all shards are those of the join in one piece, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupdetect.search.blocks import Block, pairs_of_blocks, sorted_pairs
from dupdetect.search.finished import Found
from dupdetect.search.integers import IntegerProducts
from dupdetect.search.shorter import shorter_rows

__all__ = ["Shard", "compared_between", "pairs_between", "shards_of"]

_BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Some rows of a join, one after the other.

    start: the number of the first.  rows: (m, d) float32 unit rows.  short: (m, e) float32, e <= d, whose products are
    not below those of `rows` (`shorter_rows`, of all shards together).
    """

    start: int
    rows: NDArray[np.float32]
    short: NDArray[np.float32]


def shards_of(embeddings: NDArray[np.float32], threshold: float, shard_rows: int) -> Iterator[Shard]:
    """Yield the shards of (n, d) float32 unit rows, `shard_rows` rows each, the last one perhaps fewer."""
    short = shorter_rows(embeddings, threshold) if len(embeddings) else embeddings
    for start in range(0, len(embeddings), shard_rows):
        yield Shard(start, embeddings[start : start + shard_rows], short[start : start + shard_rows])


def compared_between(first: int, second: int | None = None) -> int:
    """Return how many pairs there are of `first` rows and `second` others; of `first` rows among themselves if None."""
    return first * (first - 1) // 2 if second is None else first * second


def pairs_between(first: Shard, second: Shard, threshold: float, products: IntegerProducts) -> Found:
    """Return every pair of a row of `first` and a row of `second` whose cosine is at or above `threshold`, sorted.

    first: the shard itself again, or one that stands before `second`.  A shard with itself gives each pair once, left
    below right.
    Memory beyond the result: that of the shards once more for their integers, and a block of 1,024 x 1,024 numbers.
    """
    same = first.start == second.start
    left, right = _blocks(first), _blocks(second)
    return sorted_pairs(
        [
            pairs_of_blocks(one, other, threshold, products)
            for one in left
            for other in right
            if not (same and other.start < one.start)
        ]
    )


def _blocks(shard: Shard) -> list[Block]:
    rows = [slice(start, start + _BLOCK_ROWS) for start in range(0, len(shard.rows), _BLOCK_ROWS)]
    return [Block.of(shard.start + part.start, shard.rows[part], shard.short[part]) for part in rows]
