"""The policy gradient: the loss as a pure function over tensors, and the gradient of a batch of strings.

Sources: Williams 1992; Zoph & Le 2017, sec. 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netwright.config import LearnerSettings
from netwright.controller.policy import Policy, Sample
from netwright.controller.weights import Gradient
from netwright.spaces.grammar import Plan, Tokens


def reinforce_loss(log_prob: Tensor, reward: Tensor, baseline: float) -> Tensor:
    """The scalar whose gradient is minus the REINFORCE estimate ``1/m sum_k grad log P(a_k) (R_k - b)``.

    Args:
        log_prob: [m] log-probability of each string, in nats, summed over its steps.
        reward: [m] rewards.
        baseline: Must not depend on these strings, or the estimate is biased.
    """
    return -(log_prob * (reward - baseline)).mean()


def policy_gradient(
    policy: Policy,
    batch: Sequence[tuple[Plan, Tokens]],
    rewards: Sequence[float],
    baseline: float | None,
    settings: LearnerSettings,
    smoothing: float = 0.0,
) -> Gradient:
    """The gradient of a batch at the policy's weights, clipped; it changes none of them.

    Args:
        policy: Whose strings they are.
        batch: Each architecture's plan and tokens; plans of different sizes may mix.
        rewards: One per architecture, finite.
        baseline: None when there has been no reward yet: the batch is compared with its own mean.
        settings: Entropy bonus and clipping.
        smoothing: Weight, in [0, 1), of uniform choices against those of the strings.
    """
    if not batch:
        return Gradient(values={})
    if baseline is None:
        baseline = sum(rewards) / len(rewards)
    sample = evaluate_strings(policy, batch)
    log_prob = torch.lerp(sample.log_prob, sample.uniform_log_prob, smoothing) if smoothing else sample.log_prob
    loss = reinforce_loss(log_prob, torch.tensor(rewards), baseline)
    if settings.entropy_weight:
        loss = loss - settings.entropy_weight * sample.entropy.mean()
    policy.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), settings.clip_norm or float("inf"))
    return Gradient(
        values={name: weight.grad for name, weight in policy.named_parameters() if weight.grad is not None},
        rewards=tuple(rewards),
        baseline=baseline,
        entropy=sample.entropy.mean().item(),
        norm=norm.item(),
    )


def evaluate_strings(policy: Policy, batch: Sequence[tuple[Plan, Tokens]]) -> Sample:
    """Log-probabilities of a batch in its own order, one pass of the policy per size of plan."""
    rows_of: dict[Plan, list[int]] = {}
    for row, (plan, _) in enumerate(batch):
        rows_of.setdefault(plan, []).append(row)
    parts = [policy.evaluate(plan, [batch[row][1] for row in rows]) for plan, rows in rows_of.items()]
    order = torch.tensor([row for rows in rows_of.values() for row in rows]).argsort()
    return Sample(
        tokens=torch.empty(0),
        log_prob=torch.cat([part.log_prob for part in parts])[order],
        entropy=torch.cat([part.entropy for part in parts])[order],
        uniform_log_prob=torch.cat([part.uniform_log_prob for part in parts])[order],
    )
