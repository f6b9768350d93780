"""The search by many replicas at the paper's size, under a virtual clock: utilisation, staleness, and what they cost.

    NETWRIGHT_DATA=DIR python benchmarks/scale.py [--seeds 20] [--samples 12800] [--processes 1]

Driver, replicas, parameter server and the loop are the classes that run on Ray, with the paper's controller; a child
takes no time but that of a virtual clock, and its result comes from NAS-Bench-201 (validation accuracy after 12 epochs;
what is reported is the test accuracy after 200). A child's duration is drawn uniformly from 50 to 150 % of the mean,
the same for the same trial of the same seed in whichever arrangement. Messages, sampling and gradients take no virtual
time; what they take in fact is measured by benchmarks/ray_overhead.py.

For each arrangement of K replicas of m children, over all seeds:

utilisation  Of the K m workers, from the start to the end of the last child; then from the start until there are no
             more architectures to begin, without the end, when workers run out of work one after the other.
speed        Children finished per mean duration of one: what more workers gain.
staleness    Updates between the weights that sampled a batch and those that its gradient met: mean, largest.
updates      At the shards, per mean duration of a child; and how many a second one shard can take, by its own clock.
test at N    Test accuracy of the best by validation among the first N finished, mean and standard deviation.
reward       Mean of the last 1,600 samples.

The defaults take about half an hour on one core (a search of 12,800 samples 30 to 45 s); ``--seeds 5`` a third of that.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

import safetensors.torch
import torch

from netwright.benchmarks import nasbench201
from netwright.benchmarks.tabular import TabularEvaluator
from netwright.config import AccuracyReward, ClusterSettings, LearnerSettings
from netwright.controller.weights import Gradient
from netwright.runtime.driver import Driver, LocalDesk
from netwright.runtime.parameter_server import LocalShards, ParameterServer, divide, make_shard, split_state
from netwright.runtime.replica import Replica
from netwright.runtime.worker import be_killed_with_parent
from netwright.search.executor import Job, evaluate
from netwright.search.loop import search
from netwright.search.observers import Observers
from netwright.search.reward import reward_of
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture
from netwright.strategies.reinforce import Reinforce
from netwright.trial import Evaluation, Outcome, Proposal, Trial, Update, no_report

MARKS = (400, 800, 1600, 3200, 12_800)
"""Numbers of samples after which the best is looked at."""

ARRANGEMENTS = {
    "1 x 1": ClusterSettings(replicas=1, children=1),
    "1 x 8, as on one machine": ClusterSettings(replicas=1, children=8),
    "10 x 8": ClusterSettings(shards=20, replicas=10, children=8),
    "10 x 8, one ahead": ClusterSettings(shards=20, replicas=10, children=8, ahead=1),
    "100 x 8": ClusterSettings(shards=20, replicas=100, children=8),
    "100 x 8, one ahead": ClusterSettings(shards=20, replicas=100, children=8, ahead=1),
    "400 x 1, ten gradients": ClusterSettings(shards=20, replicas=400, children=1, gradients_per_update=10),
}
QUALITY = ("1 x 8, as on one machine", "100 x 8, one ahead")
"""The arrangements of which all seeds are run; of the others only the first."""


class VirtualClock:
    """Threads of which one runs at a time: whoever sleeps, wakes when nobody wakes earlier. Deterministic.

    Attributes:
        now: Mean durations of a child since the start.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, threading.Semaphore]] = []
        self._all_done = threading.Semaphore(0)

    def sleep_until(self, moment: float) -> None:
        """Lets others run until then."""
        alarm = self._set(moment)
        self._wake_next()
        alarm.acquire()

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Runs tasks, each in a thread, until all are done; raises what one of them raised."""
        errors: list[BaseException] = []

        def work(task: Callable[[], None], alarm: threading.Semaphore) -> None:
            alarm.acquire()
            try:
                task()
            except BaseException as error:
                errors.append(error)
            self._wake_next()

        for task in tasks:
            threading.Thread(target=work, args=(task, self._set(0.0)), daemon=True).start()
        self._wake_next()
        self._all_done.acquire()
        if errors:
            raise errors[0]

    def _set(self, moment: float) -> threading.Semaphore:
        alarm = threading.Semaphore(0)
        heapq.heappush(self._sleepers, (moment, next(self._order), alarm))
        return alarm

    def _wake_next(self) -> None:
        if self._sleepers:
            self.now, _, alarm = heapq.heappop(self._sleepers)
            alarm.release()
        else:
            self._all_done.release()


class VirtualChildren:
    """Executor whose workers take the time of a virtual clock.

    Args:
        evaluator: Answers at once.
        workers: How many.
        clock: Shared with all replicas.
        seed: Of the durations.
    """

    def __init__(self, evaluator: TabularEvaluator, workers: int, clock: VirtualClock, seed: int) -> None:
        self._evaluator = evaluator
        self._idle = workers
        self._clock = clock
        self._seed = seed
        self._running: list[tuple[float, int, Job]] = []
        self._waiting: list[Job] = []
        self.intervals: list[tuple[float, float]] = []

    @property
    def room(self) -> int:
        return max(self._idle - len(self._waiting), 0)

    @property
    def busy(self) -> int:
        return len(self._running) + len(self._waiting)

    def submit(self, job: Job) -> None:
        self._waiting.append(job)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._idle:
            job = self._waiting.pop(0)
            duration = Random(derive_seed(self._seed, "duration", job.id)).uniform(0.5, 1.5)
            start = self._clock.now
            heapq.heappush(self._running, (start + duration, job.id, job))
            self.intervals.append((start, start + duration))
            self._idle -= 1

    def wait(self) -> list[Outcome]:
        if not self._running:
            return []
        moment, _, job = heapq.heappop(self._running)
        self._clock.sleep_until(moment)
        self._idle += 1
        self._hand_out()
        return [evaluate(self._evaluator, job, no_report)]

    def close(self) -> None:
        self._running.clear()


@dataclass
class Record:
    """The run folder of a simulation."""

    clock: VirtualClock
    begun: int = 0
    last_begun: float = 0.0
    finished: list[Outcome] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    staleness: dict[int, float] = field(default_factory=dict)
    updates: int = 0

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        self.begun += len(proposals)
        self.last_begun = self.clock.now

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        self.finished.append(outcome)
        self.rewards.append(trial.reward or 0.0)
        self.updates += update is not None

    def annotate(self, ids: Sequence[int], notes: Mapping[str, float]) -> None:
        self.staleness[ids[0]] = notes["staleness"]


@dataclass(frozen=True)
class Result:
    """What came of one simulation; times in mean durations of a child, but for ``seconds``."""

    seconds: float
    span: float
    utilisation: float
    utilisation_before_the_end: float
    updates: int
    mean_staleness: float
    largest_staleness: float
    test: tuple[float, ...]
    reward: float


def simulate(path: Path, cluster: ClusterSettings, samples: int, seed: int) -> Result:
    """One search, to its end."""
    torch.set_num_threads(1)
    started = time.monotonic()
    evaluator, space, settings = nasbench201.load(path), nasbench201.SPACE, LearnerSettings()
    clock = VirtualClock()
    record = Record(clock)
    strategy = Reinforce(space, settings, batch=cluster.children, seed=seed)
    parts = divide(strategy.learner.weights.tensors, cluster.shards)
    snapshots = split_state(strategy.state(), parts)
    driver = Driver(
        record,
        Observers(),
        trials=samples,
        batch=cluster.children,
        shards=snapshots,
        deadline=math.inf,
        seed=seed,
    )
    shards = LocalShards([make_shard(number, one, settings, cluster) for number, one in enumerate(snapshots)])
    executors = [VirtualChildren(evaluator, cluster.children, clock, seed) for _ in range(cluster.replicas)]

    def work(number: int) -> None:
        desk = LocalDesk(driver, number)
        replica = Replica(
            space,
            settings,
            ParameterServer(shards, parts),
            desk,
            batch=cluster.children,
            ahead=cluster.ahead,
            seed=seed,
        )
        search(
            space,
            replica,
            executors[number],
            partial(reward_of, settings=AccuracyReward()),
            desk,
            desk,
            unfinished=(),
            remaining=samples,
            seed=seed,
            max_failures=samples,
        )

    clock.run([partial(work, number) for number in range(cluster.replicas)])
    assert driver.done
    assert sorted(outcome.id for outcome in record.finished) == list(range(samples))
    evaluations = [outcome.result for outcome in record.finished if isinstance(outcome.result, Evaluation)]
    batches = samples // cluster.children
    intervals = [interval for executor in executors for interval in executor.intervals]
    workers = cluster.replicas * cluster.children
    return Result(
        seconds=time.monotonic() - started,
        span=clock.now,
        utilisation=utilisation(intervals, workers, clock.now),
        utilisation_before_the_end=utilisation(intervals, workers, record.last_begun),
        updates=record.updates,
        mean_staleness=sum(record.staleness.values()) / batches,
        largest_staleness=max(record.staleness.values(), default=0),
        test=tuple(best_test(evaluations[:mark]) for mark in MARKS if mark <= samples),
        reward=statistics.fmean(record.rewards[-1600:]),
    )


def utilisation(intervals: Sequence[tuple[float, float]], workers: int, until: float) -> float:
    """The part of the workers' time, from the start on, in which a child was trained; none where that is no time."""
    if not until:
        return math.nan
    return sum(max(min(end, until) - start, 0.0) for start, end in intervals) / (workers * until)


def best_test(evaluations: Sequence[Evaluation]) -> float:
    """Test accuracy, in [0, 1], of the one with the best validation accuracy."""
    return max(evaluations, key=lambda evaluation: evaluation.valid).metrics["test"]


def shard_capacity() -> float:
    """Gradients that a server of one shard takes in a second, each with its checkpoint, and pulls for them."""
    learner = Reinforce(nasbench201.SPACE).learner
    parts = divide(learner.weights.tensors, 1)
    (snapshot,) = split_state(safetensors.torch.save(learner.state()), parts)
    server = ParameterServer(LocalShards([make_shard(0, snapshot, LearnerSettings(), ClusterSettings())]), parts)
    values = {name: torch.full_like(weight, 1e-3).detach() for name, weight in learner.weights.tensors.items()}
    gradient = Gradient(values=values, rewards=(0.5,) * 8)
    started = time.process_time()
    for number in range(1000):
        _, version = server.pull()
        server.push(gradient, version, number)
    return 1000 / (time.process_time() - started)


def main() -> None:
    """Simulates every arrangement and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samples", type=int, default=MARKS[-1])
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    (path,) = (Path(os.environ["NETWRIGHT_DATA"]) / "nasbench201").glob("*.csv")
    started = time.monotonic()
    marks = [mark for mark in MARKS if mark <= arguments.samples]
    print("| K x m | utilisation | before the end | speed | staleness | updates | seconds |", end="")
    print("".join(f" test at {mark:,} |" for mark in marks), "reward |")
    print("|" + "---|" * (8 + len(marks)))
    with ProcessPoolExecutor(arguments.processes, initializer=be_killed_with_parent) as pool:
        for name, cluster in ARRANGEMENTS.items():
            seeds = range(arguments.seeds if name in QUALITY else 1)
            work = [pool.submit(simulate, path, cluster, arguments.samples, seed) for seed in seeds]
            print(row(name, [one.result() for one in work], arguments.samples), flush=True)
    print(
        f"\n{shard_capacity():.0f} gradients a second of processor time, pulled, pushed and checkpointed, by one shard"
    )
    print(f"{time.monotonic() - started:.0f} s in all")


def row(name: str, results: Sequence[Result], samples: int) -> str:
    """A line of the table."""

    def mean(attribute: str) -> float:
        return statistics.fmean(getattr(result, attribute) for result in results)

    cells = [
        name,
        f"{mean('utilisation'):.1%}",
        f"{mean('utilisation_before_the_end'):.1%}",
        f"{statistics.fmean(samples / result.span for result in results):.1f}",
        f"{mean('mean_staleness'):.1f}, {max(result.largest_staleness for result in results):.0f}",
        f"{statistics.fmean(result.updates / result.span for result in results):.1f}",
        f"{sum(result.seconds for result in results):.0f}",
        *(spread([100 * accuracy for accuracy in column]) for column in zip(*(r.test for r in results), strict=True)),
        f"{spread([result.reward for result in results], digits=4)}",
    ]
    return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation of several, or the only one."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


if __name__ == "__main__":
    main()
