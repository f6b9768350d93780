"""SGD with momentum whose steps of convolutions are made orthogonal: Muon (Jordan et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import filterfalse
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial of degree five that is iterated: chosen by Jordan et al. (2024) to be as steep at zero as can
be while all singular values still end between 0.7 and 1.2."""

ITERATIONS = 3
"""Of the polynomial. Jordan et al. (2024) take five; for the small matrices of these children three train as well."""

SMALLEST = 1e-12
"""Frobenius norm below which a matrix counts as zero."""


class Muon(torch.optim.SGD):
    """Makes all singular values of the steps of convolutions about one, and leaves all else to SGD.

    With a gradient g, momentum m and rate r, a filter bank W, seen as a matrix with a row for each filter, goes by

        v <- m v + g,    W <- (1 - r d / (1 - m)) W - r s orthogonal(g + m v)    (Nesterov; without: orthogonal(v)),

    where s, the root of rows over columns or one, whichever is more, makes the steps of all shapes act alike, and d is
    the weight decay, which shrinks a weight as fast as it does with SGD, where momentum adds the penalty up. What a
    gradient says about many directions a little then counts as much as what it says about a few a lot, so few steps
    teach more. All that mixes no channels (depthwise filters, scales, biases) and the classifier go as with SGD, and
    do not decay.

    ``torch.optim.Muon`` takes matrices alone, computes in bfloat16, for which many processors have no instructions, and
    reads its rate on the host, so that its steps cannot be recorded on a card.

    Args:
        parameters: Of a network.
        settings: Those of ``torch.optim.SGD``; ``lr`` is the rate of both.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], **settings: Any) -> None:
        every, decay = list(parameters), settings.pop("weight_decay", 0.0)
        groups = [
            {"params": list(filter(mixes_channels, every)), "weight_decay": decay},
            {"params": list(filterfalse(mixes_channels, every)), "weight_decay": 0.0},
        ]
        super().__init__(groups, **settings)
        # A loss scaler must divide gradients itself: fused SGD would do that for those alone that it moves.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step by the gradients of the parameters; those of convolutions are taken away.

        Args:
            closure: Computes the loss again, for optimizers that want it twice: not supported.

        Raises:
            ValueError: A closure was given.
        """
        if closure is not None:
            raise ValueError("Muon takes no closure")
        banks, _ = self.param_groups
        for bank in banks["params"]:
            if bank.grad is not None:
                self._move(bank, bank.grad, banks)
                bank.grad = None  # so that SGD leaves it alone
        return super().step()

    def _move(self, weight: Tensor, gradient: Tensor, group: Mapping[str, Any]) -> None:
        momentum, state = group["momentum"], self.state[weight]
        if (velocity := state.get("momentum_buffer")) is None:
            velocity = state["momentum_buffer"] = torch.zeros_like(weight)
        velocity.mul_(momentum).add_(gradient)
        ahead = gradient.add(velocity, alpha=momentum) if group["nesterov"] else velocity
        banks = ahead.movedim(1, -1)  # so that with channels last the matrix is a view: the order of columns is free
        step = orthogonal(banks.flatten(1))
        rows, columns = step.shape
        rate = group["lr"]
        step.mul_(rate * math.sqrt(max(1.0, rows / columns)))
        weight.mul_(1 - rate * (group["weight_decay"] / (1 - momentum)))
        weight.sub_(step.view(banks.shape).movedim(-1, 1))


def mixes_channels(parameter: Tensor) -> bool:
    """Whether these are the filters of a convolution each of which sees several channels."""
    return parameter.ndim == 4 and parameter.shape[1] > 1


def orthogonal(matrix: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """U V' of the singular value decomposition U S V' of a matrix, roughly: S becomes numbers around one.

    By a polynomial of odd degree in the matrix, which is the same polynomial of its singular values, iterated
    (Newton-Schulz; the coefficients are those of Jordan et al. 2024).

    Args:
        matrix: [rows, columns], of any scale.
        iterations: How often; singular values far below the norm are near one only after five or more.

    Returns:
        [rows, columns], a new tensor.
    """
    one, three, five = COEFFICIENTS
    wide = matrix.shape[0] <= matrix.shape[1]  # products of the shorter side are the cheaper ones
    values = matrix if wide else matrix.T
    values = values / values.norm().clamp(min=SMALLEST)
    for _ in range(iterations):
        squares = values @ values.T
        values = torch.addmm(values, torch.addmm(squares, squares, squares, beta=three, alpha=five), values, beta=one)
    return values if wide else values.T.contiguous()
