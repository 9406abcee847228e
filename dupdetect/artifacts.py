"""The folder that a detector is saved in.

    dupdetect.json   format version, encoder, calibration, guards, and the checksum of every other file
    model.onnx       the encoder
    tokenizer.json   its tokenizer
    evidence.npz     the held-out similarities and labels behind the calibration (no texts)
    README.md        the model card
    certificate.json what labels of a review say of the threshold, where they gave it
    modules.json, 1_Pooling/   how sentence-transformers reads the weights out of them (`encoder.sentence_transformer`)

The fast tier has `vectors.npy` and `scales.npy` in place of `model.onnx`. A folder may hold more, such as weights for
sentence-transformers; what is listed as optional may also be missing.
Nothing in it is executed: JSON, ONNX and plain arrays only (no pickle). Every file is checked against its checksum, but
for the model card and the certificate: people add to the one, or edit it on the hub, and nothing reads either.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect._version import __version__
from dupdetect.errors import ArtifactError

__all__ = [
    "CERTIFICATE",
    "EVIDENCE",
    "FORMAT",
    "IN_INDEX",
    "MANIFEST",
    "MODEL_CARD",
    "Manifest",
    "encoder_fingerprint",
    "read_arrays",
    "read_manifest",
    "required_files",
    "write_arrays",
    "write_manifest",
    "written_files",
]

MANIFEST = "dupdetect.json"
MODEL_CARD = "README.md"
EVIDENCE = "evidence.npz"
CERTIFICATE = "certificate.json"
"""What labels of a review say of a threshold: beside the detector that they gave, and in what was reviewed."""
IN_INDEX = "detector"
"""The folder of the detector in that of an index."""
FORMAT = 2
_LARGEST_EVIDENCE = 500_000_000  # bytes: 50 million labelled pairs
_LARGEST_MANIFEST = 10_000_000  # bytes

# What each part of the manifest is in JSON.
_KINDS = {
    "files": dict, "optional": dict, "encoder": dict, "calibration": dict | None, "guards": dict | None, "name": str,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `dupdetect.json` says: the parts of the detector, as their modules wrote them."""

    encoder: dict[str, Any]
    calibration: dict[str, Any] | None
    name: str
    guards: dict[str, Any] | None = None


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a detector folder.

    Raises ArtifactError when the folder or a file is missing, a checksum differs, or the format is newer than this.
    """
    content = _content(folder)
    files, optional = content["files"], content["optional"]
    manifest = Manifest(content["encoder"], content["calibration"], content["name"], content["guards"])
    for name, checksum in (optional | files).items():
        _check(folder, name, str(checksum), may_be_missing=name not in files)
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        known = name in (optional | files) or name in {MANIFEST, MODEL_CARD, CERTIFICATE}
        if file.is_file() and not known and not file.name.startswith("."):
            raise ArtifactError(f"{folder} holds {name}, which {MANIFEST} does not list. Take it out of the folder.")
    return manifest


def encoder_fingerprint(folder: Path) -> str | None:
    """Return the fingerprint of the encoder that the manifest names; None where there is no detector. No file but the
    manifest is looked at."""
    if not (folder / MANIFEST).is_file():
        return None
    found = _content(folder)["encoder"].get("fingerprint")
    return None if found is None else str(found)


def required_files(folder: Path) -> tuple[str, ...]:
    """Return the names of the files that `read_manifest` will look for beside the manifest, which alone need be there.

    Raises ArtifactError for a manifest that it would refuse, or that names a file outside the folder.
    """
    files = _content(folder)["files"]
    for name in files:
        _check_inside(folder, name)
    return tuple(name for name in files if name != MODEL_CARD)


def _content(folder: Path) -> dict[str, Any]:
    """Return what the manifest says, with all its parts; ArtifactError where there is none, or none of ours."""
    path = folder / MANIFEST
    if not path.is_file():
        why = f"it has no {MANIFEST}" if folder.is_dir() else "it is a file" if folder.exists() else "it is not there"
        raise ArtifactError(
            f"{folder} is not a detector folder: {why}. "
            "Make one with `dupdetect calibrate`, or use the shipped detector (`default` on the command line)."
        )
    try:
        content = _json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}). Save the detector again.") from None
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is int and version > FORMAT:
        raise ArtifactError(
            f"{folder} has format {version}; dupdetect {__version__} reads up to {FORMAT}. "
            "Update it: pip install --upgrade dupdetect"
        )
    if type(version) is not int or version < 1:  # True is an int, too
        raise ArtifactError(f"{path} says no format that there is (a whole number from 1). Save the detector again.")
    content.setdefault("optional", {})
    if version == 1:  # before there were guards
        content["guards"] = None
    for key, kinds in _KINDS.items():
        if key not in content or not isinstance(content[key], kinds):
            raise ArtifactError(f"{path} lacks or garbles {key!r}. Save the detector again.")
    return dict(content)


def write_manifest(folder: Path, manifest: Manifest, *, optional: Collection[str] = ()) -> None:
    """Write `dupdetect.json` beside the files that are in `folder` already, with their checksums.

    optional: names of files that a copy of the folder may lack.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name: _sha256(path) for name, path in paths.items() if name not in {MANIFEST, MODEL_CARD}}
    content = {
        "format": FORMAT,
        "name": manifest.name,
        "written_by": f"dupdetect {__version__}",
        "encoder": manifest.encoder,
        "calibration": manifest.calibration,
        "guards": manifest.guards,
        "files": {name: checksum for name, checksum in files.items() if name not in optional},
        "optional": {name: checksum for name, checksum in files.items() if name in optional},
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def written_files(folder: Path) -> tuple[str, ...]:
    """Return the top-level names that a detector in `folder` wrote; none when there is no detector in it.

    Only these may be deleted when the folder is overwritten.
    """
    try:
        content = _json(folder / MANIFEST)
        files = (*content["files"], *content.get("optional", ()))
        return (MANIFEST, *sorted({MODEL_CARD, CERTIFICATE, *(PurePosixPath(name).parts[0] for name in files)}))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ()


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays that `write_arrays` wrote; ArtifactError when the file is missing, damaged or far too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST_EVIDENCE:
            raise ArtifactError(f"{path} would unpack to {size:,} bytes, which is no evidence of ours. Do not use it.")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except ArtifactError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise many kinds for a hostile file
        raise ArtifactError(f"{path} cannot be read ({type(error).__name__}). Save the detector again.") from None


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as a compressed .npz without pickled objects; the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            # A fixed date: np.savez stamps the time, and the checksum would differ each time.
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(arrays[name]), allow_pickle=False)


def _json(path: Path) -> Any:
    """Return what is in a manifest; OSError for no file, such as a device, ValueError for one far too large."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file")
    if path.stat().st_size > _LARGEST_MANIFEST:
        raise ValueError(f"it has more than {_LARGEST_MANIFEST:,} bytes")
    return json.loads(path.read_text(encoding="utf-8"))


def _check_inside(folder: Path, name: str) -> None:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or ":" in name:
        raise ArtifactError(f"{folder / MANIFEST} names a file outside the folder: {name!r}. Do not use this folder.")


def _check(folder: Path, name: str, checksum: str, *, may_be_missing: bool) -> None:
    _check_inside(folder, name)
    path = folder / name
    if name == MODEL_CARD or (may_be_missing and not path.exists()):
        return
    if not path.is_file():
        raise ArtifactError(f"{folder} lacks {name}. Copy the whole folder again.")
    if _sha256(path) != checksum:
        raise ArtifactError(f"{path} is damaged: its checksum is not the one in {MANIFEST}. Copy the folder again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
