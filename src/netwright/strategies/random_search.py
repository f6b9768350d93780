"""Random search: the paper's control experiment (Zoph & Le 2017, sec. 4.2)."""

from __future__ import annotations

from random import Random

from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, Numbered
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens, uniform_tokens
from netwright.trial import Trial


class RandomSearch(Numbered):
    """Every token uniform over its decision, under the same curriculum and rules as the controller."""

    def __init__(self, space: SearchSpace, *, seed: int = 0, curriculum: Curriculum = full_size) -> None:
        self.space = space
        self.seed = seed
        self.curriculum = curriculum

    def propose(self, trial_id: int) -> Tokens:
        """A uniform string."""
        random = Random(derive_seed(self.seed, "random", trial_id))
        return uniform_tokens(self.space.plan(self.curriculum(trial_id)), random)

    def learn(self, trial: Trial) -> None:
        """Learns nothing."""
