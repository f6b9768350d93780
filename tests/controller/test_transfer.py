"""Carrying a controller over to another search."""

import pytest
import torch

from netwright.config import LearnerSettings
from netwright.controller.learner import Learner
from netwright.controller.transfer import transfer
from netwright.errors import UsageError
from netwright.spaces.grammar import Anchor, Choice

SIDE = Choice("side", (1, 3, 5))
WIDTH = Choice("width", (16, 32))
SMALL = LearnerSettings(hidden=8)


def learner(*plan, settings=SMALL, seed=0):
    return Learner(plan, settings, seed)


def test_the_same_space_carries_everything_but_the_memory_of_the_objective():
    source, target = learner(SIDE, Anchor(0), WIDTH, seed=1), learner(SIDE, Anchor(0), WIDTH, seed=2)
    source.update([((SIDE, Anchor(0), WIDTH), (0, 0, 1))] * 2, [0.5, 0.7])
    report = transfer(source.state(), target.policy)
    assert set(report.carried) == {"side", "anchor", "width"}
    assert report.left_out == ()
    for theirs, ours in zip(source.policy.parameters(), target.policy.parameters(), strict=True):
        assert torch.equal(theirs, ours)
    assert target.updates == 0
    assert target.baseline.value is None


def test_what_does_not_carry_over_is_listed():
    deep = Choice("depth", (1, 2))
    target = learner(SIDE, Choice("width", (16, 32, 64)), deep, seed=2)
    before = target.policy.heads["width"].weight.clone()
    report = transfer(learner(SIDE, WIDTH, Choice("pool", (0, 1)), seed=1).state(), target.policy)
    assert report.carried == ("side",)
    assert report.left_out == ("width: different options", "depth: not decided there", "pool: not decided here")
    assert torch.equal(target.policy.heads["width"].weight, before)


def test_longer_plans_of_the_same_decisions_carry_over():
    layer = (SIDE, WIDTH)
    assert transfer(learner(*layer).state(), learner(*layer, *layer, *layer).policy).left_out == ()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((Choice("tea", (1, 2)),), "it decides tea, but this space side, width; no decision has the same name"),
        ((Choice("side", (1, 3)),), "it decides side, but this space side, width; no decision has the same name"),
    ],
)
def test_unlike_spaces_are_refused_and_change_nothing(source, message):
    target = learner(SIDE, WIDTH)
    before = [parameter.clone() for parameter in target.policy.parameters()]
    with pytest.raises(UsageError, match=message):
        transfer(learner(*source).state(), target.policy)
    assert all(torch.equal(old, new) for old, new in zip(before, target.policy.parameters(), strict=True))


def test_unlike_sizes_are_refused():
    with pytest.raises(UsageError, match="expected 2 LSTM layers of 8 units"):
        transfer(learner(SIDE, settings=LearnerSettings(hidden=9)).state(), learner(SIDE).policy)
