"""The learner: owns the policy, its optimiser and the baseline, and turns rewards into one update."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netwright.config import LearnerSettings
from netwright.controller.baseline import MovingAverage
from netwright.controller.policy import Policy, Sample
from netwright.controller.policy_gradient import reinforce_loss
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
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=settings.learning_rate, fused=True)
        self.baseline = MovingAverage(settings.baseline_decay)
        self.updates = 0

    def update(self, batch: Sequence[tuple[Plan, Tokens]], rewards: Sequence[float]) -> Update | None:
        """One step of Adam along the policy gradient of a batch.

        The baseline is the one from before the batch, then takes the batch in. The very first batch has no predecessors
        and is compared with its own mean. An empty batch (every child of it was lost) changes no weight.

        Args:
            batch: Each architecture's plan and tokens; plans of unlike sizes may mix.
            rewards: One per architecture, finite.
        """
        if not batch:
            self.updates += 1
            return None
        baseline = sum(rewards) / len(rewards) if self.baseline.value is None else self.baseline.value
        entropy, norm = self._step(batch, torch.tensor(rewards), baseline)
        self.baseline.update(rewards)
        self.updates += 1
        return Update(
            number=self.updates,
            reward=sum(rewards) / len(rewards),
            baseline=baseline,
            entropy=entropy,
            gradient_norm=norm,
        )

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
        self.updates += 1
        if not batch:
            return None
        for _ in range(steps):
            entropy, norm = self._step(batch, torch.ones(len(batch)), 0.0, smoothing)
        mean = sum(rewards) / len(rewards)
        return Update(number=self.updates, reward=mean, baseline=mean, entropy=entropy, gradient_norm=norm)

    def _step(
        self, batch: Sequence[tuple[Plan, Tokens]], reward: Tensor, baseline: float, smoothing: float = 0.0
    ) -> tuple[float, float]:
        """One step of Adam; mean entropy and norm of the gradient before it."""
        sample = self._evaluate(batch)
        log_prob = torch.lerp(sample.log_prob, sample.uniform_log_prob, smoothing) if smoothing else sample.log_prob
        loss = reinforce_loss(log_prob, reward, baseline)
        if self.settings.entropy_weight:
            loss = loss - self.settings.entropy_weight * sample.entropy.mean()
        self.optimizer.zero_grad()
        loss.backward()
        limit = self.settings.clip_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), limit)
        self.optimizer.step()
        return sample.entropy.mean().item(), norm.item()

    def _evaluate(self, batch: Sequence[tuple[Plan, Tokens]]) -> Sample:
        """Log-probabilities of the batch in its own order, one pass of the policy per size of plan."""
        rows_of: dict[Plan, list[int]] = {}
        for row, (plan, _) in enumerate(batch):
            rows_of.setdefault(plan, []).append(row)
        parts = [self.policy.evaluate(plan, [batch[row][1] for row in rows]) for plan, rows in rows_of.items()]
        order = torch.tensor([row for rows in rows_of.values() for row in rows]).argsort()
        return Sample(
            tokens=torch.empty(0),
            log_prob=torch.cat([part.log_prob for part in parts])[order],
            entropy=torch.cat([part.entropy for part in parts])[order],
            uniform_log_prob=torch.cat([part.uniform_log_prob for part in parts])[order],
        )

    def state(self) -> dict[str, Tensor]:
        """A copy of everything that the next update depends on, as tensors with flat names; see :meth:`load_state`."""
        state = {f"policy.{name}": value.detach().clone() for name, value in self.policy.named_parameters()}
        for name, parameter in self.policy.named_parameters():
            moments = self.optimizer.state.get(parameter, {})
            state |= {f"adam.{key}.{name}": value.clone() for key, value in moments.items()}
        if self.baseline.value is not None:
            state["baseline"] = torch.tensor(self.baseline.value, dtype=torch.float64)
        state["updates"] = torch.tensor(self.updates)
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes back to where :meth:`state` was taken, exactly.

        Raises:
            ValueError: The names or shapes are not those of this learner's policy.
        """
        parameters = dict(self.policy.named_parameters())
        weights = {name.removeprefix("policy."): v for name, v in state.items() if name.startswith("policy.")}
        unlike = [name for name, p in parameters.items() if name not in weights or weights[name].shape != p.shape]
        if unlike or len(weights) != len(parameters):
            raise ValueError(f"the state is not of this controller; unlike: {', '.join(unlike) or 'extra weights'}")
        self.policy.load_state_dict(weights)
        self.optimizer.state.clear()
        for name, value in state.items():
            if name.startswith("adam."):
                _, key, parameter = name.split(".", 2)
                self.optimizer.state[parameters[parameter]][key] = value.clone()
        self.baseline.value = state["baseline"].item() if "baseline" in state else None
        self.updates = int(state["updates"])
