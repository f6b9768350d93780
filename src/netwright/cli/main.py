"""The command ``netwright``: registers the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import io
import sys

import typer

from netwright import __version__, interrupts
from netwright.cli.bench import bench
from netwright.cli.data import data_app
from netwright.cli.doctor import doctor
from netwright.cli.export import export
from netwright.cli.export_optuna import export_optuna
from netwright.cli.recipes import recipes
from netwright.cli.references import references
from netwright.cli.report import report
from netwright.cli.search import search
from netwright.cli.show import show
from netwright.cli.train import train
from netwright.cli.trials import trials
from netwright.cli.tune import tune
from netwright.cli.verdict import verdict
from netwright.errors import NetwrightError

app = typer.Typer(
    name="netwright",
    help="Neural architecture search with reinforcement learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    search,
    recipes,
    references,
    verdict,
    trials,
    show,
    tune,
    train,
    export,
    export_optuna,
    report,
    bench,
    doctor,
):
    app.command()(command)
app.add_typer(data_app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"netwright {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Neural architecture search with reinforcement learning: a controller designs networks and learns from them."""


def main() -> None:
    """Runs the command line and ends the process with one of the documented exit codes.

    Typer itself ends with 2 on wrong usage and 130 on Ctrl-C; the errors of netwright bring their own.
    """
    interrupts.listen()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter shows a question mark for it
            stream.reconfigure(errors="replace")
    try:
        app()
    except NetwrightError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
