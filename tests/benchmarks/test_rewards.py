"""How well a number of one training goes along with what a network is worth."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

Agreement = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


@pytest.fixture(scope="module")
def agreement(benchmark_script: Callable[[str], ModuleType]) -> Agreement:
    found: Agreement = benchmark_script("rewards").agreement
    return found


def test_what_says_all_says_it_without_an_error(agreement: Agreement) -> None:
    worth = np.repeat(np.arange(5.0)[:, None], 3, axis=1)
    assert agreement(2 * worth + 1, worth) == pytest.approx((1, 0))


def test_the_own_seed_does_not_count_as_a_witness(agreement: Agreement) -> None:
    # Numbers and worth share the luck of a seed, and the networks are all alike.
    luck = np.random.default_rng(0).normal(size=(2000, 2))
    value, error = agreement(luck, luck)
    assert abs(value) < 4 * error
    assert error == pytest.approx(1 / np.sqrt(2 * 2000), rel=0.5)


def test_the_more_noise_the_less_it_says(agreement: Agreement) -> None:
    random = np.random.default_rng(0)
    true = random.normal(size=(500, 1))
    worth = true + 0.1 * random.normal(size=(500, 3))
    values = [agreement(true + noise * random.normal(size=(500, 3)), worth)[0] for noise in (0.1, 0.5, 2)]
    # Of one seed: 1 / sqrt(1 + noise^2).
    assert values == pytest.approx([1 / np.sqrt(1 + noise**2) for noise in (0.1, 0.5, 2)], abs=0.03)
