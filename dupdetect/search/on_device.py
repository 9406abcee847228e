"""The exact join on a graphics card, with torch (extra `train`): the pairs of `similar_pairs`, to the bit.

The card only proposes: it multiplies blocks of rows, and names the pairs that lie within a proven bound of the
threshold or above it. The processor computes each proposed similarity again from the two rows alone, by the same
`cosine` as everywhere.

Cards multiply float32 numbers in several ways, some of which cut the numbers first (to 11 bits of TF32, or to the 8 of
bfloat16), as the settings of torch and its version have it. So the rows are rounded to 8 bits before: x = a + e, where
a has numbers of 8 bits, which no cutting changes. The products of such numbers are exact, and only their sum is
rounded:

    x.y = a.b + a.f + e.y,    so that    |x.y - a.b| <= ||a|| ||f|| + ||e|| ||y||    (Cauchy-Schwarz)

with the remainders e and f of the two rows, which are known. About 0.003 for vectors of the shipped encoder. To it
comes the rounding of the sum of d float32 products, however it is ordered: `float32_error`, four times, because the
adders in question cut where the standard rounds, after they have shifted all that they add to the largest of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.cores import usable_cores
from dupdetect.errors import InputError, MissingExtraError
from dupdetect.search.between import compared_between
from dupdetect.search.blocks import cosine, float32_error, joined, of_pairs, sorted_pairs
from dupdetect.search.exact import (
    Neighbours,
    SimilarPairs,
    TooManyPairsError,
    rows_to_join,
    unit_rows,
)
from dupdetect.search.finished import FinishedBlocks, Found

__all__ = ["nearest_on", "similar_pairs_on"]

_AHEAD = 2  # blocks per thread that the card is ahead of the processor
_PRODUCTS = 2**27  # of queries and rows at a time, 4 bytes each
_SLACK = 1e-6  # what float32 takes from the cut itself, and from the decision on a similarity rounded to float32


def similar_pairs_on(
    device: str,
    embeddings: NDArray[np.float32],
    threshold: float,
    *,
    block_rows: int = 4096,
    most: int | None = None,
    work: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> SimilarPairs:
    """Return what `similar_pairs` returns, with the same arguments, and raise what it raises.

    device: of torch.  Memory of the device: 4 n d bytes, and for a block of block_rows x block_rows pairs 5 bytes each,
    and 16 for each candidate in it.  work: what another search has finished in the same folder is not used.

    Raises MissingExtraError without torch, InputError where the memory of the device does not suffice.
    """
    torch = _library(device)
    embeddings, threshold = rows_to_join(embeddings, threshold, block_rows)
    n = len(embeddings)
    starts = range(0, n, block_rows)
    finished: dict[int, Found] | FinishedBlocks = {}
    if work is not None:
        finished = FinishedBlocks(work / "device", embeddings, threshold, block_rows)
    there = [start for start in starts if start in finished]
    count = sum(len(finished[start][0]) for start in there)
    if most is not None and count > most:
        raise TooManyPairsError
    with _enough_memory(torch, device), torch.inference_mode():
        rounded, bound = _rounded(torch, device, embeddings, embeddings)
        cut = threshold - bound

        def candidates(start: int, other: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            near = rounded[start : start + block_rows] @ rounded[other : other + block_rows].T >= cut
            if start == other:
                near = near.triu(1)
            i, j = near.nonzero(as_tuple=True)
            return start + i.cpu().numpy(), other + j.cpu().numpy()

        def pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> Found:
            similarity = of_pairs(cosine, embeddings, left, embeddings, right)
            keep = similarity.astype(np.float64) >= threshold
            return left[keep].astype(np.int32), right[keep].astype(np.int32), similarity[keep]

        if progress and there:
            progress(sum(_compared(n, block_rows, start) for start in there))
        for start in starts:
            if start in finished:
                continue
            parts: list[Found] = []
            for part in _computed(candidates, pairs, [(start, other) for other in range(start, n, block_rows)]):
                parts.append(part)
                count += len(part[0])
                if most is not None and count > most:
                    raise TooManyPairsError
            finished[start] = sorted_pairs(parts)
            if progress:
                progress(_compared(n, block_rows, start))
    return SimilarPairs(*joined([finished[start] for start in starts]))


def nearest_on(
    device: str,
    queries: NDArray[np.float32],
    corpus: NDArray[np.float32],
    k: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> Neighbours:
    """Return what `nearest` returns, with the same arguments, and raise what it raises.

    device: of torch.  Memory of the device: 4 bytes for each number of both, and 0.7 GB.

    Raises MissingExtraError without torch, InputError where the memory of the device does not suffice.
    """
    torch = _library(device)
    queries, corpus = unit_rows(queries, "queries"), unit_rows(corpus, "corpus")
    if queries.shape[1] != corpus.shape[1]:
        raise InputError(f"Queries have {queries.shape[1]} dimensions, the corpus {corpus.shape[1]}.")
    if k < 1:
        raise InputError(f"top_k must be at least 1, not {k}.")
    k = min(int(k), len(corpus))
    rows = np.empty((len(queries), k), dtype=np.int64)
    similarity = np.empty((len(queries), k), dtype=np.float32)
    if not k or not len(queries):
        return Neighbours(rows, similarity)
    with _enough_memory(torch, device), torch.inference_mode():
        known, bound = _rounded(torch, device, corpus, queries)
        asked, _ = _rounded(torch, device, queries, queries)
        together = max(1, _PRODUCTS // len(corpus))
        for start in range(0, len(queries), together):
            products = asked[start : start + together] @ known.T
            kth = products.topk(k, dim=1).values[:, -1:]
            # Two products may each be off by the bound, so a true neighbour lies within twice that of the k-th.
            i, j = (places.cpu().numpy() for places in (products >= kth - 2 * bound).nonzero(as_tuple=True))
            exact = of_pairs(cosine, queries, start + i, corpus, j)
            order = np.lexsort((j, -exact, i))
            first = np.searchsorted(i, np.arange(len(products)))
            best = order[first[:, None] + np.arange(k)]
            rows[start : start + len(products)] = j[best]
            similarity[start : start + len(products)] = exact[best]
            if progress:
                progress(len(products))
    return Neighbours(rows, similarity)


def _library(device: str) -> Any:
    try:
        import torch
    except ImportError:
        raise MissingExtraError("train", f"Comparing on the device {device!r}", "torch") from None
    return torch


def _rounded(torch: Any, device: str, rows: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[Any, float]:
    """Return `rows` on the device, rounded to 8 bits, and how far a product of such rows and `others`, rounded
    likewise, can lie from the true one."""
    left, left_error = _rounding(torch, rows)
    right_error = left_error if others is rows else _rounding(torch, others)[1]
    # ||a|| <= ||x|| + ||e||; taken on both sides, so that it does not matter which is which.
    bound = (_longest(rows) + left_error) * right_error + (_longest(others) + right_error) * left_error
    return left.to(device), bound + 4 * float32_error(rows.shape[1]) + _SLACK


def _rounding(torch: Any, rows: NDArray[np.float32]) -> tuple[Any, float]:
    """Return the rows with numbers of 8 bits, float32 all the same, and the length of the longest remainder."""
    exact = torch.from_numpy(np.require(rows, requirements=["W"]))  # torch warns of others, and copies are short-lived
    rounded = exact.to(torch.bfloat16).to(torch.float32)
    return rounded, _longest((exact - rounded).numpy())  # the difference is exact, as the two are close


def _longest(rows: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64).max(initial=0)))


def _computed(
    candidates: Callable[[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]],
    pairs: Callable[[NDArray[np.int64], NDArray[np.int64]], Found],
    blocks: list[tuple[int, int]],
) -> Iterator[Found]:
    """Yield the pairs of each block, decided by all cores while the device goes on with the next ones."""
    threads = usable_cores()
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Found]] = deque()
    try:
        for block in blocks:
            waiting.append(pool.submit(pairs, *candidates(*block)))
            if len(waiting) > _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # on an interrupt, do not work through the rest first


def _compared(n: int, block_rows: int, start: int) -> int:
    """Return the number of pairs of a block of rows with all rows behind them."""
    rows = min(block_rows, n - start)
    return compared_between(rows) + compared_between(rows, n - start - rows)


@contextmanager
def _enough_memory(torch: Any, device: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise InputError(
            f"The memory of {device} does not suffice for these vectors. Free some of it, or leave the device out."
        ) from None
