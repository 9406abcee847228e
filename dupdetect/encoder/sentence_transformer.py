"""The encoder of a detector folder as a model of sentence-transformers (extra `train`).

    model = sentence_transformer("FOLDER")

A folder that dupdetect writes has no weights in the format of sentence-transformers: they would be twice as large as
all the rest. What is in its `model.onnx` or `vectors.npy` is enough, though, and is read here into modules of
sentence-transformers itself, so `model.save(...)` writes an ordinary folder, which any program loads, dupdetect or not.

The vectors are those of the detector's own encoder, but for the rounding to 8 bits between layers that the file does
and torch does not. A detector hands its encoder canonical texts (`dupdetect.canonical`).

`modules.json` in such a folder names `OnnxWeights` or `StaticVectors` below, and with that
`SentenceTransformer(folder, trust_remote_code=True)` loads it too. From version 6 on, sentence-transformers asks for
the flag whenever a module is not its own, although this one is taken from the installed package, and no code from the
folder.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from dupdetect.encoder.onnx_weights import read_bert_weights
from dupdetect.encoder.static import StaticEncoder
from dupdetect.errors import ArtifactError, MissingExtraError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

__all__ = ["OnnxWeights", "StaticVectors", "sentence_transformer", "write_modules"]

_MODULES = "modules.json"
_NORMALIZE = "sentence_transformers.base.modules.normalize.Normalize"
_POOLING = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"
# The names that the tokenizers of BERT give to the tokens that are no text.
_ROLES = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


class OnnxWeights:
    """Loads `model.onnx` and `tokenizer.json` as the module that turns texts into vectors of tokens."""

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> Transformer:
        """Return a `Transformer` of sentence-transformers with the weights in a folder, or in a repository on the hub.

        options: those that sentence-transformers hands to its modules; the ones about the hub are heeded.

        Raises ArtifactError for files that are missing or no encoder, MissingExtraError.
        """
        from safetensors.numpy import save_file
        from sentence_transformers.base.modules import Transformer
        from transformers import BertConfig, PreTrainedTokenizerFast

        names = ("model.onnx", "tokenizer.json")
        path, tokenizer_file = (_file(Transformer, model_name_or_path, subfolder, name, options) for name in names)
        weights = read_bert_weights(path)
        hidden = weights.config["hidden_size"]
        # A layer that nobody asks for, and that would be filled at random if it were not there.
        unused = {"weight": np.zeros((hidden, hidden), np.float32), "bias": np.zeros(hidden, np.float32)}
        tensors = weights.tensors | {f"pooler.dense.{name}": tensor for name, tensor in unused.items()}
        described = json.loads(tokenizer_file.read_text(encoding="utf-8"))
        known = {token["content"] for token in described["added_tokens"]}
        roles = {role: token for role, token in _ROLES.items() if token in known}
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(tokenizer_file), model_max_length=weights.max_length, **roles
        )
        if tokenizer.pad_token is None:
            raise ArtifactError(f"{tokenizer_file} has no token [PAD], with which short texts could be filled up.")
        # A `Transformer` is made from a folder only.
        with TemporaryDirectory(ignore_cleanup_errors=True) as place:
            save_file(tensors, Path(place, "model.safetensors"), metadata={"format": "pt"})
            BertConfig(**weights.config, architectures=["BertModel"]).save_pretrained(place)
            tokenizer.save_pretrained(place)
            return Transformer(place, max_seq_length=weights.max_length)


class StaticVectors:
    """Loads `vectors.npy`, `scales.npy` and `tokenizer.json` as the module that adds up vectors of tokens."""

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> StaticEmbedding:
        """Return a `StaticEmbedding` of sentence-transformers with the vectors in a folder, or in a repository.

        It takes the mean of the vectors of a text, which points where their sum does.

        Raises ArtifactError for files that are missing or no encoder, MissingExtraError.
        """
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
        from tokenizers import Tokenizer

        names = ("vectors.npy", "scales.npy", "tokenizer.json")
        paths = {name: _file(StaticEmbedding, model_name_or_path, subfolder, name, options) for name in names}
        files = {name: path.read_bytes() for name, path in paths.items()}
        tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        tokenizer.no_truncation()
        StaticEncoder(files, Path(model_name_or_path))  # says what is wrong with them
        vectors, scales = (np.load(io.BytesIO(files[name]), allow_pickle=False) for name in names[:2])
        return StaticEmbedding(tokenizer, embedding_weights=vectors * scales[:, None])


def sentence_transformer(folder: str | Path, *, device: str | None = None) -> SentenceTransformer:
    """Return the encoder in a detector folder as a model of sentence-transformers, on `device`.

    Raises ArtifactError for a folder without an encoder of this package, MissingExtraError without the extra `train`.
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize
        from sentence_transformers.sentence_transformer.modules import Pooling
    except ImportError:
        raise MissingExtraError("train", "A model of sentence-transformers", "sentence-transformers") from None
    place = Path(folder)
    if (place / "vectors.npy").exists():
        modules = [StaticVectors.load(str(place)), Normalize()]
    elif (place / "model.onnx").exists():
        transformer = OnnxWeights.load(str(place))
        modules = [transformer, Pooling(transformer.get_embedding_dimension(), "mean"), Normalize()]
    else:
        raise ArtifactError(f"{place} holds neither model.onnx nor vectors.npy. Name a detector folder.")
    return SentenceTransformer(modules=modules, device=device)


def write_modules(folder: Path, dimension: int, *, static: bool) -> None:
    """Write beside the files of an encoder what `SentenceTransformer(folder, trust_remote_code=True)` goes by."""
    first = StaticVectors if static else OnnxWeights
    parts = [("", f"{first.__module__}.{first.__qualname__}")]
    if not static:
        parts.append(("1_Pooling", _POOLING))
        (folder / "1_Pooling").mkdir()
        pooling = {"embedding_dimension": dimension, "pooling_mode": "mean", "include_prompt": True}
        (folder / "1_Pooling" / "config.json").write_text(_json(pooling), encoding="utf-8")
    parts.append((f"{len(parts)}_Normalize", _NORMALIZE))
    modules = [{"idx": idx, "name": str(idx), "path": path, "type": kind} for idx, (path, kind) in enumerate(parts)]
    (folder / _MODULES).write_text(_json(modules), encoding="utf-8")


def _file(module: Any, name_or_path: str, subfolder: str, name: str, options: dict[str, Any]) -> Path:
    """Return where a file of a folder, or of a repository on the hub, is."""
    hub = {key: options[key] for key in ("token", "cache_folder", "revision", "local_files_only") if key in options}
    found = module.load_file_path(name_or_path, filename=name, subfolder=subfolder, **hub)
    if found is None:
        raise ArtifactError(f"{name_or_path} lacks {name}. Copy the whole folder again.")
    return Path(found)


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
