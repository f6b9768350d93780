"""A worker process, from both ends: what it does, and the handle by which its parent has it.

Imports no PyTorch: a worker loads what its evaluator needs and nothing else, so one without networks starts at once.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import connection, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from netwright.errors import UsageError
from netwright.runtime.memory import kills_for_memory, memory_limit, resident_bytes
from netwright.runtime.parcel import Incoming, Outgoing, main_as_it_is, pickled
from netwright.runtime.worker_log import last_line, log_file, note, take_output
from netwright.search.executor import Evaluator, Job, evaluate
from netwright.trial import Failure, FailureKind, Outcome, Report

GRACE = 5.0
"""Seconds that a worker has to end itself before it is killed."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded its evaluator and waits for jobs."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A child has finished an epoch."""

    id: int
    epoch: int
    valid: float


Message = Ready | Epoch | Outcome


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
        evaluator: Sent to the process.
        number: From 0.
        settings: Its threads and limits.
        patience: Seconds that it may take to start.

    Attributes:
        number: As given.
        ready: Whether it has started.
        job: What it is busy with; None when starting or idle.
        left: Seconds until the start or the job has taken too long; None when idle.
        peak: Most bytes that it was seen to hold during the job.

    Raises:
        UsageError: The evaluator cannot be sent to another process.
    """

    def __init__(self, evaluator: Evaluator, number: int, settings: WorkerSettings, patience: float) -> None:
        self.number = number
        self.ready = False
        self.job: Job | None = None
        self.left: float | None = patience
        self.peak = 0
        self._kills_before = 0
        self._log = settings.log(number)
        self._log_before = self._log.stat().st_size if self._log is not None and self._log.exists() else 0
        # Spawned, not forked: PyTorch's threads do not survive a fork.
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process: SpawnProcess = spawn.Process(
            target=_work, args=(Outgoing(evaluator), theirs, number, settings), name=f"netwright-worker-{number}"
        )
        try:
            with _sigint_blocked(), main_as_it_is():
                self.process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UsageError(
                f"the evaluator cannot be sent to worker processes: {error}; keep open files, locks, generators and "
                "connections out of it, and make in evaluate() what it needs of them"
            ) from None
        finally:
            # Our copy of the worker's end: with it open, the worker's death would not show as the end of the pipe.
            theirs.close()

    @property
    def idle(self) -> bool:
        """Whether it waits for a job."""
        return self.ready and self.job is None

    def begin(self, job: Job, seconds: float) -> None:
        """Gives an idle worker a job, for which it has so many seconds."""
        self.job, self.left, self.peak = job, seconds, 0
        self._kills_before = kills_for_memory()
        with suppress(OSError):  # it is dead, as will show
            self.pipe.send_bytes(pickled(job))

    def become_idle(self) -> None:
        """Notes that it has started, or finished its job."""
        self.ready, self.job, self.left = True, None, None

    def messages(self) -> Iterator[Message]:
        """What it has sent so far.

        Raises:
            EOFError, OSError: It is dead, and has nothing more to say.
        """
        while self.pipe.poll():
            yield self.pipe.recv()

    @property
    def dead(self) -> bool:
        """Whether the process has ended; all that it started is ended then, so that nobody holds its pipe open."""
        if self.process.is_alive():
            return False
        self._end_group()
        return True

    def watch(self, passed: float) -> bool:
        """Takes ``passed`` seconds off what is left; whether there is nothing left."""
        if self.job is not None:
            self.peak = max(self.peak, resident_bytes(self.process.pid or 0))
        if self.left is not None:
            self.left -= passed
        return self.left is not None and self.left <= 0

    @property
    def killed_for_memory(self) -> bool:
        """Whether the kernel has killed any process for want of memory since the job began."""
        return kills_for_memory() > self._kills_before

    @property
    def error(self) -> str:
        """Why it has ended before it was ready, as far as it could say so, and where to read all of it."""
        said = "" if self._log is None else last_line(self._log, self._log_before)
        return f"{said}; all that it said is in {self._log}" if said else "its error is above"

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
        if grace:
            self.process.terminate()
            self.process.join(grace)
        self._end_group()
        self.process.kill()
        self.process.join()
        self.pipe.close()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def _end_group(self) -> None:
        with suppress(ProcessLookupError):  # the group is gone, or has not come to be
            os.killpg(self.process.pid or 0, signal.SIGKILL)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Ctrl-C on a terminal goes to all its processes; one started in here does not hear it until it asks to."""
    resource_tracker.ensure_running()  # now, since when it starts it lets interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(parcel: Incoming, pipe: Connection, number: int, settings: WorkerSettings) -> None:
    """What a worker process does: evaluate jobs until its parent is gone."""
    os.setsid()  # a group of its own: Ctrl-C goes to the parent alone, and the parent can end all that a child starts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # forgets one that came while this process started
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # Whatever a child prints must not get between the search and whoever reads its output, or onto its display.
    take_output(settings.log(number))
    evaluator = parcel.open()
    _set_threads(settings.threads)
    with suppress(EOFError, OSError):  # the parent is gone, perhaps in the middle of a message; so is this process now
        pipe.send(Ready())
        while True:
            job: Job = pipe.recv()
            if settings.logs is not None:
                note(f"[trial {job.id}]")
            with memory_limit(settings.memory_mb):
                outcome = evaluate(evaluator, job, _reporter(pipe, job), number)
            pipe.send(_naming_the_limit(outcome, settings.memory_mb))


def _set_threads(threads: int) -> None:
    """For PyTorch, whether the evaluator has loaded it or its children will."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _naming_the_limit(outcome: Outcome, memory_mb: int | None) -> Outcome:
    result = outcome.result
    if memory_mb is None or not isinstance(result, Failure) or result.kind is not FailureKind.OUT_OF_MEMORY:
        return outcome
    message = f"{result.message}; a child may take search.child_memory_mb = {memory_mb} MiB"
    return replace(outcome, result=replace(result, message=message))


def _reporter(pipe: Connection, job: Job) -> Report:
    return lambda epoch, valid: pipe.send(Epoch(job.id, int(epoch), float(valid)))


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)
