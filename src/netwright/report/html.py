"""The parts of a page: its frame, tables, tiles and definitions. What enters them is escaped here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files

from netwright.report.columns import aligned

Cell = str | float | None
"""Of a table: a text, a number, or nothing."""

TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
img-src data:; script-src 'sha256-{digest}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{head}
{body}
<footer>made by netwright {version}</footer>
</main>
<script>{script}</script>
</body>
</html>
"""
"""The page allows itself the one script whose digest it names: whatever else got into it would not run."""


def page(title: str, head: str, sections: Mapping[str, str]) -> str:
    """A whole page.

    Args:
        title: A text.
        head: HTML between the title and the first section.
        sections: HTML by the text of its heading.
    """
    assets = files("netwright.report")
    style, script = (assets.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    body = "".join(f"<section><h2>{escape(title)}</h2>{content}</section>" for title, content in sections.items())
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return TEMPLATE.format(
        title=escape(title),
        style=style,
        head=head,
        body=body,
        script=script,
        digest=digest,
        version=version("netwright"),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], *, sortable: bool = False, stacked: bool = False) -> str:
    """A table that scrolls sideways where it is wider than the page.

    Args:
        head: Names of the columns.
        rows: Cells; the numbers of a column are shown alike, and kept whole for sorting.
        sortable: Whether the page's script lets a reader sort it by a column.
        stacked: Whether a telephone shows the cells of a row one below the other, so that none is out of sight.
    """
    rows = list(rows)
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    shown = [_shown(column) for column in zip(*rows, strict=True)]
    labels = [f' data-label="{escape(name)}"' if stacked and name else "" for name in head]
    lines = "".join(
        f"<tr>{''.join(map(_cell, row, texts, labels))}</tr>"
        for row, texts in zip(rows, zip(*shown, strict=True), strict=True)
    )
    kinds = [*["sortable"] * sortable, *["stacked"] * stacked]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table></div>'


def _shown(column: Sequence[Cell]) -> list[str]:
    """The texts of a column."""
    texts = iter(aligned([None if isinstance(value, str) else value for value in column]))
    return [value if isinstance(value, str) else text for value, text in zip(column, texts, strict=True)]


def _cell(value: Cell, shown: str, label: str) -> str:
    whole = "" if value is None or isinstance(value, str) or shown == str(value) else f' data-value="{value!r}"'
    return f"<td{whole}{label}>{escape(shown)}</td>"


def tiles(entries: Iterable[tuple[str, str]]) -> str:
    """Numbers that a reader should see first, each with a few words below."""
    boxes = (f'<div class="tile"><b>{escape(value)}</b><span>{escape(text)}</span></div>' for value, text in entries)
    return f'<div class="tiles">{"".join(boxes)}</div>'


def definitions(entries: Mapping[str, object]) -> str:
    """Names and what they stand for; those without anything are left out."""
    rows = (f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>" for name, text in entries.items() if text)
    return f"<dl>{''.join(rows)}</dl>"
