"""Write the graph that the exact search multiplies 8-bit integers with: dupdetect/search/product.onnx.

    python scripts/make_product.py

One operator, `MatMulInteger`, which numpy has no fast form of. Needs the extra [train] for the package onnx.
"""

from __future__ import annotations

from ledger import ROOT
from onnx import ModelProto, TensorProto, checker, helper

PATH = ROOT / "dupdetect" / "search" / "product.onnx"
ZERO = 128


def product() -> ModelProto:
    """Return the graph (left - 128) @ right: left (m, d) uint8, right (d, n) int8, result (m, n) int32."""
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["left", "right", "zero"], ["products"])],
        "product",
        [
            helper.make_tensor_value_info("left", TensorProto.UINT8, ["m", "d"]),
            helper.make_tensor_value_info("right", TensorProto.INT8, ["d", "n"]),
        ],
        [helper.make_tensor_value_info("products", TensorProto.INT32, ["m", "n"])],
        [helper.make_tensor("zero", TensorProto.UINT8, [], [ZERO])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="")
    checker.check_model(model)
    return model


if __name__ == "__main__":
    PATH.write_bytes(product().SerializeToString(deterministic=True))
    print(f"{PATH.stat().st_size} bytes")
