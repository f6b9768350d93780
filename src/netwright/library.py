"""The front door from Python: run a search with parts of your own, open a run, take its best network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

from netwright.answer import verdict_in
from netwright.config import ExperimentConfig
from netwright.experiment import FROM_PYTHON, OwnParts, prepare
from netwright.networks.finding import find_trial, trial_network
from netwright.networks.network import Network
from netwright.recipes import find_recipe
from netwright.report.summary import run_summary_text
from netwright.search.executor import Evaluator
from netwright.search.loop import Observer
from netwright.search.observers import Observers
from netwright.search.strategy import Strategy
from netwright.search.verdict import Verdict
from netwright.session import resumed, run
from netwright.settings_file import override
from netwright.spaces.base import SearchSpace
from netwright.spaces.conv import ConvSpace
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder

if TYPE_CHECKING:
    from pandas import DataFrame

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
) -> Run:
    """Runs a search; where ``out`` holds an unfinished one, goes on with it.

    Worker processes are spawned and import the main module anew, so a script calls this below
    ``if __name__ == "__main__":``. A notebook has no such module, and needs none: its classes and functions are sent.

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
        The run, open for reading.

    Raises:
        UsageError: ``out`` holds another search; names the setting and both values.
        RunLockedError: Another process searches there.
        NetwrightError: As :func:`netwright.experiment.prepare` and :func:`netwright.session.run` say.
    """
    config = find_recipe(recipe) if isinstance(recipe, str) else recipe
    totals = {"search.trials": trials, "search.seed": seed}
    config = override(config, {path: v for path, v in totals.items() if v is not None} | dict(settings or {}))
    own = OwnParts(data=data, space=space, strategy=strategy, evaluator=evaluator)
    config = _without(config, own)
    path = Path(out)
    new = not (path / "config.toml").exists()
    with run_lock(path, new=new):
        if new:
            parts = prepare(config, own)
            folder = RunFolder.create(path, parts.config, parts.task)
        else:
            folder = RunFolder.open(path, read_only=False)
            parts = prepare(resumed(folder.config, config, path), own)
            folder.set_config(parts.config)
        with closing(folder.store):
            run(folder, parts, Observers(*([] if observer is None else [observer])))
    return load_run(path)


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


class Run:
    """A search, finished or under way, open for reading.

    Args:
        folder: Its run folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @property
    def config(self) -> ExperimentConfig:
        """What is searched, and how."""
        return self.folder.config

    def trials(self) -> DataFrame:
        """All trials by number, a row each; what was measured stands in columns named after it, such as ``valid``.

        Further columns: ``state``, ``reward``, ``tokens``, ``architecture`` (canonical JSON), ``curve`` (the validation
        number after each epoch), ``failure`` and ``error``, ``started_at`` and ``finished_at`` (UTC), ``seconds`` and
        ``worker``.
        """
        import pandas

        columns = ("state", "reward", "tokens", "architecture", "curve", "failure", "error", "seconds", "worker")
        rows = self.folder.store.rows()
        frame = pandas.DataFrame(
            [{name: getattr(row, name) for name in columns} | row.measured for row in rows],
            index=pandas.Index([row.id for row in rows], name="id"),
            columns=None if rows else [*columns, "valid"],
        )
        for name in ("started_at", "finished_at"):
            frame[name] = pandas.to_datetime([getattr(row, name) for row in rows], utc=True, format="ISO8601")
        frame["state"] = frame["state"].astype(str)
        return frame

    @property
    def best(self) -> Network:
        """The network with the highest reward; with trained weights once ``netwright train`` has finished.

        Raises:
            UsageError: No trial is complete.
        """
        return self.network("best")

    def network(self, trial: int | str) -> Network:
        """The network of a trial by its number.

        Raises:
            UsageError: There is no such trial.
            DamagedWeightsError: It was trained, and the weights cannot be read.
        """
        network = trial_network(self.folder, find_trial(self.folder, str(trial)))
        return network.trained() if network.is_trained() else network

    @property
    def verdict(self) -> Verdict | None:
        """What the search came to, held against networks drawn by hand; None where the run has no answer yet."""
        return verdict_in(self.folder)

    def summary(self) -> str:
        """What the command line prints at the end: the best five trials, the best network drawn, how rewards moved."""
        return run_summary_text(self.folder)

    def close(self) -> None:
        """Ends the connection to the database."""
        self.folder.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def load_run(path: str | Path) -> Run:
    """Opens what a search, or a tuning, has left so far.

    Raises:
        UsageError: The folder holds no run.
        StorageError: Its database is damaged.
    """
    return Run(RunFolder.open(Path(path)))
