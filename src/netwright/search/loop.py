"""The search: ask, decode, evaluate, score, tell, record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from netwright.errors import AllChildrenFailError
from netwright.search.executor import Executor, Job
from netwright.search.strategy import Strategy
from netwright.seeding import child_seed
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.trial import Concluded, Evaluation, Failure, FailureKind, Outcome, Phase, Proposal, State, Trial, Update

LARGEST_REWARD = 1e12
"""Beyond this, the squares in the controller's single precision arithmetic would no longer be finite."""

MOST_OVER_BUDGET = 2000
"""Networks over the budget in a row that end a search: it would look for one that fits for ever."""

TEACH_NOTHING = (FailureKind.ERROR, FailureKind.LOST)
"""Failures that look like a broken evaluator or machine, so that to continue is a waste.

All other kinds say something about the architecture, which the controller is there to learn: they end no search, but
for :data:`MOST_OVER_BUDGET`.
Nor do they show that the evaluator works, so they do not interrupt a row of these either.
"""

Excess = Callable[[Architecture], str | None]
"""Tells by how much a network is over the budget, for a person; None where it fits."""

Score = Callable[[Evaluation | Failure], float | None]
"""The reward of what came of a trial; None when its worth is unknown."""


class Journal(Protocol):
    """Where a search writes down what it does, so that it can be stopped at any moment and lose nothing."""

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """Notes that trials are under way, all of them or none; those already noted stay as they are."""
        ...

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        """Notes a finished trial and the controller's update that it brought about, both or neither."""
        ...

    def pass_over(self, concluded: Sequence[Concluded]) -> None:
        """Notes trials that were never under way, since they cost too much; all of them, in order, or none."""
        ...


class Observer(Protocol):
    """Watches a search; cannot change it."""

    def started(self, job: Job) -> None:
        """A job was handed to the executor."""
        ...

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """A child has finished an epoch, counted from 1, with this validation number."""
        ...

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """A trial is on disk."""
        ...


def search(
    space: SearchSpace,
    strategy: Strategy,
    executor: Executor,
    score: Score,
    journal: Journal,
    observer: Observer,
    *,
    checkpoint: Callable[[], bytes] | None = None,
    excess: Excess | None = None,
    unfinished: Sequence[Proposal],
    remaining: int,
    seed: int,
    max_failures: int,
    deadline: Callable[[], float] = lambda: math.inf,
) -> None:
    """Searches until ``remaining`` more trials were asked for and all are finished.

    A network over the budget costs no training, so it does not count as one of them.

    Args:
        space: Decodes tokens.
        strategy: Proposes, and is told.
        executor: Evaluates.
        score: Turns results into rewards.
        journal: Keeps everything.
        observer: Is shown everything.
        checkpoint: What the strategy's last update left, as safetensors; None where it makes none worth keeping.
        excess: Tells which networks cost too much to be evaluated; without it, none does.
        unfinished: Proposals of an earlier run that were under way when it stopped.
        remaining: New trials to ask for; none when negative.
        seed: The run's; each child gets one derived from it and the trial's number.
        max_failures: So many failures of the kinds :data:`TEACH_NOTHING` in a row end the search.
        deadline: By the monotonic clock, in seconds, as it stands when asked; no trial is asked for after it.

    Raises:
        AllChildrenFailError: With the text of the last failure.
    """
    under_way: dict[int, tuple[Proposal, Architecture]] = {}

    def start(proposals: Sequence[Proposal]) -> None:
        jobs = [job_of(proposal, space, seed) for proposal in proposals]
        journal.start([(p, job.architecture) for p, job in zip(proposals, jobs, strict=True)])
        for proposal, job in zip(proposals, jobs, strict=True):
            under_way[job.id] = proposal, job.architecture
            executor.submit(job)
            observer.started(job)

    def tell(proposal: Proposal, architecture: Architecture, outcome: Outcome) -> Concluded:
        outcome, reward = rate(outcome, score)
        trial = conclude(proposal, outcome, reward)
        update = strategy.tell([trial])
        state = checkpoint() if update is not None and checkpoint is not None else None
        return Concluded(
            proposal=proposal, architecture=architecture, trial=trial, outcome=outcome, update=update, state=state
        )

    def ask(count: int) -> list[Proposal | Concluded]:
        """At most so many proposals; those that cost too much are over already, and others are asked for after them."""
        asked: list[Proposal | Concluded] = []
        fitting = 0
        while not fitting and len(asked) < MOST_OVER_BUDGET and time.monotonic() < deadline():
            proposals = strategy.ask(count)
            if not proposals:
                break
            for proposal in proposals:
                architecture = proposal.architecture or space.decode(proposal.tokens)
                if excess is None or (why := excess(architecture)) is None:
                    asked.append(proposal)
                    fitting += 1
                else:
                    failure = Failure(kind=FailureKind.OVER_BUDGET, message=why)
                    asked.append(tell(proposal, architecture, Outcome(id=proposal.id, result=failure, seconds=0.0)))
        return asked

    def begin(asked: Sequence[Proposal | Concluded]) -> int:
        """Starts proposals, and notes what is over, by rising numbers: stopped anywhere, the record has no gap.

        Returns:
            How many were started.
        """
        started = 0
        for _, group in groupby(asked, type):
            together = list(group)
            if proposals := [one for one in together if isinstance(one, Proposal)]:
                start(proposals)
                started += len(proposals)
            elif passed := [one for one in together if isinstance(one, Concluded)]:
                journal.pass_over(passed)
                for over in passed:
                    observer.finished(over.trial, over.outcome, over.update)
                if len(passed) >= MOST_OVER_BUDGET:
                    raise AllChildrenFailError(nothing_fits(passed[-1].outcome, len(passed), space))
        return started

    start(unfinished)
    failures_in_a_row = over_budget_in_a_row = 0
    while True:
        wanted = min(executor.room, remaining) if time.monotonic() < deadline() else 0
        if wanted > 0:
            remaining -= begin(ask(wanted))
        if not executor.busy:
            return
        for outcome in executor.wait():
            done = tell(*under_way.pop(outcome.id), outcome)
            journal.finish(done.trial, done.outcome, done.update, done.state)
            observer.finished(done.trial, done.outcome, done.update)
            failure = done.outcome.result if isinstance(done.outcome.result, Failure) else None
            if failure is not None and failure.kind is FailureKind.OVER_BUDGET:
                remaining += 1
                over_budget_in_a_row += 1
                if over_budget_in_a_row >= MOST_OVER_BUDGET:
                    raise AllChildrenFailError(nothing_fits(outcome, over_budget_in_a_row, space))
                continue
            over_budget_in_a_row = 0
            if failure is None:
                failures_in_a_row = 0
            elif failure.kind in TEACH_NOTHING:
                failures_in_a_row += 1
                if failures_in_a_row >= max_failures:
                    raise AllChildrenFailError(f"{failures_in_a_row} trials in a row failed:\n{failure.message}")


def nothing_fits(last: Outcome, count: int, space: SearchSpace) -> str:
    """What to say when so many networks of a space in a row cost too much."""
    message = last.result.message if isinstance(last.result, Failure) else ""
    instead = "" if space.scaled_by is None else f", or have networks scaled to it by {space.scaled_by}"
    return f"{count:,} networks in a row cost more than allowed: {message}. Raise the limit{instead}"


def job_of(proposal: Proposal, space: SearchSpace, seed: int) -> Job:
    """What is to be evaluated for a proposal, in a run with the seed ``seed``."""
    return Job(
        id=proposal.id,
        architecture=proposal.architecture or space.decode(proposal.tokens),
        seed=child_seed(seed, proposal.id) if proposal.seed is None else proposal.seed,
        test=proposal.test,
        admitted=proposal.phase is Phase.FINAL,
    )


def rate(outcome: Outcome, score: Score) -> tuple[Outcome, float | None]:
    """The reward of an outcome; where no controller could learn from it, the outcome is made a failure."""
    try:
        reward = score(outcome.result)
    except (ArithmeticError, TypeError) as error:
        why = f"the reward cannot be computed: {error}"
    else:
        if reward is None or abs(reward) <= LARGEST_REWARD:
            return outcome, reward
        why = f"the reward is {reward}, and a controller learns from {LARGEST_REWARD:g} at the most"
    failure = Failure(kind=FailureKind.NONFINITE, message=why)
    return replace(outcome, result=failure), score(failure)


def conclude(proposal: Proposal, outcome: Outcome, reward: float | None) -> Trial:
    """The finished trial that an outcome makes of a proposal."""
    failed = isinstance(outcome.result, Failure)
    return Trial(
        id=proposal.id,
        tokens=proposal.tokens,
        state=State.FAILED if failed else State.COMPLETE,
        reward=reward,
        valid=None if isinstance(outcome.result, Failure) else outcome.result.valid,
        notes=proposal.notes,
        phase=proposal.phase,
    )
