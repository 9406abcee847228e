"""What is compared. Each function loads what it needs, untimed, and returns the work that is timed.

A join returns `Pairs` or `Groups`, an encoder its vectors. Peers run as they come: caps stay at their defaults, and
`Method.settings` says what was set.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The first `rows` of the texts and of the vectors that lie in `folder`.

    threshold: a cosine in [-1, 1].  model: folder or hub name of a sentence-transformers model.
    """

    folder: Path
    rows: int
    threshold: float = 1.0
    model: str = ""

    @classmethod
    def store(cls, folder: Path, texts: list[str], vectors: NDArray[np.float32] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts), "utf-8")
        if vectors is not None:
            np.save(folder / "vectors.npy", vectors)

    def texts(self) -> list[str]:
        with (self.folder / "texts.jsonl").open(encoding="utf-8") as file:
            return [json.loads(line) for line in islice(file, self.rows)]

    def vectors(self) -> NDArray[np.float32]:
        """Return (rows, d) float32, rows of length 1."""
        return np.array(np.load(self.folder / "vectors.npy", mmap_mode="r")[: self.rows])

    @property
    def truth(self) -> Path:
        """Where brute force leaves its pairs for the others to be judged by."""
        return self.folder / f"truth-{self.rows}.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The pairs that a method lists, in either order and any number of times. left, right: (m,) row numbers."""

    left: NDArray[Any]
    right: NDArray[Any]

    def reported(self) -> int:
        return len(self._keys())

    def holds(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """Return for each of these pairs whether it is listed."""
        return np.isin(_keys(left, right), self._keys())

    def _keys(self) -> Rows:
        different = self.left != self.right
        return np.unique(_keys(self.left[different], self.right[different]))


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The groups of a method that lists no pairs. group: (n,), for each row the row that its group is named after.

    All pairs within a group count as reported. That is generous, since some of them may lie below the threshold.
    """

    group: Rows

    def reported(self) -> int:
        sizes = np.unique(self.group, return_counts=True)[1].astype(np.int64)
        return int((sizes * (sizes - 1) // 2).sum())

    def holds(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """Return for each of these pairs whether both rows are in one group."""
        return self.group[left] == self.group[right]

    def resolves(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """Return for each of these pairs whether one row of it goes, when of each group the one it is named after
        stays: what someone wants who removes duplicates, and needs no list of them."""
        kept = self.group == np.arange(len(self.group))
        return ~(kept[left] & kept[right])


def _keys(left: NDArray[Any], right: NDArray[Any]) -> Rows:
    low, high = np.minimum(left, right).astype(np.int64), np.maximum(left, right).astype(np.int64)
    return low << 32 | high


Found = Pairs | Groups


@dataclass(frozen=True, slots=True)
class Method:
    """function: "module:name".  packages: what pip installs for it.  finds_truth: its pairs are what recall is of."""

    name: str
    function: str
    packages: tuple[str, ...]
    settings: str = "defaults"
    finds_truth: bool = False


_SENTENCE_TRANSFORMERS = ("sentence-transformers", "torch", "transformers")
OURS = "dupdetect"
PEER_ENCODER = "sentence-transformers encode"

JOINS = (
    Method("numpy", "benchmarks.methods:brute_force", ("numpy",), "float32 blocks of a triangle", finds_truth=True),
    Method(OURS, "benchmarks.methods:similar_pairs", ("dupdetect", "numpy", "onnxruntime")),
    Method("faiss range_search", "benchmarks.methods:range_search", ("faiss-cpu",), "IndexFlatIP"),
    Method(
        "paraphrase_mining_embeddings",
        "benchmarks.methods:paraphrase_mining",
        _SENTENCE_TRANSFORMERS,
        "top_k=100, max_pairs=500000 (defaults); of its pairs those at or above the threshold",
    ),
    Method(
        "community_detection",
        "benchmarks.methods:communities",
        _SENTENCE_TRANSFORMERS,
        "min_community_size=2 (default 10: it would find no pair that stands alone)",
    ),
    Method(
        "semhash",
        "benchmarks.methods:semhash",
        ("semhash", "vicinity", "usearch"),
        "usearch index, at most 100 neighbours a row, then 1000 (defaults)",
    ),
)

ENCODERS = (
    Method(PEER_ENCODER, "benchmarks.methods:sentence_transformer", _SENTENCE_TRANSFORMERS),
    Method("dupdetect, default tier", "benchmarks.methods:default_tier", ("dupdetect", "onnxruntime", "tokenizers")),
    Method("dupdetect, fast tier", "benchmarks.methods:fast_tier", ("dupdetect", "numpy", "tokenizers")),
)


def brute_force(inputs: Inputs) -> Callable[[], Found]:
    from measure_join import plain

    vectors = inputs.vectors()

    def work() -> Found:
        pairs = np.array(sorted(plain(vectors, inputs.threshold)), dtype=np.int64).reshape(-1, 2)
        return Pairs(pairs[:, 0], pairs[:, 1])

    return work


def similar_pairs(inputs: Inputs) -> Callable[[], Found]:
    from dupdetect.search import similar_pairs as join

    vectors = inputs.vectors()

    def work() -> Found:
        pairs = join(vectors, inputs.threshold)
        return Pairs(pairs.left, pairs.right)

    return work


def range_search(inputs: Inputs) -> Callable[[], Found]:
    import faiss

    vectors = inputs.vectors()

    def work() -> Found:
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        ends, _, right = index.range_search(vectors, inputs.threshold)
        left = np.repeat(np.arange(len(vectors)), np.diff(ends.astype(np.int64)))
        once = left < right
        return Pairs(left[once], right[once])

    return work


def paraphrase_mining(inputs: Inputs) -> Callable[[], Found]:
    import torch
    from sentence_transformers.util import paraphrase_mining_embeddings

    vectors = torch.from_numpy(inputs.vectors())

    def work() -> Found:
        best_first = paraphrase_mining_embeddings(vectors)
        pairs = [(i, j) for _, i, j in takewhile(lambda found: found[0] >= inputs.threshold, best_first)]
        rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return Pairs(rows[:, 0], rows[:, 1])

    return work


def communities(inputs: Inputs) -> Callable[[], Found]:
    import torch
    from sentence_transformers.util import community_detection

    vectors = torch.from_numpy(inputs.vectors())

    def work() -> Found:
        group = np.arange(len(vectors))
        for center, *others in community_detection(vectors, threshold=inputs.threshold, min_community_size=2):
            group[others] = center
        return Groups(group)

    return work


def semhash(inputs: Inputs) -> Callable[[], Found]:
    from semhash import SemHash

    texts, vectors = inputs.texts(), inputs.vectors()
    places = {text: row for row, text in enumerate(texts)}

    def work() -> Found:
        # The vectors are there, so nothing is encoded and the model is never asked.
        result = SemHash.from_embeddings(vectors, texts, model=None).self_deduplicate(threshold=inputs.threshold)
        group = np.arange(len(texts))
        for duplicate in result.filtered:
            group[places[duplicate.record]] = places[duplicate.duplicate_of]
        return Groups(group)

    return work


def sentence_transformer(inputs: Inputs) -> Callable[[], NDArray[np.float32]]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(inputs.model, device="cpu")
    return _warm(model.encode, inputs.texts())


def default_tier(inputs: Inputs) -> Callable[[], NDArray[np.float32]]:
    from dupdetect import Detector

    return _warm(Detector.from_pretrained().encoder.encode, inputs.texts())


def fast_tier(inputs: Inputs) -> Callable[[], NDArray[np.float32]]:
    from dupdetect import Detector
    from dupdetect.detector import SHIPPED

    if not SHIPPED["fast"].is_dir():
        raise SystemExit("this version ships no fast tier")
    return _warm(Detector.from_pretrained(tier="fast").encoder.encode, inputs.texts())


def _warm(encode: Callable[[list[str]], NDArray[np.float32]], texts: list[str]) -> Callable[[], NDArray[np.float32]]:
    encode(texts[:32])
    return lambda: encode(texts)
