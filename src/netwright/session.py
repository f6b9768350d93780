"""A session: one run of a search, fresh or resumed, on this machine or on a cluster."""

from __future__ import annotations

import logging
import math
import time
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from netwright.config import PerplexityReward
from netwright.errors import UsageError
from netwright.experiment import Parts
from netwright.search.executor import Executor
from netwright.search.loop import Observer, search
from netwright.search.reward import reward_of
from netwright.search.shortcuts import Shortcuts
from netwright.search.strategy import Checkpointed, Strategy
from netwright.settings_file import override
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.store.run_folder import RunFolder
from netwright.trial import Evaluation

if TYPE_CHECKING:  # torch is imported when a search runs, not when its configuration is read
    from netwright.runtime.driver import Driver
    from netwright.runtime.ray.replicas import Assignment
    from netwright.strategies.reinforce import Reinforce
_log = logging.getLogger(__name__)


def run(folder: RunFolder, parts: Parts, observer: Observer, *, ray_address: str | None = None) -> None:
    """Runs the search of a run folder to its end, from wherever it stands.

    Args:
        folder: Open for writing, with its lock held.
        parts: Made by :func:`prepare` from the folder's configuration.
        observer: Is shown everything.
        ray_address: The cluster, where the search runs on one; None starts Ray on this machine.

    Raises:
        AllChildrenFailError: Too many failures in a row.
        StorageError: The folder cannot be written.
        UsageError: The search runs on Ray, which is not installed, or not at the address.
    """
    if folder.config.search.executor == "ray":
        _run_on_ray(folder, parts, observer, ray_address)
        return
    from netwright.children.devices import cores
    from netwright.runtime.process_pool import ProcessPool

    workers = len(parts.evaluators)
    threads = parts.threads or max(cores() // workers, 1)
    if folder.config.search.calibrate:  # a resumption must train as the beginning did, not as it measures anew
        folder.set_config(override(folder.config, {"search.workers": workers, "search.threads": threads}))
    config = folder.config
    if workers > cores() and config.search.device in ("auto", "cpu"):
        _log.warning(
            "%d workers on %d cores: children wait for each other; one worker per core is the default",
            workers,
            cores(),
        )
    restore(parts.strategy, folder)
    pool = ProcessPool(
        parts.evaluators,
        threads=threads,
        seconds=config.search.child_seconds,
        memory_mb=config.search.child_memory_mb,
        on_epoch=observer.progressed,
        logs=folder.logs,
    )
    _run_in(pool, int(config.strategy.options.get("batch", 8)), folder, parts, observer)


def _run_in(executor: Executor, batch: int, folder: RunFolder, parts: Parts, observer: Observer) -> None:
    """Runs a search in this process, whose children are trained by an executor; closes that."""
    config = folder.config
    executor = _shortcuts(folder, parts.space, batch).wrap(executor, parts.space)
    try:
        search(
            parts.space,
            parts.strategy,
            executor,
            lambda result: reward_of(result, config.reward),
            folder,
            observer,
            unfinished=folder.store.unfinished(),
            remaining=config.search.trials - len(folder.store.rows()),
            deadline=_deadline(folder),
            seed=config.search.seed,
            max_failures=config.search.max_failures,
        )
    finally:
        executor.close()


def _shortcuts(folder: RunFolder, space: SearchSpace, batch: int) -> Shortcuts:
    """What the configuration spares children, with what earlier sessions of the folder know."""
    config = folder.config
    return Shortcuts(
        stopping=config.stopping,
        batch=batch,
        lower_is_better=isinstance(config.reward, PerplexityReward),
        curves={row.id: row.curve for row in folder.store.rows()} if config.stopping is not None else {},
        known=known_evaluations(folder, space) if config.search.duplicates == "reuse" else None,
    )


def _deadline(folder: RunFolder) -> float:
    """When to ask for no more, by the monotonic clock."""
    hours = math.inf if folder.config.search.hours is None else folder.config.search.hours
    return time.monotonic() + hours * 3600 - folder.seconds()


def _run_on_ray(folder: RunFolder, parts: Parts, observer: Observer, address: str | None) -> None:
    """Runs a search on a cluster: the controller's by replicas and a parameter server, any other by workers alone."""
    require_ray()
    from netwright.runtime.ray.child_actor import LogFolder
    from netwright.runtime.ray.children import RayChildren
    from netwright.runtime.ray.cluster import Cluster
    from netwright.runtime.ray.connection import connected
    from netwright.runtime.ray.packing import put
    from netwright.strategies.reinforce import Reinforce

    config = folder.config
    with connected(address, cpus=config.search.workers or None):
        evaluator = put(parts.evaluators[0])
        if isinstance(parts.strategy, Reinforce):
            driver, plan = _replicas(folder, parts, parts.strategy, observer, evaluator)
            with closing(Cluster(driver, plan)) as cluster:
                cluster.run()
        else:
            restore(parts.strategy, folder)
            children = RayChildren(
                evaluator,
                config.cluster.replicas * config.cluster.children,
                config.cluster,
                threads=config.search.threads,
                seconds=config.search.child_seconds,
                memory_mb=config.search.child_memory_mb,
                on_epoch=observer.progressed,
                logs=LogFolder.here(folder.logs),
            )
            _run_in(children, config.cluster.children, folder, parts, observer)


def _replicas(
    folder: RunFolder, parts: Parts, strategy: Reinforce, observer: Observer, evaluator: Any
) -> tuple[Driver, Assignment]:
    """The driver of a search by replicas, where the folder's last session left it, and the plan for the replicas."""
    from netwright.runtime.driver import Driver
    from netwright.runtime.parameter_server import divide, split_state
    from netwright.runtime.ray.child_actor import LogFolder
    from netwright.runtime.ray.replicas import Assignment

    config = folder.config
    take_over_initial(strategy, folder)
    weights = divide(dict(strategy.learner.policy.named_parameters()), config.cluster.shards)
    driver = Driver(
        folder,
        observer,
        begun=[row.proposal for row in folder.store.rows()],
        told=folder.store.told(),
        trials=config.search.trials,
        batch=config.cluster.children,
        shards=split_state(next(folder.checkpoints(), None) or strategy.state(), weights),
        deadline=_deadline(folder),
        seed=config.search.seed,
    )
    plan = Assignment(
        space=parts.space,
        curriculum=strategy.curriculum,
        learner=strategy.learner.settings,
        search=config.search,
        reward=config.reward,
        cluster=config.cluster,
        parts=weights,
        evaluator=evaluator,
        shortcuts=_shortcuts(folder, parts.space, config.cluster.children),
        logs=LogFolder.here(folder.logs),
    )
    return driver, plan


def require_ray() -> None:
    """Checks that Ray is installed.

    Raises:
        UsageError: It is not.
    """
    if find_spec("ray") is None:
        raise UsageError("--executor ray needs Ray: pip install 'netwright[ray]'")


def known_evaluations(folder: RunFolder, space: SearchSpace) -> dict[Architecture, Evaluation]:
    """What a folder's earlier sessions measured, by the network's representative; of several the first."""
    known: dict[Architecture, Evaluation] = {}
    for row in folder.store.rows():
        if row.valid is not None:
            metrics = {name: value for name, value in row.metrics.items() if name != "valid"}
            known.setdefault(space.canonical(space.decode(row.tokens)), Evaluation(valid=row.valid, metrics=metrics))
    return known


def restore(strategy: Strategy, folder: RunFolder) -> None:
    """Brings a fresh strategy to where the folder's last session left it.

    Raises:
        UsageError: The controller that the search started from is not this strategy's.
    """
    take_over_initial(strategy, folder)
    if isinstance(strategy, Checkpointed) and (state := next(folder.checkpoints(), None)):
        strategy.load_state(state)
    strategy.restore(folder.store.told(), next_id=len(folder.store.rows()))


def take_over_initial(strategy: Strategy, folder: RunFolder) -> None:
    """Gives a fresh strategy the controller that the folder's search started from, where it did start from one.

    Raises:
        UsageError: That controller is not this strategy's.
    """
    if folder.initial_controller.is_file():
        from netwright.strategies.by_name import take_over_controller

        take_over_controller(strategy, folder.initial_controller)
