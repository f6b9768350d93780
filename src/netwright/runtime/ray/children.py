"""Children on a cluster: an executor whose workers are actors."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import RayActorError

from netwright.config import ClusterSettings
from netwright.errors import NetwrightError
from netwright.runtime.ray.packing import Packed, unpack
from netwright.search.executor import Evaluator, Job, evaluate, timed_out
from netwright.trial import Failure, FailureKind, Outcome

log = logging.getLogger(__name__)


TICK = 1.0
"""Seconds between two looks at the clock."""


class _ChildActor:
    """A worker: imports what it needs once, and then trains child after child."""

    def __init__(self, evaluator: Packed, number: int, threads: int) -> None:
        self._evaluator: Evaluator = unpack(evaluator)
        self._number = number
        self._threads = threads

    def ready(self) -> None:
        """Answers once the worker can take a job."""

    def run(self, job: Job) -> Iterator[tuple[int, float] | Outcome]:
        """Evaluates a job; every epoch, and at the end the outcome."""
        said: queue.SimpleQueue[tuple[int, float] | Outcome] = queue.SimpleQueue()

        def report(epoch: int, valid: float) -> None:
            said.put((int(epoch), float(valid)))

        def work() -> None:
            torch.set_num_threads(self._threads)
            said.put(evaluate(self._evaluator, job, report, self._number))

        threading.Thread(target=work, daemon=True).start()
        while not isinstance(message := said.get(), Outcome):
            yield message
        yield message


@dataclass(slots=True)
class _Child:
    """A worker, and what it is doing.

    Attributes:
        number: From 0.
        actor: Its handle.
        starting: Resolved when it can take a job; None from then on.
        job: What it was given and has not returned.
        said: What it says about the job; an attempt that was given up has its own, to which nobody listens any more.
        ends_at: When the job is ended, by the monotonic clock.
    """

    number: int
    actor: Any
    starting: Any
    job: Job | None = None
    said: Any = None
    ends_at: float = 0.0


class RayChildren:
    """Executor whose workers are actors, wherever the cluster has room for them.

    A job whose worker or node dies is run again with the same seed; after ``retries`` more deaths it is returned as
    ``LOST``. A node that is taken away in good order does not count.

    Args:
        evaluator: Of :func:`pack`, in the object store.
        count: How many workers.
        settings: What a worker takes.
        seconds: Wall time after which a job is ended and returned as ``TIMEOUT``.
        on_epoch: Told of every finished epoch, from :meth:`wait`.
        retries: How often a job may lose its worker and be run again.
    """

    def __init__(
        self,
        evaluator: Any,
        count: int,
        settings: ClusterSettings,
        *,
        seconds: float = 3600.0,
        on_epoch: Callable[[int, int, float], None] | None = None,
        retries: int = 2,
    ) -> None:
        self._evaluator = evaluator
        self._settings = settings
        self._seconds = seconds
        self._on_epoch = on_epoch
        self._retries = retries
        self._queue: deque[Job] = deque()
        self._deaths: Counter[int] = Counter()
        self._children = [self._start(number) for number in range(count)]

    @property
    def room(self) -> int:
        """Workers that no job will take; some may not have found their place yet."""
        return max(len(self._children) - self.busy, 0)

    @property
    def busy(self) -> int:
        """Jobs under way and waiting."""
        return len(self._queue) + sum(child.job is not None for child in self._children)

    def submit(self, job: Job) -> None:
        """Hands the job to an idle worker, or keeps it for the next one that becomes idle."""
        self._queue.append(job)
        self._hand_out()

    def wait(self) -> list[Outcome]:
        """Waits for outcomes; an empty list when no job is under way."""
        outcomes: list[Outcome] = []
        while self.busy and not outcomes:
            child_of = {child.starting or child.said: child for child in self._children if child.starting or child.said}
            ready, _ = ray.wait(list(child_of), num_returns=len(child_of), timeout=0)
            if not ready:
                ready, _ = ray.wait(list(child_of), timeout=TICK)
            for reference in ready:
                outcomes += self._listen(child_of[reference])
            for child in self._children:
                if child.job is not None and time.monotonic() > child.ends_at:
                    outcomes.append(self._time_out(child))
            self._hand_out()
        return outcomes

    def wait_for_one(self) -> None:
        """Waits until a worker has found its place."""
        while not any(child.starting is None for child in self._children):
            child_of = {child.starting: child for child in self._children}
            ready, _ = ray.wait(list(child_of))
            self._listen(child_of[ready[0]])

    def close(self) -> None:
        """Ends all workers, at once."""
        for child in self._children:
            ray.kill(child.actor)
        self._children = []
        self._queue.clear()

    def _start(self, number: int) -> _Child:
        options = {
            "num_cpus": self._settings.child_cpus,
            "num_gpus": self._settings.child_gpus,
            "resources": dict(self._settings.child_resources),
        }
        threads = max(int(self._settings.child_cpus), 1)
        actor = ray.remote(**options)(_ChildActor).remote(self._evaluator, number, threads)
        return _Child(number=number, actor=actor, starting=actor.ready.remote())

    def _hand_out(self) -> None:
        for child in self._children:
            if self._queue and child.job is None and child.starting is None:
                child.job = self._queue.popleft()
                child.said = child.actor.run.remote(child.job)
                child.ends_at = time.monotonic() + self._seconds

    def _listen(self, child: _Child) -> list[Outcome]:
        """Takes the next message of a worker; replaces it when it is dead."""
        try:
            message = ray.get(child.starting or next(child.said))
        except RayActorError as death:
            return self._bury(child, death)
        if child.starting is not None:
            child.starting = None
        elif isinstance(message, Outcome):
            child.job = child.said = None
            return [message]
        elif self._on_epoch is not None and child.job is not None:
            self._on_epoch(child.job.id, *message)
        return []

    def _bury(self, child: _Child, death: RayActorError) -> list[Outcome]:
        """Replaces a worker that has died, and sees to its job."""
        if death.actor_init_failed:
            # Not killed, and not by a job: any other worker would end the same way.
            raise NetwrightError(f"a worker cannot start: {last_line(death)}")
        self._children[child.number] = self._start(child.number)
        if child.job is None:
            return []
        self._deaths[child.job.id] += not _was_announced(death)
        if self._deaths[child.job.id] <= self._retries:
            self._queue.appendleft(child.job)
            return []
        message = f"its worker died {self._deaths[child.job.id]} times; the last time: {last_line(death)}"
        failure = Failure(kind=FailureKind.LOST, message=message)
        return [Outcome(id=child.job.id, result=failure, seconds=0.0, worker=child.number)]

    def _time_out(self, child: _Child) -> Outcome:
        """Ends a worker whose job takes too long, and starts another."""
        ray.kill(child.actor)
        assert child.job is not None
        self._children[child.number] = self._start(child.number)
        return timed_out(child.job, self._seconds, child.number)


def _was_announced(death: RayActorError) -> bool:
    """Whether its node was preempted or shut down in good order, which no child can bring about."""
    # Ray has an attribute for the one, and for the other a text alone.
    return bool(death.preempted) or "node was terminated expectedly" in str(death)


def last_line(error: Exception) -> str:
    """The last line of an error's text, where Ray has what happened."""
    return str(error).strip().splitlines()[-1].strip()


def lacking(settings: ClusterSettings, nodes: Sequence[Mapping[str, Any]]) -> str | None:
    """What a child takes, where no node has all of it; otherwise None.

    Args:
        settings: What a child takes.
        nodes: As ``ray.nodes()`` gives them.
    """
    wanted = {"CPU": settings.child_cpus, "GPU": settings.child_gpus, **settings.child_resources}
    wanted = {name: amount for name, amount in wanted.items() if amount}
    for node in nodes:
        if node["Alive"] and all(node["Resources"].get(name, 0) >= amount for name, amount in wanted.items()):
            return None
    return ", ".join(f"{amount:g} {name}" for name, amount in wanted.items())
