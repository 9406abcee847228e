"""Work of one kind, done in threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dupdetect.service.problems import ServiceBusyError

__all__ = ["Threads"]

T = TypeVar("T")


class Threads:
    """`count` threads. waiting: how much may wait for its turn, or be worked on; None for any amount."""

    def __init__(self, count: int, *, waiting: int | None, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=f"dupdetect-{name}")
        self._most = waiting
        self._begun = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. Once begun, it is done to its end, also where its caller has gone.

        Raises ServiceBusyError where too much waits, and what `work` raises.
        """
        if self._most is not None and self._begun >= self._most:
            raise ServiceBusyError(self._begun)
        self._begun += 1
        done = asyncio.get_running_loop().run_in_executor(self._pool, work)
        done.add_done_callback(self._end)
        return await asyncio.shield(done)

    async def finish(self) -> None:
        """Wait until all that was begun is done, and end the threads."""
        await asyncio.to_thread(self._pool.shutdown)

    def _end(self, done: asyncio.Future[T]) -> None:
        self._begun -= 1
        if not done.cancelled():
            done.exception()  # looked at, so that it is no complaint where the caller has gone
