"""Evaluation in worker processes on one machine.

A worker imports what it needs once and then trains child after child. Whatever a child does — raise, hang, eat the
memory, kill its process — costs that child at the most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from netwright.interrupts import held_back
from netwright.runtime.attempts import Attempts, Death
from netwright.runtime.parcel import Outgoing
from netwright.runtime.worker import START_SECONDS, Epoch, FailedStarts, Ready, Unable, Watch, Worker, WorkerSettings
from netwright.runtime.worker_log import LogKeeper, log_file
from netwright.search.executor import Evaluator, Job
from netwright.trial import Outcome

OnEpoch = Callable[[int, int, float], None]
"""(trial, epoch from 1, validation number)"""


class ProcessPool:
    """Executor with one worker process per evaluator.

    Tensors inside the evaluators travel as shared memory. A worker that dies, or whose job or start takes too long, is
    ended with all that it started, and another takes its place. What becomes of its job is for
    :class:`netwright.runtime.attempts.Attempts` to say.

    Args:
        evaluators: One for each worker.
        threads: PyTorch threads of each worker.
        seconds: Wall time after which a job is ended and returned as ``TIMEOUT``. A pause of this process, as when a
            laptop sleeps, does not count, nor does the time that the job was ready to compute and others had the cores;
            one that takes ten times as long because of them is returned as ``LOST``.
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
        start_seconds: float = START_SECONDS,
        on_epoch: OnEpoch | None = None,
        retries: int = 2,
        logs: Path | None = None,
    ) -> None:
        self._evaluators = evaluators
        self._settings = WorkerSettings(threads=threads, memory_mb=memory_mb, logs=logs)
        self._seconds = seconds
        self._start_seconds = start_seconds
        self._on_epoch = on_epoch
        self._queue: deque[Job] = deque()
        self._attempts = Attempts(retries=retries)
        self._failed_starts = FailedStarts(logs)
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
        watch = Watch()
        while self.busy and not outcomes:
            passed = watch.wait(self._workers)
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
            if worker.idle and self._queue and self._attempts.may_begin(self._queue[0], self._under_way()):
                worker.begin(self._queue.popleft(), self._seconds)

    def _attend(self, worker: Worker, passed: float) -> list[Outcome]:
        """Takes in what a worker has said; replaces it when it has ended."""
        outcomes: list[Outcome] = []
        for news in worker.attend(passed):
            match news:
                case Ready():
                    self._failed_starts.forget()
                case Unable():
                    self._failed_starts.note(worker.number, news)
                case Epoch():
                    if self._on_epoch is not None:
                        self._on_epoch(news.id, news.epoch, news.valid)
                case Outcome():
                    self._attempts.forget(news.id)
                    outcomes.append(news)
                case Death():
                    outcomes += self._after_death(worker, news)
        if worker.ended:
            self._start(worker.number)
        return outcomes

    def _after_death(self, worker: Worker, death: Death) -> list[Outcome]:
        """Sees to the job of a worker that died by itself."""
        if worker.job is None:
            return []
        failure = None
        if worker.begun:
            failure = self._attempts.note(worker.job, death, alone=len(self._under_way()) == 1)
        if failure is None:
            self._queue.appendleft(worker.job)
            return []
        return [Outcome(id=worker.job.id, result=failure, seconds=0.0, worker=worker.number)]

    def _start(self, number: int) -> None:
        """Starts a worker, the first one of its number or in place of the last."""
        with held_back():  # a process that nobody knows would be waited for, for ever, when this one ends
            worker = Worker(Outgoing(self._evaluators[number]), number, self._settings, self._start_seconds)
            self._workers[number : number + 1] = [worker]
