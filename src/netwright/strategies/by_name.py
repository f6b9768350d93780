"""Strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from inspect import Parameter, signature
from pathlib import Path

import safetensors.torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError

from netwright.config import CONTROLLER_SETTINGS_USED, LearnerSettings
from netwright.controller.transfer import TransferReport, transfer
from netwright.errors import UsageError
from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, Strategy
from netwright.spaces.architecture import explain
from netwright.spaces.base import SearchSpace
from netwright.strategies.evolution import Evolution
from netwright.strategies.grid import Grid
from netwright.strategies.local_search import LocalSearch
from netwright.strategies.random_search import RandomSearch
from netwright.strategies.reinforce import Reinforce
from netwright.strategies.replay import ReinforceReplay, ReplaySettings

Make = Callable[..., Strategy]


@dataclass(frozen=True, slots=True)
class Entry:
    """A strategy in the table.

    Attributes:
        make: Makes one from a space, with the keywords ``seed`` and ``curriculum`` and with its own settings.
        records: Those of its arguments that are records, whose fields are given as single settings.
        seeded: Whether its proposals depend on the seed; a comparison over seeds leaves it out otherwise.
    """

    make: Make
    records: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    seeded: bool = True


STRATEGIES: Mapping[str, Entry] = {
    "reinforce": Entry(Reinforce, {"settings": LearnerSettings}),
    "reinforce-replay": Entry(ReinforceReplay, {"settings": LearnerSettings, "replay": ReplaySettings}),
    "random": Entry(RandomSearch),
    "evolution": Entry(Evolution),
    "local-search": Entry(LocalSearch),
    "grid": Entry(Grid, seeded=False),
}
"""What can be named besides ``optuna:SAMPLER``; a strategy of your own needs no name, make it by calling it."""


def make_strategy(
    name: str,
    space: SearchSpace,
    /,
    *,
    seed: int = 0,
    curriculum: Curriculum = full_size,
    learner: LearnerSettings | None = None,
    **settings: object,
) -> Strategy:
    """A fresh strategy.

    Args:
        name: A key of ``STRATEGIES``, or ``optuna:SAMPLER`` with any sampler of Optuna; ``optuna`` means its TPE.
        space: What to design.
        seed: The run's.
        curriculum: Size of the architecture by trial number.
        learner: How a controller learns; strategies without one leave it aside.
        settings: The strategy's own, by the names of its arguments; where there is a controller, also the single fields
            of :class:`LearnerSettings` that it uses, over those of ``learner``.

    Raises:
        UsageError: An unknown name or setting, one that the strategy does not use, or a value that it refuses.
    """
    entry, settings = _find(name, settings)
    fields_of = {argument: list(record.model_fields) for argument, record in entry.records.items()}
    if "settings" in fields_of:
        fields_of["settings"] = [f for f in fields_of["settings"] if f in CONTROLLER_SETTINGS_USED[name]]
    parameters = signature(entry.make).parameters
    known = [key for key in parameters if key not in ("space", "seed", "curriculum", *entry.records)]
    known += [key for fields in fields_of.values() for key in fields]
    unknown = [key for key in settings if key not in known]
    if unknown and not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        raise UsageError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    try:
        for argument, record in entry.records.items():
            given = learner.model_dump() if argument == "settings" and learner else {}
            own = {key: settings.pop(key) for key in fields_of[argument] if key in settings}
            settings[argument] = record.model_validate(given | own)
        return entry.make(space, seed=seed, curriculum=curriculum, **settings)
    except ValidationError as error:
        raise UsageError(f"{name}: {explain(error)}") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: {error}") from None


def take_over_controller(strategy: Strategy, source: Path) -> TransferReport:
    """Starts a fresh strategy from the controller of another search; see :func:`transfer`.

    Args:
        strategy: One that has a controller.
        source: A checkpoint of one, as safetensors.

    Raises:
        UsageError: The strategy has no controller, the file is not one, or nothing of it carries over.
    """
    if not isinstance(strategy, Reinforce | ReinforceReplay):
        raise UsageError(
            f"a controller can be taken over by reinforce and reinforce-replay, not by {type(strategy).__name__}"
        )
    try:
        state = safetensors.torch.load_file(source)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{source}: not the checkpoint of a controller: {error}") from None
    try:
        return transfer(state, strategy.learner.policy)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None


def _find(name: str, settings: dict[str, object]) -> tuple[Entry, dict[str, object]]:
    """The entry that a name means, and the settings that the name itself adds."""
    if name in STRATEGIES:
        return STRATEGIES[name], dict(settings)
    family, _, sampler = name.partition(":")
    if family != "optuna":
        expected = ", ".join([*STRATEGIES, "optuna:SAMPLER"])
        raise UsageError(f"expected one of the strategies {expected}, got {name!r}")
    if find_spec("optuna") is None:
        raise UsageError(f"{name} needs Optuna: pip install 'netwright[optuna]'")
    from netwright.strategies.optuna_search import OptunaSearch

    return Entry(OptunaSearch), settings | {"sampler": sampler or "tpe"}
