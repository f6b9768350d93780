"""Evaluation in worker processes on one machine.

A worker imports what it needs once and then trains child after child. Whatever a child does — raise, hang, eat the
memory, kill its process — costs that child at the most.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import torch
import torch.multiprocessing

from netwright.errors import NetwrightError
from netwright.search.executor import Evaluator, Job, evaluate
from netwright.trial import Failure, FailureKind, Outcome, Report

TICK = 1.0
"""Seconds between two looks at the clock."""

GRACE = 5.0
"""Seconds that a worker has to end itself before it is killed."""

OnEpoch = Callable[[int, int, float], None]
"""(trial, epoch from 1, validation number)"""


@dataclass(frozen=True, slots=True)
class _Began:
    """A worker has received a job: from now on its time counts."""

    id: int


@dataclass(frozen=True, slots=True)
class _Epoch:
    """A child has finished an epoch."""

    id: int
    epoch: int
    valid: float


@dataclass(slots=True)
class _Worker:
    """A process, and what it is doing.

    Attributes:
        number: From 0.
        process: Alive, or just found dead.
        pipe: Jobs go down, messages come up.
        job: What it was given and has not returned.
        left: Seconds until the job is ended; None while the worker has not begun it.
    """

    number: int
    process: BaseProcess
    pipe: Connection
    job: Job | None = None
    left: float | None = None


class ProcessPool:
    """Executor with one worker process per evaluator.

    Workers are spawned, not forked, since PyTorch's threads do not survive a fork; tensors inside the evaluators travel
    as shared memory. A job whose worker is killed from outside is run again with the same seed; after ``retries`` more
    deaths it is returned as ``LOST``.

    Args:
        evaluators: One for each worker.
        threads: PyTorch threads of each worker.
        seconds: Wall time after which a job is ended and returned as ``TIMEOUT``. A pause of this process, as when a
            laptop sleeps, does not count.
        on_epoch: Told of every finished epoch, from :meth:`wait`.
        retries: How often a job may lose its worker and be run again.
    """

    def __init__(
        self,
        evaluators: Sequence[Evaluator],
        *,
        threads: int = 1,
        seconds: float = 3600.0,
        on_epoch: OnEpoch | None = None,
        retries: int = 2,
    ) -> None:
        self._evaluators = evaluators
        self._threads = threads
        self._seconds = seconds
        self._on_epoch = on_epoch
        self._retries = retries
        self._queue: deque[Job] = deque()
        self._deaths: Counter[int] = Counter()
        self._workers: list[_Worker] = []
        try:
            for number in range(len(evaluators)):
                self._workers.append(self._start(number))
        except BaseException:  # Ctrl-C: nobody else knows the workers yet
            self.close()
            raise

    @property
    def room(self) -> int:
        """Idle workers that no waiting job will take."""
        return max(len(self._workers) - self.busy, 0)

    @property
    def busy(self) -> int:
        """Jobs under way and waiting."""
        return len(self._queue) + sum(worker.job is not None for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """Process number of each worker."""
        return [worker.process.pid or 0 for worker in self._workers]

    def submit(self, job: Job) -> None:
        """Hands the job to an idle worker, or keeps it for the next one that becomes idle."""
        self._queue.append(job)
        self._hand_out()

    def wait(self) -> list[Outcome]:
        """Waits for outcomes; an empty list when no job is under way."""
        outcomes: list[Outcome] = []
        then = time.monotonic()
        while self.busy and not outcomes:
            handles = [worker.pipe for worker in self._workers] + [worker.process.sentinel for worker in self._workers]
            ready = connection.wait(handles, timeout=TICK)
            now = time.monotonic()
            # More than two ticks between two looks mean that this process, and so perhaps the child, stood still.
            passed, then = min(now - then, 2 * TICK), now
            for worker in self._workers:
                if worker.pipe in ready or worker.process.sentinel in ready:
                    outcomes += self._receive(worker)
                if worker.left is not None:
                    worker.left -= passed
                    if worker.left <= 0:
                        outcomes.append(self._time_out(worker))
            self._hand_out()
        return outcomes

    def close(self) -> None:
        """Ends all workers, at once."""
        for worker in self._workers:  # all before any is waited for, should a second Ctrl-C come in between
            worker.process.kill()
        for worker in self._workers:
            _end(worker, grace=0.0)
        self._queue.clear()

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.job is None and self._queue:
                worker.job = self._queue.popleft()
                with suppress(OSError):  # it is dead, which its sentinel tells the next wait()
                    worker.pipe.send(worker.job)

    def _receive(self, worker: _Worker) -> list[Outcome]:
        """Takes all messages of a worker; replaces it when it is dead."""
        outcomes: list[Outcome] = []
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                if isinstance(message, Outcome):
                    worker.job = worker.left = None
                    outcomes.append(message)
                elif isinstance(message, _Began):
                    worker.left = self._seconds
                elif self._on_epoch is not None:
                    self._on_epoch(message.id, message.epoch, message.valid)
        except (EOFError, OSError):
            outcomes += self._bury(worker)
        return outcomes

    def _bury(self, worker: _Worker) -> list[Outcome]:
        """Replaces a worker that died by itself, and sees to its job."""
        _end(worker, grace=GRACE)
        code, job = worker.process.exitcode, worker.job
        if worker.left is None and code is not None and code >= 0:
            # Not killed by a signal, and not by a job: any other worker would end the same way.
            raise NetwrightError(f"worker {worker.number} cannot start (exit code {code}); its error is above")
        self._workers[worker.number] = self._start(worker.number)
        if job is None:
            return []
        self._deaths[job.id] += 1
        if self._deaths[job.id] <= self._retries:
            self._queue.appendleft(job)
            return []
        message = f"its worker died {self._deaths[job.id]} times (last exit code {code})"
        failure = Failure(kind=FailureKind.LOST, message=message)
        return [Outcome(id=job.id, result=failure, seconds=0.0, worker=worker.number)]

    def _time_out(self, worker: _Worker) -> Outcome:
        """Ends a worker whose job takes too long, and starts another."""
        _end(worker, grace=GRACE)
        assert worker.job is not None
        failure = Failure(
            kind=FailureKind.TIMEOUT,
            message=f"not finished after {self._seconds:g} s; search.child_seconds sets the limit",
        )
        self._workers[worker.number] = self._start(worker.number)
        return Outcome(id=worker.job.id, result=failure, seconds=self._seconds, worker=worker.number)

    def _start(self, number: int) -> _Worker:
        spawn = torch.multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(
            target=_work,
            args=(self._evaluators[number], theirs, number, self._threads),
            name=f"netwright-worker-{number}",
        )
        with _interrupts_held_back():
            process.start()
        # Our copy of the worker's end: with it open, the worker's death would not show as the end of the pipe.
        theirs.close()
        return _Worker(number=number, process=process, pipe=ours)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C on a terminal goes to all its processes; one started in here does not hear it until it asks to."""
    resource_tracker.ensure_running()  # now, since when it starts it lets interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(worker: _Worker, grace: float) -> None:
    """Ends a worker and all that it started; leaves nobody alive."""
    pid = worker.process.pid
    assert pid is not None
    if grace:
        worker.process.terminate()
        worker.process.join(grace)
    with suppress(ProcessLookupError):  # the group is gone, or has not come to be
        os.killpg(pid, signal.SIGKILL)
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _work(evaluator: Evaluator, pipe: Connection, number: int, threads: int) -> None:
    """What a worker process does: evaluate jobs until its parent is gone."""
    os.setsid()  # a group of its own: Ctrl-C goes to the parent alone, and the parent can end all that a child starts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # forgets one that came while this process started
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        pipe.send(_Began(job.id))
        pipe.send(evaluate(evaluator, job, _reporter(pipe, job), number))


def _reporter(pipe: Connection, job: Job) -> Report:
    return lambda epoch, valid: pipe.send(_Epoch(job.id, int(epoch), float(valid)))


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)
