"""`index.json`: what an index was made with, and so what it can be used with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dupdetect._version import __version__
from dupdetect.artifacts import IN_INDEX
from dupdetect.detector import Detector
from dupdetect.errors import ArtifactError

__all__ = ["FORMAT", "MANIFEST", "IndexManifest", "read_manifest", "write_manifest"]

MANIFEST = "index.json"
# Also to be raised when `text.canonical` or what is an unknown word changes: an index keeps what they said.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """name, encoder, dimension, calibration, guards: of the detector.  detector: its folder in the index, or None."""

    name: str
    encoder: str
    dimension: int
    calibration: dict[str, Any]
    guards: dict[str, Any] | None
    detector: str | None

    @classmethod
    def of(cls, detector: Detector, folder: str | None) -> IndexManifest:
        """Return the manifest for an index that a calibrated detector makes."""
        calibration = detector.require_calibration().to_dict()
        guards = None if detector.guards is None else detector.guards.to_dict()
        encoder = detector.encoder
        return cls(detector.name, encoder.fingerprint, int(encoder.dimension), calibration, guards, folder)

    def check(self, detector: Detector, folder: Path) -> None:
        """Raise ArtifactError unless `detector` decides as the one that made the index in `folder`."""
        other = IndexManifest.of(detector, None)
        differing = [
            f"{what} {_shown(mine)}, not {_shown(given)}"
            for what, mine, given in (
                ("encoder", self.encoder, other.encoder),
                ("dimension", self.dimension, other.dimension),
                ("threshold", self.calibration.get("threshold"), other.calibration["threshold"]),
                ("guards", self.guards, other.guards),
            )
            if mine != given
        ]
        if not differing and _plain(self.calibration) != _plain(other.calibration):
            differing = ["another calibration, with the same threshold"]
        if differing:
            raise ArtifactError(
                f"The index {folder} was made with another detector ({'; '.join(differing)}), and similarities of two "
                "detectors must not be mixed. Open it without naming a detector, or make it anew with this one: "
                f"QuestionIndex.rebuild({str(folder)!r}, NEW_FOLDER, detector), or `dupdetect index rebuild`."
            )


def write_manifest(folder: Path, manifest: IndexManifest) -> None:
    content = {"format": FORMAT, "written_by": f"dupdetect {__version__}", **asdict(manifest)}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> IndexManifest:
    """Return the manifest of an index; ArtifactError where there is none, or it is damaged or of a newer format."""
    path = folder / MANIFEST
    if not path.is_file():
        why = f"it has no {MANIFEST}" if folder.is_dir() else "it is a file" if folder.exists() else "it is not there"
        raise ArtifactError(
            f"{folder} is not an index: {why}. Make one in a folder that is not there yet, with `dupdetect index add "
            "FOLDER QUESTIONS.csv` or QuestionIndex.create."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
        if type(version) is int and version > FORMAT:
            raise ArtifactError(
                f"The index {folder} has format {version}; dupdetect {__version__} reads up to {FORMAT}. "
                "Update it: pip install --upgrade dupdetect"
            )
        manifest = IndexManifest(**{name: content[name] for name in IndexManifest.__dataclass_fields__})
        well_formed = (
            type(version) is int
            and version == FORMAT
            and isinstance(manifest.name, str)
            and isinstance(manifest.encoder, str)
            and type(manifest.dimension) is int
            and manifest.dimension > 0
            and isinstance(manifest.calibration, dict)
            and isinstance(manifest.guards, dict | None)
            and manifest.detector in (None, IN_INDEX)
        )
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        well_formed = False
    if not well_formed:
        raise ArtifactError(f"{path} is damaged. Copy the whole index again.")
    return manifest


def _shown(value: object) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _plain(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
