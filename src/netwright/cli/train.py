"""``netwright train``: trains one architecture to the end, and tests it once."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.show import find_architecture
from netwright.config import ExperimentConfig, ImageTraining, load_config, override, parse_assignments
from netwright.errors import UsageError
from netwright.experiment import describe_task, load_data, make_evaluator
from netwright.recipes import find_recipe
from netwright.spaces.architecture import Architecture, parse_architecture
from netwright.store.files import write_atomically
from netwright.store.run_folder import RunFolder

LONGER = 6
"""Epochs of a final training over epochs of a child: 300 to 50 in the paper's source, DenseNet (sec. 4.2)."""

RECIPES_BY_KIND = {"conv": "cifar10", "recurrent_cell": "penn-treebank"}
"""The experiment from which an architecture without a run takes its data and training."""


def train(
    what: Annotated[str | None, typer.Argument(metavar="RUN|ARCH.json|NAME", help="As for netwright show.")] = None,
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    recipe: Annotated[str | None, typer.Option(help="Take data and training from this recipe.")] = None,
    data: Annotated[str | None, typer.Option(help="Data source.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Six times the search's without it.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Train so many times, from seeds 0, 1, ...")] = 1,
    out: Annotated[Path | None, typer.Option(help="The folder to make.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; repeatable.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the training of this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on standard output.")] = False,
) -> None:
    """Train an architecture to the end, on all training data of the source, and test it once."""
    from netwright.children.devices import find_devices
    from netwright.final_training import train_seeds

    if resume is not None:
        if what is not None:
            raise UsageError(f"{what}: what is trained was fixed when {resume} began; leave it out")
        folder = resume
        if not (folder / "config.toml").is_file():
            raise UsageError(f"{folder} holds no training: there is no config.toml in it")
        config = load_config(folder / "config.toml")
        architecture = parse_architecture((folder / "architecture.json").read_bytes(), str(folder))
    else:
        if what is None:
            raise UsageError("name what to train: a run folder, an architecture file or a published name")
        architecture, _ = find_architecture(what, trial)
        config = _final_config(what, architecture, recipe, epochs)
        changes = {"data.source": data, "search.device": device}
        given = {path: value for path, value in changes.items() if value is not None}
        config = override(config, parse_assignments(settings or []) | given)
        folder = out or Path("runs") / f"train-{Path(what).stem}-{datetime.now():%Y%m%d-%H%M%S}"
        RunFolder.refuse_used(folder)

    images_or_text = load_data(config)
    evaluator = make_evaluator(config, images_or_text, find_devices(config.search.device)[0])
    if resume is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "architecture.json", architecture.canonical_json() + "\n")
        write_atomically(folder / "task.json", json.dumps(describe_task(images_or_text)) + "\n")
        write_atomically(folder / "config.toml", config.to_toml())
    progress = _Progress(config.child.epochs * seeds)
    try:
        result = train_seeds(
            lambda seed: evaluator.begin(architecture, seed), config.child.epochs, seeds, folder, progress.show
        )
    except KeyboardInterrupt:
        print(f"stopped, and saved; to go on: netwright train --resume {folder} --seeds {seeds}", file=sys.stderr)
        raise
    if as_json:
        typer.echo(json.dumps(result | {"folder": str(folder)}, allow_nan=False))
    else:
        spread = f" +- {result['test_std']:.4f} over {seeds} seeds" if seeds > 1 else ""
        typer.echo(f"test {result['test_mean']:.4f}{spread}\nweights and results: {folder}")


def _final_config(what: str, architecture: Architecture, recipe: str | None, epochs: int | None) -> ExperimentConfig:
    """The configuration of the search that found it, or of a recipe, with all training data and more epochs."""
    if recipe is not None:
        config = find_recipe(recipe)
    elif Path(what).is_dir():
        config = RunFolder.open(Path(what)).config
    elif architecture.kind in RECIPES_BY_KIND:
        config = find_recipe(RECIPES_BY_KIND[architecture.kind])
    else:
        raise UsageError(f"{what}: name a --recipe to take data and training from")
    longer = LONGER if isinstance(config.child, ImageTraining) else 1
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"train_limit": None, "validation_limit": None}),
            "child": config.child.model_copy(update={"epochs": epochs or config.child.epochs * longer}),
        }
    )


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
