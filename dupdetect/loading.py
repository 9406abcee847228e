"""Finding a detector by its name, and reading it: a shipped one, one in a folder, or one on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from dupdetect import hub
from dupdetect.artifacts import EVIDENCE, MANIFEST, read_arrays, read_manifest
from dupdetect.calibration import Calibration
from dupdetect.encoder import Encoder
from dupdetect.encoder.load import load_encoder
from dupdetect.errors import ArtifactError, DupdetectError, InputError
from dupdetect.guards import Guards
from dupdetect.shipped import SHIPPED, Tier

__all__ = ["Loaded", "loaded"]


class Loaded(NamedTuple):
    """What a detector is made of, in the order in which `Detector` takes it."""

    encoder: Encoder
    calibration: Calibration | None
    name: str
    guards: Guards | None
    loaded_from: str | None


def loaded(
    name_or_path: str | Path | None, *, tier: Tier, device: str | None, revision: str | None, local_files_only: bool
) -> Loaded:
    """Return what a detector is made of; see `Detector.from_pretrained` for the arguments, and for what is raised."""
    if tier not in SHIPPED:
        raise InputError(f"There is no tier {tier!r}. Shipped are {' and '.join(map(repr, SHIPPED))}.")
    if name_or_path is not None and tier != "default":
        raise InputError(f"tier={tier!r} means a shipped detector. Leave out {str(name_or_path)!r}, or the tier.")
    folder = SHIPPED[tier] if name_or_path is None else Path(name_or_path)
    if "/" in str(name_or_path) and not folder.exists() and not _names_a_detector(str(name_or_path), folder):
        found = hub.download(str(name_or_path), revision=revision, local_files_only=local_files_only)
        folder = found.folder or folder
        local_files_only |= not found.reached
    if not (folder / MANIFEST).exists() and not _names_a_detector(str(name_or_path), folder):
        if "/" not in str(name_or_path) and not folder.exists() and not local_files_only:
            # A mistyped name, more often than not: without a network its library would try for a minute.
            local_files_only = not hub.answers(f"sentence-transformers/{name_or_path}", revision)
        encoder = load_encoder(
            {"engine": "sentence-transformers", "name": str(name_or_path)},
            folder,
            device=device,
            revision=revision,
            local_files_only=local_files_only,
        )
        return Loaded(encoder, None, folder.name, None, str(name_or_path))
    manifest = read_manifest(folder)
    try:
        encoder = load_encoder({**manifest.encoder, "name": str(folder)}, folder, device=device)
        calibration = None
        if manifest.calibration is not None:
            calibration = Calibration.from_dict(manifest.calibration, read_arrays(folder / EVIDENCE))
        guards = None if manifest.guards is None else Guards.from_dict(manifest.guards)
    except DupdetectError:
        raise
    except Exception as error:  # a folder from elsewhere may hold anything
        raise ArtifactError(f"{folder} cannot be loaded ({type(error).__name__}: {error}).") from error
    loaded_from = None if name_or_path is None else str(name_or_path)
    return Loaded(encoder, calibration, manifest.name, guards, loaded_from)


def _names_a_detector(given: str, folder: Path) -> bool:
    """Tell a folder that should hold a detector from a sentence-transformers folder or the name of one on the hub."""
    if folder.is_dir():
        return not (folder / "modules.json").exists()
    return folder.exists() or not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", given)
