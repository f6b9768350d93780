"""A child's place on a node: an actor, and below it the process that the children run in.

Ray says the same of an actor that crashed and of one that somebody killed, since nobody on the node looks at the exit
code. So the children run in a worker of :mod:`netwright.runtime.worker`, as they do on one machine, and the actor is
its parent: it sees the exit code, the memory and the clock, and says what it sees.

The worker is forked, because only a fork shares the memory of Ray's object store that its parent has mapped: the data
lie once on each node. The actor itself loads neither PyTorch nor the evaluator, so a fork has nothing to lose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ray

from netwright.runtime.ray.packing import Packed, unpack
from netwright.runtime.worker import Begun, Epoch, News, Unable, Watch, Worker, WorkerSettings
from netwright.runtime.worker_log import LogKeeper, log_file
from netwright.search.executor import Evaluator, Job


def this_node() -> str:
    """The node that this process runs on, by Ray's name for it."""
    return str(ray.get_runtime_context().get_node_id())


@dataclass(frozen=True, kw_only=True, slots=True)
class LogFolder:
    """A folder for what children print, on one node; children elsewhere print into the logs of Ray.

    Attributes:
        path: Where it is.
        node: On which node.
    """

    path: Path
    node: str

    @classmethod
    def here(cls, path: Path) -> LogFolder:
        """A folder of this process's node."""
        return cls(path=path.absolute(), node=this_node())


@dataclass(frozen=True, slots=True)
class Place:
    """The worker has started, and where."""

    node: str


class _Parcel:
    """An evaluator in the object store, for a worker that shares the memory of its parent."""

    def __init__(self, packed: Packed) -> None:
        self._packed = packed  # for ever: a fork that let go of it would speak to the object store by its parent's pipe

    def open(self) -> Evaluator:
        """The evaluator; raises whatever its own unpickling does."""
        evaluator: Evaluator = unpack(self._packed)
        return evaluator


class ChildActor:
    """Trains one child after the other, in a process of its own.

    Args:
        evaluator: See :func:`netwright.runtime.ray.packing.pack`.
        number: Of the worker, in the whole search.
        threads: PyTorch threads.
        memory_mb: MiB of private memory that a child may take; None for no limit.
        logs: Where what children print goes, if this is the right node.
    """

    def __init__(
        self, evaluator: Packed, number: int, threads: int, memory_mb: int | None, logs: LogFolder | None
    ) -> None:
        self._parcel = _Parcel(evaluator)
        self._number = number
        self._node = this_node()
        folder = logs.path if logs is not None and logs.node == self._node else None
        self._settings = WorkerSettings(threads=threads, memory_mb=memory_mb, logs=folder)
        self._log_keeper = None if folder is None else LogKeeper([log_file(folder, number)])
        self._worker: Worker | None = None

    def ready(self) -> Place | Unable:
        """Starts the worker, unless it runs; answers once it can take a job, or cannot."""
        if self._worker is None or self._worker.dead:
            if self._worker is not None:
                self._worker.end()
            self._worker = Worker(self._parcel, self._number, self._settings, method="fork")
            for news in self._news(self._worker):
                if isinstance(news, Unable):
                    return news
                break
        return Place(self._node)

    def run(self, job: Job, seconds: float) -> Iterator[News]:
        """Evaluates a job: what the worker says, and last the outcome, its death, or why it did not start."""
        start = self.ready()  # the idle worker may have been killed
        if isinstance(start, Unable):
            yield start
            return
        assert self._worker is not None
        self._worker.begin(job, seconds)
        for news in self._news(self._worker):
            yield news
            if not isinstance(news, Begun | Epoch):
                return

    def _news(self, worker: Worker) -> Iterator[News]:
        """What the worker says, as it does."""
        watch = Watch()
        while not worker.ended:
            yield from worker.attend(watch.wait([worker]))
