"""``netwright show``: one architecture, drawn."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.errors import UsageError
from netwright.report.diagram import draw
from netwright.report.summary import best_trial
from netwright.report.svg import architecture_svg
from netwright.spaces.architecture import Architecture, parse_architecture
from netwright.spaces.published import PUBLISHED, published
from netwright.store.run_folder import RunFolder

CIFAR10_TASK = {"image": [3, 32, 32], "classes": list(range(10))}
"""What the published convolutional networks were made for."""


class Format(StrEnum):
    """How to print an architecture."""

    TEXT = "text"
    JSON = "json"
    SVG = "svg"


def show(
    what: Annotated[str, typer.Argument(metavar="RUN|ARCH.json|NAME", help=f"Names: {', '.join(PUBLISHED)}.")],
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TEXT,
) -> None:
    """Show an architecture: layers or equations, parameters, multiply-adds."""
    architecture, task = find_architecture(what, trial)
    match form:
        case Format.TEXT:
            typer.echo(draw(architecture, task))
        case Format.JSON:
            typer.echo(architecture.canonical_json())
        case Format.SVG:
            typer.echo(architecture_svg(architecture), nl=False)


def find_architecture(what: str, trial: str) -> tuple[Architecture, Mapping[str, Any]]:
    """The architecture that the command line names, and the task it is for.

    Raises:
        UsageError: There is no such run, trial, file or name.
    """
    path = Path(what)
    if path.is_dir():
        folder = RunFolder.open(path)
        rows = folder.store.rows()
        chosen = best_trial(rows) if trial == "best" else next((row for row in rows if str(row.id) == trial), None)
        if chosen is None:
            raise UsageError(f"{path} has no {'finished trial' if trial == 'best' else f'trial {trial}'} yet")
        return parse_architecture(chosen.architecture, f"trial {chosen.id}"), folder.task()
    if path.is_file():
        return parse_architecture(path.read_bytes(), what), CIFAR10_TASK
    if what in PUBLISHED:
        return published(what), CIFAR10_TASK
    raise UsageError(f"{what}: no run folder, no architecture file, and none of the names {', '.join(PUBLISHED)}")
