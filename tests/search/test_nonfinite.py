"""A number that is not finite reaches neither the baseline, nor the database, nor "best", whatever children return."""

import json
import math
import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.searching import SPACE, create
from netwright.config import AccuracyReward, PerplexityReward
from netwright.controller.baseline import MovingAverage
from netwright.report.summary import run_summary
from netwright.search.executor import SerialExecutor
from netwright.search.loop import search
from netwright.search.observers import Observers
from netwright.search.reward import reward_of
from netwright.store.ranking import best_trial
from netwright.store.run_folder import RunFolder
from netwright.strategies.reinforce import Reinforce
from netwright.trial import Evaluation, State, Trial

ILL = [float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, 0.0, -0.0, 1e-200, 1e103, 2.0**64]
numbers = st.sampled_from(ILL) | st.floats() | st.floats(0, 1)
evaluations = st.builds(
    Evaluation,
    valid=numbers,
    metrics=st.dictionaries(st.sampled_from(["loss", "parameters"]), numbers, max_size=2),
    curve=st.lists(numbers, max_size=3).map(tuple),
)


class Scripted:
    def __init__(self, answers):
        self.answers = iter(answers)

    def evaluate(self, architecture, seed, report):
        return next(self.answers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(evaluations, min_size=8, max_size=8), st.sampled_from([AccuracyReward(), PerplexityReward()]))
def test_whatever_children_measure(tmp_path_factory, answers, reward):
    """The numbers are looked at in ``plain``, in ``rate`` and by :class:`Trial`; and again by those behind them.

    Tried: without the look in ``plain``, and without that in ``rate``, it fails.
    """
    path = tmp_path_factory.mktemp("run") / "run"
    strategy = Reinforce(SPACE, batch=4, seed=0)
    with closing((folder := create(path)).store):
        search(
            SPACE, strategy, SerialExecutor(Scripted(answers)), lambda result: reward_of(result, reward), folder,
            Observers(), unfinished=[], remaining=8, seed=0, max_failures=99,
        )  # fmt: skip
    assert all(weights.isfinite().all() for weights in strategy.learner.policy.parameters())
    assert math.isfinite(strategy.learner.baseline.value)
    with closing(sqlite3.connect(path / "trials.db")) as connection:
        for reward_, metrics, curve in connection.execute("SELECT reward, metrics, curve FROM trials"):
            assert math.isfinite(reward_)
            assert all(math.isfinite(value) for value in (*json.loads(metrics).values(), *json.loads(curve)))
    with closing((folder := RunFolder.open(path)).store) as store:
        best = best_trial(store.rows())
        assert best is None or (math.isfinite(best.reward) and math.isfinite(best.valid))
        json.dumps(run_summary(folder), allow_nan=False)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_the_doors_behind_the_loop_are_closed_too(number):
    """For those who drive a strategy or a learner of ours from a loop of their own."""
    with pytest.raises(ValueError, match="finite reward"):
        Trial(id=0, tokens=(), state=State.COMPLETE, reward=number)
    with pytest.raises(ValueError, match="finite valid"):
        Trial(id=0, tokens=(), state=State.COMPLETE, reward=0.5, valid=number)
    average = MovingAverage(value=0.5)
    with pytest.raises(ValueError, match="finite reward"):
        average.update([number])
    assert average.value == 0.5
