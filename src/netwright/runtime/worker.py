"""A worker process, from both ends: what it does, and the handle by which its parent has it.

Imports no PyTorch: a worker loads what its evaluator needs and nothing else, so one without networks starts at once.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import stat
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import connection, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Literal, Protocol

from netwright.errors import NetwrightError
from netwright.machine import available_bytes, resident_bytes, waited_seconds
from netwright.runtime.attempts import Cause, Death, death_of_process
from netwright.runtime.inbox import GarbledError, Inbox
from netwright.runtime.memory import kills_for_memory, memory_limit
from netwright.runtime.parcel import CANNOT_BE_PICKLED, cannot_be_sent, main_as_it_is, pickled
from netwright.runtime.worker_log import last_line, log_file, note, take_output
from netwright.search.executor import Evaluator, Job, evaluate, timed_out, warm_up
from netwright.trial import Failure, FailureKind, Outcome, Report

TICK = 1.0
"""Seconds between two looks at the clock."""

GRACE = 5.0
"""Seconds that a worker has to end itself before it is killed."""

START_SECONDS = 300.0
"""Seconds that a worker may take to start."""

PATIENCE = 10.0
"""Times its limit that a job may take where the machine, and not its child, is to blame for it."""

MAX_FAILED_STARTS = 3
"""Starts of a worker in a row that may fail before the search ends."""


class Parcel(Protocol):
    """An evaluator on its way to a worker, which opens it there."""

    def open(self) -> Evaluator:
        """The evaluator; raises whatever its own unpickling does."""
        ...


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded its evaluator and waits for jobs."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The worker has taken up its job; a death before that has nothing to do with the job."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A child has finished an epoch."""

    id: int
    epoch: int
    valid: float


@dataclass(frozen=True, slots=True)
class Unable:
    """The worker did not start.

    Attributes:
        why: For a person.
        hopeless: Whether it ended by itself, so that any other would end the same way.
    """

    why: str
    hopeless: bool = False


News = Ready | Begun | Epoch | Outcome | Unable | Death
"""What a worker has said, or what became of it."""


class FailedStarts:
    """Counts the starts that failed in a row, and ends the search when there is no point in another.

    Args:
        logs: The folder for what workers print, if there is one.
    """

    def __init__(self, logs: Path | None = None) -> None:
        self._logs = logs
        self._count = 0

    def note(self, number: int, start: Unable) -> None:
        """Notes that a worker did not start.

        Raises:
            NetwrightError: Another one would not start either, or this was one too many in a row.
        """
        if start.hopeless:
            raise NetwrightError(f"worker {number} cannot start {start.why}")
        self._count += 1
        if self._count >= MAX_FAILED_STARTS:
            where = "" if self._logs is None else f"; what they printed is in {self._logs}"
            raise NetwrightError(
                f"worker {number} cannot start: {start.why}, and {MAX_FAILED_STARTS - 1} others before it; is there "
                f"enough memory for all workers?{where}"
            )

    def forget(self) -> None:
        """A worker has started."""
        self._count = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """What workers have in common.

    Attributes:
        threads: PyTorch threads of each.
        memory_mb: MiB that a child may take; None for no limit.
        logs: The folder for what they print; None leaves it to standard error.
    """

    threads: int = 1
    memory_mb: int | None = None
    logs: Path | None = None

    def log(self, number: int) -> Path | None:
        """The file for what a worker prints."""
        return None if self.logs is None else log_file(self.logs, number)


class Worker:
    """A worker process as its parent has it: starting, then idle or busy, and dead in the end.

    Args:
        parcel: Sent to the process.
        number: From 0.
        settings: Its threads and limits.
        patience: Seconds that it may take to start.
        method: How the process comes about. A forked one shares all memory of its parent, which must have loaded
            nothing that does not survive a fork, as PyTorch's threads do not.

    Attributes:
        number: As given.
        ready: Whether it has started.
        job: What it is busy with; None when starting or idle.
        begun: Whether it has taken up the job.
        ended: Whether it is dead, and all that it started with it.
        held: Most bytes that it was seen to hold during the job.

    Raises:
        UsageError: The evaluator cannot be sent to another process.
    """

    def __init__(
        self,
        parcel: Parcel,
        number: int,
        settings: WorkerSettings,
        patience: float = START_SECONDS,
        *,
        method: Literal["spawn", "fork"] = "spawn",
    ) -> None:
        self.number = number
        self.ready = False
        self.job: Job | None = None
        self.begun = False
        self.ended = False
        self.held = 0
        self._seconds = patience
        self._left: float | None = patience
        self._kills_before = kills_for_memory()
        self._error = "its error is above"
        self._log = settings.log(number)
        self._log_before = self._log.stat().st_size if self._log is not None and self._log.exists() else 0
        start = {"spawn": _spawn, "fork": _fork}[method]
        self.pipe, self.process = start(parcel, number, settings)
        self._inbox = Inbox(self.pipe)
        self._passed = 0.0
        self._waited = self._waited_then = 0.0

    @property
    def idle(self) -> bool:
        """Whether it waits for a job."""
        return self.ready and self.job is None

    def begin(self, job: Job, seconds: float) -> None:
        """Gives an idle worker a job, for which it has so many seconds."""
        self.job, self.begun, self.held = job, False, 0
        self._seconds = self._left = seconds
        self._passed = self._waited = 0.0
        self._waited_then = waited_seconds(self._pid) or 0.0
        self._kills_before = kills_for_memory()
        with suppress(OSError):  # it is dead, as will show
            self.pipe.send_bytes(pickled(job))

    def attend(self, passed: float) -> list[News]:
        """What it has said since the last look; its end, where it is dead or has taken too long.

        Args:
            passed: Seconds since the last look, of which a pause of this process is no part.

        Returns:
            A job that has taken too long is among the outcomes, as ``TIMEOUT``; a worker that is dead, or was ended for
            the time or the memory it took, is :attr:`ended`.
        """
        news: list[News] = []
        dead = self.dead
        try:
            for message in self._inbox.messages():
                if not isinstance(message, News):
                    raise GarbledError(f"what is no message, of type {type(message).__name__}")
                if isinstance(message, Epoch | Outcome) and (self.job is None or message.id != self.job.id):
                    continue  # of a thread that a child has left behind, or of a copy that it has made of its process
                if isinstance(message, Unable):  # it is about to end, with a traceback for whoever reads its output
                    self._error = message.why
                    continue
                if isinstance(message, Begun):
                    self.begun = True
                if isinstance(message, Ready | Outcome):
                    self.ready, self.job, self._left = True, None, None
                news.append(message)
                if isinstance(message, Outcome) and _is_out_of_memory(message):
                    # It may have left anything half done, such as an import, which the next child must not come upon.
                    self.end(GRACE)
                    return news
        except GarbledError as error:
            self.end()
            return [*news, self._own_fault(f"its process sent {error}")]
        except (EOFError, OSError):
            dead = True
            if not self.ended and not self._is_gone_within(GRACE / 5):  # whoever dies closes the pipe first
                self.end(GRACE)
                return [*news, self._own_fault("its process closed the pipe to the search")]
        if dead:
            return [*news, self._death()]
        if self._is_late(passed):
            return [*news, self._time_out()]
        return news

    @property
    def dead(self) -> bool:
        """Whether the process has ended; all that it started is ended then, so that nobody holds its pipe open."""
        if self.ended:
            return True
        if self.process.is_alive():
            return False
        self._end_group()
        return True

    def _is_late(self, passed: float) -> bool:
        """Takes ``passed`` seconds off what is left; whether there is nothing left."""
        if self.job is not None:
            self.held = max(self.held, resident_bytes(self._pid))
        if self._left is None:
            return False
        self._passed += passed
        waited = 0.0
        if self.job is not None and (now := waited_seconds(self._pid)) is not None:
            waited = min(max(now - self._waited_then, 0.0), passed)  # for a core, which others had
            self._waited_then = now
        self._waited += waited
        self._left -= passed - waited
        return self._left <= 0 or self._passed >= PATIENCE * self._seconds

    def _death(self) -> Death | Unable:
        """Ends what is left of a worker that has died, and says why it did."""
        exit_code = self.end(GRACE)
        if not self.ready and exit_code >= 0:
            return Unable(f"(exit code {exit_code}): {self._reason()}", hopeless=True)
        death = death_of_process(
            exit_code, killed_for_memory=self.killed_for_memory, held=self.held, available=available_bytes()
        )
        return death if self.ready else Unable(str(death))

    def _time_out(self) -> Outcome | Unable:
        """Ends a worker whose start or job has taken too long."""
        self.end(GRACE)
        if self.job is None:
            return Unable(f"not ready after {self._seconds:g} s")
        if self._left is not None and self._left > 0:
            message = (
                f"not finished after {self._passed:.0f} s, of which it waited {self._waited:.0f} s for a core: this "
                "machine is too busy; use fewer --workers, or end what else runs here"
            )
            failure = Failure(kind=FailureKind.LOST, message=message)
            return Outcome(id=self.job.id, result=failure, seconds=self._passed, worker=self.number)
        return timed_out(self.job, self._seconds, self.number)

    def _own_fault(self, detail: str) -> Death | Unable:
        """What a child did to its own process."""
        if not self.ready:
            return Unable(detail, hopeless=True)
        return Death(cause=Cause.CRASHED, detail=detail, held=self.held, available=available_bytes())

    @property
    def killed_for_memory(self) -> bool:
        """Whether the kernel has killed any process for memory since the job began."""
        return kills_for_memory() > self._kills_before

    def _reason(self) -> str:
        """Why it has ended before it was ready, as far as it could say so, and where to read all of it."""
        said = "" if self._log is None else last_line(self._log, self._log_before)
        return f"{said}; all that it printed is in {self._log}" if said else self._error

    def kill(self) -> None:
        """Ends it without waiting."""
        self.process.kill()

    def end(self, grace: float = 0.0) -> int:
        """Ends it and all that it started, and waits until it is gone.

        Args:
            grace: Seconds that it has to end itself.

        Returns:
            Its exit code.
        """
        if not self.ended:  # else the number of its process may be another's by now
            if grace:
                self.process.terminate()
                self._is_gone_within(grace)
            self._end_group()
            self.process.kill()
            self.process.join()
            self._inbox.close()
            self.pipe.close()
            self.ended = True
        assert self.process.exitcode is not None
        return self.process.exitcode

    def _is_gone_within(self, seconds: float) -> bool:
        """Waits for the end of the process; not by ``join``, which waits for ever for one that closed its sentinel."""
        deadline = time.monotonic() + seconds
        while self.process.is_alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    @property
    def _pid(self) -> int:
        assert self.process.pid, "a worker has a process from the beginning"
        return self.process.pid

    def _end_group(self) -> None:
        with suppress(ProcessLookupError):  # the group is gone, or has not come to be
            os.killpg(self._pid, signal.SIGKILL)


class Watch:
    """Waits for workers, a tick at a time, by a clock that a pause of this process does not set forward."""

    def __init__(self) -> None:
        self._then = time.monotonic()

    def wait(self, workers: Sequence[Worker]) -> float:
        """Waits until a worker says something or dies, or the tick is over; the seconds since the last look."""
        handles = [handle for worker in workers for handle in (worker.pipe, worker.process.sentinel)]
        connection.wait(handles, timeout=TICK)
        now = time.monotonic()
        # More than two ticks between two looks mean that this process, and so perhaps the child, stood still.
        passed, self._then = min(now - self._then, 2 * TICK), now
        return passed


def _spawn(parcel: Parcel, number: int, settings: WorkerSettings) -> tuple[Connection, BaseProcess]:
    """A fresh interpreter: PyTorch's threads do not survive a fork.

    Raises:
        UsageError: The parcel cannot be pickled.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(
        target=_work_spawned, args=(parcel, theirs, number, settings), name=f"netwright-worker-{number}"
    )
    try:
        with _safe_path(), _sigint_blocked(), main_as_it_is():
            process.start()
    except CANNOT_BE_PICKLED as error:
        raise cannot_be_sent(error) from None
    finally:
        # Our copy of the worker's end: with it open, the worker's death would not show as the end of the pipe.
        theirs.close()
    return ours, process


def _fork(parcel: Parcel, number: int, settings: WorkerSettings) -> tuple[Connection, BaseProcess]:
    """A copy of this process, and of the memory that it maps."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(
        target=_work_forked, args=(ours, parcel, theirs, number, settings), name=f"netwright-worker-{number}"
    )
    process.start()
    theirs.close()
    return ours, process


SAFE_PATH = "PYTHONSAFEPATH"
"""Of the environment: an interpreter that is started with it does not look for modules where it is started."""

OURS = "NETWRIGHT_SAFEPATH"
"""Set where :data:`SAFE_PATH` is ours, and not the user's."""


@contextmanager
def _safe_path() -> Iterator[None]:
    """Interpreters that are started in here find Python's own modules, whatever files lie in the working directory.

    ``python -c``, by which processes are spawned, would take a file ``array.py`` or ``socket.py`` there for the module.
    What the parent finds, its path, a worker is given by multiprocessing once it runs.
    """
    if SAFE_PATH in os.environ:
        yield
        return
    os.environ |= {SAFE_PATH: "1", OURS: "1"}
    try:
        yield
    finally:
        del os.environ[SAFE_PATH], os.environ[OURS]


def _forget_safe_path() -> None:
    """What a child starts itself is started as the user would."""
    if os.environ.pop(OURS, None):
        os.environ.pop(SAFE_PATH, None)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Ctrl-C on a terminal goes to all its processes; one started in here does not hear it until it asks to."""
    resource_tracker.ensure_running()  # now, since when it starts it lets interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work_forked(ours: Connection, parcel: Parcel, pipe: Connection, number: int, settings: WorkerSettings) -> None:
    """What a forked worker does: forgets what it has of its parent, and then what every worker does."""
    ours.close()
    _let_go_of_sockets(pipe.fileno())
    for death in (signal.SIGTERM, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT):
        signal.signal(death, signal.SIG_DFL)
    _work(parcel, pipe, number, settings)


def _let_go_of_sockets(kept: int) -> None:
    """Whoever is at the other end of a parent's socket is to notice the parent's death, not that of its last fork."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the listing's own descriptor is closed by now
            if int(name) != kept and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.dup2(nothing, int(name), inheritable=False)  # not closed: an object here may still close it
    os.close(nothing)


def _work_spawned(parcel: Parcel, pipe: Connection, number: int, settings: WorkerSettings) -> None:
    """What a spawned worker does: ties its life to its parent's, and then what every worker does."""
    _forget_safe_path()
    be_killed_with_parent()
    _work(parcel, pipe, number, settings)


PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when the thread that started it is gone."""


def be_killed_with_parent() -> None:
    """Has the kernel kill this process with the one that started it, even while it computes without a break.

    Where there is no such call, :func:`_die_with_parent` does what a thread can. What this process has started itself
    is ended by a parent that lives; of one that was killed together with it, nobody is left to do so.
    """
    if sys.platform != "linux":
        return
    parent = parent_process()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent.pid:  # it was gone before
        os._exit(1)


class _Outbox:
    """The worker's end of the pipe, for one writer at a time.

    A copy of the process that a child has made, by os.fork, has nothing to say, and ends when it tries to.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def send(self, message: News) -> None:
        if os.getpid() != self._pid:
            os._exit(0)
        content = ForkingPickler.dumps(message)
        with self._lock:
            self._pipe.send_bytes(content)


def _work(parcel: Parcel, pipe: Connection, number: int, settings: WorkerSettings) -> None:
    """What a worker process does: evaluate jobs until its parent is gone."""
    os.setsid()  # a group of its own: Ctrl-C goes to the parent alone, and the parent can end all that a child starts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # forgets one that came while this process started
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # Whatever a child prints must not get between the search and whoever reads its output, or onto its display.
    take_output(settings.log(number))
    out = _Outbox(pipe)
    try:
        evaluator = parcel.open()
        _set_threads(settings.threads)
        warm_up(evaluator)
    except BaseException as error:
        out.send(Unable("".join(traceback.format_exception_only(error)).strip()))
        raise
    with suppress(EOFError, OSError):  # the parent is gone, perhaps in the middle of a message; so is this process now
        out.send(Ready())
        while True:
            job: Job = pipe.recv()
            out.send(Begun())
            if settings.logs is not None:
                note(f"[trial {job.id}]")
            with memory_limit(settings.memory_mb):
                outcome = evaluate(evaluator, job, _reporter(out, job), number)
            out.send(_naming_the_limit(outcome, settings.memory_mb))


def _set_threads(threads: int) -> None:
    """For PyTorch, whether the evaluator has loaded it or its children will."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _is_out_of_memory(outcome: Outcome) -> bool:
    return isinstance(outcome.result, Failure) and outcome.result.kind is FailureKind.OUT_OF_MEMORY


def _naming_the_limit(outcome: Outcome, memory_mb: int | None) -> Outcome:
    result = outcome.result
    if memory_mb is None or not isinstance(result, Failure) or not _is_out_of_memory(outcome):
        return outcome
    message = f"{result.message}; a child may take search.child_memory_mb = {memory_mb} MiB"
    return replace(outcome, result=replace(result, message=message))


def _reporter(out: _Outbox, job: Job) -> Report:
    return lambda epoch, valid: out.send(Epoch(job.id, int(epoch), float(valid)))


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)
