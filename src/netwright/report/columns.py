"""Tables of plain text, as wide as what is in them: whoever shows one may wrap it, but nothing is ever left out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

NARROWEST = 20
"""Columns that a text needs to be worth breaking at words."""


def columns(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """A line per row, the cells of a column below each other.

    Args:
        rows: Of equally many cells; the first one has the names of the columns.
        left: So many columns begin at their left edge, as names do; the others end at their right edge, as numbers do.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
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
    return textwrap.fill(text, width, initial_indent=name, subsequent_indent=" " * len(name))
