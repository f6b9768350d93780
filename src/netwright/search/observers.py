"""One observer made of several, or of none."""

from __future__ import annotations

import logging
from collections.abc import Callable

from netwright.config import Reward
from netwright.interrupts import held_back
from netwright.search.executor import Job
from netwright.search.loop import Observer
from netwright.trial import Outcome, Trial, Update

log = logging.getLogger(__name__)


class Observers:
    """Shows everything to each of a few observers, in turn; to nobody when there are none.

    One that cannot write (a full disk, a terminal that is gone) is shown nothing more, and the search continues. A
    request to end waits until all have been shown an event: libraries that are interrupted while they hold a lock of
    their own, as TensorBoard's writers do, would wait for it for ever when they are closed.
    """

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""
        self._show(lambda observer: observer.started(job))

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""
        self._show(lambda observer: observer.progressed(trial_id, epoch, valid))

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`."""
        self._show(lambda observer: observer.finished(trial, outcome, update))

    def _show(self, event: Callable[[Observer], None]) -> None:
        with held_back():
            for observer in list(self._observers):
                try:
                    event(observer)
                except OSError as error:
                    self._observers.remove(observer)
                    log.warning("%s shows nothing more (%s); the search continues", type(observer).__name__, error)


class Doubts:
    """An observer that says, each once, what a person may have misunderstood.

    Accuracies are shares, and larger is better; a network that works is worth more than one that fails.

    Args:
        reward: What the numbers go into.
    """

    def __init__(self, reward: Reward) -> None:
        self._floor = reward.floor
        self._doubting_shares = reward.kind == "accuracy"
        self._doubting_floor = True

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`."""
        if self._doubting_shares and trial.valid is not None and not 0 <= trial.valid <= 1:
            self._doubting_shares = False
            log.warning(
                "trial %d has the validation number %g, and an accuracy is in [0, 1]: give shares, not percentages; "
                "where smaller is better, as of an error, set reward.kind to perplexity, or give 1 / (1 + error)",
                trial.id,
                trial.valid,
            )
        if self._doubting_floor and trial.reward is not None and trial.reward < self._floor:
            self._doubting_floor = False
            log.warning(
                "trial %d earned %g, less than the %g of a child that fails (reward.floor), so networks that fail are "
                "sought; begin again with a reward.floor below all rewards, or add a constant to the reward",
                trial.id,
                trial.reward,
                self._floor,
            )
