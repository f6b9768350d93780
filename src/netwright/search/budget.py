"""Networks that cost more than allowed: known before any training, so nothing is spent on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from netwright.search.executor import Executor, Job
from netwright.spaces.architecture import Architecture
from netwright.trial import Failure, FailureKind, Outcome


class Excess(Protocol):
    """Tells whether a network is over a budget."""

    def __call__(self, architecture: Architecture) -> str | None:
        """By how much, for a person; None where it fits."""
        ...


class BudgetExecutor:
    """Wraps an executor; answers for networks that are over the budget, which no worker ever sees.

    Args:
        executor: Evaluates the others.
        excess: Tells them apart.
    """

    def __init__(self, executor: Executor, excess: Callable[[Architecture], str | None]) -> None:
        self._executor = executor
        self._excess = excess
        self._answered: list[Outcome] = []

    @property
    def room(self) -> int:
        """See :meth:`Executor.room`."""
        return self._executor.room

    @property
    def busy(self) -> int:
        """See :meth:`Executor.busy`."""
        return self._executor.busy + len(self._answered)

    def submit(self, job: Job) -> None:
        """Answers at once where the network costs too much. See :meth:`Executor.submit`."""
        if (excess := self._excess(job.architecture)) is None:
            self._executor.submit(job)
        else:
            failure = Failure(kind=FailureKind.OVER_BUDGET, message=excess)
            self._answered.append(Outcome(id=job.id, result=failure, seconds=0.0))

    def wait(self) -> list[Outcome]:
        """See :meth:`Executor.wait`."""
        if self._answered:
            answered, self._answered = self._answered, []
            return answered
        return self._executor.wait()

    def close(self) -> None:
        """See :meth:`Executor.close`."""
        self._answered.clear()
        self._executor.close()
