"""Optuna's samplers as strategies."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from netwright.errors import UsageError
from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, Numbered
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Anchor, Plan, Tokens
from netwright.trial import Trial

DEFAULTS: dict[str, dict[str, object]] = {
    "tpe": {
        "multivariate": True,
        "group": False,
        "constant_liar": False,
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
    },
}
"""Every argument that changes a result, said here, because Optuna changes its defaults between versions."""


class OptunaSearch(Numbered):
    """Lets a sampler of Optuna propose, over one categorical parameter per choice and per bit of an anchor.

    Every proposal comes from a new sampler, seeded by the trial's number, over a study in memory that holds the told
    trials; samplers that keep a state beyond it (NSGA-II's generations) resume from the same trials with other draws.

    Args:
        space: What to design.
        sampler: The sampler's name: ``tpe``, ``random``, ``gp``, ``qmc``, ...
        seed: Of every draw.
        curriculum: Size of the architecture by trial number.
        arguments: Of the sampler, beyond those in ``DEFAULTS``.

    Raises:
        UsageError: Optuna has no such sampler, or the sampler no such argument.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        sampler: str = "tpe",
        seed: int = 0,
        curriculum: Curriculum = full_size,
        **arguments: object,
    ) -> None:
        self.space = space
        self.seed = seed
        self.curriculum = curriculum
        self._sampler = find_sampler(sampler)
        self._arguments = DEFAULTS.get(self._sampler.__name__.removesuffix("Sampler").lower(), {}) | arguments
        known = signature(self._sampler).parameters
        if unknown := [name for name in arguments if name not in known or name == "seed"]:
            raise UsageError(f"optuna:{sampler} has no option {unknown[0]}; it has {', '.join(known)}")
        self._seeded = "seed" in known
        with _quiet():
            self._study = optuna.create_study(direction="maximize", sampler=self._make(0))
        self._open: dict[int, optuna.Trial] = {}

    def _make(self, trial_id: int) -> BaseSampler:
        seed = {"seed": derive_seed(self.seed, "optuna", trial_id) % 2**32} if self._seeded else {}
        try:
            return self._sampler(**self._arguments, **seed)
        except (TypeError, ValueError) as error:
            raise UsageError(f"optuna:{self._sampler.__name__}: {error}") from None

    def propose(self, trial_id: int) -> Tokens:
        """What a fresh sampler says to the trials told so far."""
        plan = self.space.plan(self.curriculum(trial_id))
        with _quiet():
            self._study.sampler = self._make(trial_id)
            self._open[trial_id] = self._study.ask(distributions_of(plan))
        return tokens_of(plan, self._open[trial_id].params)

    def learn(self, trial: Trial) -> None:
        """Tells the study, whose trials then stand in the order of the telling, as they do after a restoration.

        Samplers look at their order. Those that were asked for stand in the order of the asking, so they are given up,
        and what became of them is added.
        """
        with _quiet():
            attributes: Mapping[str, Any] = {}
            if (asked := self._open.pop(trial.id, None)) is not None:
                attributes = self._study.tell(asked, state=TrialState.FAIL).system_attrs
            self._study.add_trial(self._frozen(trial, attributes))

    def _frozen(self, trial: Trial, attributes: Mapping[str, Any]) -> FrozenTrial:
        """A told trial as Optuna keeps it, with what its sampler has noted of it."""
        plan = self.space.plan(self.curriculum(trial.id))
        return create_trial(
            state=TrialState.FAIL if trial.reward is None else TrialState.COMPLETE,
            value=trial.reward,
            params=params_of(plan, trial.tokens),
            distributions=distributions_of(plan),
            system_attrs=dict(attributes),
        )


def find_sampler(name: str) -> type[BaseSampler]:
    """Optuna's sampler class of that name: ``tpe`` and ``TPESampler`` are both :class:`optuna.samplers.TPESampler`.

    Raises:
        UsageError: There is none.
    """
    classes = {
        title.removesuffix("Sampler").lower(): getattr(optuna.samplers, title)
        for title in optuna.samplers.__all__
        if title.endswith("Sampler") and not title.startswith("Base")
    }
    found = classes.get(name.lower().removesuffix("sampler"))
    if found is None:
        raise UsageError(f"expected one of Optuna's samplers {', '.join(classes)}, got {name!r}")
    sampler: type[BaseSampler] = found
    return sampler


def distributions_of(plan: Plan) -> dict[str, BaseDistribution]:
    """The parameters that stand for a plan: ``step.kind`` for a choice, ``step.kind.bit`` for each bit of an anchor."""
    distributions: dict[str, BaseDistribution] = {}
    for step, decision in enumerate(plan):
        name = f"{step}.{decision.kind}"
        if isinstance(decision, Anchor):
            distributions |= {f"{name}.{bit}": CategoricalDistribution((0, 1)) for bit in range(decision.earlier)}
        else:
            distributions[name] = CategoricalDistribution(tuple(range(decision.cardinality)))
    return distributions


def params_of(plan: Plan, tokens: Tokens) -> dict[str, int]:
    """The parameters' values that mean ``tokens``; see :func:`distributions_of`."""
    params: dict[str, int] = {}
    for step, (decision, token) in enumerate(zip(plan, tokens, strict=True)):
        name = f"{step}.{decision.kind}"
        if isinstance(decision, Anchor):
            params |= {f"{name}.{bit}": token >> bit & 1 for bit in range(decision.earlier)}
        else:
            params[name] = token
    return params


def tokens_of(plan: Plan, params: Mapping[str, int]) -> Tokens:
    """The inverse of :func:`params_of`."""
    tokens = []
    for step, decision in enumerate(plan):
        name = f"{step}.{decision.kind}"
        if isinstance(decision, Anchor):
            tokens.append(decision.token([bit for bit in range(decision.earlier) if params[f"{name}.{bit}"]]))
        else:
            tokens.append(params[name])
    return tuple(tokens)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences Optuna's line per trial and its notes that an argument is new or going; errors stay."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
