"""Charts as SVG: axes, and marks laid over them. What they look like is said by the style sheet of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

Point = tuple[float, float]

# All lengths are in pixels.
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 40
MAP_WIDTH, CELL_HEIGHT = 140, 13
LETTER, LEAST_LABEL, MOST_LETTERS = 6.4, 46, 24
"""Width of a letter of a label, of the narrowest column of labels, and how many letters of a label are shown."""
NAME_HEIGHT = 12
"""Between two names behind the ends of lines."""

SHADES = 10
"""Of a heat map; few, so that cells of one shade can be drawn as one path."""


class Axis:
    """From numbers to a place between 0 and 1.

    Args:
        label: What is shown, with its unit.
        values: What must fit.
        logarithmic: For positive values over several orders of magnitude.
        zero: Whether the axis starts at zero.
    """

    def __init__(self, label: str, values: Iterable[float], *, logarithmic: bool = False, zero: bool = False) -> None:
        self.label = label
        self.logarithmic = logarithmic
        known = [self._scaled(value) for value in values]
        low, high = min(known, default=0.0), max(known, default=1.0)
        low = min(low, 0.0) if zero else low
        margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
        self._low = low if zero else low - margin
        self._high = high + margin

    def _scaled(self, value: float) -> float:
        return log10(max(value, 1e-12)) if self.logarithmic else value

    def place(self, value: float) -> float:
        """0 at the lower end of the axis, 1 at the upper."""
        return (self._scaled(value) - self._low) / (self._high - self._low)

    def ticks(self) -> list[float]:
        """Round numbers, about five."""
        if not self.logarithmic:
            return _round_numbers(self._low, self._high)
        decades = range(floor(self._low) - 1, ceil(self._high) + 1)
        ticks = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
        inside = [tick for tick in ticks if self._low <= log10(tick) <= self._high]
        if len(inside) > 7:
            return [tick for tick in inside if log10(tick).is_integer()]
        return inside if len(inside) > 2 else _round_numbers(10**self._low, 10**self._high)


def _name_at(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    kind = f"name {style}".rstrip()
    place = f'x="{x:.1f}" y="{y:.1f}" dy=".35em" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


def _round_numbers(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    unit = 10.0 ** floor(log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= 0.7 * rough)
    return [n * step for n in range(ceil(low / step), floor(high / step) + 1)]


class Chart:
    """A pair of axes that marks are added to, the first one undermost.

    Args:
        x: Across.
        y: Upwards.
        width: Of the whole.
        height: Of the whole.
        right: Of the margin on the right.
    """

    def __init__(self, x: Axis, y: Axis, *, width: int = 880, height: int = 260, right: int = RIGHT) -> None:
        self._x, self._y = x, y
        self._width, self._height, self._right = width, height, right
        self._marks: list[str] = []
        self._legend: list[tuple[str, str]] = []

    def line(self, points: Sequence[Point], style: str, name: str = "") -> None:
        """Straight from point to point."""
        self._path(f"M{' '.join(self._places(points))}" if points else "", style, name)

    def steps(self, points: Sequence[Point], end: float, style: str, name: str = "") -> None:
        """Level from each point to the next one, and from the last one to ``end``."""
        corners: list[Point] = []
        for x, y in points:
            corners += [(x, corners[-1][1])] if corners else []
            corners.append((x, y))
        self.line([*corners, (end, points[-1][1])] if points else [], style, name)

    def band(self, lower: Sequence[Point], upper: Sequence[Point], style: str, name: str = "") -> None:
        """The area between two lines."""
        outline = [*upper, *reversed(lower)]
        self._path(f"M{' '.join(self._places(outline))}Z" if outline else "", style, name)

    def points(self, points: Sequence[Point], style: str, name: str = "", titles: Sequence[str] = ()) -> None:
        """A dot each; ``titles`` show under the pointer."""
        for index, place in enumerate(self._places(points)):
            x, y = place.split(",")
            title = f"<title>{escape(titles[index])}</title>" if titles else ""
            self._marks.append(f'<circle class="{style}" cx="{x}" cy="{y}" r="3">{title}</circle>')
        self._name(style, name)

    def labels(self, points: Sequence[Point], texts: Sequence[str]) -> None:
        """A text beside each point, to the left where there is no room to the right."""
        for place, text in zip(self._places(points), texts, strict=True):
            x, y = place.split(",")
            left = float(x) > 0.85 * self._width
            anchor, away = ("end", -7) if left else ("start", 7)
            self._marks.append(_name_at(float(x) + away, float(y), text, anchor))

    def ends(self, points: Sequence[tuple[float, float, str, str]]) -> None:
        """Names behind the ends of lines, in the margin ``right``, far enough apart to be read.

        Args:
            points: x, y, text and style of each.
        """
        placed = sorted(((*self._place(x, y), text, style) for x, y, text, style in points), key=lambda name: name[1])
        heights: list[float] = []
        for _, y, _, _ in placed:
            heights.append(max(y, heights[-1] + NAME_HEIGHT) if heights else y)
        below = max(heights[-1] - (self._height - BOTTOM), 0.0) if heights else 0.0
        for (x, _, text, style), height in zip(placed, heights, strict=True):
            self._marks.append(_name_at(x + 7, height - below, text, "start", style))

    def columns(self, edges: Sequence[float], heights: Sequence[float], style: str) -> None:
        """A column on the lower axis between each two ``edges``."""
        for (left, right), height in zip(pairwise(edges), heights, strict=True):
            (x0, y0), (x1, y1) = self._place(left, height), self._place(right, 0)
            box = f'x="{x0 + 0.5:.1f}" y="{y0:.1f}" width="{max(x1 - x0 - 1, 0.5):.1f}" height="{y1 - y0:.1f}"'
            self._marks.append(f'<rect class="{style}" {box}/>')

    def _path(self, path: str, style: str, name: str) -> None:
        if path:
            self._marks.append(f'<path class="{style}" d="{path}"/>')
            self._name(style, name)

    def _name(self, style: str, name: str) -> None:
        if name:
            self._legend.append((style, name))

    def _place(self, x: float, y: float) -> Point:
        inner_width, inner_height = self._width - LEFT - self._right, self._height - TOP - BOTTOM
        return LEFT + self._x.place(x) * inner_width, TOP + (1 - self._y.place(y)) * inner_height

    def _places(self, points: Iterable[Point]) -> list[str]:
        return ["{:.1f},{:.1f}".format(*self._place(*point)) for point in points]

    def svg(self, title: str) -> str:
        """The chart with its axes and a legend above; ``title`` is for those who cannot see it."""
        bottom, right = self._height - BOTTOM, self._width - self._right
        frame = []
        for tick in self._y.ticks():
            y = TOP + (1 - self._y.place(tick)) * (bottom - TOP)
            frame.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
            frame.append(
                f'<text class="tick" x="{LEFT - 8}" y="{y:.1f}" dy=".35em" text-anchor="end">{number(tick)}</text>'
            )
        for tick in self._x.ticks():
            x = LEFT + self._x.place(tick) * (right - LEFT)
            frame.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{number(tick)}</text>')
        frame.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
        frame.append(
            f'<text class="label" x="{right}" y="{self._height - 4}" text-anchor="end">{escape(self._x.label)}</text>'
        )
        names = "".join(f'<span><i class="{style}"></i>{escape(name)}</span>' for style, name in self._legend)
        return (
            f'<div class="legend"><b>{escape(self._y.label)}</b>{names}</div>'
            f'<div class="scroll"><svg width="{self._width}" height="{self._height}" '
            f'viewBox="0 0 {self._width} {self._height}" role="img" aria-label="{escape(title)}">'
            f"{''.join(frame)}{''.join(self._marks)}</svg></div>"
        )


def heat_map(labels: Sequence[str], rows: Sequence[Sequence[float | None]], title: str) -> str:
    """A row of cells per label, the darker the nearer to 1; no cell where there is None."""
    cell = f"{MAP_WIDTH / max(len(rows[0]), 1):.4g}"
    left = max(LEAST_LABEL, round(min(max(map(len, labels), default=0), MOST_LETTERS) * LETTER) + 6)
    paths: dict[int, str] = {}
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if value is not None and (shade := ceil(value * SHADES)):
                x, y = left + column * float(cell), row * CELL_HEIGHT
                paths[shade] = paths.get(shade, "") + f"M{x:.4g} {y}h{cell}v{CELL_HEIGHT - 1}h-{cell}z"
    width, height = left + MAP_WIDTH, len(labels) * CELL_HEIGHT
    ground = f'<rect class="ground" x="{left}" y="0" width="{MAP_WIDTH}" height="{height}"/>'
    cells = "".join(f'<path class="heat" opacity="{n / SHADES:.1f}" d="{d}"/>' for n, d in sorted(paths.items()))
    names = "".join(
        f'<text class="tick" x="{left - 4}" y="{(row + 0.5) * CELL_HEIGHT}" dy=".35em" text-anchor="end">'
        f"{_label(label)}</text>"
        for row, label in enumerate(labels)
    )
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">{ground}{cells}{names}</svg>'
    )


def _label(text: str) -> str:
    """A label, and the whole of it under the pointer where it is too long to be shown."""
    if len(text) <= MOST_LETTERS:
        return escape(text)
    return f"{escape(text[: MOST_LETTERS - 1])}…<title>{escape(text)}</title>"


def number(value: float) -> str:
    """A number of a table or a tick: short, thousands apart."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:,.4g} M"
    if abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value and abs(value) < 1e-3 else f"{value:.4g}"
