"""``netwright data``: looks at a data source before anything learns from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from netwright.config import known_encoding
from netwright.errors import DataError, UsageError
from netwright.tasks import KINDS, kind_of_source

data = typer.Typer(name="data", help="Look at a data source.", no_args_is_help=True, add_completion=False)


@data.callback()
def options() -> None:
    """Look at a data source."""


FROM_FILES = ("text", "ptb")
"""Sources that are files of text, in some encoding."""


class KindName(StrEnum):
    """What a source is read as."""

    IMAGES = "images"
    TEXT = "text"


@data.command()
def check(
    source: Annotated[str, typer.Argument(help="digits, cifar10, images:DIR, pydoc, ptb, text:FILE, hf:NAME, ...")],
    kind: Annotated[KindName | None, typer.Option(help="What to read hf:NAME as; images without it.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of the files of text: or ptb: utf-8 (without it), utf-16, latin-1, ...")
    ] = None,
) -> None:
    """Read a data source; report sizes, classes or vocabulary, and every defect by file name."""
    read_as = kind_of_source(source) if kind is None else KINDS[kind.value]
    if encoding is not None:
        _check_encoding(encoding, source.partition(":")[0])
    report = read_as.check(source, **({} if encoding is None else {"encoding": encoding}))
    typer.echo("\n".join(report.lines()))
    if report.defects:
        raise DataError(f"{source}: {len(report.defects)} defects, listed above")


def _check_encoding(encoding: str, named: str) -> None:
    """Refuses an encoding that there is not, and one for a source that is not read from files of text."""
    try:
        known_encoding(encoding)
    except ValueError as error:
        raise UsageError(f"--encoding: {error}") from None
    if named not in FROM_FILES:
        raise UsageError(f"--encoding: expected a source text:FILE, text:DIR or ptb, got {named}; leave --encoding out")
