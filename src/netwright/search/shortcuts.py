"""Options that the paper does not take, which spare children their training, or a part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netwright.config import StoppingSettings
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
        stopping: When children are stopped; None stops none.
        batch: See :class:`StoppingExecutor`.
        lower_is_better: Whether the validation number is a perplexity rather than an accuracy.
        curves: Those of an earlier session, by trial.
        known: Evaluations that are not repeated, by representative; None where every child is trained.
    """

    stopping: StoppingSettings | None = None
    batch: int = 8
    lower_is_better: bool = False
    curves: Mapping[int, Sequence[float]] = field(default_factory=dict)
    known: Mapping[Architecture, Evaluation] | None = None

    def wrap(self, executor: Executor, space: SearchSpace, own: Callable[[int], int] = int) -> Executor:
        """An executor that takes these shortcuts; ``own`` as :class:`StoppingExecutor` has it."""
        if self.stopping is not None:
            executor = StoppingExecutor(
                executor,
                quantile=self.stopping.quantile,
                warmup=self.stopping.warmup_epochs,
                least=self.stopping.least,
                batch=self.batch,
                lower_is_better=self.lower_is_better,
                curves=self.curves,
                own=own,
            )
        return executor if self.known is None else ReusingExecutor(executor, space, self.known)
