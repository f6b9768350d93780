"""From a configuration to a running search: the only place where the parts are wired together."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from netwright.config import FROM_PYTHON, ExperimentConfig, OwnReward, OwnTraining, Training, limits_of
from netwright.drawn import NOTHING_KNOWN, check_new, drawn_by_hand
from netwright.errors import DataError, UsageError
from netwright.search.curriculum import full_size
from netwright.search.executor import Evaluator, Executor
from netwright.search.loop import Excess, Score
from netwright.search.reward import OwnScore, RewardFunction, reward_of
from netwright.search.strategy import Strategy
from netwright.settings_file import override
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.cost import excess_of
from netwright.spaces.grammar import uniform_tokens
from netwright.store.task_file import CANDIDATES, FINGERPRINT, MEASURE, REFERENCES
from netwright.tasks import Data, Kind, kind_of
from netwright.tasks.kind import Samples, Task, Trains

_log = logging.getLogger(__name__)


Say = Callable[[str], None]
"""Tells a person something, in one line."""

AnyEvaluator = TypeVar("AnyEvaluator", bound=Evaluator)
"""An evaluator of whatever class, for what gives back the one that it was given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnParts:
    """Parts of a search that come from Python; those that are None come from the configuration.

    Attributes:
        kind: What kind of task it is, where that is not built in.
        data: What children learn from.
        space: What is searched.
        strategy: Who proposes.
        evaluator: What tells an architecture's worth; it is sent to the worker processes.
        reward: What the controller learns from.
    """

    kind: Kind | None = None
    data: Data | None = None
    space: SearchSpace | None = None
    strategy: Strategy | None = None
    evaluator: Evaluator | None = None
    reward: RewardFunction | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Everything that a search is made of, ready to run.

    Attributes:
        space: What is searched.
        strategy: Who proposes, at its beginning.
        evaluators: One for each worker.
        reward: What the controller learns from, where that is a function from Python.
        excess: Tells what costs too much to be trained; None where nothing can, before it is built.
        task: What the children's inputs and outputs look like, as JSON: ``task.json`` of the run folder.
        config: What the run folder is to hold: as it was given, with what was measured on this machine filled in.
        samples: A little of what the children learn from; see :attr:`netwright.tasks.kind.Kind.samples`.
        report: What is to be said of the data, as JSON: ``data.json`` of the run folder; None where nobody says.
    """

    space: SearchSpace
    strategy: Strategy
    evaluators: Sequence[Evaluator]
    reward: RewardFunction | None = None
    excess: Excess | None = None
    task: Mapping[str, Any]
    config: ExperimentConfig
    samples: Samples = ()
    report: Mapping[str, Any] | None = None

    @property
    def score(self) -> Score:
        """The reward of what came of a trial; picklable."""
        if self.reward is not None and isinstance(self.config.reward, OwnReward):
            return OwnScore(self.reward, self.config.reward)
        return partial(reward_of, settings=self.config.reward)


def prepare(
    config: ExperimentConfig,
    own: OwnParts | None = None,
    say: Say = _log.info,
    run: Path | None = None,
    known: Mapping[str, Any] = NOTHING_KNOWN,
) -> Parts:
    """Makes the parts that a configuration describes; reads the data.

    Args:
        config: The whole experiment.
        own: The parts that do not come from it; the same ones at every resumption.
        say: Is told what takes a while, for a person.
        run: The run folder where there is one already, for messages.
        known: The networks drawn by hand that it knows, as its ``task.json`` holds them.

    Raises:
        UsageError: The configuration asks for a strategy or a device that is not there, or no network drawn by hand
            is within the budgets of a new run.
        DataError: The data cannot be read or learned from.
    """
    own = own or OwnParts()
    _refuse_missing(config, own, run)
    if run is None and own.evaluator is None:
        _refuse_vain(config)
    space = config.space if own.space is None else own.space
    assert space is not None
    evaluators: list[Evaluator] = []
    task: dict[str, Any] = {}
    excess: Excess | None = None
    samples: Samples = ()
    report: Mapping[str, Any] | None = None
    if own.evaluator is not None:
        evaluators = [own.evaluator] * len(worker_devices(config))
    else:
        kind = kind_of(config, own.kind)
        data = load_data(config, kind) if own.data is None else own.data
        report = tell_of(data, say)
        task, samples = describe(data, kind, config.child), kind.samples(data)
        space = kind.fit(space, config, task)
        excess = excess_by(kind, config, task)
        if config.verdict is not None:
            task[REFERENCES] = drawn_by_hand(kind, config.verdict.references, config, task, space, known)
            if run is None:
                check_new(task[REFERENCES], excess, say)
        if config.search.executor == "local":
            data = data.share_memory()
            config = calibrated(config, kind, space, data, say)
        devices = worker_devices(config)
        evaluators = on_devices(config, devices, partial(make_evaluator, config, kind, data))
    return Parts(
        space=space,
        strategy=make_strategy(config, space) if own.strategy is None else own.strategy,
        evaluators=evaluators,
        reward=own.reward,
        excess=excess,
        task=task,
        config=_settled(config, len(evaluators)),
        samples=samples,
        report=report,
    )


def tell_of(data: Data, say: Say) -> Mapping[str, Any] | None:
    """Says how data were read and, also where nobody wants to hear of progress, what a person should know of them.

    Returns:
        All that is to be said of them, as JSON; None for data of one's own kind that say nothing.
    """
    report = getattr(data, "report", None)
    if report is None:
        return None
    for note in report.notes:
        say(f"{data.name}: {note}")
    for warning in report.warnings:
        _log.warning("%s: %s", data.name, warning)
    found: Mapping[str, Any] = report.to_json()
    return found


def _settled(config: ExperimentConfig, workers: int) -> ExperimentConfig:
    """The configuration with the layout that was measured, or that took its place: a resumption must train likewise."""
    if not config.search.calibrate or config.search.executor != "local":
        return config
    config = override(config, {"search.workers": workers})
    return override(config, {"search.threads": threads_of(config)})


def threads_of(config: ExperimentConfig) -> int:
    """PyTorch threads of each worker on this machine.

    As many as ``search.threads`` says, else ``OMP_NUM_THREADS``, which somebody sets who shares the machine; where
    neither does, the cores are shared out evenly.
    """
    from netwright.children.devices import cores

    said = os.environ.get("OMP_NUM_THREADS", "")
    by_environment = int(said) if said.isdecimal() else 0
    return config.search.threads or by_environment or max(cores() // len(worker_devices(config)), 1)


def calibrated(config: ExperimentConfig, kind: Kind, space: SearchSpace, data: Data, say: Say) -> ExperimentConfig:
    """The configuration with the number of workers and threads that train its children fastest on this machine.

    Left as it is unless ``search.calibrate`` is on and ``search.workers`` is open, and children are trained on the CPU
    or on graphics cards.

    Args:
        config: The whole experiment.
        kind: What kind of task it is.
        space: Children of which are tried.
        data: What the children will learn from; a few batches of it are learned from here.
        say: Is told what is measured.
    """
    from netwright.children.devices import cores, find_devices
    from netwright.runtime.calibration import CARD_GAIN, Layout, batches_of, calibrate, card_layouts, layouts
    from netwright.runtime.process_pool import ProcessPool

    settings = config.search
    devices = find_devices(settings.device)
    if not settings.calibrate or settings.workers or devices == ["mps"]:
        return config
    cards = 0 if devices == ["cpu"] else len(devices)
    batches = batches_of(cards)
    once = _training_alone(config, kind)
    excerpt = kind.excerpt(data, config.child, batches)

    def start(layout: Layout) -> Executor:
        places = [devices[worker % len(devices)] for worker in range(layout.workers)]
        evaluators = on_devices(once, places, partial(make_evaluator, once, kind, excerpt))
        return ProcessPool(evaluators, threads=layout.threads)

    plan = space.plan(config.depth(0) if config.depth else None)
    architecture = space.decode(uniform_tokens(plan, Random(settings.seed)))
    what = f"{cards} graphics cards" if cards else f"{cores()} cores"
    say(f"measuring how {what} train most; --workers decides without")
    candidates = card_layouts(cards, cores()) if cards else layouts(cores())
    rates = calibrate(start, architecture, candidates, gain=CARD_GAIN if cards else None)
    best = max(rates, key=lambda layout: rates[layout])
    if not rates[best]:
        say("nothing was measured, since no child could be trained; there is a worker for each core or graphics card")
        return config
    found = [f"{workers} x {threads}: {batches * rate:.1f}" for (workers, threads), rate in rates.items()]
    say(f"batches a second by workers x threads: {', '.join(found)}; kept in config.toml")
    return override(config, {"search.workers": best.workers, "search.threads": best.threads})


def _training_alone(config: ExperimentConfig, kind: Kind) -> ExperimentConfig:
    """An epoch of any network, also of one over the budgets, without a measurement of its latency."""
    child, reward = config.child, config.reward
    changes: dict[str, object] = {**dict.fromkeys(kind.budgets), "epochs": 1}
    if not isinstance(child, OwnTraining):
        changes["latency"] = child.latency.model_copy(update={"measure": False})
    if not isinstance(reward, OwnReward):
        reward = reward.model_copy(update={"target": None})
    return config.model_copy(update={"child": child.model_copy(update=changes), "reward": reward})


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


def _refuse_missing(config: ExperimentConfig, own: OwnParts, run: Path | None) -> None:
    """Checks that every part which the configuration leaves to Python has come from there.

    Raises:
        UsageError: One has not; names it.
    """
    if config.tuning is not None:
        raise UsageError("this is a tuning, not a search; resume it with netwright tune --resume")
    if config.rungs is not None:
        _refuse_rungs(config)
    missing = {
        "space": config.space is None and own.space is None,
        "data or evaluator": config.data.source == FROM_PYTHON and own.data is None and own.evaluator is None,
        "strategy": config.strategy.name == FROM_PYTHON and own.strategy is None,
        "reward": config.reward.kind == FROM_PYTHON and own.reward is None,
    }
    if names := [name for name, absent in missing.items() if absent]:
        objects = ", ".join(f"{part}=..." for name in names for part in name.split(" or "))
        folder = "RUN" if run is None else repr(str(run))
        raise UsageError(
            f"the {' and '.join(names)} of this search came from Python; resume it there, by the call that began it, "
            f"with the same objects: netwright.run_search({config.name!r}, {folder}, {objects})"
        )


def _refuse_vain(config: ExperimentConfig) -> None:
    """Checks that a new search does nothing in vain.

    Raises:
        UsageError: A setting would have no effect, or would undo another one.
    """
    verdict, evaluations = config.verdict, config.strategy.options.get("evaluations", 1)
    if verdict is not None and verdict.at_end and not verdict.references:
        raise UsageError(
            "verdict.references: expected networks to hold the found one against, such as "
            '["vgg", "separable"] for images, got none; --no-verdict (verdict.at_end=false) searches without an answer'
        )
    if config.search.duplicates == "reuse" and isinstance(evaluations, int) and evaluations > 1:
        raise UsageError(
            f"search.duplicates=reuse would answer from memory where strategy.options.evaluations={evaluations} wants "
            "the best networks trained again; set that to 1, or leave duplicates at retrain"
        )
    target, limits = config.reward.target, limits_of(config.child)
    for cost, wanted in {} if target is None or target.below else target.costs.items():
        if wanted >= limits.get(cost, math.inf):
            raise UsageError(
                f"reward.target.{cost}={wanted:g}: what costs more than child.max_{cost}={limits[cost]:g} is not "
                "trained, and what costs less than its target gains nothing by that; set a lower target or a higher "
                "limit"
            )


def _refuse_rungs(config: ExperimentConfig) -> None:
    """Checks that there are references, trained before the search, that children can be held against.

    Raises:
        UsageError: There are none.
    """
    if config.verdict is None or not config.verdict.references:
        raise UsageError("rungs: there are no references to hold children against; set verdict.references")
    if config.search.executor == "ray" and config.strategy.name == "reinforce":
        raise UsageError(
            "rungs: controller replicas on Ray train no references before the search; set stopping.quantile instead, "
            "or another strategy"
        )


def make_strategy(config: ExperimentConfig, space: SearchSpace) -> Strategy:
    """The strategy that the configuration names, at its beginning.

    Raises:
        UsageError: There is none of that name, or it has no such option.
    """
    from netwright.strategies import by_name as strategies

    for name, instead in {"seed": "search.seed", "curriculum": "[depth]", "learner": "[controller]"}.items():
        if name in config.strategy.options:
            raise UsageError(f"strategy.options.{name}: no setting of a strategy; see {instead}")
    return strategies.make_strategy(
        config.strategy.name,
        space,
        seed=config.search.seed,
        curriculum=full_size if config.depth is None else config.depth,
        learner=config.controller,
        **config.strategy.options,
    )


def load_data(config: ExperimentConfig, kind: Kind, call: str | None = None) -> Data:
    """The data that the configuration names.

    Args:
        config: The whole experiment.
        kind: Its kind of task.
        call: By which data from Python is handed over there, for the message.

    Raises:
        DataError: It cannot be read or learned from.
    """
    if config.data.source == FROM_PYTHON:
        raise DataError(
            f"the data came from Python; hand it over there again as data=...{'' if call is None else f': {call}'}; or "
            "name a source like it by --data"
        )
    data: Data = kind.load(config.data)
    return data


def make_evaluator(config: ExperimentConfig, kind: Kind, data: Data, device: str) -> Trains:
    """What trains the children of a configuration on one device.

    Raises:
        UsageError: The data are not of the kind that such children learn from.
    """
    if data.kind != kind.name:
        raise UsageError(
            f"{config.name} is for {kind.name}, and {data.name} holds {data.kind}; take a recipe for {data.kind}"
        )
    return kind.evaluator(data, timed(config), device)


def share_of(config: ExperimentConfig, device: str, devices: Sequence[str]) -> float:
    """How much of its device's memory is a worker's own among workers on ``devices``.

    On Ray these are not known here: it puts as many children on a card as find room there by ``cluster.child_gpus``.
    """
    if config.search.executor == "ray" and config.cluster.child_gpus:
        return min(config.cluster.child_gpus, 1.0)
    return 1 / devices.count(device)


def on_devices(
    config: ExperimentConfig, devices: Sequence[str], make: Callable[[str], AnyEvaluator]
) -> list[AnyEvaluator]:
    """The evaluator of each worker, made for its device and told its share of that."""
    return [sharing(make(device), share_of(config, device, devices)) for device in devices]


def sharing(evaluator: AnyEvaluator, share: float) -> AnyEvaluator:
    """``evaluator``, told how much of its device's memory is its own.

    One of a user's own that has no attribute ``device_share`` stays as it is.
    """
    if hasattr(evaluator, "device_share"):
        evaluator.device_share = share
    return evaluator


def timed(config: ExperimentConfig) -> Training:
    """How children are trained, and their latency measured if the reward needs it."""
    child, target = config.child, config.reward.target
    if target is None or target.latency_ms is None or isinstance(child, OwnTraining):
        return child
    return child.model_copy(update={"latency": child.latency.model_copy(update={"measure": True})})


def excess_by(kind: Kind, config: ExperimentConfig, task: Mapping[str, Any]) -> Excess | None:
    """What tells the networks that are over the budgets of a configuration, if it has some and the kind knows costs."""
    limits = limits_of(config.child)
    return partial(_excess, cost=kind.cost, task=task, limits=limits) if limits else None


def _excess(
    architecture: Architecture, *, cost: Callable[..., Mapping[str, float]], task: Task, limits: Mapping[str, float]
) -> str | None:
    return excess_of(cost(architecture, task), limits)


def describe(data: Data, kind: Kind, training: Training) -> dict[str, Any]:
    """What children of this data read and write, by what they are measured, and a digest of the data, as JSON."""
    task = dict(kind.describe(data))
    task[MEASURE] = (kind.chosen(training) or kind.measure(task)).to_json()
    digest = kind.fingerprint(data)
    return task if digest is None else {**task, FINGERPRINT: digest}


def data_name(data: Data | None, config: ExperimentConfig) -> str:
    """What to call the data in a message: those that were handed over or, without any, what the configuration names."""
    return config.data.source if data is None else data.name


def refuse_other_data(there: Mapping[str, Any], here: Mapping[str, Any], folder: Path, source: str) -> None:
    """Checks that what is resumed learns from what it began with.

    Args:
        there: The ``task.json`` of the folder; one of before there were fingerprints says nothing of the examples.
        here: The same as :func:`describe` makes it now.
        folder: What is resumed.
        source: Where the data come from now, for the message.

    Raises:
        DataError: Other classes, size, vocabulary or examples; names what differs, and the fix.
    """
    from netwright.data.fingerprint import differences

    beside = (MEASURE, REFERENCES, CANDIDATES, FINGERPRINT)
    told, hint = differences(there, {name: value for name, value in here.items() if name not in beside}), ""
    if not told and there.get(FINGERPRINT, here.get(FINGERPRINT)) != here.get(FINGERPRINT):
        told = ["other examples, though of the same kinds"]
        hint = f'. Should they be the right ones all the same, delete "{FINGERPRINT}" from {folder / "task.json"}'
    if told:
        raise DataError(
            f"{source}: not what {folder} began with: {'; '.join(told)}. Put the data back, name where they are now by "
            f"--data, or begin in another folder{hint}"
        )
