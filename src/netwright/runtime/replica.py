"""A controller replica: it pulls the weights, proposes a batch, pushes the batch's gradient (Zoph & Le 2017, sec. 3.2).

To the loop of :mod:`netwright.search.loop` it is a strategy like any other; with one replica it is :class:`Reinforce`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from netwright.config import LearnerSettings
from netwright.controller.policy import Policy
from netwright.controller.policy_gradient import policy_gradient
from netwright.runtime.parameter_server import ParameterServer, Receipt
from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum
from netwright.spaces.base import SearchSpace
from netwright.strategies.reinforce import lesson, sample_batch
from netwright.trial import Proposal, Trial, Update


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The trials of one gradient, in whatever state they are: new, or left behind by a replica that is no more.

    Attributes:
        number: From 0, over all replicas.
        ids: Of its trials; fewer than a whole batch where the search ends within it, from which nothing is learnt then.
        begun: Those that have been proposed.
        told: Those of them that are finished.
    """

    number: int
    ids: tuple[int, ...]
    begun: tuple[Proposal, ...] = ()
    told: tuple[Trial, ...] = ()


class Desk(Protocol):
    """Where replicas get their work, and tell what became of it: the driver, or the way to it."""

    def next_batch(self) -> Batch | None:
        """The next batch to work on; None while there is none."""
        ...

    def pushed(self, number: int, receipt: Receipt) -> None:
        """The gradient of a batch has been taken in. Told before the end of the trial that completed the batch."""
        ...


@dataclass(slots=True)
class _Open:
    """A batch under way, with the weights that its gradient is computed at and how many updates those had had.

    They are those of when this replica began it. What is new of it was sampled from them; what a replica that is no
    more had begun may have been sampled from older ones, which nobody has any more.
    """

    batch: Batch
    weights: Mapping[str, Tensor]
    version: int
    told: dict[int, Trial] = field(default_factory=dict)


class Replica:
    """The strategy of one replica of many that share a parameter server.

    Args:
        space: What to design.
        settings: The controller's.
        server: Has the weights.
        desk: Has the work.
        batch: Architectures per gradient (the paper's m).
        ahead: Batches to begin while the last one is unfinished; 0 is the paper's way, and keeps one replica equal to
            a search on one machine.
        seed: Of every sample; the run's, and the same for all replicas.
        curriculum: Size of the architecture by trial number.
    """

    def __init__(
        self,
        space: SearchSpace,
        settings: LearnerSettings,
        server: ParameterServer,
        desk: Desk,
        *,
        batch: int = 8,
        ahead: int = 0,
        seed: int = 0,
        curriculum: Curriculum = full_size,
    ) -> None:
        self.space = space
        self.settings = settings
        self.batch = batch
        self.ahead = ahead
        self.seed = seed
        self.curriculum = curriculum
        self._server = server
        self._desk = desk
        self._policy = Policy(space.plan(), hidden=settings.hidden, layers=settings.layers)
        self._open: dict[int, _Open] = {}
        self._waiting: list[Proposal] = []

    def ask(self, count: int) -> list[Proposal]:
        """Proposals of the current batch, then of the next, as far as it may go ahead. See :meth:`Strategy.ask`."""
        while not self._waiting and len(self._open) <= self.ahead:
            batch = self._desk.next_batch()
            if batch is None:
                break
            self._begin(batch)
        asked, self._waiting = self._waiting[:count], self._waiting[count:]
        return asked

    def _begin(self, batch: Batch) -> None:
        """Pulls the weights, and proposes what of the batch is not finished."""
        weights, version = self._server.pull()
        self._load(weights)
        told = {trial.id: trial for trial in batch.told}
        proposals = {proposal.id: proposal for proposal in batch.begun}
        if len(proposals) < len(batch.ids):
            sampled = sample_batch(self._policy, self.space, self.curriculum, self.seed, batch.number, self.batch)
            proposals = {proposal.id: proposal for proposal in sampled} | proposals
        self._open[batch.number] = _Open(batch, weights, version, told)
        self._waiting = [proposals[trial_id] for trial_id in batch.ids if trial_id not in told]
        if not self._waiting:
            self._complete(batch.number)

    def tell(self, trials: Sequence[Trial]) -> Update | None:
        """Pushes the gradient of each batch that the trials complete. See :meth:`Strategy.tell`."""
        update = None
        for trial in trials:
            number = trial.id // self.batch
            work = self._open[number]
            work.told[trial.id] = trial
            if len(work.told) == len(work.batch.ids):
                update = self._complete(number)
        return update

    def _complete(self, number: int) -> Update | None:
        """Learns from a finished batch, if it is a whole one, at the weights that it was begun with."""
        work = self._open.pop(number)
        if len(work.batch.ids) < self.batch:
            return None
        self._load(work.weights)
        strings, rewards = lesson([work.told[i] for i in work.batch.ids], self.space, self.curriculum)
        gradient = policy_gradient(self._policy, strings, rewards, self._server.baseline(), self.settings)
        receipt = self._server.push(gradient, work.version, number)
        self._desk.pushed(number, receipt)
        return receipt.update

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self._policy.named_parameters():
                weight.copy_(weights[name])

    def restore(self, told: Sequence[Trial], next_id: int, out: Sequence[Proposal] = ()) -> None:
        """Nothing to do: what was under way comes back from the desk, as batches that are begun already."""
