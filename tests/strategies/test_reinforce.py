"""REINFORCE as a strategy: batches, updates, and that it learns."""

import random

import pytest
import torch

from netwright.config import DepthSchedule, LearnerSettings
from netwright.spaces.conv import ConvSpace
from netwright.strategies.random_search import RandomSearch
from netwright.strategies.reinforce import Reinforce
from netwright.trial import State, Trial

SPACE = ConvSpace(depth=4, filter_heights=(1, 3, 5, 7), filter_widths=(1, 3, 5, 7), filters=(24, 36, 48, 64))


def worth(tokens):
    """The toy reward: what part of a network is as wanted, 3x5 filters, 48 of them, and every skip connection.

    Every right choice and every right skip counts the same; the best network, a dense one as in the paper's
    perturbation of Figure 7, has 1.
    """
    right = total = 0
    for index, layer in enumerate(SPACE.decode(tokens).layers):
        right += (layer.filter_height == 3) + (layer.filter_width == 5) + (layer.filters == 48)
        right += len(layer.inputs)
        total += 3 + index
    return right / total


def told(proposal, reward):
    state = State.FAILED if reward is None else State.COMPLETE
    return Trial(id=proposal.id, tokens=proposal.tokens, state=state, reward=reward)


def weights(strategy):
    return torch.cat([p.detach().flatten() for p in strategy.learner.policy.parameters()])


def test_the_toy_rewards_best_is_what_it_says():
    best = SPACE.encode(SPACE.decode([1, 2, 0, 2, 1, 2, 1, 2, 1, 2, 3, 2, 1, 2, 7, 2]))
    assert worth(best) == 1


def learn(strategy, samples=2000):
    rewards = []
    while len(rewards) < samples:
        proposals = strategy.ask(8)
        trials = [told(proposal, worth(proposal.tokens)) for proposal in proposals]
        rewards += [trial.reward for trial in trials]
        strategy.tell(trials)
    return sum(rewards[-100:]) / 100


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.long])])
def test_the_controller_learns_and_random_search_does_not(seed):
    """Mean reward of the last 100 of 2,000 samples: 0.9 of the best (1), with a bigger step than the paper's."""
    learned = learn(Reinforce(SPACE, LearnerSettings(learning_rate=0.01), seed=seed))
    control = learn(RandomSearch(SPACE, seed=seed))
    print(f"seed {seed}: REINFORCE {learned:.3f}, random {control:.3f} of 1")
    assert learned >= 0.9
    assert control < 0.6


def test_a_batch_of_none_is_refused():
    """Tried: the search hangs before its first child."""
    with pytest.raises(ValueError, match="batch: expected at least 1, got 0"):
        Reinforce(SPACE, batch=0)


def test_a_batch_is_out_until_all_of_it_was_told():
    strategy = Reinforce(SPACE, batch=4)
    asked = strategy.ask(3)
    assert [proposal.id for proposal in asked] == [0, 1, 2]
    asked += strategy.ask(3)
    assert [proposal.id for proposal in asked] == [0, 1, 2, 3]
    assert strategy.ask(3) == []
    assert strategy.tell([told(asked[2], 0.5)]) is None
    assert strategy.tell([told(asked[0], 0.5), told(asked[3], 0.1)]) is None
    assert strategy.ask(1) == []
    update = strategy.tell([told(asked[1], 0.9)])
    assert update.number == 1
    assert update.reward == pytest.approx(0.5)
    assert [proposal.id for proposal in strategy.ask(2)] == [4, 5]


def test_the_order_of_results_does_not_matter():
    ends = []
    for shuffle in (1, 2):
        strategy = Reinforce(SPACE, LearnerSettings(learning_rate=0.05), batch=4, seed=3)
        for _ in range(5):
            trials = [told(proposal, worth(proposal.tokens)) for proposal in strategy.ask(4)]
            random.Random(shuffle).shuffle(trials)
            for trial in trials:
                strategy.tell([trial])
        ends.append(weights(strategy))
    assert torch.equal(*ends)


def test_a_lost_trial_is_left_out_of_the_update():
    """As if the batch had been smaller; a reward of zero instead would teach the controller what it did not see."""
    with_lost, smaller = (Reinforce(SPACE, LearnerSettings(learning_rate=0.05), batch=4, seed=3) for _ in range(2))
    proposals = with_lost.ask(4)
    rewards = [0.2, None, 0.9, 0.4]
    update = with_lost.tell([told(p, r) for p, r in zip(proposals, rewards, strict=True)])
    assert update.reward == pytest.approx(0.5)
    kept = [(SPACE.plan(), p.tokens) for p, r in zip(proposals, rewards, strict=True) if r is not None]
    smaller.learner.update(kept, [0.2, 0.9, 0.4])
    assert torch.equal(weights(with_lost), weights(smaller))


def test_a_batch_that_is_lost_whole_changes_no_weight_and_the_next_one_comes():
    strategy = Reinforce(SPACE, batch=2)
    before = weights(strategy)
    assert strategy.tell([told(proposal, None) for proposal in strategy.ask(2)]) is None
    assert torch.equal(weights(strategy), before)
    assert [proposal.id for proposal in strategy.ask(2)] == [2, 3]


def test_depth_follows_the_schedule_also_within_a_batch():
    schedule = DepthSchedule(start=1, step=1, interval=3, cap=4)
    strategy = Reinforce(SPACE, batch=4, curriculum=schedule)
    depths = []
    for _ in range(4):
        proposals = strategy.ask(4)
        depths += [len(SPACE.decode(proposal.tokens).layers) for proposal in sorted(proposals, key=lambda p: p.id)]
        strategy.tell([told(proposal, 0.5) for proposal in proposals])
    assert depths == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]


def test_proposals_come_by_number_also_where_a_batch_mixes_depths():
    falling = Reinforce(SPACE, batch=6, curriculum=lambda trial_id: 4 if trial_id % 2 else 2)
    assert [proposal.id for proposal in falling.ask(6)] == list(range(6))


def test_notes_say_how_likely_a_proposal_was():
    strategy = Reinforce(SPACE, seed=1)
    for proposal in strategy.ask(8):
        sample = strategy.learner.policy.evaluate(SPACE.plan(), [proposal.tokens])
        assert proposal.notes["log_prob"] == pytest.approx(sample.log_prob.item(), abs=1e-5)
        assert proposal.notes["entropy"] == pytest.approx(sample.entropy.item(), abs=1e-5)


def run(strategy, count):
    trials = []
    while len(trials) < count:
        for proposal in strategy.ask(1):
            trials.append(told(proposal, worth(proposal.tokens)))
            strategy.tell(trials[-1:])
    return trials


@pytest.mark.parametrize("checkpointed", [False, True])
def test_restored_after_any_number_of_trials_it_goes_on_the_same(checkpointed):
    def make():
        return Reinforce(SPACE, LearnerSettings(learning_rate=0.05), batch=4, seed=2)

    whole = make()
    trials = run(whole, 14)
    for stop in range(14):
        first, second = make(), make()
        before = run(first, stop)
        if checkpointed:
            second.load_state(first.state())
        second.restore(before, stop)
        assert before + run(second, 14 - stop) == trials, stop
        assert torch.equal(weights(second), weights(whole))


def test_the_state_of_another_controller_is_refused():
    other = Reinforce(ConvSpace(depth=2, strides=(1, 2)))
    with pytest.raises(ValueError, match="not of this controller"):
        Reinforce(SPACE).load_state(other.state())
