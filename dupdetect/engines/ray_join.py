"""One join on a Ray cluster: each pair of shards is a task.

The vectors lie in Ray's object store, which spills to disk, in shards. The pairs of a task come back as arrays, are
written to a file at once, and forgotten. With a folder for finished work, a later call takes from it what is there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from dupdetect.engines import workers
from dupdetect.engines.ray_tasks import each, task
from dupdetect.search import TooManyPairsError
from dupdetect.search.between import compared_between
from dupdetect.search.finished import FinishedBlocks, Found

__all__ = ["ShardJoin", "rows_of_a_shard"]

_SHARDS, _SMALLEST, _LARGEST = 16, 1024, 32_768  # of a join, and their rows


def rows_of_a_shard(n: int) -> int:
    """Return how many rows a shard has. By their number alone, so that a resumed join has the same shards."""
    even = -(-n // _SHARDS)
    return min(_LARGEST, max(_SMALLEST, -(-even // _SMALLEST) * _SMALLEST))


class ShardJoin:
    """All pairs of shards of one join, some of which may be finished."""

    def __init__(
        self,
        ray: Any,
        compare: Callable[..., Found],
        threshold: float,
        n: int,
        shard_rows: int,
        finished: FinishedBlocks,
        most: int | None,
        progress: Callable[[int], None],
    ) -> None:
        """compare: what a task does with two shards.  n: rows in all.  most, progress: as for `Engine.join`."""
        self._ray, self._compare, self._threshold, self._n, self._rows = ray, compare, threshold, n, shard_rows
        self._finished, self._most, self._progress = finished, most, progress
        self.shards = -(-n // shard_rows)
        self._count = 0

    def finish(self, shards: Iterable[Any], ahead: int) -> None:
        """Compare what is not finished, at most `ahead` pairs of shards at a time; TooManyPairsError for too many."""
        left = []
        for pair in itertools.combinations_with_replacement(range(self.shards), 2):
            if self._number(*pair) in self._finished:
                self._counted(pair, len(self._finished[self._number(*pair)][0]))
            else:
                left.append(pair)
        if not left:
            return
        compare = task(self._ray, self._compare)
        stored = [self._ray.put(shard) for shard in shards]
        mark = workers.joining_mark()

        def start(pair: tuple[int, int]) -> Any:
            return compare.remote(*(stored[shard] for shard in pair), self._threshold, mark, self._what(pair))

        with closing(each(self._ray, start, left, ahead, self._what)) as compared:
            for pair, found in compared:
                self._finished[self._number(*pair)] = found
                self._counted(pair, len(found[0]))

    def found(self, first: int) -> list[Found]:
        """Return the pairs of a shard with itself and with each one behind it."""
        return [self._finished[self._number(first, second)] for second in range(first, self.shards)]

    def _number(self, first: int, second: int) -> int:
        return first * self.shards + second

    def _what(self, pair: tuple[int, int]) -> str:
        return f"compare shard {pair[0] + 1} with shard {pair[1] + 1} of {self.shards}"

    def _counted(self, pair: tuple[int, int], pairs: int) -> None:
        first, second = (min(self._rows, self._n - shard * self._rows) for shard in pair)
        self._progress(compared_between(first, None if pair[0] == pair[1] else second))
        self._count += pairs
        if self._most is not None and self._count > self._most:
            raise TooManyPairsError
