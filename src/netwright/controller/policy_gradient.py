"""The policy gradient as pure functions over tensors (Williams 1992; Zoph & Le 2017, sec. 3.2)."""

from __future__ import annotations

from torch import Tensor


def reinforce_loss(log_prob: Tensor, reward: Tensor, baseline: float) -> Tensor:
    """The scalar whose gradient is minus the REINFORCE estimate ``1/m sum_k grad log P(a_k) (R_k - b)``.

    Args:
        log_prob: [m] log-probability of each string, in nats, summed over its steps.
        reward: [m] rewards.
        baseline: Must not depend on these strings, or the estimate is biased.
    """
    return -(log_prob * (reward - baseline)).mean()
