"""Children on a cluster: an executor whose workers are actors."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayTaskError

from netwright.config import ClusterSettings
from netwright.errors import NetwrightError
from netwright.runtime.attempts import Attempts, Cause, Death
from netwright.runtime.ray.child_actor import ChildActor, LogFolder, Place
from netwright.runtime.worker import TICK, Begun, Epoch, FailedStarts, News, Unable
from netwright.search.executor import Job
from netwright.trial import Outcome

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds between two warnings that nothing can be placed."""

ENDS = (RayActorError, OutOfMemoryError, NodeDiedError)
"""What Ray raises for an actor that is no more: its process or its node has died, or Ray has killed it for memory."""


@dataclass(slots=True)
class _Child:
    """A worker, and what it is doing.

    Attributes:
        number: From 0, among the workers of this executor.
        actor: Its handle.
        starting: Resolved when it can take a job; None from then on.
        node: Where it is, once it has started.
        job: What it was given and has not returned.
        begun: Whether it has taken up the job; if not, its end has nothing to do with the job.
        said: What it says about the job; an attempt that was given up has its own, to which nobody listens any more.
    """

    number: int
    actor: Any
    starting: Any
    node: str = ""
    job: Job | None = None
    begun: bool = False
    said: Any = None

    @property
    def next(self) -> Any:
        """The next thing that it will say; None when it is idle."""
        return self.starting or self.said


class RayChildren:
    """Executor whose workers are actors, wherever the cluster has room for them.

    What becomes of the job of a worker that dies is for :class:`netwright.runtime.attempts.Attempts` to say, as on one
    machine.

    Args:
        evaluator: Of :func:`netwright.runtime.ray.packing.put`: a reference to it in the object store.
        count: How many workers.
        settings: What a worker takes.
        threads: PyTorch threads of each worker; 0 means as many as it takes cores.
        seconds: Wall time after which a job is ended and returned as ``TIMEOUT``.
        memory_mb: MiB of private memory that a child may take; None for no limit.
        on_epoch: Told of every finished epoch, from :meth:`wait`.
        retries: How often a job may lose its worker by a kill from outside, or by its node's end, and be run again.
        logs: A folder for what children print that run on its node; the others, and all without one, leave it to Ray.
        first: The number of the first worker in the whole search.
    """

    def __init__(
        self,
        evaluator: Any,
        count: int,
        settings: ClusterSettings,
        *,
        threads: int = 0,
        seconds: float = 3600.0,
        memory_mb: int | None = None,
        on_epoch: Callable[[int, int, float], None] | None = None,
        retries: int = 2,
        logs: LogFolder | None = None,
        first: int = 0,
    ) -> None:
        self._evaluator = evaluator
        self._settings = settings
        self._threads = threads or max(int(settings.child_cpus), 1)
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._on_epoch = on_epoch
        self._logs = logs
        self._first = first
        self._queue: deque[Job] = deque()
        self._attempts = Attempts(retries=retries)
        self._failed_starts = FailedStarts()
        self._room = RoomWatch(settings)
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
        """Waits for outcomes; an empty list when no job is under way.

        Says so now and then when no node has what a worker takes.

        Raises:
            NetwrightError: Workers cannot start.
        """
        outcomes: list[Outcome] = []
        while self.busy and not outcomes:
            outcomes += self._listen()
            self._hand_out()
        return outcomes

    def wait_for_one(self) -> None:
        """Waits until a worker has found its place.

        Raises:
            NetwrightError: Workers cannot start.
        """
        while not any(child.starting is None for child in self._children):
            self._listen()

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
        actor = ray.remote(**options)(ChildActor).remote(
            self._evaluator, self._first + number, self._threads, self._memory_mb, self._logs
        )
        return _Child(number=number, actor=actor, starting=actor.ready.remote())

    def _hand_out(self) -> None:
        """Gives jobs to idle workers; one that must run alone waits until no other is under way on a node."""
        for child in self._children:
            if self._queue and child.next is None and self._attempts.may_begin(self._queue[0], self._beside(child)):
                child.job, child.begun = self._queue.popleft(), False
                child.said = child.actor.run.remote(child.job, self._seconds)

    def _beside(self, child: _Child) -> list[Job]:
        """The jobs that other workers of this executor have on a worker's node."""
        others = (one for one in self._children if one is not child and one.node == child.node)
        return [one.job for one in others if one.job is not None]

    def _listen(self) -> list[Outcome]:
        """Takes in what workers say, within a tick."""
        child_of = {child.next: child for child in self._children if child.next is not None}
        ready, _ = ray.wait(list(child_of), num_returns=len(child_of), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(child_of), timeout=TICK)
            self._room.look()
        return [outcome for reference in ready for outcome in self._hear(child_of[reference])]

    def _hear(self, child: _Child) -> list[Outcome]:
        """Takes in the next thing that a worker says; replaces it when it is no more."""
        try:
            news: News | Place = ray.get(child.starting or next(child.said))
        except ENDS as error:
            return self._replace(child, error)
        except RayTaskError as error:
            raise NetwrightError(f"worker {self._first + child.number} cannot continue: {last_line(error)}") from None
        match news:
            case Place():
                self._failed_starts.forget()
                child.node, child.starting = news.node, None
            case Begun():
                child.begun = True
            case Unable():
                self._failed_starts.note(self._first + child.number, news)
                self._queue.extendleft(self._restart(child))
            case Epoch():
                if self._on_epoch is not None:
                    self._on_epoch(news.id, news.epoch, news.valid)
            case Outcome():
                self._attempts.forget(news.id)
                child.job, child.begun, child.said = None, False, None
                return [news]
            case Death():
                alone, begun = not self._beside(child), child.begun
                return self._settle(self._restart(child), news if begun else None, alone, child.number)
        return []

    def _restart(self, child: _Child) -> list[Job]:
        """Has a worker start again whose process has ended, while its actor has not; returns its job, if it had one."""
        jobs = [] if child.job is None else [child.job]
        child.job, child.begun, child.said = None, False, None
        child.starting = child.actor.ready.remote()
        return jobs

    def _replace(self, child: _Child, error: Exception) -> list[Outcome]:
        """Puts another actor in the place of one that is no more, and sees to its job."""
        if isinstance(error, RayActorError) and error.actor_init_failed:
            # Not killed, and not by a job: any other worker would end the same way.
            raise NetwrightError(f"a worker cannot start: {last_line(error)}")
        death, alone, jobs = death_of_actor(error), not self._beside(child), [] if child.job is None else [child.job]
        self._children[child.number] = self._start(child.number)
        if not child.begun and death.cause is Cause.OUT_OF_MEMORY:
            # Of a node that goes, several workers may have been starting, which says nothing about the next one.
            self._failed_starts.note(self._first + child.number, Unable(str(death)))
        return self._settle(jobs, death if child.begun else None, alone, child.number)

    def _settle(self, jobs: Sequence[Job], death: Death | None, alone: bool, number: int) -> list[Outcome]:
        """Puts the job, if any, of a worker that has died back into the queue, or ends it.

        Args:
            jobs: The one that it had, or none.
            death: How it died; None when the job had not begun.
            alone: Whether no other job was under way beside it.
            number: The worker's.
        """
        outcomes = []
        for job in jobs:
            failure = None if death is None else self._attempts.note(job, death, alone=alone)
            if failure is None:
                self._queue.appendleft(job)
            else:
                outcomes.append(Outcome(id=job.id, result=failure, seconds=0.0, worker=self._first + number))
        return outcomes


def death_of_actor(error: Exception) -> Death:
    """Why an actor is no more, as far as Ray tells. Its children cannot have done it: they are other processes."""
    if isinstance(error, OutOfMemoryError):
        return Death(cause=Cause.OUT_OF_MEMORY, detail=f"by Ray: {str(error).strip().splitlines()[0]}")
    # Ray has an attribute for a node that was preempted, and for one that was shut down in good order a text alone.
    if getattr(error, "preempted", False) or "node was terminated expectedly" in str(error):
        return Death(cause=Cause.ANNOUNCED)
    return Death(cause=Cause.KILLED, detail=last_line(error))


def last_line(error: Exception) -> str:
    """The last line of an error's text, where Ray has what happened."""
    return str(error).strip().splitlines()[-1].strip()


class RoomWatch:
    """Says so, now and then, when no node has what a child takes.

    Args:
        settings: What a child takes.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._warned_at = time.monotonic()

    def look(self) -> None:
        """Warns, unless there is a node with room or the last look was a short time ago."""
        if time.monotonic() - self._warned_at < PATIENCE:
            return
        self._warned_at = time.monotonic()
        if (wanted := lacking(self._settings, ray.nodes())) is not None:
            log.warning("no node has what a child takes (%s); waiting for one that has", wanted)


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
