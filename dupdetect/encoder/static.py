"""The fast encoder: a text is the sum of the vectors of its tokens, scaled to length 1. No network runs.

A folder holds `tokenizer.json`, `vectors.npy`, (tokens, dimension) int8, and `scales.npy`, (tokens,) float32: what
these whole numbers are multiplied by, so that a token counts as much as its vector is long. `scripts/train_fast.py`
makes the folder that is shipped.

The vectors of each text are added by themselves and in a fixed order, so its row depends on that text alone, to the
last bit, whatever the batch and the number of threads.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoder import Progress
from dupdetect.encoder.tokens import Tokens
from dupdetect.errors import ArtifactError

__all__ = ["StaticEncoder"]

_VECTORS = "vectors.npy"
_SCALES = "scales.npy"
_TOKENIZER = "tokenizer.json"
_FILES = (_VECTORS, _SCALES, _TOKENIZER)

_LARGEST = 1e6  # of a scale: sums and squares stay far from where float32 ends

_TEXTS_PER_BATCH = 4096
_TEXTS_PER_SUM = 1024  # so few that their sums stay in a core's cache


class StaticEncoder:
    """Turns texts into unit vectors by summing vectors of tokens; made with `StaticEncoder.load(folder)`."""

    engine: ClassVar[str] = "static"

    def __init__(self, files: dict[str, bytes], folder: Path, device: str = "cpu") -> None:
        """Take the contents of the three files; `folder` is named in errors, `device` is where the vectors are to be
        compared."""
        vectors, scales = (_array(files[name], folder, name) for name in (_VECTORS, _SCALES))
        if vectors.ndim != 2 or vectors.dtype != np.int8 or not 0 < vectors.shape[1] <= 4096:
            raise _damaged(folder, _VECTORS, "an array of (tokens, dimension) int8")
        if scales.shape != vectors.shape[:1] or scales.dtype != np.float32 or not (np.abs(scales) < _LARGEST).all():
            raise _damaged(folder, _SCALES, "an array of a float32 number for each token")
        try:
            self._tokens = Tokens(files[_TOKENIZER], max_length=None, special=False)
        except Exception as error:  # tokenizers raises bare Exception
            raise _damaged(folder, _TOKENIZER, "a tokenizer in the format of the tokenizers library") from error
        if self._tokens.size > len(vectors):
            raise _damaged(folder, _VECTORS, f"an array with a row for each of the {self._tokens.size:,} tokens")
        self._files = files
        self.device = device
        self._vectors = vectors * scales[:, None]
        self.dimension: int = vectors.shape[1]
        digest = hashlib.sha256()
        for part in (*(files[name] for name in _FILES), self.engine.encode()):
            digest.update(hashlib.sha256(part).digest())
        self.fingerprint = f"sha256:{digest.hexdigest()[:16]}"

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> StaticEncoder:
        """Load the three files from `folder`; `device` is where the vectors are to be compared.

        Raises `ArtifactError` when a file is missing, damaged or not of an encoder.
        """
        files = {}
        for name in _FILES:
            try:
                files[name] = (folder / name).read_bytes()
            except OSError as error:
                raise ArtifactError(
                    f"Cannot read {folder / name}: {error.strerror or error}. The folder of a fast encoder holds "
                    f"{_TOKENIZER}, {_VECTORS} and {_SCALES}."
                ) from error
        return cls(files, folder, device)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or send to another process as files, as the ONNX encoder is."""
        return StaticEncoder, (self._files, Path("a copied encoder"), self.device)

    def save(self, folder: Path) -> None:
        """Write the three files, as they were loaded, into `folder`; `load` reads them back."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._files.items():
            (folder / name).write_bytes(content)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n, dimension) float32 with rows of length 1, row i for `texts[i]`.

        Any string can be encoded. One without tokens, such as the empty one, has the row (1, 0, ..., 0). `progress` is
        called in the caller's thread.
        """
        embeddings = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_PER_BATCH):
            tokens, counts = self._tokens.in_a_row(texts[start : start + _TEXTS_PER_BATCH])
            first = np.cumsum(counts) - counts
            for part in range(0, len(counts), _TEXTS_PER_SUM):
                some = slice(part, min(part + _TEXTS_PER_SUM, len(counts)))
                embeddings[start + some.start : start + some.stop] = self._sums(tokens, first[some], counts[some])
            if progress is not None:
                progress(len(counts))
        return embeddings

    def _sums(
        self, tokens: NDArray[np.int64], first: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return (n, d) float32 unit rows, of the `counts` (n,) tokens from `first` (n,) on.

        Each text's vectors are added in their order, so a row does not depend on the others. The first tokens of all
        texts are added, then the second ones of those that have any: with the longest text first these are whole
        blocks of rows, and adding them takes a quarter of the time that it takes text by text.
        """
        longest = np.argsort(-counts, kind="stable")
        sums = np.zeros((len(counts), self.dimension), dtype=np.float32)
        places = first[longest]
        for place, texts in enumerate(np.cumsum(np.bincount(counts)[:0:-1])[::-1].tolist()):
            sums[:texts] += self._vectors[tokens[places[:texts] + place]]
        squares = np.einsum("ij,ij->i", sums, sums, dtype=np.float64)
        nothing = squares == 0
        sums[nothing, 0], squares[nothing] = 1.0, 1.0
        rows = np.empty_like(sums)
        rows[longest] = sums / np.sqrt(squares)[:, None]
        return rows

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which texts exceed 20,000 characters; their end is ignored."""
        return self._tokens.truncated(texts)

    def unknown_words(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each text the words read as the unknown token, in part, or not at all.

        See `encoder.LimitedVocabulary` for what that means, and `encoder.unknown` for which marks must be read.
        """
        return self._tokens.unknown_words(texts)


def _array(content: bytes, folder: Path, name: str) -> NDArray[Any]:
    try:
        file = io.BytesIO(content)
        shape, _, kind = _header(file)
        # Read, an array takes as much memory as its header says, whatever comes after it.
        if kind.hasobject or math.prod(shape) * kind.itemsize != len(content) - file.tell():
            raise ValueError("its header does not say what comes after it")
        file.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _damaged(folder, name, "an array of numpy") from error
    return array


def _header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape of an array in numpy's format, whether it goes by columns, and its kind; read up to its data."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError("it is of a version of the format in which no array of ours is written")


def _damaged(folder: Path, name: str, wanted: str) -> ArtifactError:
    return ArtifactError(
        f"{folder / name} is not {wanted}, or it is damaged. Copy the folder again; if it lies inside the package, "
        "reinstall dupdetect."
    )
