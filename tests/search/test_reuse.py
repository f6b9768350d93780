"""Reuse gives the same numbers whoever finishes first, and wherever a search is stopped and resumed."""

import math
from contextlib import closing
from dataclasses import replace

import pytest

from netwright.config import ExperimentConfig
from netwright.search.executor import Job, SerialExecutor
from netwright.search.loop import search
from netwright.search.reuse import ReusingExecutor
from netwright.session import known_evaluations
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.store.run_folder import RunFolder
from netwright.strategies.random_search import RandomSearch
from netwright.testing.searches import Backwards, StopAfter, Stopped
from netwright.trial import Evaluation, Failure, FailureKind

SPACE = ChoiceSpace("few", (Choice("x", (0, 1, 2, 3)),))
TRIALS = 24


class BySeed:
    """Another number for every child; every third one fails."""

    def evaluate(self, architecture, seed, report):
        if seed % 3 == 0:
            raise ValueError("a bad seed")
        return Evaluation(valid=seed % 1000 / 1000, metrics={"seed": seed % 2**31}, curve=(0.5,))


def go_on(folder, kind, stop_after=math.inf):
    """Runs the search of a folder on reused evaluations, until it has finished so many trials in this session."""
    strategy = RandomSearch(SPACE, seed=3)
    history = folder.history
    strategy.restore(history.told, history.next_id)
    executor = ReusingExecutor(kind(BySeed()), SPACE, known_evaluations(history, SPACE))
    search(
        SPACE, strategy, executor, lambda r: 0.0 if isinstance(r, Failure) else r.valid, folder, StopAfter(stop_after),
        unfinished=history.unfinished, remaining=TRIALS - history.next_id, seed=5, max_failures=99,
    )  # fmt: skip


def measured(folder):
    return {row.id: (row.tokens, row.valid, row.metrics) for row in folder.store.rows()}


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory):
    """What one worker measures that is never stopped."""
    folder = RunFolder.create(tmp_path_factory.mktemp("whole") / "run", ExperimentConfig(name="test"), {})
    with closing(folder.store):
        go_on(folder, SerialExecutor)
        return measured(folder)


@pytest.mark.parametrize("stop_after", [*range(1, TRIALS), math.inf])
def test_the_lowest_trial_counts_whoever_finishes_first_and_wherever_it_stops(tmp_path, in_turn, stop_after):
    """Tried: without holding jobs back, or with the last evaluation that finished, other numbers are handed out."""
    with closing((folder := RunFolder.create(tmp_path / "run", ExperimentConfig(name="test"), {})).store):
        try:
            go_on(folder, Backwards, stop_after)
        except Stopped:
            assert stop_after < math.inf
    with closing((folder := RunFolder.open(tmp_path / "run", read_only=False)).store):
        go_on(folder, Backwards)
        assert measured(folder) == in_turn
    seeds = [metrics["seed"] for _, valid, metrics in in_turn.values() if valid is not None]
    assert len(set(seeds)) == len(SPACE.plan()[0].options) < len(seeds), "nothing was reused"


def test_a_job_that_is_held_back_is_busy_and_is_run_when_the_first_has_failed():
    class FirstFails:
        calls = 0

        def evaluate(self, architecture, seed, report):
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("the first child fails")
            return Evaluation(valid=0.5)

    evaluator = FirstFails()
    executor = ReusingExecutor(Backwards(evaluator), SPACE)
    job = Job(id=0, architecture=SPACE.decode((1,)), seed=0)
    for number in range(3):
        executor.submit(replace(job, id=number))
    assert (executor.busy, executor.room) == (3, 3)
    (first,) = executor.wait()
    assert (first.id, first.result.kind, executor.busy) == (0, FailureKind.ERROR, 2)
    (second,) = executor.wait()
    (third,) = executor.wait()
    assert (second.id, third.id, third.result) == (1, 2, second.result)
    assert (evaluator.calls, executor.busy) == (2, 0)
