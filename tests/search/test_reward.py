"""The reward."""

import pytest

from netwright.config import AccuracyReward
from netwright.search.reward import accuracy_reward
from netwright.trial import Evaluation, Failure, FailureKind


@pytest.mark.parametrize(("accuracy", "reward"), [(0.9, 0.729), (0.0, 0.0), (1.0, 1.0), (0.5, 0.125)])
def test_it_is_the_accuracy_cubed(accuracy, reward):
    # 0.9 -> 0.729: paper.md section 7.
    assert accuracy_reward(Evaluation(valid=accuracy), AccuracyReward()) == pytest.approx(reward)


def test_the_exponent_can_be_chosen():
    assert accuracy_reward(Evaluation(valid=0.5), AccuracyReward(exponent=1)) == 0.5


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.LOST])
def test_what_the_architecture_did_wrong_earns_the_floor(kind):
    failure = Failure(kind=kind, message="")
    assert accuracy_reward(failure, AccuracyReward()) == 0.0
    assert accuracy_reward(failure, AccuracyReward(floor=-1)) == -1.0


def test_what_was_done_to_it_from_outside_earns_nothing_at_all():
    assert accuracy_reward(Failure(kind=FailureKind.LOST, message=""), AccuracyReward()) is None
