"""Which encoder a saved detector has, by the name of its engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dupdetect.encoder import Encoder
from dupdetect.encoder.devices import check_device
from dupdetect.encoder.on_device import DeviceEncoder
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.encoder.sentence_transformer import write_modules
from dupdetect.encoder.static import StaticEncoder
from dupdetect.encoder.transformer import TransformerEncoder
from dupdetect.errors import ArtifactError

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

    device: None or "cpu", or a graphics card such as "cuda"; see `encoder.on_device` for what the shipped encoder does
    there. Static vectors are added up by the processor all the same; only comparing them is done by the card.

    Raises ArtifactError for an unknown engine or unusable files; InputError for a device that is not there;
    MissingExtraError for one that needs torch, where there is none.
    """
    engine = spec.get("engine")
    if device is not None and (engine != TransformerEncoder.engine or device.startswith("cuda")):
        check_device(device)
    if engine == OnnxEncoder.engine:
        return OnnxEncoder.load(folder) if device in (None, "cpu") else DeviceEncoder.load(folder, device=device)
    if engine == StaticEncoder.engine:
        return StaticEncoder.load(folder, device=device or "cpu")
    if engine == TransformerEncoder.engine:
        return TransformerEncoder.load(
            str(spec.get("name", folder)), device=device, revision=revision, local_files_only=local_files_only
        )
    raise ArtifactError(f"{folder} needs the encoder engine {engine!r}, which this version does not have.")


def save_encoder(encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Write the encoder's files into `folder`; return its `encoder` part of the manifest.

    Raises ArtifactError for an encoder of the caller's own making: only its author knows how to load it again.
    """
    if isinstance(encoder, DeviceEncoder):
        raise ArtifactError(
            f"A detector that was loaded for {encoder.device} cannot be saved: what others load must be fitted where "
            "they run it. Load it without a device, and save that."
        )
    if not isinstance(encoder, OnnxEncoder | StaticEncoder | TransformerEncoder):
        raise ArtifactError(
            f"An encoder of type {type(encoder).__name__} cannot be saved. Save a detector whose encoder is an ONNX, "
            "static or sentence-transformers model."
        )
    encoder.save(folder)
    if not isinstance(encoder, TransformerEncoder):
        write_modules(folder, encoder.dimension, static=isinstance(encoder, StaticEncoder))
    return {"engine": encoder.engine, "fingerprint": encoder.fingerprint, "dimension": encoder.dimension}
