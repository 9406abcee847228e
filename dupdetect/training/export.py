"""A sentence-transformers BERT to the int8 ONNX encoder that `dupdetect.encoder.onnx` runs.

Weights: int8 per output channel, kept to 7 bits (see `WEIGHT_LEVELS`). Activations: 8 bits, with one scale per token,
so that a text's vector does not depend on the batch, and no calibration texts are needed. Word embeddings: int8 per
row. Attention, normalisation, GELU and pooling stay float32. The same weights and versions give the same bytes.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import onnx
import tokenizers
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from dupdetect.errors import InputError
from dupdetect.training.models import load_model, require_no_prompt

__all__ = ["export_onnx"]

OPSET = 21  # the first whose QuantizeLinear takes one scale per row
ACTIVATION_LEVELS = 127
# Processors without VNNI add two uint8 x int8 products in 16 bits, and saturate. 2 * 255 * 63 = 32,130 cannot overflow.
WEIGHT_LEVELS = 63
WORD_LEVELS = 127
_ADVICE = "Choose another base, or use the model as it is: `dupdetect calibrate` takes any sentence-transformers model."


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


def export_onnx(model: SentenceTransformer | str | Path, output: str | Path, *, quantize: bool = True) -> Path:
    """Write `model.onnx` and `tokenizer.json` into the folder `output`, which is made when it is not there, and return
    it. Files of these names are replaced.

    `model` is a folder, a name on the hub, or a model; it is not changed. `quantize` False keeps float32, to compare.

    Raises InputError when it is not a BERT with GELU and mean pooling, for `EncoderGraph` can be nothing else, and when
    it puts a prompt before every text.
    """
    if not isinstance(model, SentenceTransformer):
        model = load_model(str(model))
    # A copy, as the graph takes over whole modules.
    bert = copy.deepcopy(_bert_of(model)).cpu().requires_grad_(requires_grad=False)
    max_length = model.max_seq_length
    graph = EncoderGraph(bert, max_length, quantize=quantize).eval().requires_grad_(requires_grad=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch warns of itself
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
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(proto.SerializeToString(deterministic=True))
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    return folder


def _bert_of(model: SentenceTransformer) -> Any:
    bert = getattr(model[0], "auto_model", None)
    modules = [type(module).__name__ for module in model]
    mean = len(model) > 1 and getattr(model[1], "pooling_mode", None) == "mean"
    # Whatever else follows, such as a dense layer, would be left out without a word; normalising is part of the graph.
    if bert is None or bert.config.model_type != "bert" or bert.config.hidden_act != "gelu" or not mean:
        raise InputError(
            f"Only BERT models with GELU and mean pooling can be exported, not {', '.join(modules)}. {_ADVICE}"
        )
    if modules[2:] not in ([], ["Normalize"]):
        raise InputError(
            f"Only the pooled vector can be exported, but this model goes on: {', '.join(modules)}. {_ADVICE}"
        )
    require_no_prompt(model)
    return bert


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
