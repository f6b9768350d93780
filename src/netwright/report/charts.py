"""Charts as SVG: axes, and marks laid over them. What they look like is said by the style sheet of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
"""Between two names, one above the other."""
PAIRED = 430
"""Width of a chart that stands beside another one; a telephone shows it as it is."""
NARROW, NARROW_HEIGHT = 400, 300
"""Size of a wide chart as a telephone shows it; shorter ones grow to this height."""

SHADES = 10
"""Of a heat map; few, so that cells of one shade can be drawn as one path."""


class Axis:
    """From numbers to a place between 0 and 1.

    Args:
        label: What is shown, with its unit.
        values: What must fit.
        logarithmic: For positive values over several orders of magnitude.
        zero: Whether the axis starts at zero.
        whole: Of things that are counted: no number between two of them is shown.
    """

    def __init__(
        self,
        label: str,
        values: Iterable[float],
        *,
        logarithmic: bool = False,
        zero: bool = False,
        whole: bool = False,
    ) -> None:
        self.label = label
        self.whole = whole
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
            ticks = _round_numbers(self._low, self._high)
            return [tick for tick in ticks if not self.whole or abs(tick - round(tick)) < 1e-9]
        decades = range(floor(self._low) - 1, ceil(self._high) + 1)
        ticks = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
        inside = [tick for tick in ticks if self._low <= log10(tick) <= self._high]
        if len(inside) > 7:
            return [tick for tick in inside if log10(tick).is_integer()]
        return inside if len(inside) > 2 else _round_numbers(10**self._low, 10**self._high)


Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def _name_at(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    kind = f"name {style}".rstrip()
    place = f'x="{x:.1f}" y="{y:.1f}" dy=".35em" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


def _round_numbers(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    unit = 10.0 ** floor(log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= 0.7 * rough)
    return [n * step for n in range(ceil(low / step), floor(high / step) + 1)]


Mark = Callable[["_Sheet"], str]
"""Draws something that a chart has, at the size of a sheet."""


class _Sheet:
    """A chart at one size.

    Attributes:
        x, y: Its axes.
        width, height: Of the whole.
        right: Of the margin on the right.
        taken: What a name beside a dot should not hide: other names, other dots, lines of steps.
    """

    def __init__(self, x: Axis, y: Axis, width: int, height: int, right: int) -> None:
        self.x, self.y = x, y
        self.width, self.height, self.right = width, height, right
        self.taken: list[Box] = []

    def place(self, x: float, y: float) -> Point:
        """Where a point stands."""
        inner_width, inner_height = self.width - LEFT - self.right, self.height - TOP - BOTTOM
        return LEFT + self.x.place(x) * inner_width, TOP + (1 - self.y.place(y)) * inner_height

    def places(self, points: Iterable[Point]) -> list[str]:
        """Where points stand, as a path has them."""
        return ["{:.1f},{:.1f}".format(*self.place(*point)) for point in points]

    def frame(self) -> str:
        """Axes with ticks; of two whose numbers would run into each other, the second one is left out."""
        bottom, right = self.height - BOTTOM, self.width - self.right
        parts = []
        for tick in self.y.ticks():
            y = TOP + (1 - self.y.place(tick)) * (bottom - TOP)
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
            parts.append(
                f'<text class="tick" x="{LEFT - 8}" y="{y:.1f}" dy=".35em" text-anchor="end">{number(tick)}</text>'
            )
        free = 0.0
        for tick in self.x.ticks():
            x, half = LEFT + self.x.place(tick) * (right - LEFT), len(number(tick)) * LETTER / 2
            if x - half >= free:
                parts.append(
                    f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{number(tick)}</text>'
                )
                free = x + half + LETTER
        parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
        parts.append(
            f'<text class="label" x="{right}" y="{self.height - 4}" text-anchor="end">{escape(self.x.label)}</text>'
        )
        return "".join(parts)

    def name_beside(self, point: Point, text: str, style: str) -> str:
        """A name beside a point where no other one is, with a line to the point where it had to move away."""
        x, y = point
        wide = len(text) * LETTER
        inside = (LEFT, 0.0, float(self.width), float(self.height - BOTTOM))
        best: tuple[float, Point, Box] | None = None
        for away in (0, *(sign * step * NAME_HEIGHT for step in range(1, 6) for sign in (1, -1))):
            for left in (x + 7, x - 7 - wide):
                box = (left, y + away - NAME_HEIGHT / 2, left + wide, y + away + NAME_HEIGHT / 2)
                hidden = sum(_shared(box, other) for other in self.taken) + wide * NAME_HEIGHT - _shared(box, inside)
                if best is None or hidden < best[0] - 1:
                    best = hidden, (left, y + away), box
        assert best is not None
        _, (left, height), box = best
        self.taken.append(box)
        near = left if left > x else left + wide
        line = f'<path class="leader" d="M{x:.1f} {y:.1f}L{near:.1f} {height:.1f}"/>' if abs(height - y) > 1 else ""
        return line + _name_at(left, height, text, "start", style)


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


class Chart:
    """A pair of axes that marks are added to, the first one undermost.

    Args:
        x: Across.
        y: Upwards.
        width: Of the whole; one that is too wide for a telephone is drawn a second time for that.
        height: Of the whole.
        right: Of the margin on the right, at most, where names stand in it.
    """

    def __init__(self, x: Axis, y: Axis, *, width: int = 880, height: int = 260, right: int = RIGHT) -> None:
        self._x, self._y = x, y
        self._width, self._height, self._right = width, height, right
        self._marks: list[Mark] = []
        self._legend: list[tuple[str, str]] = []
        self._room = 0  # for the longest of the names in the margin on the right, once there are some

    def line(self, points: Sequence[Point], style: str, name: str = "") -> None:
        """Straight from point to point."""
        self._path(points, style, name)

    def steps(self, points: Sequence[Point], end: float, style: str, name: str = "") -> None:
        """Level from each point to the next one, and from the last one to ``end``; names of dots leave it free."""
        corners: list[Point] = []
        for x, y in points:
            corners += [(x, corners[-1][1])] if corners else []
            corners.append((x, y))
        corners += [(end, points[-1][1])] if points else []
        self.line(corners, style, name)

        def kept_free(sheet: _Sheet) -> str:
            places = [sheet.place(*corner) for corner in corners]
            for (x, y), (right, below) in pairwise(places):
                sheet.taken.append((min(x, right) - 2, min(y, below) - 2, max(x, right) + 2, max(y, below) + 2))
            return ""

        self._marks.append(kept_free)

    def band(self, lower: Sequence[Point], upper: Sequence[Point], style: str, name: str = "") -> None:
        """The area between two lines."""
        self._path([*upper, *reversed(lower)], style, name, closed="Z")

    def points(self, points: Sequence[Point], style: str, name: str = "", titles: Sequence[str] = ()) -> None:
        """A dot each; ``titles`` show under the pointer."""

        def drawn(sheet: _Sheet) -> str:
            marks = []
            for index, place in enumerate(sheet.places(points)):
                x, y = place.split(",")
                title = f"<title>{escape(titles[index])}</title>" if titles else ""
                marks.append(f'<circle class="{style}" cx="{x}" cy="{y}" r="3">{title}</circle>')
            return "".join(marks)

        self._marks.append(drawn)
        self._name(style, name)

    def labels(self, points: Sequence[tuple[float, float, str, str]]) -> None:
        """A name beside each point, where it can be read; the first ones have the choice.

        Args:
            points: x, y, text and style of each.
        """

        def drawn(sheet: _Sheet) -> str:
            dots = [sheet.place(x, y) for x, y, _, _ in points]
            sheet.taken += [(x - 4, y - 4, x + 4, y + 4) for x, y in dots]
            named = zip(dots, points, strict=True)
            return "".join(sheet.name_beside(dot, text, style) for dot, (_, _, text, style) in named)

        self._marks.append(drawn)

    def ends(self, points: Sequence[tuple[float, float, str, str]]) -> None:
        """Names behind the ends of lines, in the margin ``right``, far enough apart to be read.

        Args:
            points: x, y, text and style of each.
        """
        self._room = max((round(len(text) * LETTER) for _, _, text, _ in points), default=0) + 14

        def drawn(sheet: _Sheet) -> str:
            places = ((*sheet.place(x, y), text, style) for x, y, text, style in points)
            placed = sorted(places, key=lambda name: name[1])
            heights: list[float] = []
            for _, y, _, _ in placed:
                heights.append(max(y, heights[-1] + NAME_HEIGHT) if heights else y)
            below = max(heights[-1] - (sheet.height - BOTTOM), 0.0) if heights else 0.0
            return "".join(
                _name_at(x + 7, height - below, text, "start", style)
                for (x, _, text, style), height in zip(placed, heights, strict=True)
            )

        self._marks.append(drawn)

    def columns(self, edges: Sequence[float], heights: Sequence[float], style: str) -> None:
        """A column on the lower axis between each two ``edges``."""

        def drawn(sheet: _Sheet) -> str:
            marks = []
            for (left, right), height in zip(pairwise(edges), heights, strict=True):
                (x0, y0), (x1, y1) = sheet.place(left, height), sheet.place(right, 0)
                box = f'x="{x0 + 0.5:.1f}" y="{y0:.1f}" width="{max(x1 - x0 - 1, 0.5):.1f}" height="{y1 - y0:.1f}"'
                marks.append(f'<rect class="{style}" {box}/>')
            return "".join(marks)

        self._marks.append(drawn)

    def _path(self, points: Sequence[Point], style: str, name: str, closed: str = "") -> None:
        if points:
            self._marks.append(lambda sheet: f'<path class="{style}" d="M{" ".join(sheet.places(points))}{closed}"/>')
            self._name(style, name)

    def _name(self, style: str, name: str) -> None:
        if name:
            self._legend.append((style, name))

    def svg(self, title: str) -> str:
        """The chart with its axes and a legend above; ``title`` is for those who cannot see it."""
        names = "".join(f'<span><i class="{style}"></i>{escape(name)}</span>' for style, name in self._legend)
        pictures = self._at(self._width, self._height, title)
        if self._width > PAIRED:
            narrow = self._at(NARROW, max(self._height, NARROW_HEIGHT), title)
            pictures = f'<div class="wide">{pictures}</div><div class="narrow">{narrow}</div>'
        return f'<div class="legend"><b>{escape(self._y.label)}</b>{names}</div>{pictures}'

    def _at(self, width: int, height: int, title: str) -> str:
        """The chart at one size."""
        sheet = _Sheet(self._x, self._y, width, height, min(self._right, self._room) if self._room else self._right)
        marks = "".join(mark(sheet) for mark in self._marks)
        return (
            f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{escape(title)}">{sheet.frame()}{marks}</svg>'
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
    return f"{value:.2g}" if value and abs(value) < 1e-3 else f"{value:,.4g}"
