"""``netwright data``: looks at a data source before anything learns from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from netwright.config import known_encoding
from netwright.errors import DataError, UsageError

data_app = typer.Typer(help="Look at a data source.", no_args_is_help=True)


@data_app.callback()
def data() -> None:
    """Look at a data source."""


class Kind(StrEnum):
    """What a source is read as."""

    IMAGES = "images"
    TEXT = "text"


@data_app.command()
def check(
    source: Annotated[str, typer.Argument(help="digits, cifar10, images:DIR, pydoc, ptb, text:FILE, hf:NAME, ...")],
    kind: Annotated[Kind | None, typer.Option(help="What to read hf:NAME as; images without it.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of the files of text: or ptb: utf-8 (without it), utf-16, latin-1, ...")
    ] = None,
) -> None:
    """Read a data source; report sizes, classes or vocabulary, and every defect by file name."""
    from netwright.data import check_images
    from netwright.data.text_report import check_text
    from netwright.data.text_sources import TEXT_SOURCES

    named = source.partition(":")[0]
    if kind is None:
        kind = Kind.TEXT if named in {name.partition(":")[0] for name in TEXT_SOURCES} - {"hf"} else Kind.IMAGES
    if encoding is not None:
        _check_encoding(encoding, named)
    report = check_text(source, encoding=encoding or "utf-8") if kind is Kind.TEXT else check_images(source)
    typer.echo("\n".join(report.lines()))
    if report.defects:
        raise DataError(f"{source}: {len(report.defects)} defects, listed above")


def _check_encoding(encoding: str, named: str) -> None:
    """Refuses an encoding that there is not, and one for a source that is not read from files of text."""
    try:
        known_encoding(encoding)
    except ValueError as error:
        raise UsageError(f"--encoding: {error}") from None
    if named not in ("text", "ptb"):
        raise UsageError(f"--encoding: expected a source text:FILE, text:DIR or ptb, got {named}; leave --encoding out")
