"""Running evaluations: what a search asks of an evaluator and of an executor, and one that runs them in turn."""

from __future__ import annotations

import errno
import logging
import re
import reprlib
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Protocol, cast, runtime_checkable

from netwright.errors import DivergedError, OverBudgetError
from netwright.spaces.architecture import Architecture
from netwright.trial import STOPPED_AFTER, Evaluation, Failure, FailureKind, Outcome, Report

log = logging.getLogger(__name__)


class Evaluator(Protocol):
    """Tells what an architecture is worth: trains a child, or reads a table."""

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation | float:
        """Equal architectures and seeds give equal evaluations on one machine. Any exception is a failed trial.

        A number alone is the validation number; an :class:`Evaluation` also holds other metrics, and the curve.
        """
        ...


@dataclass(frozen=True, slots=True)
class FunctionEvaluator:
    """An evaluator that is one function.

    Attributes:
        function: (architecture, seed, report) -> what :meth:`Evaluator.evaluate` returns.
    """

    function: Callable[[Architecture, int, Report], Evaluation | float]

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation | float:
        """See :meth:`Evaluator.evaluate`."""
        return self.function(architecture, seed, report)


@runtime_checkable
class Examiner(Evaluator, Protocol):
    """An evaluator whose children can be measured on a test part, too; asked for only where that chooses nothing."""

    def evaluate_and_test(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        """As :meth:`Evaluator.evaluate`, with the metric :data:`netwright.trial.TEST` where there is a test part.

        And with :attr:`~netwright.trial.Evaluation.blocks`, if the error of the answer is to count the examples, too.
        """
        ...


@runtime_checkable
class WarmingUp(Evaluator, Protocol):
    """An evaluator that has something to load or to compile once in each process."""

    def warm_up(self) -> None:
        """Does so before the first child, whose time and memory it is no part of."""
        ...


def warm_up(evaluator: Evaluator) -> None:
    """Readies this process for the children of ``evaluator``, if that takes anything."""
    if isinstance(evaluator, WarmingUp):
        evaluator.warm_up()


@runtime_checkable
class Lenient(Evaluator, Protocol):
    """An evaluator that refuses children by a cost that is measured, and so is another each time."""

    def lenient(self) -> Evaluator:
        """One that measures the cost, and refuses nothing for it."""
        ...


def lenient(evaluator: Evaluator) -> Evaluator:
    """``evaluator``, without its limits of measured costs if it has any."""
    return evaluator.lenient() if isinstance(evaluator, Lenient) else evaluator


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a child must reach, epoch by epoch, to be trained on.

    Attributes:
        worst: For each epoch the last validation number that will do; None, or no entry, where any will.
        lower_is_better: Whether the number is a perplexity rather than an accuracy.
    """

    worst: tuple[float | None, ...] = ()
    lower_is_better: bool = False

    def allow(self, epoch: int, valid: float) -> bool:
        """Whether a child may continue after ``epoch``, counted from 1."""
        worst = self.worst[epoch - 1] if 0 < epoch <= len(self.worst) else None
        return worst is None or (valid <= worst if self.lower_is_better else valid >= worst)

    def best(self, curve: Sequence[float]) -> float:
        """The best number of a curve."""
        return min(curve) if self.lower_is_better else max(curve)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One architecture to evaluate.

    Attributes:
        id: The trial's number.
        architecture: What to evaluate.
        seed: The child's own.
        limits: When to end it early.
        test: Whether its child is also measured on the test part, if its evaluator can.
        admitted: Whether the network has been trained in this run before. What is measured of it then is not held
            against it: it would be left out for a limit that it happened to keep the first time.
    """

    id: int
    architecture: Architecture
    seed: int
    limits: Limits = Limits()
    test: bool = False
    admitted: bool = False


class _StoppedEarly(BaseException):
    """Unwinds an evaluation whose child is not worth finishing.

    No ``Exception``: an evaluator that wraps its report in ``except Exception`` would never be stopped.
    """


class Executor(Protocol):
    """Runs jobs somewhere. ``netwright.testing.executors`` has the contract suite."""

    @property
    def room(self) -> int:
        """How many more jobs would start at once."""
        ...

    @property
    def busy(self) -> int:
        """How many jobs are submitted and not yet returned."""
        ...

    def submit(self, job: Job) -> None:
        """Takes a job; never waits for it."""
        ...

    def wait(self) -> list[Outcome]:
        """Waits for at least one outcome; an empty list when no job is under way."""
        ...

    def close(self) -> None:
        """Ends what is under way; its outcomes are lost."""
        ...


class WrappingExecutor:
    """Hands everything on to another executor; a base of those that change what goes there, or what comes back.

    Args:
        executor: Runs the jobs.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @property
    def room(self) -> int:
        """See :meth:`Executor.room`."""
        return self._executor.room

    @property
    def busy(self) -> int:
        """See :meth:`Executor.busy`."""
        return self._executor.busy

    def submit(self, job: Job) -> None:
        """See :meth:`Executor.submit`."""
        self._executor.submit(job)

    def wait(self) -> list[Outcome]:
        """See :meth:`Executor.wait`."""
        return self._executor.wait()

    def close(self) -> None:
        """See :meth:`Executor.close`."""
        self._executor.close()


class SerialExecutor:
    """Evaluates one job at a time in this process: for tables and for tests."""

    def __init__(self, evaluator: Evaluator, on_epoch: Callable[[int, int, float], None] | None = None) -> None:
        self._evaluator = evaluator
        self._on_epoch = on_epoch
        self._jobs: deque[Job] = deque()

    @property
    def room(self) -> int:
        """One job when idle."""
        return 1 - min(len(self._jobs), 1)

    @property
    def busy(self) -> int:
        """Jobs not yet evaluated."""
        return len(self._jobs)

    def submit(self, job: Job) -> None:
        """Keeps the job for :meth:`wait`."""
        self._jobs.append(job)

    def wait(self) -> list[Outcome]:
        """Evaluates the oldest job."""
        if not self._jobs:
            return []
        job = self._jobs.popleft()
        return [evaluate(self._evaluator, job, lambda epoch, valid: self._told(job.id, epoch, valid))]

    def _told(self, trial_id: int, epoch: int, valid: float) -> None:
        if self._on_epoch is not None:
            self._on_epoch(trial_id, epoch, valid)

    def close(self) -> None:
        """Forgets the jobs."""
        self._jobs.clear()


class _Watch:
    """Hands on what a child reports, and unwinds its evaluation once it is below its limits.

    Args:
        limits: The child's.
        report: Told every epoch.
    """

    def __init__(self, limits: Limits, report: Report) -> None:
        self._limits = limits
        self._report = report
        self._curve: list[float] = []
        self._costs: Mapping[str, float] = {}

    def costs(self, metrics: Mapping[str, float]) -> None:
        """See :class:`netwright.trial.TakesCosts`."""
        self._costs = metrics

    def __call__(self, epoch: int, valid: float) -> None:
        valid = float(valid)
        self._report(epoch, valid)
        self._curve.append(valid)
        if not self._limits.allow(epoch, valid):
            raise _StoppedEarly

    @property
    def so_far(self) -> Evaluation:
        """What is known of a child that has been stopped: its best number is a lower bound."""
        metrics = {**self._costs, STOPPED_AFTER: len(self._curve)}
        return Evaluation(valid=self._limits.best(self._curve), metrics=metrics, curve=tuple(self._curve))


def evaluate(evaluator: Evaluator, job: Job, report: Report, worker: int = 0) -> Outcome:
    """Runs one job to its outcome; whatever goes wrong in it is the outcome.

    A child that does not keep to the limits of its job ends with the epoch; its evaluation is the best number so far.
    """
    started = time.monotonic()
    watch = _Watch(job.limits, report)
    result: Evaluation | Failure
    try:
        if job.admitted:
            evaluator = lenient(evaluator)
        run = evaluator.evaluate_and_test if job.test and isinstance(evaluator, Examiner) else evaluator.evaluate
        result = plain(run(job.architecture, job.seed, watch))
    except _StoppedEarly:
        result = plain(watch.so_far)
    except (Exception, SystemExit) as error:  # SystemExit: a child that calls sys.exit() is a failed one, too
        result = failure_of(error)
    return Outcome(id=job.id, result=result, seconds=time.monotonic() - started, worker=worker)


def timed_out(job: Job, seconds: float, worker: int) -> Outcome:
    """The outcome of a job that was ended after ``seconds`` of wall time."""
    message = f"not finished after {seconds:g} s; search.child_seconds sets the limit"
    failure = Failure(kind=FailureKind.TIMEOUT, message=message)
    return Outcome(id=job.id, result=failure, seconds=seconds, worker=worker)


def plain(evaluation: Evaluation | float) -> Evaluation | Failure:
    """The one gate for what an evaluator returns: plain finite numbers, which every strategy and store accepts.

    Numbers of NumPy and PyTorch become plain ones, and ``True`` becomes 1. A number alone is the validation number. A
    metric that is no finite number, such as an AUC of one class, is left out, which the log says: the child is sound.

    Returns:
        The evaluation; or a failure that names what in it is not a finite number, or which name no metric can have.
    """
    if not isinstance(evaluation, Evaluation):
        if (number := _plain_number(evaluation)) is None:
            return _refused("the evaluator's answer", "an Evaluation, or a number", evaluation)
        evaluation = Evaluation(valid=float(number))
    if not isinstance(evaluation.metrics, Mapping):
        return _refused("metrics", "numbers by name", evaluation.metrics)
    if not isinstance(evaluation.curve, Iterable):
        return _refused("curve", "a number for each epoch", evaluation.curve)
    for name in evaluation.metrics:
        if not (isinstance(name, str) and name.isprintable()):
            return _refused("the name of a metric", "a printable text", name)
    if "valid" in evaluation.metrics:
        message = "metrics['valid']: the name is taken by the validation number itself; give the metric another name"
        return Failure(kind=FailureKind.ERROR, message=message)
    metrics = {
        name: number for name, value in evaluation.metrics.items() if (number := _metric(name, value)) is not None
    }
    numbers: list[tuple[str, object]] = [("valid", evaluation.valid)]
    numbers += [(f"the validation number of epoch {epoch}", value) for epoch, value in enumerate(evaluation.curve, 1)]
    found: list[float] = []
    for name, value in numbers:
        number = _plain_number(value)
        if number is None:
            return _refused(name, "a number", value)
        if not isfinite(number):
            return Failure(kind=FailureKind.NONFINITE, message=f"{name} is {number}")
        found.append(number)
    curve = tuple(map(float, found[1:]))
    return Evaluation(valid=float(found[0]), metrics=metrics, curve=curve, blocks=_blocks(evaluation.blocks))


def _blocks(values: object) -> tuple[float, ...]:
    """The numbers of all blocks as plain ones; none where one of them is no finite number: the child is sound."""
    numbers = [_plain_number(value) for value in values] if isinstance(values, Iterable) else [None]
    plain_ones = [float(number) for number in numbers if number is not None and isfinite(number)]
    if len(plain_ones) < len(numbers):
        log.warning("blocks are left out: expected finite numbers, got %s", _shown(values))
        return ()
    return tuple(plain_ones)


def _metric(name: str, value: object) -> float | None:
    """A metric as a plain number; None where it is none, which the log then says."""
    number = _plain_number(value)
    if number is None or not isfinite(number):
        log.warning("metrics[%r] is left out: expected a finite number, got %s", name, _shown(value))
        return None
    return number


def _plain_number(value: object) -> float | None:
    """A number as Python's own int or float; None where it is neither, nor becomes one."""
    try:
        # isfinite takes what has a value as a number, and no text, which float() would read.
        number = int(value) if isinstance(value, int) and isfinite(value) else float(cast(float, value))
        isfinite(cast(float, value))
    except Exception:  # of a class of somebody else's, so of any kind
        return None
    return number


def _refused(name: str, expected: str, found: object) -> Failure:
    message = f"{name}: expected {expected}, got {_shown(found)} of type {type(found).__name__}"
    return Failure(kind=FailureKind.ERROR, message=message)


def _shown(value: object) -> str:
    """A value for a message: short, and harmless whatever its class does."""
    try:
        return reprlib.repr(value)
    except Exception:
        return "a value that cannot be shown"


def failure_of(error: BaseException) -> Failure:
    """Sorts an exception into the closed list of failures.

    What the environment did, such as a module that cannot be imported or a disk that is full, is no fault of the
    architecture, of which nothing is known then.
    """
    text = _text_of(error)
    if isinstance(error, DivergedError):
        return Failure(kind=FailureKind.NONFINITE, message=text)
    if isinstance(error, OverBudgetError):
        return Failure(kind=FailureKind.OVER_BUDGET, message=text)
    if _is_for_memory(error, text):
        return Failure(kind=FailureKind.OUT_OF_MEMORY, message=text or "out of memory")
    kind = FailureKind.LOST if _is_of_the_environment(error) else FailureKind.ERROR
    return Failure(kind=kind, message="".join(traceback.format_exception(error)))


ENVIRONMENT = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO)
"""Errors of the system that no architecture brings about."""


def _is_of_the_environment(error: BaseException) -> bool:
    return isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno in ENVIRONMENT)


NO_MEMORY_FOR_CODE = "could not create a primitive"
"""What oneDNN says where there is no memory for the code that it writes."""


def _is_for_memory(error: BaseException, text: str) -> bool:
    """Whether an exception says that memory could not be had, in one of the ways in which that is said.

    PyTorch has no type of its own for it on the CPU, and one of its own on a device; the system gives a number; and
    where it happens in the middle of an import, the interpreter may lose the ``MemoryError`` itself and say so.
    """
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, ImportError) and "annot allocate memory" in text)
        or (isinstance(error, SystemError) and re.search("without (setting an )?exception", text) is not None)
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in text and "memory" in text)
        or (isinstance(error, RuntimeError) and text == NO_MEMORY_FOR_CODE)
        or type(error).__name__ == "OutOfMemoryError"
    )


def _text_of(error: BaseException) -> str:
    """The text of an exception, even of one whose own class fails to give it."""
    try:
        return str(error)
    except Exception:
        return traceback.format_exception_only(error)[-1].strip()
