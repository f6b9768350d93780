"""The moving average of the reward."""

import pytest

from netwright.controller.baseline import MovingAverage


def test_by_hand():
    baseline = MovingAverage(0.9)
    assert baseline.value is None
    baseline.update([1.0])
    assert baseline.value == 1.0  # starts at the first reward, not at zero (paper.md 6-A1)
    baseline.update([0.0, 0.5])
    assert baseline.value == pytest.approx(0.9 * (0.9 * 1.0) + 0.1 * 0.5)


def test_it_takes_rewards_one_after_the_other():
    together, apart = MovingAverage(), MovingAverage()
    together.update([0.1, 0.9, 0.4])
    for reward in (0.1, 0.9, 0.4):
        apart.update([reward])
    assert together.value == apart.value


def test_without_memory_it_is_the_last_reward():
    baseline = MovingAverage(0.0)
    baseline.update([0.3, 0.7])
    assert baseline.value == 0.7


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay"):
        MovingAverage(decay)
