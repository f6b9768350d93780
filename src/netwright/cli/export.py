"""``netwright export``: a network as ordinary files that need nothing of netwright."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netwright.networks import find_network
from netwright.store.files import write_atomically


def export(
    what: Annotated[Path, typer.Argument(metavar="RUN|TRAINING", help="A run, or a folder of netwright train.")],
    to: Annotated[Path, typer.Option(help="The folder to write to.")],
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    seed: Annotated[int, typer.Option(help="Which seed of the training.")] = 0,
    onnx: Annotated[bool, typer.Option("--onnx", help="Also model.onnx, checked against onnxruntime.")] = False,
) -> None:
    """Write model.py (imports torch only), architecture.json and, once trained, model.safetensors."""
    from netwright.report.export import exported_files

    network = find_network(str(what), trial).trained(seed)
    files = exported_files(network, onnx=onnx)
    to.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(to / name, content)
    typer.echo(f"{to}: {', '.join(files)}")
