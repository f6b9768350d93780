"""One observer made of several, or of none."""

from __future__ import annotations

from netwright.search.executor import Job
from netwright.search.loop import Observer
from netwright.trial import Outcome, Trial, Update


class Observers:
    """Shows everything to each of a few observers, in turn; to nobody when there are none."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""
        for observer in self._observers:
            observer.started(job)

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""
        for observer in self._observers:
            observer.progressed(trial_id, epoch, valid)

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`."""
        for observer in self._observers:
            observer.finished(trial, outcome, update)
