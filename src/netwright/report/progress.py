"""The progress of a search: a live display on a terminal, a line per trial elsewhere."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from netwright.config import ExperimentConfig
from netwright.measure import Measure
from netwright.phases import deadline
from netwright.report.summary import last_line
from netwright.search.executor import Job
from netwright.store.ranking import best_trial, searched
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.tasks import measure_of
from netwright.trial import Failure, FailureKind, Outcome, Phase, State, Trial, Update

NAMES = {Phase.REFERENCE: "reference, trial", Phase.SEARCH: "trial", Phase.FINAL: "for the answer, trial"}
"""What a line calls a trial of each phase."""


RECENT = 20
"""Trials whose mean reward tells how the search does at the moment."""


def trainings_in_all(config: ExperimentConfig, searched: int | None = None) -> int:
    """How many trials a run has at its end: references, search and finalists.

    Args:
        config: Of the run.
        searched: How many the search comes to; None where it goes on to as many as the configuration says.
    """
    before = 0 if config.verdict is None else config.verdict.trainings_before
    trials = config.search.trials if searched is None else searched
    return before + trials + trainings_for_answer(config, trials)


def trainings_for_answer(config: ExperimentConfig, searched: int) -> int:
    """How many trials follow a search of so many."""
    verdict = config.verdict
    return verdict.trainings_at_end(searched) if verdict is not None and verdict.at_end else 0


def progress_of(folder: RunFolder, console: Console, *, quiet: bool, searching: bool = True) -> Progress:
    """Shows the search of a run folder, or only the trainings for its answer, from where earlier sessions left it."""
    return Progress(
        console,
        trainings_in_all(folder.config, None if searching else folder.history.searched.counted),
        folder.history.rows,
        measure=measure_of(folder.config, folder.task()),
        answer=partial(trainings_for_answer, folder.config),
        ends=deadline(folder),
        quiet=quiet,
    )


class Progress:
    """Shows a search to a person; an :class:`netwright.search.loop.Observer`.

    Args:
        console: Where to.
        total: Trials in all.
        before: Trials that earlier sessions finished.
        measure: What the validation numbers are called by.
        answer: How many trials follow a search of so many.
        ends: When the time is over that the run may take, by the monotonic clock, in seconds. An answer that has begun
            is brought to its end all the same.
        quiet: Show nothing.
    """

    def __init__(
        self,
        console: Console,
        total: int,
        before: Sequence[TrialRow],
        *,
        measure: Measure,
        answer: Callable[[int], int] = lambda searched: 0,
        ends: float = math.inf,
        quiet: bool = False,
    ) -> None:
        self._total = total
        self._answer = answer
        self._measure = measure
        self._ends = ends
        self._quiet = quiet
        self._console = console
        finished = [row for row in before if row.state is not State.RUNNING]
        self._before = self._done = sum(row.failure != FailureKind.OVER_BUDGET for row in finished)
        self._answered = sum(row.phase is Phase.FINAL for row in finished)
        finished = searched(finished)
        self._searched = sum(row.failure != FailureKind.OVER_BUDGET for row in finished)
        best = best_trial(finished)
        self._best = None if best is None else (best.reward or 0.0, best.valid)
        self._recent = deque((row.reward for row in finished if row.reward is not None), maxlen=RECENT)
        self._failures = Counter(row.failure for row in finished if row.failure is not None)
        self._under_way: dict[int, str] = {}
        self._started = time.monotonic()
        live = console.is_terminal and not quiet
        self._live = Live(self._picture(), console=console, refresh_per_second=4) if live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.update(self._picture())
            self._live.stop()

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""
        self._under_way[job.id] = "starting"
        self._refresh()

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""
        self._under_way[trial_id] = f"epoch {epoch}, {self._measure.on_validation} {valid:.4f}"
        self._refresh()

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`."""
        over_budget = isinstance(outcome.result, Failure) and outcome.result.kind is FailureKind.OVER_BUDGET
        self._done += not over_budget  # another network takes its place
        searched_for = trial.phase is Phase.SEARCH
        self._searched += searched_for and not over_budget
        # A run with an answer may search further, and answers anew then.
        self._answered = 0 if searched_for else self._answered + (trial.phase is Phase.FINAL)
        self._under_way.pop(trial.id, None)
        if trial.reward is not None and searched_for:
            self._recent.append(trial.reward)
        if isinstance(outcome.result, Failure):
            self._failures[outcome.result.kind.value] += 1
            said = f"failed ({outcome.result.kind}): {last_line(outcome.result.message)}"
        else:
            if searched_for and trial.reward is not None and (self._best is None or trial.reward > self._best[0]):
                self._best = trial.reward, trial.valid
            said = f"{self._measure.on_validation} {outcome.result.valid:.4f}  reward {trial.reward:.4g}"
        what = NAMES[trial.phase]
        line = f"[{self._done}/{self._total}] {what} {trial.id}: {said}  {outcome.seconds:.1f} s"
        if self._live is None and not self._quiet:
            standing = "  ".join(f"{name} {value}" for name, value in self._standing())
            self._console.print(f"{line}  {standing}", highlight=False, markup=False, soft_wrap=True)
        self._refresh()

    def _standing(self) -> list[tuple[str, str]]:
        left = self._seconds_left()
        return [
            (f"best {self._measure.name}", "-" if self._best is None else f"{self._best[1]:.4f}"),
            (f"mean reward (last {RECENT})", f"{statistics.fmean(self._recent):.4g}" if self._recent else "-"),
            ("ETA", "-" if left is None else str(timedelta(seconds=round(left)))),
        ]

    def _seconds_left(self) -> float | None:
        """By what a trial of this session has taken in the mean; None before the first."""
        here, now = self._done - self._before, time.monotonic()
        if not here:
            return None
        each = (now - self._started) / here
        answer = each * max(self._answer(self._searched) - self._answered, 0)
        if self._answered:  # the search is over, whether all of its trials are done or its time is
            return answer
        return min(each * max(self._total - self._done, 0), max(self._ends - now, answer))

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._picture())

    def _picture(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_row("trials", f"{self._done} of {self._total}")
        for name, value in self._standing():
            table.add_row(name, value)
        failures = ", ".join(f"{count} {kind}" for kind, count in self._failures.items())
        table.add_row("failures", failures or "none")
        for trial_id, doing in self._under_way.items():
            table.add_row(f"trial {trial_id}", doing)
        return table
