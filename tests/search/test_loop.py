"""The loop, with everything around it written down: what is asked, run, recorded and told, in which order."""

import math
import time

import pytest

from netwright.errors import AllChildrenFailError, DivergedError, OverBudgetError
from netwright.search.executor import SerialExecutor
from netwright.search.loop import LARGEST_REWARD, conclude, rate, search
from netwright.search.strategy import checkpoint_of
from netwright.seeding import derive_seed
from netwright.spaces.conv import ConvSpace
from netwright.strategies.random_search import RandomSearch
from netwright.strategies.reinforce import Reinforce
from netwright.testing.searches import Notes
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Proposal, State

SPACE = ConvSpace(depth=2)


def cube(result):
    """The paper's reward; a lost trial's is unknown."""
    if isinstance(result, Failure):
        return None if result.kind is FailureKind.LOST else 0.0
    return result.valid**3


class Scripted:
    """An evaluator that answers by the list; an exception is raised. Remembers the seeds."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.seeds = []

    def evaluate(self, architecture, seed, report):
        self.seeds.append(seed)
        answer = self.answers.pop(0) if self.answers else 0.5
        if isinstance(answer, Exception):
            raise answer
        return Evaluation(valid=answer)


def go(evaluator, *, strategy=None, score=None, unfinished=(), remaining=4, deadline=math.inf, max_failures=3):
    log = Notes()
    try:
        search(
            SPACE,
            strategy or RandomSearch(SPACE, seed=1),
            SerialExecutor(evaluator),
            score or cube,
            log,
            log,
            checkpoint=checkpoint_of(strategy or RandomSearch(SPACE, seed=1)),
            unfinished=unfinished,
            remaining=remaining,
            deadline=lambda: deadline,
            seed=11,
            max_failures=max_failures,
        )
    except AllChildrenFailError as error:
        log.error = error
    return log


def test_each_trial_is_noted_before_it_runs_and_written_before_it_is_shown():
    log = go(Scripted(), remaining=2)
    assert log.events == [
        ("start", []),
        *[("start", [0]), ("started", 0), ("finish", 0, False, False), ("finished", 0)],
        *[("start", [1]), ("started", 1), ("finish", 1, False, False), ("finished", 1)],
    ]


def test_the_childs_seed_comes_from_the_runs_and_the_trials_number():
    evaluator = Scripted()
    go(evaluator, remaining=3)
    assert evaluator.seeds == [derive_seed(11, "child", number) for number in range(3)]
    assert len(set(evaluator.seeds)) == 3


def test_unfinished_trials_of_an_earlier_run_go_first_and_are_not_counted():
    left = Proposal(id=7, tokens=tuple([0] * len(SPACE.plan())))
    evaluator = Scripted()
    log = go(evaluator, unfinished=[left], remaining=2)
    assert [trial.id for trial in log.trials] == [7, 0, 1]
    assert evaluator.seeds[0] == derive_seed(11, "child", 7)


@pytest.mark.parametrize("remaining", [0, -3])
@pytest.mark.parametrize("strategy", [RandomSearch(SPACE), Reinforce(SPACE, batch=4)], ids=["random", "reinforce"])
def test_nothing_is_asked_for_when_nothing_remains(strategy, remaining):
    """Negative: ``--resume --trials 5`` of a run that has eight."""
    assert go(Scripted(), strategy=strategy, remaining=remaining).trials == []


def test_after_the_deadline_nothing_new_is_asked_for_but_what_runs_ends():
    left = Proposal(id=0, tokens=tuple([0] * len(SPACE.plan())))
    log = go(Scripted(), unfinished=[left], deadline=time.monotonic() - 1)
    assert [trial.id for trial in log.trials] == [0]


def test_an_update_is_written_with_the_trial_that_brought_it_and_the_controllers_state():
    log = go(Scripted(), strategy=Reinforce(SPACE, batch=2), remaining=5)
    assert [event for event in log.events if event[0] == "finish"] == [
        ("finish", 0, False, False),
        ("finish", 1, True, True),
        ("finish", 2, False, False),
        ("finish", 3, True, True),
        ("finish", 4, False, False),
    ]


def test_a_failed_child_is_a_trial_and_the_search_goes_on():
    log = go(Scripted(0.5, ValueError("no"), float("nan"), 0.5), strategy=Reinforce(SPACE, batch=4))
    assert [trial.state for trial in log.trials] == [State.COMPLETE, State.FAILED, State.FAILED, State.COMPLETE]
    assert [trial.reward for trial in log.trials] == [0.125, 0.0, 0.0, 0.125]
    assert [trial.valid for trial in log.trials] == [0.5, None, None, 0.5]


def test_failures_in_a_row_end_the_search_with_the_reason():
    """Tried: without the count, all trials are run."""
    broken = [ValueError(f"broken {number}") for number in range(9)]
    log = go(Scripted(*broken[:2], 0.5, *broken[2:]), remaining=9, max_failures=3)
    assert len(log.trials) == 6  # two, a good one that breaks the row, and three
    assert log.error.exit_code == 5
    assert "3 trials in a row failed" in str(log.error)
    assert "ValueError: broken 4" in str(log.error)


@pytest.mark.parametrize("error", [OverBudgetError("too large"), DivergedError("nan"), MemoryError(), float("nan")])
def test_failures_that_teach_never_end_a_search(error):
    """The controller is there to learn from them. Tried: counting every failure, it ends after three."""
    free = 9 if isinstance(error, OverBudgetError) else 0  # what costs too much takes no trial from the others
    assert len(go(Scripted(*[error] * 9), remaining=9, max_failures=3).trials) == 9 + free


def test_failures_that_teach_do_not_interrupt_a_row_of_errors_either():
    """They say nothing of whether anything can be trained. Tried: counting from 0 after them, it never ends."""
    broken = [answer for number in range(9) for answer in (ValueError(f"broken {number}"), OverBudgetError("large"))]
    log = go(Scripted(*broken), remaining=18, max_failures=3)
    assert len(log.trials) == 5
    assert "ValueError: broken 2" in str(log.error)


HUGE = [1e308, -1e308, 1e103, 1e5, 10**300]


@pytest.mark.parametrize("valid", HUGE)
def test_no_reward_can_poison_the_controller(valid):
    """The cube of the first is beyond floating point, that of the others beyond single precision or its squares."""
    strategy = Reinforce(SPACE, batch=2)
    log = go(Scripted(0.5, valid, 0.5, 0.5), strategy=strategy)
    assert log.trials[1].state is State.FAILED
    assert log.trials[1].reward == 0.0
    assert log.outcomes[1].result.kind is FailureKind.NONFINITE
    assert all(p.isfinite().all() for p in strategy.learner.policy.parameters())
    assert strategy.learner.baseline.value <= 1


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), -float("inf"), LARGEST_REWARD * 1.01])
def test_a_reward_function_of_ones_own_cannot_either(reward):
    outcome = Outcome(id=0, result=Evaluation(valid=0.5), seconds=1.0)
    rated, floor = rate(outcome, lambda result: -1.0 if isinstance(result, Failure) else reward)
    assert rated.result.kind is FailureKind.NONFINITE
    assert floor == -1.0


def test_a_sound_outcome_is_left_alone():
    outcome = Outcome(id=0, result=Evaluation(valid=0.5), seconds=1.0)
    assert rate(outcome, lambda result: LARGEST_REWARD) == (outcome, LARGEST_REWARD)
    assert rate(outcome, lambda result: None) == (outcome, None)


def test_a_lost_trial_has_failed_without_a_reward():
    outcome = Outcome(id=3, result=Failure(kind=FailureKind.LOST, message="killed"), seconds=0.0)
    proposal = Proposal(id=3, tokens=(1, 2), notes={"log_prob": -1.0})
    trial = conclude(proposal, outcome, cube(outcome.result))
    assert (trial.state, trial.reward, trial.valid) == (State.FAILED, None, None)
    assert (trial.id, trial.tokens, trial.notes) == (3, (1, 2), {"log_prob": -1.0})
