"""What spares children their training, or a part of it: budgets, and options that the paper does not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netwright.config import StoppingSettings
from netwright.search.budget import BudgetExecutor, Excess
from netwright.search.early_stopping import StoppingExecutor
from netwright.search.executor import Executor
from netwright.search.reuse import ReusingExecutor
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.trial import Evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortcuts:
    """Which children are stopped early, and which are not trained at all; picklable.

    Attributes:
        excess: Tells networks that cost too much; None where none can.
        stopping: When children are stopped; None stops none.
        batch: See :class:`StoppingExecutor`.
        lower_is_better: Whether the validation number is a perplexity rather than an accuracy.
        curves: Those of an earlier session, by trial.
        known: Evaluations that are not repeated, by representative; None where every child is trained.
    """

    excess: Excess | None = None
    stopping: StoppingSettings | None = None
    batch: int = 8
    lower_is_better: bool = False
    curves: Mapping[int, Sequence[float]] = field(default_factory=dict)
    known: Mapping[Architecture, Evaluation] | None = None

    def wrap(self, executor: Executor, space: SearchSpace) -> Executor:
        """An executor that takes these shortcuts."""
        if self.stopping is not None:
            executor = StoppingExecutor(
                executor,
                quantile=self.stopping.quantile,
                warmup=self.stopping.warmup_epochs,
                least=self.stopping.least,
                batch=self.batch,
                lower_is_better=self.lower_is_better,
                curves=self.curves,
            )
        if self.known is not None:
            executor = ReusingExecutor(executor, space, self.known)
        return executor if self.excess is None else BudgetExecutor(executor, self.excess)
