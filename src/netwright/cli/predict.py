"""``netwright predict``: what a trained network takes pictures for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from netwright.cli.errors import echo
from netwright.data.pictures import picture_files
from netwright.errors import DataError, printable
from netwright.networks.finding import find_network

FEW = 256
"""Pictures for which no progress is shown."""


def predict(
    what: Annotated[
        Path, typer.Argument(metavar="RUN|TRAINING|EXPORT", help="A run, or a folder of netwright train or export.")
    ],
    places: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Pictures of any size.")],
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    seed: Annotated[int, typer.Option(help="Which seed of the training.")] = 0,
    top: Annotated[
        int | None, typer.Option(min=1, help="How many classes to show of each picture; 1 without it, all with --json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, with an object for each picture.")] = False,
) -> None:
    """Say what a trained network takes pictures for: the likeliest class of each, and its probability."""
    network = find_network(str(what), trial).trained(seed)
    files = picture_files(places)
    width = max(len(printable(str(file))) for file in files)
    unreadable = 0

    def tell(name: str, problem: str) -> None:
        nonlocal unreadable
        unreadable += 1
        print(f"{printable(name)} {problem}", file=sys.stderr)

    bar = Console(stderr=True)
    hidden = not bar.is_terminal or len(files) <= FEW
    predictions = network.predictions(files, on_defect=tell)
    opening = "["  # the list is printed as it grows, since the pictures may be many
    for found in track(predictions, "predicting", total=len(files), console=bar, disable=hidden):
        best = list(found.probabilities.items())[: top if as_json else top or 1]
        if as_json:
            told = {"file": found.name, "class": found.label, "probability": found.probabilities[found.label]}
            typer.echo(f"{opening}{json.dumps({**told, 'top': best})}", nl=False)
            opening = ",\n"
        else:
            echo(f"{printable(found.name):{width}}  " + "  ".join(f"{label} {chance:.3f}" for label, chance in best))
    if as_json:
        typer.echo("[]" if opening == "[" else "]")
    if unreadable:
        raise DataError(f"{unreadable} of {len(files)} files cannot be read; they are named above")
