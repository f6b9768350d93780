"""A loop of one's own: ``strategy.tell(proposal, reward)``."""

import math

import pytest

from netwright.spaces.conv import ConvSpace
from netwright.strategies.by_name import make_strategy
from netwright.trial import State, Trial

SPACE = ConvSpace(depth=2, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))


@pytest.mark.parametrize("name", ["reinforce", "reinforce-replay", "random", "evolution", "local-search", "grid"])
def test_a_proposal_with_its_reward_teaches_what_a_trial_does(name):
    """Tried: with the reward left out of the trial that is made of it, the proposals differ."""
    ours, theirs = make_strategy(name, SPACE), make_strategy(name, SPACE)
    for _ in range(24):
        (mine,), (same,) = ours.ask(1), theirs.ask(1)
        assert mine.tokens == same.tokens
        reward = None if same.id == 5 else sum(same.tokens) / 10
        state = State.FAILED if reward is None else State.COMPLETE
        told = theirs.tell([Trial(id=same.id, tokens=same.tokens, state=state, reward=reward)])
        assert ours.tell(mine, reward) == told


@pytest.mark.parametrize("name", ["reinforce", "random"])
def test_nonsense_is_refused(name):
    strategy = make_strategy(name, SPACE)
    (proposal,) = strategy.ask(1)
    with pytest.raises(ValueError, match="expected a finite reward, got nan"):
        strategy.tell(proposal, math.nan)
    trial = Trial(id=0, tokens=proposal.tokens, state=State.COMPLETE, reward=0.5)
    with pytest.raises(ValueError, match="got both"):
        strategy.tell([trial], 0.5)
