"""The contract of an executor, as tests: subclass :class:`ExecutorContract` in a test file and say how yours is made.

:class:`Obedient` is the evaluator it is tried with: it does what an architecture tells it to.
"""

# ruff: noqa: D102  the tests' names are their sentences

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from netwright.errors import DivergedError, OverBudgetError, UsageError
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
    """An evaluator whose children do what they are told: answer, fail in every way there is, or hang.

    An order with a ``sign``, a path, leaves it there with the number of its process; ``crash once`` and ``die once``
    are done only where the sign is not there yet.
    """

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        """The seed, as an accuracy below 1, when told to ``answer``."""
        assert isinstance(architecture, ChoiceArchitecture)
        more = dict(architecture.choices)
        answer = Evaluation(
            valid=seed % 997 / 997,
            metrics={"seed": seed, "process": os.getpid()},
            curve=(0.25, 0.5),
            blocks=(0.125, 0.375),
        )
        acts: dict[str, Callable[[], object]] = {
            "answer": lambda: _report_all(answer, report),
            "raise": lambda: 1 / 0,
            "diverge": lambda: _raise(DivergedError("the loss of epoch 1 is nan")),
            "cost too much": lambda: _raise(OverBudgetError("too many parameters")),
            "eat memory": lambda: _raise(MemoryError()),
            "exit": lambda: sys.exit(3),
            "sleep": lambda: _report_and_sleep(answer, report),
            "start a process and sleep": lambda: _start_another(str(more["sign"])),
            "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
            "crash": os.abort,
            "leave": lambda: os._exit(3),
            "take memory": lambda: bytearray(int(str(more["mib"])) * 2**20),
        }
        do, once, _ = str(more["do"]).partition(" once")
        if do in ("nan", "inf", "-inf"):
            return Evaluation(valid=float(do))
        seen = "sign" in more and _leave(str(more["sign"]))
        if not (once and seen):
            acts[do]()
        return answer


class Unsendable(Obedient):
    """Has a lock, which no other process can be given."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def _start_another(sign: str) -> None:
    Path(f"{sign}-of-another").write_text(str(subprocess.Popen(["sleep", "60"]).pid))
    time.sleep(60)


def _leave(sign: str) -> bool:
    """Leaves a sign; whether there was one."""
    was_there = Path(sign).exists()
    Path(sign).write_text(str(os.getpid()))
    return was_there


def _report_all(evaluation: Evaluation, report: Report) -> None:
    for epoch, valid in enumerate(evaluation.curve, 1):
        report(epoch, valid)


def _report_and_sleep(evaluation: Evaluation, report: Report) -> None:
    _report_all(evaluation, report)
    time.sleep(60)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class ChildLimits:
    """What an executor is asked for.

    Attributes:
        seconds: Wall time after which a child is ended.
        memory_mb: MiB that a child may take; None for no limit.
        retries: How often a job may be killed from outside and run again.
        on_epoch: Told of every finished epoch: trial, epoch from 1, validation number.
    """

    seconds: float = 600.0
    memory_mb: int | None = None
    retries: int = 2
    on_epoch: Callable[[int, int, float], None] | None = None


DEFAULTS = ChildLimits()


class ExecutorContract(ABC):
    """What every executor promises. Few tests of several promises each, since an executor may take seconds to start.

    Attributes:
        separate: Whether children run in processes of their own, which the executor can end, and whose end it
            survives. One that runs them in the process of the search promises nothing about crashes, kills, memory
            and time; the tests of those then check that it does run them there.
    """

    separate: bool = True

    @abstractmethod
    def make(self, evaluator: Evaluator, limits: ChildLimits) -> Executor:
        """A fresh instance that keeps to the limits, as far as it has the means (see :attr:`separate`)."""

    def results(self, jobs: list[Job], limits: ChildLimits = DEFAULTS) -> dict[int, Evaluation | Failure]:
        """What becomes of some jobs, by trial, in a fresh executor."""
        with closing(self.make(Obedient(), limits)) as executor:
            for one in jobs:
                executor.submit(one)
            return {number: outcome.result for number, outcome in wait_for(executor).items()}

    def only_if_separate(self) -> None:
        """Ends the test of an executor that makes no promise about processes: nothing of it may be one.

        Raises:
            AssertionError: It does run children in processes of their own.
        """
        if self.separate:
            return
        assert self._process_of_a_child() == os.getpid(), "children run elsewhere: set separate, and keep the promise"
        pytest.skip("runs children in the process of the search, which nothing protects")

    def _process_of_a_child(self) -> int:
        (result,) = self.results([job(0)]).values()
        assert isinstance(result, Evaluation)
        return int(result.metrics["process"])

    def test_children_run_where_the_executor_says(self) -> None:
        assert (self._process_of_a_child() != os.getpid()) is self.separate

    def test_every_job_comes_back_once_and_the_job_alone_decides_what_as(self) -> None:
        executor = self.make(Obedient(), DEFAULTS)
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
                assert outcome.result.blocks == (0.125, 0.375)
                assert outcome.seconds >= 0
            assert (executor.room, executor.busy) == (room, 0)

    def test_every_epoch_is_told_in_order_and_before_the_outcome(self) -> None:
        """Tried: with an executor that keeps them to itself, it fails."""
        told: list[tuple[int, int, float]] = []
        limits = ChildLimits(on_epoch=lambda trial, epoch, valid: told.append((trial, epoch, valid)))
        self.results([job(0), job(1)], limits)
        for number in range(2):
            assert [one[1:] for one in told if one[0] == number] == [(1, 0.25), (2, 0.5)]

    def test_a_failure_is_an_outcome_with_its_reason_and_the_next_child_is_well(self) -> None:
        jobs = [job(number, do) for number, do in enumerate(FAILURES)]
        results = self.results([*jobs, job(len(FAILURES))])
        for number, (kind, message) in enumerate(FAILURES.values()):
            check_failure(results[number], kind, message)
        assert isinstance(results[len(FAILURES)], Evaluation)

    def test_crashes_twice_is_an_error_and_once_is_none(self, tmp_path: Path) -> None:
        """Tried: with crashes that never count it is ``LOST``, with one that counts at once there is no evaluation."""
        self.only_if_separate()
        orders = [job(0, "crash"), job(1, "leave"), job(2, "crash once", sign=str(tmp_path / "sign")), job(3)]
        results = self.results(orders, ChildLimits(retries=9))
        check_failure(results[0], FailureKind.ERROR, "died twice: crashed (SIGABRT); then crashed (SIGABRT)")
        check_failure(results[1], FailureKind.ERROR, "died twice: crashed (exit code 3); then crashed (exit code 3)")
        assert isinstance(results[2], Evaluation)
        assert isinstance(results[3], Evaluation)

    def test_killed_from_outside_is_run_again_with_the_same_seed_and_lost_in_the_end(self, tmp_path: Path) -> None:
        """Tried: it fails when a kill counts as a crash, when none is forgiven, and when all are.

        Without the job put back into the queue, it never comes back.
        """
        self.only_if_separate()
        orders = [job(0, "die"), job(1, "die once", sign=str(tmp_path / "sign")), job(2)]
        results = self.results(orders, ChildLimits(retries=1))
        check_failure(results[0], FailureKind.LOST, "its worker died 2 times: killed from outside (SIGKILL); then")
        again = results[1]
        assert isinstance(again, Evaluation)
        assert again.valid == 1001 % 997 / 997
        assert isinstance(results[2], Evaluation)

    def test_an_idle_worker_that_is_killed_costs_no_job_a_retry(self) -> None:
        """Tried: with every death counted, whether the job had begun or not, a job is lost."""
        self.only_if_separate()
        with closing(self.make(Obedient(), ChildLimits(retries=0))) as executor:
            room = executor.room
            executor.submit(job(0))
            (first,) = wait_for(executor).values()
            assert isinstance(first.result, Evaluation)
            os.kill(int(first.result.metrics["process"]), signal.SIGKILL)
            assert is_gone(int(first.result.metrics["process"]))
            for number in range(1, room + 1):
                executor.submit(job(number))
            for outcome in wait_for(executor).values():
                assert isinstance(outcome.result, Evaluation), outcome.result

    def test_takes_more_memory_than_allowed_is_out_of_memory_and_leaves_nothing_behind(self, tmp_path: Path) -> None:
        """With the limit by name; no other child runs in that process, where an import may be half done.

        Tried: without the limit the child is well; without its name, and with a worker that lives on, it fails.
        """
        self.only_if_separate()
        if not sys.platform.startswith("linux"):
            pytest.skip("memory is limited on Linux only")
        signs = [tmp_path / f"sign-{number}" for number in range(2)]
        orders = [job(number, "take memory", mib=400, sign=str(sign)) for number, sign in enumerate(signs)]
        orders += [job(number, "take memory", mib=100) for number in range(2, 6)]
        results = self.results(orders, ChildLimits(memory_mb=200))
        for number in range(2):
            check_failure(results[number], FailureKind.OUT_OF_MEMORY, "search.child_memory_mb = 200 MiB")
        spent = {int(sign.read_text()) for sign in signs}
        for number in range(2, 6):
            answer = results[number]
            assert isinstance(answer, Evaluation)
            assert answer.metrics["process"] not in spent

    def test_a_time_out_is_a_time_out_and_ends_all_that_the_child_started(self, tmp_path: Path) -> None:
        """Tried: without the clock the child sleeps on; without the end of its whole group, what it started does."""
        self.only_if_separate()
        sign = tmp_path / "sign"
        jobs = [job(0, "start a process and sleep", sign=str(sign)), job(1)]
        results = self.results(jobs, ChildLimits(seconds=2.0))
        check_failure(results[0], FailureKind.TIMEOUT, "not finished after 2 s; search.child_seconds sets the limit")
        assert isinstance(results[1], Evaluation)
        assert is_gone(int(sign.read_text())), "its process lives on"
        assert is_gone(int(Path(f"{sign}-of-another").read_text())), "the process that it started lives on"

    def test_an_evaluator_that_cannot_be_sent_is_refused_with_the_reason(self) -> None:
        """Tried: without the catching of pickle's errors, it is a TypeError."""
        self.only_if_separate()
        with pytest.raises(UsageError, match=r"the evaluator cannot be sent to worker processes: .*lock"):
            self.make(Unsendable(), DEFAULTS)

    def test_closing_forgets_what_is_under_way(self) -> None:
        executor = self.make(Obedient(), DEFAULTS)
        executor.submit(job(0))
        executor.close()

    def test_closing_leaves_no_child_behind(self, tmp_path: Path) -> None:
        """In the middle of a wait, as by Ctrl-C. Tried: with workers that ``close`` leaves alone, it fails."""
        self.only_if_separate()
        sign = tmp_path / "sign"

        def interrupt(trial: int, epoch: int, valid: float) -> None:
            raise KeyboardInterrupt

        with closing(self.make(Obedient(), ChildLimits(on_epoch=interrupt))) as executor:
            executor.submit(job(0, "sleep", sign=str(sign)))
            with pytest.raises(KeyboardInterrupt):
                wait_for(executor)
        assert is_gone(int(sign.read_text()))


def check_failure(result: Evaluation | Failure, kind: FailureKind, message: str) -> None:
    """Checks what a child is returned as.

    Raises:
        AssertionError: It is no failure, of another kind, or its message has not these words.
    """
    assert isinstance(result, Failure), f"expected {kind}, got {result}"
    assert result.kind is kind, result
    assert message in result.message


def is_gone(pid: int, within: float = 10.0) -> bool:
    """Whether a process of this machine ends within some seconds; one that is dead and not yet buried has ended."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except ProcessLookupError:
            return True
        except FileNotFoundError:  # it has just gone, or the system has no such files
            state = ""
        if state in ("Z", "X"):
            return True
        time.sleep(0.02)
    return False
