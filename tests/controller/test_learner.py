"""One update: its baseline, its gradient, and a state that resumes exactly."""

import math

import pytest
import safetensors.torch
import torch

from netwright.config import LearnerSettings
from netwright.controller.learner import Learner
from netwright.controller.policy_gradient import evaluate_strings
from netwright.spaces.conv import ConvSpace

SPACE = ConvSpace(depth=4, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))


def make(**settings):
    return Learner(SPACE.plan(), LearnerSettings(**settings), seed=7)


def batch(learner, seed, sizes=(4, 4, 4, 4)):
    generator = torch.Generator().manual_seed(seed)
    return [
        (SPACE.plan(size), tuple(learner.policy.sample(SPACE.plan(size), 1, generator).tokens[0].tolist()))
        for size in sizes
    ]


def weights(learner):
    return torch.cat([p.detach().flatten() for p in learner.policy.parameters()])


def test_the_baseline_is_from_before_the_batch():
    learner = make(baseline_decay=0.5)
    first = learner.update(batch(learner, 0), [0.0, 1.0, 1.0, 0.0])
    assert first.baseline == 0.5  # the very first batch is compared with its own mean
    # After it: 0, then 0.5*0+0.5*1 = 0.5, 0.75, 0.375.
    second = learner.update(batch(learner, 1), [1.0] * 4)
    assert second.baseline == 0.375
    assert second.reward == 1.0
    assert second.number == 2


def test_equal_rewards_in_the_first_batch_change_nothing():
    """No advantage, no gradient; with a baseline of zero, or the batch's own, this would differ or never differ."""
    learner = make()
    before = weights(learner)
    assert learner.update(batch(learner, 0), [0.7] * 4).gradient_norm == 0
    assert torch.equal(weights(learner), before)


def test_the_gradient_is_that_of_minus_the_mean_of_log_p_times_advantage():
    learner = make()
    strings = batch(learner, 0, (4, 2, 4, 3))
    rewards = [0.9, 0.1, 0.4, 0.2]
    log_prob = torch.cat([learner.policy.evaluate(plan, [tokens]).log_prob for plan, tokens in strings])
    loss = -sum(log_prob[i] * (rewards[i] - 0.4) for i in range(4)) / 4
    parts = torch.autograd.grad(loss, list(learner.policy.parameters()), allow_unused=True, materialize_grads=True)
    norm = math.sqrt(sum(part.square().sum().item() for part in parts))
    assert learner.update(strings, rewards).gradient_norm == pytest.approx(norm, rel=1e-4)


def test_adam_takes_a_first_step_of_the_learning_rate():
    """Adam's first step is the learning rate times the sign of the gradient, wherever that is not near zero."""
    learner = make(learning_rate=0.01)
    before = weights(learner)
    learner.update(batch(learner, 0), [1.0, 0.0, 0.3, 0.2])
    step = (weights(learner) - before).abs()
    assert step.max().item() == pytest.approx(0.01, rel=1e-3)


def test_a_rewarded_string_becomes_likelier():
    learner = make(learning_rate=0.001)
    strings = batch(learner, 0)
    before = evaluate_strings(learner.policy, strings).log_prob
    learner.update(strings, [1.0, 0.0, 0.0, 0.0])
    gain = (evaluate_strings(learner.policy, strings).log_prob - before).tolist()
    assert gain[0] > 0
    assert gain[0] > sum(gain[1:]) / 3


def test_plans_of_unlike_sizes_in_one_batch_are_evaluated_as_if_apart():
    learner = make(init_scale=0.5)
    strings = batch(learner, 0, (2, 4, 1, 4, 2))
    together = evaluate_strings(learner.policy, strings)
    for row, (plan, tokens) in enumerate(strings):
        alone = learner.policy.evaluate(plan, [tokens])
        assert together.log_prob[row].item() == pytest.approx(alone.log_prob.item(), rel=1e-5)
        assert together.entropy[row].item() == pytest.approx(alone.entropy.item(), rel=1e-5)


def test_an_empty_batch_counts_but_changes_nothing():
    learner = make()
    before = weights(learner)
    assert learner.update([], []) is None
    assert learner.updates == 1
    assert learner.baseline.value is None
    assert torch.equal(weights(learner), before)


def test_the_entropy_bonus_keeps_the_policy_open():
    closed, opened = make(learning_rate=0.02), make(learning_rate=0.02, entropy_weight=0.5)
    for seed in range(30):
        for learner in (closed, opened):
            strings = batch(learner, seed)
            learner.update(strings, [sum(tokens) % 2 for _, tokens in strings])
    ends = [evaluate_strings(learner.policy, batch(learner, 99)).entropy.mean().item() for learner in (closed, opened)]
    assert ends[1] > ends[0]


def test_the_told_norm_is_the_one_before_clipping():
    free, clipped = make(), make(clip_norm=1e-3)
    norms = [learner.update(batch(learner, 0), [1, 0, 0, 1]).gradient_norm for learner in (free, clipped)]
    assert norms[0] == pytest.approx(norms[1])
    grads = torch.cat([p.grad.flatten() for p in clipped.policy.parameters() if p.grad is not None])
    assert grads.norm().item() == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("updates", [0, 1, 3])
def test_a_state_goes_on_bit_for_bit(updates):
    """Through safetensors, as on disk: weights, Adam's moments and step, baseline and count."""
    original = make(learning_rate=0.01)
    for seed in range(updates):
        original.update(batch(original, seed, (4, 2, 3)), [0.1 * seed, 0.5, 0.9])
    state = safetensors.torch.load(safetensors.torch.save(original.state()))
    copy = Learner(SPACE.plan(), original.settings, seed=8)
    copy.load_state(state)
    for seed in range(10, 13):
        strings = batch(original, seed)
        assert batch(copy, seed) == strings
        assert copy.update(strings, [0.2, 0.4, 0.0, 1.0]) == original.update(strings, [0.2, 0.4, 0.0, 1.0])
    assert torch.equal(weights(copy), weights(original))
    assert copy.state().keys() == original.state().keys()
    assert all(torch.equal(value, original.state()[name]) for name, value in copy.state().items())


def test_a_state_is_a_copy_that_later_updates_leave_alone():
    learner = make()
    learner.update(batch(learner, 0), [0, 1, 0, 0])
    state = learner.state()
    before = {name: value.clone() for name, value in state.items()}
    learner.update(batch(learner, 1), [0, 1, 0, 0])
    assert all(torch.equal(value, before[name]) for name, value in state.items())


def test_a_state_of_another_controller_is_refused():
    other = Learner(ConvSpace(depth=2, strides=(1, 2)).plan(), LearnerSettings(), seed=1)
    learner = make()
    before = weights(learner)
    with pytest.raises(ValueError, match="not of this controller"):
        learner.load_state(other.state())
    with pytest.raises(ValueError, match="not of this controller"):
        learner.load_state({})
    assert torch.equal(weights(learner), before)


def test_the_papers_settings_are_the_defaults():
    settings = LearnerSettings()
    assert (settings.hidden, settings.layers, settings.init_scale, settings.learning_rate) == (35, 2, 0.08, 6e-4)
    assert settings.entropy_weight == 0
    assert settings.clip_norm is None
