"""Rewards: what the controller learns from, as functions of what was measured."""

from __future__ import annotations

from netwright.config import AccuracyReward, PerplexityReward
from netwright.trial import Evaluation, Failure, FailureKind


def reward_of(result: Evaluation | Failure, settings: AccuracyReward | PerplexityReward) -> float | None:
    """The reward of what came of a trial.

    Accuracy raised to a power, by default the paper's cube (Zoph & Le 2017, sec. 4.1), or a constant over the square of
    the perplexity (sec. 4.2).

    Args:
        result: Of a trial; ``valid`` is an accuracy in [0, 1], a perplexity, or bits per character.
        settings: Which of the two, its constants, and the floor for a failed child.

    Returns:
        The reward; None when the trial was lost and its worth is unknown.
    """
    if isinstance(result, Failure):
        return None if result.kind is FailureKind.LOST else settings.floor
    match settings:
        case AccuracyReward():
            return float(result.valid**settings.exponent)
        case PerplexityReward():
            return settings.constant / result.valid**2
