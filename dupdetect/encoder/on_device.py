"""The default encoder on a graphics card: the weights inside `model.onnx`, run by torch (extra `train`).

The weights are the same numbers. onnxruntime rounds what flows between the layers to 8 bits; here it is in half
precision (float16), which the card is fast at, and nothing is rounded to 8 bits. So the vectors differ a little: of
5,000 labelled pairs the similarity moved by 0.004 on average, by 0.016 or less in 99 of 100, and by 0.027 at most; 39
were decided otherwise (`scripts/results/device.json`, by torch on a processor). What follows from it:

- **The fingerprint is another one.** A cache never mixes the two, and an index keeps the vectors of one of them.
- **A calibration of the file's own encoder holds here too** (`calibrated_as`), within that tolerance: pairs whose
  similarity lies that close to the threshold may be decided otherwise. Of the 5,000, average precision fell by 0.0003,
  and F1 at the threshold by 0.0013. A calibration that was fitted with vectors from the card holds for the card alone.
  For decisions that must be those of the processor, use the processor; for a threshold of the card's own, calibrate.

A text's row does not depend on the other texts, as far as torch allows it: texts are batched with texts of exactly the
same number of tokens, so that nothing is padded and nothing masked, and batches of one length all have the same number
of rows, so that they are computed in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoder import Progress
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.encoder.onnx_weights import BertWeights, read_bert_weights
from dupdetect.encoder.tokens import Tokens
from dupdetect.errors import ArtifactError, InputError, MissingExtraError

__all__ = ["DeviceEncoder", "Precision"]

Precision = Literal["float16", "bfloat16", "float32"]

# Enough for a card to be busy, and not much more: a batch costs as much with one text in it.
_TOKENS_PER_BATCH = 4096
# What both ways of computing must agree on, or the weights were read wrongly. They agree to 0.99 in fact.
_PROBE = ("a", "how do i pay", "how do i change the e-mail address of my account, and why was order 4711 sent there")
_LEAST_AGREEMENT = 0.9


class DeviceEncoder:
    """Turns texts into unit vectors with the weights of an `OnnxEncoder`; made with `DeviceEncoder.load(folder)`."""

    engine: ClassVar[str] = "onnx"

    def __init__(
        self,
        exported: OnnxEncoder,
        weights: BertWeights,
        tokens: Tokens,
        *,
        device: str,
        precision: Precision = "float16",
        batch_tokens: int = _TOKENS_PER_BATCH,
    ) -> None:
        """Take the encoder in a folder, and the weights and the tokenizer of the same folder.

        device: of torch.  precision: what is computed in.  batch_tokens: of one batch, about; another number may change
        the last bits.
        """
        self._exported, self._tokens = exported, tokens
        self._batch_tokens = batch_tokens
        self.device, self.precision = device, precision
        self.dimension = exported.dimension
        digest = hashlib.sha256(f"{exported.fingerprint} torch {device.partition(':')[0]} {precision}".encode())
        self.fingerprint = f"sha256:{digest.hexdigest()[:16]}"
        try:
            import torch
            from transformers import BertConfig, BertModel
        except ImportError:
            raise MissingExtraError("train", f"The encoder on the device {device!r}", "torch") from None
        network = BertModel(BertConfig(**weights.config, attn_implementation="sdpa"), add_pooling_layer=False)
        network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in weights.tensors.items()})
        self._torch = torch
        self._network = network.to(device=device, dtype=getattr(torch, precision)).eval().requires_grad_(False)

    @classmethod
    def load(
        cls, folder: Path, *, device: str, precision: Precision = "float16", batch_tokens: int = _TOKENS_PER_BATCH
    ) -> DeviceEncoder:
        """Load `model.onnx` and `tokenizer.json` from `folder`.

        Raises ArtifactError when a file is missing, damaged or not an encoder of this package, MissingExtraError
        without torch, transformers or onnx.
        """
        exported = OnnxEncoder.load(folder)
        weights = read_bert_weights(folder / "model.onnx")
        tokens = Tokens((folder / "tokenizer.json").read_bytes(), max_length=weights.max_length, special=True)
        encoder = cls(exported, weights, tokens, device=device, precision=precision, batch_tokens=batch_tokens)
        agreement = np.einsum("ij,ij->i", encoder.encode(_PROBE), exported.encode(_PROBE)).min()
        if not agreement >= _LEAST_AGREEMENT:
            raise ArtifactError(
                f"{folder / 'model.onnx'} computes something else than its weights say (cosine {agreement:.3f}). "
                "Leave the device out to run it as it is, or export the encoder with this version."
            )
        return encoder

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or send to another process as files, as the ONNX encoder is."""
        with TemporaryDirectory() as place:
            self._exported.save(Path(place))
            files = {path.name: path.read_bytes() for path in Path(place).iterdir()}
        return _copied, (files, self.device, self.precision, self._batch_tokens)

    @property
    def calibrated_as(self) -> str:
        """The fingerprint of the encoder whose weights these are: its calibrations hold here, see above."""
        return self._exported.fingerprint

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n, dimension) float32 with rows of length 1, row i for `texts[i]`.

        Raises InputError where the memory of the device does not suffice, ArtifactError for weights that cannot be run
        in half precision.
        """
        torch = self._torch
        ids = self._tokens.ids(texts)
        embeddings = np.empty((len(ids), self.dimension), dtype=np.float32)
        try:
            with torch.inference_mode():
                for batch, rows in self._batches(ids):
                    hidden = self._network(torch.from_numpy(rows).to(self.device)).last_hidden_state
                    total = hidden.float().sum(dim=1)[: len(batch)]
                    embeddings[batch] = (total / total.norm(dim=1, keepdim=True)).cpu().numpy()
                    if progress is not None:
                        progress(len(batch))
        except torch.OutOfMemoryError:
            raise InputError(
                f"The memory of {self.device} does not suffice for {self._batch_tokens:,} tokens at a time. Free some "
                "of it, or leave the device out."
            ) from None
        if not np.isfinite(embeddings).all():
            raise ArtifactError(
                f"This encoder gives no numbers in {self.precision}. Leave the device out to run it on the processor."
            )
        return embeddings

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which texts are longer than the encoder reads, as on the processor."""
        return self._exported.truncated(texts)

    def unknown_words(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each text the words that the encoder does not know, as on the processor."""
        return self._exported.unknown_words(texts)

    def _batches(self, ids: list[NDArray[np.int64]]) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
        """Yield which texts make a batch, and their tokens: equally many for each, and as many rows as other batches of
        this length have, the last text again and again where there are no more."""
        by_length: dict[int, list[int]] = {}
        for row, tokens in enumerate(ids):
            by_length.setdefault(len(tokens), []).append(row)
        for length, rows in sorted(by_length.items()):
            size = max(1, self._batch_tokens // length)
            for start in range(0, len(rows), size):
                batch = rows[start : start + size]
                yield batch, np.stack([ids[row] for row in batch + batch[-1:] * (size - len(batch))])


def _copied(files: dict[str, bytes], device: str, precision: Precision, batch_tokens: int) -> DeviceEncoder:
    with TemporaryDirectory() as place:
        for name, content in files.items():
            Path(place, name).write_bytes(content)
        return DeviceEncoder.load(Path(place), device=device, precision=precision, batch_tokens=batch_tokens)
