"""A child: a network in training, of whatever kind, and how it is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from torch import Tensor, nn

from netwright.trial import TEST, Evaluation, Report

Network = TypeVar("Network", bound=nn.Module, covariant=True)


class Trainer(Protocol):
    """Trains a network in place, an epoch at a time, and can be stopped and taken up again between two epochs."""

    @property
    def epoch(self) -> int:
        """Epochs behind it."""
        ...

    def run_epoch(self) -> float:
        """One more epoch; its mean training loss, in nats. Raises :class:`DivergedError`."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything that the next epoch depends on, as tensors with flat names."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes back to where :meth:`state` was taken, exactly."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Child(Generic[Network]):
    """A network before, in or after its training: what the evaluators' ``begin`` returns.

    Attributes:
        network: What is trained.
        trainer: Trains it.
        validate: Measures it on the validation part.
        test: Measures it on the test part; for after the search, once. None where the data has no such part.
        blocks: Measures it on each of a few blocks of the test part, as many for all children of the same data. None
            where nobody wants to know how much depends on the examples there are, or there is no such part.
        confusion: Counts inputs of the test part, by true class and by what they are taken for. None where there are
            no classes, or no such part.
        watch: As ``validate``, on fewer examples: for epochs that decide nothing. None measures these as all others.
    """

    network: Network
    trainer: Trainer
    validate: Callable[[], float]
    test: Callable[[], float] | None
    confusion: Callable[[], list[list[int]]] | None = None
    watch: Callable[[], float] | None = None
    blocks: Callable[[], tuple[float, ...]] | None = None

    def train(self, epochs: int, report: Report, *, watched: int = 0) -> tuple[tuple[float, ...], float]:
        """Trains it to its last epoch.

        Args:
            epochs: In all.
            report: Told the validation number after each epoch.
            watched: The first so many epochs are measured by ``watch``.

        Returns:
            The validation number after each epoch, and the training loss of the last one.

        Raises:
            DivergedError: A loss was not a finite number.
        """
        curve: list[float] = []
        for epoch in range(epochs):
            loss = self.trainer.run_epoch()
            curve.append(self.validate() if self.watch is None or epoch >= watched else self.watch())
            report(self.trainer.epoch, curve[-1])
        return tuple(curve), loss

    def tested(self, evaluation: Evaluation) -> Evaluation:
        """The same with what the test part says, where there is one."""
        if self.test is None:
            return evaluation
        blocks = () if self.blocks is None else self.blocks()
        return replace(evaluation, metrics={**evaluation.metrics, TEST: self.test()}, blocks=blocks)
