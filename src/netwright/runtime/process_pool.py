"""Evaluation in worker processes on one machine.

A worker imports what it needs once and then trains child after child. Whatever a child does — raise, hang, eat the
memory, kill its process — costs that child at the most.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from multiprocessing import connection
from pathlib import Path

from netwright.errors import NetwrightError
from netwright.interrupts import held_back
from netwright.runtime.deaths import Death, judge, must_run_alone
from netwright.runtime.memory import available_bytes
from netwright.runtime.worker import GRACE, Epoch, Ready, Worker, WorkerSettings
from netwright.runtime.worker_log import LogKeeper, log_file
from netwright.search.executor import Evaluator, Job, timed_out
from netwright.trial import Outcome

TICK = 1.0
"""Seconds between two looks at the clock."""

ATTEMPTS = 3
"""Starts of a worker in a row that may fail before the search ends."""

OnEpoch = Callable[[int, int, float], None]
"""(trial, epoch from 1, validation number)"""


class ProcessPool:
    """Executor with one worker process per evaluator.

    Tensors inside the evaluators travel as shared memory. A worker that dies, or whose job or start takes too long, is
    ended with all that it started, and another takes its place. What becomes of its job is for
    :func:`netwright.runtime.deaths.judge` to say.

    Args:
        evaluators: One for each worker.
        threads: PyTorch threads of each worker.
        seconds: Wall time after which a job is ended and returned as ``TIMEOUT``. A pause of this process, as when a
            laptop sleeps, does not count.
        memory_mb: MiB of private memory that a child may take; None for no limit.
        start_seconds: Wall time that a worker may take to start.
        on_epoch: Told of every finished epoch, from :meth:`wait`.
        retries: How often a job may lose its worker by a kill from outside and be run again.
        logs: A folder for what children print, a file of :data:`netwright.runtime.worker_log.LIMIT` bytes, and one
            older, for each worker; None leaves it to standard error.

    Raises:
        UsageError: The evaluator cannot be sent to another process.
    """

    def __init__(
        self,
        evaluators: Sequence[Evaluator],
        *,
        threads: int = 1,
        seconds: float = 3600.0,
        memory_mb: int | None = None,
        start_seconds: float = 300.0,
        on_epoch: OnEpoch | None = None,
        retries: int = 2,
        logs: Path | None = None,
    ) -> None:
        self._evaluators = evaluators
        self._settings = WorkerSettings(threads=threads, memory_mb=memory_mb, logs=logs)
        self._seconds = seconds
        self._start_seconds = start_seconds
        self._on_epoch = on_epoch
        self._retries = retries
        self._queue: deque[Job] = deque()
        self._deaths: dict[int, list[Death]] = defaultdict(list)
        self._failed_starts = 0
        self._workers: list[Worker] = []
        self._log_keeper: LogKeeper | None = None
        if logs is not None:
            self._log_keeper = LogKeeper([log_file(logs, number) for number in range(len(evaluators))])
        try:
            for number in range(len(evaluators)):
                self._start(number)
        except BaseException:  # Ctrl-C: nobody else knows the workers yet
            self.close()
            raise

    @property
    def room(self) -> int:
        """Workers that no job is waiting for."""
        return max(len(self._workers) - self.busy, 0)

    @property
    def busy(self) -> int:
        """Jobs under way and waiting."""
        return len(self._queue) + len(self._under_way())

    @property
    def pids(self) -> list[int]:
        """Process number of each worker."""
        return [worker.process.pid or 0 for worker in self._workers]

    def submit(self, job: Job) -> None:
        """Hands the job to an idle worker, or keeps it for the next one that becomes idle."""
        self._queue.append(job)
        self._hand_out()

    def wait(self) -> list[Outcome]:
        """Waits for outcomes; an empty list when no job is under way.

        Raises:
            NetwrightError: Workers cannot start.
        """
        outcomes: list[Outcome] = []
        then = time.monotonic()
        while self.busy and not outcomes:
            handles = [worker.pipe for worker in self._workers] + [worker.process.sentinel for worker in self._workers]
            connection.wait(handles, timeout=TICK)
            now = time.monotonic()
            # More than two ticks between two looks mean that this process, and so perhaps the child, stood still.
            passed, then = min(now - then, 2 * TICK), now
            for worker in list(self._workers):
                outcomes += self._attend(worker, passed)
            self._hand_out()
        return outcomes

    def close(self) -> None:
        """Ends all workers, at once."""
        for worker in self._workers:  # all before any is waited for, should a second Ctrl-C come in between
            worker.kill()
        for worker in self._workers:
            worker.end()
        self._queue.clear()
        if self._log_keeper is not None:
            self._log_keeper.close()

    def _under_way(self) -> list[Job]:
        return [worker.job for worker in self._workers if worker.job is not None]

    def _hand_out(self) -> None:
        """Gives jobs to idle workers; one that must run alone waits for all others, and all others for it."""
        for worker in self._workers:
            if not (worker.idle and self._queue):
                continue
            under_way = self._under_way()
            if under_way and any(self._is_alone(job) for job in (self._queue[0], *under_way)):
                return
            worker.begin(self._queue.popleft(), self._seconds)

    def _is_alone(self, job: Job) -> bool:
        return must_run_alone(self._deaths.get(job.id, ()))

    def _attend(self, worker: Worker, passed: float) -> list[Outcome]:
        """Takes in what a worker has sent; replaces it when it is dead, or has taken too long."""
        outcomes: list[Outcome] = []
        dead = worker.dead
        try:
            for message in worker.messages():
                match message:
                    case Ready():
                        self._failed_starts = 0
                        worker.become_idle()
                    case Epoch():
                        if self._on_epoch is not None:
                            self._on_epoch(message.id, message.epoch, message.valid)
                    case Outcome():
                        worker.become_idle()
                        self._deaths.pop(message.id, None)
                        outcomes.append(message)
        except (EOFError, OSError):
            dead = True
        if dead:
            return outcomes + self._after_death(worker)
        if worker.watch(passed):
            return outcomes + self._after_time(worker)
        return outcomes

    def _after_death(self, worker: Worker) -> list[Outcome]:
        """Replaces a worker that died by itself, and sees to its job."""
        job, alone = worker.job, len(self._under_way()) == 1
        death = Death(
            exit_code=worker.end(GRACE), killed_for_memory=worker.killed_for_memory, peak=worker.peak, alone=alone
        )
        if not worker.ready:
            if death.exit_code >= 0:  # not a signal's doing: any other worker would end the same way
                raise NetwrightError(
                    f"worker {worker.number} cannot start (exit code {death.exit_code}): {worker.error}"
                )
            self._count_failed_start(worker, str(death))
        self._start(worker.number)
        if job is None:
            return []
        self._deaths[job.id].append(death)
        failure = judge(self._deaths[job.id], available=available_bytes(), retries=self._retries)
        if failure is None:
            self._queue.appendleft(job)
            return []
        del self._deaths[job.id]
        return [Outcome(id=job.id, result=failure, seconds=0.0, worker=worker.number)]

    def _after_time(self, worker: Worker) -> list[Outcome]:
        """Ends a worker whose start or job takes too long, and starts another."""
        worker.end(GRACE)
        if worker.job is None:
            self._count_failed_start(worker, f"not ready after {self._start_seconds:g} s")
        self._start(worker.number)
        if worker.job is None:
            return []
        self._deaths.pop(worker.job.id, None)
        return [timed_out(worker.job, self._seconds, worker.number)]

    def _count_failed_start(self, worker: Worker, why: str) -> None:
        """Notes that a worker did not come to start.

        Raises:
            NetwrightError: It was one too many in a row.
        """
        self._failed_starts += 1
        if self._failed_starts >= ATTEMPTS:
            logs = self._settings.logs
            raise NetwrightError(
                f"worker {worker.number} cannot start: {why}, and {ATTEMPTS - 1} others before it; is there enough "
                f"memory for search.workers?{'' if logs is None else f'; what they said is in {logs}'}"
            )

    def _start(self, number: int) -> None:
        """Starts a worker, the first one of its number or in place of the last."""
        with held_back():  # a process that nobody knows would be waited for, for ever, when this one ends
            worker = Worker(self._evaluators[number], number, self._settings, self._start_seconds)
            self._workers[number : number + 1] = [worker]
