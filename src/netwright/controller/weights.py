"""A controller's weights and how they learn: one step of Adam along a gradient, and the baseline that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import safetensors.numpy
import torch
from torch import Tensor

from netwright.config import LearnerSettings
from netwright.controller.baseline import MovingAverage
from netwright.trial import Update


@dataclass(frozen=True, kw_only=True, slots=True)
class Gradient:
    """What a batch of architectures says about the weights; of an empty batch, nothing.

    Attributes:
        values: Of the loss, by the name of the weight, clipped; without the weights that the batch does not touch.
        rewards: Of the batch, which the baseline takes in.
        baseline: What was subtracted from them.
        entropy: Mean entropy of the batch's strings, in nats.
        norm: Euclidean norm over all weights, before clipping.
    """

    values: Mapping[str, Tensor]
    rewards: tuple[float, ...] = ()
    baseline: float = 0.0
    entropy: float = 0.0
    norm: float = 0.0


class Weights:
    """Weights with Adam's memory of them, the baseline, and the count of updates.

    They may be all of a controller's, or a part: nothing here looks at two weights at once, so parts that learn from
    the same gradients come to the same as the whole.

    Args:
        tensors: The weights by name; changed in place.
        settings: Rates.
    """

    def __init__(self, tensors: Mapping[str, Tensor], settings: LearnerSettings) -> None:
        self.tensors = dict(tensors)
        # Adam refuses to have nothing to do, and a part may be empty.
        self._adam = torch.optim.Adam(
            [{"params": list(self.tensors.values())}], lr=settings.learning_rate, fused=bool(self.tensors)
        )
        self.baseline = MovingAverage(settings.baseline_decay)
        self.updates = 0

    def learn(self, gradients: Sequence[Gradient]) -> Update | None:
        """One update along the mean of some gradients; the baseline then takes in their rewards, in order.

        Args:
            gradients: Those of empty batches (every child of them was lost) do not count in the mean.

        Returns:
            What it looked like, each number the mean over the gradients; None when all of them are empty, which changes
            no weight, but counts.
        """
        full = [gradient for gradient in gradients if gradient.rewards]
        self.updates += 1
        if not full:
            return None
        self.descend(_mean_of_values(full))
        for gradient in full:
            self.baseline.update(gradient.rewards)
        return Update(
            number=self.updates,
            reward=_mean([_mean(gradient.rewards) for gradient in full]),
            baseline=_mean([gradient.baseline for gradient in full]),
            entropy=_mean([gradient.entropy for gradient in full]),
            gradient_norm=_mean([gradient.norm for gradient in full]),
        )

    def descend(self, values: Mapping[str, Tensor]) -> None:
        """One step of Adam, and nothing else; weights without a gradient stay as they are."""
        for name, tensor in self.tensors.items():
            tensor.grad = values.get(name)
        self._adam.step()

    def state(self) -> dict[str, Tensor]:
        """A copy of everything that the next update depends on, as tensors with flat names; see :meth:`load_state`."""
        state = {f"policy.{name}": tensor.detach().clone() for name, tensor in self.tensors.items()}
        for name, tensor in self.tensors.items():
            state |= {f"adam.{key}.{name}": value.clone() for key, value in self._adam.state.get(tensor, {}).items()}
        if self.baseline.value is not None:
            state["baseline"] = torch.tensor(self.baseline.value, dtype=torch.float64)
        state["updates"] = torch.tensor(self.updates)
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where :meth:`state` was taken, exactly.

        Raises:
            ValueError: The names or shapes are not those of these weights.
        """
        there = {name.removeprefix("policy."): v for name, v in state.items() if name.startswith("policy.")}
        differs = [name for name, w in self.tensors.items() if name not in there or there[name].shape != w.shape]
        if differs or len(there) != len(self.tensors):
            raise ValueError(f"the state is not of this controller; different: {', '.join(differs) or 'extra weights'}")
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(there[name])
        self._adam.state.clear()
        for name, value in state.items():
            if name.startswith("adam."):
                _, key, weight = name.split(".", 2)
                self._adam.state[self.tensors[weight]][key] = value.clone()
        self.baseline.value = state["baseline"].item() if "baseline" in state else None
        self.updates = int(state["updates"])


def to_bytes(state: Mapping[str, Tensor]) -> bytes:
    """A state as safetensors: what ``safetensors.torch.save`` gives, to the byte, in a third of its time."""
    content: bytes = safetensors.numpy.save({name: tensor.numpy() for name, tensor in state.items()})
    return content


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _mean_of_values(gradients: Sequence[Gradient]) -> Mapping[str, Tensor]:
    """The mean by weight; a gradient that does not touch a weight counts as zero there."""
    if len(gradients) == 1:
        return gradients[0].values
    names = dict.fromkeys(name for gradient in gradients for name in gradient.values)
    return {
        name: torch.stack([g.values[name] for g in gradients if name in g.values]).sum(0) / len(gradients)
        for name in names
    }
