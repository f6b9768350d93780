"""The reward."""

import pytest

from netwright.config import AccuracyReward, CostTarget, ExperimentConfig, ImageTraining, OwnReward, PerplexityReward
from netwright.errors import UsageError
from netwright.search.reward import OwnScore, cost_factor, reward_of
from netwright.spaces.conv import ConvSpace
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


def priced(**costs):
    return Evaluation(valid=0.5, metrics=costs)


@pytest.mark.parametrize(
    ("cost", "factor"), [(1e6, 1.0), (5e6, 1.0), (1e7, 0.5), (2e7, 0.25)], ids=["below", "at it", "twice", "four times"]
)
def test_what_costs_more_than_the_target_earns_less(cost, factor):
    """The second pair of exponents of Tan et al. 2019: nothing below the target, the inverse above it."""
    reward = AccuracyReward(target=CostTarget(multiply_adds=5e6))
    assert reward_of(priced(multiply_adds=cost), reward) == pytest.approx(0.125 * factor)
    assert reward_of(priced(multiply_adds=cost), PerplexityReward(constant=1, target=reward.target)) == 4 * factor


def test_both_exponents_can_be_chosen_and_several_targets_multiply():
    """The first pair: 5 % more for half the latency (Tan et al. 2019, sec. 3.1)."""
    soft = CostTarget(latency_ms=2.0, below=-0.07, above=-0.07)
    assert cost_factor({"latency_ms": 1.0}, soft) == pytest.approx(1.0497, abs=1e-4)
    assert cost_factor({"latency_ms": 4.0}, soft) == pytest.approx(0.9526, abs=1e-4)
    both = CostTarget(latency_ms=2.0, parameters=100)
    assert cost_factor({"latency_ms": 4.0, "parameters": 400}, both) == pytest.approx(0.5 * 0.25)


def test_a_cost_that_nobody_measured_is_named():
    with pytest.raises(UsageError, match=r"reward.target.latency_ms: .* no metric 'latency_ms'"):
        reward_of(priced(parameters=3), AccuracyReward(target=CostTarget(latency_ms=1)))


def test_a_target_that_every_network_has_is_refused():
    filled, reward = ConvSpace(depth=2, fill=True), AccuracyReward(target=CostTarget(multiply_adds=1e5))
    with pytest.raises(ValueError, match=r"reward.target.multiply_adds: with space.fill every network costs"):
        ExperimentConfig(name="x", space=filled, reward=reward, child=ImageTraining(max_multiply_adds=10))
    ExperimentConfig(name="x", space=filled, reward=reward, child=ImageTraining(max_parameters=10))


def test_a_function_of_ones_own():
    score = OwnScore(lambda evaluation: evaluation.valid - evaluation.metrics["parameters"] / 100, OwnReward(floor=-2))
    assert score(priced(parameters=10)) == pytest.approx(0.4)
    assert score(Failure(kind=FailureKind.ERROR, message="")) == -2
    assert score(Failure(kind=FailureKind.LOST, message="")) is None
    with pytest.raises(UsageError, match=r"the reward function <lambda> cannot rate 0\.5 .*KeyError"):
        score(priced())
    with pytest.raises(UsageError, match=r"cannot rate 0\.5"):
        OwnScore(lambda evaluation: "much", OwnReward())(priced())
