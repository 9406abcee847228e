"""Where the time goes, before and after: encoding and comparing, and what is left above what the machine can do.

    python scripts/measure_profile.py --base FOLDER

Everything runs on one thread, and counts seconds of processor time. Before: `SentenceTransformer(FOLDER).encode` with
its defaults (FOLDER: all-MiniLM-L6-v2), and a plain blocked float32 product of all pairs. After: the shipped encoder,
and the blocks of the exact join. The texts are the first questions of `qqp_questions.parquet`, and for the fast tier
those of `scale_short_texts.parquet` (../shared/data, or the folder in DUPDETECT_DATA).

What a machine can do is measured too: the rate of a product of matrices of a size that suits it, of 8-bit integers and
of float32. Time that products would take at this rate is the least; the rest is what an encoder or a join adds to them.
Writes scripts/results/profile.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import torch
from ledger import RESULTS, TRAINING, checksum, machine, revision, versions
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile
from training_data import DATA

from dupdetect import Detector
from dupdetect.cores import use_at_most
from dupdetect.encoder.onnx import OnnxEncoder, batches
from dupdetect.encoder.tokens import Tokens
from dupdetect.search.blocks import Block, pairs_of_blocks
from dupdetect.search.integers import IntegerProducts
from dupdetect.search.marked import marked_places
from dupdetect.search.shorter import shorter_rows
from dupdetect.text import canonical
from dupdetect.training.models import load_model

QUESTIONS, SHORT = "qqp_questions.parquet", "scale_short_texts.parquet"
ENCODED, JOINED = 2_000, 50_000
ROWS = 1024  # of a block of the join
BLOCKS = 200
ROUNDS = 3
KINDS = {  # of operators: onnxruntime's, then torch's
    "products of weights": {"MatMulIntegerToFloat", "addmm", "mm", "mkldnn_linear"},
    "attention": {"MultiHeadAttention", "_scaled_dot_product_flash_attention_for_cpu", "bmm", "_softmax"},
    "GELU": {"BiasGelu", "gelu"},
    "normalisation and residuals": {"LayerNormalization", "native_layer_norm", "Add", "add"},
    "to integers and back": {"Abs", "ReduceMax", "Clip", "Div", "Expand", "Shape", "QuantizeLinear", "Mul"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    options = parser.parse_args()
    torch.set_num_threads(1)
    use_at_most(1)
    record = {
        "what": "seconds of processor time on one thread, by what they are spent on, before and after",
        "data": {name: checksum(DATA / name) for name in (QUESTIONS, SHORT)},
        "seed": "none: nothing is random",
        "rounds": ROUNDS,
        "machine": machine(),
        "versions": versions(TRAINING),
        "revision": revision(),
        "peak": peaks(),
        "encoding": encoding(options.base, forms(QUESTIONS, ENCODED)),
        "comparing": {
            "default": comparing("default", forms(QUESTIONS, JOINED)),
            "fast": comparing("fast", forms(SHORT, JOINED)),
        },
    }
    (RESULTS / "profile.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


def forms(name: str, count: int) -> list[str]:
    texts = pl.read_parquet(DATA / name)["text"].head(count).to_list()
    return list(dict.fromkeys(canonical(text) for text in texts))


def peaks() -> dict[str, float]:
    """Billion operations a second of one core: a product of two square matrices."""
    size = 1024
    rng = np.random.default_rng(0)
    left = rng.integers(0, 256, (size, size)).astype(np.uint8)
    right = rng.integers(-63, 64, (size, size)).astype(np.int8)
    floats = left.astype(np.float32), right.astype(np.float32)
    products = IntegerProducts()
    work: dict[str, Callable[[], object]] = {
        "integers": lambda: products.products(left, right),
        "float32": lambda: floats[0] @ floats[1],
    }
    return {name: round(2 * size**3 / 1e9 / least(call, 20), 1) for name, call in work.items()}


def least(call: Callable[[], object], times: int) -> float:
    """Return the least seconds of processor time of one call."""
    call()
    seconds = []
    for _ in range(times):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)


# Encoding ------------------------------------------------------------------------------------------------------------


def encoding(base: Path, texts: list[str]) -> dict[str, Any]:
    encoder = Detector.from_pretrained().encoder
    if not isinstance(encoder, OnnxEncoder):
        raise TypeError("the shipped encoder is no ONNX file")
    model = load_model(str(base))
    with tempfile.TemporaryDirectory() as place:
        encoder.save(Path(place))
        after = after_encoding(encoder, Path(place), texts)
    tokens = after.pop("tokens")
    layer = sum(p.numel() for name, p in model.named_parameters() if ".layer." in name and p.ndim == 2)
    return {
        "texts": len(texts),
        "tokens": tokens,
        "operations_of_weights": 2 * layer * tokens,
        "before": before_encoding(model, texts),
        "after": after,
    }


def before_encoding(model: Any, texts: list[str]) -> dict[str, Any]:
    model.encode(texts[:64])
    seconds = least(lambda: model.encode(texts), ROUNDS)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        model.encode(texts)
    spent = Counter[str]()
    for event in profiler.key_averages():
        spent[event.key.removeprefix("aten::")] += event.self_cpu_time_total / 1e6
    return shares(spent, seconds)


def after_encoding(encoder: OnnxEncoder, folder: Path, texts: list[str]) -> dict[str, Any]:
    encoder.encode(texts[:64])
    seconds = least(lambda: encoder.encode(texts), ROUNDS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    ids = Tokens((folder / "tokenizer.json").read_bytes(), max_length=encoder.max_length, special=True).ids(texts)
    for batch in batches([len(row) for row in ids]):
        session.run(None, {"input_ids": np.stack([ids[row] for row in batch])})
    spent = Counter[str]()
    for event in json.loads(Path(session.end_profiling()).read_text("utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"] / 1e6
    return {**shares(spent, seconds), "tokens": sum(map(len, ids))}


def shares(spent: Counter[str], seconds: float) -> dict[str, Any]:
    """Return the seconds of a call, and what they are spent on, as far as the profiler sees it; the rest is "other"."""
    parts = {kind: sum(spent[name] for name in names) for kind, names in KINDS.items()}
    parts["other"] = max(sum(spent.values()), seconds) - sum(parts.values())
    whole = sum(parts.values())
    return {
        "seconds": round(seconds, 3),
        "shares": {kind: round(value / whole, 3) for kind, value in parts.items()},
    }


# Comparing -----------------------------------------------------------------------------------------------------------


def comparing(tier: Any, texts: list[str]) -> dict[str, Any]:
    """Milliseconds for a million pairs."""
    detector = Detector.from_pretrained(tier=tier)
    threshold = detector.require_calibration().threshold
    rows = detector.encoder.encode(texts)
    short = shorter_rows(rows, threshold)
    starts = range(0, len(rows) - ROWS, ROWS)
    blocks = [Block.of(start, rows[start : start + ROWS], short[start : start + ROWS]) for start in starts]
    chosen = [(i % (len(blocks) - 1), len(blocks) - 1) for i in range(BLOCKS)]
    products = IntegerProducts()
    cut = np.float32(threshold)
    plain = blocks[0].rows @ blocks[1].rows.T
    integers = [(blocks[i].integers[0], blocks[j].integers[0]) for i, j in chosen]
    whole = products.products(integers[0][0].left, integers[0][1].right).copy()
    # No more are marked than candidates are: what comes after a comparison depends on how many there are.
    candidates = [len(products.candidates(left, right, threshold)) for left, right in integers]
    usual = np.sort(whole, axis=None)[-max(1, int(np.median(candidates)))]
    marked = whole >= usual

    def each(work: Callable[[int, int], object]) -> float:
        def all_of_them() -> None:
            for i, j in chosen:
                work(i, j)

        return round(least(all_of_them, ROUNDS) / BLOCKS / ROWS**2 * 1e9, 3)

    def floats(i: int, j: int) -> NDArray[np.float32]:
        return blocks[i].rows @ blocks[j].rows.T

    return {
        "texts": len(rows),
        "dimension": rows.shape[1],
        "short": short.shape[1],
        "candidates_a_million_pairs": round(float(np.mean(candidates)) / ROWS**2 * 1e6, 1),
        "before": {
            "products": each(floats),
            "comparing": each(lambda *_: plain >= cut),
            "finding": each(lambda *_: np.flatnonzero(plain >= cut)),
        },
        "after": {
            "products": each(lambda i, j: products.products(blocks[i].integers[0].left, blocks[j].integers[0].right)),
            "comparing": each(lambda *_: whole >= usual),
            "finding": each(lambda *_: marked_places(marked)),
            "all": each(lambda i, j: pairs_of_blocks(blocks[i], blocks[j], threshold, products)),
        },
    }


if __name__ == "__main__":
    main()
