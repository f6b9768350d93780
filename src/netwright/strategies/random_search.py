"""Random search: the paper's control experiment (Zoph & Le 2017, sec. 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens, uniform_tokens
from netwright.trial import Proposal, Trial


class RandomSearch:
    """Every token uniform over its decision, under the same curriculum and rules as the controller."""

    def __init__(self, space: SearchSpace, *, seed: int = 0, curriculum: Curriculum = full_size) -> None:
        self.space = space
        self.seed = seed
        self.curriculum = curriculum
        self._next_id = 0

    def ask(self, count: int) -> list[Proposal]:
        """See :meth:`Strategy.ask`."""
        ids = range(self._next_id, self._next_id + count)
        self._next_id += count
        return [Proposal(id=i, tokens=self._draw(i)) for i in ids]

    def _draw(self, trial_id: int) -> Tokens:
        random = Random(derive_seed(self.seed, "random", trial_id))
        return uniform_tokens(self.space.plan(self.curriculum(trial_id)), random)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learns nothing."""

    def restore(self, told: Sequence[Trial], next_id: int) -> None:
        """See :meth:`Strategy.restore`."""
        self._next_id = next_id
