"""Rewards: what the controller learns from, as functions of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from netwright.config import AccuracyReward, CostTarget, OwnReward, PerplexityReward, Reward
from netwright.errors import UsageError
from netwright.trial import Evaluation, Failure, FailureKind

RewardFunction = Callable[[Evaluation], float]
"""A reward of one's own: the more, the better; a controller learns from at most 1e12."""


def reward_of(result: Evaluation | Failure, settings: Reward) -> float | None:
    """The reward of what came of a trial.

    Accuracy raised to a power, by default the paper's cube (Zoph & Le 2017, sec. 4.1), or a constant over the square of
    the perplexity (sec. 4.2); times :func:`cost_factor` where the settings have a target.

    Args:
        result: Of a trial; ``valid`` is an accuracy in [0, 1], a perplexity, or bits per character.
        settings: Which of the two, its constants, and the floor for a failed child.

    Returns:
        The reward; None when the trial was lost and its worth is unknown.

    Raises:
        UsageError: The reward is a function from Python, or a target is of a cost that was not measured.
    """
    if isinstance(result, Failure):
        return None if result.kind is FailureKind.LOST else settings.floor
    match settings:
        case AccuracyReward():
            reward = float(result.valid**settings.exponent)
        case PerplexityReward():
            reward = settings.constant / result.valid**2
        case OwnReward():
            raise UsageError("the reward of this search came from Python; hand it over again as run_search(reward=...)")
        case _:
            assert_never(settings)
    return reward if settings.target is None else reward * cost_factor(result.metrics, settings.target)


def cost_factor(metrics: Mapping[str, float], target: CostTarget) -> float:
    """What costs make of a reward: the product of (cost / target) to a power (Tan et al. 2019, equation 2).

    Raises:
        UsageError: A cost that has a target was not measured.
    """
    factor = 1.0
    for name, wanted in target.costs.items():
        if name not in metrics:
            raise UsageError(f"reward.target.{name}: the evaluations of this search have no metric {name!r}")
        ratio = metrics[name] / wanted
        power = target.below if ratio <= 1 else target.above
        factor *= ratio**power if power else 1.0
    return factor


@dataclass(frozen=True, slots=True)
class OwnScore:
    """The reward of a trial by a function of its evaluation; picklable if the function is.

    Attributes:
        function: From Python.
        settings: The floor for a failed child.
    """

    function: RewardFunction
    settings: OwnReward

    def __call__(self, result: Evaluation | Failure) -> float | None:
        """See :func:`reward_of`.

        Raises:
            UsageError: The function raises, or returns something else than a number.
        """
        if isinstance(result, Failure):
            return reward_of(result, self.settings)
        try:
            return float(self.function(result))
        except Exception as error:
            name = getattr(self.function, "__name__", "reward")
            raise UsageError(
                f"the reward function {name} cannot rate {result.valid:g} with {dict(result.metrics)}: {error!r}"
            ) from error
