"""Tables and sentences of plain text: as wide as what is in them, or broken for a narrow terminal, and never cut."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

NARROWEST = 20
"""Columns that a text needs to be worth breaking at words."""

MOST_DECIMALS = 6
"""Of a column of numbers; smaller ones are shown with an exponent."""


def columns(rows: Sequence[Sequence[str]], *, left: int = 1, width: int | None = None) -> list[str]:
    """A line per row, the cells of a column below each other.

    Args:
        rows: Of equally many cells; the first one has the names of the columns.
        left: So many columns begin at their left edge, as names do; the others end at their right edge, as numbers do.
        width: Columns of the terminal. Where the table is wider, names of columns are broken at blanks and hyphens and,
            if that does not do, the first cells of the rows before what they have in brackets. None for a pipe.
    """
    lines = _laid_out(rows, left)
    if width is not None and _widest(lines) > width:
        names = [_broken(column[0], column[1:]) for column in zip(*rows, strict=True)]
        rows = [names, *rows[1:]]
        lines = _laid_out(rows, left)
        if _widest(lines) > width:
            lines = _laid_out([names, *([row[0].replace(" (", "\n("), *row[1:]] for row in rows[1:])], left)
    return lines


def _widest(lines: Sequence[str]) -> int:
    return max(map(len, lines), default=0)


def _broken(name: str, cells: Sequence[str]) -> str:
    """The name of a column in lines as wide as its cells, or as the longest word of the name."""
    pieces = name.replace("-", "- ").split()
    return "\n".join(textwrap.wrap(name, max(map(len, [*cells, *pieces, " "]))))


def _laid_out(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Rows of cells that may have several lines, names of columns above their cells, all others from the top down."""
    split = [[cell.split("\n") for cell in row] for row in rows]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*split, strict=True)]
    lines = []
    for number, row in enumerate(split):
        height = max(map(len, row))
        for place in range(height):
            cells = []
            for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
                at = place if number else place - (height - len(cell))
                text = cell[at] if 0 <= at < len(cell) else ""
                cells.append(text.ljust(width) if column < left else text.rjust(width))
            lines.append("  ".join(cells).rstrip())
    return lines


def hanging(name: str, text: str, width: int | None) -> str:
    """A name and what is said of it; further lines stand below the first one of the text.

    Args:
        name: With the blanks behind it.
        text: Of any length.
        width: Columns of the terminal; None for one line, as for a pipe. One too narrow wraps it by itself.
    """
    if width is None or width < len(name) + NARROWEST:
        return name + text
    return textwrap.fill(
        text,
        width,
        initial_indent=name,
        subsequent_indent=" " * len(name),
        break_long_words=False,  # paths
        break_on_hyphens=False,
    )


def wrapped(text: str, width: int | None) -> str:
    """A sentence, broken between words for a terminal of ``width`` columns, as :func:`hanging` does it.

    Not for one with a command to be copied: a terminal that wraps by itself gives that back whole.
    """
    return hanging("", text, width)


def aligned(values: Sequence[float | None]) -> list[str]:
    """The numbers of a column with as many decimals each, so that they can be compared at a glance; nothing for None.

    The largest has four significant digits, unless all are whole. Where that would make nothing of a small one, each is
    shown with its own digits.
    """
    known = [value for value in values if value is not None]
    largest = max(map(abs, known), default=0.0)
    whole = all(float(value).is_integer() for value in known)
    decimals = 0 if whole or not largest else max(3 - math.floor(math.log10(largest)), 0)
    lost = any(value and abs(value) < 10.0**-decimals for value in known)
    own = lost or decimals > MOST_DECIMALS
    return ["" if v is None else f"{v:.4g}" if own else f"{v:,.{decimals}f}" for v in values]
