"""The learner: owns the policy and its weights, and turns rewards into one update."""

from __future__ import annotations

from collections.abc import Sequence

import safetensors.torch
import torch
from torch import Tensor

from netwright.config import LearnerSettings
from netwright.controller.baseline import MovingAverage
from netwright.controller.policy import Policy
from netwright.controller.policy_gradient import policy_gradient
from netwright.controller.weights import Gradient, Weights, to_bytes
from netwright.spaces.grammar import Plan, Tokens
from netwright.trial import Update


class Learner:
    """REINFORCE with a moving-average baseline and Adam.

    Args:
        plan: A plan with every kind of decision of the space.
        settings: Sizes and rates.
        seed: Of the initial weights.
    """

    def __init__(self, plan: Plan, settings: LearnerSettings, seed: int) -> None:
        self.settings = settings
        generator = torch.Generator().manual_seed(seed)
        self.policy = Policy(
            plan,
            hidden=settings.hidden,
            layers=settings.layers,
            init_scale=settings.init_scale,
            generator=generator,
        )
        self.weights = Weights(dict(self.policy.named_parameters()), settings)

    @property
    def updates(self) -> int:
        """How many updates there have been."""
        return self.weights.updates

    @property
    def baseline(self) -> MovingAverage:
        """The running estimate of the reward."""
        return self.weights.baseline

    def update(self, batch: Sequence[tuple[Plan, Tokens]], rewards: Sequence[float]) -> Update | None:
        """One step of Adam along the policy gradient of a batch.

        The baseline is the one from before the batch, then takes the batch in. The very first batch has no predecessors
        and is compared with its own mean. An empty batch (every child of it was lost) changes no weight.

        Args:
            batch: Each architecture's plan and tokens; plans of different sizes may mix.
            rewards: One per architecture, finite.
        """
        return self.weights.learn([policy_gradient(self.policy, batch, rewards, self.baseline.value, self.settings)])

    def replay(
        self, batch: Sequence[tuple[Plan, Tokens]], rewards: Sequence[float], *, steps: int, smoothing: float
    ) -> Update | None:
        """Several steps of Adam that make strings likelier: the policy gradient, each with an advantage of one.

        Leaves the baseline alone. An empty batch changes no weight, but counts.

        Args:
            batch: As in :meth:`update`.
            rewards: As in :meth:`update`; for the record only.
            steps: Of Adam, at least one.
            smoothing: Weight, in [0, 1), of uniform choices against those of the strings.
        """
        self.weights.updates += 1
        if not batch:
            return None
        gradient = self.imitate(batch, steps=steps, smoothing=smoothing)
        mean = sum(rewards) / len(rewards)
        return Update(
            number=self.updates,
            reward=mean,
            baseline=mean,
            entropy=gradient.entropy,
            gradient_norm=gradient.norm,
        )

    def imitate(self, batch: Sequence[tuple[Plan, Tokens]], *, steps: int, smoothing: float) -> Gradient:
        """Steps of Adam that make strings likelier, whatever they earned; counts as no update.

        Args:
            batch: As in :meth:`update`, not empty.
            steps: Of Adam, at least one.
            smoothing: Weight, in [0, 1), of uniform choices against those of the strings.

        Returns:
            The gradient of the last step.
        """
        for _ in range(steps):
            gradient = policy_gradient(self.policy, batch, [1.0] * len(batch), 0.0, self.settings, smoothing)
            self.weights.descend(gradient.values)
        return gradient

    def state(self) -> dict[str, Tensor]:
        """See :meth:`Weights.state`."""
        return self.weights.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """See :meth:`Weights.load_state`, and for what it raises."""
        self.weights.load_state(state)

    def checkpoint(self) -> bytes:
        """The state as safetensors."""
        return to_bytes(self.state())

    def load_checkpoint(self, checkpoint: bytes) -> None:
        """Goes back to where :meth:`checkpoint` was taken, exactly; see :meth:`load_state` for what it raises."""
        self.load_state(safetensors.torch.load(checkpoint))
