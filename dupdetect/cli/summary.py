"""What is said of a result: the summary of a new one, and what an earlier one in its place tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import click

from dupdetect.remote import is_url, local_copy, there
from dupdetect.shell import quoted

__all__ = ["made_from", "reviewed", "summary"]


def summary(record: dict[str, Any], target: str | Path) -> str:
    from dupdetect.results.cells import counted

    counts, calibration = record["counts"], record["calibration"]
    rows, repeats = counted(counts["rows"], "row"), counted(counts["repeats_of_a_text"], "repeat")
    listed = "listed pair" if "listed" in record["search"] else "pair"
    pairs = f"{counted(counts['pairs_of_different_texts'], listed)} of different texts"
    again = "index duplicates" if record["input"]["format"] == "index" else "dedupe"
    joined = f"{pairs} and {repeats}: no clusters"
    if counts["clusters"]:
        joined = (
            f"{pairs} and {repeats} join {counts['rows_in_clusters']:,} rows, "
            f"{counts['rows_in_clusters'] - counts['removed']:,} of them kept, into "
            f"{counted(counts['clusters'], 'cluster')}; the largest has {counts['largest_cluster']:,} rows"
        )
    return "\n".join(
        [
            f"{rows} = {counts['kept']:,} kept + {counted(counts['removed'], 'duplicate')} of a kept row",
            f"{rows} = {counted(counts['distinct_texts'], 'different text')} + {repeats} + {counts['blank']:,} blank "
            "(kept)",
            joined,
            *([record["possible"]] if record["possible"] else []),
            *(
                [_ruled_out(counts, record["ruled_out"], possible=_lists_possible_ones(record))]
                if counts["pairs_ruled_out"]
                else []
            ),
            *([record["search"]["certificate"]] if record["search"]["kind"] == "ann" else []),
            *([record["doubt"]] if record["doubt"] else []),
            f"threshold: cosine {calibration['threshold']:.4f}, {calibration['criterion']}",
            *([record["promise"]] if counts["pairs_of_different_texts"] or not record["estimate"] else []),
            *([record["estimate"]] if record["estimate"] else []),
            record["missed"],
            *([f"To find out: {_review(str(target))}"] if record["estimate"] or record["possible"] else []),
            *(
                [f"To decide possible pairs one by one: {_review(str(target))} --possible; then {again} again"]
                if record["possible"] and not is_url(target)
                else []
            ),
            f"written to {target}/ (start with report.html)",
        ]
    )


def _ruled_out(counts: dict[str, int], by: dict[str, int], *, possible: bool) -> str:
    from dupdetect.results.cells import counted

    pairs, together = counts["pairs_ruled_out"], counts["ruled_out_in_one_cluster"]
    reasons = ", ".join(f"{name} {number:,}" for name, number in by.items() if number)
    alike = "these and possible ones" if possible else "these"
    verb = "is" if pairs == 1 else "are"
    if sum(by.values()) > pairs:
        reasons += "; some for several reasons"
    share = "shares" if together == 1 else "share"
    share = f"; {together:,} of them {share} a cluster all the same, because of other texts" if together else ""
    return f"{counted(pairs, 'pair')} as similar as {alike} {verb} ruled out ({reasons}){share}: see ruled_out.csv"


def _lists_possible_ones(record: dict[str, Any]) -> bool:
    """Tell whether pairs were looked for below the threshold, whether or not any is left to decide."""
    least = record["possible_from"]
    return least is not None and least < record["calibration"]["threshold"]


def _review(target: str) -> str:
    if is_url(target):
        return (
            f"copy it to this machine, run dupdetect review, and put the labels to {target.rstrip('/')}.reviews.sqlite"
        )
    return f"dupdetect review {quoted(target)}"


def made_from(folder: str | Path) -> str | None:
    """Return the name of the export that an output folder says it was made from, if it says so."""
    from dupdetect.results.files import RUN

    try:
        with _here(folder / RUN if isinstance(folder, Path) else f"{folder.rstrip('/')}/{RUN}") as file:
            name = json.loads(file.read_text(encoding="utf-8"))["input"]["name"] if file else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def reviewed(folder: str | Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the keys of the pairs that reviewers of an earlier result in `folder` have told apart or disagree on, and
    those of the pairs that they call duplicates."""
    from dupdetect.review.store import ReviewStore, labels_beside

    beside = labels_beside(folder) if isinstance(folder, Path) else f"{folder.rstrip('/')}.reviews.sqlite"
    with _here(beside) as file:
        if file is None or not file.exists():
            return frozenset(), frozenset()
        with ReviewStore(file) as store:
            labels, disputed = store.labels(), frozenset(store.conflicts())
    apart, confirmed = (
        frozenset(key for key, label in labels.items() if label == wanted) for wanted in ("different", "duplicate")
    )
    for what, keys in (("told apart", apart), ("disagree on", disputed)):
        if keys:
            name = PurePath(beside).name
            click.echo(f"Note: pairs that reviewers {what}, and that do not count: {len(keys):,} ({name}).", err=True)
    return apart | disputed, confirmed


@contextmanager
def _here(file: str | Path) -> Iterator[Path | None]:
    """Yield a file, fetched if it is behind a URL, where it is None if it is not there."""
    if isinstance(file, Path):
        yield file
    elif there(file):
        with local_copy(file) as copy:
            yield copy
    else:
        yield None
