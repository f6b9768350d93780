"""Networks over the budget cost nothing, count as none of the trials, and end no search that can find others."""

import itertools
from contextlib import closing

import pytest

from helpers.searching import died
from netwright.config import ExperimentConfig, SearchSettings
from netwright.errors import AllChildrenFailError
from netwright.search.executor import SerialExecutor
from netwright.search.loop import MOST_OVER_BUDGET, nothing_fits, search
from netwright.search.observers import Observers
from netwright.search.strategy import checkpoint_of
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import Choice
from netwright.spaces.recurrent_cell import RecurrentCellSpace
from netwright.store.crash_points import EXIT_CODE
from netwright.store.history import History
from netwright.store.integrity import problems
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.strategies.random_search import RandomSearch
from netwright.strategies.reinforce import Reinforce
from netwright.testing.searches import Backwards, Notes
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Proposal, State

SPACE = ChoiceSpace("prices", (Choice("price", tuple(range(10))),))
CONFIG = ExperimentConfig(name="prices", search=SearchSettings(trials=12, seed=1))


class Given:
    """Proposes prices in turn."""

    def __init__(self, prices):
        self.prices = list(prices)
        self.told = []
        self.ids = itertools.count()

    def ask(self, count):
        here, self.prices = self.prices[:count], self.prices[count:]
        return [Proposal(id=next(self.ids), tokens=(price,)) for price in here]

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


def go(strategy, evaluator, trials, journal=None, observer=None, executor=None, **options):
    notes = Notes()
    search(
        SPACE, strategy, executor or SerialExecutor(evaluator), lambda r: 0.0 if isinstance(r, Failure) else r.valid,
        journal or notes, observer or notes, checkpoint=checkpoint_of(strategy), excess=excess,
        **{"unfinished": (), "remaining": trials, "seed": 1, "max_failures": 3} | options,
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
    # They are noted together, before the trial that comes after them.
    assert [event for event in notes.events if event[0] in ("pass over", "start")][1:] == [
        ("pass over", list(range(200))),
        ("start", [200]),
        ("pass over", [201]),
        ("start", [202]),
    ]


def test_what_is_over_the_budget_is_noted_in_the_order_of_numbers():
    """Tried: noted before all that fits, a search that is stopped in between has a trial 1 and no trial 0 on disk."""
    notes = Notes()
    go(Given([1, 9, 2, 9, 9, 3]), Counting(), 3, notes, executor=Backwards(Counting(), room=3))
    numbers = [event[1] for event in notes.events if event[0] in ("pass over", "start")]
    assert list(itertools.chain(*numbers)) == list(range(6))


def test_where_nothing_fits_the_search_ends_and_says_so():
    strategy = Given([9] * (MOST_OVER_BUDGET + 1))
    with pytest.raises(AllChildrenFailError, match=r"2,000 networks in a row cost more than allowed: price: 9\. Raise"):
        go(strategy, Counting(), trials=2)
    assert len(strategy.told) == MOST_OVER_BUDGET


def test_only_where_a_space_can_scale_its_networks_is_one_told_of_it():
    over = Outcome(id=0, result=Failure(kind=FailureKind.OVER_BUDGET, message="multiply_adds: 9"), seconds=0.0)
    assert nothing_fits(over, 3, ConvSpace(depth=2)).endswith("have networks scaled to it by space.fill=true")
    assert nothing_fits(over, 3, ConvSpace(depth=2, fill=True)).endswith("multiply_adds: 9. Raise the limit")
    assert nothing_fits(over, 3, RecurrentCellSpace()).endswith("multiply_adds: 9. Raise the limit")


def test_the_controller_learns_the_cap():
    """Six of ten prices are over it. Tried: with no reward for them, the share stays."""
    strategy = Reinforce(SPACE, seed=2, batch=8)
    over = [isinstance(outcome.result, Failure) for outcome in go(strategy, Counting(), trials=800).outcomes]
    assert sum(over[:200]) > 80
    assert sum(over[-200:]) < 20


def session(path, observer=None):
    """A session of a search by a controller that meets many prices over the budget, from wherever it stands."""
    folder = RunFolder.open(path, read_only=False) if path.exists() else RunFolder.create(path, CONFIG, {})
    with closing(folder.store):
        strategy = Reinforce(SPACE, seed=2, batch=4)
        if state := next(folder.checkpoints(), None):
            strategy.load_state(state)
        history = folder.history
        strategy.restore(history.told, history.next_id)
        go(strategy, Counting(), 12 - history.counted, folder, observer or Observers(), unfinished=history.unfinished)


def left(path):
    with closing(RunFolder.open(path).store) as store:
        rows = [(r.id, r.tokens, r.state, r.reward, r.failure, r.error, r.told) for r in store.rows()]
        return rows, [(update, sha256) for update, sha256 in store.updates()]


@pytest.fixture
def undisturbed(tmp_path):
    session(tmp_path / "undisturbed")
    return tmp_path / "undisturbed"


def test_a_run_folder_keeps_them_whole(undisturbed):
    rows, updates = left(undisturbed)
    over = [row for row in rows if row[4] == "over_budget"]
    assert len(over) > 4
    assert len(rows) == 12 + len(over)
    assert [row[6] for row in rows] == list(range(len(rows)))
    assert len(updates) == len(rows) // 4
    for number in range(len(rows)):
        assert (undisturbed / "trials" / str(number) / "architecture.json").is_file()
    assert list(problems(undisturbed)) == []


DEATHS = [*(f"passed.rows:{n}" for n in (1, 2, 3)), *(f"file.{step}" for step in ("written:40", "renamed:30"))]


@pytest.mark.parametrize("death", [*DEATHS, "file.renamed:31", "file.renamed:32"])
def test_a_process_that_dies_while_it_notes_them_loses_nothing(tmp_path, undisturbed, death):
    """Tried: with the folders before the rows, a death between them makes the folder look like one with lost trials."""
    run = tmp_path / "run"
    assert died(lambda: session(run), death) == EXIT_CODE
    session(run)
    assert left(run) == left(undisturbed)
    assert list(problems(run)) == []


def row(number, **columns):
    return TrialRow(id=number, tokens=(), architecture="", digest="", notes={}, started_at="", **columns)


def test_a_resumed_search_does_not_count_them_either():
    """Tried: with all rows counted, the resumed search asks for fewer trials than were wanted."""
    rows = (
        row(0, state=State.FAILED, failure="over_budget"),
        row(1, state=State.COMPLETE),
        row(2, state=State.FAILED, failure="error"),
        row(3, state=State.RUNNING),
    )
    assert History(rows=rows).counted == 3


def test_random_search_goes_on_behind_them():
    notes = go(RandomSearch(SPACE, seed=3), Counting(), trials=20)
    assert sum(isinstance(outcome.result, Evaluation) for outcome in notes.outcomes) == 20
    assert [trial.id for trial in sorted(notes.trials, key=lambda trial: trial.id)] == list(range(len(notes.trials)))
