"""Where the verbs of `dupdetect index` find the index: the argument that names it, and how it is opened or made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dupdetect.cli.options import load_detector, local_name
from dupdetect.errors import DupdetectError

if TYPE_CHECKING:
    from dupdetect.index import QuestionIndex

__all__ = ["index_argument", "opened", "opened_to_add"]

index_argument = click.argument("folder", metavar="INDEX", callback=local_name)


@contextmanager
def opened(folder: str) -> Iterator[QuestionIndex]:
    """Open an index by the detector in its folder."""
    from dupdetect.index import QuestionIndex

    with QuestionIndex.open(folder) as known:
        yield known


@contextmanager
def opened_to_add(folder: str, model: str | None, point: dict[str, Any], cache: str | None) -> Iterator[QuestionIndex]:
    """Open an index, or make it; one that was made is deleted if nothing could be added."""
    from dupdetect.atomic import is_empty_folder
    from dupdetect.index import QuestionIndex

    named = model is not None or any(value is not None for value in point.values())
    detector = load_detector(model).at(**point) if named else None
    was_there = Path(folder).exists()
    there = was_there and not is_empty_folder(folder)
    known = QuestionIndex.open(folder, detector) if there else QuestionIndex.create(folder, detector)
    try:
        if cache is not None:
            known.close()
            known = QuestionIndex.open(folder, known.detector.cached(cache))
        with known:
            yield known
    except BaseException:
        if not there and not _holds_questions(folder):
            shutil.rmtree(folder, ignore_errors=True)
            if was_there:
                Path(folder).mkdir(exist_ok=True)
        raise


def _holds_questions(folder: str) -> bool:
    """Tell whether something was added before whatever went wrong."""
    try:
        with opened(folder) as known:
            return len(known) > 0
    except DupdetectError:
        return False
