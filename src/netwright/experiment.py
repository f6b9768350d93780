"""From a configuration to a running search: the only place where the parts are wired together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from netwright.answer import REFERENCES, references_json
from netwright.config import ExperimentConfig, ImageDataSettings, ImageTraining, LanguageModelTraining
from netwright.errors import ArchitectureError, DataError, UsageError
from netwright.search.curriculum import full_size
from netwright.search.executor import Evaluator, Executor
from netwright.search.strategy import Strategy
from netwright.settings_file import override
from netwright.spaces.architecture import Architecture, ConvArchitecture, parse_architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape
from netwright.spaces.fill import Budget, FilledSpace, fill
from netwright.spaces.grammar import Tokens, uniform_tokens
from netwright.spaces.references import reference

if TYPE_CHECKING:  # torch is imported when a search runs, not when its configuration is read
    from netwright.children.image_evaluator import ImageEvaluator
    from netwright.children.language_evaluator import LanguageModelEvaluator
    from netwright.data.images import ImageData
    from netwright.data.text import TextData


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
        config: What the run folder is to hold: as it was given, with what was measured on this machine filled in.
    """

    space: SearchSpace
    strategy: Strategy
    evaluators: Sequence[Evaluator]
    task: Mapping[str, Any]
    config: ExperimentConfig


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
    task: dict[str, Any] = {}
    if own.evaluator:
        evaluators = [own.evaluator] * len(worker_devices(config))
    else:
        data = own.data or load_data(config)
        task = dict(describe_task(data))
        space = fitted(space, config, task)
        if config.verdict is not None:
            task[REFERENCES] = references_json(drawn_by_hand(config.verdict.references, config, task, space))
        if config.search.executor == "local":
            data = data.share_memory()
            config = calibrated(config, space, data, say)
        evaluators = [make_evaluator(config, data, device) for device in worker_devices(config)]
    return Parts(
        space=space,
        strategy=own.strategy or make_strategy(config, space),
        evaluators=evaluators,
        task=task,
        config=_settled(config, len(evaluators)),
    )


def _settled(config: ExperimentConfig, workers: int) -> ExperimentConfig:
    """The configuration with the layout that was measured, or that took its place: a resumption must train likewise."""
    if not config.search.calibrate or config.search.executor != "local":
        return config
    config = override(config, {"search.workers": workers})
    return override(config, {"search.threads": threads_of(config)})


def threads_of(config: ExperimentConfig) -> int:
    """PyTorch threads of each worker on this machine; where none are set, the cores are shared out evenly."""
    from netwright.children.devices import cores

    return config.search.threads or max(cores() // len(worker_devices(config)), 1)


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


def fitted(space: SearchSpace, config: ExperimentConfig, task: Mapping[str, Any]) -> SearchSpace:
    """A space as the data and the budget make it: one whose networks fill the budget knows both.

    Raises:
        UsageError: It is to fill a budget, and there is none.
    """
    if not (isinstance(space, ConvSpace) and space.fill):
        return space
    budget = _budget(config, task)
    if budget is None:
        raise UsageError("space.fill needs a budget to fill; set child.max_multiply_adds")
    return FilledSpace(shapes=space, budget=budget)


def drawn_by_hand(
    names: Sequence[str], config: ExperimentConfig, task: Mapping[str, Any], space: SearchSpace
) -> dict[str, tuple[Architecture, Tokens | None]]:
    """References by name: built-in ones and those of files, scaled to the budget, with tokens where the space has any.

    Raises:
        UsageError: There is none of a name.
        ArchitectureError: A file holds no architecture.
    """
    budget, found = _budget(config, task), {}
    for name in names:
        path = Path(name)
        shape = parse_architecture(path.read_bytes(), name) if path.suffix == ".json" else reference(name)
        if isinstance(shape, ConvArchitecture) and not isinstance(config.child, ImageTraining):
            raise UsageError(f"reference {name}: a network for images, and this search trains another kind of child")
        filled = fill(shape, budget) if isinstance(shape, ConvArchitecture) and budget is not None else shape
        tokens: Tokens | None
        try:
            tokens = space.encode_shape(shape) if isinstance(space, FilledSpace) else space.encode(filled)
        except ArchitectureError:
            tokens = None
        found[path.stem] = (filled, tokens)
    return found


def _budget(config: ExperimentConfig, task: Mapping[str, Any]) -> Budget | None:
    """What the networks of a configuration may cost; None where nothing limits them."""
    limit = config.child.max_multiply_adds if isinstance(config.child, ImageTraining) else None
    if limit is None:
        return None
    return Budget(multiply_adds=limit, image=Shape(*task["image"]), classes=len(task["classes"]))


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


def make_strategy(config: ExperimentConfig, space: SearchSpace) -> Strategy:
    """The strategy that the configuration names, at its beginning.

    Raises:
        UsageError: There is none of that name, or it has no such option.
    """
    from netwright.strategies import by_name as strategies

    return strategies.make_strategy(
        config.strategy.name,
        space,
        seed=config.search.seed,
        curriculum=full_size if config.depth is None else config.depth,
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
    from netwright.children.image_evaluator import ImageEvaluator
    from netwright.children.language_evaluator import LanguageModelEvaluator
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
