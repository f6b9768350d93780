"""An option that the paper does not take: a child that is far behind what people draw is not trained to its end.

Who is far behind is fixed before the search begins, so it does not depend on who has finished, nor on when.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from netwright.config import RungSettings
from netwright.search.executor import Executor, Job, Limits, WrappingExecutor

Curves = Sequence[Sequence[float]]
"""Of one network: the validation numbers after each epoch, training by training."""


def rungs(references: Iterable[Curves], settings: RungSettings, *, lower_is_better: bool) -> Limits:
    """What a child must reach: at each epoch it may be behind the worst reference by a share of that one's number.

    A slow start is no fault of a network that ends well, hence the worst reference, and margins that begin wide. After
    its last epoch a child is held against nothing, since there is nothing left to spare.

    Args:
        references: The curves of each reference that was trained; of a network that is measured more often, the mean.
        settings: The margins.
        lower_is_better: Whether the validation number is a perplexity rather than an accuracy.
    """
    means = [[statistics.fmean(after) for after in zip(*curves, strict=False)] for curves in references]
    epochs = max(map(len, means), default=0)
    worst: list[float] = []
    for epoch in range(1, epochs):
        reached = [curve[epoch - 1] for curve in means if len(curve) >= epoch]
        margin = settings.margin(epoch / epochs)
        worst.append(max(reached) * (1 + margin) if lower_is_better else min(reached) * (1 - margin))
    return Limits(worst=tuple(worst), lower_is_better=lower_is_better)


class BoundExecutor(WrappingExecutor):
    """Wraps an executor; gives each child the same limits. A stopped one is as with early stopping.

    Args:
        executor: Runs the jobs.
        limits: Of every child.
    """

    def __init__(self, executor: Executor, limits: Limits) -> None:
        super().__init__(executor)
        self._limits = limits

    def submit(self, job: Job) -> None:
        """Hands the job on, with what its child must reach. See :meth:`Executor.submit`."""
        super().submit(replace(job, limits=self._limits))
