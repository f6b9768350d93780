"""``netwright data``: looks at a data source before anything learns from it."""

from __future__ import annotations

from typing import Annotated

import typer

from netwright.errors import DataError

data_app = typer.Typer(help="Look at a data source.", no_args_is_help=True)


@data_app.callback()
def data() -> None:
    """Look at a data source."""


@data_app.command()
def check(
    source: Annotated[str, typer.Argument(help="digits, cifar10, cifar10:DIR, images:DIR, hf:NAME, ...")],
) -> None:
    """Read a data source; report sizes, classes, and every defect by file name."""
    from netwright.data import check_images

    report = check_images(source)
    typer.echo("\n".join(report.lines()))
    if report.defects:
        raise DataError(f"{source}: {len(report.defects)} defects, listed above")
