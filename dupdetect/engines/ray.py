"""On a Ray cluster: texts are encoded by a pool of actors, pairs of shards are compared by tasks (extra `cluster`).

This process reads the texts, hands out shards, and puts together what comes back. All the rest it does itself, as the
local engine does: canonical forms, guards, what stays, files; and where there are more pairs than can be listed, the
comparing that `crowded` does without a list.

- **Encoding.** One encoder for each core of the cluster, with one thread. Texts go out in shards. Where a worker dies,
  another one takes its place, and its shard is handed out again.
- **Comparing.** The vectors lie in Ray's object store, which spills to disk, in shards. Each pair of shards is one
  task; its pairs come back as arrays, are written to a file at once, and forgotten. At the end the files are read in
  order. With a folder for finished work, a later call takes from it what is there.

Vectors must not depend on the texts beside them: those of the shipped encoders do not (`encoder.onnx`). Workers that
compute otherwise than this process are refused (`workers`).

A cluster that is started here listens on this machine only, and sends no usage statistics.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.clustering import Resolution, resolve
from dupdetect.cores import usable_cores
from dupdetect.encoder import Encoder
from dupdetect.encoder.cache import CachedEncoder, uncached
from dupdetect.engines import workers
from dupdetect.errors import DupdetectError, InputError, MissingExtraError
from dupdetect.search import SimilarPairs, TooManyPairsError, similar_pairs, unit_rows
from dupdetect.search.between import Shard, compared_between, shards_of
from dupdetect.search.blocks import sorted_pairs
from dupdetect.search.finished import FinishedBlocks

__all__ = ["RayEngine"]

_FEW_ROWS = 4096  # compared here within a second
_SHARDS, _SMALLEST, _LARGEST = 16, 1024, 32_768  # of a join, and their rows
_TEXTS = 2048  # of a shard that is encoded: seconds of work, so little is lost with a worker
_FEWEST_TEXTS = 64
_AHEAD = 2  # shards per worker that are handed out before it asks
_ATTEMPTS = 5  # at one shard, before its workers' deaths are taken for its own fault

# Read by Ray when it is imported. Despite the name of the last it holds everywhere: 0 means that a cluster is one of
# this machine only, and listens on its loopback address.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PATIENCE = 10.0  # seconds to wait for an answer at an address


class RayEngine:
    """See `engine.Engine` for what its methods return.

    address: of a running cluster, of which this machine is a node ("auto" for the one that it belongs to). Without one,
    and where the caller has not called `ray.init`, a cluster of this machine alone is started, and ends with the call.
    workers: how many, one core each, in a cluster that is started here; the cores of this process unless given.
    shard_rows: the rows of a shard of the join, and the most texts of one that is encoded; chosen by the number of all
    unless given. The answer does not depend on any of these.

    Raises MissingExtraError without the extra `cluster`, DupdetectError where no cluster is at the address, where a
    worker computes otherwise than this process, and where a shard has cost several workers their lives.
    """

    approximate = False

    def __init__(
        self, address: str | None = None, *, workers: int | None = None, shard_rows: int | None = None
    ) -> None:
        if address is not None and workers is not None:
            raise InputError("A running cluster has the workers that it has. Leave out the workers, or the address.")
        for name, number in (("workers", workers), ("shard_rows", shard_rows)):
            if number is not None and number < 1:
                raise InputError(f"{name} must be at least 1, not {number}.")
        self._address, self._asked_workers, self._shard_rows = address, workers, shard_rows
        self._ray: Any = None
        self._started = False
        self._workers = 0
        self.lost_workers = 0

    # Beginning and end ---------------------------------------------------------------------------------------------

    def __enter__(self) -> RayEngine:
        host, port = _host_and_port(self._address)
        self._ray = _library(alone=self._address is None or host in _LOOPBACK)
        if not self._ray.is_initialized():
            if port is not None:
                self._check_that_someone_answers(host, port)
            self._connect()
            self._started = True
        elif self._address is not None or self._asked_workers is not None:
            raise InputError("This process has called ray.init already. Leave out the address and the workers.")
        self._workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started:
            self._ray.shutdown()
            self._started = False

    def _check_that_someone_answers(self, host: str, port: int) -> None:
        """Raise DupdetectError where nobody does: Ray itself would wait for minutes."""
        try:
            socket.create_connection((host, port), _PATIENCE).close()
        except OSError as error:
            raise self._no_cluster(error) from None

    def _connect(self) -> None:
        started_here: dict[str, Any] = {}
        if self._address is None:
            started_here = {"num_cpus": self._asked_workers or usable_cores(), "include_dashboard": False}
        try:
            with _own_signals():
                self._ray.init(
                    address=self._address or "local", log_to_driver=False, logging_level="ERROR", **started_here
                )
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            raise self._no_cluster(error) from None

    def _no_cluster(self, error: Exception) -> DupdetectError:
        at = "can be started here" if self._address is None else f"answers at {self._address}"
        said = " ".join(str(error).split())[:300]
        return DupdetectError(f"No Ray cluster {at} ({said}). Start one (ray start --head), or choose engine='local'.")

    # The three parts -----------------------------------------------------------------------------------------------

    def encode(
        self, encoder: Encoder, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        pool = _EncoderPool(self._ray, uncached(encoder), self._workers, self._shard_rows or _TEXTS)
        try:
            if not isinstance(encoder, CachedEncoder):
                return pool.encode(texts, progress=progress)
            cached = CachedEncoder(pool, encoder.path)
            cached.use = encoder.use  # what is counted there is said at the end
            return cached.encode(texts, progress=progress)
        finally:
            self.lost_workers += pool.lost
            pool.close()

    def join(
        self,
        embeddings: NDArray[np.float32],
        threshold: float,
        *,
        most: int | None = None,
        work: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> SimilarPairs:
        if len(embeddings) <= _FEW_ROWS and self._shard_rows is None:
            return similar_pairs(embeddings, threshold, most=most, work=work, progress=progress)
        embeddings = unit_rows(embeddings, "embeddings")
        if not -1.0 <= threshold <= 1.0:
            raise InputError(f"A cosine threshold lies in [-1, 1], not {threshold}.")
        with tempfile.TemporaryDirectory(prefix="dupdetect-") as place:
            rows = self._shard_rows or _rows_of_a_shard(len(embeddings))
            # In a folder of its own: `similar_pairs` numbers what it has finished by rows, and this by pairs of shards.
            folder = Path(place) if work is None else work / "shards"
            finished = FinishedBlocks(folder, embeddings, threshold, rows)
            join = _Join(self._ray, embeddings, threshold, rows, finished, most, progress or (lambda _: None))
            join.finish(_AHEAD * self._workers)
            return join.pairs()

    def resolve(self, n: int, pairs: SimilarPairs, priority: NDArray[np.int64]) -> Resolution:
        """As the local engine does, in this process: the pairs that are listed fit into its memory."""
        return resolve(n, pairs, priority)

    def record(self) -> dict[str, Any]:
        return {
            "kind": "ray",
            "version": self._ray.__version__,
            "workers": self._workers,
            "lost_while_encoding": self.lost_workers,
        }


class _EncoderPool:
    """An encoder whose texts are encoded by workers that have one each."""

    def __init__(self, ray: Any, encoder: Encoder, most: int, shard_texts: int) -> None:
        """Start nothing yet.  most: how many workers.  shard_texts: at most so many are sent to one at a time."""
        self._ray, self._encoder, self._most, self._shard_texts = ray, encoder, most, shard_texts
        self.fingerprint, self.dimension = encoder.fingerprint, encoder.dimension
        self._sent: Any = None
        self._actor = ray.remote(num_cpus=1, max_restarts=0)(workers.EncodingWorker)
        self._starting: dict[Any, Any] = {}
        self._free: deque[Any] = deque()
        self._alive: list[Any] = []
        self.lost = 0

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return self._encoder.truncated(texts)

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return what `encoder.encode` returns; `progress` is called as shards are finished."""
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        size = min(self._shard_texts, max(_FEWEST_TEXTS, -(-len(texts) // (_AHEAD * self._most))))
        todo = deque(slice(start, min(start + size, len(texts))) for start in range(0, len(texts), size))
        running: dict[Any, tuple[Any, slice]] = {}
        deaths: Counter[int | None] = Counter()  # by the shard at which a worker died; None for those at their start
        while len(self._alive) < min(self._most, len(todo)):
            self._start()
        while todo or running:
            while todo and self._free:
                free, shard = self._free.popleft(), todo.popleft()
                running[free.encode.remote(list(texts[shard]))] = free, shard
            (done,), _ = self._ray.wait([*self._starting, *running])
            worker = running[done][0] if done in running else self._starting[done]
            try:
                part = self._ray.get(done)
            except self._ray.exceptions.RayTaskError as error:
                raise _of_worker(error) from None
            except self._ray.exceptions.RayError as error:
                lost = [task for task, (other, _) in running.items() if other is worker]
                at = running[lost[0]][1] if lost else None  # the others were waiting behind it
                for task in reversed(lost):
                    todo.appendleft(running.pop(task)[1])
                deaths[at and at.start] += 1
                if deaths[at and at.start] == _ATTEMPTS:
                    what = "load the encoder" if at is None else f"encode texts {at.start + 1} to {at.stop}"
                    raise _lost(what, error) from None
                self._replace(worker)
                continue
            if done in self._starting:
                del self._starting[done], deaths[None]
                self._free.extend([worker] * _AHEAD)
                continue
            _, shard = running.pop(done)
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


class _Join:
    """All pairs of shards of one join, some of which may be finished."""

    def __init__(
        self,
        ray: Any,
        embeddings: NDArray[np.float32],
        threshold: float,
        shard_rows: int,
        finished: FinishedBlocks,
        most: int | None,
        progress: Callable[[int], None],
    ) -> None:
        self._ray, self._embeddings, self._threshold = ray, embeddings, threshold
        self._rows, self._finished, self._most, self._progress = shard_rows, finished, most, progress
        self._shards = -(-len(embeddings) // shard_rows)
        self._count = 0

    def finish(self, ahead: int) -> None:
        """Compare what is not finished, at most `ahead` pairs of shards at a time; TooManyPairsError for too many."""
        left = []
        for pair in itertools.combinations_with_replacement(range(self._shards), 2):
            if self._number(*pair) in self._finished:
                self._counted(pair, len(self._finished[self._number(*pair)][0]))
            else:
                left.append(pair)
        if not left:
            return
        compare = self._ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(workers.compare)
        stored = self._stored()
        mark = workers.joining_mark()
        running: dict[Any, tuple[int, int]] = {}
        todo = iter(left)
        try:
            while True:
                for pair in itertools.islice(todo, ahead - len(running)):
                    running[compare.remote(*(stored[shard] for shard in pair), self._threshold, mark)] = pair
                if not running:
                    return
                (done,), _ = self._ray.wait([*running])
                pair = running.pop(done)
                found = self._result(done, pair)
                self._finished[self._number(*pair)] = found
                self._counted(pair, len(found[0]))
        finally:
            for task in running:
                self._ray.cancel(task, force=True)

    def pairs(self) -> SimilarPairs:
        """Return all pairs; each row of pairs of shards is sorted as a whole, and follows the one before."""
        parts = [
            sorted_pairs([self._finished[self._number(first, second)] for second in range(first, self._shards)])
            for first in range(self._shards)
        ]
        left, right, similarity = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return SimilarPairs(left, right, similarity)

    def _stored(self) -> list[Any]:
        """Put the shards into the object store, and return where they are."""
        return [self._ray.put(shard) for shard in self._all_shards()]

    def _all_shards(self) -> Iterator[Shard]:
        return shards_of(self._embeddings, self._threshold, self._rows)

    def _number(self, first: int, second: int) -> int:
        return first * self._shards + second

    def _counted(self, pair: tuple[int, int], pairs: int) -> None:
        first, second = (min(self._rows, len(self._embeddings) - shard * self._rows) for shard in pair)
        self._progress(compared_between(first, None if pair[0] == pair[1] else second))
        self._count += pairs
        if self._most is not None and self._count > self._most:
            raise TooManyPairsError

    def _result(self, done: Any, pair: tuple[int, int]) -> Any:
        try:
            return self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            raise _of_worker(error) from None
        except self._ray.exceptions.RayError as error:
            raise _lost(f"compare shard {pair[0] + 1} with shard {pair[1] + 1} of {self._shards}", error) from None


def _rows_of_a_shard(n: int) -> int:
    """Return how many rows a shard has. By their number alone, so that a resumed join has the same shards."""
    even = -(-n // _SHARDS)
    return min(_LARGEST, max(_SMALLEST, -(-even // _SMALLEST) * _SMALLEST))


def _host_and_port(address: str | None) -> tuple[str, int | None]:
    """Return the two parts of HOST:PORT; no port for anything else, such as "auto"."""
    host, _, port = (address or "").rpartition(":")
    return (host.strip("[]"), int(port)) if host and "/" not in host and port.isdecimal() else ("", None)


def _library(*, alone: bool) -> Any:
    for name, value in {**_SETTINGS, **(_ALONE if alone else {})}.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise MissingExtraError("cluster", "engine='ray'", "ray") from None
    return ray


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what a request to end does in this process: Ray would set its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _of_worker(error: Any) -> BaseException:
    """Return what a worker raised, as it was raised there."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, DupdetectError | MemoryError):
        return cause
    return DupdetectError(f"A worker of the cluster failed: {' '.join(str(cause or error).split())[:500]}")


def _lost(what: str, error: Exception) -> DupdetectError:
    said = " ".join(str(error).split())[:300]
    return DupdetectError(
        f"{_ATTEMPTS} workers of the cluster died when they were to {what}; perhaps they ran out of memory ({said}). "
        "Give them more, or let fewer run on a machine. What was finished is there for a call with the same folder "
        "(work=..., or --resume on the command line)."
    )
