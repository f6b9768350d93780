"""Shards of the parameter server and controller replicas as actors."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import RayActorError

from netwright.config import ClusterSettings, LearnerSettings, SearchSettings
from netwright.runtime.parameter_server import ParameterServer, Receipt, Snapshot, make_shard
from netwright.runtime.ray.child_actor import LogFolder
from netwright.runtime.ray.children import RayChildren
from netwright.runtime.replica import Batch, Replica
from netwright.runtime.worker import TICK
from netwright.search.executor import Job
from netwright.search.loop import Excess, Score, search
from netwright.search.shortcuts import Shortcuts
from netwright.search.strategy import Curriculum
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.trial import Concluded, Outcome, Proposal, Trial, Update

Message = tuple[str, tuple[Any, ...]]
"""A method of :class:`Driver` and its arguments; ``next_batch`` and ``idle`` are answered by the loop itself."""


class ShardActor:
    """A process for one shard."""

    def __init__(self, number: int, snapshot: Snapshot, learner: LearnerSettings, cluster: ClusterSettings) -> None:
        torch.set_num_threads(1)
        self._shard = make_shard(number, snapshot, learner, cluster)

    def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Calls a method of the shard."""
        return getattr(self._shard, method)(*arguments)

    def watch(self) -> None:
        """Never answers: whoever asks learns of this process's end."""
        threading.Event().wait()


class _RayShards:
    """The way to the shards for a replica; waits for the successor of one that has died."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = list(actors)

    def replace(self, number: int, actor: Any) -> None:
        """Says where a shard is now."""
        self._actors[number] = actor

    def ask(self, method: str, calls: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """See :meth:`Shards.ask`; safe to repeat, as every call is."""
        answers: dict[int, Any] = {}
        while True:
            missing = [number for number in calls if number not in answers]
            references = {number: self._actors[number].call.remote(method, calls[number]) for number in missing}
            for number, reference in references.items():
                with suppress(RayActorError):
                    answers[number] = ray.get(reference)
            if len(answers) == len(calls):
                return answers
            time.sleep(0.05)


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What a replica needs to know.

    Attributes:
        space: What is searched.
        curriculum: Size of the architecture by trial number.
        learner: How the controller learns.
        search: Seed and limits.
        score: The reward of what came of a trial.
        excess: Tells what costs too much to be trained.
        cluster: How many children, and what each takes.
        parts: The names of each shard's weights.
        evaluator: Of :func:`netwright.runtime.ray.packing.put`: a reference to it in the object store.
        shortcuts: What children are spared.
        logs: Where what children print goes, if they run on its node.
    """

    space: SearchSpace
    curriculum: Curriculum
    learner: LearnerSettings
    search: SearchSettings
    score: Score
    excess: Excess | None
    cluster: ClusterSettings
    parts: Sequence[Sequence[str]]
    evaluator: Any
    shortcuts: Shortcuts
    logs: LogFolder | None = None


class _Outbox:
    """A replica's desk, journal and observer in one: everything goes to the driver, in order."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()

    def say(self, method: str, *arguments: Any) -> None:
        """Leaves a message for the driver."""
        self._messages.put((method, arguments))

    def take(self) -> list[Message]:
        """All messages; waits a little for the first one."""
        messages = []
        with suppress(queue.Empty):
            messages.append(self._messages.get(timeout=TICK))
            while True:
                messages.append(self._messages.get_nowait())
        return messages

    def next_batch(self) -> Batch | None:
        """See :meth:`Desk.next_batch`."""
        self.say("next_batch")
        return self.answers.get()

    def pushed(self, number: int, receipt: Receipt) -> None:
        """See :meth:`Desk.pushed`."""
        self.say("pushed", number, receipt)

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """See :meth:`netwright.search.loop.Journal.start`."""
        if proposals:
            self.say("start", proposals)

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        """See :meth:`netwright.search.loop.Journal.finish`; the state comes with what was pushed."""
        self.say("finish", trial, outcome, update)

    def pass_over(self, concluded: Sequence[Concluded]) -> None:
        """See :meth:`netwright.search.loop.Journal.pass_over`; the driver is told of them as of all others."""
        for one in concluded:
            self.start([(one.proposal, one.architecture)])
            self.finish(one.trial, one.outcome, one.update, one.state)

    def started(self, job: Job) -> None:
        """The driver knows: see :meth:`start`."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`netwright.search.loop.Observer.progressed`."""
        self.say("progressed", trial_id, epoch, valid)

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """The driver knows: see :meth:`finish`."""


class ReplicaActor:
    """A process for one replica: the loop of a search on one machine, between the parameter server and the driver."""

    def __init__(self, number: int, assignment: Assignment, shards: Sequence[Any]) -> None:
        torch.set_num_threads(1)
        self._number = number
        self._assignment = assignment
        self._outbox = _Outbox()
        self._shards = _RayShards(shards)
        self._strategy = Replica(
            assignment.space,
            assignment.learner,
            ParameterServer(self._shards, assignment.parts),
            self._outbox,
            batch=assignment.cluster.children,
            ahead=assignment.cluster.ahead,
            seed=assignment.search.seed,
            curriculum=assignment.curriculum,
        )

    def run(self) -> None:
        """Works until the driver has no more batches; then gives its children's places to those of other replicas.

        It takes no batch before a child of its own has found a place: where there are fewer places than children,
        others may have them all.
        """
        assignment = self._assignment
        children = RayChildren(
            assignment.evaluator,
            assignment.cluster.children,
            assignment.cluster,
            threads=assignment.search.threads,
            seconds=assignment.search.child_seconds,
            memory_mb=assignment.search.child_memory_mb,
            on_epoch=self._outbox.progressed,
            logs=assignment.logs,
            first=self._number * assignment.cluster.children,
        )
        executor = assignment.shortcuts.wrap(children, assignment.space)
        try:
            children.wait_for_one()
            search(
                assignment.space,
                self._strategy,
                executor,
                assignment.score,
                self._outbox,
                self._outbox,
                excess=assignment.excess,
                unfinished=(),
                remaining=2**62,  # the driver counts, and has the clock
                seed=assignment.search.seed,
                max_failures=assignment.search.max_failures,
            )
        finally:
            executor.close()
        self._outbox.say("idle")

    def messages(self) -> list[Message]:
        """What there is to say to the driver."""
        return self._outbox.take()

    def answer(self, batch: Batch | None) -> None:
        """The driver's answer to ``next_batch``."""
        self._outbox.answers.put(batch)

    def replace_shard(self, number: int, actor: Any) -> None:
        """Says where a shard is now."""
        self._shards.replace(number, actor)
