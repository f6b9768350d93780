"""The search: ask, decode, evaluate, score, tell, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from netwright.errors import AllChildrenFailError
from netwright.search.executor import Executor, Job
from netwright.search.strategy import Strategy
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Proposal, State, Trial, Update

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
    unfinished: Sequence[Proposal],
    remaining: int,
    deadline: float,
    seed: int,
    max_failures: int,
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
        unfinished: Proposals of an earlier run that were under way when it stopped.
        remaining: New trials to ask for; none when negative.
        deadline: By the monotonic clock, in seconds; no trial is asked for after it.
        seed: The run's; each child gets one derived from it and the trial's number.
        max_failures: So many failures of the kinds :data:`TEACH_NOTHING` in a row end the search.

    Raises:
        AllChildrenFailError: With the text of the last failure.
    """
    under_way: dict[int, Proposal] = {}

    def start(proposals: Sequence[Proposal]) -> None:
        jobs = [job_of(proposal, space, seed) for proposal in proposals]
        journal.start([(p, job.architecture) for p, job in zip(proposals, jobs, strict=True)])
        for proposal, job in zip(proposals, jobs, strict=True):
            under_way[proposal.id] = proposal
            executor.submit(job)
            observer.started(job)

    start(unfinished)
    failures_in_a_row = over_budget_in_a_row = 0
    while True:
        wanted = min(executor.room, remaining) if time.monotonic() < deadline else 0
        if wanted > 0 and (proposals := strategy.ask(wanted)):
            remaining -= len(proposals)
            start(proposals)
        if not executor.busy:
            return
        for outcome in executor.wait():
            outcome, reward = rate(outcome, score)
            trial = conclude(under_way.pop(outcome.id), outcome, reward)
            update = strategy.tell([trial])
            state = checkpoint() if update is not None and checkpoint is not None else None
            journal.finish(trial, outcome, update, state)
            observer.finished(trial, outcome, update)
            failure = outcome.result if isinstance(outcome.result, Failure) else None
            if failure is not None and failure.kind is FailureKind.OVER_BUDGET:
                remaining += 1
                over_budget_in_a_row += 1
                if over_budget_in_a_row >= MOST_OVER_BUDGET:
                    raise AllChildrenFailError(
                        f"{over_budget_in_a_row:,} networks in a row cost more than allowed: {failure.message}. "
                        "Raise the limit, or have networks scaled to it by space.fill=true"
                    )
                continue
            over_budget_in_a_row = 0
            if failure is None:
                failures_in_a_row = 0
            elif failure.kind in TEACH_NOTHING:
                failures_in_a_row += 1
                if failures_in_a_row >= max_failures:
                    raise AllChildrenFailError(f"{failures_in_a_row} trials in a row failed:\n{failure.message}")


def job_of(proposal: Proposal, space: SearchSpace, seed: int) -> Job:
    """What is to be evaluated for a proposal, in a run with the seed ``seed``."""
    return Job(
        id=proposal.id,
        architecture=proposal.architecture or space.decode(proposal.tokens),
        seed=derive_seed(seed, "child", proposal.id) if proposal.seed is None else proposal.seed,
        test=proposal.test,
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
