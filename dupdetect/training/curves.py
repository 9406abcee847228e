"""The lines of `metrics.jsonl`, and their picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

__all__ = ["learning_curve", "read_lines", "write_lines"]

_WIDTH, _HEIGHT, _MARGIN = 640, 220, 56
_STYLE = 'font-family="sans-serif" font-size="12" fill="#333"'


def write_lines(lines: Sequence[dict[str, Any]]) -> str:
    """Return one JSON object a line."""
    return "".join(json.dumps(line) + "\n" for line in lines)


def read_lines(text: str) -> list[dict[str, Any]]:
    """Return what `write_lines` wrote."""
    return [json.loads(line) for line in text.splitlines()]


def learning_curve(lines: Sequence[dict[str, Any]]) -> str:
    """Return an SVG picture, two panels over the steps: the loss, and the validation average precision.

    `lines` as in `metrics.jsonl`; a line without a value of a panel is not part of it.
    """
    panels = []
    for number, (name, title, colour) in enumerate(
        (
            ("loss", "Loss", "#b3541e"),
            ("validation_average_precision", "Average precision on the validation pairs", "#1e6fb3"),
        )
    ):
        points = [(float(line["step"]), float(line[name])) for line in lines if line.get(name) is not None]
        panels.append(f'<g transform="translate(0 {number * _HEIGHT})">{_panel(points, title, colour)}</g>')
    height = _HEIGHT * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(points: Sequence[tuple[float, float]], title: str, colour: str) -> str:
    heading = f'<text x="{_MARGIN}" y="24" {_STYLE}>{escape(title)}</text>'
    if not points:
        return heading
    steps, values = [step for step, _ in points], [value for _, value in points]
    low, high = min(values), max(values)
    first, last = min(steps), max(steps)

    def x(step: float) -> float:
        return _MARGIN + (step - first) / ((last - first) or 1) * (_WIDTH - 2 * _MARGIN)

    def y(value: float) -> float:
        return _HEIGHT - 36 - (value - low) / ((high - low) or 1) * (_HEIGHT - 76)

    path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
    marks = "".join(
        f'<text x="{_MARGIN - 6}" y="{y(value) + 4:.1f}" text-anchor="end" {_STYLE}>{value:.3g}</text>'
        f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
        for value in sorted({low, high})
    )
    ends = "".join(
        f'<text x="{x(step):.1f}" y="{_HEIGHT - 16}" text-anchor="middle" {_STYLE}>{step:,.0f}</text>'
        for step in sorted({first, last})
    )
    dots = "".join(
        f'<circle cx="{x(step):.1f}" cy="{y(value):.1f}" r="2.5" fill="{colour}"/>' for step, value in points
    )
    return f'{heading}{marks}{ends}<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'
