"""Which pairs can reach a threshold at all, by products of 8-bit integers: several times faster than float32.

Rows are rounded to integers, block by block: x = s a + e on the left side of a product and y = t b + f on the right,
with steps s and t, integers a in [-127, 127] and b in [-63, 63], and the remainders e and f. Then

    x.y = s t a.b + e.(t b) + x.f,    so that    |x.y - s t a.b| <= ||e|| ||t b|| + ||x|| ||f||    (Cauchy-Schwarz)

The remainders are known, so the bound is a number, not a guess: about 0.03 for the vectors of the shipped encoder. A
pair whose integer product lies further than that below the threshold is below it; the others are looked at again.

a.b is exact. Processors without instructions for such products (AVX2) add two products of an unsigned and a signed
byte in 16 bits: 2 * 255 * 63 = 32,130 fits, which is why b stays within 63. The sum of d products fits in 32 bits for
every d below 130,000.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.search.marked import marked_places

__all__ = ["MOST_DIMENSIONS", "IntegerBlock", "IntegerProducts"]

MOST_DIMENSIONS = 130_000

_GRAPH = Path(__file__).with_name("product.onnx")
_LEFT, _RIGHT, _ZERO = 127, 63, 128
# The decision is made on a similarity rounded to float32, and the bound itself is a sum of rounded numbers.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class IntegerBlock:
    """Some rows, rounded for either side of a product.

    left: (m, d) uint8, the integers plus 128; right: (d, m) int8.  *_step: the real value of one.
    *_error: the longest remainder of a row; right_norm: the longest rounded row; norm: the longest row.
    """

    left: NDArray[np.uint8]
    left_step: float
    left_error: float
    norm: float
    right: NDArray[np.int8]
    right_step: float
    right_error: float
    right_norm: float

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> IntegerBlock:
        """Round `rows` (m, d), m and d at least 1, not all zero."""
        exact = rows.astype(np.float64)
        largest = float(np.abs(exact).max())
        left_step, right_step = largest / _LEFT, largest / _RIGHT
        left, right = np.rint(exact / left_step), np.rint(exact / right_step)
        return cls(
            left=(left + _ZERO).astype(np.uint8),
            left_step=left_step,
            left_error=_longest(exact - left_step * left),
            norm=_longest(exact),
            right=np.ascontiguousarray(right.astype(np.int8).T),
            right_step=right_step,
            right_error=_longest(exact - right_step * right),
            right_norm=_longest(right_step * right),
        )


class IntegerProducts:
    """Finds the pairs of two blocks that can reach a threshold. May be used by several threads at a time."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        onnxruntime.disable_telemetry_events()
        self._session: Any = onnxruntime.InferenceSession(
            _GRAPH.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self._thread = threading.local()

    def candidates(self, first: IntegerBlock, second: IntegerBlock, threshold: float) -> NDArray[np.int64]:
        """Return the places i * n + j, rising, of all pairs of row i of `first` and row j of the n rows of `second`
        whose cosine, rounded to float32, is at or above `threshold`, and of some that are a little below."""
        products = self.products(first.left, second.right)
        bound = first.left_error * second.right_norm + first.norm * second.right_error
        cut = np.floor((threshold - bound - _SLACK) / (first.left_step * second.right_step))
        return marked_places(products >= np.int32(max(cut, np.iinfo(np.int32).min)))

    def products(self, left: NDArray[np.uint8], right: NDArray[np.int8]) -> NDArray[np.int32]:
        """Return (m, n) products of rows (m, d), the integers plus 128, and columns (d, n), within ±63.

        They are in memory that the next call of this thread writes over.
        """
        size = len(left) * right.shape[1]
        if len(getattr(self._thread, "memory", ())) < size:
            self._thread.memory = np.empty(size, dtype=np.int32)
        products: NDArray[np.int32] = self._thread.memory[:size].reshape(len(left), right.shape[1])
        # Bound, as `run` would copy the result into new memory, which takes as long as the product.
        binding = self._session.io_binding()
        binding.bind_cpu_input("left", left)
        binding.bind_cpu_input("right", right)
        binding.bind_output("products", "cpu", 0, np.int32, products.shape, products.ctypes.data)
        self._session.run_with_iobinding(binding)
        return products


def _longest(rows: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows).max()))
