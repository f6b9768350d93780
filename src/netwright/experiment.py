"""From a configuration to a running search: the only place where the parts are wired together."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING, Any

from netwright.config import (
    ExperimentConfig,
    ImageDataSettings,
    ImageTraining,
    LanguageModelTraining,
    PerplexityReward,
    override,
)
from netwright.errors import DataError, UsageError
from netwright.search.curriculum import DepthSchedule, full_size
from netwright.search.executor import Evaluator, Executor
from netwright.search.loop import Observer, search
from netwright.search.reward import reward_of
from netwright.search.shortcuts import Shortcuts
from netwright.search.strategy import Checkpointed, Strategy
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import uniform_tokens
from netwright.store.run_folder import RunFolder
from netwright.trial import Evaluation

if TYPE_CHECKING:  # torch is imported when a search runs, not when its configuration is read
    from netwright.children.evaluator import ImageEvaluator
    from netwright.children.language_model import LanguageModelEvaluator
    from netwright.data.images import ImageData
    from netwright.data.text import TextData
    from netwright.runtime.driver import Driver
    from netwright.runtime.ray_cluster import Plan
    from netwright.search.reinforce import Reinforce


_log = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Tells a person something, in one line."""

FROM_PYTHON = "python"
"""In a configuration, the data source or the strategy that was handed over as an object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnParts:
    """Parts of a search that come from Python; those that are None come from the configuration.

    Attributes:
        data: What children learn from.
        space: What is searched.
        strategy: Who proposes.
        evaluator: What tells an architecture's worth; it is sent to the worker processes.
    """

    data: ImageData | TextData | None = None
    space: SearchSpace | None = None
    strategy: Strategy | None = None
    evaluator: Evaluator | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Everything that a search is made of, ready to run.

    Attributes:
        space: What is searched.
        strategy: Who proposes, at its beginning.
        evaluators: One for each worker.
        task: What the children's inputs and outputs look like, for whoever draws them; see :func:`describe_task`.
        threads: PyTorch threads of each worker; 0 shares the cores out evenly.
    """

    space: SearchSpace
    strategy: Strategy
    evaluators: Sequence[Evaluator]
    task: Mapping[str, Any]
    threads: int = 0


def prepare(config: ExperimentConfig, own: OwnParts | None = None, say: Say = _log.info) -> Parts:
    """Makes the parts that a configuration describes; reads the data.

    Args:
        config: The whole experiment.
        own: The parts that do not come from it; the same ones at every resumption.
        say: Is told what takes a while, for a person.

    Raises:
        UsageError: The configuration asks for a strategy or a device that is not there.
        DataError: The data cannot be read or learned from.
    """
    own = own or OwnParts()
    _refuse_missing(config, own)
    space = own.space or config.space
    assert space is not None
    evaluators: list[Evaluator] = []
    task: Mapping[str, Any] = {}
    if own.evaluator:
        evaluators = [own.evaluator] * len(worker_devices(config))
    else:
        data = own.data or load_data(config)
        if config.search.executor == "local":
            data = data.share_memory()
            config = calibrated(config, space, data, say)
        evaluators = [make_evaluator(config, data, device) for device in worker_devices(config)]
        task = describe_task(data)
    return Parts(
        space=space,
        strategy=own.strategy or make_strategy(config, space),
        evaluators=evaluators,
        task=task,
        threads=config.search.threads,
    )


def calibrated(config: ExperimentConfig, space: SearchSpace, data: ImageData | TextData, say: Say) -> ExperimentConfig:
    """The configuration with the number of workers and threads that train its children fastest on this machine.

    Left as it is unless ``search.calibrate`` is on, ``search.workers`` is open and children are trained on the CPU.

    Args:
        config: The whole experiment.
        space: Children of which are tried.
        data: What the children will learn from; two batches of it are learned from here.
        say: Is told what is measured.
    """
    from netwright.children.devices import cores, find_devices
    from netwright.runtime.calibration import Layout, calibrate
    from netwright.runtime.process_pool import ProcessPool

    settings = config.search
    if not settings.calibrate or settings.workers or find_devices(settings.device) != ["cpu"]:
        return config
    # A child of two batches, over and over: long enough to see threads at work, short enough for the largest networks.
    once = config.model_copy(update={"child": config.child.model_copy(update={"epochs": 1})})
    evaluator = make_evaluator(once, _excerpt(config.child, data), "cpu")

    def start(layout: Layout) -> Executor:
        return ProcessPool([evaluator] * layout.workers, threads=layout.threads)

    plan = space.plan(config.depth.start if config.depth else None)
    architecture = space.decode(uniform_tokens(plan, Random(settings.seed)))
    say(f"measuring how {cores()} cores train most; --workers decides without")
    rates = calibrate(start, architecture, cores())
    best = max(rates, key=lambda layout: rates[layout])
    found = [f"{workers} x {threads}: {2 * rate:.1f}" for (workers, threads), rate in rates.items()]
    say(f"batches a second by workers x threads: {', '.join(found)}; kept in config.toml")
    return override(config, {"search.workers": best.workers, "search.threads": best.threads})


def _excerpt(settings: ImageTraining | LanguageModelTraining, data: ImageData | TextData) -> ImageData | TextData:
    """Two batches to learn from, and as much to be measured on."""
    from netwright.data.images import ImageData, ImageSplit

    if isinstance(data, ImageData):
        some = ImageSplit(data.train.images[: 2 * settings.batch_size], data.train.labels[: 2 * settings.batch_size])
        return replace(data, train=some, validation=some)
    assert isinstance(settings, LanguageModelTraining)
    some_tokens = data.train[: settings.batch_size * (2 * settings.steps + 1)]
    return replace(data, train=some_tokens, validation=some_tokens)


def worker_devices(config: ExperimentConfig) -> list[str]:
    """The device of each worker: they take turns where there are several.

    On a cluster it is one for all, and Ray shows each worker its own graphics cards.

    Raises:
        UsageError: There is no such device.
    """
    from netwright.children.devices import cores, find_devices

    settings = config.search
    if settings.executor == "ray":
        return ["cuda" if config.cluster.child_gpus else "cpu"]
    devices = find_devices(settings.device)
    workers = settings.workers or (cores() if devices == ["cpu"] else len(devices))
    return [devices[worker % len(devices)] for worker in range(workers)]


def _refuse_missing(config: ExperimentConfig, own: OwnParts) -> None:
    """Checks that every part which the configuration leaves to Python has come from there.

    Raises:
        UsageError: One has not; names it.
    """
    if config.tuning is not None:
        raise UsageError("this is a tuning, not a search; go on with netwright tune --resume")
    missing = {
        "space": config.space is None and own.space is None,
        "data or evaluator": config.data.source == FROM_PYTHON and own.data is None and own.evaluator is None,
        "strategy": config.strategy.name == FROM_PYTHON and own.strategy is None,
    }
    if names := [name for name, absent in missing.items() if absent]:
        raise UsageError(
            f"the {' and '.join(names)} of this search came from Python; go on with netwright.run_search "
            "and the same objects, not from the command line"
        )


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
    from netwright.runtime.ray_cluster import Cluster, RayChildren, connected, put
    from netwright.search.reinforce import Reinforce

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
                seconds=config.search.child_seconds,
                on_epoch=observer.progressed,
            )
            _run_in(children, config.cluster.children, folder, parts, observer)


def _replicas(
    folder: RunFolder, parts: Parts, strategy: Reinforce, observer: Observer, evaluator: Any
) -> tuple[Driver, Plan]:
    """The driver of a search by replicas, where the folder's last session left it, and the plan for the replicas."""
    from netwright.runtime.driver import Driver
    from netwright.runtime.parameter_server import divide, split_state
    from netwright.runtime.ray_cluster import Plan

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
    plan = Plan(
        space=parts.space,
        curriculum=strategy.curriculum,
        learner=strategy.learner.settings,
        search=config.search,
        reward=config.reward,
        cluster=config.cluster,
        parts=weights,
        evaluator=evaluator,
        shortcuts=_shortcuts(folder, parts.space, config.cluster.children),
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
        from netwright.search.strategies import take_over_controller

        take_over_controller(strategy, folder.initial_controller)


def make_strategy(config: ExperimentConfig, space: SearchSpace) -> Strategy:
    """The strategy that the configuration names, at its beginning.

    Raises:
        UsageError: There is none of that name, or it has no such option.
    """
    from netwright.search import strategies

    return strategies.make_strategy(
        config.strategy.name,
        space,
        seed=config.search.seed,
        curriculum=full_size if config.depth is None else DepthSchedule(**config.depth.model_dump()),
        learner=config.controller,
        **config.strategy.options,
    )


def load_data(config: ExperimentConfig) -> ImageData | TextData:
    """The data that the configuration names.

    Raises:
        DataError: It cannot be read or learned from.
    """
    from netwright.data.images import load_images
    from netwright.data.text import load_text

    if config.data.source == FROM_PYTHON:
        raise DataError("the data of this search came from Python; name a source like it by --data")
    arguments = config.data.model_dump(exclude={"kind"})
    load = load_images if isinstance(config.data, ImageDataSettings) else load_text
    return load(arguments.pop("source"), **arguments)


def make_evaluator(
    config: ExperimentConfig, data: ImageData | TextData, device: str
) -> ImageEvaluator | LanguageModelEvaluator:
    """What trains the children of a configuration on one device.

    Raises:
        UsageError: The data are not of the kind that such children learn from.
    """
    from netwright.children.evaluator import ImageEvaluator
    from netwright.children.language_model import LanguageModelEvaluator
    from netwright.data.images import ImageData
    from netwright.data.text import TextData

    match config.child, data:
        case ImageTraining() as settings, ImageData():
            return ImageEvaluator(data, settings, device)
        case LanguageModelTraining() as settings, TextData():
            return LanguageModelEvaluator(data, settings, device)
    raise UsageError(f"a child of kind {config.child.kind} cannot learn from {type(data).__name__}")


def describe_task(data: ImageData | TextData) -> Mapping[str, Any]:
    """What a child of this data reads and writes, as JSON: kept in the run folder as ``task.json``."""
    from netwright.data.images import ImageData

    if isinstance(data, ImageData):
        return {"image": [data.channels, data.height, data.width], "classes": list(data.classes)}
    return {"unit": data.unit, "vocabulary": list(data.vocabulary)}
