"""A task is a kind of thing to learn: how its data is loaded, and its children are trained, measured and exported.

One file each; the only place that asks "which kind?". Public names: ``kind`` has ``Kind``; ``images`` has ``IMAGES``,
``text`` has ``TEXT``; here are ``KINDS`` by name, ``kind_of`` a configuration, ``kind_of_source`` for the name of a
data source, and ``kind_of_architecture`` for one without a run; ``measure_of`` says what a run's numbers are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.config import ExperimentConfig
from netwright.errors import StorageError, UsageError
from netwright.measure import Measure
from netwright.store.task_file import MEASURE
from netwright.tasks.images import IMAGES
from netwright.tasks.kind import Data, Kind, Task
from netwright.tasks.text import TEXT

__all__ = [
    "IMAGES",
    "KINDS",
    "TEXT",
    "Data",
    "Kind",
    "Task",
    "kind_of",
    "kind_of_architecture",
    "kind_of_source",
    "measure_of",
]

KINDS = {kind.name: kind for kind in (IMAGES, TEXT)}
"""The kinds that are built in."""


def kind_of(config: ExperimentConfig, own: Kind | None = None) -> Kind:
    """The kind of task of a configuration.

    Args:
        config: Of an experiment.
        own: A kind from Python, for a configuration that was made with one.

    Raises:
        UsageError: The configuration needs a kind from Python, and there is none, or it is another one.
    """
    if config.data.kind in KINDS:
        return KINDS[config.data.kind]
    name = getattr(config.data, "name", config.data.kind)
    if own is None or own.name != name:
        given = "none was given" if own is None else f"{own.name!r} was given"
        raise UsageError(
            f"a task of the kind {name!r}, which is from Python, and {given}; hand it over there as task=..."
        )
    return own


def kind_of_source(source: str) -> Kind:
    """The kind of task that a data source is read for; images where its name does not tell, as ``hf:NAME``."""
    named = source.partition(":")[0]
    return next((kind for kind in KINDS.values() if named in kind.sources), IMAGES)


def kind_of_architecture(kind: str) -> Kind | None:
    """The kind of task that an architecture without a run is taken to be for; None where there is none."""
    return next((task for task in KINDS.values() if kind in task.architectures), None)


def measure_of(config: ExperimentConfig, task: Mapping[str, Any]) -> Measure:
    """What the validation number of a run is, from its ``task.json``.

    A task of before there were measures has the one of its kind. With an evaluator from Python nobody has said what the
    number is; the reward tells which way is better.

    Raises:
        StorageError: The folder was tampered with.
    """
    if MEASURE in task:
        try:
            return Measure.from_json(task[MEASURE])
        except ValueError as error:
            raise StorageError(f"task.json: {MEASURE}: {error}") from None
    if task and config.data.kind in KINDS:
        return KINDS[config.data.kind].measure(task)
    return Measure(name="validation number", lower_is_better=config.reward.lower_is_better)
