"""The controller is a recurrent network that writes architectures: a distribution over strings of tokens.

A learner owns it together with its optimiser and its baseline, and turns rewards into one update (REINFORCE).

Public names: ``Gradient``, ``Learner``, ``MovingAverage``, ``Policy``, ``Weights``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.controller.baseline import MovingAverage
    from netwright.controller.learner import Learner
    from netwright.controller.policy import Policy
    from netwright.controller.weights import Gradient, Weights

__all__ = ["Gradient", "Learner", "MovingAverage", "Policy", "Weights"]

__getattr__ = lazily(
    __name__,
    {
        "baseline": ("MovingAverage",),
        "learner": ("Learner",),
        "policy": ("Policy",),
        "weights": ("Gradient", "Weights"),
    },
)
