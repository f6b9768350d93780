"""The one file that knows Ray: shards, replicas and children as actors, on one machine or on many.

The driver is the process that the user started; it makes the shards and the replicas, and each replica its children.
Ray ends them all when the driver ends, however it does. Whoever dies is made anew by whoever made it: Ray's own
restarts are not used, since they would bring an actor back as it was at first.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import queue
import secrets
import signal
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray import cloudpickle
from ray.exceptions import RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from netwright.config import AccuracyReward, ClusterSettings, LearnerSettings, PerplexityReward, SearchSettings
from netwright.errors import NetwrightError, UsageError
from netwright.runtime.driver import Driver
from netwright.runtime.parameter_server import ParameterServer, Receipt, Snapshot, make_shard
from netwright.runtime.replica import Batch, Replica
from netwright.search.executor import Evaluator, Job, evaluate, timed_out
from netwright.search.loop import search
from netwright.search.reward import reward_of
from netwright.search.shortcuts import Shortcuts
from netwright.search.strategy import Curriculum
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.trial import Failure, FailureKind, Outcome, Proposal, Trial, Update

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at the clock."""

PATIENCE = 60.0
"""Seconds between two warnings that nothing can be placed."""

MAX_DEATHS = 10
"""So many times a shard, or a replica that has done nothing in between, is made anew."""

FINGERPRINT = ("netwright", "torch", "ray")

Message = tuple[str, tuple[Any, ...]]
"""A method of :class:`Driver` and its arguments; ``next_batch`` and ``idle`` are answered by the loop itself."""


@contextmanager
def connected(address: str | None, *, cpus: int | None = None) -> Iterator[None]:
    """A connection to a cluster whose nodes all run the same versions.

    Args:
        address: Of a running cluster, ``auto`` for the one of this machine; None starts Ray here, unless this process
            is connected already or ``RAY_ADDRESS`` is set.
        cpus: How many cores a Ray that is started here gives out; None means all.

    Raises:
        UsageError: There is no cluster at the address, or its nodes run unlike versions.
    """
    if ray.is_initialized():
        check_nodes()
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address}
    if address is None:
        # Ray then asks everybody for this secret; left alone, it would write one to the home folder, by which clusters
        # that are started there later would ask for it, too, and their other nodes would not know it.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        options = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    try:
        with _requests_to_end_as_before():
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = "Ray does not start here" if address is None else f"--ray-address {address}: no cluster to work with"
        raise UsageError(f"{where}: {str(error).strip().splitlines()[0]}") from None
    try:
        check_nodes()
        yield
    finally:
        ray.shutdown()


@contextmanager
def _requests_to_end_as_before() -> Iterator[None]:
    """Ray answers SIGTERM by ``sys.exit``; whoever began the search has an answer that saves it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def check_nodes() -> None:
    """Checks that all nodes run what this process runs.

    Raises:
        UsageError: They do not; shows a table of versions.
    """
    compare(fingerprint_of_driver(), fingerprints())


def fingerprint_of_driver() -> dict[str, str]:
    """The versions that this process runs, by product."""
    return _fingerprint()()


def _fingerprint() -> Callable[[], dict[str, str]]:
    products = FINGERPRINT

    # Within a function, so that it travels by value: on a node without netwright it must run, too.
    def fingerprint() -> dict[str, str]:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        found = {"python": platform.python_version()}
        for product in products:
            try:
                found[product] = version(product)
            except PackageNotFoundError:
                found[product] = "missing"
        return found

    return fingerprint


def fingerprints() -> dict[str, dict[str, str]]:
    """The versions that each node runs, by its address."""
    ask = ray.remote(_fingerprint())
    answers = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerAddress']} ({node['NodeID'][:6]})"
            answers[name] = ask.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote()
    return {name: ray.get(answer, timeout=PATIENCE) for name, answer in answers.items()}


def compare(driver: Mapping[str, str], nodes: Mapping[str, Mapping[str, str]]) -> None:
    """Checks that all fingerprints are equal.

    Args:
        driver: Version by product.
        nodes: The same of each node, by its name.

    Raises:
        UsageError: One differs; shows them all, and marks what differs.
    """
    if all(node == driver for node in nodes.values()):
        return
    rows = [["", *driver], ["this process", *driver.values()]]
    for name, node in nodes.items():
        cells = [node.get(product, "missing") for product in driver]
        rows.append([name, *(c if c == v else f"{c} !" for c, v in zip(cells, driver.values(), strict=True))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
    raise UsageError(f"the nodes run unlike versions; install the same ones everywhere:\n{table}")


class _Packer(cloudpickle.CloudPickler):  # type: ignore[misc]
    """Leaves tensors out of the pickle, so that all processes of a node can map one copy of them."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.tensors: list[torch.Tensor] = []

    def persistent_id(self, thing: object) -> int | None:
        """The place of a tensor in :attr:`tensors`; None for everything else, which is pickled."""
        if type(thing) is not torch.Tensor or thing.device.type != "cpu" or thing.requires_grad or not thing.numel():
            return None
        self.tensors.append(thing.contiguous())
        return len(self.tensors) - 1


class _Unpacker(pickle.Unpickler):
    """Reads what :class:`_Packer` has written."""

    def __init__(self, file: io.BytesIO, tensors: Sequence[torch.Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, place: int) -> torch.Tensor:
        """The inverse of :meth:`_Packer.persistent_id`."""
        return self._tensors[place]


Packed = tuple[bytes, list[tuple[Any, str, tuple[int, ...]]]]
"""A pickle, and the tensors in it: bytes, type, shape."""


def pack(thing: object) -> Packed:
    """A thing in a form that Ray's object store keeps once for each node."""
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(thing)
    tensors = [(t.reshape(-1).view(torch.uint8).numpy(), str(t.dtype), tuple(t.shape)) for t in packer.tensors]
    return file.getvalue(), tensors


def unpack(packed: Packed) -> Any:
    """The thing; its tensors are those of the object store, and must not be written to."""
    pickled, arrays = packed
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensors = [
            torch.from_numpy(array).view(getattr(torch, dtype.removeprefix("torch."))).reshape(shape)
            for array, dtype, shape in arrays
        ]
    return _Unpacker(io.BytesIO(pickled), tensors).load()


def put(evaluator: Evaluator) -> Any:
    """Puts an evaluator, with its data, into the object store."""
    return ray.put(pack(evaluator))


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
            raise NetwrightError(f"a worker cannot start: {_last_line(death)}")
        self._children[child.number] = self._start(child.number)
        if child.job is None:
            return []
        self._deaths[child.job.id] += not _was_announced(death)
        if self._deaths[child.job.id] <= self._retries:
            self._queue.appendleft(child.job)
            return []
        message = f"its worker died {self._deaths[child.job.id]} times; the last time: {_last_line(death)}"
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


class _ShardActor:
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
class Plan:
    """What a replica needs to know.

    Attributes:
        space: What is searched.
        curriculum: Size of the architecture by trial number.
        learner: How the controller learns.
        search: Seed and limits.
        reward: What the controller learns from.
        cluster: How many children, and what each takes.
        parts: The names of each shard's weights.
        evaluator: Of :func:`pack`, in the object store.
        shortcuts: What children are spared.
    """

    space: SearchSpace
    curriculum: Curriculum
    learner: LearnerSettings
    search: SearchSettings
    reward: AccuracyReward | PerplexityReward
    cluster: ClusterSettings
    parts: Sequence[Sequence[str]]
    evaluator: Any
    shortcuts: Shortcuts


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

    def started(self, job: Job) -> None:
        """The driver knows: see :meth:`start`."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`netwright.search.loop.Observer.progressed`."""
        self.say("progressed", trial_id, epoch, valid)

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """The driver knows: see :meth:`finish`."""


class _ReplicaActor:
    """A process for one replica: the loop of a search on one machine, between the parameter server and the driver."""

    def __init__(self, plan: Plan, shards: Sequence[Any]) -> None:
        torch.set_num_threads(1)
        self._plan = plan
        self._outbox = _Outbox()
        self._shards = _RayShards(shards)
        self._strategy = Replica(
            plan.space,
            plan.learner,
            ParameterServer(self._shards, plan.parts),
            self._outbox,
            batch=plan.cluster.children,
            ahead=plan.cluster.ahead,
            seed=plan.search.seed,
            curriculum=plan.curriculum,
        )

    def run(self) -> None:
        """Works until the driver has no more batches; then gives its children's places to those of other replicas.

        It takes no batch before a child of its own has found a place: where there are fewer places than children,
        others may have them all.
        """
        plan = self._plan
        children = RayChildren(
            plan.evaluator,
            plan.cluster.children,
            plan.cluster,
            seconds=plan.search.child_seconds,
            on_epoch=self._outbox.progressed,
        )
        executor = plan.shortcuts.wrap(children, plan.space)
        try:
            children.wait_for_one()
            search(
                plan.space,
                self._strategy,
                executor,
                lambda result: reward_of(result, plan.reward),
                self._outbox,
                self._outbox,
                unfinished=(),
                remaining=2**62,  # the driver counts
                deadline=float("inf"),  # and has the clock
                seed=plan.search.seed,
                max_failures=plan.search.max_failures,
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
        plan: For the replicas.
    """

    def __init__(self, driver: Driver, plan: Plan) -> None:
        self._driver = driver
        self._plan = plan
        self._plan_reference = ray.put(plan)
        self._shard_deaths = 0
        self._warned_at = time.monotonic()
        self._shards = [self._start_shard(number, snapshot) for number, snapshot in enumerate(driver.shards)]
        self._watches = [_watch(actor) for actor in self._shards]
        self._posts = [self._start_replica() for _ in range(plan.cluster.replicas)]

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
            self._warn()

    def close(self) -> None:
        """Ends everybody; their children end with them."""
        for actor in [*self._shards, *(post.actor for post in self._posts)]:
            ray.kill(actor)

    def _start_shard(self, number: int, snapshot: Snapshot) -> Any:
        options = {"num_cpus": self._plan.cluster.shard_cpus, "concurrency_groups": {"watch": 1}}
        return ray.remote(**options)(_ShardActor).remote(number, snapshot, self._plan.learner, self._plan.cluster)

    def _start_replica(self, deaths: int = 0) -> _Post:
        options = {"num_cpus": self._plan.cluster.replica_cpus, "max_concurrency": 4}
        actor = ray.remote(**options)(_ReplicaActor).remote(self._plan_reference, self._shards)
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
            raise NetwrightError(f"replica {number} cannot start, or not for long: {_last_line(death)}")
        log.warning("replica %d has died; another one takes over", number)
        self._driver.lost(number)
        self._posts[number] = self._start_replica(post.deaths + 1)

    def _replace_shard(self, number: int) -> None:
        self._shard_deaths += 1
        if self._shard_deaths > MAX_DEATHS:
            raise NetwrightError(f"shards of the parameter server have died {self._shard_deaths} times")
        log.warning("shard %d of the parameter server has died; it goes on from its last checkpoint", number)
        self._shards[number] = self._start_shard(number, self._driver.revive(number))
        self._watches[number] = _watch(self._shards[number])
        for post in self._posts:
            post.actor.replace_shard.remote(number, self._shards[number])

    def _warn(self) -> None:
        """Says so when no node has what a child takes."""
        if time.monotonic() - self._warned_at < PATIENCE:
            return
        self._warned_at = time.monotonic()
        if (wanted := lacking(self._plan.cluster, ray.nodes())) is not None:
            log.warning("no node has what a child takes (%s); waiting for one that has", wanted)


def _last_line(error: Exception) -> str:
    """The last line of an error's text, where Ray has what happened."""
    return str(error).strip().splitlines()[-1].strip()


def _watch(shard: Any) -> Any:
    """Resolved, with an error, when a shard dies; beside its work, which goes on one call after the other."""
    return shard.watch.options(concurrency_group="watch").remote()


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
