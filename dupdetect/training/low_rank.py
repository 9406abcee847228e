"""Low-rank adapters: instead of each weight matrix, two thin factors of a change to it are trained.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022.
"""

from __future__ import annotations

from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from dupdetect.errors import InputError, MissingExtraError

__all__ = ["add_adapters"]


def add_adapters(model: SentenceTransformer, rank: int, seed: int) -> Any:
    """Put adapters beside the attention and feed-forward matrices of `model`, freeze everything else, and return what
    has `merge_and_unload()`, which adds the changes to the weights and leaves an ordinary model.

    Until the first step nothing changes: one factor starts at 0, the other at random from `seed`. The changes count
    twice (alpha = 2 * rank), as is usual.

    Raises MissingExtraError without peft, and InputError when the model is no Transformer.
    """
    try:
        from peft import LoraConfig, LoraModel
    except ImportError:
        raise MissingExtraError("train", "lora_rank", "peft") from None
    network = getattr(model[0], "auto_model", None)
    if network is None:
        raise InputError("This base is no Transformer, so there is nothing to adapt. Leave lora_rank out.")
    torch.manual_seed(seed)
    return LoraModel(network, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"), "default")
