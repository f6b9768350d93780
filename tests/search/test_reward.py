"""The reward."""

import pytest

from netwright.config import AccuracyReward, PerplexityReward
from netwright.search.reward import reward_of
from netwright.trial import Evaluation, Failure, FailureKind


@pytest.mark.parametrize(("accuracy", "reward"), [(0.9, 0.729), (0.0, 0.0), (1.0, 1.0), (0.5, 0.125)])
def test_it_is_the_accuracy_cubed(accuracy, reward):
    # 0.9 -> 0.729: paper.md section 7.
    assert reward_of(Evaluation(valid=accuracy), AccuracyReward()) == pytest.approx(reward)


def test_the_exponent_can_be_chosen():
    assert reward_of(Evaluation(valid=0.5), AccuracyReward(exponent=1)) == 0.5


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.LOST])
def test_what_the_architecture_did_wrong_earns_the_floor(kind):
    failure = Failure(kind=kind, message="")
    assert reward_of(failure, AccuracyReward()) == 0.0
    assert reward_of(failure, AccuracyReward(floor=-1)) == -1.0


def test_what_was_done_to_it_from_outside_earns_nothing_at_all():
    assert reward_of(Failure(kind=FailureKind.LOST, message=""), AccuracyReward()) is None


def test_perplexity_is_rewarded_by_the_inverse_of_its_square() -> None:
    # paper.md 7: perplexity 82.7 earns 0.0117 at c = 80.
    reward = reward_of(Evaluation(valid=82.7), PerplexityReward())
    assert reward == pytest.approx(0.0117, abs=5e-5)
