"""How long a search will take, by the trainings before it: how its time is divided, and how a person is told."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netwright.config import VerdictSettings
from netwright.search.executor import Job
from netwright.store.rows import TrialRow
from netwright.trial import STOPPED_AFTER, Evaluation, Outcome, Phase, State, Trial, Update
from netwright.wording import counted, duration

UNUSED = 1.5
"""A person is told of so many times the trials that the time would hold."""

RECENT = 20
"""The pace of a search is that of so many of its latest trainings."""


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


class Pace:
    """An observer that knows how long a training of the answer will take.

    By the references, and by what is searched where that takes longer: networks of equal multiply-adds can take twice
    the time of each other. Trainings that were ended early, or known already, say nothing of that.

    Args:
        rows: The trials of the run so far.
    """

    def __init__(self, rows: Sequence[TrialRow]) -> None:
        self._drawn = usual_seconds(rows)
        self._searched: deque[float] = deque(maxlen=RECENT)
        for row in rows:
            if row.phase is Phase.SEARCH and row.state is State.COMPLETE:
                self._add(row.seconds, row.metrics)

    @property
    def seconds(self) -> float | None:
        """Seconds of a training; None before there are any."""
        searched = statistics.fmean(self._searched) if self._searched else None
        return max((seconds for seconds in (self._drawn, searched) if seconds is not None), default=None)

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`."""
        if isinstance(outcome.result, Evaluation):
            self._add(outcome.seconds, outcome.result.metrics)

    def _add(self, seconds: float | None, metrics: Mapping[str, float]) -> None:
        if seconds and STOPPED_AFTER not in metrics:
            self._searched.append(seconds)


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
