"""Encoders: text in, unit vectors out.

`Encoder` is the protocol that the rest of the package is written against: any object with these members works.
`onnx.OnnxEncoder` is the default; it runs wherever onnxruntime does and needs no torch; `static.StaticEncoder`
is the fast one. `on_device.DeviceEncoder` is the default on a graphics card. `LimitedVocabulary` is for those that
cannot read every word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Encoder", "LimitedVocabulary", "Progress"]

Progress = Callable[[int], None]
"""Called with the number of texts finished since the last call."""


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into unit vectors whose dot product is their cosine similarity.

    Any object with these four members will do. It is given canonical texts (case folded, see `dupdetect.text`), each
    once, never a blank one and never an empty list; what it returns is checked.
    """

    @property
    def fingerprint(self) -> str:
        """Identifies the weights and the way they are run.

        Equal fingerprints mean equal vectors on one processor and one version of the libraries; another processor
        may round differently.
        """

    @property
    def dimension(self) -> int:
        """The number of columns that `encode` returns."""

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n, dimension) float32 with rows of length 1, row i for `texts[i]`.

        The row of a text depends on that text alone, not on the others or on their order.
        """

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which texts are longer than this encoder reads, so that their end is ignored."""


@runtime_checkable
class LimitedVocabulary(Protocol):
    """What an encoder has besides, if there are words to which it gives the same vector as to any other such word.

    One without this method is taken to read everything, as those do that read bytes.
    """

    def unknown_words(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each text its words that this encoder does not know, each once and sorted; () where it knows all.

        Only the part that is read counts. A text with no word that is known, and something that is not, is itself the
        only unknown word: `(text,)`.
        """
