"""What a search is given in a test: a journal in memory, an observer that ends it, an executor that answers in reverse.

Whatever takes part in a search, a strategy, an evaluator or a journal of your own, should come to the same end when the
process dies after any of its trials and a new one resumes it (:class:`StopAfter`), and must not depend on which child
is done first (:class:`Backwards`, the other extreme from :class:`netwright.search.executor.SerialExecutor`).
"""

from __future__ import annotations

from collections.abc import Sequence

from netwright.search.executor import Evaluator, Job, SerialExecutor
from netwright.search.observers import Observers
from netwright.spaces.architecture import Architecture
from netwright.trial import Concluded, Outcome, Proposal, Trial, Update


class Stopped(BaseException):
    """The death of the process, as a search meets it: no ``Exception``, so nothing on the way may take it for one."""


class StopAfter(Observers):
    """An observer that ends the search once so many trials have finished.

    Args:
        trials: How many, at least 1.
    """

    def __init__(self, trials: int) -> None:
        super().__init__()
        self._left = trials

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """Counts one.

        Raises:
            Stopped: It is the last.
        """
        self._left -= 1
        if self._left <= 0:
            raise Stopped


class Notes:
    """Journal and observer in one: keeps in memory what it is told, in order.

    Attributes:
        events: ``("start", ids)``, ``("started", id)``, ``("finish", id, whether an update, whether a state)`` and
            ``("finished", id)``, as they came; ``("pass over", ids)`` of networks that cost too much.
        trials: The finished trials.
        outcomes: Their outcomes.
    """

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.trials: list[Trial] = []
        self.outcomes: list[Outcome] = []

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """See :meth:`netwright.search.loop.Journal.start`."""
        self.events.append(("start", [proposal.id for proposal, _ in proposals]))

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        """See :meth:`netwright.search.loop.Journal.finish`."""
        self.events.append(("finish", trial.id, update is not None, state is not None))
        self.trials.append(trial)
        self.outcomes.append(outcome)

    def pass_over(self, concluded: Sequence[Concluded]) -> None:
        """See :meth:`netwright.search.loop.Journal.pass_over`."""
        self.events.append(("pass over", [one.trial.id for one in concluded]))
        self.trials += [one.trial for one in concluded]
        self.outcomes += [one.outcome for one in concluded]

    def started(self, job: Job) -> None:
        """See :meth:`netwright.search.loop.Observer.started`."""
        self.events.append(("started", job.id))

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`netwright.search.loop.Observer.progressed`; not kept."""

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`netwright.search.loop.Observer.finished`."""
        self.events.append(("finished", trial.id))


class Backwards:
    """An executor with room for a few jobs that runs the one that came last first.

    Args:
        evaluator: Evaluates, in this process.
        room: Jobs at a time.
    """

    def __init__(self, evaluator: Evaluator, room: int = 4) -> None:
        self._evaluator, self._room = evaluator, room
        self._jobs: list[Job] = []

    @property
    def room(self) -> int:
        """Jobs that may be submitted now."""
        return self._room - len(self._jobs)

    @property
    def busy(self) -> int:
        """Jobs that have no outcome yet."""
        return len(self._jobs)

    def submit(self, job: Job) -> None:
        """Keeps a job until it is waited for."""
        self._jobs.append(job)

    def wait(self) -> list[Outcome]:
        """Evaluates the newest job."""
        if not self._jobs:
            return []
        alone = SerialExecutor(self._evaluator)
        alone.submit(self._jobs.pop())
        return alone.wait()

    def close(self) -> None:
        """Forgets the jobs."""
        self._jobs.clear()
