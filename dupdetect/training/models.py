"""The sentence-transformers model while it is trained: loaded without code of its own, run length-sorted, averaged."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn import functional

from dupdetect.errors import ArtifactError, InputError
from dupdetect.training.config import Precision

__all__ = [
    "average_weights",
    "combine_weights",
    "compute_type",
    "embed",
    "encode",
    "freeze_embeddings",
    "load_model",
    "require_no_prompt",
    "set_dropout",
    "use_plain_attention",
]

# So many that products are large, so few that what a layer computes stays near the processor: on two cores 32 texts of
# 50 characters trained half again as fast as 128, and longer ones need smaller batches.
_CHARACTERS_AT_A_TIME = 2_048


def load_model(name_or_path: str) -> SentenceTransformer:
    """Return the model of a folder or of a name on the hub, on the GPU where there is one.

    Weights come from safetensors only, as float32 whatever they are stored in, and no code of the model's is run.
    Raises ArtifactError when it cannot be loaded.
    """
    # What is stored in 16 bits would be trained in 16 bits, in which small steps are lost.
    options = {"use_safetensors": True, "dtype": torch.float32}
    try:
        model = SentenceTransformer(name_or_path, trust_remote_code=False, model_kwargs=options)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ArtifactError(
            f"{name_or_path} cannot be loaded as a sentence-transformers model: {first_line}. "
            "Name a folder on this machine, or a model on the hub that can be reached."
        ) from None
    return model.float().eval()  # a static model heeds no option


def _default_prompt(model: SentenceTransformer) -> str | None:
    """Return what the model puts before every text; None for nothing."""
    return (model.prompts.get(model.default_prompt_name) or None) if model.default_prompt_name else None


def require_no_prompt(model: SentenceTransformer) -> None:
    """Raise InputError when the model puts something before every text: an exported encoder would leave it out."""
    prompt = _default_prompt(model)
    if prompt is not None:
        raise InputError(
            f"This model puts {prompt!r} before every text, which cannot be exported. Choose another base, or use the "
            "model as it is: `dupdetect calibrate` takes any sentence-transformers model."
        )


def set_dropout(model: nn.Module, share: float | None) -> None:
    """Let training drop this share of values, in [0, 1), wherever the model drops any; None = leave it as it is."""
    if share is not None:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = share


def freeze_embeddings(model: SentenceTransformer) -> None:
    """Leave the vectors of the tokens as they are, so that words that training never shows keep their place among the
    others. They are half of the weights of a small model, and a step without them is about a fifth faster."""
    network = getattr(model[0], "auto_model", None)
    table = network.get_input_embeddings() if network is not None else None
    if table is None:
        raise InputError("This base has no table of token embeddings to freeze. Pass train_embeddings=True.")
    for parameter in table.parameters():
        parameter.requires_grad_(False)


def use_plain_attention(model: SentenceTransformer) -> None:
    """Compute attention step by step: for texts this short, faster on a processor than the fused kernels."""
    network = getattr(model[0], "auto_model", None)
    if network is not None and model.device.type == "cpu":
        network.set_attn_implementation("eager")


def compute_type(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return the type that products are computed in, or None for float32 as it is.

    "auto" is bfloat16 where the GPU multiplies in it, or the processor by tiles (AMX). Elsewhere it may be slower than
    float32: emulated, or by AVX-512 instructions (a step of training took 1.16 times as long, encoding with a larger
    model 1.7 times, on an Intel processor without AMX, but 0.6 and 0.55 times on an AMD EPYC of the fourth generation,
    where "bfloat16" is worth asking for). The weights stay float32 in any case.
    """
    if precision == "auto":
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            # Not public, so it may go; then float32 is right everywhere.
            test = getattr(torch.cpu, "_is_amx_tile_supported", None)
            native = device.type == "cpu" and test is not None and test()
        return torch.bfloat16 if native else None
    return torch.bfloat16 if precision == "bfloat16" else None


def embed(model: SentenceTransformer, texts: Sequence[str], dtype: torch.dtype | None) -> Tensor:
    """Return (n, d) float32 unit rows, with gradients where they are enabled.

    Texts of like length go through the model together, few at a time, so that little is padded.
    """
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    # A model without a network pads nothing; each portion would only cost it a gradient of all its vectors.
    padded = getattr(model[0], "auto_model", None) is not None
    prompt = _default_prompt(model)
    pieces = []
    # One context for all, in which each weight is converted once.
    with torch.autocast(model.device.type, dtype=dtype, enabled=dtype is not None):
        for rows in _portions(order, texts) if padded else [order]:
            inputs: dict[str, Any] = model.preprocess([texts[row] for row in rows], prompt=prompt)
            inputs = {
                name: value.to(model.device) if isinstance(value, Tensor) else value for name, value in inputs.items()
            }
            pieces.append(model(inputs)["sentence_embedding"].float())
    position = torch.empty(len(texts), dtype=torch.int64)
    position[torch.tensor(order, dtype=torch.int64)] = torch.arange(len(texts))
    return functional.normalize(torch.cat(pieces)[position.to(pieces[0].device)], dim=-1)


def _portions(order: Sequence[int], texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield `order`, in which texts grow longer, in runs of at most so many characters, padding included."""
    rows: list[int] = []
    for row in order:
        if rows and (len(rows) + 1) * len(texts[row]) > _CHARACTERS_AT_A_TIME:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def encode(model: SentenceTransformer, texts: Sequence[str], dtype: torch.dtype | None) -> NDArray[np.float32]:
    """Return (n, d) float32 unit rows without gradients, as the model encodes when it is not in training."""
    training = model.training
    model.eval()
    with torch.no_grad():
        rows = embed(model, texts, dtype).cpu().numpy()
    model.train(training)
    return np.asarray(rows, dtype=np.float32)


def average_weights(base: SentenceTransformer, tuned: SentenceTransformer, share: float) -> SentenceTransformer:
    """Return a new model whose every weight is share * base + (1 - share) * tuned; `share` in [0, 1].

    What was learned and what the base knew of other domains both survive for the most part: Wortsman et al., "Robust
    fine-tuning of zero-shot models", CVPR 2022. Raises InputError for another share, or models of different shapes.
    """
    if not 0 <= share <= 1:
        raise InputError(f"The share of the base is {share:g}, but must be from 0 to 1.")
    return combine_weights(base, [(tuned, 1 - share)])


def combine_weights(
    base: SentenceTransformer, trainings: Sequence[tuple[SentenceTransformer, float]]
) -> SentenceTransformer:
    """Return a new model whose every weight is base + the sum of share * (tuned - base) over (tuned, share).

    So what several trainings of one base have learned is added up, each as far as its share; shares may be any numbers,
    and need not sum to 1. Ilharco et al., "Editing models with task arithmetic", ICLR 2023. Raises InputError when a
    model has weights of other shapes than the base.
    """
    start = base.state_dict()
    added = {name: value.clone() for name, value in start.items()}
    for tuned, share in trainings:
        state = tuned.state_dict()
        if {name: value.shape for name, value in start.items()} != {name: value.shape for name, value in state.items()}:
            raise InputError("The base and the tuned model have different weights. Average a model with its own base.")
        for name, value in added.items():
            if value.is_floating_point():
                value += share * (state[name].to(value.device) - start[name])
    combined = copy.deepcopy(base)
    combined.load_state_dict(added)
    return combined
