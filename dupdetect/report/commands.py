"""What to type to decide otherwise about the same file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from dupdetect.artifacts import IN_INDEX
from dupdetect.calibration import Calibration, EstimatedPrecision
from dupdetect.errors import CalibrationError
from dupdetect.questions import Questions
from dupdetect.remote import is_url
from dupdetect.shell import as_model, as_path
from dupdetect.shipped import NAMES

__all__ = ["Command", "CommandGroup", "commands"]

_ESTIMATED = "estimated_precision"
_STANDARD_INPUT = "standard input"


@dataclass(frozen=True, slots=True)
class Command:
    """What a command is for, and the command: a line for the shell, or of Python."""

    purpose: str
    line: str


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """Commands that belong together: steps, or alternatives."""

    title: str
    commands: tuple[Command, ...]


def commands(
    questions: Questions, calibration: Calibration, record: Mapping[str, Any], folder: str
) -> tuple[CommandGroup, ...]:
    """Return the commands for what was read from a file or an index, or lines of Python for what was in memory.

    Paths are as they were given, and quoted.
    """
    points = _points(calibration)
    if questions.table.source.format in ("frame", "list"):
        return (
            CommandGroup(
                "Decide with another threshold",
                tuple(Command(purpose, _python(name, value, record["keep"])) for purpose, name, value in points),
            ),
        )
    index = questions.table.source.name if questions.table.source.format == "index" else None
    place, first = folder, ""
    if is_url(folder):  # labels are kept in a file beside the folder
        place = PurePosixPath(folder).name
        first = f"Copy {folder} to the folder {place} on this machine. "
    mine = as_path(f"{place}.detector")
    refit = ["dupdetect", "calibrate", "--from-reviews", as_path(place), "--min-precision", "0.9", "-o", mine]
    if record["model_from"] is not None or record["model"] not in NAMES:
        refit += _model(record) if index is None else ["--model", as_path(f"{index}/{IN_INDEX}")]
    steps = [
        (f"1. {first}Label pairs, a key each", ["dupdetect", "review", as_path(place)]),
        ("2. Certify a precision from the labels", refit),
    ]
    if index is None:
        again = _dedupe(questions, record, folder, _model(record))
        if calibration.prevalence != calibration.sample.prevalence:  # what is offered was worked out for it
            again += ["--prevalence", f"{calibration.prevalence:g}"]
        steps.append(("3. Decide again with that", _dedupe(questions, record, folder, ("--model", mine))))
    else:  # it keeps its detector, so another one makes another index
        again, new = _duplicates(index, record, folder), f"{index}-2"
        points = [point for point in points if point[1] == _ESTIMATED]
        rebuilt = ["dupdetect", "index", "rebuild", as_path(index), as_path(new), "--model", mine]
        steps += [("3. Make the index anew with that", rebuilt), ("4. Decide again", _duplicates(new, record, folder))]
    others = ((purpose, [*again, f"--{name.replace('_', '-')}", value]) for purpose, name, value in points)
    return (
        CommandGroup(
            f"Find out how right it is on this {'file' if index is None else 'index'}, and let that decide",
            tuple(Command(purpose, shlex.join(words)) for purpose, words in steps),
        ),
        CommandGroup(
            "Decide with another threshold", tuple(Command(purpose, shlex.join(words)) for purpose, words in others)
        ),
    )


def _points(calibration: Calibration) -> list[tuple[str, str, str]]:
    """Return other ways to choose the threshold: what they are for, the name of the argument, and its value."""
    points = [
        (
            "The pairs of which an estimated 80 % are duplicates, if this file is like the labelled pairs",
            _ESTIMATED,
            "0.8",
        )
    ]
    if isinstance(calibration.criterion, EstimatedPrecision):
        points.append(("All that reach the threshold of the detector, which promises no precision", _ESTIMATED, "0"))
    for claim, name, value in (
        ("A precision of 0.8, certified on the labelled pairs", "min_precision", 0.8),
        ("A recall of 0.95 on the labelled pairs", "min_recall", 0.95),
    ):
        try:
            threshold = calibration.at(**{name: value}).threshold
        except CalibrationError:  # these labelled pairs do not carry it
            continue
        points.append((f"{claim}: {_compared(threshold, calibration.threshold)}", name, str(value)))
    own = min(0.99, round((2 * calibration.threshold + 1) / 3, 2))
    points.append((f"A threshold of your own, here {_compared(own, calibration.threshold)}", "threshold", f"{own:.2f}"))
    return points


def _compared(threshold: float, present: float) -> str:
    finds = "more" if threshold < present else "fewer" if threshold > present else "the same"
    return f"cosine {threshold:.4f}, which finds {finds}"


def _python(name: str, value: str, keep: str) -> str:
    if name == _ESTIMATED:
        return f"found = detector.deduplicate(questions, keep={keep!r}, {name}={value if float(value) else None})"
    return f"found = detector.at({name}={value}).deduplicate(questions, keep={keep!r})"


def _dedupe(questions: Questions, record: Mapping[str, Any], folder: str, model: Sequence[str]) -> list[str]:
    name = questions.table.source.name
    words = ["dupdetect", "dedupe", "-" if name == _STANDARD_INPUT else as_path(name)]
    for column in questions.text_columns:
        words += _option("--text", column)
    if questions.id_column is not None:
        words += _option("--id", questions.id_column)
    if record["keep"] != "first":
        words += _option("--keep", record["keep"])
    if record["search"]["kind"] == "ann":
        words += ["--search", "ann"]
    elif not record["without_boilerplate"]:
        words.append("--with-boilerplate")
    for option, value in questions.table.source.given:
        words += _option(f"--{option.replace('_', '-')}", value)
    if record["excel_safe"]:
        words.append("--excel-safe")
    return [*words, *model, "-o", as_path(folder), "--overwrite"]


def _duplicates(index: str, record: Mapping[str, Any], folder: str) -> list[str]:
    safe = ["--excel-safe"] if record["excel_safe"] else []
    return ["dupdetect", "index", "duplicates", as_path(index), *safe, "-o", as_path(folder), "--overwrite"]


def _model(record: Mapping[str, Any]) -> Sequence[str]:
    """Return the option that names the detector of this run; of one that was made in memory only the name is known."""
    given = record["model_from"]
    if given is None:
        tier = NAMES.get(record["model"])
        return ("--model", as_path(record["model"])) if tier is None else ("--fast",) if tier == "fast" else ()
    return "--model", as_model(given)


def _option(option: str, value: str) -> list[str]:
    return [f"{option}={value}"] if value.startswith("-") else [option, value]
