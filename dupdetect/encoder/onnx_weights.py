"""The weights inside `model.onnx`, as those of an ordinary BERT (extra `train`, whose package onnx reads the file).

`training.export` wrote them: each matrix in 8 bits, with a scale for each of its columns, or each row for the vectors
of words. Here a whole number is multiplied by its scale again, so the BERT computes with exactly the weights that
onnxruntime computes with. It does not round what flows between its layers, as the file does, to 8 bits.

A model file is data: names, shapes and kinds of everything that is read are checked, and no other file is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.errors import ArtifactError, MissingExtraError

__all__ = ["BertWeights", "read_bert_weights"]

_PRODUCTS = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
_PRODUCTS_OF_A_LAYER = (*_PRODUCTS, "intermediate.dense", "output.dense")
_NORMS_OF_A_LAYER = ("attention.output.LayerNorm", "output.LayerNorm")

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class BertWeights:
    """A BERT whose output is pooled by the mean over all tokens, and scaled to length 1.

    config: what `transformers.BertConfig` takes.  tensors: float32, by the names of `transformers.BertModel`; a matrix
    is (outputs, inputs).  max_length: how many tokens it reads.
    """

    config: dict[str, Any]
    tensors: dict[str, Matrix]
    max_length: int


def read_bert_weights(path: Path) -> BertWeights:
    """Return the weights in an encoder file, `model.onnx`.

    Raises MissingExtraError without the package onnx; ArtifactError for a file that cannot be read, is no model, or is
    laid out otherwise than `training.export_onnx` lays it out.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("train", f"Reading the weights in {path}", "onnx") from None
    try:
        graph = _Graph(onnx, onnx.load_model_from_string(path.read_bytes()))
        return graph.bert()
    except OSError as error:
        raise ArtifactError(f"Cannot read {path}: {error.strerror or error}. Check the folder.") from None
    except Exception as error:  # protobuf's own error, and whatever a hostile file leads to
        raise ArtifactError(
            f"{path} is not laid out as dupdetect exports encoders ({type(error).__name__}: {error}). "
            "Copy the folder again, or export the encoder with this version."
        ) from None


class _Graph:
    """The graph of an encoder file, read in the order in which it computes."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self._onnx = onnx
        self._nodes = list(model.graph.node)
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self._max_length = int({entry.key: entry.value for entry in model.metadata_props}["max_length"])

    def bert(self) -> BertWeights:
        words, positions = self._words(), self._positions()
        layers = self._of("MultiHeadAttention")
        hidden = words.shape[1]
        heads = {self._attribute(layer, "num_heads") for layer in layers}
        epsilons = {self._attribute(norm, "epsilon") for norm in self._of("LayerNormalization")}
        wide = {len(self._array(node.input[1])) for node in self._of("BiasGelu")}
        if not len(heads) == len(epsilons) == len(wide) == 1:
            raise ValueError("its layers differ from each other")
        config = {
            "vocab_size": len(words),
            "hidden_size": hidden,
            "num_hidden_layers": len(layers),
            "num_attention_heads": int(heads.pop()),
            "intermediate_size": wide.pop(),
            "hidden_act": "gelu",  # BiasGelu is the one with erf
            "layer_norm_eps": float(epsilons.pop()),
            "max_position_embeddings": len(positions),
        }
        tensors = {
            "embeddings.word_embeddings.weight": words,
            "embeddings.position_embeddings.weight": positions,
            # Every token is of type 0, whose vector was added to those of the positions.
            "embeddings.token_type_embeddings.weight": np.zeros((2, hidden), dtype=np.float32),
        }
        tensors |= dict(self._layer_tensors(len(layers)))
        expected = _shapes(config)
        for name, tensor in tensors.items():
            if tensor.shape != expected[name] or not np.isfinite(tensor).all():
                raise ValueError(f"{name} has the shape {tensor.shape}, not {expected[name]}, or is not finite")
        if not 4 <= self._max_length <= len(positions):
            raise ValueError(f"it reads {self._max_length} tokens, and has {len(positions)} positions")
        # Writable and contiguous, as torch wants them.
        own = {name: np.require(tensor, requirements=["C", "W"]) for name, tensor in tensors.items()}
        return BertWeights(config, own, self._max_length)

    def _layer_tensors(self, layers: int) -> Iterator[tuple[str, Matrix]]:
        """Yield the name and the values of each tensor but those of words and positions."""
        products = [self._product(node) for node in self._nodes if self._is_product(node)]
        norms, attentions, gelus = (self._of(kind) for kind in ("LayerNormalization", "MultiHeadAttention", "BiasGelu"))
        biases = [self._bias(node) for node in self._nodes if self._adds_bias(node)]
        found = (len(products), len(norms), len(gelus), len(biases))
        if found != (6 * layers, 2 * layers + 1, layers, 2 * layers):
            raise ValueError(f"products, norms, gelus and biases are {found} for {layers} layers")
        yield from self._norm("embeddings.LayerNorm", norms[0])
        for layer in range(layers):
            prefix = f"encoder.layer.{layer}"
            for place, name in enumerate(_PRODUCTS_OF_A_LAYER):
                yield f"{prefix}.{name}.weight", products[6 * layer + place]
            inputs = np.split(self._array(attentions[layer].input[3]), 3)
            for name, bias in zip(_PRODUCTS[:3], inputs, strict=True):
                yield f"{prefix}.{name}.bias", bias
            yield f"{prefix}.attention.output.dense.bias", biases[2 * layer]
            yield f"{prefix}.intermediate.dense.bias", self._array(gelus[layer].input[1])
            yield f"{prefix}.output.dense.bias", biases[2 * layer + 1]
            for place, name in enumerate(_NORMS_OF_A_LAYER):
                yield from self._norm(f"{prefix}.{name}", norms[1 + 2 * layer + place])

    def _words(self) -> Matrix:
        """Return the vectors of the words: the first table that rows are looked up in, times the second if it is one of
        scales."""
        tables = [self._array(node.input[0]) for node in self._of("Gather") if node.input[0] in self._stored]
        if tables[0].dtype == np.float32:
            return tables[0]
        words, scales = tables
        scaled: Matrix = words * scales
        return scaled

    def _positions(self) -> Matrix:
        (table,) = (node.input[0] for node in self._of("Slice") if node.input[0] in self._stored)
        return self._array(table)

    def _is_product(self, node: Any) -> bool:
        return node.op_type in ("MatMulIntegerToFloat", "MatMul") and node.input[1] in self._stored

    def _product(self, node: Any) -> Matrix:
        """Return the matrix of a product, (outputs, inputs)."""
        weight = self._array(node.input[1])
        if node.op_type == "MatMulIntegerToFloat":
            zero = node.input[5] if len(node.input) > 5 else ""
            if zero and self._array(zero).any():
                raise ValueError("its weights are not around zero")
            weight = weight * self._array(node.input[3])
        matrix: Matrix = weight.T
        return matrix

    def _adds_bias(self, node: Any) -> bool:
        return node.op_type == "Add" and sum(name in self._stored for name in node.input) == 1

    def _bias(self, node: Any) -> Matrix:
        (name,) = (name for name in node.input if name in self._stored)
        return self._array(name)

    def _norm(self, name: str, node: Any) -> Iterator[tuple[str, Matrix]]:
        yield f"{name}.weight", self._array(node.input[1])
        yield f"{name}.bias", self._array(node.input[2])

    def _of(self, kind: str) -> list[Any]:
        return [node for node in self._nodes if node.op_type == kind]

    def _array(self, name: str) -> NDArray[Any]:
        tensor = self._stored[name]
        if tensor.data_location != self._onnx.TensorProto.DEFAULT:
            raise ValueError(f"{name} lies in another file")
        array: NDArray[Any] = self._onnx.numpy_helper.to_array(tensor)
        if array.dtype not in (np.float32, np.int8):
            raise ValueError(f"{name} holds {array.dtype}")
        return array

    def _attribute(self, node: Any, name: str) -> float:
        (value,) = (self._onnx.helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name)
        number: float = value
        return number


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a BERT."""
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
    }
    norms, products = ["embeddings.LayerNorm"], {}
    for layer in range(config["num_hidden_layers"]):
        norms += (f"encoder.layer.{layer}.{name}" for name in _NORMS_OF_A_LAYER)
        sizes = {"intermediate.dense": (wide, hidden), "output.dense": (hidden, wide)}
        for name in _PRODUCTS_OF_A_LAYER:
            products[f"encoder.layer.{layer}.{name}"] = sizes.get(name, (hidden, hidden))
    for name in norms:
        shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    for name, (outputs, inputs) in products.items():
        shapes |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    return shapes
