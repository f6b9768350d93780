"""Tuning: settings of training tried on a grid, for one architecture or a few (Zoph & Le 2017, sec. 4.1 and 4.2).

A tuning is a search like any other, with its run folder, executor and resumption. What it searches is the grid: its
"architectures" are choices of settings, its strategy goes through all of them, and its evaluator trains the network in
question under the chosen ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netwright.config import ExperimentConfig, ImageTraining, Section, SettingValue, TuningSettings
from netwright.experiment import Parts, describe_task, load_data, make_evaluator, worker_devices
from netwright.settings_file import override
from netwright.spaces.architecture import Architecture, ChoiceArchitecture, parse_architecture
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice, count_strings, every_string
from netwright.strategies.grid import Grid
from netwright.trial import Evaluation, Report

if TYPE_CHECKING:
    from netwright.data.images import ImageData
    from netwright.data.text import TextData

ARCHITECTURE = "architecture"
"""The choice that says which of the candidates is trained; all others are settings of ``child``."""

# The paper names what it tunes and not the values: these are ours.
IMAGE_GRID: Mapping[str, tuple[SettingValue, ...]] = {
    "learning_rate": (0.05, 0.1, 0.2),
    "weight_decay": (5e-5, 1e-4, 5e-4),
    "batch_norm_eps": (1e-5, 1e-3),
    "decay_at": ((0.4, 0.7), (0.5, 0.75), (0.6, 0.8)),
}
LANGUAGE_GRID: Mapping[str, tuple[SettingValue, ...]] = {
    "learning_rate": (0.5, 1.0, 1.5),
    "init_scale": (0.04, 0.05, 0.1),
    "dropout": (0.35, 0.5, 0.65),
    "decay_after": (4, 6, 10),
}


def default_grid(child: Section) -> TuningSettings:
    """The grid for a way of training: values of ours for what the paper tunes."""
    return TuningSettings(grid=IMAGE_GRID if isinstance(child, ImageTraining) else LANGUAGE_GRID)


def tuning_config(config: ExperimentConfig, candidates: int) -> ExperimentConfig:
    """The configuration of a tuning: all of its grid for so many candidates, however many of them fail.

    Raises:
        UsageError: The grid has a setting that there is not, or a value that is out of range.
    """
    tuning = config.tuning or default_grid(config.child)
    space = tuning_space(tuning, tuple(map(str, range(candidates))))
    for tokens in every_string(space.decisions):
        tuned(config, space.decode(tokens))
    trials = count_strings(space.decisions)
    return config.model_copy(
        update={
            "space": None,
            "depth": None,
            "tuning": tuning,
            "strategy": config.strategy.model_copy(update={"name": "grid", "options": {}}),
            "search": config.search.model_copy(update={"trials": trials, "max_failures": trials}),
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


def prepare_tuning(config: ExperimentConfig, candidates: Mapping[str, Architecture]) -> Parts:
    """Makes the parts of a tuning, ready for :func:`netwright.session.run`; reads the data.

    Args:
        config: Made by :func:`tuning_config`.
        candidates: The networks in question by name, such as the number of a trial.

    Raises:
        UsageError: There is no such device.
        DataError: The data cannot be read or learned from.
    """
    assert config.tuning is not None
    space = tuning_space(config.tuning, tuple(candidates))
    data = load_data(config).share_memory()
    return Parts(
        space=space,
        strategy=Grid(space),
        evaluators=[TuningEvaluator(candidates, config, data, device) for device in worker_devices(config)],
        task={**describe_task(data), "candidates": {name: a.model_dump(mode="json") for name, a in candidates.items()}},
        config=config,
    )


def candidates_of(task: Mapping[str, Any]) -> dict[str, Architecture]:
    """The networks in question, from the task of a tuning's run folder.

    Raises:
        ArchitectureError: The folder was tampered with.
    """
    return {name: parse_architecture(json.dumps(tree), "task.json") for name, tree in task["candidates"].items()}


class TuningEvaluator:
    """Trains a candidate under chosen settings.

    Args:
        candidates: The networks in question by name.
        config: Has every setting that is not chosen.
        data: What they learn from.
        device: Where.
    """

    def __init__(
        self, candidates: Mapping[str, Architecture], config: ExperimentConfig, data: ImageData | TextData, device: str
    ) -> None:
        self.candidates = candidates
        self.config = config
        self.data = data
        self.device = device

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        """See :meth:`netwright.search.executor.Evaluator.evaluate`."""
        assert isinstance(architecture, ChoiceArchitecture)
        evaluator = make_evaluator(tuned(self.config, architecture), self.data, self.device)
        return evaluator.evaluate(self.candidates[str(architecture[ARCHITECTURE])], seed, report)
