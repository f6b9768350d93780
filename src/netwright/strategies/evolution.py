"""Regularised evolution: the best of a few parents is mutated, and the oldest dies (Real et al. 2019)."""

from __future__ import annotations

from collections import deque
from random import Random

from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, Numbered
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens, uniform_tokens
from netwright.strategies.mutation import fit, mutate
from netwright.trial import Trial


class Evolution(Numbered):
    """Aging evolution by mutation alone.

    The population is the last ``population`` trials that were told, so with many workers it simply ages later. Parents
    from before the architectures grew are continued at random.

    Args:
        space: What to design.
        population: Architectures alive.
        tournament: How many of them, drawn without replacement, compete to be the parent.
        seed: Of every draw.
        curriculum: Size of the architecture by trial number.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        population: int = 25,
        tournament: int = 10,
        seed: int = 0,
        curriculum: Curriculum = full_size,
    ) -> None:
        if not 1 <= tournament <= population:
            raise ValueError(f"expected 1 <= tournament <= population, got {tournament} and {population}")
        self.space = space
        self.population = population
        self.tournament = tournament
        self.seed = seed
        self.curriculum = curriculum
        self._alive: deque[tuple[float, Tokens]] = deque(maxlen=population)

    def propose(self, trial_id: int) -> Tokens:
        """A random string until the population is whole, then a child of a tournament's winner."""
        random = Random(derive_seed(self.seed, "evolution", trial_id))
        plan = self.space.plan(self.curriculum(trial_id))
        if len(self._alive) < self.population:
            return uniform_tokens(plan, random)
        _, parent = max(random.sample(self._alive, self.tournament), key=lambda member: member[0])
        return mutate(plan, fit(plan, parent, random), random)

    def learn(self, trial: Trial) -> None:
        """A new member pushes out the oldest."""
        if trial.reward is not None:
            self._alive.append((trial.reward, trial.tokens))
