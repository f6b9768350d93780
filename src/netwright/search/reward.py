"""Rewards: what the controller learns from, as functions of what was measured."""

from __future__ import annotations

from netwright.config import AccuracyReward
from netwright.trial import Evaluation, Failure, FailureKind


def accuracy_reward(result: Evaluation | Failure, settings: AccuracyReward) -> float | None:
    """Validation accuracy raised to a power, the paper's cube by default (Zoph & Le 2017, sec. 4.1).

    Args:
        result: Of a trial; ``valid`` is an accuracy in [0, 1].
        settings: The exponent, and the floor for a failed child.

    Returns:
        The reward; None when the trial was lost and its worth is unknown.
    """
    if isinstance(result, Failure):
        return None if result.kind is FailureKind.LOST else settings.floor
    return float(result.valid**settings.exponent)
