"""The small search and the library are the same method: same weights and tokens, same numbers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from netwright.controller.policy import Policy
from netwright.controller.policy_gradient import reinforce_loss
from netwright.spaces.conv import ConvSpace


@pytest.fixture
def mini(example):
    return example("mini_nas")


@pytest.fixture
def space(mini):
    sides = mini.FILTER_SIZES
    return ConvSpace(depth=mini.DEPTH, filter_heights=sides, filter_widths=sides, filters=mini.FILTERS)


def library_policy(space: ConvSpace, controller: torch.nn.Module) -> Policy:
    """The library's policy with the weights of the small one."""
    policy = Policy(space.plan())
    anchor = {"w_prev.weight": "heads.anchor.w_prev.weight", "w_curr.weight": "heads.anchor.w_curr.weight"}
    names = anchor | {"v": "heads.anchor.v"}
    policy.load_state_dict({names.get(name, name): value for name, value in controller.state_dict().items()})
    return policy


def test_loss_and_gradient_agree_with_the_library(mini, space):
    torch.manual_seed(1)
    controller = mini.Controller()
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(8)  # far from uniform, so that a slip would show
        tokens, sampled = controller(16)
    rewards = torch.rand(16)

    policy = library_policy(space, controller)
    theirs = policy.evaluate(space.plan(), tokens)
    _, ours = controller(16, tokens)
    torch.testing.assert_close(ours, sampled)
    torch.testing.assert_close(ours, theirs.log_prob)

    loss, expected = mini.reinforce_loss(ours, rewards, 0.4), reinforce_loss(theirs.log_prob, rewards, 0.4)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    gradient = {name: parameter.grad for name, parameter in policy.named_parameters()}
    for name, parameter in controller.named_parameters():
        known = name if name in gradient else f"heads.anchor.{name}"
        torch.testing.assert_close(parameter.grad, gradient[known])


def test_networks_mean_the_same_as_the_library(mini, space):
    with torch.no_grad():
        tokens, _ = mini.Controller()(16)
    for row in tokens.tolist():
        expected = space.decode(row)
        layers = mini.decode(row)
        assert [(x.filter_height, x.filter_width, x.filters, x.inputs) for x in layers] == [
            (x.filter_height, x.filter_width, x.filters, x.inputs) for x in expected.layers
        ]
        child = mini.Child(layers)
        assert tuple(child.outputs) == expected.outputs
        assert child(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_needs_only_torch_and_the_digits(mini):
    tree = ast.parse(Path(mini.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.partition(".")[0] for name in imported} == {"__future__", "dataclasses", "sklearn", "time", "torch"}


def test_runs(mini, capsys):
    mini.main(updates=2, batch=2)
    assert "The best network, accuracy" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_learns(mini, capsys):
    mini.main()
    report = capsys.readouterr().out
    rewards = [float(line.split()[4]) for line in report.splitlines() if line.startswith("update")]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.2
