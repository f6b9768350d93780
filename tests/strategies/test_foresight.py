"""Foresight: what it makes of rewards, against cases worked out by hand and a plain Gaussian process."""

import math
from random import Random

import pytest
import torch

from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.strategies.foresight import LATEST, LENGTHS, NOISES, Foresight, Predictor, normal_scores

SPACE = ChoiceSpace("row", tuple(Choice(f"place {place}", tuple(range(4))) for place in range(6)))


def test_normal_scores_are_of_the_order_alone_and_equals_share_a_place():
    scores = normal_scores(torch.tensor([3.0, -7.0, 3.0, 1e9], dtype=torch.float64))
    # Places 2 and 3 of 4 are shared; the first is at 1/8, the last at 7/8 of the distribution.
    assert scores.tolist() == pytest.approx([0.0, -1.1503493803760083, 0.0, 1.1503493803760083])


def test_it_is_the_likeliest_gaussian_process_of_the_grid():
    """Tried: with the covariances of one training for all, or lengths that are not squared, it is another one."""
    random = Random(0)
    features = [[random.gauss(0, 3), random.gauss(5, 0.1), 7.0] for _ in range(12)]
    rewards = [math.sin(a) + 10 * b + random.gauss(0, 0.2) for a, b, _ in features]
    trainings = [1 + i % 3 for i in range(12)]
    new = [[0.5, 5.0, 7.0], [-2.0, 4.9, 7.0]]

    known = torch.tensor(features, dtype=torch.float64)
    mean, deviation = known.mean(0), known.std(0, correction=0)
    deviation[2] = 1.0  # which says nothing

    def covariance(some, others, length):
        pairs = ((((a - b) / deviation) ** 2).mean() for a in some for b in others)
        return torch.tensor([math.exp(-d / length) for d in pairs], dtype=torch.float64).reshape(len(some), len(others))

    scores = normal_scores(torch.tensor(rewards, dtype=torch.float64))
    fits = []
    for length in LENGTHS:
        for noise in NOISES:
            total = covariance(known, known, length) + torch.diag(noise / torch.tensor(trainings, dtype=torch.float64))
            variance = scores @ torch.linalg.solve(total, scores) / len(scores)
            law = torch.distributions.MultivariateNormal(torch.zeros_like(scores), variance * total)
            expected = covariance(torch.tensor(new, dtype=torch.float64), known, length) @ torch.linalg.solve(
                total, scores
            )
            fits.append((law.log_prob(scores).item(), expected.tolist()))
    assert mean[2] == 7.0
    assert Predictor(features, rewards, trainings)(new).tolist() == pytest.approx(max(fits)[1])


def test_rewards_that_are_all_equal_foretell_nothing():
    assert Predictor([[0.0], [1.0], [2.0]], [0.5] * 3, [1] * 3)([[0.0], [9.0]]).tolist() == [0.0, 0.0]
    assert Predictor([[0.0]], [0.5], [3])([[0.0]]).tolist() == [0.0]


def with_first(token, rest):
    return (token, *(rest >> 2 * place & 3 for place in range(5)))


def test_the_most_promising_has_what_the_best_had_in_common():
    foresight = Foresight(SPACE)
    for rest in range(10):
        foresight.add(with_first(rest % 4, rest), 1.0 * (rest % 4 == 2))
    candidates = [with_first(token, 1000) for token in range(4)]
    assert foresight.most_promising(SPACE.plan(), candidates) == candidates[2]


def test_too_little_is_known_at_first_and_of_other_sizes():
    foresight = Foresight(SPACE)
    candidates = [with_first(0, 5), with_first(1, 5)]
    for tokens in ((1, 1), (2, 2), with_first(1, 6)):
        assert foresight.most_promising(SPACE.plan(), candidates) == candidates[0]
        foresight.add(tokens, 1.0)


def test_what_was_trained_several_times_is_known_by_its_mean():
    foresight = Foresight(SPACE)
    for rest in range(8):
        foresight.add(with_first(rest % 2, rest), 0.1 * (rest % 2))
    foresight.add(with_first(2, 0), 0.3)
    candidates = [with_first(1, 0), with_first(2, 1)]
    assert foresight.most_promising(SPACE.plan(), candidates) == candidates[1]
    foresight.add(with_first(2, 0), -0.5)
    assert foresight.most_promising(SPACE.plan(), candidates) == candidates[0]


def test_only_the_latest_count():
    foresight = Foresight(SPACE)
    foresight.add(with_first(3, 0), 1.0)
    for rest in range(1, LATEST):
        foresight.add(with_first(0, rest), rest * 1e-3)
    candidates = [with_first(0, 700), with_first(3, 1)]
    assert foresight.most_promising(SPACE.plan(), candidates) == candidates[1]
    foresight.add(with_first(0, 800), 0.9)
    assert foresight.most_promising(SPACE.plan(), candidates) == candidates[0]
