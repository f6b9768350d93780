"""The contract of an executor, as tests: subclass :class:`ExecutorContract` in a test file and say how yours is made.

:class:`Obedient` is the evaluator it is tried with: it does what an architecture tells it to.
"""

# ruff: noqa: D102  the tests' names are their sentences

from __future__ import annotations

import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing

from netwright.errors import DivergedError, OverBudgetError
from netwright.search.executor import Evaluator, Executor, Job
from netwright.spaces.architecture import Architecture, ChoiceArchitecture
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Report


def order(do: str, **more: int | str) -> ChoiceArchitecture:
    """The architecture that tells :class:`Obedient` what to do."""
    return ChoiceArchitecture(space="orders", choices=(("do", do), *more.items()))


def job(number: int, do: str = "answer", **more: int | str) -> Job:
    """An order as a job."""
    return Job(id=number, architecture=order(do, **more), seed=1000 + number)


class Obedient:
    """An evaluator whose children do what they are told: answer, fail in every way there is, or hang."""

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        """The seed, as an accuracy below 1, when told to ``answer``."""
        assert isinstance(architecture, ChoiceArchitecture)
        answer = Evaluation(valid=seed % 997 / 997, metrics={"seed": seed, "process": os.getpid()}, curve=(0.25, 0.5))
        acts: dict[str, Callable[[], object]] = {
            "answer": lambda: _report_all(answer, report),
            "raise": lambda: 1 / 0,
            "diverge": lambda: _raise(DivergedError("the loss of epoch 1 is nan")),
            "cost too much": lambda: _raise(OverBudgetError("too many parameters")),
            "eat memory": lambda: _raise(MemoryError()),
            "exit": lambda: sys.exit(3),
            "sleep": lambda: time.sleep(60),
            "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
        }
        if architecture["do"] in ("nan", "inf", "-inf"):
            return Evaluation(valid=float(architecture["do"]))
        acts[str(architecture["do"])]()
        return answer


def _report_all(evaluation: Evaluation, report: Report) -> None:
    for epoch, valid in enumerate(evaluation.curve, 1):
        report(epoch, valid)


def _raise(error: Exception) -> None:
    raise error


def wait_for(executor: Executor, seconds: float = 60.0) -> dict[int, Outcome]:
    """All outcomes of what an executor is busy with, by trial.

    Raises:
        AssertionError: A trial ended twice, or not within ``seconds``.
    """
    outcomes: dict[int, Outcome] = {}
    deadline = time.monotonic() + seconds
    while executor.busy:
        for outcome in executor.wait():
            assert outcome.id not in outcomes, f"trial {outcome.id} ended twice"
            outcomes[outcome.id] = outcome
        assert time.monotonic() < deadline, f"still busy after {seconds} s"
    return outcomes


FAILURES = {
    "raise": (FailureKind.ERROR, "ZeroDivisionError: division by zero"),
    "exit": (FailureKind.ERROR, "SystemExit: 3"),
    "diverge": (FailureKind.NONFINITE, "the loss of epoch 1 is nan"),
    "nan": (FailureKind.NONFINITE, "nan"),
    "inf": (FailureKind.NONFINITE, "inf"),
    "-inf": (FailureKind.NONFINITE, "-inf"),
    "cost too much": (FailureKind.OVER_BUDGET, "too many parameters"),
    "eat memory": (FailureKind.OUT_OF_MEMORY, "memory"),
}
"""What each order that fails is to be returned as: the kind, and a part of the message."""


class ExecutorContract(ABC):
    """What every executor promises. Few tests of several promises each, since an executor may take seconds to start."""

    @abstractmethod
    def make(self, evaluator: Evaluator) -> Executor:
        """A fresh instance."""

    def test_every_job_comes_back_once_and_the_job_alone_decides_what_as(self) -> None:
        executor = self.make(Obedient())
        with closing(executor):
            room = executor.room
            assert room >= 1
            assert executor.busy == 0
            assert executor.wait() == [], "an idle executor returns at once"
            for number in range(room):
                assert executor.room == room - number
                executor.submit(job(number))
            for number in range(room, room + 5):
                executor.submit(job(number))
                assert executor.room == 0
            assert executor.busy == room + 5
            outcomes = wait_for(executor)
            assert sorted(outcomes) == list(range(room + 5))
            for number, outcome in outcomes.items():
                assert isinstance(outcome.result, Evaluation)
                assert outcome.result.valid == (1000 + number) % 997 / 997
                assert outcome.result.curve == (0.25, 0.5)
                assert outcome.seconds >= 0
            assert (executor.room, executor.busy) == (room, 0)

    def test_a_failure_is_an_outcome_with_its_reason_and_the_next_child_is_well(self) -> None:
        executor = self.make(Obedient())
        with closing(executor):
            for number, do in enumerate(FAILURES):
                executor.submit(job(number, do))
            executor.submit(job(len(FAILURES)))
            outcomes = wait_for(executor)
        for number, (kind, message) in enumerate(FAILURES.values()):
            failure = outcomes[number].result
            assert isinstance(failure, Failure)
            assert failure.kind is kind
            assert message in failure.message
        assert isinstance(outcomes[len(FAILURES)].result, Evaluation)

    def test_closing_forgets_what_is_under_way(self) -> None:
        executor = self.make(Obedient())
        executor.submit(job(0))
        executor.close()
