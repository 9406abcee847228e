"""Any sentence-transformers model as encoder (extra `train`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoder import Progress
from dupdetect.encoder.unknown import unknown_words, unread_characters
from dupdetect.errors import ArtifactError, MissingExtraError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["TransformerEncoder"]

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")
# The places of the tokens take kilobytes per text; only so many exist at a time.
_TEXTS_PER_TOKENIZATION = 4096


class TransformerEncoder:
    """A sentence-transformers model that gives unit rows.

    Texts are batched with texts of the same length only, so no text is seen by another; yet torch rounds differently
    for other batch sizes, so rows are equal to about 1e-7 only, where those of `OnnxEncoder` are equal to the bit.
    """

    engine = "sentence-transformers"
    batch_rows = 64

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model
        self._fingerprint = _fingerprint(model)

    @classmethod
    def load(
        cls,
        name_or_path: str,
        *,
        device: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> TransformerEncoder:
        """Load a folder or a hub name. Weights come from safetensors only, and no code of the model's is run.

        Raises MissingExtraError without sentence-transformers, ArtifactError for a model that cannot be loaded.
        """
        here = Path(name_or_path).is_dir()
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            needed_for = f"The model {name_or_path}"
            if not here:
                needed_for = f"There is no folder {name_or_path}, and a model of this name on the hub"
            raise MissingExtraError("train", needed_for, "sentence-transformers") from None
        pickled = [file.name for kind in _PICKLED for file in Path(name_or_path).rglob(kind)]
        if pickled:
            raise ArtifactError(
                f"{name_or_path} holds {pickled[0]}, and pickled weights are not loaded. Save the model as safetensors."
            )
        try:
            model = SentenceTransformer(
                name_or_path,
                device=device,
                revision=revision,
                local_files_only=local_files_only,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError, KeyError, AssertionError) as error:
            first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            what = f"{name_or_path} cannot be loaded as a sentence-transformers model"
            if not here:
                what = f"There is no folder {name_or_path}, and as the name of a model on the hub it cannot be loaded"
            raise ArtifactError(
                f"{what}: {first_line}. Name a folder on this machine, or a model on the hub that can be reached."
            ) from None
        return cls(model)

    def save(self, folder: Path) -> None:
        """Write the model so that `SentenceTransformer(folder)` loads it."""
        self._model.save(str(folder), create_model_card=False)

    @property
    def fingerprint(self) -> str:
        """A checksum of the weights, the pooling and the longest text read."""
        return self._fingerprint

    @property
    def device(self) -> str:
        """Where the model is."""
        return str(self._model.device)

    @property
    def dimension(self) -> int:
        """The number of columns that `encode` returns."""
        return int(self._model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n, dimension) float32 unit rows.

        Texts of equal token length share a batch, so nothing is padded and no text is seen by another.
        """
        result = np.zeros((len(texts), self.dimension), dtype=np.float32)
        lengths = np.minimum(self._token_counts(texts), self._longest)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            for start in range(0, len(rows), self.batch_rows):
                batch = rows[start : start + self.batch_rows]
                result[batch] = self._model.encode(
                    [texts[row] for row in batch],
                    batch_size=self.batch_rows,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
                if progress:
                    progress(len(batch))
        return result

    def truncated(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which texts are longer than the model reads."""
        return self._token_counts(texts) > self._longest

    def unknown_words(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each text the words read as the unknown token, in part, or not at all.

        See `encoder.LimitedVocabulary` for what that means, and `encoder.unknown` for which marks must be read.

        A tokenizer that does not say where its tokens stand (one written in Python) cannot tell which words are
        unknown: a text with unknown tokens is then taken for unknown as a whole.
        """
        tokenizer = self._model.tokenizer
        unknown = tokenizer.unk_token_id
        unread = unread_characters(texts, self._token_ids)
        if not tokenizer.is_fast:
            return [
                (text,) if unknown in ids else unknown_words(text, [(0, len(text))], len(text), unread)
                for text, ids in zip(texts, self._token_ids(texts), strict=True)
            ]
        content = self._longest - tokenizer.num_special_tokens_to_add()
        result = []
        for start in range(0, len(texts), _TEXTS_PER_TOKENIZATION):
            part = list(texts[start : start + _TEXTS_PER_TOKENIZATION])
            encoded = tokenizer(
                part,
                truncation=False,
                padding=False,
                verbose=False,
                return_offsets_mapping=True,
                return_special_tokens_mask=True,
            )
            for row, text in enumerate(part):
                columns = (encoded[name][row] for name in ("input_ids", "offset_mapping", "special_tokens_mask"))
                tokens = [(token, span) for token, span, added in zip(*columns, strict=True) if not added]
                read = tokens[:content]
                end = len(text) if len(tokens) <= content else max(stop for _, (_, stop) in read)
                result.append(unknown_words(text, [span for token, span in read if token != unknown], end, unread))
        return result

    @property
    def _longest(self) -> int:
        return int(self._model.max_seq_length or self._model.tokenizer.model_max_length)

    def _token_counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self._token_ids(texts)], dtype=np.int64)

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = self._model.tokenizer(list(texts), truncation=False, padding=False, verbose=False)
        ids: list[list[int]] = encoded["input_ids"]
        return ids


def _fingerprint(model: Any) -> str:
    how = [[str(module) for module in model], model.prompts, model.default_prompt_name, model.max_seq_length]
    digest = hashlib.sha256(json.dumps(how, sort_keys=True).encode())
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        digest.update(repr(model.tokenizer).encode("utf-8", "replace"))
    else:
        rules = json.loads(backend.to_str())
        # Left over from the last call, and set anew by the next: no part of what the tokenizer is.
        rules.pop("truncation", None)
        rules.pop("padding", None)
        digest.update(json.dumps(rules, sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return f"sha256:{digest.hexdigest()[:16]}"
