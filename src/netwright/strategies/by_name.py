"""Strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from inspect import signature
from pathlib import Path

import safetensors.torch
from pydantic import ValidationError
from safetensors import SafetensorError

from netwright.config import LearnerSettings
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
from netwright.strategies.replay import ReinforceReplay

Make = Callable[..., Strategy]

STRATEGIES: Mapping[str, Make] = {
    "reinforce": Reinforce,
    "reinforce-replay": ReinforceReplay,
    "random": RandomSearch,
    "evolution": Evolution,
    "local-search": LocalSearch,
    "grid": Grid,
}
"""What can be named besides ``optuna:SAMPLER``; register a strategy of your own by calling it yourself instead."""


def make_strategy(
    name: str,
    space: SearchSpace,
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
        settings: The strategy's own, by the names of its arguments; where there is a controller, also single fields of
            :class:`LearnerSettings`, over those of ``learner``.

    Raises:
        UsageError: An unknown name or setting, or a value that the strategy refuses.
    """
    make, settings = _find(name, settings)
    parameters = signature(make).parameters
    if "settings" in parameters:
        own = {key: value for key, value in settings.items() if key not in LearnerSettings.model_fields}
        controller = (learner or LearnerSettings()).model_dump() | {
            k: settings[k] for k in settings.keys() - own.keys()
        }
        try:
            settings = own | {"settings": LearnerSettings.model_validate(controller)}
        except ValidationError as error:
            raise UsageError(f"{name}: {explain(error)}") from None
    known = [key for key in parameters if key not in ("space", "seed", "curriculum", "settings", "arguments")]
    unknown = [key for key in settings if key not in (*known, "settings")]
    if unknown and "arguments" not in parameters:
        known += LearnerSettings.model_fields if "settings" in parameters else ()
        raise UsageError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    try:
        return make(space, seed=seed, curriculum=curriculum, **settings)
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


def _find(name: str, settings: dict[str, object]) -> tuple[Make, dict[str, object]]:
    """The class that a name means, and the settings that the name itself adds."""
    if name in STRATEGIES:
        return STRATEGIES[name], settings
    family, _, sampler = name.partition(":")
    if family != "optuna":
        expected = ", ".join([*STRATEGIES, "optuna:SAMPLER"])
        raise UsageError(f"expected one of the strategies {expected}, got {name!r}")
    if find_spec("optuna") is None:
        raise UsageError(f"{name} needs Optuna: pip install 'netwright[optuna]'")
    from netwright.strategies.optuna_search import OptunaSearch

    return OptunaSearch, settings | {"sampler": sampler or "tpe"}
