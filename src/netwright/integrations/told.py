"""What a study of Optuna is told of a finished trial, and how studies take it in one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from netwright.spaces.grammar import Option


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a study is told of a finished trial.

    Attributes:
        parameters: Name, options and the index of the chosen option of each.
        reward: None of a lost one.
        attributes: Of the user, in Optuna's words.
        curve: The validation number after each epoch.
    """

    parameters: tuple[tuple[str, tuple[Option, ...], int], ...]
    reward: float | None
    attributes: Mapping[str, float | None]
    curve: tuple[float, ...]

    @property
    def state(self) -> TrialState:
        """In Optuna's words."""
        return TrialState.FAIL if self.reward is None else TrialState.COMPLETE

    def frozen(self) -> FrozenTrial:
        """As a record of Optuna's."""
        return create_trial(
            state=self.state,
            value=self.reward,
            params={name: options[index] for name, options, index in self.parameters},
            distributions={name: CategoricalDistribution(options) for name, options, _ in self.parameters},
            user_attrs=dict(self.attributes),
            intermediate_values=dict(enumerate(self.curve, 1)),
        )
