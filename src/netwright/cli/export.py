"""``netwright export``: a network as ordinary files that need nothing of netwright."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.epoch_lines import EpochLines
from netwright.cli.errors import echo
from netwright.cli.options import Within
from netwright.cli.terminal import tell, tell_next
from netwright.errors import INTERRUPTED, DamagedWeightsError, UsageError, command
from netwright.networks.finding import find_network, parse_limits
from netwright.networks.network import Network, training_network
from netwright.wording import counted


def export(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|TRAINING|NAME", help="A run, a folder of netwright train, a file or a published name."
        ),
    ],
    to: Annotated[Path, typer.Option(help="The folder to write to.")],
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    within: Within = None,
    seed: Annotated[int, typer.Option(help="Which seed of the training.")] = 0,
    onnx: Annotated[bool, typer.Option("--onnx", help="Also model.onnx, checked against onnxruntime.")] = False,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Also model.int8.onnx, calibrated on training images, measured beside model.onnx."),
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the seed again if its weights are damaged; these are kept aside.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Where the data of the training lie now; for --int8 and --retrain.")
    ] = None,
) -> None:
    """Write model.py (imports torch only), architecture.json and, once trained, model.safetensors."""
    if data is not None and not (int8 or retrain):
        raise UsageError("--data: only with --int8 or --retrain; nothing else in an export is made from data")
    network = find_network(str(what), trial, parse_limits(within or ()))
    if data is not None and network.training is None:
        raise UsageError(f"--data: {what} is no training, so it does not know its data; name the run, or the training")
    try:
        trained = _moved(network.trained(seed), data)
        written = trained.export(to, onnx=onnx, int8=int8)
    except DamagedWeightsError as error:
        if not retrain:
            limits = [word for limit in within or () for word in ("--within", limit)]
            chosen = limits or ["--trial", trial]
            again = _command(what, to, chosen, seed, onnx=onnx, int8=int8, data=data)
            raise DamagedWeightsError(error.damage, again) from None
        _train_again(network, seed, data)
        trained = network.trained(seed)
        written = trained.export(to, onnx=onnx, int8=int8)
    echo(f"{to}: {', '.join(path.name for path in written)}")
    if int8:
        from netwright.networks.quantizing import comparison_lines

        typer.echo("\n".join(comparison_lines(json.loads((to / "int8.json").read_text(encoding="utf-8")))))
    if trained.weights is not None and (words := trained.asked_alone):
        asked = f"python {shlex.quote(str(to / 'model.py'))} {words}"
        tell_next({asked: "ask it, without netwright"})
    if network.assumed:
        tell(f"{what} does not say what it is for; assumed: {network.assumed}")
    if trained.weights is None:
        print(f"without weights, since nobody has trained it yet: {command('train', what)}", file=sys.stderr)


def _moved(network: Network, source: str | None) -> Network:
    """The same network, with the source where the data of its training lie now."""
    if source is None:
        return network
    from netwright.networks.training import moved  # which needs torch

    return replace(network, config=moved(network, source))


def _train_again(network: Network, seed: int, source: str | None) -> None:
    """Trains a seed whose weights are damaged or gone, and says so."""
    from netwright.networks.training import retrain  # which needs torch

    assert network.training is not None
    folder = network.training
    before = _moved(training_network(folder), source)
    assert before.config is not None
    epochs = before.config.child.epochs
    print(f"{before.training}: training seed {seed} again, {counted(epochs, 'epoch')}", file=sys.stderr)
    try:
        kept = retrain(before, seed, on_epoch=EpochLines(epochs, folder).show)
    except KeyboardInterrupt:
        print("stopped, and saved; the same command resumes", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if kept is not None:
        print(f"the damaged weights are kept as {kept}", file=sys.stderr)


def _command(
    what: Path, to: Path, chosen: Sequence[str], seed: int, *, onnx: bool, int8: bool, data: str | None
) -> str:
    """The same export, with the damaged weights trained again."""
    wanted = [*["--onnx"] * onnx, *["--int8"] * int8, *([] if data is None else ["--data", data])]
    return command("export", what, "--to", to, *chosen, "--seed", seed, *wanted, "--retrain")
