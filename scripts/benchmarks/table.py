"""The record as Markdown, and what follows from its rows: growth with the number of texts, and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from benchmarks.methods import OURS, PEER_ENCODER

Row = Mapping[str, Any]


def exponent(texts: Sequence[int], seconds: Sequence[float]) -> float:
    """Return b of seconds = a texts^b, by least squares on the logarithms. Two sizes at least."""
    return float(np.polyfit(np.log(texts), np.log(seconds), 1)[0])


def growth(joins: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the exponent of each method over the sizes of the same data that it finished, where these are two."""
    series: dict[tuple[str, str, str], list[Row]] = {}
    for row in joins:
        if "seconds" in row:
            series.setdefault((row["tier"], row["data"], row["method"]), []).append(row)
    found = []
    for (tier, data, method), rows in series.items():
        sizes = [row["texts"] for row in rows]
        if len(set(sizes)) > 1:
            fitted = exponent(sizes, [row["seconds"] for row in rows])
            found.append({"tier": tier, "data": data, "method": method, "texts": sizes, "exponent": round(fitted, 2)})
    return found


def times_as_fast(encoding: Sequence[Row]) -> dict[str, float]:
    """Return for each encoder the median, over the rounds, of its texts per second by those of sentence-transformers
    in the same round; nothing where that one was not measured."""
    peer = next(
        (row["seconds_of_rounds"] for row in encoding if row["method"] == PEER_ENCODER and "seconds" in row), []
    )
    return {
        row["method"]: round(statistics.median(a / b for a, b in zip(peer, row["seconds_of_rounds"], strict=False)), 2)
        for row in encoding
        if peer and "seconds" in row
    }


def markdown(record: Row) -> str:
    encoding = [_encoding_row(row, record["times_as_fast"]) for row in record["encoding"]]
    ours = {_place(row): row["seconds"] for row in record["joins"] if row["method"] == OURS and "seconds" in row}
    joins = [_join_row(row, ours.get(_place(row))) for row in record["joins"]]
    exponents = [[row["method"], row["tier"], row["data"], f"{row['exponent']:.2f}"] for row in record["growth"]]
    tables = (
        (["encoder", "texts", "texts a second", "times as fast", "peak memory, MB"], encoding),
        (
            [
                *("texts", "vectors", "method", "seconds", f"times {OURS}", "peak memory, MB", "pairs reported"),
                *("recall", "a row removed"),
            ],
            joins,
        ),
        (["method", "vectors", "texts", "seconds grow with n to the power of"], exponents),
    )
    return "\n\n".join(_table(head, rows) for head, rows in tables if rows) + "\n"


def _place(row: Row) -> tuple[str, str, int]:
    return row["tier"], row["data"], row["texts"]


def _encoding_row(row: Row, ratios: Mapping[str, float]) -> list[str]:
    if "seconds" not in row:
        return [row["method"], f"{row['texts']:,}", _why_not(row), "", ""]
    speed, memory = f"{row['texts'] / row['seconds']:,.0f}", _number(row["peak_memory_mb"])
    ratio = ratios.get(row["method"])
    return [row["method"], f"{row['texts']:,}", speed, "" if ratio is None else f"{ratio:.1f}", memory]


def _join_row(row: Row, ours: float | None) -> list[str]:
    head = [f"{row['texts']:,} {row['data']}", row["tier"], row["method"]]
    if "seconds" not in row:
        return [*head, _why_not(row), "", "", "", "", ""]
    return [
        *head,
        f"{row['seconds']:,.2f}",
        f"{row['seconds'] / ours:.1f}" if ours else "",
        _number(row["peak_memory_mb"]),
        _number(row["reported"]),
        "unknown" if row["recall"] is None else f"{row['recall']:.4f}",
        f"{row['resolved']:.4f}" if "resolved" in row else "",
    ]


def _why_not(row: Row) -> str:
    if "over_seconds" in row:
        return f"over {row['over_seconds']:,g} s"
    return f"missing: {row['missing']}" if "missing" in row else f"failed: {row['failed']}"


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)
