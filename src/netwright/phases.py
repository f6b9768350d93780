"""The three phases of a search: references, the search itself, and the trainings that its answer is made of.

All are ordinary trials of one run folder, run by one executor, one phase after the other; what a phase has done is read
from the folder, so that a run can be stopped and resumed anywhere.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from netwright.answer import field_of, references_in, results_of
from netwright.config import VerdictSettings
from netwright.experiment import Parts, Say
from netwright.forecast import Forecast, Pace
from netwright.search.executor import Executor
from netwright.search.finals import Field, Results, Training
from netwright.search.loop import Excess, Observer, search
from netwright.search.observers import Observers
from netwright.search.rungs import BoundExecutor, rungs
from netwright.search.shortcuts import Shortcuts
from netwright.search.strategy import Checkpointed, Informed, Strategy, checkpoint_of
from netwright.spaces.grammar import Tokens
from netwright.store.history import History
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.strategies.among_others import AmongOthers
from netwright.strategies.given_trainings import GivenTrainings
from netwright.tasks import measure_of
from netwright.trial import Phase, Proposal, State


class Phases:
    """The phases of a search in this process, one after the other, whose children are trained by an executor.

    Args:
        folder: Keeps all trials.
        parts: Of the search.
        executor: Trains; for the trials of the search, behind the shortcuts.
        observer: Is shown everything.
        say: Is told where the run stands, for a person.
    """

    def __init__(self, folder: RunFolder, parts: Parts, executor: Executor, observer: Observer, say: Say) -> None:
        self._folder = folder
        self._parts = parts
        self._executor = executor
        self._observer = observer
        self._say = say

    def run(self, shortcuts: Shortcuts, *, searching: bool) -> None:
        """References, if the configuration names any, the search, and the trainings that the answer is made of."""
        verdict = self._folder.config.verdict
        if verdict is not None:
            self._train(self._field(verdict).reference_trainings())
        if searching:
            self._search(shortcuts)
        if verdict is not None and verdict.at_end:
            self.answer(verdict)

    def answer(self, verdict: VerdictSettings) -> None:
        """Trains whatever the verdict still lacks, round by round."""
        while missing := self._field(verdict).missing(self._results()):
            self._train(missing)

    def _bound(self, executor: Executor) -> Executor:
        """An executor whose children must keep up with the references, if the configuration says so."""
        config = self._folder.config
        if config.rungs is None:
            return executor
        curves: dict[str, list[Sequence[float]]] = {}
        for row in reference_rows(self._folder.store.history()):
            if row.curve and row.state is State.COMPLETE:
                curves.setdefault(row.digest, []).append(row.curve)
        lower_is_better = measure_of(config, self._folder.task()).lower_is_better
        return BoundExecutor(executor, rungs(curves.values(), config.rungs, lower_is_better=lower_is_better))

    def _search(self, shortcuts: Shortcuts) -> None:
        """The search itself, among whatever other trials the run has."""
        config, inner = self._folder.config, self._parts.strategy
        history = self._folder.history if config.verdict is None else self._folder.store.history()
        searched = history.searched
        begin(inner, self._folder, history)
        own = [row.id for row in searched.rows]
        strategy = AmongOthers(inner, config.search.seed, ids=own, next_id=history.next_id)
        strategy.restore(searched.told, history.next_id, searched.unfinished)
        pace = Pace(history.rows)
        self._loop(
            strategy,
            shortcuts.wrap(self._bound(self._executor), self._parts.space, strategy.own),
            Observers(self._observer, pace),
            checkpoint=checkpoint_of(inner),
            excess=self._parts.excess,
            unfinished=searched.unfinished,
            remaining=config.search.trials - searched.counted,
            deadline=self._end(history, pace),
        )

    def _train(self, trainings: Sequence[Training]) -> None:
        """Trains given networks from given seeds, those that earlier sessions left unfinished under their numbers."""
        rows = self._folder.store.rows()
        seed = self._folder.config.search.seed
        done = results_of(rows, seed)
        trainings = [training for training in trainings if done(training) is None]
        begun = {row.seed: row.id for row in rows}
        strategy = GivenTrainings(
            trainings,
            seed,
            begun={training: begun[child] for training in trainings if (child := training.seed(seed)) in begun},
            next_id=len(rows),
        )
        self._loop(strategy, self._executor, self._observer, remaining=len(trainings))

    def _loop(
        self,
        strategy: Strategy,
        executor: Executor,
        observer: Observer,
        *,
        checkpoint: Callable[[], bytes] | None = None,
        excess: Excess | None = None,
        unfinished: Sequence[Proposal] = (),
        remaining: int,
        deadline: Callable[[], float] = lambda: math.inf,
    ) -> None:
        config = self._folder.config
        search(
            self._parts.space,
            strategy,
            executor,
            self._parts.score,
            self._folder,
            observer,
            checkpoint=checkpoint,
            excess=excess,
            unfinished=unfinished,
            remaining=remaining,
            seed=config.search.seed,
            max_failures=config.search.max_failures,
            deadline=deadline,
        )

    def _field(self, verdict: VerdictSettings) -> Field:
        task = self._folder.task()
        return field_of(self._folder.config, verdict, task, self._folder.store.rows())

    def _results(self) -> Results:
        return results_of(self._folder.store.rows(), self._folder.config.search.seed)

    def _workers(self, rows: Sequence[TrialRow]) -> int:
        """How many children train at a time; on a cluster, whose places may not all be there yet, as many as have."""
        config = self._folder.config
        if config.search.executor == "local":
            return len(self._parts.evaluators)
        seen = {row.worker for row in rows if row.phase is Phase.REFERENCE and row.state is State.COMPLETE}
        return len(seen) or config.cluster.places

    def _end(self, history: History, pace: Pace) -> Callable[[], float]:
        """When to ask for no more, so that there is time for the answer; a person is told the times.

        It moves with the pace: what a search finds may take longer to train than what people draw, of equal cost.
        """
        verdict = self._folder.config.verdict
        until = deadline(self._folder)
        if verdict is None:
            return lambda: until
        searched = history.searched.counted
        forecast = partial(
            Forecast,
            workers=self._workers(history.rows),
            left=max(until - time.monotonic(), 0.0),
            searched=searched,
            trials=self._folder.config.search.trials - searched,
            verdict=verdict,
            begun=any(row.phase is Phase.FINAL for row in history.rows),
        )

        def end() -> float:
            return until - forecast(training=pace.seconds).set_aside if pace.seconds else until

        if pace.seconds and (said := str(forecast(training=pace.seconds))):
            self._say(said)
        return end


def begin(strategy: Strategy, folder: RunFolder, history: History) -> None:
    """Brings a fresh strategy to where it starts or, by its last checkpoint, nearer to where it was.

    Raises:
        UsageError: The controller that the search started from is not this strategy's.
    """
    if isinstance(strategy, Informed) and (known := known_references(folder, history)):
        strategy.begin(known)
    # After that: who brings a controller wants to go on from what it has learned, not from copies of what people draw.
    take_over_initial(strategy, folder)
    if isinstance(strategy, Checkpointed) and (state := next(folder.checkpoints(), None)):
        strategy.load_state(state)


def known_references(folder: RunFolder, history: History) -> list[tuple[Tokens, float]]:
    """The references that the space can write and that were trained, with their mean rewards before the search."""
    rewards: dict[str, list[float]] = {}
    for row in reference_rows(history):
        if row.reward is not None and row.state is State.COMPLETE:
            rewards.setdefault(row.digest, []).append(row.reward)
    return [
        (tokens, statistics.fmean(rewards[architecture.digest]))
        for architecture, tokens in references_in(folder.task()).values()
        if tokens is not None and architecture.digest in rewards
    ]


def reference_rows(history: History) -> list[TrialRow]:
    """The trainings of references before the search; those that were trained later steered nothing."""
    first = next((row.id for row in history.searched.rows), history.next_id)
    return [row for row in history.rows[:first] if row.phase is Phase.REFERENCE]


def deadline(folder: RunFolder) -> float:
    """When to ask for no more, by the monotonic clock, in seconds; the time of earlier sessions counts."""
    hours = math.inf if folder.config.search.hours is None else folder.config.search.hours
    return folder.began + hours * 3600 - folder.history.seconds


def take_over_initial(strategy: Strategy, folder: RunFolder) -> None:
    """Gives a fresh strategy the controller that the folder's search started from, where it did start from one.

    Raises:
        UsageError: That controller is not this strategy's.
    """
    if folder.initial_controller.is_file():
        from netwright.strategies.by_name import take_over_controller

        take_over_controller(strategy, folder.initial_controller)
