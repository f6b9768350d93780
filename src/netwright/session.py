"""A session: one run of a search, fresh or resumed, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.config import FROM_PYTHON, ExperimentConfig
from netwright.errors import UsageError
from netwright.experiment import Parts, Say, threads_of
from netwright.phases import Phases, deadline, take_over_initial
from netwright.search.executor import Job
from netwright.search.loop import Observer
from netwright.search.observers import Doubts, Observers
from netwright.search.shortcuts import Shortcuts
from netwright.settings_file import override
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.store.history import History
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import FINGERPRINT
from netwright.tasks import measure_of
from netwright.trial import Evaluation, Outcome, Phase, Trial, Update

if TYPE_CHECKING:  # torch is imported when a search runs, not when its configuration is read
    from netwright.runtime.driver import Driver
    from netwright.runtime.ray.replicas import Assignment
    from netwright.strategies.reinforce import Reinforce

_log = logging.getLogger(__name__)


def run(
    folder: RunFolder,
    parts: Parts,
    observer: Observer,
    *,
    ray_address: str | None = None,
    say: Say = _log.info,
    searching: bool = True,
) -> None:
    """Runs the search of a run folder to its end, from wherever it stands.

    Args:
        folder: Open for writing, with its lock held.
        parts: Made by :func:`prepare` from the folder's configuration.
        observer: Is shown everything.
        ray_address: The cluster, where the search runs on one; see :func:`cluster_address`.
        say: Is told where the run stands, for a person.
        searching: Whether to search; otherwise only the trainings for its answer are run.

    Raises:
        AllChildrenFailError: Too many failures in a row.
        StorageError: The folder cannot be written.
        UsageError: The search runs on Ray, which is not installed, or not at the address.
    """
    from netwright.children.devices import torch_threads

    run_on = partial(_run_on_ray, address=ray_address) if folder.config.search.executor == "ray" else _run_here
    folder.set_samples(parts.samples)
    threads = folder.config.search.controller_threads
    with folder.counting(), torch_threads(threads) if threads else nullcontext():
        run_on(
            folder,
            parts,
            Observers(observer, _TimeKeeper(folder), Doubts(folder.config.reward)),
            say,
            searching=searching,
        )


class _TimeKeeper:
    """An observer that has the folder count the time of its session: in the one thread that writes the database."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""
        self._folder.count_time()

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""
        self._folder.count_time()

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`; the trial's own transaction has counted already."""


def _run_here(folder: RunFolder, parts: Parts, observer: Observer, say: Say, *, searching: bool) -> None:
    """Runs a search whose children are trained by processes of this machine."""
    from netwright.children.devices import cores
    from netwright.runtime.process_pool import ProcessPool
    from netwright.strategies.reinforce import Reinforce

    config = folder.config
    workers = len(parts.evaluators)
    if workers > cores() and config.search.device in ("auto", "cpu"):
        _log.warning(
            "%d workers on %d cores: children wait for each other; one worker per core is the default",
            workers,
            cores(),
        )
    shortcuts = _shortcuts(folder, parts.space, parts.strategy.batch if isinstance(parts.strategy, Reinforce) else 1)
    pool = ProcessPool(
        parts.evaluators,
        threads=threads_of(config),
        seconds=config.search.child_seconds,
        memory_mb=config.search.child_memory_mb,
        on_epoch=observer.progressed,
        logs=folder.logs,
    )
    with closing(pool):
        Phases(folder, parts, pool, observer, say).run(shortcuts, searching=searching)


def _shortcuts(folder: RunFolder, space: SearchSpace, batch: int) -> Shortcuts:
    """What saves training time (reuse, early stopping), with the results of earlier sessions.

    Args:
        folder: Of the run.
        space: What is searched.
        batch: Trials that the strategy waits for together; 1 where it waits for none.
    """
    config = folder.config
    return Shortcuts(
        stopping=config.stopping,
        batch=batch,
        lower_is_better=measure_of(config, folder.task()).lower_is_better,
        curves=folder.history.searched.curves if config.stopping is not None else {},
        known=known_evaluations(folder.history.searched, space) if config.search.duplicates == "reuse" else None,
    )


def _run_on_ray(
    folder: RunFolder, parts: Parts, observer: Observer, say: Say, *, searching: bool, address: str | None
) -> None:
    """Runs a search on a cluster: the controller's by replicas and a parameter server, any other by workers alone."""
    require_ray()
    from netwright.runtime.ray.child_actor import LogFolder
    from netwright.runtime.ray.children import RayChildren
    from netwright.runtime.ray.cluster import Cluster
    from netwright.runtime.ray.connection import connected
    from netwright.runtime.ray.packing import put
    from netwright.strategies.reinforce import Reinforce

    config, verdict = folder.config, folder.config.verdict

    def children(evaluator: Any) -> RayChildren:
        return RayChildren(
            evaluator,
            config.cluster.places,
            config.cluster,
            threads=config.search.threads,
            seconds=config.search.child_seconds,
            memory_mb=config.search.child_memory_mb,
            on_epoch=observer.progressed,
            logs=LogFolder.here(folder.logs),
        )

    with connected(cluster_address(address), cpus=config.search.workers or None):
        evaluator = put(parts.evaluators[0])
        if not isinstance(parts.strategy, Reinforce):
            shortcuts = _shortcuts(folder, parts.space, batch=1)
            with closing(children(evaluator)) as executor:
                Phases(folder, parts, executor, observer, say).run(shortcuts, searching=searching)
            return
        if searching:
            driver, plan = _replicas(folder, parts, parts.strategy, observer, evaluator)
            with closing(Cluster(driver, plan)) as cluster:
                cluster.run()
        if verdict is not None and verdict.at_end:  # the references, too: replicas have no use for them before
            with closing(children(evaluator)) as executor:
                Phases(folder, parts, executor, observer, say).answer(verdict)


def _replicas(
    folder: RunFolder, parts: Parts, strategy: Reinforce, observer: Observer, evaluator: Any
) -> tuple[Driver, Assignment]:
    """The driver of a search by replicas, where the folder's last session left it, and the plan for the replicas."""
    from netwright.runtime.driver import Driver
    from netwright.runtime.parameter_server import divide, split_state
    from netwright.runtime.ray.child_actor import LogFolder
    from netwright.runtime.ray.replicas import Assignment

    config, searched = folder.config, folder.history.searched
    late = time.monotonic() >= deadline(folder)  # nothing more is searched then
    if not late and any(row.phase is not Phase.SEARCH and row.id < config.search.trials for row in folder.history.rows):
        raise UsageError(
            f"{folder.path}: the trainings of its answer stand between the trials of its search, so replicas cannot "
            "continue it; start a new search, with --no-verdict if more trials may be wanted later"
        )
    take_over_initial(strategy, folder)
    weights = divide(dict(strategy.learner.policy.named_parameters()), config.cluster.shards)
    driver = Driver(
        folder,
        observer,
        begun=searched.begun,
        told=searched.told,
        trials=config.search.trials,
        batch=config.cluster.children,
        shards=split_state(next(folder.checkpoints(), None) or strategy.state(), weights),
        deadline=deadline(folder),
        seed=config.search.seed,
    )
    plan = Assignment(
        space=parts.space,
        curriculum=strategy.curriculum,
        learner=strategy.learner.settings,
        search=config.search,
        score=parts.score,
        excess=parts.excess,
        cluster=config.cluster,
        parts=weights,
        evaluator=evaluator,
        shortcuts=_shortcuts(folder, parts.space, config.cluster.children),
        logs=LogFolder.here(folder.logs),
    )
    return driver, plan


MAY_CHANGE = ("trials", "hours", "workers", "device")
"""Settings of ``search`` that a resumption may change: how long, and where."""

SOURCE = "data.source"
"""The setting that a resumption may change where the folder knows its data by their fingerprint: data may be moved."""

MEASURED = ("threads", "calibrate")
"""Settings of ``search`` that belong to the machine: a resumption takes them from the folder, whatever it asks for."""


def resumed(
    there: ExperimentConfig, asked: ExperimentConfig, path: Path, *, fingerprint: str | None = None
) -> ExperimentConfig:
    """The configuration with which a search is resumed.

    Everything is as the run folder has it but :data:`MAY_CHANGE` and, with a fingerprint, :data:`SOURCE`.
    ``search.workers`` of 0 leaves the folder's number; where calibration chose the folder's ``search.threads``, another
    number shares the cores out again.

    Args:
        there: The run folder's configuration.
        asked: What the caller wants.
        path: The run folder, for messages.
        fingerprint: Of the folder's data, which whoever resumes compares with those that are read
            (:func:`netwright.experiment.refuse_other_data`); None for a folder that knows none.

    Raises:
        UsageError: Anything else differs, so that it is another search; names each key with both values.
    """
    before, wanted = _flat(there.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    free = {f"search.{name}" for name in (*MAY_CHANGE, *MEASURED)} | ({SOURCE} if fingerprint is not None else set())
    keys = dict.fromkeys([*before, *wanted])
    if there.data.source == asked.data.source == FROM_PYTHON:  # no other setting of the data applied, or applies
        free |= {key for key in keys if key.startswith("data.")}
    if different := [key for key in keys if key not in free and before.get(key) != wanted.get(key)]:
        pairs = "; ".join(f"{key} is {before.get(key)!r} there and {wanted.get(key)!r} here" for key in different)
        raise UsageError(f"{path} holds another search: {pairs}. Use the same settings, or name another folder")
    changes: dict[str, object] = {name: getattr(asked.search, name) for name in MAY_CHANGE}
    changes["workers"] = asked.search.workers or there.search.workers
    if there.search.calibrate and changes["workers"] != there.search.workers:
        changes["threads"] = 0
    data = there.data.model_copy(update={"source": asked.data.source})
    return there.model_copy(update={"data": data, "search": there.search.model_copy(update=changes)})


def resumed_with(folder: RunFolder, config: ExperimentConfig, changes: Mapping[str, object]) -> ExperimentConfig:
    """The configuration of a run with what somebody wants to be changed as it is resumed; see :func:`resumed`.

    Args:
        folder: The run.
        config: Its configuration, from wherever it was read.
        changes: Settings by path.

    Raises:
        UsageError: A setting is wrong, or may not be changed.
    """
    before = config.located()
    asked = override(before, changes).located()
    return resumed(before, asked, folder.path, fingerprint=folder.task().get(FINGERPRINT))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted keys."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def check_cluster(config: ExperimentConfig, address: str | None, given: Mapping[str, object] | None = None) -> None:
    """Checks, before anything is made or read, that what says where children are trained has an effect there.

    Args:
        config: Of a search or a tuning.
        address: The cluster, where somebody names one.
        given: What somebody asks for now, by path, of a run that is there, or that has most settings from another one;
            None for a new run, all of whose settings count.

    Raises:
        UsageError: An address without Ray, Ray without its package, or workers or devices of one machine on a cluster.
    """
    if config.search.executor != "ray":
        if address is not None:
            raise UsageError(
                "--ray-address is for what was begun on a cluster; to begin there, add --executor ray (from Python "
                "search.executor=ray)"
            )
        return
    require_ray()
    where = cluster_address(address)
    asked = given if given is not None else {f"search.{name}": value for name, value in config.search}
    vain = {"--device": asked.get("search.device", "auto")}
    if where is not None:  # else these are the cores of the Ray that is started here
        vain["--workers"] = asked.get("search.workers", 0)
    if named := [f"{option} {value}" for option, value in vain.items() if value not in ("auto", 0)]:
        there = "Ray" if where is None else f"the cluster at {where}"
        raise UsageError(
            f"{', '.join(named)}: without effect on {there}, which trains cluster.replicas x cluster.children networks "
            "at a time, each with cluster.child_gpus graphics cards; leave it out, or use those instead, such as --set "
            "cluster.child_gpus=0.5"
        )


def cluster_address(given: str | None) -> str | None:
    """Where the cluster is: as somebody says, else as the environment says to all that use Ray, in ``RAY_ADDRESS``.

    Returns:
        Its address; None where Ray is to be started on this machine.
    """
    return given or os.environ.get("RAY_ADDRESS") or None


def require_ray() -> None:
    """Checks that Ray is installed.

    Raises:
        UsageError: It is not.
    """
    if find_spec("ray") is None:
        raise UsageError("--executor ray needs Ray: pip install 'netwright[ray]'")


def known_evaluations(history: History, space: SearchSpace) -> dict[Architecture, Evaluation]:
    """What earlier sessions measured, by the network's representative; of several the one of the lowest trial."""
    known: dict[Architecture, Evaluation] = {}
    for _, (tokens, evaluation) in sorted(history.evaluations.items()):
        known.setdefault(space.canonical(space.decode(tokens)), evaluation)
    return known
