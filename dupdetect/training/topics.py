"""What questions are about, roughly and cheaply, so that the questions of a batch can be hard negatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sentence_transformers import SentenceTransformer
from sklearn.cluster import MiniBatchKMeans

from dupdetect.errors import InputError

__all__ = ["question_topics"]

_TEXTS_AT_A_TIME = 4_096


def question_topics(model: SentenceTransformer, texts: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """Return (n,) int64 in [0, count): k-means clusters of the mean token vectors of the texts.

    Tokens weigh less the more texts hold them (their inverse document frequency). No text goes through the network, so
    100,000 take seconds. Batches of one topic make a ranking hard, as Hofstätter et al., "Efficiently Teaching an
    Effective Dense Retriever with Balanced Topic Aware Sampling", SIGIR 2021, found for search. The same seed gives the
    same topics on one machine. Raises InputError for a base without a table of token vectors.
    """
    network = getattr(model[0], "auto_model", None)
    table = network.get_input_embeddings() if network is not None else None
    if table is None:
        raise InputError("This base has no table of token vectors to find topics by. Pass topics=1.")
    vectors = table.weight.detach().float().cpu().numpy()
    held = _tokens_held(model, texts, len(vectors))
    rarity = np.log((1 + len(texts)) / (1 + np.asarray(held.sum(axis=0)).ravel()))
    means = held.multiply(rarity[None, :]).tocsr() @ vectors
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    clusters = MiniBatchKMeans(min(count, len(texts)), random_state=seed, n_init=1, batch_size=4_096).fit_predict(means)
    return np.asarray(clusters, dtype=np.int64)


def _tokens_held(model: SentenceTransformer, texts: Sequence[str], vocabulary: int) -> sparse.csr_matrix:
    """Return (n, vocabulary): 1 where a text holds a token, whatever how often."""
    rows, columns = [], []
    for start in range(0, len(texts), _TEXTS_AT_A_TIME):
        part = model.tokenizer(list(texts[start : start + _TEXTS_AT_A_TIME]), add_special_tokens=False)["input_ids"]
        for row, tokens in enumerate(part, start):
            different = np.unique(np.asarray(tokens, dtype=np.int64))
            rows.append(np.full(len(different), row))
            columns.append(different)
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.ones(len(where[0]), dtype=np.float32), where), shape=(len(texts), vocabulary))
