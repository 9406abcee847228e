"""Which encoder a saved detector has, by the name of its engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dupdetect.encoder import Encoder
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.encoder.static import StaticEncoder
from dupdetect.encoder.transformer import TransformerEncoder
from dupdetect.errors import ArtifactError, InputError

__all__ = ["load_encoder", "save_encoder"]


def load_encoder(
    spec: dict[str, Any],
    folder: Path,
    *,
    device: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> Encoder:
    """Return the encoder that `spec` (the `encoder` part of a manifest) describes, with its files in `folder`.

    Raises ArtifactError for an unknown engine or unusable files, InputError for a device that the engine has not.
    """
    engine = spec.get("engine")
    for kind in (OnnxEncoder, StaticEncoder):
        if engine == kind.engine:
            if device not in (None, "cpu"):
                raise InputError(f"This encoder runs on the processor, not on {device!r}. Leave the device out.")
            return kind.load(folder)
    if engine == TransformerEncoder.engine:
        return TransformerEncoder.load(
            str(spec.get("name", folder)), device=device, revision=revision, local_files_only=local_files_only
        )
    raise ArtifactError(f"{folder} needs the encoder engine {engine!r}, which this version does not have.")


def save_encoder(encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Write the encoder's files into `folder`; return its `encoder` part of the manifest.

    Raises ArtifactError for an encoder of the caller's own making: only its author knows how to load it again.
    """
    if not isinstance(encoder, OnnxEncoder | StaticEncoder | TransformerEncoder):
        raise ArtifactError(
            f"An encoder of type {type(encoder).__name__} cannot be saved. Save a detector whose encoder is an ONNX, "
            "static or sentence-transformers model."
        )
    encoder.save(folder)
    return {"engine": encoder.engine, "fingerprint": encoder.fingerprint, "dimension": encoder.dimension}
