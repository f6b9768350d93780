"""The command ``netwright``: registers the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import io
import re
import sys
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from netwright import __version__, interrupts
from netwright.errors import INTERRUPTED, command

COMMANDS = {
    "search": "Search for a network: a controller designs, what it designs is trained, and it learns from the results.",
    "recipes": "List the built-in recipes, or print one as TOML to start your own from.",
    "references": "List the networks that a search has to beat: as people draw them, as wide as the budget allows.",
    "verdict": "Train the best of a search and networks drawn by hand from fresh seeds, and say which is better.",
    "front": "List the networks of a run that nothing cheaper beats, for each cost; references among them.",
    "trials": "Show the trials of a run, best first; also of one that is under way.",
    "show": "Show an architecture: layers or equations, parameters, multiply-adds.",
    "tune": "Try a grid of training settings on the best architecture; netwright train then takes the best of them.",
    "train": "Train an architecture to the end, on all training data of the source, and test it once.",
    "predict": "Say what a trained network takes pictures for: the likeliest class of each, and its probability.",
    "generate": "Write text with a trained language model, word by word or character by character, after a prompt.",
    "export": "Write model.py (imports torch only), architecture.json and, once trained, model.safetensors.",
    "export-optuna": "Write the finished trials of a run as a study of Optuna, for its dashboard and plots.",
    "report": "Write a report of a run as one HTML page that needs no network; also of a run that is under way.",
    "bench": "Compare strategies on a table: each seed searches, and the best network by validation is tested.",
    "doctor": "Print versions, devices, threads and optional extras; with RUN, check that its files are whole.",
    "data": "Look at a data source.",
}
"""Every command and the line that ``netwright --help`` has for it: the first of its own help, which a test holds it to.

A command lies in ``netwright.cli`` under its name, and is imported once it is asked for: the list takes no training
code and no tables.
"""


class Commands(TyperGroup):
    """The commands of :data:`COMMANDS`, as far as a list needs them until one is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        in_plain_words(self)
        for name, first_line in COMMANDS.items():
            self.add_command(TyperCommand(name, help=first_line))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments name, imported, and the arguments after it."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and find_command(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Imports and runs the command; Ctrl-C ends it in a sentence, where it has none of its own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            stopped()


def stopped() -> NoReturn:
    """Ends the process after Ctrl-C with a sentence and the exit code for it.

    Raises:
        SystemExit: Always.
    """
    print(f"stopped; to start again: {command(*sys.argv[1:])}", file=sys.stderr)
    raise SystemExit(INTERRUPTED)


def find_command(name: str) -> Any:
    """One of :data:`COMMANDS` with its arguments and options."""
    module = import_module(f"netwright.cli.{name.replace('-', '_')}")
    found = getattr(module, module.__name__.rpartition(".")[2])
    if isinstance(found, typer.Typer):
        return in_plain_words(typer.main.get_command(found))
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return in_plain_words(typer.main.get_command(alone))


VALUES = {int: "N", float: "NUMBER", Path: "PATH"}
"""What help calls a value of a type, where an option does not say it better; else ``TEXT``."""


def in_plain_words(made: Any) -> Any:
    """A command whose help says what to type, for people: no types of Python, and nothing behind a mere switch."""
    for inner in getattr(made, "commands", {}).values():
        in_plain_words(inner)
    for parameter in filter(None, [*made.params, made.get_help_option(typer.Context(made))]):
        annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", str)
        if not parameter.opts[0].startswith("-"):
            parameter.metavar = parameter.metavar or parameter.name.upper()
            parameter.display_type_rich = lambda ctx: None
        elif parameter.metavar is not None:
            continue
        elif annotation is bool:
            parameter.metavar = ""
        elif isinstance(annotation, type) and issubclass(annotation, Enum):
            parameter.metavar = "|".join(member.value for member in annotation)
        else:
            parameter.metavar = VALUES.get(annotation, "TEXT")
    made.help = re.sub(r"(?<!\n)\n(?!\n)", " ", made.help or "")  # else a line of the source is one of the screen
    return made


app = typer.Typer(
    cls=Commands,
    name="netwright",
    help="Neural architecture search with reinforcement learning.",
    epilog="A first search takes minutes and needs no data: netwright search. On a command: netwright COMMAND --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    except Exception as error:
        from netwright.cli.errors import end_with

        end_with(error)
