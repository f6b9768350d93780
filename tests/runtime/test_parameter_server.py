"""The parameter server: shards that together are one learner, and take every gradient once."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import safetensors.torch
import torch
from hypothesis import given

from netwright.config import ClusterSettings, LearnerSettings
from netwright.controller.learner import Learner
from netwright.controller.policy_gradient import policy_gradient
from netwright.controller.weights import Gradient
from netwright.runtime.parameter_server import (
    Ledger,
    LocalShards,
    ParameterServer,
    Shard,
    divide,
    join_states,
    make_shard,
    split_state,
    taken,
)
from netwright.spaces.conv import ConvSpace

SPACE = ConvSpace(depth=3, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))
SETTINGS = LearnerSettings(learning_rate=0.01, clip_norm=0.5)


def make(shards=1, **cluster):
    """A learner, and a server with the same weights."""
    learner = Learner(SPACE.plan(), SETTINGS, seed=7)
    parts = divide(learner.weights.tensors, shards)
    state = safetensors.torch.save(learner.state())
    settings = ClusterSettings(shards=shards, **cluster)
    made = [
        make_shard(number, snapshot, SETTINGS, settings) for number, snapshot in enumerate(split_state(state, parts))
    ]
    return learner, ParameterServer(LocalShards(made), parts), made


def strings(learner, seed, count=4):
    generator = torch.Generator().manual_seed(seed)
    rows = learner.policy.sample(SPACE.plan(), count, generator).tokens.tolist()
    return [(SPACE.plan(), tuple(row)) for row in rows]


def gradient_of(learner, batch, rewards, baseline):
    return policy_gradient(learner.policy, batch, rewards, baseline, SETTINGS)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("shards", [1, 3, 20, 60])
def test_any_number_of_shards_is_the_learner_of_one_machine_byte_for_byte(shards):
    """60 are more than there are weights, so that some shards are empty."""
    learner, server, _ = make(shards)
    for number in range(5):
        batch, rewards = strings(learner, number), [0.1 * number, 0.5, 0.9, 0.3]
        weights, version = server.pull()
        assert equal(weights, {name: w.detach() for name, w in learner.weights.tensors.items()})
        assert version == number
        assert server.baseline() == learner.baseline.value
        receipt = server.push(gradient_of(learner, batch, rewards, server.baseline()), version, number)
        assert receipt.update == learner.update(batch, rewards)
        assert receipt.staleness == 0
        assert join_states(receipt.snapshots) == safetensors.torch.save(learner.state())


def test_what_is_pulled_is_a_copy():
    learner, server, _ = make(2)
    weights, _ = server.pull()
    before = {name: weight.clone() for name, weight in weights.items()}
    server.push(gradient_of(learner, strings(learner, 0), [0, 1, 0, 1], None), 0, 0)
    assert equal(weights, before)
    assert not equal(server.pull()[0], before)


def test_weights_are_divided_by_size_and_each_has_one_place():
    learner, _, _ = make()
    sizes = {name: weight.numel() for name, weight in learner.weights.tensors.items()}
    parts = divide(learner.weights.tensors, 3)
    assert sorted(name for part in parts for name in part) == sorted(sizes)
    loads = [sum(sizes[name] for name in part) for part in parts]
    assert max(loads) - min(loads) <= max(sizes.values())


@pytest.mark.parametrize("shards", [1, 3])
def test_gradients_are_averaged_until_there_are_enough(shards):
    """Ten replicas of one child come to the same as one batch of ten: the paper's search on the Penn Treebank."""
    learner, server, made = make(shards, gradients_per_update=10)
    for shard in made:
        shard.weights.baseline.value = 0.4
    learner.weights.baseline.value = 0.4
    batch, rewards = strings(learner, 0, 10), [0.1 * k for k in range(10)]
    before, _ = server.pull()
    unclipped = SETTINGS.model_copy(update={"clip_norm": None})
    for number in range(10):
        assert equal(server.pull()[0], before)
        gradient = policy_gradient(learner.policy, [batch[number]], [rewards[number]], 0.4, unclipped)
        receipt = server.push(gradient, 0, number)
        assert (receipt.update is None) == (number < 9)
    assert receipt.update.number == server.pull()[1] == 1
    assert receipt.update.reward == pytest.approx(0.45)
    assert receipt.update.baseline == pytest.approx(0.4)
    whole = Learner(SPACE.plan(), unclipped, seed=7)
    whole.weights.baseline.value = 0.4
    whole.update(batch, rewards)
    assert server.baseline() == whole.baseline.value
    learnt = {name: weight.grad for shard in made for name, weight in shard.weights.tensors.items()}
    for name, weight in whole.weights.tensors.items():
        assert torch.allclose(learnt[name], weight.grad, atol=1e-8)


def test_a_gradient_sent_twice_counts_once_and_is_answered_alike():
    learner, server, made = make(3)
    gradient = gradient_of(learner, strings(learner, 0), [0, 1, 0, 1], None)
    first = server.push(gradient, 0, 5)
    assert server.push(gradient, 0, 5) == first
    assert [shard.ledger.numbers() for shard in made] == [[0, 5]] * 3
    assert server.pull()[1] == 1


def test_staleness_is_the_number_of_updates_in_between():
    learner, server, _ = make(2)
    gradient = gradient_of(learner, strings(learner, 0), [0, 1, 0, 1], None)
    assert [server.push(gradient, version, number).staleness for number, version in enumerate((0, 0, 1, 3))] == [
        0,
        1,
        1,
        0,
    ]


@pytest.mark.parametrize("shards", [1, 3])
def test_too_stale_a_gradient_changes_nothing_but_is_taken_note_of(shards):
    learner, server, _ = make(shards, max_staleness=1)
    gradient = gradient_of(learner, strings(learner, 0), [0, 1, 0, 1], None)
    for number in range(2):
        assert not server.push(gradient, 0, number).refused
    before = server.pull()[0]
    baseline = server.baseline()
    receipt = server.push(gradient, 0, 2)
    assert receipt.refused
    assert receipt.staleness == 2
    assert receipt.update is None
    assert equal(server.pull()[0], before)
    assert server.baseline() == baseline
    assert 2 in taken(receipt.snapshots[-1])


@pytest.mark.parametrize("shards", [1, 3])
def test_what_is_refused_is_no_update_so_half_of_two_replicas_gradients_are_taken(shards):
    """Tried: counted as updates, refusals make each the other's gradient too old, and none is ever taken again."""
    learner, server, _ = make(shards, max_staleness=0)
    gradient = gradient_of(learner, strings(learner, 0), [0, 1, 0, 1], None)
    versions, refused = [0, 0], []
    for number in range(20):
        receipt = server.push(gradient, versions[number % 2], number)
        refused.append(receipt.refused)
        versions[number % 2] = server.pull()[1]
    assert refused == [False, True] * 10
    assert server.pull()[1] == 10


def test_a_restarted_shard_remembers_what_it_refused():
    """Tried: forgotten, the gradient that is sent again is taken by the other shards alone."""
    learner, server, made = make(2, max_staleness=0)
    gradient = gradient_of(learner, strings(learner, 0), [0, 1, 0, 1], None)
    server.push(gradient, 0, 0)
    others = made[1].snapshot()
    assert server.push(gradient, 0, 1).refused
    parts = divide(learner.weights.tensors, 2)
    snapshots = split_state(join_states([made[0].snapshot(), others]), parts)
    again = [make_shard(n, s, SETTINGS, ClusterSettings(shards=2, max_staleness=0)) for n, s in enumerate(snapshots)]
    before = again[1].pull()[0]
    assert ParameterServer(LocalShards(again), parts).push(gradient, 0, 1).refused
    assert equal(again[1].pull()[0], before)


def test_a_batch_that_was_lost_altogether_counts_as_on_one_machine():
    learner, server, _ = make(2)
    receipt = server.push(Gradient(values={}), 0, 0)
    assert receipt.update is None
    assert learner.update([], []) is None
    assert join_states(receipt.snapshots) == safetensors.torch.save(learner.state())


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("pushes", [0, 1, 2, 3, 5])
def test_a_checkpoint_goes_on_bit_for_bit(shards, pushes):
    """In the middle of an update, and with batches that came out of order."""
    learner, server, made = make(shards, gradients_per_update=3, max_staleness=4)
    order = (1, 0, 7, 2, 4, 3, 9)
    gradients = [gradient_of(learner, strings(learner, k), [0.1 * k, 0.4, 0.2, 0.9], None) for k in range(7)]
    for number in order[:pushes]:
        server.push(gradients[order.index(number)], 0, number)
    checkpoint = join_states([shard.snapshot() for shard in made])
    parts = divide(learner.weights.tensors, shards)
    settings = ClusterSettings(shards=shards, gradients_per_update=3, max_staleness=4)
    again = [make_shard(n, snapshot, SETTINGS, settings) for n, snapshot in enumerate(split_state(checkpoint, parts))]
    copy = ParameterServer(LocalShards(again), parts)
    assert [shard.ledger.numbers() for shard in again] == [shard.ledger.numbers() for shard in made]
    for number in order[pushes:]:
        one = server.push(gradients[order.index(number)], 0, number)
        other = copy.push(gradients[order.index(number)], 0, number)
        assert one.update == other.update
        assert join_states(one.snapshots) == join_states(other.snapshots)


def test_shards_that_are_not_in_step_keep_their_own_ledgers():
    learner, _, made = make(3)
    parts = divide(learner.weights.tensors, 3)
    gradient = gradient_of(learner, strings(learner, 0), [0, 1, 0, 1], None)
    for number in (0, 1):
        made[0].push(gradient, 0, number)
    made[2].push(gradient, 0, 1)
    snapshots = split_state(join_states([shard.snapshot() for shard in made]), parts)
    assert [taken(snapshot).numbers() for snapshot in snapshots] == [[2], [0], [0, 1]]
    assert [snapshot.pushes for snapshot in snapshots] == [2, 0, 1]


def test_a_state_of_another_controller_is_refused():
    learner, _, _ = make()
    shard = Shard({"strange": torch.zeros(2)}, SETTINGS)
    with pytest.raises(ValueError, match="not of this controller"):
        shard.load_state(learner.state())


@given(st.permutations(range(12)), st.integers(0, 12))
def test_a_ledger_holds_what_was_added_in_any_order(order, count):
    ledger = Ledger()
    for number in order[:count]:
        assert number not in ledger
        ledger.add(number)
    assert [number for number in range(20) if number in ledger] == sorted(order[:count])
    assert len(ledger) == count
    first_missing, *beyond = ledger.numbers()
    assert first_missing not in ledger
    assert Ledger(first_missing, beyond).numbers() == ledger.numbers()
    assert all(number > first_missing for number in beyond)
