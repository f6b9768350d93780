"""``netwright report``: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netwright.store.files import write_atomically
from netwright.store.run_folder import RunFolder


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; RUN/report.html without it.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write RUN/tensorboard again.")] = False,
) -> None:
    """Write a report of a run as one HTML page that needs no network; also of a run that is under way."""
    # Imported here, since no other command needs the page and what draws it.
    from netwright.report.page import report_page
    from netwright.report.tensorboard import write_curves

    path = out or run / "report.html"
    folder = RunFolder.open(run)
    write_atomically(path, report_page(folder))
    typer.echo(path)
    if tensorboard:
        typer.echo(write_curves(folder))
