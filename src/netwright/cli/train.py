"""``netwright train``: trains one architecture to the end, and tests it once."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netwright.config import ExperimentConfig, ImageTraining, LanguageModelTraining
from netwright.errors import DataError, UsageError
from netwright.experiment import describe_task, load_data, make_evaluator
from netwright.networks.finding import find_network
from netwright.networks.network import Network, training_network
from netwright.recipes import find_recipe
from netwright.recipes.text import ZAREMBA
from netwright.settings_file import load_config, override, parse_assignments
from netwright.store.files import write_together
from netwright.store.lock import run_lock

if TYPE_CHECKING:
    from torch import nn

    from netwright.children.child import Child
    from netwright.data.images import ImageData
    from netwright.data.text import TextData

LONGER = 6
"""Epochs of a final training over epochs of a child: 300 to 50 in the paper's source, DenseNet (sec. 4.2)."""

LIMITS = ("train_limit", "validation_limit")
"""What a search leaves out of the data to save time, and a final training does not."""


class Size(StrEnum):
    """Sizes of language models."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


def train(
    what: Annotated[str | None, typer.Argument(metavar="RUN|ARCH.json|NAME", help="As for netwright show.")] = None,
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    recipe: Annotated[str | None, typer.Option(help="Take data and training from this recipe.")] = None,
    data: Annotated[str | None, typer.Option(help="Data source.")] = None,
    size: Annotated[Size | None, typer.Option(help="Of a language model: Zaremba's small, medium or large.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Six times the search's without it.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Train so many times, from seeds 0, 1, ...")] = 1,
    out: Annotated[Path | None, typer.Option(help="The folder to make; RUN/trials/ID/training for a trial.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; repeatable.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the training of this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on standard output.")] = False,
) -> None:
    """Train an architecture to the end, on all training data of the source, and test it once."""
    if resume is not None:
        if what is not None:
            raise UsageError(f"{what}: what is trained was fixed when {resume} began; leave it out")
        folder = resume
        if not (folder / "config.toml").is_file():
            raise UsageError(f"{folder} holds no training: there is no config.toml in it")
        config = load_config(folder / "config.toml")
        network = training_network(folder)
    else:
        if what is None:
            raise UsageError("name what to train: a run folder, an architecture file or a published name")
        network = find_network(what, trial)
        if network.training == Path(what):
            raise UsageError(f"{what} is a training already; go on with it by --resume {what}")
        config = _final_config(what, network, recipe, size, epochs)
        changes = {"data.source": data, "search.device": device}
        given = {path: value for path, value in changes.items() if value is not None}
        config = override(config, parse_assignments(settings or []) | given)
        folder = out or network.training or Path("runs") / f"train-{Path(what).stem}-{datetime.now():%Y%m%d-%H%M%S}"
        if (folder / "config.toml").exists():
            raise UsageError(f"{folder} holds a training; go on with it by --resume {folder}, or name another --out")

    with run_lock(folder, new=resume is None):
        result = _train(folder, config, network, seeds, new=resume is None)
    if as_json:
        typer.echo(json.dumps(result | {"folder": str(folder)}, allow_nan=False))
    else:
        spread = f" +- {result['test_std']:.4f} over {seeds} seeds" if seeds > 1 else ""
        typer.echo(f"test {result['test_mean']:.4f}{spread}\nweights and results: {folder}")


def _train(folder: Path, config: ExperimentConfig, network: Network, seeds: int, *, new: bool) -> dict[str, Any]:
    """Trains the seeds that a folder lacks, under its lock; returns what its ``result.json`` holds."""
    from netwright.networks.training import train_seeds

    images_or_text = load_data(config)
    if new:
        begin = _child_maker(config, network, images_or_text)
        write_together(
            {
                folder / "architecture.json": network.architecture.canonical_json() + "\n",
                folder / "task.json": json.dumps(describe_task(images_or_text)) + "\n",
                folder / "config.toml": config.to_toml(),
            }
        )
    else:
        begin = _child_maker_as_before(config, network, images_or_text)
    progress = _Progress(config.child.epochs * seeds)
    try:
        return train_seeds(begin, config.child.epochs, seeds, folder, progress.show)
    except KeyboardInterrupt:
        print(f"stopped, and saved; to go on: netwright train --resume {folder} --seeds {seeds}", file=sys.stderr)
        raise


def retrain(network: Network, seed: int) -> None:
    """Trains a seed of a training anew whose weights are damaged or gone, as it was trained at first; says so.

    Args:
        network: That of the training; see :func:`netwright.networks.network.training_network`.
        seed: Which one.

    Raises:
        DataError: The data cannot be read any more, or are others than at the beginning.
        NetwrightError: As :func:`netwright.networks.training.retrain_seed` says; or another process trains there.
    """
    from netwright.networks.training import retrain_seed

    config, folder = network.config, network.training
    assert config is not None
    assert folder is not None
    with run_lock(folder, new=False):
        begin, epochs = _child_maker_as_before(config, network, load_data(config)), config.child.epochs
        print(f"{folder}: training seed {seed} anew, {epochs} epochs", file=sys.stderr)
        try:
            kept = retrain_seed(begin, epochs, seed, folder, _Progress(epochs).show)
        except KeyboardInterrupt:
            print("stopped, and saved; the same command goes on", file=sys.stderr)
            raise
    if kept is not None:
        print(f"the damaged weights are kept as {kept}", file=sys.stderr)


def _child_maker(
    config: ExperimentConfig, network: Network, data: ImageData | TextData
) -> Callable[[int], Child[nn.Module]]:
    """What makes the child of a seed, before its first epoch."""
    from netwright.children.devices import find_devices

    evaluator = make_evaluator(config, data, find_devices(config.search.device)[0])
    return lambda seed: evaluator.begin(network.architecture, seed)


def _child_maker_as_before(
    config: ExperimentConfig, network: Network, data: ImageData | TextData
) -> Callable[[int], Child[nn.Module]]:
    """As :func:`_child_maker`, for a training that goes on: with data of the shape that it began with.

    Raises:
        DataError: The source has another size of image, other classes or another vocabulary by now.
    """
    task: dict[str, object] = json.loads(json.dumps(describe_task(data)))
    if unlike := [name for name in task if task[name] != network.task.get(name)]:
        raise DataError(
            f"{data.name}: not what the training in {network.training} began with (unlike {', '.join(unlike)}); put "
            "the data back, or train into another folder"
        )
    return _child_maker(config, network, data)


def _final_config(
    what: str, network: Network, recipe: str | None, size: Size | None, epochs: int | None
) -> ExperimentConfig:
    """The configuration that comes with the network, or that of a recipe, with all training data and more epochs."""
    config = network.config if recipe is None else find_recipe(recipe)
    if config is None:
        raise UsageError(f"{what}: name a --recipe to take data and training from")
    child = config.child
    if size is not None:
        if not isinstance(child, LanguageModelTraining):
            raise UsageError(f"--size {size}: for language models, and {what} is none")
        child = ZAREMBA[size]
    longer = LONGER if isinstance(child, ImageTraining) else 1
    data = config.data.model_copy(update={limit: None for limit in LIMITS if limit in type(config.data).model_fields})
    child = child.model_copy(update={"epochs": epochs or child.epochs * longer})
    return config.model_copy(update={"data": data, "child": child})


class _Progress:
    """A line per epoch, with the time that is left."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._seen = 0
        self._started = time.monotonic()

    def show(self, seed: int, epoch: int, loss: float, valid: float) -> None:
        self._seen += 1
        left = (time.monotonic() - self._started) / self._seen * (self._epochs - self._seen)
        print(
            f"seed {seed}  epoch {epoch}  train loss {loss:.4f}  valid {valid:.4f}"
            f"  ETA {timedelta(seconds=round(left))}",
            file=sys.stderr,
            flush=True,
        )
