"""A strategy that trains given networks: those drawn by hand, and those that are trained again for the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netwright.search.finals import Purpose, Training
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

    def restore(self, told: Sequence[Trial], next_id: int, out: Sequence[Proposal] = ()) -> None:
        """Nothing to do: what is finished is not given again."""
