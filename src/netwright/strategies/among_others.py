"""A strategy in a run that has other trials, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netwright.search.strategy import Strategy
from netwright.seeding import child_seed
from netwright.trial import Proposal, Trial, Update


class AmongOthers:
    """A strategy whose trials are not the only ones of their run: it counts its own from 0, the run counts all.

    So what a strategy proposes, and the seeds of its children, do not depend on how many other trials a run has.

    Args:
        strategy: Whose trials they are.
        seed: The run's.
        ids: The run's numbers of the strategy's earlier trials, in order.
        next_id: The run's next number.
    """

    def __init__(self, strategy: Strategy, seed: int, *, ids: Sequence[int], next_id: int) -> None:
        self.strategy = strategy
        self._seed = seed
        self._ids = list(ids)
        self._own = {trial_id: own for own, trial_id in enumerate(ids)}
        self._next_id = next_id

    def ask(self, count: int) -> list[Proposal]:
        """See :meth:`Strategy.ask`."""
        return [self._numbered(proposal) for proposal in self.strategy.ask(count)]

    def _numbered(self, proposal: Proposal) -> Proposal:
        trial_id, self._next_id = self._next_id, self._next_id + 1
        self._own[trial_id] = proposal.id
        return replace(proposal, id=trial_id, seed=child_seed(self._seed, proposal.id))

    def own(self, trial_id: int) -> int:
        """The strategy's own number of a trial of its that the run calls ``trial_id``."""
        return self._own[trial_id]

    def tell(self, trials: Sequence[Trial]) -> Update | None:
        """See :meth:`Strategy.tell`."""
        return self.strategy.tell([replace(trial, id=self._own[trial.id]) for trial in trials])

    def restore(self, told: Sequence[Trial], next_id: int, out: Sequence[Proposal] = ()) -> None:
        """See :meth:`Strategy.restore`; ``next_id`` is the run's, too."""
        self.strategy.restore(
            [replace(trial, id=self._own[trial.id]) for trial in told],
            len(self._ids),
            [replace(proposal, id=self._own[proposal.id]) for proposal in out],
        )
