"""The verb review: pairs of an export, labelled one after the other by someone who reads them."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click

from dupdetect.cli.options import load_detector
from dupdetect.cli.terminal import check_here, printable
from dupdetect.errors import DupdetectError, InputError
from dupdetect.shell import quoted

if TYPE_CHECKING:
    from dupdetect.review import ReviewStore
    from dupdetect.review.candidates import Candidates, Kind
    from dupdetect.review.store import Label

_LABEL_OF: dict[str, Label] = {"y": "duplicate", "n": "different", "u": "unsure"}
_BACK, _STOP = "b", "q"
_KEYS = "y duplicates, n different, u unsure, b back, q stop"


@click.command(short_help="Label pairs of an export, one after the other.")
@click.argument("folder", metavar="OUT_DIR")
@click.option(
    "--reviewer",
    default="",
    metavar="NAME",
    help="Who labels. Each reviewer is asked about all pairs; those that two label differently count as unsure.",
)
@click.option(
    "--possible",
    is_flag=True,
    help="Ask only about possible pairs, those that `dupdetect dedupe` leaves for a person to decide.",
)
@click.option(
    "--web", is_flag=True, help="In the browser: serve the review page on this machine, and print its address."
)
@click.option("--port", type=click.IntRange(0, 65535), help="With --web: the port.  [default: any free one]")
@click.option(
    "--model",
    "made_by",
    metavar="M",
    help="With --web: the detector folder that made OUT_DIR, where it was not a shipped one. Its page recalibrates.",
)
def review(folder: str, reviewer: str, possible: bool, web: bool, port: int | None, made_by: str | None) -> None:
    """Label pairs of the export that `dupdetect dedupe` wrote OUT_DIR for, to find out how right its decisions are.

    Shows two texts at a time, from the pairs drawn at random in OUT_DIR/candidates.csv, and nothing of what the
    detector makes of them. The question is whether one answer would do for both:

    \b
    y  yes, they are duplicates        b  back: take the last label back
    n  no, they are different          q  stop (as does the end of the input)
    u  unsure

    When `dupdetect dedupe` writes the result anew, a pair that is labelled different no longer counts, and one that is
    labelled duplicate does, if it is listed there at all. All labels count for `dupdetect calibrate --from-reviews`.
    With --possible you decide what the detector leaves open; where these pairs are very many, 1,500 drawn at random.

    Each label is kept in the file OUT_DIR.reviews.sqlite when its key has been pressed: stop whenever you like, and go
    on another day. Where the input is no terminal, a line is a key.

    \b
    dupdetect review export.dupdetect
    dupdetect review export.dupdetect --reviewer ana
    dupdetect review export.dupdetect --possible
    dupdetect review export.dupdetect --web
    printf 'y\\nn\\nq\\n' | dupdetect review export.dupdetect
    dupdetect calibrate --from-reviews export.dupdetect -o my-detector
    """
    from dupdetect.review import ReviewStore
    from dupdetect.review.candidates import CANDIDATES, Candidates
    from dupdetect.review.store import labels_beside

    if not web and (port is not None or made_by is not None):
        raise click.UsageError(f"--{'model' if port is None else 'port'} goes with --web only.")
    check_here(folder)
    candidates = Candidates.read(Path(folder) / CANDIDATES)
    only: Kind | None = "possible" if possible else None
    if web:
        _serve(folder, reviewer, only, port or 0, made_by)
        candidates = Candidates.read(Path(folder) / CANDIDATES)
        with ReviewStore(labels_beside(folder)) as store:
            click.echo(printable(_summary(candidates, store, reviewer, only, folder)))
        return
    with ReviewStore(labels_beside(folder)) as store:
        interrupted = False
        try:
            _ask_about_all(candidates, store, reviewer, only)
        except (KeyboardInterrupt, click.Abort):
            interrupted = True
            _say("")
        click.echo(printable(_summary(candidates, store, reviewer, only, folder)))
    if interrupted:
        raise click.exceptions.Exit(130)


def _serve(folder: str, reviewer: str, only: Kind | None, port: int, made_by: str | None) -> None:
    """Serve the review page until Ctrl-C."""
    from dupdetect.service import require_packages

    require_packages()
    from dupdetect.review import ReviewStore
    from dupdetect.review.store import labels_beside
    from dupdetect.service.listening import bind, serve
    from dupdetect.service.pages.alone import review_app

    detector = None if made_by is None else load_detector(made_by)
    ReviewStore(labels_beside(folder)).close()  # what is wrong with the labels is said before anybody is asked
    app = review_app(Path(folder), detector)
    with bind("127.0.0.1", port) as bound:
        bound.listen()
        given = {name: value for name, value in (("reviewer", reviewer.strip()), ("only", only)) if value}
        query = f"?{urlencode(given)}" if given else ""
        _say(f"Review at http://127.0.0.1:{bound.getsockname()[1]}/review{query} (Ctrl-C stops)")
        if not serve(app, bound):
            raise InputError("The page could not be served. What is logged above says why.")


def _ask_about_all(candidates: Candidates, store: ReviewStore, reviewer: str, only: Kind | None) -> None:
    """Ask about each pair of a kind that this reviewer has not labelled, in order, until there is none or to stop."""
    from dupdetect.review.standing import Standing

    place = {key: row for row, key in enumerate(candidates.key)}
    among = {key for key, kind in zip(candidates.key, candidates.kind, strict=True) if kind == only}
    again = None  # the pair whose label was just taken back is the next
    while True:
        standing = Standing.of(candidates, store, reviewer, only)
        row = standing.next if again is None else again
        if row is None:
            pairs = "possible pairs" if only else "pairs"
            _say(
                f"All {pairs} that were drawn are labelled."
                if standing.drawn
                else f"No {pairs} were drawn: there is nothing to do."
            )
            return
        again = None
        _say(f"\n{standing.labelled:,} of {standing.drawn:,} labelled; stop whenever you like")
        _show(candidates.left_text[row], candidates.right_text[row])
        key = _key()
        if key == _STOP:
            return
        if key == _BACK:
            again = _take_back(store, reviewer, place, None if only is None else among)
        else:
            store.record(candidates.key[row], _LABEL_OF[key], reviewer)


def _take_back(store: ReviewStore, reviewer: str, place: dict[str, int], among: Collection[str] | None) -> int | None:
    """Take back the reviewer's last label, of those pairs if any are named; return the row of its pair, None where
    there is none to ask about."""
    key = store.undo(reviewer, among)
    if key is None:
        _say("There is no label to take back.")
    elif key not in place:
        _say("Taken back: the label of a pair that is no longer among those drawn.")
    return None if key is None else place.get(key)


def _key() -> str:
    """Return the next key that means something; the end of the input means to stop."""
    while True:
        click.echo(f"Would one answer do for both? ({_KEYS}) ", nl=False, err=True)
        pressed = _pressed()
        key = pressed.strip().lower()
        if not pressed:
            _say("")
            return _STOP
        _say(_LABEL_OF.get(key, {_BACK: "back", _STOP: "stop"}.get(key, "")))
        if key in _LABEL_OF or key in (_BACK, _STOP):
            return key
        _say(f"The keys are: {_KEYS}.")


def _pressed() -> str:
    """Return a key pressed at the terminal or, where there is none, a line; "" at the end."""
    if sys.stdin is None:  # closed
        return ""
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline().decode("utf-8", "replace")
    try:
        return click.getchar()
    except EOFError:  # Ctrl-D
        return ""


def _show(left: str, right: str) -> None:
    """Print two texts, each line indented, so that no text can look like the other, or like what is asked."""
    from dupdetect.report.words import shown_text

    left, right = (printable(re.sub(r"[^\S\n]", " ", text.replace("\r\n", "\n"))) for text in (left, right))
    for name, text, beside in (("A", left, right), ("B", right, left)):
        _say(f"\n{name} {'-' * 70}")
        pieces = shown_text(text, beside, longest=None).pieces
        marked = "".join(click.style(piece, bold=True, underline=True) if mark else piece for piece, mark in pieces)
        _say(textwrap.indent(marked, "  ", lambda _: True))
    _say("")


def _say(line: str) -> None:
    """Print a line of the dialogue on stderr, without marks where it is no terminal or wants none."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    click.echo(line, err=True, color=False if plain else None)


def _summary(candidates: Candidates, store: ReviewStore, reviewer: str, only: Kind | None, folder: str) -> str:
    from dupdetect.results.cells import counted
    from dupdetect.review.standing import Standing, missing

    found = Standing.of(candidates, store, reviewer, only)
    by = f" by {reviewer.strip()}" if reviewer.strip() else ""
    pairs = counted(found.drawn, "possible pair" if only else "pair")
    lines = [
        f"{found.labelled:,} of {pairs} labelled{by}: {counted(found.duplicates, 'duplicate')}, "
        f"{found.different:,} different, {found.unsure:,} unsure"
    ]
    if found.disputed:
        verb = "is" if found.disputed == 1 else "are"
        lines.append(
            f"{found.disputed:,} of them {verb} labelled differently by another reviewer, and counted as unsure"
        )
    if found.elsewhere:
        more = counted(found.elsewhere, "more label")
        lines.append(f"{more} of pairs that are no longer among those drawn: kept, and not used")
    if only:
        if found.duplicates or found.different:
            lines.append(
                f"next: the same {_command(folder)} again, with --overwrite: it takes these labels into account"
            )
    elif not (lacking := missing(candidates, store)):
        lines.append(f"next: dupdetect calibrate --from-reviews {quoted(folder)}{_maker(folder)} -o FOLDER")
    elif found.labelled:
        lines.append(lacking)
    return "\n".join(lines)


def _command(folder: str) -> str:
    from dupdetect.recalibrating import maker_command

    with suppress(DupdetectError):  # of a result without a run.json
        return maker_command(folder)
    return "dupdetect dedupe"


def _maker(folder: str) -> str:
    from dupdetect.recalibrating import maker_option

    with suppress(DupdetectError):
        return maker_option(folder)
    return ""
