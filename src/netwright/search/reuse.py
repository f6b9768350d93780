"""An option that the paper does not take: a network that is proposed again is not trained again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netwright.search.executor import Executor, Job, WrappingExecutor
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.trial import Evaluation, Outcome


class ReusingExecutor(WrappingExecutor):
    """Wraps an executor; answers from memory for networks that it has evaluated, whatever tokens wrote them.

    A repeated trial takes no time and has the same evaluation; failures are not remembered, and tried again.

    While a network is being evaluated, further jobs of it are held back; they are answered by what comes of it, or the
    first of them is run if it failed. So of several trials of one network the lowest number is the one that counts,
    whichever worker is faster and wherever a search is stopped and resumed.

    Args:
        executor: Evaluates what is new.
        space: Knows which architectures are the same network.
        known: Evaluations of an earlier session, by representative (:meth:`SearchSpace.canonical`).
    """

    def __init__(
        self, executor: Executor, space: SearchSpace, known: Mapping[Architecture, Evaluation] | None = None
    ) -> None:
        super().__init__(executor)
        self._space = space
        self._known = dict(known or {})
        self._network: dict[int, Architecture] = {}
        self._held: dict[Architecture, list[Job]] = {}
        self._answered: list[Outcome] = []

    @property
    def busy(self) -> int:
        """See :meth:`Executor.busy`."""
        return super().busy + len(self._answered) + sum(map(len, self._held.values()))

    def submit(self, job: Job) -> None:
        """Answers at once where it can, and holds back what is being evaluated. See :meth:`Executor.submit`."""
        network = self._space.canonical(job.architecture)
        if network in self._known:
            self._answered.append(Outcome(id=job.id, result=self._known[network], seconds=0.0))
        elif network in self._held:
            self._held[network].append(job)
        else:
            self._held[network] = []
            self._network[job.id] = network
            super().submit(job)

    def wait(self) -> list[Outcome]:
        """See :meth:`Executor.wait`."""
        if self._answered:
            answered, self._answered = self._answered, []
            return answered
        outcomes = super().wait()
        for outcome in outcomes:
            network = self._network.pop(outcome.id)
            held = self._held.pop(network)
            if isinstance(outcome.result, Evaluation):
                # The curve belongs to the training that was run; a repeat has none of its own.
                self._known[network] = replace(outcome.result, curve=())
            for job in held:
                self.submit(job)
        return outcomes

    def close(self) -> None:
        """See :meth:`Executor.close`."""
        self._answered.clear()
        self._network.clear()
        self._held.clear()
        super().close()
