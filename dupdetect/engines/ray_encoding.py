"""Encoding by a pool of actors of a Ray cluster, each with an encoder of its own.

Texts go out in shards. Where a worker dies, another one takes its place, and its shard is handed out again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoder import Encoder
from dupdetect.engines import workers
from dupdetect.engines.ray_tasks import AHEAD, ATTEMPTS, lost, of_worker
from dupdetect.engines.share import Share
from dupdetect.errors import InputError

__all__ = ["EncoderPool"]

_FEWEST_TEXTS = 64  # of a shard


class EncoderPool:
    """An encoder whose texts are encoded by workers that have one each."""

    def __init__(self, ray: Any, encoder: Encoder, share: Share, shard_texts: int) -> None:
        """Start nothing yet.  share: how many workers, and what each has.  shard_texts: at most so many are sent to one
        at a time."""
        self._ray, self._encoder, self._most, self._shard_texts = ray, encoder, share.workers, shard_texts
        self.fingerprint, self.dimension = encoder.fingerprint, encoder.dimension
        self._sent: Any = None
        self._actor = ray.remote(num_cpus=share.cores, num_gpus=share.cards, max_restarts=0)(workers.EncodingWorker)
        self._starting: dict[Any, Any] = {}
        self._free: deque[Any] = deque()
        self._alive: list[Any] = []
        self.lost = 0

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return self._encoder.truncated(texts)

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return what `encoder.encode` returns; `progress` is called as shards are finished."""
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        size = min(self._shard_texts, max(_FEWEST_TEXTS, -(-len(texts) // (AHEAD * self._most))))
        todo = deque(slice(start, min(start + size, len(texts))) for start in range(0, len(texts), size))
        running: dict[Any, tuple[Any, slice]] = {}
        deaths: Counter[int | None] = Counter()  # by the shard at which a worker died; None for those at their start
        while len(self._alive) < min(self._most, len(todo)):
            self._start()
        while todo or running:
            while todo and self._free:
                free, shard = self._free.popleft(), todo.popleft()
                running[free.encode.remote(list(texts[shard]), _encoding(shard))] = free, shard
            (done,), _ = self._ray.wait([*self._starting, *running])
            worker = running[done][0] if done in running else self._starting[done]
            try:
                part = self._ray.get(done)
            except self._ray.exceptions.RayTaskError as error:
                raise of_worker(error) from None
            except self._ray.exceptions.RayError as error:
                dropped = [task for task, (other, _) in running.items() if other is worker]
                at = running[dropped[0]][1] if dropped else None  # the others were waiting behind it
                for task in reversed(dropped):
                    todo.appendleft(running.pop(task)[1])
                deaths[at and at.start] += 1
                if deaths[at and at.start] == ATTEMPTS:
                    what = "load the encoder" if at is None else _encoding(at)
                    raise lost(what, error) from None
                self._replace(worker)
                continue
            if done in self._starting:
                del self._starting[done], deaths[None]
                self._free.extend([worker] * AHEAD)
                continue
            _, shard = running.pop(done)
            if np.shape(part) != (shard.stop - shard.start, self.dimension):
                raise InputError(
                    f"The encoder returned rows of the shape {np.shape(part)} for {shard.stop - shard.start:,} texts, "
                    f"and says that its dimension is {self.dimension}. Correct its encode or its dimension."
                )
            rows[shard] = part
            self._free.append(worker)
            if progress is not None:
                progress(shard.stop - shard.start)
        return rows

    def close(self) -> None:
        for worker in self._alive:
            self._ray.kill(worker)
        self._alive.clear()

    def _start(self) -> None:
        if self._sent is None:
            mark = workers.encoding_mark(self._encoder)
            self._sent = self._ray.put(workers.SentEncoder.of(self._encoder)), mark
        worker = self._actor.remote(*self._sent, 1)
        self._alive.append(worker)
        self._starting[worker.ready.remote()] = worker

    def _replace(self, worker: Any) -> None:
        """Start another worker in the place of one that died."""
        self.lost += 1
        self._alive.remove(worker)
        self._starting = {task: other for task, other in self._starting.items() if other is not worker}
        self._free = deque(other for other in self._free if other is not worker)
        self._ray.kill(worker)
        self._start()


def _encoding(shard: slice) -> str:
    return f"encode texts {shard.start + 1} to {shard.stop}"
