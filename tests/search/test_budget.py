"""Networks over the budget cost nothing, count as none of the trials, and end no search that can find others."""

import math

import pytest

from netwright.errors import AllChildrenFailError
from netwright.search.budget import BudgetExecutor
from netwright.search.executor import SerialExecutor
from netwright.search.loop import MOST_OVER_BUDGET, search
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.strategies.reinforce import Reinforce
from netwright.testing.searches import Notes
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Proposal, State

SPACE = ChoiceSpace("prices", (Choice("price", tuple(range(10))),))


class Given:
    """Proposes prices in turn."""

    def __init__(self, prices):
        self.prices = list(prices)
        self.told = []

    def ask(self, count):
        here, self.prices = self.prices[:count], self.prices[count:]
        first = len(self.told)
        return [Proposal(id=first + number, tokens=(price,)) for number, price in enumerate(here)]

    def tell(self, trials):
        self.told += trials


class Counting:
    def __init__(self):
        self.seen = []

    def evaluate(self, architecture, seed, report):
        self.seen.append(architecture["price"])
        return Evaluation(valid=0.5)


def excess(architecture):
    return f"price: {architecture['price']}" if architecture["price"] > 3 else None


def go(strategy, evaluator, trials):
    notes = Notes()
    search(
        SPACE, strategy, BudgetExecutor(SerialExecutor(evaluator), excess),
        lambda r: 0.0 if isinstance(r, Failure) else r.valid, notes, notes,
        unfinished=(), remaining=trials, deadline=math.inf, seed=1, max_failures=3,
    )  # fmt: skip
    return notes


def test_200_in_a_row_end_nothing_and_no_worker_sees_them():
    """Tried: counting them as trials, the search ends before the first that fits."""
    strategy, evaluator = Given([9] * 200 + [1, 9, 2]), Counting()
    notes = go(strategy, evaluator, trials=2)
    assert evaluator.seen == [1, 2]
    failures = [outcome.result for outcome in notes.outcomes if isinstance(outcome.result, Failure)]
    assert [failure.kind for failure in failures] == [FailureKind.OVER_BUDGET] * 201
    assert failures[0].message == "price: 9"
    assert [trial.reward for trial in strategy.told[:200]] == [0.0] * 200


def test_where_nothing_fits_the_search_ends_and_says_so():
    with pytest.raises(AllChildrenFailError, match=r"2,000 networks in a row cost more than allowed: price: 9\. Raise"):
        go(Given([9] * (MOST_OVER_BUDGET + 1)), Counting(), trials=2)


def test_the_controller_learns_the_cap():
    """Six of ten prices are over it. Tried: with no reward for them, the share stays."""
    strategy = Reinforce(SPACE, seed=2, batch=8)
    over = [isinstance(outcome.result, Failure) for outcome in go(strategy, Counting(), trials=800).outcomes]
    assert sum(over[:200]) > 80
    assert sum(over[-200:]) < 20


def test_a_resumed_search_does_not_count_them_either(tmp_path):
    """Tried: with all rows counted, the resumed search asks for fewer trials than were wanted."""
    from netwright.store.history import History
    from netwright.store.rows import TrialRow

    def row(number, **columns):
        return TrialRow(id=number, tokens=(), architecture="", digest="", notes={}, started_at="", **columns)

    rows = (
        row(0, state=State.FAILED, failure="over_budget"),
        row(1, state=State.COMPLETE),
        row(2, state=State.FAILED, failure="error"),
        row(3, state=State.RUNNING),
    )
    assert History(rows=rows).counted == 3


def test_it_keeps_the_contract_of_executors():
    inner = SerialExecutor(Counting())
    executor = BudgetExecutor(inner, excess)
    assert (executor.room, executor.busy, executor.wait()) == (1, 0, [])
    from netwright.search.executor import Job

    executor.submit(Job(id=0, architecture=SPACE.decode((9,)), seed=0))
    executor.submit(Job(id=1, architecture=SPACE.decode((1,)), seed=0))
    assert (executor.room, executor.busy) == (0, 2)
    (over,) = executor.wait()
    (fine,) = executor.wait()
    assert isinstance(over, Outcome)
    assert (over.id, over.result.kind, over.seconds) == (0, FailureKind.OVER_BUDGET, 0.0)
    assert (fine.id, fine.result.valid, executor.busy) == (1, 0.5, 0)
    executor.submit(Job(id=2, architecture=SPACE.decode((9,)), seed=0))
    executor.close()
    assert executor.busy == 0
