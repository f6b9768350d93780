"""How long a search will take, by the trainings before it: how its time is divided, and how a person is told."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from netwright.config import VerdictSettings
from netwright.store.rows import TrialRow
from netwright.trial import Phase, State
from netwright.wording import counted, duration

UNUSED = 1.5
"""A person is told of so many times the trials that the time would hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """How the time that is left is divided between the search and its answer.

    The search always gets half of it, since an answer needs something to be about; a run of little time then ends late.
    Once the answer has begun, only a later deadline leaves time to search.

    Attributes:
        training: Seconds of one training.
        workers: Trainings at a time.
        left: Seconds until the deadline, 0 or more; infinity without one.
        searched: Networks that were searched.
        trials: Networks that are still to be searched.
        verdict: What the answer is made of.
        begun: Whether the answer has begun.
    """

    training: float
    workers: int
    left: float
    searched: int
    trials: int
    verdict: VerdictSettings
    begun: bool = False

    @property
    def set_aside(self) -> float:
        """Seconds that are kept for the answer."""
        return min(self._answer, self.left if self.begun else self.left / 2)

    def __str__(self) -> str:
        """A sentence for a person; empty where there is nothing to search, or no time."""
        whole = self.trials * self._each
        searching = min(whole, self.left - self.set_aside)
        if self.trials <= 0 or searching <= 0:  # the search is over, and some of the answer may be, too
            return ""
        said = (
            f"a training takes {duration(self.training)} here: {counted(self.trials, 'trial')} about {duration(whole)}"
        )
        if searching < whole:
            said += f"; there is time for about {searching / self._each:.0f} of them"
        if self.verdict.at_end:
            said += f", the answer after them about {duration(self._answer)}"
            if (late := self._answer - (self.left - searching)) > 0:
                said += f", {duration(late)} of that beyond search.hours (a smaller verdict is shorter)"
        if self.left < math.inf and (held := self._fitting(int(self.left / self._each))) >= UNUSED * self.trials:
            said += f"; search.hours would hold about {float(f'{self.searched + held:.2g}'):,.0f} trials, "
            said += f"but search.trials ends the search at {self.searched + self.trials:,}"
        return said

    @property
    def _each(self) -> float:
        """Seconds from one finished training to the next."""
        return self.training / self.workers

    @property
    def _answer(self) -> float:
        """Seconds of the answer to as many networks as there will be."""
        return self._after(max(self._fitting(self.trials), int(min(self.trials, self.left / 2 / self._each))))

    def _fitting(self, most: int) -> int:
        """How many networks, but not more than ``most``, there is time for together with their answer."""
        return bisect_right(range(1, most + 1), self.left, key=lambda more: self._each * more + self._after(more))

    def _after(self, more: int) -> float:
        """Seconds of the answer, which takes the longer, the more networks it chooses from."""
        return self._each * self.verdict.trainings_at_end(self.searched + more) if self.verdict.at_end else 0.0


def usual_seconds(rows: Sequence[TrialRow]) -> float | None:
    """The mean time of the references' trainings that did not fail; None before there are any.

    Without the first of each worker where there are others: it also loads libraries and, on a graphics card, chooses
    kernels, for seconds of which a small child takes one.
    """
    first: dict[int | None, float] = {}
    later: list[float] = []
    for row in rows:
        if row.phase is Phase.REFERENCE and row.state is State.COMPLETE and row.seconds is not None:
            if row.worker in first:
                later.append(row.seconds)
            else:
                first[row.worker] = row.seconds
    return statistics.fmean(later or first.values()) if first else None
