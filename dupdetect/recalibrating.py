"""From the labels of a review to a detector for the export that was reviewed, and its certificate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from dupdetect.artifacts import CERTIFICATE, IN_INDEX, MANIFEST, written_files
from dupdetect.atomic import atomic_file, check_output_file, check_output_folder
from dupdetect.calibration import Criterion, MinPrecision, criterion_to_dict
from dupdetect.detector import Detector
from dupdetect.errors import ArtifactError, InputError, UnreachableCriterionError
from dupdetect.results.files import RUN
from dupdetect.review.candidates import CANDIDATES, Candidates
from dupdetect.review.refit import Reviewed, certificate, refit
from dupdetect.review.store import ReviewStore, labels_beside
from dupdetect.shell import as_model, quoted
from dupdetect.shipped import NAMES

__all__ = ["Recalibrated", "maker_command", "maker_name", "maker_option", "recalibrate"]


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """What the labels of a review gave.

    detector: with its threshold and probabilities for the export, saved in `folder`.  certificate: what is in
    certificate.json beside the detector, and in that of the reviewed folder; its "statement" is that in sentences.
    """

    detector: Detector
    folder: Path
    certificate: dict[str, Any]


def recalibrate(
    reviewed: str | Path,
    output: str | Path,
    *,
    criterion: Criterion,
    made_by: Detector | None = None,
    overwrite: bool = False,
) -> Recalibrated:
    """Calibrate the detector of an export on the labels of its review; save it, and write the certificate.

    reviewed: the folder that `dupdetect dedupe` wrote.  output: where the detector goes.  made_by: the detector that
    made the folder; only a shipped one need not be handed in. Nothing is encoded.

    Raises InputError where something is missing or another detector made the folder, ArtifactError for what is
    damaged, CalibrationError for too few labels, UnreachableCriterionError where they do not carry what is asked,
    OutputExistsError. Nothing is written then, but that a certificate was asked for and refused.
    """
    folder = Path(reviewed)
    record = _run_record(folder)
    source = record["source"]
    if record["search"] == "ann":  # pairs that it missed could not be drawn
        source += " that the approximate search finds"
    candidates = Candidates.read(folder / CANDIDATES)
    labels = labels_beside(folder)
    if not labels.is_file():
        raise InputError(
            f"{labels} is not there: nobody has labelled a pair. Run: dupdetect review {quoted(str(folder))}"
        )
    detector = _maker(folder, record, made_by)
    fingerprint = detector.encoder.fingerprint
    check_output_folder(output, marker=MANIFEST, expected=written_files(Path(output)), overwrite=overwrite)
    check_output_file(folder / CERTIFICATE, overwrite=True)
    with ReviewStore(labels) as store:
        disputed = store.conflicts()
        given = store.labels() | dict.fromkeys(disputed, "unsure")
        pairs = Reviewed.of(candidates, given, detector.guards)
        with _counted(store, criterion, pairs) as request:
            calibration = refit(pairs, encoder=fingerprint, source=source, criterion=criterion, request=request)
    conflicts = len(disputed.keys() & set(candidates.key))
    found = certificate(pairs, calibration, criterion, source, conflicts, request)
    own = replace(detector, calibration=calibration, name=Path(output).name)
    own_folder = own.save_pretrained(output, overwrite=overwrite)
    for place in (own_folder, folder):
        with atomic_file(place / CERTIFICATE, overwrite=True) as file:
            file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return Recalibrated(replace(own, loaded_from=str(own_folder)), Path(output), found)


@contextmanager
def _counted(store: ReviewStore, criterion: Criterion, pairs: Reviewed) -> Iterator[int]:
    """Yield the number of this request for a certificate; keep it where it is answered."""
    if not isinstance(criterion, MinPrecision):
        yield 1
        return
    digest = hashlib.sha256(json.dumps(criterion_to_dict(criterion)).encode())
    for column in (pairs.score, pairs.label, pairs.weight):
        digest.update(column.tobytes())
    try:
        yield store.request_number(digest.hexdigest())
    except UnreachableCriterionError:
        store.record_request(digest.hexdigest())
        raise
    store.record_request(digest.hexdigest())


def maker_name(reviewed: str | Path) -> str:
    """Return the name of the detector that made a folder; raises what `recalibrate` raises of run.json."""
    return str(_run_record(Path(reviewed))["model"])


def maker_option(reviewed: str | Path) -> str:
    """Return " --model FOLDER", quoted, with the detector that made a folder; "" for a shipped one, which need not be
    handed to `recalibrate`. Raises what it raises of run.json."""
    record = _run_record(Path(reviewed))
    if _is_shipped(record):
        return ""
    return f" --model {'THAT_MADE_IT' if record['model_from'] is None else quoted(as_model(record['model_from']))}"


def maker_command(reviewed: str | Path) -> str:
    """Return which command wrote a folder; raises what `recalibrate` raises of run.json."""
    return f"dupdetect {'index duplicates' if _run_record(Path(reviewed))['of_index'] else 'dedupe'}"


def _is_shipped(record: dict[str, Any]) -> bool:
    return record["model"] in NAMES and (record["model_from"] is None or record["of_index"])


def _run_record(folder: Path) -> dict[str, Any]:
    """Return what run.json in an output folder says of the input, the model, its encoder and its guards."""
    path = folder / RUN
    if not path.is_file():
        raise InputError(f"{folder} is no output folder of `dupdetect dedupe`: it has no {RUN}.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {
            "source": PurePath(record["input"]["name"]).name,
            "model": str(record["model"]),
            "model_from": _made_from(record),
            "of_index": record["input"]["format"] == "index",
            "encoder": str(record["calibration"]["encoder"]),
            "guards": record["guards"],
            "search": str(record["search"]["kind"]),
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ArtifactError(f"{path} cannot be read, or lacks something. Run `dupdetect dedupe` again.") from None


def _made_from(record: dict[str, Any]) -> str | None:
    """Return the folder of the detector, an index's own for its results; None where it is not known, or shipped."""
    if record["input"]["format"] == "index":
        return f"{record['input']['name']}/{IN_INDEX}"
    found = record.get("model_from")  # which earlier versions did not write
    return None if found is None else str(found)


def _maker(folder: Path, record: dict[str, Any], made_by: Detector | None) -> Detector:
    """Return the detector that made the folder. Its threshold may have been another one."""
    name = record["model"]
    if made_by is None and not _is_shipped(record):
        place = "" if record["model_from"] is None else f", {record['model_from']}"
        raise InputError(f"{folder} was made by the detector {name!r}{place}. Name its folder with --model.")
    detector = Detector.from_pretrained(tier=NAMES[name]) if made_by is None else made_by
    guards = None if detector.guards is None else detector.guards.to_dict()
    if (detector.encoder.fingerprint, guards) != (record["encoder"], record["guards"]):
        raise InputError(
            f"{folder} was made by the detector {name!r} with the encoder {record['encoder']} and the guards "
            f"{record['guards']}, but {detector.name} has {detector.encoder.fingerprint} and {guards}, and would give "
            "the pairs other scores. Name the detector that made it with --model, or run `dupdetect dedupe` again."
        )
    return detector
