"""The verb review: pairs of an export, labelled one after the other by someone who reads them."""

from __future__ import annotations

import os
import re
import shlex
import string
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dupdetect.cli.terminal import printable

if TYPE_CHECKING:
    from dupdetect.review import ReviewStore
    from dupdetect.review.candidates import Candidates
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
def review(folder: str, reviewer: str) -> None:
    """Label pairs of the export that `dupdetect dedupe` wrote OUT_DIR for, to find out how right its decisions are.

    Shows two texts at a time, from the pairs drawn at random in OUT_DIR/candidates.csv, and nothing of what the
    detector makes of them. The question is whether one answer would do for both:

    \b
    y  yes, they are duplicates        b  back: take the last label back
    n  no, they are different          q  stop (as does the end of the input)
    u  unsure

    What is labelled different does not count as a pair in later runs; all labels count for `dupdetect calibrate
    --from-reviews`.

    Each label is kept in the file OUT_DIR.reviews.sqlite when its key has been pressed: stop whenever you like, and go
    on another day. Where the input is no terminal, a line is a key.

    \b
    dupdetect review export.dupdetect
    dupdetect review export.dupdetect --reviewer ana
    printf 'y\\nn\\nq\\n' | dupdetect review export.dupdetect
    dupdetect calibrate --from-reviews export.dupdetect -o my-detector
    """
    from dupdetect.review import ReviewStore
    from dupdetect.review.candidates import Candidates
    from dupdetect.review.store import labels_beside

    candidates = Candidates.read(Path(folder) / "candidates.csv")
    with ReviewStore(labels_beside(folder)) as store:
        interrupted = False
        try:
            _ask_about_all(candidates, store, reviewer)
        except (KeyboardInterrupt, click.Abort):
            interrupted = True
            _say("")
        click.echo(printable(_summary(candidates, store, reviewer, folder)))
    if interrupted:
        raise click.exceptions.Exit(130)


def _ask_about_all(candidates: Candidates, store: ReviewStore, reviewer: str) -> None:
    """Ask about each pair that this reviewer has not labelled, in their order, until there is none or to stop."""
    place = {key: row for row, key in enumerate(candidates.key)}
    again = None  # the pair whose label was just taken back is the next
    while True:
        labelled = store.labels_by(reviewer)
        missing = (row for row, key in enumerate(candidates.key) if key not in labelled)
        row = next(missing, None) if again is None else again
        if row is None:
            _say("All pairs that were drawn are labelled." if place else "No pairs were drawn: there is nothing to do.")
            return
        again = None
        done = len(place.keys() & labelled)
        _say(f"\n{done:,} of {len(place):,} labelled; stop whenever you like")
        _show(candidates.left_text[row], candidates.right_text[row])
        key = _key()
        if key == _STOP:
            return
        if key == _BACK:
            again = _take_back(store, reviewer, place)
        else:
            store.record(candidates.key[row], _LABEL_OF[key], reviewer)


def _take_back(store: ReviewStore, reviewer: str, place: dict[str, int]) -> int | None:
    """Take back the reviewer's last label; return the row of its pair, None where there is none to ask about."""
    key = store.undo(reviewer)
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
    left, right = (printable(re.sub(r"[^\S\n]", " ", text.replace("\r\n", "\n"))) for text in (left, right))
    shared = _words(left) & _words(right)
    for name, text in (("A", left), ("B", right)):
        _say(f"\n{name} {'-' * 70}")
        # Where they share no word, nothing would be told apart.
        _say(textwrap.indent(_marked(text, shared) if shared else text, "  ", lambda _: True))
    _say("")


def _words(text: str) -> set[str]:
    return {_bare(word) for word in text.split()} - {""}


def _bare(word: str) -> str:
    return word.casefold().strip(string.punctuation)


def _marked(text: str, shared: set[str]) -> str:
    """Return `text` with the words that are not shared in bold and underlined."""

    def mark(found: re.Match[str]) -> str:
        bare = _bare(found[0])
        return click.style(found[0], bold=True, underline=True) if bare and bare not in shared else found[0]

    return re.sub(r"\S+", mark, text)


def _say(line: str) -> None:
    """Print a line of the dialogue on stderr, without marks where it is no terminal or wants none."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    click.echo(line, err=True, color=False if plain else None)


def _summary(candidates: Candidates, store: ReviewStore, reviewer: str, folder: str) -> str:
    from dupdetect.results.cells import counted
    from dupdetect.review.refit import FEWEST_OF_EACH_KIND

    drawn, mine, conflicts = set(candidates.key), store.labels_by(reviewer), store.conflicts()
    here = [label for key, label in mine.items() if key in drawn]
    duplicates, different, unsure = (here.count(label) for label in _LABEL_OF.values())
    by = f" by {reviewer.strip()}" if reviewer.strip() else ""
    lines = [
        f"{len(here):,} of {counted(len(drawn), 'pair')} labelled{by}: {counted(duplicates, 'duplicate')}, "
        f"{different:,} different, {unsure:,} unsure"
    ]
    disputed = sum(key in conflicts for key in mine if key in drawn)
    if disputed:
        verb = "is" if disputed == 1 else "are"
        lines.append(f"{disputed:,} of them {verb} labelled differently by another reviewer, and counted as unsure")
    old = len(mine) - len(here)
    if old:
        lines.append(f"{counted(old, 'more label')} of pairs that are no longer among those drawn: kept, and not used")
    if min(duplicates, different + unsure) >= FEWEST_OF_EACH_KIND:
        lines.append(f"next: dupdetect calibrate --from-reviews {shlex.quote(folder)} -o FOLDER")
    elif here:
        lines.append(
            f"to calibrate, at least {FEWEST_OF_EACH_KIND} duplicates and {FEWEST_OF_EACH_KIND} others are needed"
        )
    return "\n".join(lines)
