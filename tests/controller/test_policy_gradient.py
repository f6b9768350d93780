"""The policy gradient against the exact gradient of the expected reward, on a space small enough to enumerate."""

import pytest
import torch

from netwright.controller.policy import Policy
from netwright.controller.policy_gradient import reinforce_loss
from netwright.spaces.grammar import Anchor, Choice, every_string

COLOUR, SIZE = Choice("colour", ("red", "green")), Choice("size", (1, 2, 3))
PLAN = (COLOUR, Anchor(0), SIZE, Anchor(1), COLOUR, Anchor(2))
STRINGS = torch.tensor(list(every_string(PLAN)))  # [96, 6]


@pytest.fixture
def policy():
    # A scale far above the default, so that the distribution is far from uniform and every path matters.
    return Policy(PLAN, hidden=6, init_scale=1.5, generator=torch.Generator().manual_seed(3)).double()


@pytest.fixture
def reward():
    """A number for each string, without any structure that could hide a mistake."""
    return torch.rand(len(STRINGS), generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def gradient(policy, value):
    parts = torch.autograd.grad(value, list(policy.parameters()), allow_unused=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def exact_gradient(policy, reward):
    """Of E[R] = sum_a p(a) R(a)."""
    return gradient(policy, (policy.evaluate(PLAN, STRINGS).log_prob.exp() * reward).sum())


def test_probabilities_of_all_strings_sum_to_one(policy):
    probability = policy.evaluate(PLAN, STRINGS).log_prob.exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-12)
    assert probability.max() > 3 / len(STRINGS), "near uniform, this would show little"


@pytest.mark.parametrize("baseline", [0.0, 0.4, -7.0])
def test_the_mean_reinforce_gradient_is_the_exact_one_whatever_the_baseline(policy, reward, baseline):
    """Each string weighs as much as it is likely, which makes the mean over m strings an expectation."""
    sample = policy.evaluate(PLAN, STRINGS)
    probability = sample.log_prob.detach().exp()
    weighted = len(STRINGS) * probability * (reward - baseline)
    mean = -gradient(policy, reinforce_loss(sample.log_prob, weighted, 0.0))
    exact = exact_gradient(policy, reward)
    assert exact.abs().max() > 1e-3
    torch.testing.assert_close(mean, exact, rtol=1e-9, atol=1e-12)


def test_every_weight_takes_part_in_the_gradient(policy, reward):
    """A head or an embedding left out of the graph would go unnoticed above, where both sides lack it."""
    exact = torch.autograd.grad(
        (policy.evaluate(PLAN, STRINGS).log_prob.exp() * reward).sum(), list(policy.parameters())
    )
    for (name, _), part in zip(policy.named_parameters(), exact, strict=True):
        assert part.abs().sum() > 0, name


def test_sampled_gradients_scatter_about_the_exact_one_as_widely_as_they_must(policy, reward):
    """Sampling, not enumeration: 4,000 strings; the tolerance is the exact standard error of each weight."""
    count, baseline = 4000, 0.5
    exact = exact_gradient(policy, reward)
    log_prob = policy.evaluate(PLAN, STRINGS).log_prob
    probability = log_prob.detach().exp()
    of_string = torch.stack([gradient(policy, policy.evaluate(PLAN, string[None]).log_prob[0]) for string in STRINGS])
    single = of_string * (reward - baseline)[:, None]  # [96, weights]
    error = ((probability @ single.square() - exact.square()) / count).sqrt()

    tokens = policy.sample(PLAN, count, torch.Generator().manual_seed(5)).tokens
    place = {tuple(string): row for row, string in enumerate(STRINGS.tolist())}
    rewards = reward[[place[tuple(string)] for string in tokens.tolist()]]
    estimate = -gradient(policy, reinforce_loss(policy.evaluate(PLAN, tokens).log_prob, rewards, baseline))
    z = (estimate - exact)[error > 1e-9] / error[error > 1e-9]
    assert z.abs().max() < 5
    assert 0.3 < z.square().mean() < 3


def test_the_loss_by_hand():
    # -(1/2) [(-1)(3 - 1) + (-2)(0 - 1)] = -(1/2)(-2 + 2) = 0; its slope by log p is minus the advantage over m.
    log_prob = torch.tensor([-1.0, -2.0], requires_grad=True)
    loss = reinforce_loss(log_prob, torch.tensor([3.0, 0.0]), 1.0)
    assert loss.item() == 0
    loss.backward()
    assert log_prob.grad.tolist() == [-1.0, 0.5]
