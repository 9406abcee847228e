"""On a Ray cluster: texts are encoded by a pool of actors, pairs of shards are compared by tasks (extra `cluster`).

This process reads the texts, hands out shards, and puts together what comes back. All the rest it does itself, as the
local engine does: canonical forms, guards, files; and where there are more pairs than can be listed, the
comparing that `crowded` does without a list.

- **Encoding** (`ray_encoding`). One encoder for each core of the cluster, with one thread; for each of its graphics
  cards, where the encoder was loaded for one.
- **Comparing** (`ray_join`). Each pair of shards of vectors is one task. At the end what they found is read in order.
- **Comparing approximately.** The middles of the cells (`search.cells`) are found here, the cells of each row by tasks.
  Then it goes on as above, with shards of rows in the order of their cells.
- **What stays.** Where there are many pairs, tasks put together what hangs together, and choose what stays in each
  cluster (`components`).

Vectors must not depend on the texts beside them: those of the shipped encoders do not (`encoder.onnx`). Workers that
compute otherwise than this process are refused (`workers`).

A cluster that is started here listens on this machine only, and sends no usage statistics.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.clustering import Resolution, resolve
from dupdetect.cores import usable_cores
from dupdetect.encoder import Encoder
from dupdetect.encoder.cache import CachedEncoder, uncached
from dupdetect.engines import components, workers
from dupdetect.engines.ray_cluster import host_and_port, own_signals, ray_library
from dupdetect.engines.ray_encoding import EncoderPool
from dupdetect.engines.ray_join import ShardJoin, rows_of_a_shard
from dupdetect.engines.ray_tasks import AHEAD, each, result, task
from dupdetect.engines.share import encoding_share
from dupdetect.errors import DupdetectError, InputError
from dupdetect.search import SimilarPairs, approximate_pairs, similar_pairs, uses_index
from dupdetect.search.between import shards_of
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
from dupdetect.search.finished import FinishedBlocks

__all__ = ["RayEngine"]

_FEW_ROWS = 4096  # compared here within a second
_TEXTS = 2048  # of a shard that is encoded: seconds of work, so little is lost with a worker
_FEW_PAIRS = 2_000_000  # resolved here within seconds
_PAIRS = 1_000_000  # of a task that resolves
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

    def __init__(
        self, address: str | None = None, *, workers: int | None = None, shard_rows: int | None = None
    ) -> None:
        if address is not None and workers is not None:
            raise InputError("A running cluster has the workers that it has. Leave out the workers, or the address.")
        if address is not None and not address.strip():
            raise InputError("The address of the cluster is blank. Leave it out to start one on this machine.")
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
        host, port = host_and_port(self._address)
        self._ray = ray_library(alone=self._address is None or host in _LOOPBACK)
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
            with own_signals():
                self._ray.init(
                    address=self._address or "local", log_to_driver=False, logging_level="ERROR", **started_here
                )
        except Exception as error:  # as bare as that where a node does not start in time
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
        shard = self._shard_rows or _TEXTS
        pool = EncoderPool(self._ray, uncached(encoder), share, shard)
        try:
            if not isinstance(encoder, CachedEncoder):
                return pool.encode(texts, progress=progress)
            # As many texts at a time as all workers have at once: with fewer some would have nothing to do.
            cached = CachedEncoder(pool, encoder.path, portion=AHEAD * share.workers * shard)
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
        n, rows = len(embeddings), self._shard_rows or rows_of_a_shard(len(embeddings))
        embeddings, threshold = rows_to_join(embeddings, threshold, rows)
        with tempfile.TemporaryDirectory(prefix="dupdetect-") as place:
            # In a folder of its own: `similar_pairs` numbers what it has finished by rows, and this by pairs of shards.
            folder = Path(place) if work is None else work / "shards"
            finished = FinishedBlocks(folder, embeddings, threshold, rows)
            count = progress or (lambda _: None)
            join = ShardJoin(self._ray, workers.compare, threshold, n, rows, finished, most, count)
            join.finish(shards_of(embeddings, threshold, rows), AHEAD * self._workers)
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
        n, rows = len(embeddings), self._shard_rows or rows_of_a_shard(len(embeddings))
        embeddings, threshold = rows_to_join(embeddings, threshold, rows)
        with tempfile.TemporaryDirectory(prefix="dupdetect-") as place:
            folder = Path(place) if work is None else work
            cells = finished_cells(work, embeddings, threshold, lambda: self._cells(embeddings, threshold, rows))
            order = by_home(cells)
            # In a folder of its own, as above: the cells are the same, but `approximate_pairs` numbers pairs of shards
            # in another way.
            finished = finished_pairs(folder / "shards", embeddings, threshold, cells, rows)
            count = progress or (lambda _: None)
            join = ShardJoin(self._ray, workers.compare_in_cells, threshold, n, rows, finished, most, count)
            join.finish(cell_shards(embeddings, cells, order, rows), AHEAD * self._workers)
            return SimilarPairs(*in_rows(order, [found for first in range(join.shards) for found in join.found(first)]))

    def _cells(self, embeddings: NDArray[np.float32], threshold: float, rows: int) -> NDArray[np.int32]:
        """Return (n, p) int32: the cells that each row visits, which are made here and looked for by tasks."""
        n = len(embeddings)
        middles = middles_of(embeddings)
        cells = np.empty((n, visits(embeddings, middles, threshold)), dtype=np.int32)
        parts = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
        nearest = task(self._ray, workers.cells)
        stored = self._ray.put(middles)

        def what(part: slice) -> str:
            return f"find the cells of texts {part.start + 1} to {part.stop}"

        def start(part: slice) -> Any:
            return nearest.remote(embeddings[part], stored, cells.shape[1], what(part))

        with closing(each(self._ray, start, parts, AHEAD * self._workers, what)) as near:
            for part, found in near:
                cells[part] = found
        return cells

    def resolve(self, n: int, pairs: SimilarPairs, priority: NDArray[np.int64]) -> Resolution:
        if len(pairs) <= _FEW_PAIRS:
            return resolve(n, pairs, priority)
        cluster = self._clusters(n, pairs)
        survivor, similarity = np.arange(n, dtype=np.int64), np.full(n, np.nan, dtype=np.float32)
        decide = task(self._ray, components.survivors)
        places: dict[int, NDArray[np.int64]] = {}

        def start(part: tuple[int, SimilarPairs]) -> Any:
            number, some = part
            places[number] = np.unique([some.left, some.right])
            return decide.remote(some, places[number], priority[places[number]])

        parts = enumerate(components.bundles(pairs, cluster, _PAIRS))
        ahead = AHEAD * self._workers
        with closing(each(self._ray, start, parts, ahead, lambda _: "choose what stays")) as decided:
            for (number, _), found in decided:
                nodes = places.pop(number)
                survivor[nodes], similarity[nodes] = found
        return Resolution(cluster, survivor, similarity)

    def _clusters(self, n: int, pairs: SimilarPairs) -> NDArray[np.int64]:
        """Return (n,) int64, the smallest node of each node's cluster; what tasks return stays on the cluster."""
        join = task(self._ray, components.forest)
        edges = [
            self._ray.put(np.stack([pairs.left[start : start + _PAIRS], pairs.right[start : start + _PAIRS]]))
            for start in range(0, len(pairs), _PAIRS)
        ]
        forests = [join.remote(some) for some in edges]
        while len(forests) > 1:
            forests = [join.remote(*forests[place : place + 2]) for place in range(0, len(forests), 2)]
        node, smallest = result(self._ray, forests[0], "join clusters")
        cluster = np.arange(n, dtype=np.int64)
        cluster[node] = smallest
        return cluster

    def record(self) -> dict[str, Any]:
        return {
            "kind": "ray",
            "version": self._ray.__version__,
            "workers": self._workers,
            "lost_while_encoding": self.lost_workers,
        }
