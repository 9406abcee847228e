"""A plot with two axes as SVG, in plain elements that any viewer draws, in the colours of a light or dark page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_LINE = 22

# Colours by class and not by variable: viewers that know no variables show the light ones.
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2024 }
.title { font-size: 16px; font-weight: 600 }
.soft { fill: #60646c }
.paper { fill: #ffffff }
.grid { stroke: #d9d9e0 }
.frame { stroke: #8b8d98; fill: none }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.dashed { stroke-dasharray: 5 4 }
.first { stroke: #0b68cb } .first.area { fill: #0b68cb }
.second { stroke: #bd4b00 } .second.area { fill: #bd4b00 }
.ink { stroke: #1c2024 } .ink.area { fill: #1c2024 }
@media (prefers-color-scheme: dark) {
text { fill: #edeef0 }
.soft { fill: #b0b4ba }
.paper { fill: #18191b }
.grid { stroke: #363a3f }
.frame { stroke: #777b84 }
.first { stroke: #70b8ff } .first.area { fill: #70b8ff }
.second { stroke: #ffa057 } .second.area { fill: #ffa057 }
.ink { stroke: #edeef0 } .ink.area { fill: #edeef0 }
}
"""
# XML has no way to write these at all, not even escaped.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`, with a tick at each (value, text)."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the axes lie in a picture of this `width`, in pixels: `height` is theirs, and the others are margins."""

    width: int
    left: int
    right: int
    top: int
    height: int


OF_A_PAGE = Frame(640, 64, 16, 64, 320)


@dataclass(frozen=True, slots=True)
class Plot:
    """Places values between two axes, and puts what was drawn there into a page.

    Elements are strings; classes name the colours: `first`, `second` and `ink`.
    """

    horizontal: Axis
    vertical: Axis
    frame: Frame = OF_A_PAGE

    def x(self, value: float) -> float:
        """Return where `value` lies from the left, in pixels."""
        frame = self.frame
        return frame.left + _share(self.horizontal, value) * (frame.width - frame.left - frame.right)

    def y(self, value: float) -> float:
        """Return where `value` lies from the top, in pixels."""
        return self.frame.top + (1 - _share(self.vertical, value)) * self.frame.height

    def line(self, points: Iterable[tuple[float, float]], classes: str) -> str:
        """Return a line through the points."""
        path = " ".join(f"{self.x(x):.2f},{self.y(y):.2f}" for x, y in points)
        return f'<polyline points="{path}" class="line {classes}"/>'

    def bar(self, left: float, right: float, bottom: float, top: float, classes: str) -> str:
        """Return a filled rectangle."""
        x, y = self.x(left), self.y(top)
        return (
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{self.x(right) - x:.2f}" height="{self.y(bottom) - y:.2f}" '
            f'class="area {classes}" fill-opacity="0.55"/>'
        )

    def dot(self, x: float, y: float, classes: str) -> str:
        """Return a point."""
        return f'<circle cx="{self.x(x):.2f}" cy="{self.y(y):.2f}" r="5" class="{classes}"/>'

    def page(
        self, title: str, subtitle: str, description: str, body: Iterable[str], key: Sequence[tuple[str, str]]
    ) -> str:
        """Return the whole SVG document: titles, axes, `body`, and below them the key.

        `description` says in words what the picture shows, for those who cannot see it. `key` holds (mark, words), the
        mark being "line", "dashed", "dot" or "area" with classes after it, or "none".
        """
        width, left, bottom = self.frame.width, self.frame.left, self.frame.top + self.frame.height
        height = bottom + 56 + _LINE * len(key)
        rows = (
            f'<g transform="translate({left} {bottom + 62 + _LINE * number})">{_mark(mark)}'
            f'<text x="34" y="4">{xml_text(words)}</text></g>'
            for number, (mark, words) in enumerate(key)
        )
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                f'height="{height}" role="img" aria-labelledby="title description">',
                f'<title id="title">{xml_text(title)}</title>',
                f'<desc id="description">{xml_text(description)}</desc>',
                f"<style>{_STYLE}</style>",
                f'<rect width="{width}" height="{height}" class="paper"/>',
                f'<text x="{left}" y="26" class="title">{xml_text(title)}</text>',
                f'<text x="{left}" y="46" class="soft">{xml_text(subtitle)}</text>',
                *self._axes(),
                *body,
                *rows,
                "</svg>\n",
            ]
        )

    def picture(self, name: str, words: str, body: Iterable[str]) -> str:
        """Return the picture alone, to stand in an HTML page whose style sheet has the classes.

        name, words: ids of the elements of the page that name the picture and say what it shows.
        """
        height = self.frame.top + self.frame.height + 44
        opening = (
            f'<svg viewBox="0 0 {self.frame.width} {height}" role="img" aria-labelledby="{name}" '
            f'aria-describedby="{words}">'
        )
        return "\n".join([opening, *self._axes(), *body, "</svg>"])

    def _axes(self) -> Iterable[str]:
        left, top, height = self.frame.left, self.frame.top, self.frame.height
        right, bottom = self.frame.width - self.frame.right, top + height
        for value, words in self.horizontal.ticks:
            x = self.x(value)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" class="grid"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" class="soft">{xml_text(words)}</text>'
        for value, words in self.vertical.ticks:
            y = self.y(value)
            yield f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" class="soft">{xml_text(words)}</text>'
        yield f'<rect x="{left}" y="{top}" width="{right - left}" height="{height}" class="frame"/>'
        middle = (left + right) / 2, top + height / 2
        yield f'<text x="{middle[0]}" y="{bottom + 38}" text-anchor="middle">{xml_text(self.horizontal.label)}</text>'
        yield (
            f'<text transform="translate(16 {middle[1]}) rotate(-90)" text-anchor="middle">'
            f"{xml_text(self.vertical.label)}</text>"
        )


def xml_text(words: str) -> str:
    """Return `words` as text of an SVG element; characters that XML cannot hold become U+FFFD."""
    return escape(_NO_XML.sub("\ufffd", words))


def _share(axis: Axis, value: float) -> float:
    return (value - axis.low) / (axis.high - axis.low)


def _mark(mark: str) -> str:
    kind, _, classes = mark.partition(" ")
    match kind:
        case "area":
            return f'<rect y="-6" width="24" height="12" class="area {classes}" fill-opacity="0.55"/>'
        case "dot":
            return f'<circle cx="12" r="5" class="area {classes}"/>'
        case "line" | "dashed":
            return f'<line x2="24" class="line {mark}"/>'
        case _:
            return ""
