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
    encoding: Annotated[str, typer.Option(help="Of text files: utf-8, utf-16, latin-1, windows-1252, ...")] = "utf-8",
) -> None:
    """Read a data source; report sizes, classes or vocabulary, and every defect by file name."""
    from netwright.data import check_images
    from netwright.data.text import TEXT_SOURCES, check_text

    told = {name.partition(":")[0] for name in TEXT_SOURCES} - {"hf"}
    if kind is None:
        kind = Kind.TEXT if source.partition(":")[0] in told else Kind.IMAGES
    try:
        known_encoding(encoding)
    except ValueError as error:
        raise UsageError(f"--encoding: {error}") from None
    report = check_text(source, encoding=encoding) if kind is Kind.TEXT else check_images(source)
    typer.echo("\n".join(report.lines()))
    if report.defects:
        raise DataError(f"{source}: {len(report.defects)} defects, listed above")
