"""The front door from Python: run a search with parts of your own, open a run, take its best network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from netwright.config import ExperimentConfig, override
from netwright.experiment import OwnParts, prepare, run
from netwright.recipes import find_recipe
from netwright.search.executor import Evaluator, Job
from netwright.search.loop import Observer
from netwright.search.strategy import Strategy
from netwright.spaces.base import SearchSpace
from netwright.store.run_folder import RunFolder
from netwright.trial import Outcome, Trial, Update

if TYPE_CHECKING:
    from netwright.data.images import ImageData


def run_search(
    recipe: str | ExperimentConfig = "digits",
    out: str | Path = "runs/search",
    *,
    data: ImageData | None = None,
    space: SearchSpace | None = None,
    strategy: Strategy | None = None,
    evaluator: Evaluator | None = None,
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
        settings: Changes to the recipe, e.g. ``{"search.trials": 20}``.
        observer: Is shown every trial.

    Returns:
        The run folder, open for reading.

    Raises:
        NetwrightError: As :func:`netwright.experiment.prepare` and :func:`netwright.experiment.run` say.
    """
    config = find_recipe(recipe) if isinstance(recipe, str) else recipe
    config = override(config, settings or {})
    parts = prepare(config, OwnParts(data=data, space=space, strategy=strategy, evaluator=evaluator))
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


class Silence:
    """An observer that shows nothing."""

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`."""
