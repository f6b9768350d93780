"""The cross-entropy of a softmax over a large vocabulary, in one pass over the logits.

Logits of a whole window of text are the largest tensor of a language model by far. Composed of PyTorch's functions,
forward and backward write a tensor of this size six times; here it is written once, and turned into its gradient in
place, a few rows at a time that stay in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from netwright.children.products import product

ROWS, VALUES = {"cpu": 16}, 1 << 15
"""Rows of logits that are worked on at a time, by type of device; all where there is no cache to stay in. More of them
where the vocabulary is small, as one of characters is, up to so many values: each call costs as much for few."""


def softmax_loss(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, *, bfloat16: bool = False) -> Tensor:
    """The mean cross-entropy of ``softmax(hidden @ weight.T + bias)`` with ``targets``, in nats; differentiable once.

    Args:
        hidden: [M, H].
        weight: [V, H].
        bias: [V].
        targets: [M] indices below V.
        bfloat16: Round the factors and results of matrix products to bfloat16.
    """
    loss: Tensor = _SoftmaxLoss.apply(hidden, weight, bias, targets, bfloat16)  # type: ignore[no-untyped-call]
    return loss


class _SoftmaxLoss(torch.autograd.Function):
    """:func:`softmax_loss` and its gradient."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, bfloat16: bool) -> Tensor:
        logits = product(hidden.to(torch.bfloat16) if bfloat16 else hidden, weight.t(), bfloat16=bfloat16)  # [M, V]
        total, d_bias = hidden.new_zeros(()), torch.zeros_like(bias)
        wanted = any(ctx.needs_input_grad)
        at_a_time = max(ROWS.get(hidden.device.type, len(hidden)), VALUES // len(weight), 1)
        for rows, places in zip(logits.split(at_a_time), targets[:, None].split(at_a_time), strict=True):
            values = rows.to(bias.dtype).add_(bias)
            values -= values.amax(1, keepdim=True)
            total -= values.gather(1, places).sum()
            partition = values.exp_().sum(1, keepdim=True)
            total += partition.log().sum()
            if wanted:
                values /= partition
                values.scatter_add_(1, places, values.new_full(places.shape, -1))
                d_bias += values.sum(0)
                if values is not rows:
                    rows.copy_(values)
        ctx.save_for_backward(hidden, weight, d_bias, logits)  # by now the gradient of the summed loss by the logits
        ctx.bfloat16 = bfloat16
        return total / len(hidden)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, d_bias, d_logits = ctx.saved_tensors
        scale = d_loss / len(hidden)
        d_hidden = product(d_logits, weight, bfloat16=ctx.bfloat16).to(hidden.dtype) * scale
        d_weight = product(d_logits.t(), hidden * scale, bfloat16=ctx.bfloat16).to(weight.dtype)
        return d_hidden, d_weight, d_bias * scale, None, None
