"""The blind review of an export: two texts at a time, and nothing of what the detector makes of them."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from dupdetect.artifacts import CERTIFICATE
from dupdetect.calibration import MinPrecision
from dupdetect.calibration.calibration import MINIMUM_OF_EACH_KIND
from dupdetect.detector import Detector
from dupdetect.errors import DupdetectError, InputError
from dupdetect.recalibrating import Recalibrated, maker_name, maker_option, recalibrate
from dupdetect.review.candidates import CANDIDATES, Candidates, Kind
from dupdetect.review.standing import Standing
from dupdetect.review.store import ReviewStore, labels_beside
from dupdetect.service.pages.forms import PageRoute, read_form
from dupdetect.service.pages.html import Places, page, redirect
from dupdetect.service.problems import Problem
from dupdetect.shell import quoted

__all__ = ["Review", "calibrated_beside", "review_router"]

_LONGEST_NAME = 80


def calibrated_beside(folder: Path) -> Path:
    """Return where the detector goes that the labels of a review give."""
    there = Path(os.path.realpath(folder))
    return there.with_name(f"{there.name}.calibrated")


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that is in the folder. statement: sentences.  written: when, in words."""

    statement: tuple[str, ...]
    certified: bool
    written: str


class Review:
    """The review of an export in the output folder of `dupdetect dedupe`. Any number of threads may use it.

    detector: where no shipped one made the folder, perhaps this one did.

    Every method may raise what `Candidates.read` and `ReviewStore` raise.
    """

    def __init__(self, folder: Path, detector: Detector | None) -> None:
        self.folder = folder
        self._detector = detector
        self._calibrating = threading.Lock()
        self._read: tuple[tuple[int, ...], Candidates] | None = None

    @property
    def candidates(self) -> Candidates:
        """The pairs to label, read again when the file is another one."""
        path = self.folder / CANDIDATES
        try:
            about = path.stat()
        except OSError:
            return Candidates.read(path)  # says what is wrong
        state = about.st_ino, about.st_size, about.st_mtime_ns
        known = self._read
        if known is None or known[0] != state:
            known = self._read = (state, Candidates.read(path))
        return known[1]

    def standing(self, candidates: Candidates, reviewer: str, only: Kind | None) -> Standing:
        with ReviewStore(labels_beside(self.folder)) as store:
            return Standing.of(candidates, store, reviewer, only)

    def label(self, key: str, label: str, reviewer: str) -> None:
        """Give a pair a label; a Problem for one that is not there to be labelled."""
        if key not in self.candidates.key:
            raise Problem(
                HTTPStatus.CONFLICT,
                "That pair is no longer among those to review: the export was deduplicated again. Load the page again.",
            )
        with ReviewStore(labels_beside(self.folder)) as store:
            store.record(key, label, reviewer)

    def undo(self, reviewer: str, only: Kind | None) -> str | None:
        """Take back this reviewer's last label, of that kind of pairs if one is named; return the key of its pair, None
        where there is none."""
        found = self.candidates
        among = {key for key, kind in zip(found.key, found.kind, strict=True) if kind == only}
        with ReviewStore(labels_beside(self.folder)) as store:
            return store.undo(reviewer, None if only is None else among)

    def calibrate(self, precision: float) -> Recalibrated:
        """Do what `dupdetect calibrate --from-reviews` does; the detector goes beside the folder."""
        with self._calibrating:
            made_by = self._detector
            if made_by is not None and made_by.name != maker_name(self.folder):
                made_by = None
            target = calibrated_beside(self.folder)
            criterion = MinPrecision(precision)
            return recalibrate(self.folder, target, criterion=criterion, made_by=made_by, overwrite=True)

    @property
    def certificate(self) -> Certificate | None:
        """The certificate of the latest calibration, None where there is none, or it cannot be read."""
        path = self.folder / CERTIFICATE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            return Certificate(
                tuple(map(str, found["statement"])), bool(found["certified"]), f"{written:%Y-%m-%d %H:%M} UTC"
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None


class ReviewRoute(PageRoute):
    """Tells of the export's files what is wrong: who reviews it may read it."""

    @staticmethod
    def problem(error: Problem | DupdetectError) -> Problem:
        return error if isinstance(error, Problem) else Problem(HTTPStatus.CONFLICT, str(error))


def review_router(review: Review | None, places: Places) -> APIRouter:
    """Return the router of the review page."""
    router = APIRouter(route_class=ReviewRoute, prefix="/review")
    if review is None:

        @router.get("")
        def none() -> Response:
            return page("no_review.html.jinja", places=places, here="/review")

        return router

    def review_page(
        reviewer: str, only: str, again: str | None = None, note: str | None = None, **outcome: Any
    ) -> Response:
        candidates = review.candidates
        standing = review.standing(candidates, reviewer, "possible" if only else None)
        row = candidates.key.index(again) if again in candidates.key else standing.next
        return page(
            "review.html.jinja",
            places=places,
            here="/review",
            folder=str(review.folder),
            reviewer=reviewer,
            only=only,
            note=_NOTES.get(note or ""),
            standing=standing,
            key=None if row is None else candidates.key[row],
            texts=None if row is None else (candidates.left_text[row], candidates.right_text[row]),
            fewest=MINIMUM_OF_EACH_KIND,
            certificate=review.certificate,
            **({"done": None, "refusal": None, "precision": "0.95"} | outcome),
        )

    @router.get("")
    def look(reviewer: str = "", only: str = "", again: str | None = None, note: str | None = None) -> Response:
        return review_page(_name(reviewer), _only(only), again, note)

    @router.post("/label")
    async def label(request: Request) -> Response:
        form = await read_form(request)
        reviewer, only = _name(form.one("reviewer")), _only(*form.all("only"))
        await run_in_threadpool(review.label, form.one("key"), form.one("label"), reviewer)
        return redirect(_address(reviewer=reviewer, only=only))

    @router.post("/undo")
    async def undo(request: Request) -> Response:
        form = await read_form(request)
        reviewer, only = _name(form.one("reviewer")), _only(*form.all("only"))
        drawn = await run_in_threadpool(lambda: review.candidates.key)
        key = await run_in_threadpool(review.undo, reviewer, "possible" if only else None)
        if key is None:
            return redirect(_address(reviewer=reviewer, only=only, note="nothing"))
        if key not in drawn:
            return redirect(_address(reviewer=reviewer, only=only, note="elsewhere"))
        return redirect(_address(reviewer=reviewer, only=only, again=key))

    @router.post("/calibrate")
    async def calibrate(request: Request) -> Response:
        form = await read_form(request)
        reviewer, only = _name(form.one("reviewer")), _only(*form.all("only"))
        precision = form.one("precision").strip()
        outcome: dict[str, Any] = {"precision": precision}
        try:
            outcome["done"] = await run_in_threadpool(review.calibrate, _number(precision))
        except DupdetectError as error:
            outcome["refusal"] = _on_the_page(str(error), review.folder)
        return await run_in_threadpool(review_page, reviewer, only, **outcome)

    return router


_NOTES = {
    "nothing": "There is no label to take back.",
    "elsewhere": "Taken back: the label of a pair that is no longer among those to review.",
}


def _address(**query: str) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"/review{'?' if given else ''}{urlencode(given)}"


def _name(reviewer: str) -> str:
    name = reviewer.strip()
    if len(name) > _LONGEST_NAME:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"A name may have {_LONGEST_NAME} characters. Choose another.")
    return name


def _only(*given: str) -> str:
    """Return which pairs are asked about: "possible", or "" for all."""
    if given not in ((), ("",), ("possible",)):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The pairs to review are all, or only=possible.")
    return "".join(given)


def _number(precision: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(precision)) <= 1:
            return number
    raise InputError(f"The precision must be a number between 0 and 1, 0.95 say, not {precision!r}.")


def _on_the_page(refusal: str, folder: Path) -> str:
    """Return why nothing was certified, with what can be done on this page, or by a command, where it names arguments
    and options that the page does not have."""
    named = quoted(str(folder))
    review = f"`dupdetect review {named} --web --model FOLDER`"
    recall = f"`dupdetect calibrate --from-reviews {named}{maker_option(folder)} --min-recall 0.9 -o FOLDER`"
    for theirs, ours in (
        ("Name its folder with --model", f"Stop this service, and start the page with its folder: {review}"),
        ("Name the detector that made it with --model", f"Stop this service, and start the page with that: {review}"),
        ("(min_recall=0.9)", f"on the command line ({recall})"),
        ("for less, or", "for less precision, or"),
    ):
        refusal = refusal.replace(theirs, ours)
    return refusal
