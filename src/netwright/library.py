"""The front door from Python: run a search with parts of your own, open a run, take its best network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from rich.console import Console

from netwright.answer import best_row, best_rows, verdict_in
from netwright.config import FROM_PYTHON, NO_REFERENCES, ExperimentConfig, OwnDataSettings, OwnReward, Space
from netwright.errors import UsageError
from netwright.experiment import OwnParts, data_name, prepare, refuse_other_data
from netwright.front import PricedNetwork
from netwright.handed_over import (
    as_evaluator,
    as_path,
    check_data,
    check_observer,
    check_space,
    check_strategy,
    check_task,
    refuse_settings_of_data,
    refuse_wrong_place,
)
from netwright.interrupts import resumable
from netwright.networks.finding import find_trial, trial_network
from netwright.networks.lead import Lead, lead_of
from netwright.networks.network import Network
from netwright.networks.tuning import candidates_of, prepare_tuning, tuning_of
from netwright.recipes import find_recipe
from netwright.report.front import fronts_of
from netwright.report.progress import Progress, progress_of
from netwright.report.summary import run_summary_text
from netwright.search.executor import Evaluator
from netwright.search.loop import Observer
from netwright.search.observers import Observers
from netwright.search.reward import RewardFunction
from netwright.search.strategy import Strategy
from netwright.search.verdict import Verdict
from netwright.session import check_cluster, resumed, run
from netwright.settings_file import override
from netwright.spaces.base import SearchSpace
from netwright.store.lock import run_lock
from netwright.store.ranking import searched
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import FINGERPRINT, REFERENCES
from netwright.tasks import KINDS, Data, Kind, kind_of
from netwright.verdicts import prepare_verdict, verdict_as, wanted_verdict

if TYPE_CHECKING:
    from pandas import DataFrame


def run_search(
    recipe: str | ExperimentConfig = "digits",
    out: str | Path = "runs/search",
    *,
    task: Kind | None = None,
    data: Data | None = None,
    space: SearchSpace | None = None,
    strategy: Strategy | None = None,
    evaluator: Evaluator | None = None,
    reward: RewardFunction | None = None,
    trials: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, object] | None = None,
    verdict: bool = True,
    progress: bool | None = None,
    observer: Observer | None = None,
    ray_address: str | None = None,
) -> Run:
    """Runs a search; where ``out`` holds an unfinished one, resumes it.

    Worker processes are spawned and import the main module, so a script calls this below
    ``if __name__ == "__main__":``. A notebook has no such module, and needs none: its classes and functions are sent.

    Args:
        recipe: A recipe's name, the path of a TOML file, or a configuration.
        out: The run folder.
        task: A kind of task of your own, instead of the recipe's; with ``data`` of that kind.
        data: What children learn from, instead of the recipe's source.
        space: What is searched, instead of the recipe's space.
        strategy: Who proposes, instead of the recipe's strategy; a fresh one, made in the call.
        evaluator: What tells an architecture's worth, instead of training a child. A built-in recipe then has no
            verdict, which is about the recipe's own children, unless ``settings`` name one.
        reward: What the controller learns from, instead of the recipe's reward: a function of an
            :class:`~netwright.trial.Evaluation`, whose ``metrics`` hold what a network costs. The more, the better; all
            above what a failed child earns, 0 unless ``settings`` have another ``reward.floor``.
        trials: Architectures to evaluate in all, instead of the recipe's number.
        seed: The one seed of the run, instead of the recipe's.
        settings: Further changes to the recipe, e.g. ``{"child.epochs": 3}``.
        verdict: Whether networks drawn by hand are trained beside the search, and its best once more from fresh seeds,
            so that it ends with an answer; where the recipe does so.
        progress: Whether to show how the search does, on standard error; without it, on a terminal and in a notebook.
        observer: Is shown every trial.
        ray_address: The cluster, where ``settings`` have ``{"search.executor": "ray"}``: ``auto``, or ``HOST:PORT``;
            without it that of ``RAY_ADDRESS``, or Ray on this machine. A process that is connected to Ray already
            stays where it is.

    Returns:
        The run, open for reading.

    Raises:
        UsageError: ``out`` holds another search; names the setting and both values.
        RunLockedError: Another process searches there.
        NetwrightError: As :func:`netwright.experiment.prepare` and :func:`netwright.session.run` say.
    """
    refuse_wrong_place()
    path = as_path("out", out)
    evaluator = _checked(task, data, space, strategy, evaluator, observer, settings)
    if reward is not None and not callable(reward):
        raise UsageError(f"reward: expected a function of an Evaluation, got {reward!r}")
    config = recipe if isinstance(recipe, ExperimentConfig) else find_recipe(str(as_path("recipe", recipe)))
    totals = {"search.trials": trials, "search.seed": seed}
    own = OwnParts(kind=task, data=data, space=space, strategy=strategy, evaluator=evaluator, reward=reward)
    config = _without(config if verdict else config.model_copy(update=NO_REFERENCES), own)
    changes = {path: value for path, value in totals.items() if value is not None} | dict(settings or {})
    config = override(config, changes).located()
    new = not (path / "config.toml").exists()
    check_cluster(config, ray_address, None if new else changes)
    again = f"to resume, call run_search in the same way once more, with {str(path)!r}"
    with resumable(again), run_lock(path, new=new):
        if new:
            parts = prepare(config, own)
            folder = RunFolder.create(path, parts.config, parts.task, report=parts.report)
        else:
            folder = RunFolder.open(path, read_only=False)
            there = folder.task()
            before = resumed(folder.config.located(), config, path, fingerprint=there.get(FINGERPRINT))
            parts = prepare(before, own, run=path, known=there.get(REFERENCES, {}))
            refuse_other_data(there, parts.task, path, data_name(data, config))
            folder.set_config(parts.config)
        with closing(folder.store), _progress(folder, wanted=progress) as shown:
            observers = Observers(shown, *([] if observer is None else [observer]))
            run(folder, parts, observers, ray_address=ray_address)
    return load_run(path, task)


def _checked(
    task: Kind | None,
    data: Data | None,
    space: SearchSpace | None,
    strategy: Strategy | None,
    evaluator: Evaluator | None,
    observer: Observer | None,
    settings: Mapping[str, object] | None,
) -> Evaluator | None:
    """Checks what a person hands over; see :mod:`netwright.handed_over`. The evaluator, which may be a function.

    Raises:
        UsageError: Something is not what it should be; names it.
    """
    checks: tuple[tuple[object, Callable[[Any], None]], ...] = (
        (task, check_task),
        (data, check_data),
        (space, check_space),
        (strategy, check_strategy),
        (observer, check_observer),
    )
    for given, check in checks:
        if given is not None:
            check(given)
    if not isinstance(settings, Mapping | None):
        raise UsageError(f"settings: expected values by name, e.g. {{'child.epochs': 3}}, got {settings!r}")
    if data is not None:
        refuse_settings_of_data(settings or {})
    return None if evaluator is None else as_evaluator(evaluator)


def _progress(folder: RunFolder, *, wanted: bool | None, searching: bool = True) -> Progress:
    """Shows a search to a person where one is likely to look."""
    console = Console(stderr=True)
    quiet = not (console.is_terminal or console.is_jupyter) if wanted is None else not wanted
    return progress_of(folder, console, quiet=quiet, searching=searching)


def _without(config: ExperimentConfig, own: OwnParts) -> ExperimentConfig:
    """The configuration that says which parts come from Python, so that nobody resumes without them."""
    changes: dict[str, object] = {}
    if own.space is not None:
        # Some spaces are their own configuration; a depth schedule counts the layers of the recipe's space.
        in_a_file = isinstance(own.space, get_args(Space))
        changes |= {"space": own.space if in_a_file else None, "depth": None}
    if own.kind is not None and own.kind.name not in KINDS:
        changes |= {"data": OwnDataSettings(name=own.kind.name), "child": own.kind.training, **NO_REFERENCES}
    elif own.data is not None or own.evaluator is not None:
        changes["data"] = type(config.data)(source=FROM_PYTHON)  # no other setting of them applies
    if own.evaluator is not None or (own.space is not None and not in_a_file):
        changes |= NO_REFERENCES  # nobody has drawn networks for it
    if own.reward is not None:
        before = config.reward
        changes["reward"] = OwnReward(floor=before.floor, lower_is_better=before.lower_is_better)
    if own.strategy is not None:
        changes["strategy"] = config.strategy.model_copy(update={"name": FROM_PYTHON, "options": {}})
    return config.model_copy(update=changes)


class Run:
    """A search, finished or under way, open for reading.

    Args:
        folder: Its run folder.
        kind: Its kind of task, where that is not built in.
    """

    def __init__(self, folder: RunFolder, kind: Kind | None = None) -> None:
        self.folder = folder
        self.kind = kind

    @property
    def config(self) -> ExperimentConfig:
        """What is searched, and how."""
        return self.folder.config

    def trials(self) -> DataFrame:
        """All trials by number, a row each; what was measured stands in columns named after it, such as ``valid``.

        Further columns: ``phase`` (``reference``, ``search`` or ``final``), ``state``, ``reward``, ``tokens``,
        ``architecture`` (canonical JSON), ``curve`` (the validation number after each epoch), ``failure`` and
        ``error``, ``started_at`` and ``finished_at`` (UTC), ``seconds`` and ``worker``. What was measured under one of
        these names stands in ``metric_<name>``.
        """
        import pandas

        columns = (
            "phase",
            "state",
            "reward",
            "tokens",
            "architecture",
            "curve",
            "failure",
            "error",
            "seconds",
            "worker",
        )
        taken = {*columns, "started_at", "finished_at"}
        rows = self.folder.store.rows()
        frame = pandas.DataFrame(
            [
                {name: getattr(row, name) for name in columns}
                | {f"metric_{name}" if name in taken else name: value for name, value in row.measured.items()}
                for row in rows
            ],
            index=pandas.Index([row.id for row in rows], name="id"),
            columns=None if rows else [*columns, "valid"],
        )
        if "valid" not in frame:  # all have failed
            frame["valid"] = float("nan")
        for name in ("started_at", "finished_at"):
            frame[name] = pandas.to_datetime([getattr(row, name) for row in rows], utc=True, format="ISO8601")
        for name in ("phase", "state"):
            frame[name] = frame[name].astype(str)
        return frame

    @property
    def best(self) -> Network:
        """The network of the verdict or, without one, of the highest reward; with its weights once it was trained.

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
        network = trial_network(self.folder, find_trial(self.folder, str(trial)), self.kind)
        return network.trained() if network.is_trained() else network

    @property
    def verdict(self) -> Verdict | None:
        """What the search came to, held against networks drawn by hand; None where the run has no answer yet."""
        return verdict_in(self.folder)

    @property
    def lead(self) -> Lead | None:
        """How far the found network is ahead of the best one drawn by hand when both are trained to the end.

        None until both are, in the same way, as ``netwright train RUN --compare`` trains them.
        """
        return lead_of(self.folder)

    def front(self, cost: str = "parameters") -> list[PricedNetwork]:
        """The networks that nothing cheaper beats, references among them, by rising cost.

        ``run.network(found.trial)`` is one of them as a network.

        Args:
            cost: ``parameters``, ``multiply_adds``, ``activation_bytes`` or ``latency_ms``.

        Raises:
            UsageError: No finished trial has this cost.
        """
        return fronts_of(self.folder, (cost,))[cost]

    def summary(self) -> str:
        """What the command line prints at the end: the best five trials, the best network drawn, how rewards moved."""
        return run_summary_text(self.folder)

    def __repr__(self) -> str:
        rows = searched(self.folder.store.rows())
        best = best_row(self.folder, rows)
        found = "" if best is None else f", best {best.valid:.4g} (trial {best.id})"
        return f"<Run {self.folder.path}: {self.config.name}, {len(rows)} trials{found}>"

    def _repr_html_(self) -> str:
        """The best network drawn, in a notebook."""
        drawing = "" if best_row(self.folder, self.folder.store.rows()) is None else self.best._repr_html_()
        return f"<p>{escape(repr(self))}</p>{drawing}"

    def close(self) -> None:
        """Ends the connection to the database."""
        self.folder.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def verdict(
    what: Run,
    *,
    seeds: int | None = None,
    finalists: int | None = None,
    references: Sequence[str | Path] = (),
    data: Data | None = None,
    reward: RewardFunction | None = None,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
    observer: Observer | None = None,
    ray_address: str | None = None,
) -> Verdict:
    """Trains the best of a search and networks drawn by hand from fresh seeds, and says which is better.

    For a run that has no verdict yet, such as one with ``verdict=False``; or for one of more trainings, or against
    other networks, which :attr:`Run.verdict` is from then on. What is trained already is not trained again.

    Args:
        what: A run whose children are trained on data.
        seeds: Last trainings of each network, which are compared; at least two.
        finalists: Networks of the search that are trained again before one is named.
        references: What it is held against: names of built-in networks, or paths of architecture files.
        data: What children learn from, where they came from Python.
        reward: What the controller learned from, where that came from Python.
        settings: Where it is computed, e.g. ``{"search.workers": 1}``; see :func:`run_search`.
        progress: See :func:`run_search`.
        observer: Is shown every trial.
        ray_address: See :func:`run_search`.

    Raises:
        UsageError: There is nothing to hold its networks against, the search found none, or a setting may not be
            changed any more.
        NetwrightError: As :func:`netwright.session.run` says.
    """
    refuse_wrong_place()
    path, names = what.folder.path, [str(reference) for reference in references]
    with resumable("to resume, call verdict in the same way once more"), run_lock(path, new=False):
        folder = RunFolder.open(path, read_only=False)
        with closing(folder.store):
            check_cluster(folder.config, ray_address, settings or {})
            kind = kind_of(folder.config, what.kind)
            known = folder.task().get(REFERENCES, {})
            wanted = wanted_verdict(
                folder.config, kind, seeds=seeds, finalists=finalists, references=names, known=known
            )
            own = OwnParts(kind=what.kind, data=data, reward=reward)
            if (parts := prepare_verdict(folder, wanted, own, changes=settings)) is not None:
                folder.set_config(parts.config)
                with _progress(folder, wanted=progress, searching=False) as shown:
                    observers = Observers(shown, *([] if observer is None else [observer]))
                    run(folder, parts, observers, ray_address=ray_address, searching=False)
    what.close()
    what.folder = RunFolder.open(path)  # with the settings that the verdict was come to by
    return verdict_as(what.folder, wanted)


def tune(
    what: Run | Network,
    out: str | Path = "runs/tuning",
    *,
    top: int = 1,
    trials: int | None = None,
    data: Data | None = None,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
    observer: Observer | None = None,
    ray_address: str | None = None,
) -> Run:
    """Tries a grid of training settings; ``best.train()`` of the result then takes the best of them.

    Args:
        what: A run, whose best network is tuned, or a network.
        out: The run folder of the tuning; one that was stopped is resumed.
        top: Tune so many of a run's best networks.
        trials: Try only so many points of the grid, drawn by the seed, instead of all.
        data: What they learn from, instead of the source that the run's configuration names.
        settings: Changes by path, e.g. ``{"tuning.grid.learning_rate": [0.05, 0.1], "child.epochs": 3}``.
        progress: See :func:`run_search`.
        observer: Is shown every trial.
        ray_address: See :func:`run_search`.

    Raises:
        UsageError: There is no network to tune, or nobody says how it is trained.
        NetwrightError: As :func:`netwright.session.run` says.
    """
    networks = _to_tune(what, top)
    kind = next(iter(networks.values())).kind
    path = Path(out)
    new = not (path / "config.toml").exists()
    with resumable(f"to resume, call tune in the same way once more, with {str(path)!r}"), run_lock(path, new=new):
        source = {} if data is None else {"data.source": FROM_PYTHON}
        config = tuning_of(list(networks.values()), {**(settings or {}), **source}, trials=trials)
        check_cluster(config, ray_address, settings or {})
        if new:
            candidates = {name: network.architecture for name, network in networks.items()}
            parts = prepare_tuning(config, candidates, searched=networks.values(), own=kind, data=data)
            folder = RunFolder.create(path, config, parts.task, report=parts.report)
        else:
            folder = RunFolder.open(path, read_only=False)
            there = folder.task()
            config = resumed(folder.config, config, path, fingerprint=there.get(FINGERPRINT))
            parts = prepare_tuning(config, candidates_of(there), own=kind, data=data)
            refuse_other_data(there, parts.task, path, data_name(data, config))
            folder.set_config(parts.config)
        with closing(folder.store), _progress(folder, wanted=progress) as shown:
            observers = Observers(shown, *([] if observer is None else [observer]))
            run(folder, parts, observers, ray_address=ray_address)
    return load_run(path, kind)


def _to_tune(what: Run | Network, top: int) -> dict[str, Network]:
    """The networks by name: the number of the trial, where they are of a run.

    Raises:
        UsageError: There is none.
    """
    if isinstance(what, Network):
        return {"network": replace(what, weights=None)}
    rows = best_rows(what.folder, what.folder.store.rows(), top)
    if not rows:
        raise UsageError(f"{what.folder.path} has no finished trial yet")
    return {str(row.id): trial_network(what.folder, row, what.kind) for row in rows}


def load_run(path: str | Path, task: Kind | None = None) -> Run:
    """Opens what a search, or a tuning, has left so far.

    Args:
        path: The run folder.
        task: Its kind of task, where that is not built in.

    Raises:
        UsageError: The folder holds no run.
        StorageError: Its database is damaged.
    """
    return Run(RunFolder.open(Path(path)), task)
