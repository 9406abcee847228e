"""`Service`: an open index that many callers use at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dupdetect.detector import Detector
from dupdetect.index import Added, Check, Hit, QuestionIndex, Removed
from dupdetect.results import Decisions
from dupdetect.service.batching import Batcher
from dupdetect.service.problems import ServiceStoppedError
from dupdetect.service.settings import Settings
from dupdetect.service.threads import Threads

__all__ = ["NewQuestion", "Service"]

_READERS = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewQuestion:
    """A question to be added. label: its class, None for none."""

    id: str
    text: str
    label: str | None = None


class Service:
    """An open index that many callers use at once: searches are batched, changes are made one after the other.

    index: the service takes it over, and closes it when it stops.  reviews: an output folder of `dupdetect dedupe`
    whose pairs can be reviewed, None where there is none.

    Call `start` before and `stop` after everything else, in one event loop; an application made with `create_app` does
    both. Whatever has been accepted is finished, changes also where their caller has gone. All methods raise
    ServiceBusyError where too much waits already, ServiceStoppedError before `start` and once `stop` was called, and
    what the index raises.
    """

    def __init__(self, index: QuestionIndex, settings: Settings | None = None, *, reviews: Path | None = None) -> None:
        self.index = index
        self.settings = settings or Settings()
        self.reviews = reviews
        self.observe_batch: Callable[[int], None] = lambda _: None
        """Is told the size of each batch of searches."""
        waiting = self.settings.waiting
        self._searches = Batcher(
            index.search_many, most=self.settings.batch, waiting=waiting, observe=lambda size: self.observe_batch(size)
        )
        # What has been searched for is not refused any more.
        self._explanations = Threads(_READERS, waiting=None, name="explain")
        # One at a time: the encoder keeps all cores busy, and others read meanwhile.
        self._scores = Threads(1, waiting=waiting, name="score")
        self._readers = Threads(_READERS, waiting=waiting, name="read")
        self._writer = Threads(1, waiting=waiting, name="write")
        self._ready = False
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def detector(self) -> Detector:
        return self.index.detector

    @property
    def ready(self) -> bool:
        """Whether it accepts anything: it has started, and was not asked to stop."""
        return self._ready

    async def start(self) -> None:
        """Read what a search needs, so that the first one takes no longer than others."""
        await self._readers.run(lambda: self.index.search("how do i begin", 1))
        self._ready = True

    async def stop(self) -> None:
        """Accept nothing more, finish what was accepted, and close the index."""
        self._ready = False
        await self._idle.wait()
        for work in (self._searches, self._explanations, self._scores, self._readers, self._writer):
            await work.finish()
        self.index.close()

    # Asking it ---------------------------------------------------------------------------------------------------

    async def similar(self, text: str, k: int) -> tuple[Hit, ...]:
        """Return what `QuestionIndex.search` returns."""
        with self._accepted():
            return await self._searches.search(text, k)

    async def check(self, text: str) -> Check:
        """Return what `QuestionIndex.check` returns."""
        with self._accepted():
            best = next(iter(await self._searches.search(text, 1)), None)
            if best is None:
                return Check(text, False, None, None)
            return Check(
                text, best.duplicate, best, await self._explanations.run(lambda: self.index.explain(text, best))
            )

    async def score(self, pairs: Sequence[tuple[str, str]]) -> Decisions:
        """Return what `Detector.decide` returns."""
        with self._accepted():
            return await self._scores.run(lambda: self.detector.decide(list(pairs)))

    async def read(self, work: Callable[[QuestionIndex], T]) -> T:
        """Return what `work` makes of the index, in a thread: `await service.read(lambda index: index.clusters())`."""
        with self._accepted():
            return await self._readers.run(lambda: work(self.index))

    # Changing it -------------------------------------------------------------------------------------------------

    async def add(self, questions: Sequence[NewQuestion]) -> Added:
        """Add questions, all of them or none, as `QuestionIndex.add` does."""
        texts, ids, labels = ([getattr(one, name) for one in questions] for name in ("text", "id", "label"))
        return await self.write(lambda index: index.add(texts, ids=ids, labels=labels))

    async def remove(self, ids: Sequence[str]) -> Removed:
        """Remove questions, all of them or none, as `QuestionIndex.remove` does."""
        return await self.write(lambda index: index.remove(ids))

    async def write(self, work: Callable[[QuestionIndex], T]) -> T:
        """Return what `work` makes of the index, in the one thread that changes it:
        `await service.write(lambda index: index.unmerge("17", "18"))`."""
        with self._accepted():
            return await self._writer.run(lambda: work(self.index))

    # Inside ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _accepted(self) -> Iterator[None]:
        if not self._ready:
            raise ServiceStoppedError
        self._working += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()
