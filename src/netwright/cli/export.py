"""``netwright export``: a network as ordinary files that need nothing of netwright."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.train import retrain as train_anew
from netwright.errors import DamagedWeightsError
from netwright.networks.finding import find_network
from netwright.networks.network import training_network
from netwright.store.files import write_atomically


def export(
    what: Annotated[Path, typer.Argument(metavar="RUN|TRAINING", help="A run, or a folder of netwright train.")],
    to: Annotated[Path, typer.Option(help="The folder to write to.")],
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    seed: Annotated[int, typer.Option(help="Which seed of the training.")] = 0,
    onnx: Annotated[bool, typer.Option("--onnx", help="Also model.onnx, checked against onnxruntime.")] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the seed anew if its weights are damaged; these are kept aside.")
    ] = False,
) -> None:
    """Write model.py (imports torch only), architecture.json and, once trained, model.safetensors."""
    from netwright.export.files import exported_files

    network = find_network(str(what), trial)
    try:
        files = exported_files(network.trained(seed), onnx=onnx)
    except DamagedWeightsError as error:
        if not retrain:
            raise DamagedWeightsError(error.damage, _command(what, to, trial, seed, onnx=onnx)) from None
        assert network.training is not None
        train_anew(training_network(network.training), seed)
        files = exported_files(network.trained(seed), onnx=onnx)
    to.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(to / name, content)
    typer.echo(f"{to}: {', '.join(files)}")


def _command(what: Path, to: Path, trial: str, seed: int, *, onnx: bool) -> str:
    """The same export, with the damaged weights trained anew."""
    options = ["--to", str(to), "--trial", trial, "--seed", str(seed), *["--onnx"] * onnx, "--retrain"]
    return shlex.join(["netwright", "export", str(what), *options])
