"""Tuning: settings of training tried on a grid, for one architecture or a few (Zoph & Le 2017, sec. 4.1 and 4.2).

A tuning is a search like any other, with its run folder, executor and resumption. What it searches is the grid: its
"architectures" are choices of settings, its strategy goes through all of them, and its evaluator trains the network in
question under the chosen ones.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from netwright.config import (
    NO_REFERENCES,
    AccuracyReward,
    ExperimentConfig,
    OwnReward,
    PerplexityReward,
    Training,
    TuningSettings,
)
from netwright.errors import UsageError
from netwright.experiment import (
    Parts,
    Say,
    describe,
    load_data,
    make_evaluator,
    make_strategy,
    on_devices,
    sharing,
    tell_of,
    worker_devices,
)
from netwright.networks.changed import changed_since_search, tell_of_change
from netwright.networks.network import Network
from netwright.search.executor import lenient, warm_up
from netwright.settings_file import override
from netwright.spaces.architecture import Architecture, ChoiceArchitecture, parse_architecture
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice, count_strings, every_string
from netwright.store.task_file import CANDIDATES, FINGERPRINT
from netwright.tasks import Data, Kind, kind_of
from netwright.trial import Evaluation, Report

_log = logging.getLogger(__name__)

ARCHITECTURE = "architecture"
"""The choice that says which of the candidates is trained; all others are settings of ``child``."""


def default_grid(kind: Kind, training: Training) -> TuningSettings:
    """The grid for a kind of task, without settings that would change nothing, and with the values that are there now.

    With these, so that what a tuning finds is no worse than what it began with.

    Args:
        kind: Of the task.
        training: What the grid changes.

    Raises:
        UsageError: The kind has none.
    """
    if not kind.grid:
        raise UsageError(f"there is no grid for {kind.name}; name one: --set tuning.grid.SETTING=[...]")
    grid = {name: values for name, values in kind.grid.items() if name not in training.idle}
    for name, values in grid.items():
        if (own := getattr(training, name, values[0])) not in values:
            grid[name] = (own, *values)
    return TuningSettings(grid=grid)


def tuning_config(config: ExperimentConfig, candidates: int, *, trials: int | None = None) -> ExperimentConfig:
    """The configuration of a tuning: all of its grid for so many candidates, however many of them fail.

    Args:
        config: With the grid.
        candidates: How many networks are tuned.
        trials: Try only so many points of the grid, drawn by the seed.

    Raises:
        UsageError: The grid has a setting that there is not or that changes nothing, or a value that is out of range.
    """
    tuning = config.tuning
    assert tuning is not None
    space = tuning_space(tuning, tuple(map(str, range(candidates))))
    trainings = [tuned(config, space.decode(tokens)).child for tokens in every_string(space.decisions)]
    if idle := [name for name in tuning.grid if all(name in training.idle for training in trainings)]:
        raise UsageError(
            f"tuning.grid.{idle[0]}: changes nothing under the run's child.schedule; leave it out, or set "
            "child.schedule=steps"
        )
    reward = config.reward
    if isinstance(reward, OwnReward):  # nobody hands it over again; to rank a grid, the validation number is enough
        reward = PerplexityReward() if reward.lower_is_better else AccuracyReward()
    points = count_strings(space.decisions)
    trials = points if trials is None else min(trials, points)
    return config.model_copy(
        update={
            "space": None,
            "depth": None,
            **NO_REFERENCES,
            "tuning": tuning,
            "strategy": config.strategy.model_copy(
                update={"name": "grid", "options": {"sample": trials} if trials < points else {}}
            ),
            "stopping": None,
            "reward": reward,
            "search": config.search.model_copy(update={"trials": trials, "hours": None, "max_failures": trials}),
        }
    )


def tuning_space(tuning: TuningSettings, names: tuple[str, ...]) -> ChoiceSpace:
    """The grid as a search space; the values of a setting are options in JSON."""
    settings = (Choice(key, tuple(json.dumps(value) for value in values)) for key, values in tuning.grid.items())
    return ChoiceSpace("tuning", (Choice(ARCHITECTURE, names), *settings))


def tuned(config: ExperimentConfig, choice: ChoiceArchitecture) -> ExperimentConfig:
    """The configuration with the settings that a trial of a tuning chose.

    Raises:
        UsageError: One of them is no setting, or out of range.
    """
    settings = {f"child.{key}": json.loads(str(value)) for key, value in choice.choices if key != ARCHITECTURE}
    return override(config, settings)


def tuning_of(
    networks: Sequence[Network],
    changes: Mapping[str, object],
    *,
    executor: str = "local",
    trials: int | None = None,
) -> ExperimentConfig:
    """The configuration of a tuning of networks.

    Args:
        networks: At least one; all of one run, or with one way of training.
        changes: Of settings by path, such as ``tuning.grid.weight_decay``.
        executor: Where the children are trained: on this machine, wherever those of the search were.
        trials: See :func:`tuning_config`.

    Raises:
        UsageError: Nobody says how the networks are trained, or a setting is wrong.
    """
    config, kind = networks[0].config, networks[0].kind
    if config is None or kind is None:
        raise UsageError("nothing says how to train such an architecture; tune it in the run of a search")
    changes = {"search.executor": executor, **changes}
    # First what decides which settings have an effect, then the grid of those, then what is wanted of the grid.
    config = override(config, {path: value for path, value in changes.items() if not path.startswith("tuning.")})
    config = config.model_copy(update={"tuning": default_grid(kind, config.child), "verdict": None})
    config = override(config, changes).located()
    return tuning_config(config, len(networks), trials=trials)


def prepare_tuning(
    config: ExperimentConfig,
    candidates: Mapping[str, Architecture],
    *,
    searched: Iterable[Network] = (),
    own: Kind | None = None,
    data: Data | None = None,
    call: str | None = None,
    say: Say = _log.info,
) -> Parts:
    """Makes the parts of a tuning, ready for :func:`netwright.session.run`; reads the data.

    Args:
        config: Made by :func:`tuning_config`.
        candidates: The networks in question by name, such as the number of a trial.
        searched: The same as their search left them, where a tuning begins: it warns where the data have changed since.
        own: The kind of task, where that came from Python.
        data: What they learn from; None reads the source that the configuration names.
        call: See :func:`netwright.experiment.load_data`.
        say: Is told how the data were read, for a person.

    Raises:
        UsageError: There is no such device.
        DataError: The data cannot be read or learned from.
    """
    assert config.tuning is not None
    space = tuning_space(config.tuning, tuple(candidates))
    kind = kind_of(config, own)
    of_each_search = {network.task.get(FINGERPRINT): network for network in searched}  # so that its data are read once
    changed = any(changed_since_search(network, config, data) for network in of_each_search.values())
    data = data or load_data(config, kind, call)
    samples, report = kind.samples(data), tell_of(data, say)
    data = data.share_memory()
    return Parts(
        space=space,
        strategy=make_strategy(config, space),
        evaluators=on_devices(config, worker_devices(config), partial(TuningEvaluator, candidates, config, kind, data)),
        task={
            **describe(data, kind, config.child),
            CANDIDATES: {name: a.model_dump(mode="json") for name, a in candidates.items()},
            **(tell_of_change(data) if changed else {}),
        },
        config=config,
        samples=samples,
        report=report,
    )


def candidates_of(task: Mapping[str, Any]) -> dict[str, Architecture]:
    """The networks in question, from the task of a tuning's run folder.

    Raises:
        ArchitectureError: The folder was tampered with.
    """
    return {name: parse_architecture(json.dumps(tree), "task.json") for name, tree in task[CANDIDATES].items()}


class TuningEvaluator:
    """Trains a candidate under chosen settings.

    Args:
        candidates: The networks in question by name.
        config: Has every setting that is not chosen.
        kind: What kind of task it is.
        data: What they learn from.
        device: Where.

    Attributes:
        device_share: Of the memory of a graphics card, what these children may take; other workers have the rest.
    """

    def __init__(
        self,
        candidates: Mapping[str, Architecture],
        config: ExperimentConfig,
        kind: Kind,
        data: Data,
        device: str,
    ) -> None:
        self.candidates = candidates
        self.config = config
        self.kind = kind
        self.data = data
        self.device = device
        self.device_share = 1.0

    def warm_up(self) -> None:
        """See :class:`netwright.search.executor.WarmingUp`."""
        warm_up(make_evaluator(self.config, self.kind, self.data, self.device))

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation | float:
        """See :meth:`netwright.search.executor.Evaluator.evaluate`."""
        assert isinstance(architecture, ChoiceArchitecture)
        chosen = make_evaluator(tuned(self.config, architecture), self.kind, self.data, self.device)
        candidate = self.candidates[str(architecture[ARCHITECTURE])]
        # A limit of the latency has had its say in the search; no setting that is chosen changes what it measures.
        return lenient(sharing(chosen, self.device_share)).evaluate(candidate, seed, report)
