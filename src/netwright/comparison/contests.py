"""Comparisons: strategies against each other on a table of trained networks, over many seeds."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache, partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from netwright.benchmarks.tables import load_table
from netwright.benchmarks.tabular import TabularEvaluator
from netwright.config import CONTROLLER_SETTINGS_USED, AccuracyReward, LearnerSettings
from netwright.errors import UsageError
from netwright.machine import cores
from netwright.search.executor import Job, SerialExecutor
from netwright.search.loop import search
from netwright.search.reward import reward_of
from netwright.search.strategy import Checkpointed, Finite, Strategy
from netwright.spaces.architecture import Architecture, explain
from netwright.strategies.archive import Archive
from netwright.strategies.by_name import make_strategy, take_over_controller
from netwright.trial import Concluded, Evaluation, Failure, Outcome, Proposal, Trial, Update

SUFFIX = ".safetensors"
"""Of a controller's file."""

# Shapes: K seeds, N evaluations.
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contest:
    """One strategy on one table, to be repeated over seeds.

    Attributes:
        table: A name that :func:`load_table` knows.
        path: The table's file; None as in :func:`load_table`.
        table_options: Of the table: which column is the reward, ...
        strategy: A name that :func:`make_strategy` knows.
        settings: Of the strategy.
        controller: Fields of :class:`LearnerSettings` that differ from the defaults, for strategies with a controller.
        evaluations: Budget of each seed. A network that is proposed again counts again, as in the paper.
        take_over: The controller to start from; of a folder that was a ``keep_in``, each seed from that of the same
            seed and strategy, or of the one other strategy that is there. None means afresh.
        keep_in: Folder for each seed's controller at the end; None keeps none.
    """

    table: str
    path: Path | None = None
    table_options: Mapping[str, object] = field(default_factory=dict)
    strategy: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    controller: Mapping[str, object] = field(default_factory=dict)
    evaluations: int
    take_over: Path | None = None
    keep_in: Path | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """How the search of one seed went, evaluation by evaluation.

    Attributes:
        valid: What the strategy saw: validation accuracies in [0, 1].
        test: The accuracies in [0, 1] that a result is judged by, unseen by the strategy.
        networks: A number for each network, equal where a network was proposed again.
        seconds: Wall time of the search, table in memory.
    """

    valid: tuple[float, ...]
    test: tuple[float, ...]
    networks: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One strategy's courses over all seeds, as arrays.

    Attributes:
        strategy: Its name.
        valid: [K, N] as seen.
        test: [K, N] unseen.
        networks: [K, N] numbers of networks.
        seconds: Mean wall time of a seed.
    """

    strategy: str
    valid: Values
    test: Values
    networks: NDArray[np.int64]
    seconds: float

    @property
    def best_valid(self) -> Values:
        """[K, N] best validation accuracy so far."""
        return np.maximum.accumulate(self.valid, axis=1)

    @property
    def best_test(self) -> Values:
        """[K, N] test accuracy of the network with the best validation accuracy so far."""
        risen = self.valid > np.pad(self.best_valid, ((0, 0), (1, 0)), constant_values=-inf)[:, :-1]
        at = np.maximum.accumulate(np.where(risen, np.arange(self.valid.shape[1]), 0), axis=1)
        return np.take_along_axis(self.test, at, axis=1)

    @property
    def repeats(self) -> float:
        """Mean number of evaluations spent on a network that the seed had evaluated before."""
        return float(np.mean([len(row) - len(set(row.tolist())) for row in self.networks]))

    def top(self, count: int) -> Values:
        """[K, N] mean validation accuracy of the ``count`` best networks so far, NaN before there are as many."""
        means = np.full(self.valid.shape, np.nan)
        for course, valid, networks in zip(means, self.valid, self.networks, strict=True):
            met: set[int] = set()
            best: list[float] = []
            for step, (value, network) in enumerate(zip(valid.tolist(), networks.tolist(), strict=True)):
                if network not in met:
                    met.add(network)
                    best = sorted([*best, value], reverse=True)[:count]
                if len(best) == count:
                    course[step] = sum(best) / count
        return means


class _Notebook:
    """Journal and observer of a search that leaves nothing behind but its course."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.evaluations: list[Evaluation] = []
        self.networks: list[int] = []
        self._number: dict[Hashable, int] = {}

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        for proposal, _ in proposals:
            network = self.archive.network(proposal.tokens)
            self.networks.append(self._number.setdefault(network, len(self._number)))

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        if isinstance(outcome.result, Failure):
            raise AssertionError(outcome.result.message)
        self.evaluations.append(outcome.result)

    def pass_over(self, concluded: Sequence[Concluded]) -> None:
        """Never: a table has no budget."""

    def started(self, job: Job) -> None:
        """Nothing to show."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """Nothing to show."""

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """Nothing to show."""


def run_course(strategy: Strategy, table: TabularEvaluator, evaluations: int, seed: int) -> Course:
    """Lets ``strategy`` search ``table``, by the same loop that trains real children.

    Args:
        strategy: Fresh.
        table: What answers.
        evaluations: Budget.
        seed: Of tables that draw among several trainings of a network.
    """
    notebook = _Notebook(Archive(table.space))
    started = time.perf_counter()
    search(
        table.space,
        strategy,
        SerialExecutor(table),
        partial(reward_of, settings=AccuracyReward()),
        notebook,
        notebook,
        unfinished=(),
        remaining=evaluations,
        seed=seed,
        max_failures=1,
    )
    return Course(
        valid=tuple(e.valid for e in notebook.evaluations),
        test=tuple(e.metrics["test"] for e in notebook.evaluations),
        networks=tuple(notebook.networks),
        seconds=time.perf_counter() - started,
    )


def compare(
    contests: Sequence[Contest],
    seeds: int,
    *,
    processes: int | None = None,
    on_course: Callable[[], None] = lambda: None,
) -> list[Standing]:
    """Repeats every contest for the seeds 0 to ``seeds - 1``.

    Args:
        contests: Who meets what.
        seeds: Searches per contest.
        processes: How many searches at a time, each on one thread; None means one per core of this process.
            One runs them here.
        on_course: Called after each search, in this process.

    Returns:
        A standing per contest, in their order; it does not depend on ``processes``.

    Raises:
        UsageError: A table, strategy, setting or controller that does not exist, a setting of the controller that none
            of the strategies uses, or a strategy that has less to propose than it may evaluate; found before any
            process starts.
    """
    for contest in contests:
        for seed in range(seeds):
            _controller(contest, seed)
        _, strategy = _prepare(contest, seed=0)
        if isinstance(strategy, Finite):
            _refuse_short(contest, strategy.supply)
        _refuse_unused(contest.controller, [other.strategy for other in contests])
    if processes is None:
        processes = cores()
    courses: dict[tuple[int, int], Course] = {}
    for place, course in _run_all(contests, seeds, processes):
        courses[place] = course
        on_course()
    return [
        _stand(contest.strategy, [courses[number, seed] for seed in range(seeds)])
        for number, contest in enumerate(contests)
    ]


def _refuse_short(contest: Contest, supply: int) -> None:
    """Courses of unequal length cannot be held against each other."""
    if supply < contest.evaluations:
        raise UsageError(
            f"{contest.strategy}: has {supply} networks to propose, expected {contest.evaluations}, as many as "
            f"each seed of the others evaluates; use --evaluations {supply}, let it propose more, or leave it out"
        )


def _refuse_unused(settings: Iterable[str], strategies: Sequence[str]) -> None:
    used = {setting for strategy in strategies for setting in CONTROLLER_SETTINGS_USED.get(strategy, ())}
    for setting in settings:
        if setting not in used:
            raise UsageError(
                f"controller.{setting}: none of the strategies {', '.join(dict.fromkeys(strategies))} uses it; "
                f"they use {', '.join(sorted(used)) or 'nothing of controller'}"
            )


def _run_all(contests: Sequence[Contest], seeds: int, processes: int) -> Iterator[tuple[tuple[int, int], Course]]:
    """(number of the contest, seed) and course of every search, in any order."""
    places = [(number, seed) for seed in range(seeds) for number in range(len(contests))]
    if processes == 1:
        for number, seed in places:
            yield (number, seed), run_contest(contests[number], seed)
        return
    # Spawned, not forked: this process may have started threads of torch already.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(places)), mp_context=context, initializer=_begin_worker)
    try:
        place_of: dict[Future[Course], tuple[int, int]] = {
            pool.submit(run_contest, contests[number], seed): (number, seed) for number, seed in places
        }
        for future in as_completed(place_of):
            yield place_of[future], future.result()
    finally:
        # Interrupted, it waits for the searches under way only, some seconds each.
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    import torch

    torch.set_num_threads(1)
    # Ctrl-C reaches the whole group of processes; it is for the parent to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_contest(contest: Contest, seed: int) -> Course:
    """One seed of a contest."""
    table, strategy = _prepare(contest, seed)
    course = run_course(strategy, table, contest.evaluations, seed)
    if contest.keep_in is not None and isinstance(strategy, Checkpointed):
        (contest.keep_in / _kept(_file_stem(contest.strategy), seed)).write_bytes(strategy.state())
    return course


def _prepare(contest: Contest, seed: int) -> tuple[TabularEvaluator, Strategy]:
    """The table and a fresh strategy, which takes over a controller where the contest says so."""
    table = _load(contest.table, contest.path, tuple(sorted(contest.table_options.items())))
    strategy = make_strategy(
        contest.strategy, table.space, seed=seed, learner=_learner(contest.controller), **contest.settings
    )
    if (controller := _controller(contest, seed)) is not None:
        take_over_controller(strategy, controller)
    return table, strategy


def _file_stem(strategy: str) -> str:
    """A strategy's name in names of files."""
    return strategy.replace(":", "-")


def _kept(stem: str, seed: int) -> str:
    """The file of a seed's controller."""
    return f"{stem}-{seed:04}{SUFFIX}"


def _controller(contest: Contest, seed: int) -> Path | None:
    """The checkpoint that a seed starts from; None where it starts afresh.

    Raises:
        UsageError: The folder has none for it.
    """
    source, stem = contest.take_over, _file_stem(contest.strategy)
    if source is None or source.is_file():
        return source
    kept = sorted(path.name for path in source.glob(f"*-[0-9]*{SUFFIX}"))
    strategies = {name.removesuffix(SUFFIX).rpartition("-")[0] for name in kept}
    if len(strategies) == 1:
        (stem,) = strategies
    if (name := _kept(stem, seed)) not in kept:
        there = f"{len(kept)} others, {kept[0]} to {kept[-1]}" if kept else "none"
        raise UsageError(
            f"{source}: expected {name}, the controller that seed {seed} of {contest.strategy} starts from; found "
            f"{there}. Name a folder that bench --keep-controllers wrote (OUT/controllers) with as many --seeds, or a "
            f"single {SUFFIX} file for all seeds"
        )
    return source / name


def _learner(fields: Mapping[str, object]) -> LearnerSettings:
    try:
        return LearnerSettings.model_validate(fields)
    except ValidationError as error:
        raise UsageError(f"controller.{explain(error)}") from None


@cache
def _load(name: str, path: Path | None, options: tuple[tuple[str, object], ...]) -> TabularEvaluator:
    return load_table(name, path, **dict(options))


def _stand(strategy: str, courses: Sequence[Course]) -> Standing:
    return Standing(
        strategy=strategy,
        valid=np.array([course.valid for course in courses]),
        test=np.array([course.test for course in courses]),
        networks=np.array([course.networks for course in courses]),
        seconds=float(np.mean([course.seconds for course in courses])),
    )


def to_json(table: str, evaluations: int, standings: Sequence[Standing]) -> dict[str, Any]:
    """The result of a comparison as plain data, accuracies in per cent.

    ``valid`` and ``test`` have the ``mean`` over seeds, its ``standard_error``, the standard deviation ``std`` of the
    sample, and ``values``: a number for every seed from 0 on, by which strategies can be compared in pairs. A single
    seed has neither an error nor a deviation; both are None.
    """
    return {
        "table": table,
        "evaluations": evaluations,
        "results": [
            {
                "strategy": standing.strategy,
                "seeds": len(standing.valid),
                "valid": _moments(standing.best_valid[:, -1]),
                "test": _moments(standing.best_test[:, -1]),
                "curve": {
                    "evaluations": list(range(1, evaluations + 1)),
                    "test_mean": _per_cent(standing.best_test.mean(axis=0)),
                    "test_std": _per_cent(_deviation(standing.best_test)),
                },
                "repeats": standing.repeats,
                "seconds": round(standing.seconds, 4),
            }
            for standing in standings
        ],
    }


def _moments(values: Values) -> dict[str, Any]:
    """Of one number for each seed, [K]."""
    deviation = _deviation(values)
    return {
        "mean": _per_cent(values.mean(axis=0)),
        "std": _per_cent(deviation),
        "standard_error": _per_cent(None if deviation is None else deviation / np.sqrt(len(values))),
        "values": _per_cent(values),
    }


def _deviation(values: Values) -> Values | None:
    """Of the sample of seeds, the first axis; None of a single seed."""
    return np.asarray(values.std(axis=0, ddof=1)) if len(values) > 1 else None


def _per_cent(shares: Values | None) -> Any:
    """As plain numbers; None stays None."""
    return None if shares is None else np.round(100 * shares, 4).tolist()
