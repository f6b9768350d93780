"""The baseline: a running estimate of the reward, subtracted to cut the variance of the policy gradient."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite


class MovingAverage:
    """Exponential moving average of the rewards of previous architectures (Zoph & Le 2017, sec. 3.2).

    The paper gives no decay; 0.95 is the first author's next paper's (Zoph et al. 2018, appendix). Started at the first
    reward rather than at zero, so that it never lags behind from below.

    Attributes:
        decay: Weight of the past at each new reward, in [0, 1).
        value: The average, None before the first reward.
    """

    def __init__(self, decay: float = 0.95, value: float | None = None) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"expected a decay in [0, 1), got {decay}")
        self.decay = decay
        self.value = value

    def update(self, rewards: Iterable[float]) -> None:
        """Takes in rewards one after the other.

        Raises:
            ValueError: One is not finite, after which the average would never be a number again.
        """
        for reward in rewards:
            if not isfinite(reward):
                raise ValueError(f"expected a finite reward, got {reward}")
            previous = reward if self.value is None else self.value
            self.value = self.decay * previous + (1 - self.decay) * reward
