"""The front door from Python: run a search with parts of your own, open a run, take its best network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from netwright.config import ExperimentConfig, override
from netwright.errors import UsageError
from netwright.experiment import FROM_PYTHON, OwnParts, prepare, run
from netwright.recipes import find_recipe
from netwright.report.summary import best_trial, run_summary_text
from netwright.search.executor import Evaluator, Job
from netwright.search.loop import Observer
from netwright.search.strategy import Strategy
from netwright.spaces.architecture import Architecture, ConvArchitecture, parse_architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape
from netwright.store.run_folder import RunFolder
from netwright.trial import Outcome, Trial, Update

if TYPE_CHECKING:
    from torch import nn

    from netwright.data.images import ImageData


def run_search(
    recipe: str | ExperimentConfig = "digits",
    out: str | Path = "runs/search",
    *,
    data: ImageData | None = None,
    space: SearchSpace | None = None,
    strategy: Strategy | None = None,
    evaluator: Evaluator | None = None,
    trials: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> RunFolder:
    """Runs a search; where ``out`` holds an unfinished one, goes on with it.

    Worker processes are spawned and import the main module anew, so a script calls this below
    ``if __name__ == "__main__":``.

    Args:
        recipe: A recipe's name, the path of a TOML file, or a configuration.
        out: The run folder.
        data: What children learn from, instead of the recipe's source.
        space: What is searched, instead of the recipe's space.
        strategy: Who proposes, instead of the recipe's strategy; fresh.
        evaluator: What tells an architecture's worth, instead of training a child.
        trials: Architectures to evaluate in all, instead of the recipe's number.
        seed: The one seed of the run, instead of the recipe's.
        settings: Further changes to the recipe, e.g. ``{"child.epochs": 3}``.
        observer: Is shown every trial.

    Returns:
        The run folder, open for reading.

    Raises:
        NetwrightError: As :func:`netwright.experiment.prepare` and :func:`netwright.experiment.run` say.
    """
    config = find_recipe(recipe) if isinstance(recipe, str) else recipe
    totals = {"search.trials": trials, "search.seed": seed}
    config = override(config, {path: v for path, v in totals.items() if v is not None} | dict(settings or {}))
    own = OwnParts(data=data, space=space, strategy=strategy, evaluator=evaluator)
    config = _without(config, own)
    parts = prepare(config, own)
    path = Path(out)
    if (path / "config.toml").exists():
        folder = RunFolder.open(path, read_only=False)
    else:
        folder = RunFolder.create(path, config, parts.task)
    with folder.lock():
        folder.set_config(config)
        run(folder, parts, observer or Silence())
    folder.store.close()
    return RunFolder.open(path)


def _without(config: ExperimentConfig, own: OwnParts) -> ExperimentConfig:
    """The configuration that says which parts come from Python, so that nobody goes on without them."""
    changes: dict[str, object] = {}
    if own.space is not None:
        # A convolutional space is its own configuration; a depth schedule counts the layers of the recipe's space.
        changes |= {"space": own.space if isinstance(own.space, ConvSpace) else None, "depth": None}
    if own.data is not None or own.evaluator is not None:
        changes["data"] = config.data.model_copy(update={"source": FROM_PYTHON})
    if own.strategy is not None:
        changes["strategy"] = config.strategy.model_copy(update={"name": FROM_PYTHON, "options": {}})
    return config.model_copy(update=changes)


def best_architecture(run: RunFolder) -> Architecture:
    """The architecture with the highest reward.

    Raises:
        UsageError: No trial of the run is complete.
    """
    best = best_trial(run.store.rows())
    if best is None:
        raise UsageError(f"{run.path} has no complete trial")
    return parse_architecture(best.architecture, f"trial {best.id}")


def build_network(run: RunFolder, architecture: Architecture | None = None) -> nn.Module:
    """A convolutional network of a run as an ordinary module, with fresh weights: images [N, C, H, W] -> logits.

    Args:
        run: Tells the shape of the images and the number of classes.
        architecture: Which one; None means the best.

    Raises:
        UsageError: It is no convolutional network, or the run was not one on images.
    """
    from netwright.children.conv_net import ConvNet

    architecture = architecture or best_architecture(run)
    task = run.task()
    if not isinstance(architecture, ConvArchitecture) or "image" not in task:
        raise UsageError(f"expected a convolutional network of a search on images, got kind {architecture.kind!r}")
    return ConvNet(architecture, Shape(*task["image"]), len(task["classes"]))


def summarize(run: RunFolder) -> str:
    """What the command line prints at the end: the best five trials, the best network drawn, how rewards moved."""
    return run_summary_text(run)


class Silence:
    """An observer that shows nothing."""

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`."""
