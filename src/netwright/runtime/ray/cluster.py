"""The driver's side of a search by many replicas: it makes shards and replicas, hears them, replaces the dead."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from netwright.errors import NetwrightError
from netwright.runtime.driver import Driver
from netwright.runtime.parameter_server import Snapshot
from netwright.runtime.ray.children import RoomWatch, last_line
from netwright.runtime.ray.replicas import Assignment, Message, ReplicaActor, ShardActor
from netwright.runtime.worker import TICK

log = logging.getLogger(__name__)

MAX_DEATHS = 10
"""So many times a shard, or a replica that has done nothing in between, is restarted."""


@dataclass(slots=True)
class _Post:
    """A replica as the driver sees it.

    Attributes:
        actor: Its handle.
        working: Resolved when it has run out of work.
        said: Its next messages.
        idle: Whether it has run out of work.
        deaths: How often it has died since it last said something.
    """

    actor: Any
    working: Any
    said: Any
    idle: bool = False
    deaths: int = 0


class Cluster:
    """The driver's side: makes shards and replicas, listens to them, and replaces those that die.

    Args:
        driver: Knows what there is to do.
        assignment: For the replicas.
    """

    def __init__(self, driver: Driver, assignment: Assignment) -> None:
        self._driver = driver
        self._assignment = assignment
        self._assignment_reference = ray.put(assignment)
        self._shard_deaths = 0
        self._room = RoomWatch(assignment.cluster)
        self._shards = [self._start_shard(number, snapshot) for number, snapshot in enumerate(driver.shards)]
        self._watches = [_watch(actor) for actor in self._shards]
        self._posts = [self._start_replica(number) for number in range(assignment.cluster.replicas)]

    def run(self) -> None:
        """Listens until all is done.

        Raises:
            AllChildrenFailError: A replica's trials have failed too often in a row.
            NetwrightError: Shards, replicas or children die as fast as they are made.
        """
        while not self._driver.done:
            ready, _ = ray.wait([*self._watches, *(post.said for post in self._posts)], timeout=TICK)
            for reference in ready:
                if reference in self._watches:
                    self._replace_shard(self._watches.index(reference))
                else:
                    self._hear(next(n for n, post in enumerate(self._posts) if post.said == reference))
            self._wake()
            self._room.look()

    def close(self) -> None:
        """Ends everybody; their children end with them."""
        for actor in [*self._shards, *(post.actor for post in self._posts)]:
            ray.kill(actor)

    def _start_shard(self, number: int, snapshot: Snapshot) -> Any:
        options = {"num_cpus": self._assignment.cluster.shard_cpus, "concurrency_groups": {"watch": 1}}
        return ray.remote(**options)(ShardActor).remote(
            number, snapshot, self._assignment.learner, self._assignment.cluster
        )

    def _start_replica(self, number: int, deaths: int = 0) -> _Post:
        options = {"num_cpus": self._assignment.cluster.replica_cpus, "max_concurrency": 4}
        actor = ray.remote(**options)(ReplicaActor).remote(number, self._assignment_reference, self._shards)
        return _Post(actor=actor, working=actor.run.remote(), said=actor.messages.remote(), deaths=deaths)

    def _hear(self, number: int) -> None:
        """Does what a replica says."""
        post = self._posts[number]
        try:
            messages: list[Message] = ray.get(post.said)
            for method, arguments in messages:
                post.deaths = 0
                if method == "next_batch":
                    post.actor.answer.remote(self._driver.next_batch(number))
                elif method == "idle":
                    post.idle = True
                else:
                    getattr(self._driver, method)(*arguments)
            post.said = post.actor.messages.remote()
            if not messages:
                self._look_at(post)
        except RayActorError as death:
            self._replace_replica(number, death)

    def _look_at(self, post: _Post) -> None:
        """Raises what has ended a replica's work, if anything has."""
        ended, _ = ray.wait([post.working], timeout=0)
        try:
            for reference in ended:
                ray.get(reference)
        except RayTaskError as error:
            if isinstance(error.cause, NetwrightError):
                raise error.cause from None
            raise

    def _wake(self) -> None:
        """Sets idle replicas to work, where another one has left something behind."""
        for post in self._posts:
            if post.idle and self._driver.waiting:
                post.idle = False
                post.working = post.actor.run.remote()

    def _replace_replica(self, number: int, death: RayActorError) -> None:
        post = self._posts[number]
        if death.actor_init_failed or post.deaths == MAX_DEATHS:
            raise NetwrightError(f"replica {number} cannot start, or not for long: {last_line(death)}")
        log.warning("replica %d has died; another one takes over", number)
        self._driver.lost(number)
        self._posts[number] = self._start_replica(number, post.deaths + 1)

    def _replace_shard(self, number: int) -> None:
        self._shard_deaths += 1
        if self._shard_deaths > MAX_DEATHS:
            raise NetwrightError(f"shards of the parameter server have died {self._shard_deaths} times")
        log.warning("shard %d of the parameter server has died; it resumes from its last checkpoint", number)
        self._shards[number] = self._start_shard(number, self._driver.revive(number))
        self._watches[number] = _watch(self._shards[number])
        for post in self._posts:
            post.actor.replace_shard.remote(number, self._shards[number])


def _watch(shard: Any) -> Any:
    """Resolved, with an error, when a shard dies; beside its work, which is done one call after the other."""
    return shard.watch.options(concurrency_group="watch").remote()
