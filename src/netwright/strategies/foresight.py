"""Chooses among networks that were not trained, by the rewards of those that were."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import fmean

import torch
from torch import Tensor

from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Plan, Tokens

LATEST = 256
"""So many networks foretell the rewards of others."""

LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Mean squared distances, in standard deviations of the features, over which rewards go together."""

NOISES = (0.03, 0.1, 0.3, 1.0)
"""Variances of one training's noise, as shares of that of the rewards."""


class Foresight:
    """What is known of the networks of a space, and what it says of others.

    Args:
        space: Says what a network is known by; see :meth:`SearchSpace.features`.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._rewards: dict[Tokens, list[float]] = {}
        self._features: dict[Tokens, tuple[float, ...]] = {}

    def add(self, tokens: Tokens, reward: float, *, trainings: int = 1) -> None:
        """Takes in what a network earned; that of a failed one, too, which says where not to look.

        Args:
            tokens: The network.
            reward: Of a training, or the mean of several.
            trainings: How many.
        """
        self._rewards.setdefault(tokens, []).extend([reward] * trainings)

    def most_promising(self, plan: Plan, candidates: Sequence[Tokens]) -> Tokens:
        """The candidate whose reward is foretold to be the highest; the first, where too little is known.

        Args:
            plan: Of all candidates; networks of another size say nothing about them.
            candidates: One or more.
        """
        known = [(tokens, fmean(earned), len(earned)) for tokens, earned in self._rewards.items()]
        known = [one for one in known if len(one[0]) == len(plan)][-LATEST:]
        if len(known) < 2:
            return candidates[0]
        strings, rewards, trainings = zip(*known, strict=True)
        predictor = Predictor(self._described(plan, strings), rewards, trainings)
        return candidates[int(predictor(self._described(plan, candidates)).argmax())]

    def _described(self, plan: Plan, strings: Sequence[Tokens]) -> list[tuple[float, ...]]:
        """The features of strings, each computed once."""
        for tokens in strings:
            if tokens not in self._features:
                self._features[tokens] = self._space.features(plan, tokens)
        return [self._features[tokens] for tokens in strings]


class Predictor:
    """A Gaussian process over features of networks (Rasmussen & Williams 2006, ch. 2 and 5).

    It is fitted to the order of the rewards alone, by their normal scores: how far the worst lie behind says nothing of
    the best. Covariances fall with the squared distance of standardised features. Length and noise are those of a grid
    under which the scores are likeliest, the variance being the likeliest for them.

    Args:
        features: Of networks that were trained: N lists of F numbers, N at least 1.
        rewards: N, each a mean where the network was trained more than once.
        trainings: N, how many each mean is of.
    """

    def __init__(self, features: Sequence[Sequence[float]], rewards: Sequence[float], trainings: Sequence[int]) -> None:
        known = torch.tensor(features, dtype=torch.float64)  # [N, F]
        self._mean, scale = known.mean(0), known.std(0, correction=0)
        self._scale = torch.where(scale > 0, scale, 1.0) * known.shape[1] ** 0.5
        self._known = self._standardised(known)
        scores = normal_scores(torch.tensor(rewards, dtype=torch.float64))
        noise = torch.diag(1 / torch.tensor(trainings, dtype=torch.float64))
        grid = torch.tensor(list(product(LENGTHS, NOISES)), dtype=torch.float64)
        lengths, noises = (column[:, None, None] for column in grid.T)  # [G, 1, 1]
        covariances = torch.exp(-self._distances(self._known) / lengths) + noises * noise  # [G, N, N]
        factors = torch.linalg.cholesky(covariances)
        weights = torch.cholesky_solve(scores[:, None].expand(len(grid), -1, 1), factors)[..., 0]  # [G, N]
        # Minus twice the logarithm of the likelihood, but for a constant, at the likeliest variance (their eq. 5.8).
        misfit = len(scores) * torch.log(weights @ scores) + 2 * factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        best = int(misfit.argmin())
        self._length, self._weights = grid[best, 0], weights[best]

    def __call__(self, features: Sequence[Sequence[float]]) -> Tensor:
        """The expected normal scores, [K], of networks given by K lists of F numbers."""
        distances = self._distances(self._standardised(torch.tensor(features, dtype=torch.float64)))
        scores: Tensor = torch.exp(-distances / self._length) @ self._weights
        return scores

    def _standardised(self, features: Tensor) -> Tensor:
        standardised: Tensor = (features - self._mean) / self._scale
        return standardised

    def _distances(self, features: Tensor) -> Tensor:
        """[K, N], to the known ones; squared, the mean over features."""
        return torch.cdist(features, self._known, compute_mode="donot_use_mm_for_euclid_dist").square()


def normal_scores(values: Tensor) -> Tensor:
    """Where each of N values would lie if their order were that of N normal ones; equal values share a place."""
    below = (values[:, None] > values).sum(1) + (values[:, None] == values).sum(1) / 2
    scores: Tensor = torch.special.ndtri(below.to(values.dtype) / len(values))
    return scores
