"""``netwright report``: a run, or several beside each other, as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.terminal import tell
from netwright.store.files import write_atomically
from netwright.store.run_folder import RunFolder


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="A run folder; several are compared.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; RUN/report.html without it, or comparison.html of several.")
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write RUN/tensorboard again.")] = False,
) -> None:
    """Write a report of a run as one HTML page that needs no network; also of a run that is under way.

    Of several runs, the page holds them against each other: their answers, and the best so far by trials and by
    processor seconds.
    """
    # Imported here, since no other command needs the pages and what draws them.
    from netwright.report.comparison import comparison_page
    from netwright.report.page import report_page
    from netwright.report.tensorboard import write_curves

    folders = [RunFolder.open(run) for run in dict.fromkeys(runs)]
    if len(folders) == 1:
        path, html = out or runs[0] / "report.html", report_page(folders[0])
    else:
        path, html = out or Path("comparison.html"), comparison_page(folders)
    write_atomically(path, html)
    typer.echo(path)
    tell("one file, to be opened in a browser, and to be sent to whoever wants to see it")
    if tensorboard:
        for folder in folders:
            typer.echo(write_curves(folder))
