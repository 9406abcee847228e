"""On a Ray cluster: texts are encoded by a pool of actors, pairs of shards are compared by tasks (extra `cluster`).

This process reads the texts, hands out shards, and puts together what comes back. All the rest it does itself, as the
local engine does: canonical forms, guards, files; and where there are more pairs than can be listed, the
comparing that `crowded` does without a list.

- **Encoding.** One encoder for each core of the cluster, with one thread; for each of its graphics cards, where the
  encoder was loaded for one. Texts go out in shards. Where a worker dies, another one takes its place, and its shard is
  handed out again.
- **Comparing.** The vectors lie in Ray's object store, which spills to disk, in shards. Each pair of shards is one
  task; its pairs come back as arrays, are written to a file at once, and forgotten. At the end the files are read in
  order. With a folder for finished work, a later call takes from it what is there.
- **Comparing approximately.** The middles of the cells (`search.cells`) are found here, the cells of each row by tasks.
  Then it goes on as above, with shards of rows in the order of their cells.
- **What stays.** Where there are many pairs, tasks put together what hangs together, and choose what stays in each
  cluster (`components`).

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
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dupdetect.clustering import Resolution, resolve
from dupdetect.cores import usable_cores
from dupdetect.encoder import Encoder
from dupdetect.encoder.cache import CachedEncoder, uncached
from dupdetect.engines import components, workers
from dupdetect.engines.share import Share, encoding_share
from dupdetect.errors import DupdetectError, InputError, MissingExtraError
from dupdetect.search import SimilarPairs, TooManyPairsError, approximate_pairs, similar_pairs, uses_index
from dupdetect.search.between import compared_between, shards_of
from dupdetect.search.blocks import joined, sorted_pairs
from dupdetect.search.cells import (
    by_home,
    cell_shards,
    finished_cells,
    finished_pairs,
    in_rows,
    middles_of,
    visits,
)
from dupdetect.search.exact import rows_to_join
from dupdetect.search.finished import FinishedBlocks, Found

__all__ = ["RayEngine"]

_FEW_ROWS = 4096  # compared here within a second
_SHARDS, _SMALLEST, _LARGEST = 16, 1024, 32_768  # of a join, and their rows
_TEXTS = 2048  # of a shard that is encoded: seconds of work, so little is lost with a worker
_FEWEST_TEXTS = 64
_AHEAD = 2  # shards per worker that are handed out before it asks
_FEW_PAIRS = 2_000_000  # resolved here within seconds
_PAIRS = 1_000_000  # of a task that resolves
_ATTEMPTS = 5  # at one shard, before its workers' deaths are taken for its own fault

# Read by Ray when it is imported. Despite the name of the last it holds everywhere: 0 means that a cluster is one of
# this machine only, and listens on its loopback address.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PATIENCE = 10.0  # seconds to wait for an answer at an address

_Part = TypeVar("_Part")


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
        share = encoding_share(workers.encoding_device(encoder), self._ray.cluster_resources())
        pool = _EncoderPool(self._ray, uncached(encoder), share, self._shard_rows or _TEXTS)
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
        n, rows = len(embeddings), self._shard_rows or _rows_of_a_shard(len(embeddings))
        embeddings = rows_to_join(embeddings, threshold, rows)
        with tempfile.TemporaryDirectory(prefix="dupdetect-") as place:
            # In a folder of its own: `similar_pairs` numbers what it has finished by rows, and this by pairs of shards.
            folder = Path(place) if work is None else work / "shards"
            finished = FinishedBlocks(folder, embeddings, threshold, rows)
            count = progress or (lambda _: None)
            join = _Join(self._ray, workers.compare, threshold, n, rows, finished, most, count)
            join.finish(shards_of(embeddings, threshold, rows), _AHEAD * self._workers)
            # Each row of pairs of shards is sorted as a whole, and follows the one before.
            return SimilarPairs(*joined(sorted_pairs(join.found(first)) for first in range(join.shards)))

    def approximate_join(
        self,
        embeddings: NDArray[np.float32],
        threshold: float,
        *,
        most: int | None = None,
        work: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> SimilarPairs:
        if (len(embeddings) <= _FEW_ROWS and self._shard_rows is None) or not uses_index(len(embeddings)):
            return approximate_pairs(embeddings, threshold, most=most, work=work, progress=progress)
        n, rows = len(embeddings), self._shard_rows or _rows_of_a_shard(len(embeddings))
        embeddings = rows_to_join(embeddings, threshold, rows)
        with tempfile.TemporaryDirectory(prefix="dupdetect-") as place:
            folder = Path(place) if work is None else work
            cells = finished_cells(work, embeddings, threshold, lambda: self._cells(embeddings, threshold, rows))
            order = by_home(cells)
            finished = finished_pairs(folder, embeddings, threshold, cells, rows)
            count = progress or (lambda _: None)
            join = _Join(self._ray, workers.compare_in_cells, threshold, n, rows, finished, most, count)
            join.finish(cell_shards(embeddings, cells, order, rows), _AHEAD * self._workers)
            return SimilarPairs(*in_rows(order, [found for first in range(join.shards) for found in join.found(first)]))

    def _cells(self, embeddings: NDArray[np.float32], threshold: float, rows: int) -> NDArray[np.int32]:
        """Return (n, p) int32: the cells that each row visits, which are made here and looked for by tasks."""
        n = len(embeddings)
        middles = middles_of(embeddings)
        cells = np.empty((n, visits(embeddings, middles, threshold)), dtype=np.int32)
        parts = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
        nearest = self._task(workers.cells)
        stored = self._ray.put(middles)

        def what(part: slice) -> str:
            return f"find the cells of texts {part.start + 1} to {part.stop}"

        def start(part: slice) -> Any:
            return nearest.remote(embeddings[part], stored, cells.shape[1], what(part))

        with closing(_each(self._ray, start, parts, _AHEAD * self._workers, what)) as near:
            for part, found in near:
                cells[part] = found
        return cells

    def resolve(self, n: int, pairs: SimilarPairs, priority: NDArray[np.int64]) -> Resolution:
        if len(pairs) <= _FEW_PAIRS:
            return resolve(n, pairs, priority)
        cluster = self._clusters(n, pairs)
        survivor, similarity = np.arange(n, dtype=np.int64), np.full(n, np.nan, dtype=np.float32)
        decide = self._task(components.survivors)
        places: dict[int, NDArray[np.int64]] = {}

        def start(part: tuple[int, SimilarPairs]) -> Any:
            number, some = part
            places[number] = np.unique([some.left, some.right])
            return decide.remote(some, places[number], priority[places[number]])

        parts = enumerate(components.bundles(pairs, cluster, _PAIRS))
        ahead = _AHEAD * self._workers
        with closing(_each(self._ray, start, parts, ahead, lambda _: "choose what stays")) as decided:
            for (number, _), found in decided:
                nodes = places.pop(number)
                survivor[nodes], similarity[nodes] = found
        return Resolution(cluster, survivor, similarity)

    def _clusters(self, n: int, pairs: SimilarPairs) -> NDArray[np.int64]:
        """Return (n,) int64, the smallest node of each node's cluster; what tasks return stays on the cluster."""
        join = self._task(components.forest)
        edges = [
            self._ray.put(np.stack([pairs.left[start : start + _PAIRS], pairs.right[start : start + _PAIRS]]))
            for start in range(0, len(pairs), _PAIRS)
        ]
        forests = [join.remote(some) for some in edges]
        while len(forests) > 1:
            forests = [join.remote(*forests[place : place + 2]) for place in range(0, len(forests), 2)]
        node, smallest = _result(self._ray, forests[0], "join clusters")
        cluster = np.arange(n, dtype=np.int64)
        cluster[node] = smallest
        return cluster

    def _task(self, function: Callable[..., Any]) -> Any:
        """Return the function as a task of one core, which is given to other workers where one dies."""
        return self._ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(function)

    def record(self) -> dict[str, Any]:
        return {
            "kind": "ray",
            "version": self._ray.__version__,
            "workers": self._workers,
            "lost_while_encoding": self.lost_workers,
        }


class _EncoderPool:
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
        size = min(self._shard_texts, max(_FEWEST_TEXTS, -(-len(texts) // (_AHEAD * self._most))))
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
                raise _of_worker(error) from None
            except self._ray.exceptions.RayError as error:
                lost = [task for task, (other, _) in running.items() if other is worker]
                at = running[lost[0]][1] if lost else None  # the others were waiting behind it
                for task in reversed(lost):
                    todo.appendleft(running.pop(task)[1])
                deaths[at and at.start] += 1
                if deaths[at and at.start] == _ATTEMPTS:
                    what = "load the encoder" if at is None else _encoding(at)
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
        compare = self._ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(self._compare)
        stored = [self._ray.put(shard) for shard in shards]
        mark = workers.joining_mark()

        def start(pair: tuple[int, int]) -> Any:
            return compare.remote(*(stored[shard] for shard in pair), self._threshold, mark, self._what(pair))

        with closing(_each(self._ray, start, left, ahead, self._what)) as compared:
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


def _each(
    ray: Any, start: Callable[[_Part], Any], parts: Iterable[_Part], ahead: int, what: Callable[[_Part], str]
) -> Generator[tuple[_Part, Any], None, None]:
    """Yield each part and the result of its task, as they are finished, with at most `ahead` started at a time.

    what: a part's work, for an error.  What is still running is stopped when this is closed.
    """
    running: dict[Any, _Part] = {}
    todo = iter(parts)
    try:
        while True:
            for part in itertools.islice(todo, ahead - len(running)):
                running[start(part)] = part
            if not running:
                return
            (done,), _ = ray.wait([*running])
            part = running.pop(done)
            yield part, _result(ray, done, what(part))
    finally:
        for task in running:
            ray.cancel(task, force=True)


def _result(ray: Any, done: Any, what: str) -> Any:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise _of_worker(error) from None
    except ray.exceptions.RayError as error:
        raise _lost(what, error) from None


def _encoding(shard: slice) -> str:
    return f"encode texts {shard.start + 1} to {shard.stop}"


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
