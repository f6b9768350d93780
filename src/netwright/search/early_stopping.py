"""An option that the paper does not take: a child that falls behind the others is not trained to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil

from netwright.search.executor import Executor, Job, Limits, WrappingExecutor
from netwright.trial import Evaluation, Outcome


class StoppingExecutor(WrappingExecutor):
    """Wraps an executor; ends a child after an epoch in which it is below a quantile of earlier children's curves.

    After its last epoch no child is stopped, since there is nothing left to spare.

    With a quantile of one half this is the median rule (Golovin et al. 2017, sec. 3.2). A stopped child is a complete
    trial: its evaluation is the best number that it reached, a lower bound of what training on would have given, with
    the metric ``stopped_after``, the costs that its evaluator announced, and the curve up to there.

    Trial ``i`` of the search is held against its trials before number ``i - i % batch`` only. A strategy that waits for
    its batch has all of these told by then, so who is stopped does not depend on which worker was faster, nor on a
    resumption.

    Args:
        executor: Runs the jobs.
        quantile: In (0, 1), of the children that reached an epoch; those below it are stopped.
        warmup: Epochs in which none is stopped.
        least: Curves that reach an epoch before it decides anything.
        batch: See above.
        lower_is_better: Whether the validation number is a perplexity rather than an accuracy.
        curves: Those of an earlier session, by trial.
        own: A trial's number among those of the search, of which ``batch`` counts; the number itself where the run has
            no other trials.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        quantile: float,
        warmup: int = 1,
        least: int = 8,
        batch: int = 8,
        lower_is_better: bool = False,
        curves: Mapping[int, Sequence[float]] | None = None,
        own: Callable[[int], int] = int,
    ) -> None:
        super().__init__(executor)
        self._quantile = quantile
        self._warmup = warmup
        self._least = least
        self._batch = batch
        self._lower_is_better = lower_is_better
        self._own = own
        self._curves = {own(trial): tuple(curve) for trial, curve in (curves or {}).items() if curve}

    def submit(self, job: Job) -> None:
        """Hands the job on, with what its child must reach. See :meth:`Executor.submit`."""
        super().submit(replace(job, limits=self._limits(self._own(job.id))))

    def _limits(self, own: int) -> Limits:
        first_of_batch = own - own % self._batch
        curves = [curve for trial, curve in self._curves.items() if trial < first_of_batch]
        worst: list[float | None] = [None] * self._warmup
        for epoch in range(self._warmup, max(map(len, curves), default=0) - 1):  # after the last nothing is spared
            reached = [curve[epoch] for curve in curves if len(curve) > epoch]
            if len(reached) < self._least:
                break
            worst.append(quantile_from_worst(reached, self._quantile, lower_is_better=self._lower_is_better))
        return Limits(worst=tuple(worst), lower_is_better=self._lower_is_better)

    def wait(self) -> list[Outcome]:
        """Remembers the curves. See :meth:`Executor.wait`."""
        outcomes = super().wait()
        for outcome in outcomes:
            if isinstance(outcome.result, Evaluation) and outcome.result.curve:
                self._curves[self._own(outcome.id)] = outcome.result.curve
        return outcomes


def quantile_from_worst(values: Sequence[float], quantile: float, *, lower_is_better: bool) -> float:
    """The value that at least the share ``quantile`` of all values do not surpass, counted from the worst."""
    return sorted(values, reverse=lower_is_better)[ceil(quantile * len(values)) - 1]
