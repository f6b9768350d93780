"""``netwright show``: one architecture, drawn."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.errors import echo
from netwright.cli.options import Within
from netwright.cli.terminal import across, tell
from netwright.networks.finding import find_network, parse_limits
from netwright.spaces.diagram import draw
from netwright.spaces.published import PUBLISHED
from netwright.spaces.svg import architecture_svg


class Format(StrEnum):
    """How to print an architecture."""

    TEXT = "text"
    JSON = "json"
    SVG = "svg"


def show(
    what: Annotated[str, typer.Argument(metavar="RUN|ARCH.json|NAME", help=f"Names: {', '.join(PUBLISHED)}.")],
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    within: Within = None,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TEXT,
) -> None:
    """Show an architecture: layers or equations, parameters, multiply-adds."""
    network = find_network(what, trial, parse_limits(within or ()))
    match form:
        case Format.TEXT:
            if Path(what).is_dir() and network.training is not None and network.training.parent.name.isdecimal():
                tell(f"trial {network.training.parent.name} of {what}:")
            echo(draw(network.architecture, network.task, width=across(), merge_sums=network.merges_sums))
            if network.assumed:
                typer.echo(f"{what} does not say what it is for; assumed: {network.assumed}.")
        case Format.JSON:
            echo(network.architecture.canonical_json())
        case Format.SVG:
            typer.echo(architecture_svg(network.architecture), nl=False)
