"""The default encoder: a sentence transformer as one ONNX file, run by onnxruntime on the CPU.

A folder holds `model.onnx` and `tokenizer.json`; `scripts/export_encoder.py` makes both. The graph takes
`input_ids` (batch, tokens) alone and returns unit rows: pooling and normalisation are inside it.

The row of a text depends on that text alone, to the last bit. Three things make it so:

- texts are batched with texts of exactly the same number of tokens, so that nothing is padded and nothing masked;
- the graph quantises activations per token, never over a batch (ordinary dynamic quantisation takes one scale from
  everything in the batch, so that a text's vector moves with its neighbours);
- a batch is always computed by one thread. More threads work on more batches, not on parts of one; that is also faster.

That holds on one machine with one version of onnxruntime (measured with 1.31; with 1.20 up to 3e-8). Another version or
another kind of processor rounds some activations to the neighbouring level: between 1.20 and 1.31 similarities moved by
at most 0.009 (500 pairs), between AVX-512 with VNNI and AVX2 by 0.004 or so (`scripts/measure_processor.py`), neither
being nearer to float32.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dupdetect.cores import usable_cores
from dupdetect.encoder import Progress
from dupdetect.encoder.tokens import Tokens
from dupdetect.errors import ArtifactError

__all__ = ["OnnxEncoder", "batches"]

_MODEL = "model.onnx"
_TOKENIZER = "tokenizer.json"
_MAX_LENGTH = "max_length"  # the key in the ONNX file's metadata

# So few that the activations of a layer stay in a core's cache: 2,048 took a quarter more time per text.
_TOKENS_PER_BATCH = 256


class OnnxEncoder:
    """Turns texts into unit vectors with an ONNX model; made with `OnnxEncoder.load(folder)`."""

    engine: ClassVar[str] = "onnx"

    def __init__(self, session: Any, tokens: Tokens, *, files: dict[str, bytes], max_length: int, threads: int) -> None:
        """Take over a one-thread onnxruntime `session` and the `tokens` made from `files` (name: content).

        `max_length`: that of the tokens; `threads` batches run at a time.
        """
        self._session = session
        self._tokens = tokens
        self._threads = threads
        self._files = files
        self.max_length = max_length
        self.dimension: int = session.get_outputs()[0].shape[-1]
        digest = hashlib.sha256()
        for part in (files[_MODEL], files[_TOKENIZER], str(max_length).encode(), self.engine.encode()):
            digest.update(hashlib.sha256(part).digest())
        self.fingerprint = f"sha256:{digest.hexdigest()[:16]}"

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None) -> OnnxEncoder:
        """Load `model.onnx` and `tokenizer.json` from `folder`; `threads` defaults to the cores this process may use.

        Raises `ArtifactError` when a file is missing, damaged or not an encoder.
        """
        files = {name: _read(folder, name) for name in (_MODEL, _TOKENIZER)}
        return cls._of(files, threads or usable_cores(), folder)

    @classmethod
    def _of(cls, files: dict[str, bytes], threads: int, folder: Path) -> OnnxEncoder:
        """Make the encoder from the contents of its files; `folder` is named in errors."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised; it need not be logged too
        options.enable_mem_pattern = False  # patterns are kept per shape, and every length is another shape
        # The file is fused already; more would undo it: onnxruntime's SkipLayerNormalization is slower than its parts.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        onnxruntime.disable_telemetry_events()
        try:
            session = onnxruntime.InferenceSession(files[_MODEL], options, providers=["CPUExecutionProvider"])
            max_length = int(session.get_modelmeta().custom_metadata_map[_MAX_LENGTH])
            if not 4 <= max_length <= 8192:
                raise ValueError(max_length)
        except Exception as error:  # onnxruntime's own errors have no common base
            raise _damaged(folder, _MODEL, "an encoder made by scripts/export_encoder.py") from error
        try:
            tokens = Tokens(files[_TOKENIZER], max_length=max_length, special=True)
        except Exception as error:  # tokenizers raises bare Exception
            raise _damaged(folder, _TOKENIZER, "a tokenizer in the format of the tokenizers library") from error
        try:
            encoder = cls(session, tokens, files=files, max_length=max_length, threads=threads)
            rows = encoder.encode(["a"])
        except Exception as error:  # what the graph takes and gives shows only when it runs
            raise _damaged(folder, _MODEL, "an encoder made by scripts/export_encoder.py") from error
        if not np.isclose(np.linalg.norm(rows), 1.0, atol=1e-3):
            raise _damaged(folder, _MODEL, "an encoder that gives rows of length 1")
        return encoder

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or send to another process as files: sessions cannot be, and each process needs its own."""
        return OnnxEncoder._of, (self._files, self._threads, Path("a copied encoder"))

    def save(self, folder: Path) -> None:
        """Write `model.onnx` and `tokenizer.json`, as they were loaded, into `folder`; `load` reads them back."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._files.items():
            (folder / name).write_bytes(content)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n, dimension) float32 with rows of length 1, row i for `texts[i]`.

        Any string can be encoded, the empty one too; lone surrogates read as U+FFFD. `progress` is called in the
        caller's thread.
        """
        ids = self._tokens.ids(texts)
        embeddings = np.empty((len(ids), self.dimension), dtype=np.float32)

        def run(batch: list[int]) -> int:
            embeddings[batch] = self._session.run(None, {"input_ids": np.stack([ids[row] for row in batch])})[0]
            return len(batch)

        pool = ThreadPoolExecutor(self._threads)
        try:
            for finished in pool.map(run, batches([len(row) for row in ids])):
                if progress is not None:
                    progress(finished)
        finally:
            pool.shutdown(cancel_futures=True)  # on an interrupt, do not work through the rest first
        return embeddings

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which texts exceed `max_length` tokens or 20,000 characters; their end is ignored."""
        return self._tokens.truncated(texts)

    def unknown_words(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each text the words read as the unknown token, in part, or not at all.

        See `encoder.LimitedVocabulary` for what that means, and `encoder.unknown` for which marks must be read.
        """
        return self._tokens.unknown_words(texts)


def batches(lengths: list[int]) -> Iterator[list[int]]:
    """Yield the rows in batches of equal length, short ones first, each at most `_TOKENS_PER_BATCH` (or one text)."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (lengths[row] != lengths[batch[0]] or (len(batch) + 1) * lengths[row] > _TOKENS_PER_BATCH):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"Cannot read {folder / name}: {error.strerror or error}. An encoder folder holds {_MODEL} and "
            f"{_TOKENIZER}: check the path, or leave it out to use the detector that is shipped with dupdetect."
        ) from error


def _damaged(folder: Path, name: str, wanted: str) -> ArtifactError:
    return ArtifactError(
        f"{folder / name} is not {wanted}, or it is damaged. Copy or export the folder again; "
        "if it lies inside the package, reinstall dupdetect."
    )
