"""Static models: a text is the mean of the vectors of its tokens. Made from a network, trained like one, and exported
for `dupdetect.encoder.static`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from dupdetect.errors import InputError
from dupdetect.training.models import load_model, require_no_prompt

__all__ = ["export_static", "static_model"]

_TOKENS_AT_A_TIME = 1024
_COMMON = 1e-3  # a token with this share of all tokens counts half as much as a rare one
_LEVELS = 127


def static_model(model: SentenceTransformer, dimension: int, texts: Sequence[str]) -> SentenceTransformer:
    """Return a static model with `dimension` columns that starts where the network `model` stands.

    The vector of a token is what the network makes of it alone, turned so that the first columns hold what differs most
    (principal components) and cut to `dimension`; its weight is a / (a + p), p its share of the tokens of `texts`, as
    in Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017. Untrained, it is what
    others distil from a network without training.

    Raises InputError for a model without a table of token vectors, or of fewer dimensions.
    """
    network = getattr(model[0], "auto_model", None)
    table = network.get_input_embeddings() if network is not None else None
    if table is None or not 1 <= dimension <= model.get_embedding_dimension():
        raise InputError(f"This model cannot give static vectors of {dimension} dimensions. Choose a larger network.")
    tokenizer = model.tokenizer.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()  # padding would be counted
    ids = torch.arange(tokenizer.get_vocab_size())
    first, last = (torch.full((1,), token) for token in (model.tokenizer.cls_token_id, model.tokenizer.sep_token_id))
    pieces = []
    with torch.no_grad():
        for some in ids.split(_TOKENS_AT_A_TIME):
            rows = torch.stack([first.expand(len(some)), some, last.expand(len(some))], dim=1)
            inputs = {"input_ids": rows, "attention_mask": torch.ones_like(rows)}
            moved = {name: value.to(model.device) for name, value in inputs.items()}
            pieces.append(model(moved)["sentence_embedding"].float().cpu())
    vectors = torch.cat(pieces)
    vectors = vectors - vectors.mean(0)
    directions = torch.linalg.eigh(vectors.T @ vectors).eigenvectors.flip(1)[:, :dimension]
    counts = torch.zeros(len(ids))
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        counts += torch.bincount(torch.tensor(encoding.ids, dtype=torch.int64), minlength=len(ids))
    weights = _COMMON / (_COMMON + counts / counts.sum().clamp(min=1))
    static = StaticEmbedding(tokenizer, embedding_weights=(vectors @ directions) * weights[:, None])
    return SentenceTransformer(modules=[static], device=str(model.device)).eval()


def export_static(model: SentenceTransformer | str | Path, folder: str | Path) -> Path:
    """Write the static `model`, or the one in that folder, as `StaticEncoder.load` reads it; return the folder.

    The vectors become whole numbers in [-127, 127], those of each token with a scale of their own. Raises InputError
    for a model of another kind, or one that puts a prompt before every text.
    """
    if not isinstance(model, SentenceTransformer):
        model = load_model(str(model))
    static = model[0]
    if not isinstance(static, StaticEmbedding) or len(model) != 1:
        raise InputError("Only a model of one StaticEmbedding can be exported as a static encoder.")
    require_no_prompt(model)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    vectors = static.embedding.weight.detach().cpu().numpy()
    scales = np.maximum(np.abs(vectors).max(axis=1), 1e-12) / _LEVELS
    np.save(place / "vectors.npy", np.rint(vectors / scales[:, None]).astype(np.int8))
    np.save(place / "scales.npy", scales.astype(np.float32))
    (place / "tokenizer.json").write_text(static.tokenizer.to_str(), encoding="utf-8")
    return place
