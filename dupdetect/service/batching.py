"""Searches that come while one runs become the next one, together: one call of the encoder for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from dupdetect.index import Hit
from dupdetect.service.problems import ServiceBusyError

__all__ = ["Batcher"]


class _Asked(NamedTuple):
    text: str
    k: int
    found: asyncio.Future[tuple[Hit, ...]]


class Batcher:
    """Hands searches to a thread, one batch after the other; nothing waits while the thread is idle.

    search: as `QuestionIndex.search_many`. most: texts in a batch. waiting: texts that may wait for their turn.
    observe: is told the size of each batch.
    """

    def __init__(
        self,
        search: Callable[[Sequence[str], int], list[tuple[Hit, ...]]],
        *,
        most: int,
        waiting: int,
        observe: Callable[[int], None],
    ) -> None:
        self._search = search
        self._most = most
        self._waiting = waiting
        self._observe = observe
        self._queue: deque[_Asked] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dupdetect-search")
        self._work: asyncio.Task[None] | None = None

    async def search(self, text: str, k: int) -> tuple[Hit, ...]:
        """Return the k best hits. Raises ServiceBusyError where too many wait, and what the search raises."""
        if len(self._queue) >= self._waiting:
            raise ServiceBusyError(len(self._queue))
        found: asyncio.Future[tuple[Hit, ...]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Asked(text, k, found))
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        return await found

    async def finish(self) -> None:
        """Wait until all that was asked for is found, and end the thread."""
        if self._work is not None:
            await self._work
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self) -> None:
        try:
            while self._queue:
                asked = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
                await self._answer([one for one in asked if not one.found.done()])  # whose caller still waits
        finally:
            self._work = None

    async def _answer(self, asked: Sequence[_Asked]) -> None:
        if not asked:
            return
        self._observe(len(asked))
        # The k best are the first of more.
        k = max(one.k for one in asked)
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._search, [one.text for one in asked], k
            )
        except Exception as error:
            for one in asked:
                if not one.found.done():
                    one.found.set_exception(error)
            return
        for one, hits in zip(asked, found, strict=True):
            if not one.found.done():
                one.found.set_result(hits[: one.k])
