"""``reinforce-replay`` that begins from known networks."""

from itertools import islice, pairwise

import pytest
import torch

from netwright.config import LearnerSettings
from netwright.errors import UsageError
from netwright.spaces.architecture import RecurrentCellArchitecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import Anchor
from netwright.spaces.recurrent_cell import RecurrentCellSpace
from netwright.strategies.by_name import make_strategy
from netwright.strategies.replay import ReinforceReplay, ReplaySettings
from netwright.trial import State, Trial

SPACE = ConvSpace(depth=4, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))
CHAIN = SPACE.encode(
    SPACE.decode([1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 4, 1])  # 3x3, each fed by the one before it
)

WIDE = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 7, 0)  # another string in every layer


def strategy(**options):
    replay = ReplaySettings(batch=2, warmup=2, **options)
    return ReinforceReplay(SPACE, LearnerSettings(hidden=16), seed=3, replay=replay)


def share_of_the_chains_anchors(made):
    sample = made.learner.policy.sample(SPACE.plan(), 200, torch.Generator().manual_seed(0))
    steps = [step for step, decision in enumerate(SPACE.plan()) if isinstance(decision, Anchor) and decision.earlier]
    return (sample.tokens[:, steps] == torch.tensor([CHAIN[step] for step in steps])).float().mean().item()


def test_the_policy_learns_to_write_what_it_is_given():
    """Tried: without cloning, a third of the anchors are those of the chain."""
    fresh, cloned = strategy(), strategy(clone=200)
    fresh.begin([])
    cloned.begin([(CHAIN, 0.5)])
    assert share_of_the_chains_anchors(fresh) < 0.45
    assert share_of_the_chains_anchors(cloned) > 0.7
    assert cloned.learner.updates == 0


@pytest.mark.slow
def test_what_is_given_is_never_proposed():
    made = strategy(clone=200)
    made.begin([(CHAIN, 0.5)])
    for number in range(40):
        (proposal,) = made.ask(1)
        assert proposal.tokens != CHAIN
        made.tell([Trial(id=number, tokens=proposal.tokens, state=State.COMPLETE, reward=0.1, valid=0.1)])


def test_what_is_given_is_replayed_until_something_better_is_found():
    made = strategy(clone=0, queue=1)
    made.begin([(CHAIN, 0.5)])
    for number in range(2):
        (proposal,) = made.ask(1)
        update = made.tell([Trial(id=number, tokens=proposal.tokens, state=State.COMPLETE, reward=0.1, valid=0.1)])
    assert update.reward == 0.5
    for number in range(2, 4):
        (proposal,) = made.ask(1)
        update = made.tell([Trial(id=number, tokens=proposal.tokens, state=State.COMPLETE, reward=0.9, valid=0.9)])
    assert update.reward == 0.9


@pytest.mark.parametrize("depth", [3, 6])
def test_a_search_of_other_depths_begins_from_what_is_given_too(depth):
    space = ConvSpace(depth=depth, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16), pool_decided=True)
    four = (1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 2, 1, 0, 1, 1, 4, 1)  # the last layer decides nothing about pooling
    replay = ReplaySettings(batch=2, warmup=2, clone=5, queue=1, families=True, mutants=1.0, screen=4)
    made = ReinforceReplay(space, LearnerSettings(hidden=16), seed=3, replay=replay)
    made.begin([(four, 0.5)])
    kept = 0
    for number in range(12):
        (proposal,) = made.ask(1)
        kept += proposal.tokens[:9] == four[:9]
        assert len(space.decode(proposal.tokens).layers) == depth
        update = made.tell([Trial(id=number, tokens=proposal.tokens, state=State.COMPLETE, reward=0.1, valid=0.1)])
    assert kept > 2, "changes of it are proposed"
    assert update is not None
    assert update.reward > 0.1, "it is replayed"


def test_a_policy_of_one_layer_passes_over_what_it_cannot_write():
    """Tried: with one layer nothing is decided about pooling, and there is no head that could learn to."""
    space = ConvSpace(depth=1, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16), pool_decided=True)
    two = (1, 1, 0, 1, 0, 1, 1, 1, 1)
    made = ReinforceReplay(space, LearnerSettings(hidden=8), seed=3, replay=ReplaySettings(batch=2, clone=5))
    made.begin([(two, 0.5)])
    assert all(len(proposal.tokens) == len(space.plan()) for proposal in made.ask(3))


def test_a_queue_of_families_holds_one_string_of_each_set_of_connections():
    """Tried: without families, the two chains fill the queue."""
    wider = list(CHAIN)
    wider[3] = 1 - wider[3]
    dense = SPACE.encode(SPACE.decode([1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 7, 1]))
    known = [(CHAIN, 0.5), (tuple(wider), 0.4), (dense, 0.3)]
    rewards = {}
    for families in (False, True):
        made = strategy(clone=0, queue=2, families=families)
        made.begin(known)
        for number in range(2):
            (proposal,) = made.ask(1)
            update = made.tell([Trial(id=number, tokens=proposal.tokens, state=State.COMPLETE, reward=0.0, valid=0.0)])
        rewards[families] = update.reward
    assert rewards == {False: pytest.approx(0.45), True: pytest.approx(0.4)}


def test_beginning_is_a_function_of_what_is_given_and_the_seed():
    states = []
    for _ in range(2):
        made = strategy(clone=20)
        made.begin([(CHAIN, 0.5)])
        states.append(made.state())
    assert states[0] == states[1]


def test_mutants_differ_from_a_member_of_the_queue_in_one_decision():
    made = strategy(clone=0, queue=1, mutants=1.0)
    made.begin([(CHAIN, 0.9)])
    for proposal in made.ask(8):
        pairs = enumerate(zip(proposal.tokens, CHAIN, strict=True))
        different = [step for step, (ours, theirs) in pairs if ours != theirs]
        assert len(different) == 1
        if isinstance(SPACE.plan()[different[0]], Anchor):
            assert (proposal.tokens[different[0]] ^ CHAIN[different[0]]).bit_count() == 1


def test_crossings_take_whole_layers_of_another_member_of_the_queue():
    """Tried: with mutants in their place, a decision comes from neither."""
    made = strategy(clone=0, queue=2, crossovers=1.0)
    made.begin([(CHAIN, 0.9), (WIDE, 0.8), ((0,) * 16, 0.1)])
    layers = [slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 16)]
    for proposal in made.ask(8):
        from_wide = [proposal.tokens[layer] == WIDE[layer] for layer in layers]
        assert all(wide or proposal.tokens[span] == CHAIN[span] for wide, span in zip(from_wide, layers, strict=True))
        assert sum(one != other for one, other in pairwise(from_wide)) in (1, 2), "consecutive ones"


@pytest.mark.parametrize("by_effect", [False, True])
def test_by_effect_no_two_proposals_do_the_same(by_effect):
    """Round a cell whose output is always 0, since its memory stays 0: most of its neighbours' outputs are, too."""
    sums, product = (("add", "tanh"),), (("elem_mult", "identity"),)
    cell = RecurrentCellArchitecture(
        base=4, nodes=4 * sums + product + sums + product, inject=("elem_mult", "tanh"), c_index=4, c_prev_index=0
    )
    space = RecurrentCellSpace(base=4)
    replay = ReplaySettings(clone=0, queue=1, mutants=1.0, by_effect=by_effect)
    made = ReinforceReplay(space, LearnerSettings(hidden=4), seed=3, replay=replay)
    made.begin([(space.encode(cell), 0.9)])
    effects = [space.effect(cell), *(space.effect(space.decode(proposal.tokens)) for proposal in made.ask(10))]
    assert (len(set(effects)) == len(effects)) is by_effect


def share_of_3x3(screen):
    """Among 40 proposals, of which those with more 3x3 filters have the higher rewards."""
    made, share = strategy(clone=0, steps=1, screen=screen), 0.0
    for number in range(40):
        (proposal,) = made.ask(1)
        count = sum(
            (layer.filter_height, layer.filter_width) == (3, 3) for layer in SPACE.decode(proposal.tokens).layers
        )
        made.tell([Trial(id=number, tokens=proposal.tokens, state=State.COMPLETE, reward=count / 4, valid=count / 4)])
        share += count / 4 / 40
    return share


def test_of_several_candidates_the_most_promising_is_proposed():
    """Tried: 0.34 of the layers without screening, 0.55 with it, and 0.05 if the least promising is proposed."""
    assert share_of_3x3(screen=1) < 0.45 < share_of_3x3(screen=8)


def test_the_first_candidate_is_what_is_proposed_without_screening():
    screened, plain = strategy(clone=0, screen=5, mutants=0.5), strategy(clone=0, mutants=0.5)
    for made in (screened, plain):
        made.begin([(CHAIN, 0.9)])
    for number in range(6):
        assert next(screened._candidates(number, SPACE.plan())) == plain.propose(number)


def test_candidates_differ_and_are_new():
    made = strategy(clone=0, screen=30, mutants=0.5)
    made.begin([(CHAIN, 0.9)])
    out = {proposal.tokens for proposal in made.ask(3)}
    candidates = list(islice(made._candidates(3, SPACE.plan()), 30))
    assert len(set(candidates)) == 30
    assert not out & set(candidates)
    assert CHAIN not in candidates


def test_crossings_need_a_space_that_says_how():
    class Mute(SearchSpace):
        plan, decode, encode = SPACE.plan, SPACE.decode, SPACE.encode

    with pytest.raises(UsageError, match=r"reinforce-replay: crossovers: expected 0, got 0\.2: Mute does not say how"):
        make_strategy("reinforce-replay", Mute(), crossovers=0.2)
    with pytest.raises(UsageError, match=r"mutants and crossovers: expected at most 1 together, got 0\.6 and 0\.5"):
        make_strategy("reinforce-replay", SPACE, mutants=0.6, crossovers=0.5)
