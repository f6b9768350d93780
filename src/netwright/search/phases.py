"""The phases of a search that ends with an answer, as strategies: given trainings, and a strategy among other trials.

A search is three phases of ordinary trials in one run folder: references are trained, networks are searched for, and
the best of both are trained again from fresh seeds (:mod:`netwright.search.finals` says which). The loop runs one after
the other with one executor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netwright.search.finals import Purpose, Training
from netwright.search.strategy import Strategy
from netwright.seeding import derive_seed
from netwright.trial import Phase, Proposal, Trial, Update

PHASES = {Purpose.REFERENCE: Phase.REFERENCE, Purpose.FINAL: Phase.FINAL, Purpose.LAST: Phase.FINAL}
"""The phase of each purpose's trials."""


class GivenTrainings:
    """A strategy that proposes given trainings in their order, and learns nothing.

    Args:
        trainings: What to train.
        seed: The run's.
        begun: The trials of those that an earlier session began, by training.
        next_id: The number of the first new trial.
    """

    def __init__(
        self, trainings: Sequence[Training], seed: int, *, begun: Mapping[Training, int], next_id: int
    ) -> None:
        self._seed = seed
        self._next_id = next_id
        self._waiting = [(training, begun.get(training)) for training in trainings]

    def ask(self, count: int) -> list[Proposal]:
        """See :meth:`Strategy.ask`."""
        asked, self._waiting = self._waiting[:count], self._waiting[count:]
        return [self._proposal(training, begun) for training, begun in asked]

    def _proposal(self, training: Training, trial_id: int | None) -> Proposal:
        if trial_id is None:
            trial_id, self._next_id = self._next_id, self._next_id + 1
        return Proposal(
            id=trial_id,
            tokens=(),
            architecture=training.architecture,
            seed=training.seed(self._seed),
            phase=PHASES[training.purpose],
            test=training.purpose is Purpose.LAST,
        )

    def tell(self, trials: Sequence[Trial]) -> Update | None:
        """Learns nothing. See :meth:`Strategy.tell`."""

    def restore(self, told: Sequence[Trial], next_id: int) -> None:
        """Nothing to do: what is finished is not given again."""


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
        return replace(proposal, id=trial_id, seed=derive_seed(self._seed, "child", proposal.id))

    def tell(self, trials: Sequence[Trial]) -> Update | None:
        """See :meth:`Strategy.tell`."""
        return self.strategy.tell([replace(trial, id=self._own[trial.id]) for trial in trials])

    def restore(self, told: Sequence[Trial], next_id: int) -> None:
        """See :meth:`Strategy.restore`; ``next_id`` is the run's, too."""
        self.strategy.restore([replace(trial, id=self._own[trial.id]) for trial in told], len(self._ids))
