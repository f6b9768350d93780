"""From a configuration to a running search: the only place where the parts are wired together."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netwright.config import ExperimentConfig
from netwright.errors import UsageError
from netwright.search.curriculum import DepthSchedule, full_size
from netwright.search.executor import Evaluator
from netwright.search.loop import Observer, search
from netwright.search.reward import accuracy_reward
from netwright.search.strategy import Checkpointed, Curriculum, Strategy
from netwright.spaces.base import SearchSpace
from netwright.store.run_folder import RunFolder

if TYPE_CHECKING:  # torch is imported when a search runs, not when its configuration is read
    from netwright.data.images import ImageData


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnParts:
    """Parts of a search that come from Python; those that are None come from the configuration.

    Attributes:
        data: What children learn from.
        space: What is searched.
        strategy: Who proposes.
        evaluator: What tells an architecture's worth; it is sent to the worker processes.
    """

    data: ImageData | None = None
    space: SearchSpace | None = None
    strategy: Strategy | None = None
    evaluator: Evaluator | None = None


def run(folder: RunFolder, observer: Observer, own: OwnParts | None = None) -> None:
    """Runs the search of a run folder to its end, from wherever it stands.

    Args:
        folder: Open for writing, with its lock held.
        observer: Is shown everything.
        own: The parts that do not come from the configuration; the same ones at every resumption.

    Raises:
        UsageError: The configuration asks for data, a device or a strategy that is not there.
        AllChildrenFailError: Too many failures in a row.
        StorageError: The folder cannot be written.
    """
    from netwright.children.devices import cores
    from netwright.runtime.process_pool import ProcessPool

    own = own or OwnParts()
    config = folder.config
    space = own.space or config.space
    if space is None:
        raise UsageError("the configuration has no [space], so pass a space from Python")
    strategy = own.strategy or make_strategy(config, space)
    restore(strategy, folder)
    evaluators = make_evaluators(config, own)
    executor = ProcessPool(
        evaluators,
        threads=max(cores() // len(evaluators), 1),
        seconds=config.search.child_seconds,
        on_epoch=observer.progressed,
    )
    hours = math.inf if config.search.hours is None else config.search.hours
    try:
        search(
            space,
            strategy,
            executor,
            lambda result: accuracy_reward(result, config.reward),
            folder,
            observer,
            unfinished=folder.store.unfinished(),
            remaining=config.search.trials - len(folder.store.rows()),
            deadline=time.monotonic() + hours * 3600 - folder.seconds(),
            seed=config.search.seed,
            max_failures=config.search.max_failures,
        )
    finally:
        executor.close()


def make_strategy(config: ExperimentConfig, space: SearchSpace) -> Strategy:
    """The strategy that the configuration names, at its beginning.

    Raises:
        UsageError: There is none of that name, or it has no such option.
    """
    from netwright.search.random_search import RandomSearch
    from netwright.search.reinforce import Reinforce

    curriculum: Curriculum = full_size if config.depth is None else DepthSchedule(**config.depth.model_dump())
    seed = config.search.seed
    match config.strategy.name:
        case "reinforce":
            return Reinforce(space, config.controller, batch=config.strategy.batch, seed=seed, curriculum=curriculum)
        case "random":
            return RandomSearch(space, seed=seed, curriculum=curriculum)
        case other:
            raise UsageError(f"strategy.name: expected reinforce or random, got {other!r}")


def restore(strategy: Strategy, folder: RunFolder) -> None:
    """Brings a fresh strategy to where the folder's last session left it."""
    told = folder.store.told()
    if isinstance(strategy, Checkpointed):
        for state in folder.checkpoints():
            strategy.load_state(state)
            break
    strategy.restore(told, next_id=len(folder.store.rows()))


def make_evaluators(config: ExperimentConfig, own: OwnParts) -> list[Evaluator]:
    """One evaluator for each worker, on the device it is to use, all sharing one copy of the data."""
    from netwright.children.devices import cores, find_devices
    from netwright.children.evaluator import ImageEvaluator

    devices = find_devices(config.search.device)
    workers = config.search.workers or (cores() if devices == ["cpu"] else len(devices))
    if own.evaluator is not None:
        return [own.evaluator] * workers
    data = (own.data or load_images(config)).share_memory()
    return [ImageEvaluator(data, config.child, devices[worker % len(devices)]) for worker in range(workers)]


def load_images(config: ExperimentConfig) -> ImageData:
    """The images that the configuration names.

    Raises:
        DataError: They cannot be read or learned from.
    """
    from netwright.data import images

    settings = config.data
    return images.load_images(
        settings.source,
        validation=settings.validation,
        seed=settings.seed,
        train_limit=settings.train_limit,
        validation_limit=settings.validation_limit,
        image_size=settings.image_size,
        skip_bad=settings.skip_bad,
    )
