"""``evaluations``: a lucky training keeps no network in the queue of ``reinforce-replay``."""

import pytest

from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.strategies.replay import ReinforceReplay, ReplaySettings
from netwright.trial import State, Trial

SPACE = ChoiceSpace("numbers", tuple(Choice(f"decision {n}", tuple(range(4))) for n in range(5)))


def strategy_of(evaluations, **options):
    options = {"warmup": 100, "queue": 1, "mutants": 1.0, "evaluations": evaluations} | options
    return ReinforceReplay(SPACE, replay=ReplaySettings(**options), seed=0)


def tell(strategy, proposal, reward, state=State.COMPLETE):
    strategy.tell([Trial(id=proposal.id, tokens=proposal.tokens, state=state, reward=reward)])


def ask(strategy):
    (proposal,) = strategy.ask(1)
    return proposal


def test_the_best_is_trained_again_and_gives_way_when_it_was_lucky():
    """Tried: with the best of its rewards for the mean, the lucky one stays; with one training, it is not asked for."""
    strategy = strategy_of(2)
    fair = ask(strategy)
    tell(strategy, fair, 0.5)
    assert ask(strategy).tokens == fair.tokens  # in doubt
    assert ask(strategy).tokens != fair.tokens  # which is with a worker now, and is not sent to another one
    tell(strategy, fair, 0.5)
    lucky = ask(strategy)
    tell(strategy, lucky, 0.9)
    again = ask(strategy)
    assert again.tokens == lucky.tokens
    tell(strategy, again, 0.0)  # 0.45 in the mean
    changed = ask(strategy).tokens
    assert sum(ours != theirs for ours, theirs in zip(changed, fair.tokens, strict=True)) == 1
    assert sum(ours != theirs for ours, theirs in zip(changed, lucky.tokens, strict=True)) != 0


def test_a_network_that_fails_when_it_is_trained_again_is_not_asked_for_for_ever():
    """Tried: with failures left out, it keeps its place, and nothing else is ever proposed."""
    strategy = strategy_of(2)
    first = ask(strategy)
    tell(strategy, first, 0.5)
    tell(strategy, ask(strategy), 0.0, State.FAILED)
    assert all(ask(strategy).tokens != first.tokens for _ in range(5))
    assert strategy.told == 2


def test_a_network_whose_trainings_are_lost_is_not_asked_for_for_ever():
    """Tried: with the lost ones uncounted, the same network six times in a row, and nothing else any more."""
    strategy, told = strategy_of(3), []
    for reward in (0.5, None, None):
        (proposal,) = strategy.ask(1)
        state = State.FAILED if reward is None else State.COMPLETE
        told.append(Trial(id=proposal.id, tokens=proposal.tokens, state=state, reward=reward))
        strategy.tell(told[-1:])
    assert len({trial.tokens for trial in told}) == 1, "in doubt, three trainings are tried"
    resumed = strategy_of(3)
    resumed.restore(told, next_id=3)
    for _ in range(5):
        proposal = ask(strategy)
        assert proposal == ask(resumed)
        assert proposal.tokens != told[0].tokens


def test_with_one_evaluation_nothing_is_proposed_twice():
    strategy = strategy_of(1)
    seen = []
    for _ in range(30):
        proposal = ask(strategy)
        seen.append(proposal.tokens)
        tell(strategy, proposal, -sum(proposal.tokens) / 10)
    assert len(set(seen)) == 30


@pytest.mark.parametrize("stop", range(2, 12, 3))
def test_resumed_it_doubts_the_same_networks(stop):
    def reward(proposal):
        return -sum(proposal.tokens) / 10 + proposal.id % 3 / 10

    whole, told = strategy_of(3, queue=2), []
    for _ in range(12):
        proposal = ask(whole)
        told.append(Trial(id=proposal.id, tokens=proposal.tokens, state=State.COMPLETE, reward=reward(proposal)))
        whole.tell(told[-1:])
    assert len({trial.tokens for trial in told}) < 12
    resumed = strategy_of(3, queue=2)
    resumed.restore(told[:stop], next_id=stop)
    for expected in told[stop:]:
        proposal = ask(resumed)
        assert (proposal.id, proposal.tokens) == (expected.id, expected.tokens)
        tell(resumed, proposal, reward(proposal))
